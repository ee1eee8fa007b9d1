//! People's sign-ins in browsers, by the hash of the session's key.

use diesel::prelude::*;

use super::connection::Connection;
use super::error::{Result, StorageError};
use super::families::{from_duration, to_duration};
use super::schema::browser_sessions as b;
use crate::domain::browser_session::{BrowserSession, LAST_SEEN_STEP};
use crate::domain::id::{BrowserSessionId, UserId};
use crate::domain::secret::HashedSecret;
use crate::domain::time::Timestamp;

/// A browser session with what actix-session keeps in it.
#[derive(Clone, Debug)]
pub struct StoredSession {
    /// The hash of the key that the cookie holds.
    pub key_hash: HashedSecret,
    /// What people see of it.
    pub session: BrowserSession,
    /// The session's map as JSON.
    pub state: String,
}

type Row = (Vec<u8>, Vec<u8>, Vec<u8>, String, i64, i64, i64, i64, String, String);

fn stored(row: Row) -> Result<StoredSession> {
    let (key_hash, id, user_id, state, signed_in_at, last_seen_at, idle_ms, ends_at, ip, agent) =
        row;
    let corrupt = |what: &str| StorageError::Corrupt(format!("browser session: {what}"));
    Ok(StoredSession {
        key_hash: HashedSecret::from_slice(&key_hash).ok_or_else(|| corrupt("key"))?,
        session: BrowserSession {
            id: BrowserSessionId::from_slice(&id).ok_or_else(|| corrupt("id"))?,
            user_id: UserId::from_slice(&user_id).ok_or_else(|| corrupt("user"))?,
            signed_in_at: Timestamp::from_millis(signed_in_at),
            last_seen_at: Timestamp::from_millis(last_seen_at),
            idle: to_duration(idle_ms),
            ends_at: Timestamp::from_millis(ends_at),
            ip,
            agent,
        },
        state,
    })
}

/// Adds a session.
pub fn add(connection: &mut Connection, new: &StoredSession) -> Result<()> {
    let session = &new.session;
    diesel::insert_into(b::table)
        .values((
            b::key_hash.eq(new.key_hash.as_bytes().as_slice()),
            b::id.eq(session.id.as_bytes().as_slice()),
            b::user_id.eq(session.user_id.as_bytes().as_slice()),
            b::state.eq(&new.state),
            b::signed_in_at.eq(session.signed_in_at.as_millis()),
            b::last_seen_at.eq(session.last_seen_at.as_millis()),
            b::idle_ms.eq(from_duration(session.idle)),
            b::ends_at.eq(session.ends_at.as_millis()),
            b::ip.eq(&session.ip),
            b::agent.eq(&session.agent),
        ))
        .execute(connection)?;
    Ok(())
}

/// The session with this key, dead or alive.
pub fn find(connection: &mut Connection, key: HashedSecret) -> Result<Option<StoredSession>> {
    b::table
        .filter(b::key_hash.eq(key.as_bytes().as_slice()))
        .first::<Row>(connection)
        .optional()?
        .map(stored)
        .transpose()
}

/// The session with this public id.
pub fn find_by_id(
    connection: &mut Connection,
    id: BrowserSessionId,
) -> Result<Option<StoredSession>> {
    b::table
        .filter(b::id.eq(id.as_bytes().as_slice()))
        .first::<Row>(connection)
        .optional()?
        .map(stored)
        .transpose()
}

/// Writes a session's map. False when it is gone: a revoked one stays so.
pub fn update(connection: &mut Connection, key: HashedSecret, state: &str) -> Result<bool> {
    let rows = diesel::update(b::table.filter(b::key_hash.eq(key.as_bytes().as_slice())))
        .set(b::state.eq(state))
        .execute(connection)?;
    Ok(rows == 1)
}

/// Gives a session another key. False when it is gone or has another key by now.
pub fn change_key(
    connection: &mut Connection,
    id: BrowserSessionId,
    from: HashedSecret,
    to: HashedSecret,
) -> Result<bool> {
    let row = b::table
        .filter(b::id.eq(id.as_bytes().as_slice()))
        .filter(b::key_hash.eq(from.as_bytes().as_slice()));
    let rows =
        diesel::update(row).set(b::key_hash.eq(to.as_bytes().as_slice())).execute(connection)?;
    Ok(rows == 1)
}

