//! Where a client comes from, and what is known of it beside what it says of itself.

use std::time::Duration;

use super::secret::HashedSecret;
use super::time::Timestamp;

/// Where a client comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// An administrator registered it.
    #[default]
    Administrator,
    /// It registered itself (RFC 7591).
    Registration,
    /// Its id is the address of its metadata.
    Document,
}

impl Origin {
    /// All of them, with the name that commands and the database use.
    pub const ALL: [(Self, &'static str); 3] = [
        (Self::Administrator, "administrator"),
        (Self::Registration, "registration"),
        (Self::Document, "document"),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(own, _)| *own == self).map_or("", |(_, name)| name)
    }

    /// The origin with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, own)| *own == name).map(|(origin, _)| *origin)
    }
}

/// What is known of a client beside what it says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Where it comes from.
    pub origin: Origin,
    /// When an administrator looked at it and found it good.
    pub reviewed_at: Option<Timestamp>,
    /// When somebody last signed in by it, give or take [`USE_STEP`]. Never of an
    /// administrator's.
    pub last_used_at: Option<Timestamp>,
    /// The hash of the token that it manages its registration with.
    pub registration_token: Option<HashedSecret>,
    /// Until when its metadata document needn't be fetched again.
    pub fresh_until: Option<Timestamp>,
}

/// How exactly it is known when a client was last used: it is written no more often.
pub const USE_STEP: Duration = Duration::from_secs(24 * 3600);

impl Standing {
    /// Whether it came by itself, and nobody has looked at it.
    pub fn is_unreviewed(&self) -> bool {
        self.origin != Origin::Administrator && self.reviewed_at.is_none()
    }

    /// Whether a use at `now` is worth writing down.
    pub fn use_is_news(&self, now: Timestamp) -> bool {
        self.origin != Origin::Administrator
            && self.last_used_at.is_none_or(|last| now.since(last) >= USE_STEP)
    }

    /// Whether it came by itself, nobody has looked at it, and nobody has used it for so long.
    pub fn is_unused(&self, created_at: Timestamp, unused: Duration, now: Timestamp) -> bool {
        let last = self.last_used_at.unwrap_or(created_at).max(created_at);
        self.is_unreviewed() && now.since(last) >= unused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3600;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_millis(day * 24 * 3600 * 1000)
    }

    #[test]
    fn a_use_is_written_once_a_day() {
        let mut standing = Standing { origin: Origin::Registration, ..Standing::default() };
        assert!(standing.use_is_news(at(3)));
        standing.last_used_at = Some(at(3));
        assert!(!standing.use_is_news(at(3).plus(Duration::from_secs(DAY - 1))));
        assert!(standing.use_is_news(at(4)));
        assert!(!Standing::default().use_is_news(at(4)));
    }

    #[test]
    fn only_what_nobody_wanted_is_unused() {
        let month = Duration::from_secs(30 * DAY);
        let mut standing = Standing { origin: Origin::Registration, ..Standing::default() };
        assert!(!standing.is_unused(at(0), month, at(29)));
        assert!(standing.is_unused(at(0), month, at(30)));
        standing.last_used_at = Some(at(10));
        assert!(!standing.is_unused(at(0), month, at(39)));
        assert!(standing.is_unused(at(0), month, at(40)));
        standing.reviewed_at = Some(at(1));
        assert!(!standing.is_unused(at(0), month, at(400)));
        assert!(!Standing::default().is_unused(at(0), month, at(400)));
    }
}
