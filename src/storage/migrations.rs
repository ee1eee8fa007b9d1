//! The migrations, embedded in the program, and what Postgres needs beside them.

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::migration::MigrationSource;
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::connection::Connection;
use super::error::{Result, StorageError};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// Any number, the same in all nodes: whoever holds it migrates.
const POSTGRES_LOCK: i64 = 0x7065_7265_6e6e_6961;

/// What SQL can't say for both. Room in each page keeps a refresh's update in place (HOT).
const POSTGRES_EXTRAS: &str = "
    ALTER TABLE token_families SET (
        fillfactor = 70,
        autovacuum_vacuum_scale_factor = 0.05,
        autovacuum_vacuum_cost_delay = 1
    );
    ALTER TABLE browser_sessions SET (fillfactor = 80);
";

/// A migration and whether it was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Its name: a date and a word.
    pub name: String,
    /// Whether this database has it.
    pub applied: bool,
}

/// All migrations, oldest first.
pub(super) fn status(connection: &mut Connection) -> Result<Vec<Migration>> {
    let applied = applied(connection)?;
    let known = known()?;
    let newer: Vec<&str> = applied
        .iter()
        .filter(|version| !known.iter().any(|(own, _)| own == *version))
        .map(String::as_str)
        .collect();
    if !newer.is_empty() {
        return Err(StorageError::NewerThanProgram(newer.join(", ")));
    }
    Ok(known
        .into_iter()
        .map(|(version, name)| Migration { applied: applied.contains(&version), name })
        .collect())
}

/// Applies what waits. Several processes may call it at once: one does it, the others wait.
/// Returns the names of what was applied.
pub(super) fn apply(connection: &mut Connection) -> Result<Vec<String>> {
    match connection {
        Connection::Postgres(postgres) => {
            // Another node's migration, or our own, may take longer than a request may.
            postgres.batch_execute(&format!(
                "SET statement_timeout = 0; SELECT pg_advisory_lock({POSTGRES_LOCK})"
            ))?;
        }
        Connection::Sqlite(sqlite) => {
            AnsiTransactionManager::begin_transaction_sql(sqlite, "BEGIN IMMEDIATE")?;
        }
    }
    let outcome = apply_locked(connection);
    match connection {
        Connection::Postgres(postgres) => {
            postgres.batch_execute(&format!("SELECT pg_advisory_unlock({POSTGRES_LOCK})"))?;
        }
        Connection::Sqlite(sqlite) if outcome.is_ok() => {
            <AnsiTransactionManager as TransactionManager<_>>::commit_transaction(sqlite)?;
        }
        Connection::Sqlite(sqlite) => {
            <AnsiTransactionManager as TransactionManager<_>>::rollback_transaction(sqlite)?;
        }
    }
    outcome
}

fn apply_locked(connection: &mut Connection) -> Result<Vec<String>> {
    let waiting: Vec<String> = status(connection)?
        .into_iter()
        .filter(|migration| !migration.applied)
        .map(|migration| migration.name)
        .collect();
    if waiting.is_empty() {
        return Ok(waiting);
    }
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        StorageError::Unavailable(format!("a migration failed: {error}"))
    };
    match connection {
        Connection::Postgres(postgres) => {
            postgres.run_pending_migrations(MIGRATIONS).map_err(failed)?;
            postgres.batch_execute(POSTGRES_EXTRAS)?;
        }
        Connection::Sqlite(sqlite) => {
            sqlite.run_pending_migrations(MIGRATIONS).map_err(failed)?;
        }
    }
    Ok(waiting)
}

fn applied(connection: &mut Connection) -> Result<Vec<String>> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        StorageError::Unavailable(format!("the list of migrations can't be read: {error}"))
    };
    let versions = match connection {
        Connection::Postgres(postgres) => postgres.applied_migrations().map_err(failed)?,
        Connection::Sqlite(sqlite) => sqlite.applied_migrations().map_err(failed)?,
    };
    Ok(versions.into_iter().map(|version| version.to_string()).collect())
}

/// (version, name) of each embedded migration, oldest first.
fn known() -> Result<Vec<(String, String)>> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        StorageError::Unavailable(format!("the embedded migrations can't be read: {error}"))
    };
    let mut known: Vec<(String, String)> = MigrationSource::<Sqlite>::migrations(&MIGRATIONS)
        .map_err(failed)?
        .iter()
        .map(|migration| {
            let name = migration.name();
            (name.version().as_owned().to_string(), name.to_string())
        })
        .collect();
    known.sort();
    Ok(known)
}
