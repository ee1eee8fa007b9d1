//! What commands work on: the settings, the database, the time.

use std::future::Future;

use secrecy::SecretString;

use super::failure::Failure;
use crate::clock::Clock;
use crate::crypto::keyring;
use crate::crypto::passwords::Cost;
use crate::crypto::root_secret::{RootSecret, Sealer};
use crate::domain::client::AuthMethod;
use crate::protocol::act::Act;
use crate::protocol::keys;
use crate::settings::{LogSettings, PasswordSettings, Settings, SettingsFlags, Sources};
use crate::storage::{Database, Options, StorageError};
use crate::telemetry;

/// An open, migrated database and what the operator configured.
pub(super) struct Context {
    /// The settings.
    pub(super) settings: Settings,
    /// The database.
    pub(super) database: Database,
    /// The circumstances of what the command changes: the operator, now.
    pub(super) act: Act,
}

impl Context {
    /// Reads the settings and opens the database, migrating it where `serve` would.
    pub(super) async fn open(flags: SettingsFlags) -> Result<Self, Failure> {
        let settings = settings(flags)?;
        quiet_log(&settings.log)?;
        let database = database(&settings)?;
        if settings.auto_migrate {
            database.migrate()?;
        } else {
            database.check().await?;
        }
        let clock = Clock::system();
        if let Some(theirs) = database.clock().await? {
            clock.follow(theirs);
        }
        Ok(Self { settings, database, act: Act::operator(clock.now()) })
    }
}

impl Context {
    /// What seals the secret of a client, where it signs with it; then this machine needs the
    /// key file that the database belongs to.
    pub(super) async fn sealer(&self, method: AuthMethod) -> Result<Option<Sealer>, Failure> {
        if method != AuthMethod::ClientSecretJwt {
            return Ok(None);
        }
        let path = &self.settings.secret_key_file;
        let known = self.database.read(keys::fingerprint).await?;
        if known.is_some() && !path.exists() {
            return Err(Failure::Failed(format!(
                "a secret that a client signs with is kept sealed, which needs the key file: put \
                 it at {}, or name it by --secret-key-file",
                path.display()
            )));
        }
        let root = RootSecret::load_or_create(path).map_err(Failure::because)?;
        match known {
            Some(known) if known != root.fingerprint() => {
                Err(StorageError::OtherRootSecret { known, ours: root.fingerprint() }.into())
            }
            _ => Ok(Some(keyring::client_secrets(&root))),
        }
    }
}

/// The settings as this process was given them.
pub(super) fn settings(flags: SettingsFlags) -> Result<Settings, Failure> {
    Ok(Settings::load(&Sources::of_process(flags))?)
}

/// Opens the database for one command.
pub(super) fn database(settings: &Settings) -> Result<Database, Failure> {
    Ok(Database::open(&Options {
        url: SecretString::from(settings.database_url.expose()),
        connections: 1,
        busy: settings.database.busy,
        queue: settings.limits.queue_length,
    })?)
}

/// Only what is wrong is logged, unless `RUST_LOG` asks for more.
pub(super) fn quiet_log(settings: &LogSettings) -> Result<(), Failure> {
    let quiet = LogSettings { filter: "warn".to_owned(), ..settings.clone() };
    telemetry::init(&quiet).map_err(|error| Failure::Usage(error.to_string()))
}

/// How hard a password's hash is.
pub(super) fn cost(settings: &PasswordSettings) -> Cost {
    Cost {
        memory_kib: settings.memory_kib,
        iterations: settings.iterations,
        parallelism: settings.parallelism,
    }
}

/// Runs a command to its end.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> T {
    actix_web::rt::System::new().block_on(work)
}