/// Begins a session anew, under its own id. False when it is gone.
pub fn renew(connection: &mut Connection, new: &StoredSession) -> Result<bool> {
    let session = &new.session;
    let rows = diesel::update(
        b::table
            .filter(b::id.eq(session.id.as_bytes().as_slice()))
            .filter(b::user_id.eq(session.user_id.as_bytes().as_slice())),
    )
    .set((
        b::key_hash.eq(new.key_hash.as_bytes().as_slice()),
        b::state.eq(&new.state),
        b::signed_in_at.eq(session.signed_in_at.as_millis()),
        b::last_seen_at.eq(session.last_seen_at.as_millis()),
        b::idle_ms.eq(from_duration(session.idle)),
        b::ends_at.eq(session.ends_at.as_millis()),
        b::ip.eq(&session.ip),
        b::agent.eq(&session.agent),
    ))
    .execute(connection)?;
    Ok(rows == 1)
}

/// Notes that a session was used, at most once a minute.
pub fn touch(connection: &mut Connection, key: HashedSecret, now: Timestamp) -> Result<()> {
    diesel::update(
        b::table
            .filter(b::key_hash.eq(key.as_bytes().as_slice()))
            .filter(b::last_seen_at.le(now.minus(LAST_SEEN_STEP).as_millis())),
    )
    .set(b::last_seen_at.eq(now.as_millis()))
    .execute(connection)?;
    Ok(())
}

/// The same, for the session with this public id.
pub fn touch_by_id(
    connection: &mut Connection,
    id: BrowserSessionId,
    now: Timestamp,
) -> Result<()> {
    diesel::update(
        b::table
            .filter(b::id.eq(id.as_bytes().as_slice()))
            .filter(b::last_seen_at.le(now.minus(LAST_SEEN_STEP).as_millis())),
    )
    .set(b::last_seen_at.eq(now.as_millis()))
    .execute(connection)?;
    Ok(())
}

/// Ends a session. Whether it was there.
pub fn remove(connection: &mut Connection, key: HashedSecret) -> Result<bool> {
    let rows = diesel::delete(b::table.filter(b::key_hash.eq(key.as_bytes().as_slice())))
        .execute(connection)?;
    Ok(rows == 1)
}

/// Ends the session with this public id. Whether it was there.
pub fn remove_by_id(connection: &mut Connection, id: BrowserSessionId) -> Result<bool> {
    let rows =
        diesel::delete(b::table.filter(b::id.eq(id.as_bytes().as_slice()))).execute(connection)?;
    Ok(rows == 1)
}

/// A person's live sessions, the latest first.
pub fn of_user(
    connection: &mut Connection,
    user: UserId,
    now: Timestamp,
) -> Result<Vec<BrowserSession>> {
    let rows = b::table
        .filter(b::user_id.eq(user.as_bytes().as_slice()))
        .order(b::signed_in_at.desc())
        .load::<Row>(connection)?;
    let all = rows.into_iter().map(|row| stored(row).map(|stored| stored.session));
    all.filter(|session| session.as_ref().map_or(true, |session| session.is_live(now))).collect()
}

/// Ends all of a person's sessions but `except`. How many it ended.
pub fn remove_all(
    connection: &mut Connection,
    user: UserId,
    except: Option<BrowserSessionId>,
) -> Result<usize> {
    let theirs = b::table.filter(b::user_id.eq(user.as_bytes().to_vec()));
    Ok(match except {
        Some(id) => {
            diesel::delete(theirs.filter(b::id.ne(id.as_bytes().to_vec()))).execute(connection)?
        }
        None => diesel::delete(theirs).execute(connection)?,
    })
}

/// Ends the sessions that were signed in before this time: of these people, or of everybody.
/// How many it ended.
pub fn remove_before(
    connection: &mut Connection,
    before: Timestamp,
    users: Option<&[UserId]>,
) -> Result<usize> {
    let older = b::table.filter(b::signed_in_at.lt(before.as_millis()));
    Ok(match users {
        Some(users) => {
            let users: Vec<Vec<u8>> = users.iter().map(|id| id.as_bytes().to_vec()).collect();
            diesel::delete(older.filter(b::user_id.eq_any(users))).execute(connection)?
        }
        None => diesel::delete(older).execute(connection)?,
    })
}

/// How many are signed in now: an upper bound, since idle ones are counted until they are pruned.
pub fn count(connection: &mut Connection, now: Timestamp) -> Result<i64> {
    Ok(b::table.filter(b::ends_at.gt(now.as_millis())).count().get_result(connection)?)
}
