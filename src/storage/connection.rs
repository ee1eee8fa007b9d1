//! One connection type for both databases, opened by the scheme of the URL.

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::r2d2::{ManageConnection, R2D2Connection};
use diesel::sqlite::SqliteConnection;
use diesel::{Connection as _, ConnectionError};
use secrecy::{ExposeSecret, SecretString};

use super::error::{Result, StorageError};

/// A connection to either database. Only storage knows what is in it.
#[derive(diesel::MultiConnection)]
pub enum Connection {
    /// PostgreSQL 15 or later.
    Postgres(PgConnection),
    /// SQLite, bundled.
    Sqlite(SqliteConnection),
}

/// Which database a URL names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `sqlite://PATH`
    Sqlite,
    /// `postgres://…`
    Postgres,
}

/// Opens connections to one database.
#[derive(Clone)]
pub struct Manager {
    kind: Kind,
    /// For SQLite its path, for Postgres the whole URL.
    target: SecretString,
    busy_millis: u128,
}

impl Manager {
    /// For this URL. `busy` is how long SQLite waits for another process's lock.
    ///
    /// # Errors
    /// When the URL has another scheme.
    pub fn new(url: &SecretString, busy: std::time::Duration) -> Result<Self> {
        let url = url.expose_secret();
        let (kind, target) = if let Some(path) = url.strip_prefix("sqlite://") {
            if path.is_empty() {
                return Err(StorageError::BadUrl(
                    "database_url names no file; write it like sqlite://data/perennial.db".into(),
                ));
            }
            (Kind::Sqlite, path)
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            (Kind::Postgres, url)
        } else {
            return Err(StorageError::BadUrl(
                "database_url has an unknown scheme; write sqlite://PATH or postgres://…".into(),
            ));
        };
        Ok(Self { kind, target: target.to_owned().into(), busy_millis: busy.as_millis() })
    }

    /// Which database it opens.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// SQLite's file; none on Postgres.
    pub fn path(&self) -> Option<&std::path::Path> {
        (self.kind == Kind::Sqlite).then(|| std::path::Path::new(self.target.expose_secret()))
    }

    /// Opens a connection and sets it up.
    ///
    /// # Errors
    /// What the database says; never the password of its URL.
    pub fn open(&self) -> Result<Connection> {
        self.establish().map_err(|error| StorageError::Unavailable(error.to_string()))
    }

    fn establish(&self) -> std::result::Result<Connection, ConnectionError> {
        let setup = |error| ConnectionError::CouldntSetupConfiguration(error);
        match self.kind {
            Kind::Sqlite => {
                let mut connection = SqliteConnection::establish(self.target.expose_secret())?;
                // WAL: readers don't wait for the writer. FULL: a commit that returned is on
                // disk. Checkpoints wait for the end of a batch of 1,000 pages.
                connection
                    .batch_execute(&format!(
                        "PRAGMA busy_timeout = {};
                         PRAGMA journal_mode = WAL;
                         PRAGMA synchronous = FULL;
                         PRAGMA foreign_keys = ON;
                         PRAGMA temp_store = MEMORY;",
                        self.busy_millis
                    ))
                    .map_err(setup)?;
                Ok(Connection::Sqlite(connection))
            }
            Kind::Postgres => {
                let mut connection = PgConnection::establish(self.target.expose_secret())?;
                connection
                    .batch_execute(
                        "SET application_name = 'perennial';
                         SET synchronous_commit = on;
                         SET idle_in_transaction_session_timeout = '30s';
                         SET statement_timeout = '30s';",
                    )
                    .map_err(setup)?;
                Ok(Connection::Postgres(connection))
            }
        }
    }
}

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = ConnectionFault;

    fn connect(&self) -> std::result::Result<Connection, ConnectionFault> {
        self.establish().map_err(|error| ConnectionFault(error.to_string()))
    }

    fn is_valid(&self, connection: &mut Connection) -> std::result::Result<(), ConnectionFault> {
        connection.ping().map_err(|error| ConnectionFault(error.to_string()))
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        std::thread::panicking() || connection.is_broken()
    }
}

/// Why a pooled connection couldn't be opened or used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConnectionFault(String);
