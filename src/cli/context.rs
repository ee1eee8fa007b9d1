//! What commands work on: the settings, the database, the time.

use std::future::Future;

use secrecy::SecretString;

use super::failure::Failure;
use crate::clock::Clock;
use crate::crypto::passwords::Cost;
use crate::protocol::act::Act;
use crate::settings::{LogSettings, PasswordSettings, Settings, SettingsFlags, Sources};
use crate::storage::{Database, Options};
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
