//! Failed sign-ins, by keyed hashes, in the database so that they count on every node.

use diesel::Connection as _;
use diesel::prelude::*;

use super::connection::Connection;
use super::error::{Result, StorageError};
use super::schema::sign_in_failures as f;
use crate::domain::throttle::{Failures, Limit};
use crate::domain::time::Timestamp;

/// The key of a counter: a keyed hash.
pub type Key = [u8; 32];

/// What is remembered under this key.
pub fn find(connection: &mut Connection, key: &Key) -> Result<Failures> {
    let row = f::table
        .filter(f::key.eq(key.as_slice()))
        .select((f::failures, f::since, f::paused_until))
        .first::<(i64, i64, i64)>(connection)
        .optional()?;
    Ok(row.map_or_else(Failures::default, |(count, since, paused_until)| Failures {
        count: u32::try_from(count).unwrap_or(u32::MAX),
        since: Timestamp::from_millis(since),
        paused_until: Timestamp::from_millis(paused_until),
    }))
}

/// Counts one more failure under this key, and returns what is remembered then.
pub fn add(
    connection: &mut Connection,
    key: &Key,
    now: Timestamp,
    limit: &Limit,
) -> Result<Failures> {
    // Two failures at once may count as one: each is slowed down all the same.
    let failures = find(connection, key)?.and_one(now, limit);
    let values = (
        f::failures.eq(i64::from(failures.count)),
        f::since.eq(failures.since.as_millis()),
        f::paused_until.eq(failures.paused_until.as_millis()),
    );
    let rows = diesel::update(f::table.filter(f::key.eq(key.as_slice())))
        .set(values)
        .execute(connection)?;
    if rows == 0 {
        let inserted = connection.transaction::<_, StorageError, _>(|connection| {
            diesel::insert_into(f::table)
                .values((f::key.eq(key.as_slice()), values))
                .execute(connection)?;
            Ok(())
        });
        if let Err(error) = inserted
            && !matches!(error, StorageError::Duplicate)
        {
            return Err(error);
        }
    }
    Ok(failures)
}

/// Forgets the failures under this key: the person signed in.
pub fn forget(connection: &mut Connection, key: &Key) -> Result<()> {
    diesel::delete(f::table.filter(f::key.eq(key.as_slice()))).execute(connection)?;
    Ok(())
}
