//! A session's timeline: a bounded list of recent and unusual events. The quiet rest is
//! only counted, by the generations between two entries, so storage doesn't grow.

use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::time::Timestamp;
use super::token_family::EndCause;

/// How many entries a timeline keeps.
pub const MAX_ENTRIES: usize = 24;
/// How many different callers a timeline names: each entry may have its own.
pub const MAX_CALLERS: usize = MAX_ENTRIES + 1;

/// The timeline of one family, oldest entry first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The callers that entries point at.
    pub callers: Vec<SeenCaller>,
    /// The entries.
    pub entries: Vec<Entry>,
}

/// A caller as the timeline shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenCaller {
    /// Its address.
    pub ip: String,
    /// Its user agent.
    pub agent: String,
}

/// Something that happened to a family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When; for a counted entry, the last time.
    pub at: i64,
    /// The newest generation after it.
    pub generation: u64,
    /// The generation that was presented, where that differs from the newest before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presented: Option<u64>,
    /// What happened.
    pub kind: Kind,
    /// Index into the callers, where one was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<usize>,
    /// How many times in a row.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: u32,
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_one(count: &u32) -> bool {
    *count == 1
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The person signed in and the first token was given.
    SignedIn,
    /// Refreshed by a caller that wasn't seen before.
    NewCaller,
    /// The same answer given again.
    Retry,
    /// A spent token asked again; the answer between was left behind.
    Reissue,
    /// The same, and the answer between had gone to an unknown caller.
    ReissueAlarm,
    /// A token overtaken by its own retry.
    Late,
    /// A token newer than the database.
    Ahead,
    /// A token used by two holders.
    Reuse,
    /// The family ended; the name of its cause.
    Ended(String),
}

impl Kind {
    /// The entry for a family that ended by `cause`.
    pub fn ended(cause: EndCause) -> Self {
        Self::Ended(cause.name().to_owned())
    }

    /// How much an entry is worth when the list is full: those of the lowest go first.
    fn worth(&self) -> u8 {
        match self {
            Self::Retry | Self::Late => 0,
            Self::NewCaller => 1,
            Self::Reissue | Self::Ahead => 2,
            Self::ReissueAlarm => 3,
            Self::SignedIn | Self::Reuse | Self::Ended(_) => 4,
        }
    }

    /// Entries that warn the person and the administrator.
    pub fn is_alarm(&self) -> bool {
        matches!(self, Self::ReissueAlarm | Self::Reuse)
    }
}

impl History {
    /// Adds an entry. Retries and late requests of one caller in a row are counted, not listed;
    /// when the list is full, the oldest of its most ordinary entries goes.
    pub fn note(
        &mut self,
        at: Timestamp,
        kind: Kind,
        generation: u64,
        presented: Option<u64>,
        caller: Option<&Caller>,
    ) {
        let caller = caller.map(|caller| self.place(caller));
        if matches!(kind, Kind::Retry | Kind::Late)
            && let Some(last) = self.entries.last_mut()
            && last.kind == kind
            && last.caller == caller
        {
            last.at = at.as_millis();
            last.generation = generation;
            last.count = last.count.saturating_add(1);
            return;
        }
        self.entries.push(Entry {
            at: at.as_millis(),
            generation,
            presented,
            kind,
            caller,
            count: 1,
        });
        if self.entries.len() > MAX_ENTRIES {
            // What was noted just now is news, whatever it is.
            let before = self.entries.len() - 1;
            let oldest = self.entries.iter().take(before).enumerate();
            let least = oldest.min_by_key(|(place, entry)| (entry.kind.worth(), *place));
            if let Some((place, _)) = least {
                self.entries.remove(place);
            }
        }
    }

