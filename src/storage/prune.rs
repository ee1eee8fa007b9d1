//! What may be forgotten, a few hundred rows at a time, so that nothing waits for long.

use std::time::Duration;

use diesel::prelude::*;

use super::connection::Connection;
use super::error::Result;
use super::schema::{
    audit_events, authorization_codes, browser_sessions, revoked_access_tokens, sign_in_failures,
    token_families,
};
use crate::domain::time::Timestamp;

/// How many rows go at once.
pub const STEP: i64 = 500;

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
    /// Forgotten failures to sign in.
    Failures,
    /// Old lines of the audit log.
    Audit,
}

/// All of it, with names for people.
pub const ALL: [(What, &str); 6] = [
    (What::Families, "sessions"),
    (What::Codes, "authorization_codes"),
    (What::BrowserSessions, "browser_sessions"),
    (What::RevokedTokens, "revoked_access_tokens"),
    (What::Failures, "sign_in_failures"),
    (What::Audit, "audit_events"),
];

/// Removes one step's worth. Zero: there is no more. Each deletion repeats its condition, since
/// a row that was picked may have changed.
pub fn step(
    connection: &mut Connection,
    what: What,
    retention: &Retention,
    now: Timestamp,
) -> Result<usize> {
    let keep = retention.ended_sessions.max(Duration::from_secs(3600));
    Ok(match what {
        What::Families => {
            use token_families as t;
            let end = now.minus(keep).as_millis();
            let dead = || {
                t::ended_at
                    .is_not_null()
                    .and(t::ended_at.assume_not_null().le(end))
                    .or((t::given_at + t::idle_ms).le(end))
                    .or(t::ends_at.is_not_null().and(t::ends_at.assume_not_null().le(end)))
            };
            let ids: Vec<Vec<u8>> =
                t::table.filter(dead()).select(t::id).limit(STEP).load(connection)?;
            diesel::delete(t::table.filter(t::id.eq_any(ids)).filter(dead())).execute(connection)?
        }
        What::Codes => {
            use authorization_codes as a;
            let end = now.minus(CODES).as_millis();
            let ids: Vec<Vec<u8>> = a::table
                .filter(a::expires_at.le(end))
                .select(a::hash)
                .limit(STEP)
                .load(connection)?;
            diesel::delete(a::table.filter(a::hash.eq_any(ids))).execute(connection)?
        }
        What::BrowserSessions => {
            use browser_sessions as b;
            let end = now.as_millis();
            let dead = || b::ends_at.le(end).or((b::last_seen_at + b::idle_ms).le(end));
            let ids: Vec<Vec<u8>> =
                b::table.filter(dead()).select(b::key_hash).limit(STEP).load(connection)?;
            diesel::delete(b::table.filter(b::key_hash.eq_any(ids)).filter(dead()))
                .execute(connection)?
        }
        What::RevokedTokens => {
            use revoked_access_tokens as r;
            let ids: Vec<String> = r::table
                .filter(r::expires_at.le(now.as_millis()))
                .select(r::jti)
                .limit(STEP)
                .load(connection)?;
            diesel::delete(r::table.filter(r::jti.eq_any(ids))).execute(connection)?
        }
        What::Failures => {
            use sign_in_failures as f;
            let end = now.minus(Duration::from_secs(24 * 3600)).as_millis();
            let old = || f::since.le(end).and(f::paused_until.le(now.as_millis()));
            let ids: Vec<Vec<u8>> =
                f::table.filter(old()).select(f::key).limit(STEP).load(connection)?;
            diesel::delete(f::table.filter(f::key.eq_any(ids)).filter(old())).execute(connection)?
        }
        What::Audit => {
            use audit_events as e;
            let end = now.minus(retention.audit).as_millis();
            let ids: Vec<Vec<u8>> =
                e::table.filter(e::at.le(end)).select(e::id).limit(STEP).load(connection)?;
            diesel::delete(e::table.filter(e::id.eq_any(ids))).execute(connection)?
        }
    })
}
