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

/// How often a lost race is run again.
const TRIES: usize = 64;

/// Counts one more failure under this key, and returns what is remembered then. Of several at
/// once each counts: guesses side by side are as many as guesses in a row.
pub fn add(
    connection: &mut Connection,
    key: &Key,
    now: Timestamp,
    limit: &Limit,
) -> Result<Failures> {
    for _ in 0..TRIES {
        let before = find(connection, key)?;
        let after = before.and_one(now, limit);
        let values = (
            f::failures.eq(i64::from(after.count)),
            f::since.eq(after.since.as_millis()),
            f::paused_until.eq(after.paused_until.as_millis()),
        );
        let as_read = f::table
            .filter(f::key.eq(key.as_slice()))
            .filter(f::failures.eq(i64::from(before.count)))
            .filter(f::since.eq(before.since.as_millis()));
        if diesel::update(as_read).set(values).execute(connection)? == 1 {
            return Ok(after);
        }
        let inserted = connection.transaction::<_, StorageError, _>(|connection| {
            diesel::insert_into(f::table)
                .values((f::key.eq(key.as_slice()), values))
                .execute(connection)?;
            Ok(())
        });
        match inserted {
            Ok(()) => return Ok(after),
            // Another one was counted since.
            Err(StorageError::Duplicate) => {}
            Err(error) => return Err(error),
        }
    }
    Err(StorageError::Unavailable("too many sign-ins fail at once".into()))
}

/// Whether this key was made known, and still is.
pub fn is_known(connection: &mut Connection, key: &Key, now: Timestamp) -> Result<bool> {
    let until: Option<i64> =
        f::table.filter(f::key.eq(key.as_slice())).select(f::since).first(connection).optional()?;
    Ok(until.is_some_and(|until| until > now.as_millis()))
}

/// Makes a key known until then. It counts nothing, and is pruned like a counter, by its time.
pub fn make_known(connection: &mut Connection, key: &Key, until: Timestamp) -> Result<()> {
    let row = f::table.filter(f::key.eq(key.as_slice()));
    let since = f::since.eq(until.as_millis());
    if diesel::update(row).set(since).execute(connection)? > 0 {
        return Ok(());
    }
    let inserted = connection.transaction::<_, StorageError, _>(|connection| {
        diesel::insert_into(f::table)
            .values((f::key.eq(key.as_slice()), since, f::failures.eq(0), f::paused_until.eq(0)))
            .execute(connection)?;
        Ok(())
    });
    match inserted {
        Err(StorageError::Duplicate) | Ok(()) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Forgets the failures under this key: the person signed in.
pub fn forget(connection: &mut Connection, key: &Key) -> Result<()> {
    diesel::delete(f::table.filter(f::key.eq(key.as_slice()))).execute(connection)?;
    Ok(())
}
