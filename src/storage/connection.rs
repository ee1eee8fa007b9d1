//! One connection type for both databases, opened by the scheme of the URL.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::r2d2::{ManageConnection, R2D2Connection};
use diesel::sqlite::SqliteConnection;
use diesel::{Connection as _, ConnectionError};
use secrecy::{ExposeSecret, SecretString};

pub use super::any_connection::{AnyConnection as Connection, MultiBackend};

use super::error::{Result, StorageError};
use super::postgres_tls::{self, Tunnel};

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
    /// For SQLite its path, for Postgres the URL that libpq gets.
    target: SecretString,
    /// Kept for as long as connections go through it.
    _tunnel: Option<Arc<Tunnel>>,
    busy: Duration,
    /// For Postgres connections that do nothing but rotate: plan once. What a batch holds
    /// changes nothing about its plan, and planning took as long as the rest.
    plans_once: bool,
    /// How many connections have failed: where one did, the others may have been cut as well.
    failures: Arc<AtomicU64>,
    /// How many pooled connections are open.
    pooled: Arc<AtomicUsize>,
}

impl Manager {
    /// For this URL. `busy` is how long SQLite waits for another process's lock.
    ///
    /// # Errors
    /// When the URL has another scheme.
    pub fn new(url: &SecretString, busy: Duration) -> Result<Self> {
        let url = url.expose_secret();
        let (kind, target, tunnel) = if let Some(path) = url.strip_prefix("sqlite://") {
            if path.is_empty() {
                return Err(StorageError::BadUrl(
                    "database_url names no file; write it like sqlite://data/perennial.db".into(),
                ));
            }
            (Kind::Sqlite, SecretString::from(path), None)
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let plan = postgres_tls::open(url)
                .map_err(|error| StorageError::BadUrl(format!("database_url: {error}")))?;
            let (url, tunnel) = plan.into_parts();
            (Kind::Postgres, url, tunnel.map(Arc::new))
        } else {
            return Err(StorageError::BadUrl(
                "database_url has an unknown scheme; write sqlite://PATH or postgres://…".into(),
            ));
        };
        Ok(Self {
            kind,
            target,
            _tunnel: tunnel,
            busy,
            plans_once: false,
            failures: Arc::default(),
            pooled: Arc::default(),
        })
    }

    /// Which database it opens.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How long SQLite waits for another process's lock.
    pub(super) fn busy(&self) -> Duration {
        self.busy
    }

    /// SQLite's file; none on Postgres.
    pub fn path(&self) -> Option<&std::path::Path> {
        (self.kind == Kind::Sqlite).then(|| std::path::Path::new(self.target.expose_secret()))
    }

    /// The same, for connections that do nothing but rotate.
    pub(super) fn rotating(&self) -> Self {
        Self { plans_once: true, ..self.clone() }
    }

    /// Waits until a pool that nobody holds any more has closed its connections: its own threads
    /// may be at that. Gives up after `longest`.
    pub(super) fn wait_until_closed(&self, longest: Duration) {
        let begun = Instant::now();
        while self.pooled.load(Ordering::Acquire) > 0 && begun.elapsed() < longest {
            std::thread::sleep(Duration::from_millis(1));
        }
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
                // disk. The log is copied into the file beside the writer, not within a commit.
                connection
                    .batch_execute(&format!("PRAGMA busy_timeout = {};", self.busy.as_millis()))
                    .map_err(setup)?;
                self.write_ahead(&mut connection).map_err(setup)?;
                connection
                    .batch_execute(
                        "PRAGMA synchronous = FULL;
                         PRAGMA wal_autocheckpoint = 0;
                         PRAGMA foreign_keys = ON;
                         PRAGMA temp_store = MEMORY;",
                    )
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
                if self.plans_once {
                    connection
                        .batch_execute("SET plan_cache_mode = force_generic_plan")
                        .map_err(setup)?;
                }
                Ok(Connection::Postgres(connection))
            }
        }
    }
}

/// Whether SQLite says that another connection has what this one needs.
pub(super) fn is_locked(error: &diesel::result::Error) -> bool {
    error.to_string().contains("locked")
}

/// A pooled connection, and whether it may be stale.
pub struct Pooled {
    connection: Connection,
    suspect: bool,
    used_at: Instant,
    failures: Arc<AtomicU64>,
    /// The failures that were known when this connection was last found open.
    known_failures: u64,
    // After the connection: it counts until it is closed.
    _counted: Counted,
}

/// One of the pooled connections that are open.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(pooled: &Arc<AtomicUsize>) -> Self {
        pooled.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(pooled))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A connection that was used so lately is taken to be open still, unless another one failed.
const FRESH: Duration = Duration::from_secs(1);

impl Pooled {
    /// Runs work; after a failure of the connection it isn't used again.
    pub(super) fn run<T>(&mut self, work: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
        // Stays set when the work panics: the connection is in the middle of something.
        self.suspect = true;
        let done = work(&mut self.connection);
        self.suspect = matches!(&done, Err(error) if error.poisons());
        if self.suspect {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        self.used_at = Instant::now();
        done
    }
}

impl Manager {
    /// Switches a database to WAL. The first switch needs it for itself alone, and SQLite doesn't
    /// wait for that by its own timeout: of several that open a new file at once, all but one
    /// are told that it is locked, and ask again.
    fn write_ahead(&self, connection: &mut SqliteConnection) -> diesel::QueryResult<()> {
        let begun = Instant::now();
        loop {
            match connection.batch_execute("PRAGMA journal_mode = WAL;") {
                Err(error) if is_locked(&error) && begun.elapsed() < self.busy => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                other => return other,
            }
        }
    }
}

impl ManageConnection for Manager {
    type Connection = Pooled;
    type Error = ConnectionFault;

    fn connect(&self) -> std::result::Result<Pooled, ConnectionFault> {
        // From before it opens, so that nobody takes it to be closed already.
        let counted = Counted::new(&self.pooled);
        let connection = self.establish().map_err(|error| ConnectionFault(error.to_string()))?;
        let failures = Arc::clone(&self.failures);
        let known_failures = failures.load(Ordering::Relaxed);
        let used_at = Instant::now();
        Ok(Pooled {
            connection,
            suspect: false,
            used_at,
            failures,
            known_failures,
            _counted: counted,
        })
    }

    fn is_valid(&self, pooled: &mut Pooled) -> std::result::Result<(), ConnectionFault> {
        let failures = self.failures.load(Ordering::Relaxed);
        if pooled.used_at.elapsed() < FRESH && pooled.known_failures == failures {
            return Ok(());
        }
        pooled.connection.ping().map_err(|error| ConnectionFault(error.to_string()))?;
        pooled.known_failures = failures;
        Ok(())
    }

    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        pooled.suspect || pooled.connection.is_broken()
    }
}

/// Why a pooled connection couldn't be opened or used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConnectionFault(String);

#[cfg(test)]
mod tests;
