//! The only room that knows Diesel. [`Database`] takes work to a connection and brings the
//! answer back; the aggregates beside it are free functions over a [`Connection`].

pub mod alarms;
pub mod allowances;
mod any_connection;
pub mod assertion_jtis;
pub mod audit;
pub mod authorization_codes;
pub mod browser_sessions;
mod checkpoint;
pub mod clients;
mod connection;
pub mod consents;
mod database;
mod either;
pub mod endings;
mod error;
pub mod families;
mod group_commit;
mod job;
pub mod keys;
pub mod logout_deliveries;
pub mod meta;
mod migrations;
mod postgres_tls;
pub mod prune;
pub mod pushed_requests;
pub mod recovery;
pub mod registration_tokens;
pub mod revoked_tokens;
pub mod rotation;
mod schema;
pub mod scopes;
pub mod throttle;
pub mod users;

pub use connection::{Connection, Kind};
pub use database::{Database, Options};
pub use error::{Result, StorageError};
pub use migrations::Migration;

/// Runs work in a savepoint of the transaction that is open (or a transaction of its own), so
/// that its failure undoes only itself.
pub fn nested<T>(
    connection: &mut Connection,
    work: impl FnOnce(&mut Connection) -> Result<T>,
) -> Result<T> {
    diesel::Connection::transaction(connection, work)
}
