//! SQLite's log on its way into the database file, beside the writer.
//!
//! SQLite would do it within whichever commit makes the log too long, and everybody who waits
//! for that commit would wait for it too. Here the writer counts, and a thread with a
//! connection of its own copies meanwhile (`PASSIVE`: it holds nobody up). While somebody always
//! reads and writes, the log is never wholly copied at a moment when it could begin anew; so
//! when it has grown too long all the same, the writer once makes it (`RESTART`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use diesel::sqlite::SqliteConnection;

use super::connection::{Connection, Manager};
use super::error::{Result, StorageError};

/// After how many commits the log is copied: as many as SQLite lets pages pile up.
const COMMITS: u64 = 250;

/// How long the log may grow before the writer makes it begin anew, in bytes.
const LONGEST: u64 = 64 * 1024 * 1024;

/// How long the writer waits for readers of the old log then, in milliseconds.
const PATIENCE: u32 = 20;

/// A page of the log, with its header.
const FRAME: u64 = 4096 + 24;

#[derive(QueryableByName)]
struct Copied {
    #[diesel(sql_type = Integer)]
    busy: i32,
    #[diesel(sql_type = Integer)]
    log: i32,
    #[diesel(sql_type = Integer)]
    checkpointed: i32,
}

/// The writer's side.
pub(super) struct Checkpoints {
    wake: Sender<()>,
    length: Arc<AtomicU64>,
    commits: u64,
    busy_millis: u128,
}

impl Checkpoints {
    /// Starts the thread. It ends with the writer.
    pub(super) fn start(manager: &Manager) -> Result<Self> {
        let (wake, woken) = bounded(1);
        let length = Arc::new(AtomicU64::new(0));
        let busy_millis = manager.busy_millis();
        let (manager, told) = (manager.clone(), Arc::clone(&length));
        thread::Builder::new()
            .name("db-checkpoint".to_owned())
            .spawn(move || copy(&manager, &woken, &told))
            .map_err(|error| StorageError::Unavailable(format!("no thread: {error}")))?;
        Ok(Self { wake, length, commits: 0, busy_millis })
    }

    /// Called by the writer after each commit, between transactions.
    pub(super) fn committed(&mut self, writer: &mut SqliteConnection) {
        self.commits += 1;
        if self.commits >= COMMITS {
            self.commits = 0;
            // Full: it has work already.
            let _ = self.wake.try_send(());
        }
        if self.length.swap(0, Ordering::Relaxed) > LONGEST {
            match self.restart(writer) {
                Ok(Copied { busy, log, .. }) => {
                    tracing::debug!(busy, frames = log, "the log begins anew");
                }
                Err(error) => tracing::warn!(cause = %error, "the log can't begin anew"),
            }
        }
    }

    /// Waits a little for those who read the old log, and no longer: a copy of the database
    /// that somebody makes meanwhile may take minutes.
    fn restart(&self, writer: &mut SqliteConnection) -> Result<Copied> {
        writer.batch_execute(&format!("PRAGMA busy_timeout = {PATIENCE};"))?;
        let done = checkpoint(writer, "RESTART");
        writer.batch_execute(&format!("PRAGMA busy_timeout = {};", self.busy_millis))?;
        done
    }
}

fn copy(manager: &Manager, woken: &Receiver<()>, length: &AtomicU64) {
    let mut connection = None;
    while woken.recv().is_ok() {
        let copied = match open(manager, &mut connection) {
            Ok(sqlite) => checkpoint(sqlite, "PASSIVE"),
            Err(error) => Err(error),
        };
        match copied {
            Ok(Copied { log, checkpointed, .. }) => {
                let bytes = u64::try_from(log).unwrap_or(0) * FRAME;
                length.store(bytes, Ordering::Relaxed);
                tracing::trace!(frames = log, copied = checkpointed, "the log was copied");
            }
            Err(error) => {
                connection = None;
                tracing::warn!(cause = %error, "the log can't be copied into the database");
            }
        }
    }
}

fn open<'a>(
    manager: &Manager,
    connection: &'a mut Option<Connection>,
) -> Result<&'a mut SqliteConnection> {
    let open = match connection.take() {
        Some(open) => open,
        None => manager.open()?,
    };
    match connection.insert(open) {
        Connection::Sqlite(sqlite) => Ok(sqlite),
        Connection::Postgres(_) => Err(StorageError::Unavailable("not a SQLite connection".into())),
    }
}

fn checkpoint(sqlite: &mut SqliteConnection, how: &str) -> Result<Copied> {
    Ok(diesel::sql_query(format!("PRAGMA wal_checkpoint({how})")).get_result(sqlite)?)
}
