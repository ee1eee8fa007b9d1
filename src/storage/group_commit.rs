//! SQLite's one writer: it drains what waits into one transaction, commits once, and then
//! answers them all. N waiting changes cost one fsync; a lone one commits at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use diesel::Connection as _;
use diesel::connection::{
    AnsiTransactionManager, SimpleConnection, TransactionManager, TransactionManagerStatus,
};
use diesel::sqlite::SqliteConnection;

use super::checkpoint::Checkpoints;
use super::clients;
use super::connection::{Connection, Manager, is_locked};
use super::error::{Result, StorageError};
use super::job::Job;
use super::rotation::rotate;

/// How many changes share one commit at most.
pub(super) const LARGEST_BATCH: usize = 64;

/// How long SQLite waits by itself for another process's lock, in milliseconds.
const ASK_MILLIS: u32 = 5;

type Transactions = AnsiTransactionManager;

/// Writes until all senders are gone.
pub(super) fn run(
    manager: &Manager,
    first: Connection,
    jobs: &Receiver<Job>,
    mut checkpoints: Checkpoints,
) {
    let mut connection = impatient(first).ok();
    while let Ok(job) = jobs.recv() {
        let mut batch = vec![job];
        batch.extend(jobs.try_iter().take(LARGEST_BATCH - 1));
        let (overdue, batch): (Vec<_>, Vec<_>) = batch.into_iter().partition(Job::is_overdue);
        fail(overdue, "the request waited too long for its turn");
        if batch.is_empty() {
            continue;
        }

        let open = match connection.take() {
            Some(open) => Ok(open),
            None => manager.open().and_then(impatient),
        };
        match open {
            Ok(mut open) => {
                let small = batch.iter().all(|job| matches!(job, Job::Rotate(_)));
                if write(&mut open, batch, manager.busy()) {
                    if let Ok(sqlite) = sqlite(&mut open) {
                        checkpoints.committed(sqlite, small);
                    }
                    connection = Some(open);
                }
            }
            Err(error) => fail(batch, &error.to_string()),
        }
    }
}

/// Writes one batch and answers it. False when the connection must not be used again.
fn write(connection: &mut Connection, mut batch: Vec<Job>, busy: Duration) -> bool {
    if let Err(error) = begin(connection, busy) {
        fail(batch, &error.to_string());
        return false;
    }
    let mut ends: Vec<Result<()>> = Vec::with_capacity(batch.len());
    let mut epoch = None;
    for job in &mut batch {
        let ran = catch_unwind(AssertUnwindSafe(|| run_one(connection, job, &mut epoch)));
        match ran {
            Ok(Err(error)) if error.poisons() => {
                // A full disk or an I/O error inside a savepoint rolls everything back, and
                // what follows would commit by itself: nothing of this batch may count.
                return give_up(connection, batch, &error.to_string());
            }
            Ok(end) => ends.push(end),
            Err(_) => return give_up(connection, batch, "a change broke off"),
        }
    }
    match commit(connection) {
        Ok(()) => {
            for (job, end) in batch.into_iter().zip(ends) {
                job.answer(end);
            }
            true
        }
        Err(error) => give_up(connection, batch, &error.to_string()),
    }
}

/// Runs one change within the batch's transaction. `epoch` is the count of changes to clients,
/// while no change in between may have moved it.
fn run_one(connection: &mut Connection, job: &mut Job, epoch: &mut Option<i64>) -> Result<()> {
    match job {
        Job::Write(work) => {
            *epoch = None;
            connection.transaction(|connection| work.run(connection))
        }
        // A rotation writes with one statement, or makes a savepoint of its own.
        Job::Rotate(rotation) => {
            let epoch = match *epoch {
                Some(known) => known,
                None => *epoch.insert(clients::epoch(connection)?),
            };
            rotation.done = Some(rotate(connection, &rotation.command, epoch)?);
            Ok(())
        }
    }
}

/// Begins, and asks again for `busy` while another process writes.
fn begin(connection: &mut Connection, busy: Duration) -> Result<()> {
    let sqlite = sqlite(connection)?;
    let begun = Instant::now();
    loop {
        match Transactions::begin_transaction_sql(sqlite, "BEGIN IMMEDIATE") {
            Err(error) if is_locked(&error) && begun.elapsed() < busy => {}
            other => return Ok(other?),
        }
    }
}

/// Lets SQLite wait only briefly by itself. It asks less and less often the longer it waits, so
/// that a process which writes in short turns, as a prune does, goes by time and again.
fn impatient(mut connection: Connection) -> Result<Connection> {
    sqlite(&mut connection)?.batch_execute(&format!("PRAGMA busy_timeout = {ASK_MILLIS};"))?;
    Ok(connection)
}

/// Commits, and makes sure that nothing is left open: a commit that only ended a savepoint
/// would answer for what isn't on disk.
fn commit(connection: &mut Connection) -> Result<()> {
    let sqlite = sqlite(connection)?;
    Transactions::commit_transaction(sqlite)?;
    match Transactions::transaction_manager_status_mut(sqlite) {
        TransactionManagerStatus::Valid(status) if status.transaction_depth().is_none() => Ok(()),
        _ => Err(StorageError::Unavailable("the transaction was left open".into())),
    }
}

fn give_up(connection: &mut Connection, batch: Vec<Job>, cause: &str) -> bool {
    tracing::error!(cause, changes = batch.len(), "a batch of changes was given up");
    if let Ok(sqlite) = sqlite(connection) {
        // Dropping the connection rolls back too; this frees the lock at once.
        let _ = Transactions::rollback_transaction(sqlite);
    }
    fail(batch, cause);
    false
}

fn fail(batch: Vec<Job>, cause: &str) {
    for job in batch {
        job.answer(Err(StorageError::Unavailable(cause.to_owned())));
    }
}

fn sqlite(connection: &mut Connection) -> Result<&mut SqliteConnection> {
    match connection {
        Connection::Sqlite(sqlite) => Ok(sqlite),
        Connection::Postgres(_) => Err(StorageError::Unavailable("not a SQLite connection".into())),
    }
}
