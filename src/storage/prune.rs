//! What may be forgotten, in steps so short that nothing waits for long.
//!
//! A pass walks a table once, along an index that no refresh touches: a look at the next rows,
//! where other reads go, says which of them are dead, and changes that last a few milliseconds
//! each remove those. It holds one look's worth of keys, however many rows there are.

use std::time::{Duration, Instant};

use diesel::prelude::*;

use super::connection::Connection;
use super::database::Database;
use super::error::Result;
use super::schema::{
    assertion_jtis as j, audit_events as e, authorization_codes as a, browser_sessions as b,
    pushed_requests as p, revoked_access_tokens as r, sign_in_failures as f, token_families as t,
};
use crate::domain::time::Timestamp;

/// How many rows one look goes through.
const LOOK: i64 = 1_000;
/// How many rows one statement removes.
const CHUNK: usize = 25;
/// How long one change goes on removing; on SQLite everybody else waits that long.
const HOLD: Duration = Duration::from_millis(4);
/// The longest pause between two changes.
const PAUSE: Duration = Duration::from_millis(100);

/// How long things are kept after their end.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Ended families; at least an hour, so that a late use of their tokens is still told why.
    pub ended_sessions: Duration,
    /// Lines of the audit log.
    pub audit: Duration,
}

/// A used code is kept this long after its end: its second use must find its family.
const CODES: Duration = Duration::from_secs(24 * 3600);
/// A pushed request is kept this long after its end: whoever opened it in time may still be
/// signing in.
const PUSHED: Duration = Duration::from_secs(2 * 3600);
/// Failures to sign in count no longer than this.
const FAILURES: Duration = Duration::from_secs(24 * 3600);

/// What may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Families that ended long ago.
    Families,
    /// Authorization codes.
    Codes,
    /// Browser sessions past their end.
    BrowserSessions,
    /// Revocations of access tokens that have ended since.
    RevokedTokens,
    /// Assertions of clients that have ended since they were used.
    Assertions,
    /// Pushed authorization requests past their end.
    PushedRequests,
    /// Forgotten failures to sign in.
    Failures,
    /// Old lines of the audit log.
    Audit,
}

/// All of it, with names for people.
pub const ALL: [(What, &str); 8] = [
    (What::Families, "sessions"),
    (What::Codes, "authorization_codes"),
    (What::BrowserSessions, "browser_sessions"),
    (What::RevokedTokens, "revoked_access_tokens"),
    (What::Assertions, "client_assertions"),
    (What::PushedRequests, "pushed_requests"),
    (What::Failures, "sign_in_failures"),
    (What::Audit, "audit_events"),
];

/// Removes all that may go. How many rows of each kind went.
///
/// # Errors
/// When the database can't answer; what went before is gone.
pub async fn all(
    db: &Database,
    retention: &Retention,
    now: Timestamp,
) -> Result<Vec<(&'static str, usize)>> {
    let mut gone = Vec::new();
    for (what, name) in ALL {
        gone.push((name, pass(db, what, retention, now).await?));
    }
    Ok(gone)
}

/// Removes all of one kind that may go. How many rows went.
///
/// # Errors
/// When the database can't answer; what went before is gone.
pub async fn pass(
    db: &Database,
    what: What,
    retention: &Retention,
    now: Timestamp,
) -> Result<usize> {
    let ends = Ends::new(retention, now);
    let mut gone = 0;
    let mut from = None;
    loop {
        let begun = Instant::now();
        let look = db.read(move |connection| look(connection, what, &ends, from)).await?;
        tokio::time::sleep(begun.elapsed().min(PAUSE)).await;
        let mut dead = look.dead;
        while !dead.is_empty() {
            let begun = Instant::now();
            let (rows, rest) =
                db.write(move |connection| remove(connection, what, &ends, dead)).await?;
            gone += rows;
            dead = rest;
            // Others get their turn, also those of another process.
            tokio::time::sleep(begun.elapsed().min(PAUSE)).await;
        }
        from = match look.last {
            Some(last) => Some(last),
            None => return Ok(gone),
        };
    }
}

