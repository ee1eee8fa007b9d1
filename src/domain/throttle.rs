//! Slowing down whoever guesses passwords, without locking the person out.
//!
//! Failures are counted under two keys: the account together with the network that tries
//! (so a guesser elsewhere doesn't keep the person out), and the network alone (so one
//! network can't go through all accounts). A third, the account alone, has a far higher
//! bound, against guessing from many networks at once.

use std::time::Duration;

use super::time::Timestamp;

/// What is remembered under one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// How many, within the window.
    pub count: u32,
    /// When the last of them was.
    pub since: Timestamp,
    /// Until when tries under this key wait.
    pub paused_until: Timestamp,
}

/// The bound for one kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// So many tries are free.
    pub tries: u32,
    /// Failures are forgotten after this long without another.
    pub window: Duration,
    /// No pause is longer.
    pub longest_pause: Duration,
}

/// The first pause; each further failure doubles it.
pub const FIRST_PAUSE: Duration = Duration::from_secs(30);

impl Failures {
    /// Until when a try must wait, if it must.
    pub fn pause(&self, now: Timestamp) -> Option<Timestamp> {
        (self.paused_until > now).then_some(self.paused_until)
    }

    /// One more failure at `now`.
    pub fn and_one(self, now: Timestamp, limit: &Limit) -> Self {
        // Waiting out a pause doesn't count towards forgetting what led to it.
        let quiet_since = self.since.max(self.paused_until);
        let forgotten = now.since(quiet_since) > limit.window;
        let count = if forgotten { 1 } else { self.count.saturating_add(1) };
        let paused_until = if count >= limit.tries {
            let doublings = (count - limit.tries).min(16);
            let pause = FIRST_PAUSE.saturating_mul(1 << doublings).min(limit.longest_pause);
            now.plus(pause)
        } else {
            self.paused_until
        };
        Self { count, since: now.max(self.since), paused_until }
    }

    /// How many tries are left before the next pause.
    pub fn left(&self, limit: &Limit) -> u32 {
        limit.tries.saturating_sub(self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit {
        tries: 5,
        window: Duration::from_secs(900),
        longest_pause: Duration::from_secs(900),
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn five_tries_are_free_and_then_each_waits_longer_up_to_the_bound() {
        let mut failures = Failures::default();
        for second in 0..4 {
            failures = failures.and_one(at(second), &LIMIT);
            assert_eq!(failures.pause(at(second)), None);
        }
        let mut pauses = Vec::new();
        let mut now = at(10);
        for _ in 0..8 {
            failures = failures.and_one(now, &LIMIT);
            let until = failures.pause(now).expect("a pause");
            pauses.push(until.since(now).as_secs());
            now = until;
        }
        assert_eq!(pauses, [30, 60, 120, 240, 480, 900, 900, 900]);
    }

    #[test]
    fn old_failures_are_forgotten() {
        let mut failures = Failures::default();
        for _ in 0..4 {
            failures = failures.and_one(at(0), &LIMIT);
        }
        let later = failures.and_one(at(1000), &LIMIT);
        assert_eq!(later.left(&LIMIT), 4);
    }
}
