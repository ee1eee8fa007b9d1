//! A person's sign-in in one browser.

use std::time::Duration;

use super::id::{BrowserSessionId, UserId};
use super::time::Timestamp;

/// A sign-in at this server, as its pages list it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrowserSession {
    /// Its public id; the cookie holds another value.
    pub id: BrowserSessionId,
    /// Who signed in.
    pub user_id: UserId,
    /// When they signed in.
    pub signed_in_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_seen_at: Timestamp,
    /// How long it may go unused.
    pub idle: Duration,
    /// When it ends in any case.
    pub ends_at: Timestamp,
    /// The address that signed in.
    pub ip: String,
    /// The browser that signed in.
    pub agent: String,
}

/// How often, at most, a session's last use is written.
pub const LAST_SEEN_STEP: Duration = Duration::from_secs(60);

impl BrowserSession {
    /// Whether it still counts at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.ends_at && now < self.last_seen_at.plus(self.idle)
    }
}
