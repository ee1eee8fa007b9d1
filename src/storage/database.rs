//! Takes work to a connection and brings the answer back, without blocking whoever asks.
//!
//! On SQLite reads run on a few read connections and every change goes to the one writer.
//! On Postgres all of it runs on a pool. Queues are bounded: a full one is an answer.

use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use diesel::Connection as _;
use diesel::prelude::*;
use diesel::r2d2::Pool;
use diesel::sql_types::BigInt;
use secrecy::SecretString;
use tokio::sync::{Notify, oneshot};

use super::checkpoint::Checkpoints;
use super::connection::{Connection, Kind, Manager};
use super::error::{Result, StorageError};
use super::group_commit::{self, LARGEST_BATCH};
use super::job::{Job, Rotation, Task, Work};
use super::migrations::{self, Migration};
use super::rotation::{RotateCommand, RotateOutcome, rotate_together};
use crate::domain::time::Timestamp;

/// A rotation that waited longer than this for its turn doesn't happen: its caller has given up
/// by now, and what it would do would be late.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How many connections to Postgres do nothing but rotate.
const ROTATING: u32 = 2;

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// `sqlite://PATH` or `postgres://…`
    pub url: SecretString,
    /// Connections of the pool; on SQLite, those that read.
    pub connections: u32,
    /// How long SQLite waits for another process, and a request for a connection.
    pub busy: Duration,
    /// How many changes may wait.
    pub queue: usize,
}

/// A database. Clones share it; it is closed when the last one is dropped.
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
}

struct Shared {
    kind: Kind,
    manager: Manager,
    // Dropped in this order: the threads end when nobody can send to them any more.
    reads: Sender<Box<dyn Work>>,
    changes: Changes,
    courier: Notify,
    _threads: Threads,
    _tidy: Tidy,
}

/// The threads of one database. Dropping this waits until they have closed their connections.
#[derive(Default)]
pub(super) struct Threads(Vec<JoinHandle<()>>);