/// Until when each thing must have ended to be gone now, in Unix milliseconds.
#[derive(Clone, Copy)]
struct Ends {
    now: i64,
    families: i64,
    codes: i64,
    pushed: i64,
    failures: i64,
    audit: i64,
}

impl Ends {
    fn new(retention: &Retention, now: Timestamp) -> Self {
        let before = |span| now.minus(span).as_millis();
        Self {
            now: now.as_millis(),
            families: before(retention.ended_sessions.max(Duration::from_secs(3600))),
            codes: before(CODES),
            pushed: before(PUSHED),
            failures: before(FAILURES),
            audit: before(retention.audit),
        }
    }
}

/// A row's key: bytes, or the bytes of a text.
type Key = Vec<u8>;

/// A place in the order of a walk.
type Place = (i64, Key);

/// What a look found.
struct Look {
    dead: Vec<Key>,
    /// Where it came to; nothing when there is no more.
    last: Option<Place>,
}

impl Look {
    /// Of rows of which some live.
    fn of(rows: Vec<(i64, Key, bool)>) -> Self {
        let last = rows.last().map(|(at, key, _)| (*at, key.clone()));
        let dead = rows.into_iter().filter(|(_, _, dead)| *dead).map(|(_, key, _)| key).collect();
        Self { dead, last }
    }
}

/// The condition under which a family is dead.
macro_rules! dead_family {
    ($end:expr) => {
        t::ended_at
            .is_not_null()
            .and(t::ended_at.assume_not_null().le($end))
            .or((t::given_at + t::idle_ms).le($end))
            .or(t::ends_at.is_not_null().and(t::ends_at.assume_not_null().le($end)))
    };
}

/// The condition under which a browser session is dead.
macro_rules! dead_browser {
    ($now:expr) => {
        b::ends_at.le($now).or((b::last_seen_at + b::idle_ms).le($now))
    };
}

/// The condition under which failures to sign in are forgotten.
macro_rules! old_failure {
    ($ends:expr) => {
        f::since.le($ends.failures).and(f::paused_until.le($ends.now))
    };
}

/// The next rows after a place, in an order that nothing changes while a row lives.
fn look(connection: &mut Connection, what: What, ends: &Ends, from: Option<Place>) -> Result<Look> {
    let (at, key) = from.unwrap_or((i64::MIN, Key::new()));
    Ok(match what {
        What::Families => {
            // Whatever is dead began before.
            let rows = t::table
                .filter(t::created_at.le(ends.families))
                .filter(t::created_at.ge(at))
                .filter(t::created_at.gt(at).or(t::id.gt(key)))
                .order((t::created_at, t::id))
                .select((t::created_at, t::id, dead_family!(ends.families)))
                .limit(LOOK)
                .load(connection)?;
            Look::of(rows)
        }
        What::BrowserSessions => {
            let rows: Vec<(Key, bool)> = b::table
                .filter(b::key_hash.gt(key))
                .order(b::key_hash)
                .select((b::key_hash, dead_browser!(ends.now)))
                .limit(LOOK)
                .load(connection)?;
            Look::of(rows.into_iter().map(|(key, dead)| (0, key, dead)).collect())
        }
        What::Failures => {
            let rows: Vec<(Key, bool)> = f::table
                .filter(f::key.gt(key))
                .order(f::key)
                .select((f::key, old_failure!(ends)))
                .limit(LOOK)
                .load(connection)?;
            Look::of(rows.into_iter().map(|(key, dead)| (0, key, dead)).collect())
        }
        // Of these none lives before its end, so that the walk meets only what goes.
        What::Codes => {
            let rows: Vec<(i64, Key)> = a::table
                .filter(a::expires_at.ge(at).and(a::expires_at.le(ends.codes)))
                .order(a::expires_at)
                .select((a::expires_at, a::hash))
                .limit(LOOK)
                .load(connection)?;
            Look::of(rows.into_iter().map(|(at, key)| (at, key, true)).collect())
        }
        What::RevokedTokens => {
            let rows: Vec<(i64, String)> = r::table
                .filter(r::expires_at.ge(at).and(r::expires_at.le(ends.now)))
                .order(r::expires_at)
                .select((r::expires_at, r::jti))
                .limit(LOOK)
                .load(connection)?;
            Look::of(rows.into_iter().map(|(at, jti)| (at, jti.into_bytes(), true)).collect())
        }
        What::Assertions => {
            let rows: Vec<(i64, Key)> = j::table
                .filter(j::expires_at.ge(at).and(j::expires_at.le(ends.now)))
                .order(j::expires_at)
                .select((j::expires_at, j::hash))
                .limit(LOOK)
                .load(connection)?;
            Look::of(rows.into_iter().map(|(at, key)| (at, key, true)).collect())
        }
        What::PushedRequests => {
            let rows: Vec<(i64, Key)> = p::table
                .filter(p::expires_at.ge(at).and(p::expires_at.le(ends.pushed)))
                .order(p::expires_at)
                .select((p::expires_at, p::hash))
                .limit(LOOK)
                .load(connection)?;
            Look::of(rows.into_iter().map(|(at, key)| (at, key, true)).collect())
        }
        What::Audit => {
            let rows: Vec<(i64, Key)> = e::table
                .filter(e::at.ge(at).and(e::at.le(ends.audit)))
                .order((e::at, e::id))
                .select((e::at, e::id))
                .limit(LOOK)
                .load(connection)?;
            Look::of(rows.into_iter().map(|(at, key)| (at, key, true)).collect())
        }
    })
}

