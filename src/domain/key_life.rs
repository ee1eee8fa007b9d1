//! The life of a key: published before it is used, used, published until nothing that it made
//! counts any more, gone.

use std::time::Duration;

use super::time::Timestamp;

/// How often a node looks whether there are other keys than it holds.
pub const LOOK_EVERY: Duration = Duration::from_secs(10);

/// How long others may keep the key set without asking for it again.
pub const KEY_SET_MAX_AGE: Duration = Duration::from_secs(300);

/// How long a key is there before it is used: every node has read it by then, and whoever keeps
/// the key set has fetched it again.
pub const PUBLISHED_FIRST: Duration = Duration::from_secs(600);

/// The longest that anything a key made counts: no setting lets an access token or an ID token
/// live longer.
pub const LONGEST_TOKEN: Duration = Duration::from_secs(86_400);

/// How long a key stays published once it isn't used any more: a node may have used it a little
/// longer, by a clock that is a little slow.
pub const PUBLISHED_AFTER: Duration = Duration::from_secs(86_400 + 600);

/// How long a signing key is kept after that for reading hints: ID tokens that have ended.
pub const KEPT_FOR_HINTS: Duration = Duration::from_secs(90 * 86_400);

/// The longest that a key is there before it is used by itself.
const LONGEST_LEAD: Duration = Duration::from_secs(14 * 86_400);

/// What a key is for at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// To be used after the one in use.
    Next,
    /// In use.
    Current,
    /// Checks what it made.
    Retired,
}

/// The stations of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLife {
    /// When it was made, and so published.
    pub created_at: Timestamp,
    /// When it is to begin, where somebody ordered that.
    pub due_at: Option<Timestamp>,
    /// When it began.
    pub current_since: Option<Timestamp>,
    /// When the next one took over.
    pub retired_at: Option<Timestamp>,
}

/// What is to be done about the keys of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make the next one.
    MakeNext,
    /// Let the next one take over.
    Promote,
}

impl KeyLife {
    /// One that is made now: the first of its kind, in use at once.
    pub fn first(now: Timestamp) -> Self {
        Self { created_at: now, due_at: None, current_since: Some(now), retired_at: None }
    }

    /// One that is made now, to be used later: when it is `due`, or by age.
    pub fn next(now: Timestamp, due_at: Option<Timestamp>) -> Self {
        Self { created_at: now, due_at, current_since: None, retired_at: None }
    }

    /// What it is for.
    pub fn state(&self) -> KeyState {
        match (self.current_since, self.retired_at) {
            (_, Some(_)) => KeyState::Retired,
            (Some(_), None) => KeyState::Current,
            (None, None) => KeyState::Next,
        }
    }

    /// From when on everybody has it.
    pub fn known_at(&self) -> Timestamp {
        self.created_at.plus(PUBLISHED_FIRST)
    }

    /// Until when it is published; none while it is in use or to be used.
    pub fn published_until(&self) -> Option<Timestamp> {
        self.retired_at.map(|at| at.plus(PUBLISHED_AFTER))
    }

    /// Whether it stands in the key set.
    pub fn is_published(&self, now: Timestamp) -> bool {
        self.published_until().is_none_or(|until| now < until)
    }

    /// Whether it is of no more use even for reading hints.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.published_until().is_some_and(|until| now >= until.plus(KEPT_FOR_HINTS))
    }

    /// When the next one takes over from this one by age.
    pub fn rotates_at(&self, every: Option<Duration>) -> Option<Timestamp> {
        Some(self.current_since?.plus(every?))
    }
}

/// What is to be done by itself, where keys are to be replaced after so long.
pub fn step(
    current: &KeyLife,
    next: Option<&KeyLife>,
    every: Option<Duration>,
    now: Timestamp,
) -> Option<Step> {
    let by_age = current.rotates_at(every);
    match next {
        Some(next) => {
            let due = next.due_at.into_iter().chain(by_age).min()?;
            (now >= due && now >= next.known_at()).then_some(Step::Promote)
        }
        None => {
            let lead = LONGEST_LEAD.min(every? / 2).max(PUBLISHED_FIRST);
            (now.plus(lead) >= by_age?).then_some(Step::MakeNext)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(0).plus(Duration::from_secs(seconds))
    }

    fn days(days: u64) -> Timestamp {
        at(days * DAY)
    }

    const QUARTER: Option<Duration> = Some(Duration::from_secs(90 * DAY));

    #[test]
    fn a_key_is_known_to_everybody_before_it_signs() {
        assert!(PUBLISHED_FIRST > KEY_SET_MAX_AGE + LOOK_EVERY);
        assert!(PUBLISHED_AFTER > LONGEST_TOKEN + LOOK_EVERY);
        let current = KeyLife::first(days(0));
        assert_eq!(step(&current, None, QUARTER, days(75)), None);
        assert_eq!(step(&current, None, QUARTER, days(76)), Some(Step::MakeNext));
        let next = KeyLife::next(days(76), None);
        assert_eq!(step(&current, Some(&next), QUARTER, days(89)), None);
        assert_eq!(step(&current, Some(&next), QUARTER, days(90)), Some(Step::Promote));
        // A server that was off for long doesn't use a key that nobody has seen.
        let late = KeyLife::next(days(200), None);
        assert_eq!(step(&current, Some(&late), QUARTER, days(200)), None);
        let seen = late.known_at();
        assert_eq!(step(&current, Some(&late), QUARTER, seen), Some(Step::Promote));
    }

    #[test]
    fn an_order_comes_before_age_and_needs_none() {
        let current = KeyLife::first(days(0));
        let next = KeyLife::next(days(1), Some(days(1).plus(PUBLISHED_FIRST)));
        for every in [QUARTER, None] {
            assert_eq!(step(&current, Some(&next), every, days(1)), None);
            let due = days(1).plus(PUBLISHED_FIRST);
            assert_eq!(step(&current, Some(&next), every, due), Some(Step::Promote));
        }
        assert_eq!(step(&current, None, None, days(9_000)), None);
        let unordered = KeyLife::next(days(1), None);
        assert_eq!(step(&current, Some(&unordered), None, days(9_000)), None);
    }

    #[test]
    fn the_next_key_is_made_in_time_however_short_a_life_is() {
        let every = Duration::from_secs(DAY);
        let current = KeyLife::first(at(0));
        assert_eq!(step(&current, None, Some(every), at(DAY / 2 - 1)), None);
        assert_eq!(step(&current, None, Some(every), at(DAY / 2)), Some(Step::MakeNext));
    }

    #[test]
    fn a_retired_key_is_published_until_its_last_token_ended_and_kept_for_hints() {
        let mut life = KeyLife::first(days(0));
        assert_eq!((life.state(), life.published_until()), (KeyState::Current, None));
        life.retired_at = Some(days(90));
        assert_eq!(life.state(), KeyState::Retired);
        assert!(life.is_published(days(90).plus(LONGEST_TOKEN)));
        assert!(!life.is_published(days(90).plus(PUBLISHED_AFTER)));
        assert!(!life.is_over(days(150)));
        assert!(life.is_over(days(182)));
    }
}