impl Threads {
    /// Starts one more.
    pub(super) fn start(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
        let started = thread::Builder::new().name(name.to_owned()).spawn(work);
        self.0.push(started.map_err(|error| {
            StorageError::Unavailable(format!("no thread for {name}: {error}"))
        })?);
        Ok(())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        for thread in self.0.drain(..) {
            // Work that holds the database itself may be the last to let go of it.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

/// Makes a stopped server leave one file. Whoever closes SQLite's last connection copies its log
/// into the file and removes it; of two that close at the same moment, neither is the last. So
/// this opens and closes one more, after all others.
struct Tidy(Manager);

impl Drop for Tidy {
    fn drop(&mut self) {
        if self.0.kind() == Kind::Sqlite {
            self.0.wait_until_closed(Duration::from_secs(1));
            if self.0.path().is_some_and(Path::exists) {
                // Where it can't be opened, there is nothing to tidy.
                let _ = self.0.open();
            }
        }
    }
}

/// Where changes wait. SQLite has one writer, so all of them wait in one line.
enum Changes {
    Sqlite(Sender<Job>),
    Postgres { writes: Sender<Box<dyn Work>>, rotations: Rotations },
}

/// The line of those who rotate on Postgres. The more wait, the more go together, so one
/// connection serves them all, and another helps out where more wait than go at once.
struct Rotations {
    line: Sender<Box<Rotation>>,
    help: Sender<()>,
}

impl Database {
    /// Opens it and starts its threads. Doesn't migrate.
    ///
    /// # Errors
    /// When the URL is none, or the database can't be reached.
    pub fn open(options: &Options) -> Result<Self> {
        let manager = Manager::new(&options.url, options.busy)?;
        let tidy = Tidy(manager.clone());
        if let Some(folder) = manager.path().and_then(|path| path.parent())
            && !folder.as_os_str().is_empty()
        {
            let mut private = std::fs::DirBuilder::new();
            std::os::unix::fs::DirBuilderExt::mode(&mut private, 0o700);
            private.recursive(true).create(folder).map_err(|error| {
                StorageError::Unavailable(format!("{} can't be made: {error}", folder.display()))
            })?;
        }
        // The first connection says what is wrong, in the database's own words.
        let first = manager.open()?;
        let size = options.connections.max(1);
        let pool_of = |size, manager| {
            Pool::builder()
                .max_size(size)
                .min_idle(Some(0))
                .connection_timeout(options.busy)
                .test_on_check_out(true)
                .build_unchecked(manager)
        };
        let pool = pool_of(size, manager.clone());

        // Before the lines, so that a start that fails halfway lets go of them first.
        let mut threads = Threads::default();
        let (reads, read_jobs) = bounded::<Box<dyn Work>>(options.queue);
        for n in 0..size {
            let (pool, jobs) = (pool.clone(), read_jobs.clone());
            threads.start(&format!("db-read-{n}"), move || read(&pool, &jobs))?;
        }
        let changes = match manager.kind() {
            Kind::Sqlite => {
                let (changes, jobs) = bounded(options.queue);
                let checkpoints = Checkpoints::start(&manager)?;
                let manager = manager.clone();
                threads.start("db-write", move || {
                    group_commit::run(&manager, first, &jobs, checkpoints);
                })?;
                Changes::Sqlite(changes)
            }
            Kind::Postgres => {
                drop(first);
                let rotating = pool_of(ROTATING, manager.rotating());
                let (writes, jobs) = bounded::<Box<dyn Work>>(options.queue);
                for n in 0..size {
                    let (pool, jobs) = (pool.clone(), jobs.clone());
                    threads.start(&format!("db-write-{n}"), move || write(&pool, &jobs))?;
                }
                let (line, waiting) = bounded(options.queue);
                let (help, called) = bounded::<()>(1);
                let (own, jobs) = (rotating.clone(), waiting.clone());
                threads.start("db-rotate-0", move || {
                    while let Ok(first) = jobs.recv() {
                        rotate(&own, std::iter::once(first).chain(jobs.try_iter()));
                    }
                })?;
                threads.start("db-rotate-1", move || {
                    while called.recv().is_ok() {
                        while !waiting.is_empty() {
                            rotate(&rotating, waiting.try_iter());
                        }
                    }
                })?;
                Changes::Postgres { writes, rotations: Rotations { line, help } }
            }
        };
        Ok(Self {
            shared: Arc::new(Shared {
                kind: manager.kind(),
                manager,
                reads,
                changes,
                courier: Notify::new(),
                _threads: threads,
                _tidy: tidy,
            }),
        })
    }

    /// Which database it is.
    pub fn kind(&self) -> Kind {
        self.shared.kind
    }

    /// Reads.
    ///
    /// # Errors
    /// What `work` says, or that the database can't answer now.
    pub async fn read<T, F>(&self, work: F) -> Result<T>
    where
        F: FnOnce(&mut Connection) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (task, answer) = Task::new(work);
        send(&self.shared.reads, Box::new(task) as Box<dyn Work>)?;
        wait(answer).await
    }

    /// Changes something, in one transaction. The answer comes after its commit. An error of
    /// `work` rolls it back, so a refusal that must be written is an `Ok`.
    ///
    /// # Errors
    /// What `work` says, or that the database can't answer now.
    pub async fn write<T, F>(&self, work: F) -> Result<T>
    where
        F: FnOnce(&mut Connection) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (task, answer) = Task::new(work);
        match &self.shared.changes {
            Changes::Sqlite(changes) => send(changes, Job::Write(Box::new(task)))?,
            Changes::Postgres { writes, .. } => send(writes, Box::new(task) as Box<dyn Work>)?,
        }
        wait(answer).await
    }

    /// Refreshes a token family. The answer comes after its commit.
    ///
    /// # Errors
    /// That the database can't answer now; a refusal is an `Ok`.
    pub async fn rotate(&self, command: RotateCommand) -> Result<RotateOutcome> {
        let (reply, answer) = oneshot::channel();
        let deadline = Instant::now() + PATIENCE;
        let rotation = Box::new(Rotation { command, done: None, reply, deadline });
        match &self.shared.changes {
            Changes::Sqlite(changes) => send(changes, Job::Rotate(rotation))?,
            Changes::Postgres { rotations: Rotations { line, help }, .. } => {
                send(line, rotation)?;
                if line.len() > LARGEST_BATCH {
                    // Full: it has been called.
                    let _ = help.try_send(());
                }
            }
        }
        wait(answer).await
    }

    /// Says that there may be something to tell apps: sessions have ended. Whoever shares this
    /// database in this process hears it; others look by themselves.
    pub fn call_courier(&self) {
        self.shared.courier.notify_one();
    }

    /// Waits for [`Database::call_courier`]; returns at once where it came meanwhile.
    pub async fn courier_called(&self) {
        self.shared.courier.notified().await;
    }

    /// Whether it answers, within the time that a request would wait.
    ///
    /// # Errors
    /// Why not; also when migrations wait.
    pub async fn check(&self) -> Result<()> {
        self.read(|connection| match waiting(connection)?.as_slice() {
            [] => Ok(()),
            names => Err(StorageError::Unmigrated(names.join(", "))),
        })
        .await
    }

    /// The database's own clock, where it has one that counts: on Postgres.
    ///
    /// # Errors
    /// That it can't answer now.
    pub async fn clock(&self) -> Result<Option<Timestamp>> {
        match self.kind() {
            Kind::Sqlite => Ok(None),
            Kind::Postgres => {
                self.read(|connection| {
                    let millis = diesel::select(diesel::dsl::sql::<BigInt>(
                        "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
                    ))
                    .get_result(connection)?;
                    Ok(Some(Timestamp::from_millis(millis)))
                })
                .await
            }
        }
    }

    /// All migrations and whether they were applied. Blocks; for the start of a process.
    ///
    /// # Errors
    /// When the database is newer than the program, or can't answer.
    pub fn migrations(&self) -> Result<Vec<Migration>> {
        migrations::status(&mut self.shared.manager.open()?)
    }

    /// Applies the migrations that wait. Blocks; for the start of a process.
    ///
    /// # Errors
    /// When the database is newer than the program, or can't answer.
    pub fn migrate(&self) -> Result<Vec<String>> {
        migrations::apply(&mut self.shared.manager.open()?)
    }
}

fn waiting(connection: &mut Connection) -> Result<Vec<String>> {
    Ok(migrations::status(connection)?
        .into_iter()
        .filter(|migration| !migration.applied)
        .map(|migration| migration.name)
        .collect())
}

fn send<T>(queue: &Sender<T>, job: T) -> Result<()> {
    queue.try_send(job).map_err(|error| {
        StorageError::Unavailable(match error {
            TrySendError::Full(_) => "too many requests wait".into(),
            TrySendError::Disconnected(_) => "it was closed".into(),
        })
    })
}

async fn wait<T>(answer: oneshot::Receiver<Result<T>>) -> Result<T> {
    answer.await.unwrap_or_else(|_| Err(StorageError::Unavailable("the work broke off".into())))
}

/// Reads until all senders are gone.
fn read(pool: &Pool<Manager>, jobs: &Receiver<Box<dyn Work>>) {
    while let Ok(mut job) = jobs.recv() {
        let end = match pool.get() {
            Ok(mut pooled) => protected(|| pooled.run(|connection| job.run(connection))),
            Err(error) => Err(StorageError::Unavailable(error.to_string())),
        };
        job.answer(end);
    }
}

/// Writes to Postgres until all senders are gone.
fn write(pool: &Pool<Manager>, jobs: &Receiver<Box<dyn Work>>) {
    while let Ok(mut job) = jobs.recv() {
        let end = match pool.get() {
            Ok(mut pooled) => protected(|| {
                pooled.run(|connection| connection.transaction(|connection| job.run(connection)))
            }),
            Err(error) => Err(StorageError::Unavailable(error.to_string())),
        };
        job.answer(end);
    }
}

/// Rotates on Postgres: what waits, as far as it goes at once.
fn rotate(pool: &Pool<Manager>, waiting: impl Iterator<Item = Box<Rotation>>) {
    // The wait for a connection counts too.
    let pooled = pool.get();
    let (overdue, mut batch): (Vec<_>, Vec<_>) =
        waiting.take(LARGEST_BATCH).map(|job| *job).partition(Rotation::is_overdue);
    let late = || StorageError::Unavailable("the request waited too long for its turn".into());
    overdue.into_iter().for_each(|rotation| rotation.answer(Err(late())));
    if batch.is_empty() {
        return;
    }
    let end = match pooled {
        Ok(mut pooled) => {
            protected(|| pooled.run(|connection| rotate_together(connection, &mut batch)))
        }
        Err(error) => Err(StorageError::Unavailable(error.to_string())),
    };
    for rotation in batch {
        // What was carried out before an error is committed.
        let end = match &end {
            Err(error) if rotation.done.is_none() => {
                Err(StorageError::Unavailable(error.to_string()))
            }
            _ => Ok(()),
        };
        rotation.answer(end);
    }
}

/// A panic in one piece of work is that one's failure. The connection that it leaves in the
/// middle of something is found broken by the pool and dropped.
fn protected(work: impl FnOnce() -> Result<()>) -> Result<()> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(StorageError::Unavailable("the work broke off".into())))
}