/// Removes rows for as long as a change may take. How many went, and which are left to do.
fn remove(
    connection: &mut Connection,
    what: What,
    ends: &Ends,
    mut keys: Vec<Key>,
) -> Result<(usize, Vec<Key>)> {
    let begun = Instant::now();
    let mut gone = 0;
    while !keys.is_empty() && begun.elapsed() < HOLD {
        let rest = keys.split_off(keys.len().min(CHUNK));
        gone += delete(connection, what, ends, keys)?;
        keys = rest;
    }
    Ok((gone, keys))
}

/// Removes these rows. The condition stands here again: what was dead at the look may live.
fn delete(connection: &mut Connection, what: What, ends: &Ends, keys: Vec<Key>) -> Result<usize> {
    Ok(match what {
        What::Families => {
            let rows = t::table.filter(t::id.eq_any(keys)).filter(dead_family!(ends.families));
            diesel::delete(rows).execute(connection)?
        }
        What::BrowserSessions => {
            let rows = b::table.filter(b::key_hash.eq_any(keys)).filter(dead_browser!(ends.now));
            diesel::delete(rows).execute(connection)?
        }
        What::Failures => {
            let rows = f::table.filter(f::key.eq_any(keys)).filter(old_failure!(ends));
            diesel::delete(rows).execute(connection)?
        }
        What::Codes => {
            let rows = a::table.filter(a::hash.eq_any(keys)).filter(a::expires_at.le(ends.codes));
            diesel::delete(rows).execute(connection)?
        }
        What::RevokedTokens => {
            let texts: Vec<String> =
                keys.into_iter().filter_map(|key| String::from_utf8(key).ok()).collect();
            let rows = r::table.filter(r::jti.eq_any(texts)).filter(r::expires_at.le(ends.now));
            diesel::delete(rows).execute(connection)?
        }
        What::Assertions => {
            let rows = j::table.filter(j::hash.eq_any(keys)).filter(j::expires_at.le(ends.now));
            diesel::delete(rows).execute(connection)?
        }
        What::PushedRequests => {
            let rows = p::table.filter(p::hash.eq_any(keys)).filter(p::expires_at.le(ends.pushed));
            diesel::delete(rows).execute(connection)?
        }
        What::Audit => {
            let rows = e::table.filter(e::id.eq_any(keys)).filter(e::at.le(ends.audit));
            diesel::delete(rows).execute(connection)?
        }
    })
}
