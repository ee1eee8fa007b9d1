//! How much of an allowance is spent, in the database so that it holds for every node.

use diesel::Connection as _;
use diesel::prelude::*;

use super::connection::Connection;
use super::error::{Result, StorageError};
use super::schema::allowances as a;
use super::throttle::Key;
use crate::domain::allowance::Allowance;
use crate::domain::time::Timestamp;

/// How often a lost race is run again.
const TRIES: usize = 64;

/// Takes one under this key; how long to wait where there is none. Of several at once each
/// counts.
pub fn take(
    connection: &mut Connection,
    key: &Key,
    allowance: &Allowance,
    now: Timestamp,
) -> Result<std::result::Result<(), std::time::Duration>> {
    let own = a::key.eq(key.to_vec());
    for _ in 0..TRIES {
        let stored: Option<i64> =
            a::table.filter(own.clone()).select(a::whole_at).first(connection).optional()?;
        let before = Timestamp::from_millis(stored.unwrap_or_default());
        let after = match allowance.take(before, now) {
            Ok(after) => after.as_millis(),
            Err(wait) => return Ok(Err(wait)),
        };
        let done = match stored {
            Some(stored) => {
                let row = a::table.filter(own.clone()).filter(a::whole_at.eq(stored));
                diesel::update(row).set(a::whole_at.eq(after)).execute(connection)? == 1
            }
            None => {
                let inserted = connection.transaction::<_, StorageError, _>(|connection| {
                    diesel::insert_into(a::table)
                        .values((own.clone(), a::whole_at.eq(after)))
                        .execute(connection)?;
                    Ok(())
                });
                match inserted {
                    Ok(()) => true,
                    Err(StorageError::Duplicate) => false,
                    Err(error) => return Err(error),
                }
            }
        };
        if done {
            return Ok(Ok(()));
        }
    }
    Err(StorageError::Unavailable("too many ask at once".into()))
}

/// Forgets those of which nothing is spent any more. How many went.
pub fn prune(connection: &mut Connection, now: Timestamp) -> Result<usize> {
    Ok(diesel::delete(a::table.filter(a::whole_at.le(now.as_millis()))).execute(connection)?)
}
