//! The recovery that is open: one row of `meta`.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::error::{Result, StorageError};
use super::meta;
use super::schema::token_families as t;
use crate::domain::recovery::Recovery;
use crate::domain::time::Timestamp;
use crate::domain::token_family::Policy;

const NAME: &str = "recovery";

#[derive(Serialize, Deserialize)]
struct Stored {
    since: i64,
    until: i64,
    opened_at: i64,
    closes_at: i64,
    opened_by: String,
}

/// The recovery that is open at `now`.
pub fn open_at(connection: &mut Connection, now: Timestamp) -> Result<Option<Recovery>> {
    let Some(text) = meta::get(connection, NAME)? else { return Ok(None) };
    let stored: Stored = serde_json::from_str(&text)
        .map_err(|error| StorageError::Corrupt(format!("recovery: {error}")))?;
    let recovery = Recovery {
        since: Timestamp::from_millis(stored.since),
        until: Timestamp::from_millis(stored.until),
        opened_at: Timestamp::from_millis(stored.opened_at),
        closes_at: Timestamp::from_millis(stored.closes_at),
        opened_by: stored.opened_by,
    };
    Ok(Some(recovery).filter(|recovery| recovery.is_open(now)))
}

/// Puts one in place of what was there.
pub fn put(connection: &mut Connection, recovery: &Recovery) -> Result<()> {
    let stored = Stored {
        since: recovery.since.as_millis(),
        until: recovery.until.as_millis(),
        opened_at: recovery.opened_at.as_millis(),
        closes_at: recovery.closes_at.as_millis(),
        opened_by: recovery.opened_by.clone(),
    };
    let text = serde_json::to_string(&stored)
        .map_err(|error| StorageError::Corrupt(format!("recovery: {error}")))?;
    meta::put(connection, NAME, &text)
}

/// Removes it.
pub fn remove(connection: &mut Connection) -> Result<()> {
    meta::remove(connection, NAME).map(|_| ())
}

/// The client's rules with the recovery that is open, for a token ahead of its row; `None` when
/// none is. Read only then, so that refreshes don't pay for it, and a recovery that was opened
/// or closed counts at once on every node.
pub(super) fn policy(
    connection: &mut Connection,
    policy: &Policy,
    now: Timestamp,
) -> Result<Option<Policy>> {
    Ok(open_at(connection, now)?
        .map(|open| Policy { recovery: Some((open.since, open.until)), ..*policy }))
}

/// How many sessions may have been used in the interval that was lost, and haven't been since.
pub fn not_back_yet(
    connection: &mut Connection,
    recovery: &Recovery,
    now: Timestamp,
) -> Result<i64> {
    Ok(t::table
        .filter(t::refreshable.eq(true))
        .filter(t::ended_at.is_null())
        .filter(t::written_at.le(recovery.until.as_millis()))
        .filter((t::given_at + t::idle_ms).gt(recovery.since.as_millis()))
        .filter(t::ends_at.is_null().or(t::ends_at.assume_not_null().gt(now.as_millis())))
        .count()
        .get_result(connection)?)
}