    /// Forgets callers that no entry points at, so that those that one does stay as they are.
    fn drop_unseen_callers(&mut self) {
        let mut places: Vec<Option<usize>> = Vec::new();
        let mut kept = Vec::new();
        for (index, caller) in self.callers.drain(..).enumerate() {
            let seen = self.entries.iter().any(|entry| entry.caller == Some(index));
            places.push(seen.then_some(kept.len()));
            if seen {
                kept.push(caller);
            }
        }
        self.callers = kept;
        for entry in &mut self.entries {
            entry.caller = entry.caller.and_then(|old| places.get(old).copied().flatten());
        }
    }

    /// The caller's index.
    fn place(&mut self, caller: &Caller) -> usize {
        let seen = SeenCaller { ip: caller.ip.clone(), agent: caller.agent.clone() };
        if let Some(index) = self.callers.iter().position(|own| *own == seen) {
            return index;
        }
        self.drop_unseen_callers();
        self.callers.push(seen);
        self.callers.len().saturating_sub(1)
    }

    /// As stored.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// As read back; what can't be read counts as empty, since a timeline is never worth an error.
    pub fn from_json(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::caller::CallerId;
    use super::*;

    fn caller(n: u8) -> Caller {
        Caller { id: CallerId::from_bytes([n; 8]), ip: format!("192.0.2.{n}"), agent: "x".into() }
    }

    #[test]
    fn ten_thousand_events_take_no_more_room_than_a_few() {
        let mut history = History::default();
        history.note(Timestamp::from_millis(0), Kind::SignedIn, 1, None, Some(&caller(0)));
        for n in 0..10_000u64 {
            let who = caller(u8::try_from(n % 200).unwrap());
            history.note(Timestamp::from_millis(1), Kind::NewCaller, n, None, Some(&who));
        }
        assert_eq!(history.entries.len(), MAX_ENTRIES);
        assert!(history.callers.len() <= MAX_CALLERS);
        let last = history.entries.last().and_then(|entry| entry.caller).unwrap();
        assert_eq!(history.callers[last].ip, "192.0.2.199", "each entry keeps its own caller");
        let first = history.entries[0].caller.unwrap();
        assert_eq!(history.callers[first].ip, "192.0.2.0");
        assert_eq!(history.entries[0].kind, Kind::SignedIn);
        assert_eq!(History::from_json(&history.to_json()), history);
    }

    #[test]
    fn a_flood_of_retries_drives_out_nothing_rarer() {
        let mut history = History::default();
        let at = Timestamp::from_millis;
        history.note(at(0), Kind::SignedIn, 1, None, Some(&caller(0)));
        for kind in [Kind::ReissueAlarm, Kind::Ahead, Kind::Reissue, Kind::NewCaller] {
            history.note(at(1), kind, 2, None, Some(&caller(1)));
        }
        for n in 0..1_000 {
            let kind = if n % 2 == 0 { Kind::Retry } else { Kind::Late };
            history.note(at(2), kind, 3, Some(2), Some(&caller(0)));
        }
        history.note(at(3), Kind::ended(EndCause::Person), 3, None, None);
        assert_eq!(history.entries.len(), MAX_ENTRIES);
        let kinds: Vec<&Kind> = history.entries.iter().map(|entry| &entry.kind).collect();
        let rare =
            [Kind::SignedIn, Kind::ReissueAlarm, Kind::Ahead, Kind::Reissue, Kind::NewCaller];
        assert_eq!(kinds[..5], rare.each_ref());
        assert_eq!(kinds[MAX_ENTRIES - 1], &Kind::ended(EndCause::Person));
        assert_eq!(kinds[MAX_ENTRIES - 2], &Kind::Late, "the latest of them stays");
    }

    #[test]
    fn retries_in_a_row_are_counted() {
        let mut history = History::default();
        for _ in 0..3 {
            history.note(Timestamp::from_millis(1), Kind::Retry, 2, Some(1), Some(&caller(0)));
        }
        assert_eq!(history.entries.len(), 1);
        assert_eq!(history.entries[0].count, 3);
    }
}
