//! SQLite's log on its way into the database file, beside the writer.
//!
//! SQLite would copy it within whichever commit makes it too long, and everybody who waits for
//! that commit would wait for the copy. Here a thread with a connection of its own copies
//! (`PASSIVE`: it holds nobody up) until it has all but caught up with the writer; the writer
//! copies the little that is left, between two commits, so that the log begins anew. A log that
//! begins anew is written over the old one, which a disk syncs faster than a file that grows.
//! Where readers keep that from happening until the log is very long, the writer makes it begin
//! anew (`RESTART`) as soon as they let it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use diesel::sqlite::SqliteConnection;

use super::connection::{Connection, Manager};
use super::error::{Result, StorageError};

/// After how many commits the writer looks how long the log is.
const LOOK: u32 = 16;
/// How long it may be before it is copied, in pages: as SQLite has it.
const LONG: i32 = 1_000;
/// How long before the writer makes it begin anew, in pages of 4 KiB: 64 MiB.
const LONGEST: i32 = 16_384;
/// How many new pages during one copy mean that it has all but caught up.
const FEW: i32 = 128;
/// How often it copies before it leaves the rest to the writer all the same.
const COPIES: usize = 4;
/// At which looks it tries to: a copy of the database that somebody makes may take minutes.
const RARELY: u32 = 64;
/// How long the writer waits for readers of the old log, in milliseconds.
const PATIENCE: u32 = 20;

/// What `PRAGMA wal_checkpoint` says.
#[derive(QueryableByName)]
struct Log {
    /// Its pages.
    #[diesel(sql_type = Integer)]
    log: i32,
}

/// The writer's side.
pub(super) struct Checkpoints {
    wake: Sender<()>,
    caught_up: Arc<AtomicBool>,
    commits: u32,
    looks: u32,
    busy_millis: u128,
}

impl Checkpoints {
    /// Starts the thread. It ends with the writer.
    pub(super) fn start(manager: &Manager) -> Result<Self> {
        let (wake, woken) = bounded(1);
        let caught_up = Arc::new(AtomicBool::new(false));
        let busy_millis = manager.busy_millis();
        let (manager, told) = (manager.clone(), Arc::clone(&caught_up));
        thread::Builder::new()
            .name("db-checkpoint".to_owned())
            .spawn(move || run(&manager, &woken, &told))
            .map_err(|error| StorageError::Unavailable(format!("no thread: {error}")))?;
        Ok(Self { wake, caught_up, commits: 0, looks: 0, busy_millis })
    }

    /// Called by the writer after each commit, between transactions.
    pub(super) fn committed(&mut self, writer: &mut SqliteConnection) {
        if let Err(error) = self.keep_short(writer) {
            tracing::warn!(cause = %error, "the log can't be copied into the database");
        }
    }

    fn keep_short(&mut self, writer: &mut SqliteConnection) -> Result<()> {
        if self.caught_up.swap(false, Ordering::AcqRel) {
            let pages = checkpoint(writer, "PASSIVE")?;
            tracing::trace!(pages, "the log begins anew");
            return Ok(());
        }
        self.commits += 1;
        if self.commits < LOOK {
            return Ok(());
        }
        self.commits = 0;
        self.looks = self.looks.wrapping_add(1);
        let pages = checkpoint(writer, "NOOP")?;
        if pages > LONGEST && self.looks.is_multiple_of(RARELY) {
            writer.batch_execute(&format!("PRAGMA busy_timeout = {PATIENCE};"))?;
            let restarted = checkpoint(writer, "RESTART");
            writer.batch_execute(&format!("PRAGMA busy_timeout = {};", self.busy_millis))?;
            restarted?;
            tracing::debug!(pages, "a long log was made to begin anew");
        } else if pages > LONG {
            // Full: it is at it already.
            let _ = self.wake.try_send(());
        }
        Ok(())
    }
}

fn run(manager: &Manager, woken: &Receiver<()>, caught_up: &AtomicBool) {
    let mut connection = None;
    while woken.recv().is_ok() {
        match open(manager, &mut connection).and_then(copy) {
            Ok(()) => caught_up.store(true, Ordering::Release),
            Err(error) => {
                connection = None;
                tracing::warn!(cause = %error, "the log can't be copied into the database");
            }
        }
    }
}

/// Copies until hardly anything is added meanwhile.
fn copy(sqlite: &mut SqliteConnection) -> Result<()> {
    let mut before = checkpoint(sqlite, "PASSIVE")?;
    for _ in 1..COPIES {
        let now = checkpoint(sqlite, "PASSIVE")?;
        if (now - before).abs() < FEW {
            break;
        }
        before = now;
    }
    Ok(())
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

/// How many pages the log has.
fn checkpoint(sqlite: &mut SqliteConnection, how: &str) -> Result<i32> {
    let log: Log = diesel::sql_query(format!("PRAGMA wal_checkpoint({how})")).get_result(sqlite)?;
    Ok(log.log)
}
