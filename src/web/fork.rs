//! Where a session forked: who its two callers are, as far as its timeline knows.

use crate::domain::history::{Entry, History, Kind, SeenCaller};
use crate::domain::time::Timestamp;
use crate::storage::families::Family;

/// A session whose token was used twice.
#[derive(Clone, Debug)]
pub struct Fork {
    /// The generation used twice.
    pub generation: u64,
    /// Who used it first, as far as it is known: who had the newest token.
    pub first: SeenCaller,
    /// When the newest token was given to them.
    pub first_at: Timestamp,
    /// Who used it again.
    pub second: SeenCaller,
    /// When.
    pub second_at: Timestamp,
}

/// Where a session forked, if it did.
pub fn fork(family: &Family, history: &History) -> Option<Fork> {
    let reuse = history.entries.iter().rev().find(|entry| entry.kind == Kind::Reuse)?;
    let newest = newest_caller(family);
    Some(Fork {
        generation: reuse.presented?,
        first: newest.clone(),
        first_at: family.chain.given_at,
        second: caller_of(history, reuse).cloned().unwrap_or(newest),
        second_at: Timestamp::from_millis(reuse.at),
    })
}

/// The stranger of the latest alarm that a reissue raised: whom the answer that was left behind
/// had gone to, as far as it is known.
pub fn stranger(history: &History) -> Option<&SeenCaller> {
    let last = history.entries.iter().rposition(|entry| entry.kind == Kind::ReissueAlarm)?;
    let asker = caller_of(history, history.entries.get(last)?);
    let before = history.entries.get(..last)?;
    before
        .iter()
        .rev()
        .find_map(|entry| caller_of(history, entry).filter(|caller| Some(*caller) != asker))
}

/// Who an entry is about.
pub fn caller_of<'a>(history: &'a History, entry: &Entry) -> Option<&'a SeenCaller> {
    history.callers.get(entry.caller?)
}

/// Whom the newest token went to.
pub fn newest_caller(family: &Family) -> SeenCaller {
    SeenCaller { ip: family.caller_ip.clone(), agent: family.caller_agent.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::caller::{Caller, CallerId};

    #[test]
    fn the_stranger_is_who_came_between() {
        let who = |ip: &str| Caller {
            id: CallerId::from_bytes([0; 8]),
            ip: ip.into(),
            agent: "x".into(),
        };
        let (own, other) = (who("203.0.113.24"), who("192.0.2.66"));
        let at = Timestamp::from_millis;
        let mut history = History::default();
        history.note(at(0), Kind::SignedIn, 1, None, Some(&own));
        assert!(stranger(&history).is_none(), "no alarm, no stranger");
        history.note(at(1), Kind::NewCaller, 5, Some(4), Some(&other));
        history.note(at(2), Kind::ReissueAlarm, 6, Some(4), Some(&own));
        assert_eq!(stranger(&history).unwrap().ip, "192.0.2.66");
    }
}
