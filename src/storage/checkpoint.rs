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

use crossbeam_channel::{Receiver, Sender, bounded};
use diesel::prelude::*;
use diesel::sql_types::Integer;
use diesel::sqlite::SqliteConnection;

use super::connection::{Connection, Manager};
use super::database::Threads;
use super::error::{Result, StorageError};

/// After how many commits the writer looks how long the log is.
const LOOK: u32 = 16;
/// How long it may be before it is copied, in pages: so long that few commits meet the end of
/// a copy, and so short that it stays in the system's cache.
const LONG: i32 = 4_000;
/// How long before the writer makes it begin anew, in pages of 4 KiB: 64 MiB.
const LONGEST: i32 = 16_384;
/// How many new pages during one copy mean that it has all but caught up.
const FEW: i32 = 128;
/// How many pages the writer copies itself at most, since everybody waits for it meanwhile.
const LITTLE: i32 = 1_024;
/// How often it copies before it leaves the rest to the writer all the same.
const COPIES: usize = 4;
/// How many looks it lets pass before it asks again, where they read on: a copy of the database
/// that somebody makes may take minutes.
const PATIENCE: u32 = 256;

/// What `PRAGMA wal_checkpoint` says.
#[derive(QueryableByName)]
struct Log {
    /// Whether somebody stood in the way.
    #[diesel(sql_type = Integer)]
    busy: i32,
    /// Its pages.
    #[diesel(sql_type = Integer)]
    log: i32,
    /// Those of them that are copied.
    #[diesel(sql_type = Integer)]
    checkpointed: i32,
}

/// The writer's side.
pub(super) struct Checkpoints {
    // Before the thread, which ends when nobody can wake it any more.
    wake: Sender<()>,
    _thread: Threads,
    caught_up: Arc<AtomicBool>,
    commits: u32,
    patience: u32,
}

impl Checkpoints {
    /// Starts the thread. It ends with the writer.
    pub(super) fn start(manager: &Manager) -> Result<Self> {
        let (wake, woken) = bounded(1);
        let caught_up = Arc::new(AtomicBool::new(false));
        let (manager, told) = (manager.clone(), Arc::clone(&caught_up));
        let mut thread = Threads::default();
        thread.start("db-checkpoint", move || run(&manager, &woken, &told))?;
        Ok(Self { wake, _thread: thread, caught_up, commits: 0, patience: 0 })
    }

    /// Called by the writer after each commit, between transactions. `small`: nothing but
    /// rotations, which change a page each.
    pub(super) fn committed(&mut self, writer: &mut SqliteConnection, small: bool) {
        if let Err(error) = self.keep_short(writer, small) {
            tracing::warn!(cause = %error, "the log can't be copied into the database");
        }
    }

    fn keep_short(&mut self, writer: &mut SqliteConnection, small: bool) -> Result<()> {
        let caught_up = self.caught_up.swap(false, Ordering::AcqRel);
        self.commits += if small { 1 } else { LOOK };
        if !caught_up && self.commits < LOOK {
            return Ok(());
        }
        self.commits = 0;
        let Log { log, checkpointed, .. } = checkpoint(writer, "NOOP")?;
        if log <= LONG {
            return Ok(());
        }
        if log - checkpointed > LITTLE || !caught_up && log <= LONGEST {
            // Full: it is at it already.
            let _ = self.wake.try_send(());
        } else if log <= LONGEST {
            checkpoint(writer, "PASSIVE")?;
            tracing::trace!(pages = log, "the log begins anew");
        } else if self.patience > 0 {
            self.patience -= 1;
        } else {
            let Log { busy, .. } = checkpoint(writer, "RESTART")?;
            self.patience = if busy == 0 { 0 } else { PATIENCE };
            tracing::debug!(pages = log, busy, "a long log was to begin anew");
        }
        Ok(())
    }
}

fn run(manager: &Manager, woken: &Receiver<()>, caught_up: &AtomicBool) {
    let mut connection = None;
    while woken.recv().is_ok() {
        match open(manager, &mut connection).and_then(copy) {
            Ok(()) => {
                // The writer's turn; it copies nothing while somebody else does.
                let _ = woken.try_recv();
                caught_up.store(true, Ordering::Release);
            }
            Err(error) => {
                connection = None;
                tracing::warn!(cause = %error, "the log can't be copied into the database");
            }
        }
    }
}

/// Copies until hardly anything is added meanwhile.
fn copy(sqlite: &mut SqliteConnection) -> Result<()> {
    let mut before = checkpoint(sqlite, "PASSIVE")?.log;
    for _ in 1..COPIES {
        let now = checkpoint(sqlite, "PASSIVE")?.log;
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

fn checkpoint(sqlite: &mut SqliteConnection, how: &str) -> Result<Log> {
    Ok(diesel::sql_query(format!("PRAGMA wal_checkpoint({how})")).get_result(sqlite)?)
}
