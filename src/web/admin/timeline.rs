//! A session's timeline, as entries of its stem: what was noted, and between them the counted
//! runs of refreshes that nothing was special about.

use crate::domain::caller::network_prefix;
use crate::domain::history::{Entry, History, Kind, SeenCaller};
use crate::domain::time::Timestamp;
use crate::domain::token_family::{EndCause, Expiry, Status};
use crate::storage::families::Family;
use crate::web::fork::{Fork, caller_of, fork, newest_caller};
use crate::web::session_words;
use crate::web::views::{Caller, Facts, Knot, When, count, program, thousands, words};

/// What a timeline is made from.
pub struct Told<'a> {
    /// The session.
    pub family: &'a Family,
    /// What was noted of it.
    pub history: &'a History,
    /// Who ended it, in words.
    pub ended_by: String,
    /// The time now.
    pub now: Timestamp,
}

/// The two callers of a fork, for their cards.
pub fn callers(fork: &Fork, family: &Family, history: &History, now: Timestamp) -> [Caller; 2] {
    let stamp = |at: Timestamp| When::stamp(now.as_millis(), at.as_millis()).text;
    // What the session knew before the fork.
    let before = |at: Timestamp| Seen::until(history, at);
    let token = thousands(fork.generation);
    let card = |letter, title: String, who: &SeenCaller, known: &Seen, seen: String| Caller {
        letter,
        title,
        ip: who.ip.clone(),
        ip_new: known.ip_is_new(&who.ip),
        with: program(Some(&who.agent)),
        with_new: known.program_is_new(&who.agent),
        seen,
    };
    let arrived = history
        .entries
        .iter()
        .find(|entry| caller_of(history, entry) == Some(&fork.first))
        .map_or(fork.first_at, |entry| Timestamp::from_millis(entry.at));
    [
        card(
            'A',
            format!("First to use token {token}"),
            &fork.first,
            &before(arrived),
            format!(
                "{}, got generation {}",
                stamp(fork.first_at),
                thousands(family.chain.generation)
            ),
        ),
        card(
            'B',
            format!("Second to use token {token}"),
            &fork.second,
            &before(fork.second_at),
            stamp(fork.second_at),
        ),
    ]
}

/// The entries of the stem, latest first.
pub fn knots(told: &Told<'_>, note_of_sign_in: &str) -> Vec<Knot> {
    let Told { family, history, now, .. } = told;
    let fork = fork(family, history);
    let mut growing = Growing {
        told,
        fork,
        seen: Seen::default(),
        last: (0, family.created_at),
        knots: Vec::new(),
    };
    // The end is noted in the same moment as what caused it, and stands after it.
    let is_end = |entry: &&Entry| matches!(entry.kind, Kind::Ended(_));
    let entries = history.entries.iter();
    for entry in entries.clone().filter(|entry| !is_end(entry)) {
        growing.entry(entry, note_of_sign_in);
    }
    let end = entries.clone().rev().find(is_end);
    growing.run(family.chain.generation, family.chain.given_at);
    if let Status::Ended { at, cause } = family.status {
        let at = end.map_or(at, |entry| Timestamp::from_millis(entry.at));
        growing.knots.push(told.ended(at, cause));
    } else if let Some(expiry) = family.lifetime.passed(family.chain.given_at, *now) {
        growing.knots.push(told.expired(expiry));
    }
    let mut knots = growing.knots;
    knots.reverse();
    knots
}

/// The stem as far as it has grown.
struct Growing<'a> {
    told: &'a Told<'a>,
    fork: Option<Fork>,
    seen: Seen,
    /// The newest generation told, and when.
    last: (u64, Timestamp),
    /// Oldest first.
    knots: Vec<Knot>,
}

impl Growing<'_> {
    fn entry(&mut self, entry: &Entry, note_of_sign_in: &str) {
        let at = Timestamp::from_millis(entry.at);
        let generation = entry.generation;
        let gives = matches!(
            entry.kind,
            Kind::SignedIn | Kind::NewCaller | Kind::Reissue | Kind::ReissueAlarm | Kind::Ahead
        );
        self.run(if gives { generation.saturating_sub(1) } else { generation }, at);
        let caller = caller_of(self.told.history, entry);
        let facts = self.facts(at, caller);
        let presented = entry.presented.unwrap_or_else(|| generation.saturating_sub(1));
        let knot = match &entry.kind {
            Kind::SignedIn => {
                Knot::SignedIn { generation, facts, note: note_of_sign_in.to_owned() }
            }
            Kind::NewCaller => Knot::Refreshed {
                generation,
                facts,
                caller: self.letter(generation, caller),
                current: self.is_current(generation),
                note: self.first_use(generation),
            },
            Kind::Retry => Knot::Retry {
                times: u64::from(entry.count),
                generation,
                facts,
                note: Some("The answer was lost on the way; the same one was given again.".into()),
            },
            Kind::Reissue | Kind::ReissueAlarm => Knot::Reissue {
                presented,
                left_behind: generation.saturating_sub(1),
                generation,
                facts,
                alarm: entry.kind == Kind::ReissueAlarm,
            },
            Kind::Late => Knot::Late { presented, facts },
            Kind::Ahead => Knot::Ahead { presented, generation, facts },
            Kind::Reuse => Knot::Reuse {
                generation: presented,
                facts,
                caller: Some('B'),
                note: self.told.reuse_note(presented, at),
            },
            Kind::Ended(_) => return,
        };
        self.knots.push(knot);
        if let Some(caller) = caller {
            self.seen.add(caller);
        }
        self.last = (self.last.0.max(generation), at);
    }

    /// The refreshes since the last entry, up to this generation, which is told by itself where
    /// it is the newest of all.
    fn run(&mut self, upto: u64, until: Timestamp) {
        let (last, since) = self.last;
        let family = self.told.family;
        let newest = upto == family.chain.generation && upto > last && upto > 0;
        let quiet = if newest { upto.saturating_sub(1) } else { upto };
        // What came before the newest was over when that one was given.
        let over = if newest { until.min(family.chain.given_at) } else { until };
        if quiet > last {
            let stamp = |at: Timestamp| When::stamp(self.told.now.as_millis(), at.as_millis()).text;
            self.knots.push(Knot::Quiet {
                count: quiet - last,
                from: last + 1,
                to: quiet,
                when: format!("{} to {}", stamp(since), stamp(over)),
                networks: self.seen.networks(),
                with: self.seen.programs(),
            });
        }
        if newest {
            let caller = newest_caller(family);
            let at = family.chain.given_at;
            let facts = self.facts(at, Some(&caller));
            self.knots.push(Knot::Refreshed {
                generation: upto,
                facts,
                caller: self.letter(upto, Some(&caller)),
                current: self.is_current(upto),
                note: self.first_use(upto),
            });
            self.seen.add(&caller);
        }
        self.last = (last.max(upto), until);
    }

    fn facts(&self, at: Timestamp, caller: Option<&SeenCaller>) -> Facts {
        let when = When::stamp(self.told.now.as_millis(), at.as_millis());
        match caller {
            Some(caller) => Facts {
                when,
                ip: caller.ip.clone(),
                ip_new: self.seen.ip_is_new(&caller.ip),
                with: program(Some(&caller.agent)),
                with_new: self.seen.program_is_new(&caller.agent),
            },
            None => Facts {
                when,
                ip: "–".to_owned(),
                ip_new: false,
                with: "–".to_owned(),
                with_new: false,
            },
        }
    }

    /// The letter of the caller of a refresh after the fork.
    fn letter(&self, generation: u64, caller: Option<&SeenCaller>) -> Option<char> {
        let fork = self.fork.as_ref().filter(|fork| generation > fork.generation)?;
        (caller == Some(&fork.first)).then_some('A')
    }

    fn first_use(&self, generation: u64) -> Option<String> {
        let fork = self.fork.as_ref()?;
        (generation == fork.generation.saturating_add(1))
            .then(|| format!("Token {} used for the first time.", thousands(fork.generation)))
    }

    fn is_current(&self, generation: u64) -> bool {
        let family = self.told.family;
        generation == family.chain.generation && family.is_live(self.told.now)
    }
}

impl Told<'_> {
    fn reuse_note(&self, generation: u64, at: Timestamp) -> String {
        let rest = "Two callers hold a copy of the same token. Nothing was given out.";
        match self.family.chain.parent {
            Some(parent) if parent.generation == generation => {
                let after = at.since(self.family.chain.issued_at).as_secs();
                format!(
                    "{} after its first use. {rest}",
                    words::capital(&session_words::roughly(after))
                )
            }
            _ => rest.to_owned(),
        }
    }

    fn ended(&self, at: Timestamp, cause: EndCause) -> Knot {
        let reason = self.family.end_reason.clone();
        let text = |words: &str| Some(words.to_owned());
        let (title, note) = match cause {
            EndCause::Reuse => (
                "Signed out, both callers",
                text("No token of this session works any more, neither of the two copies."),
            ),
            EndCause::CodeReuse => (
                "Signed out",
                text("Its authorization code was used twice: all that it gave was taken back."),
            ),
            EndCause::Admin => ("Revoked", reason),
            EndCause::Client => ("Signed out by the app", reason),
            EndCause::SignedOut => ("Signed out", text("With the browser that it came from.")),
            EndCause::Person => ("Signed out", text("On the account page.")),
            EndCause::PasswordChanged => ("Signed out", text("The password was changed.")),
            EndCause::UserDisabled => ("Revoked", text("The account was disabled.")),
            EndCause::UserRemoved => ("Revoked", text("The account was removed.")),
            EndCause::ClientRemoved => ("Revoked", text("The app was removed.")),
            EndCause::ConsentWithdrawn => ("Signed out", text("The app’s access was taken back.")),
        };
        Knot::Ended {
            title: title.to_owned(),
            when: When::stamp(self.now.as_millis(), at.as_millis()),
            by: self.ended_by.clone(),
            note,
        }
    }

    fn expired(&self, expiry: Expiry) -> Knot {
        let family = self.family;
        let at = family.lifetime.next_end(family.chain.given_at);
        let note = match expiry {
            Expiry::Unused => {
                format!("It went unused for {}.", words::span(family.lifetime.idle.as_secs()))
            }
            Expiry::ReachedEnd => "It reached the longest time that it may last.".to_owned(),
        };
        Knot::Ended {
            title: "Expired".to_owned(),
            when: When::stamp(self.now.as_millis(), at.as_millis()),
            by: "itself".to_owned(),
            note: Some(note),
        }
    }
}

/// The networks and programs that a session has met.
#[derive(Default)]
struct Seen {
    ips: Vec<String>,
    networks: Vec<Vec<u8>>,
    programs: Vec<String>,
}

impl Seen {
    /// Those of all entries before this time.
    fn until(history: &History, at: Timestamp) -> Self {
        let mut seen = Self::default();
        for entry in history.entries.iter().filter(|entry| entry.at < at.as_millis()) {
            if let Some(caller) = caller_of(history, entry) {
                seen.add(caller);
            }
        }
        seen
    }

    fn add(&mut self, caller: &SeenCaller) {
        let (network, program) = (network(&caller.ip), program(Some(&caller.agent)));
        if !self.ips.contains(&caller.ip) {
            self.ips.push(caller.ip.clone());
        }
        if !self.networks.contains(&network) {
            self.networks.push(network);
        }
        if !self.programs.contains(&program) {
            self.programs.push(program);
        }
    }

    /// New beside what was met before; nothing is new to a session that has met nobody.
    fn ip_is_new(&self, ip: &str) -> bool {
        !self.networks.is_empty() && !self.networks.contains(&network(ip))
    }

    fn program_is_new(&self, agent: &str) -> bool {
        !self.programs.is_empty() && !self.programs.contains(&program(Some(agent)))
    }

    fn networks(&self) -> String {
        match self.ips.as_slice() {
            [only] => only.clone(),
            _ => count(self.networks.len() as u64, "network", "networks"),
        }
    }

    fn programs(&self) -> String {
        match self.programs.as_slice() {
            [only] => only.clone(),
            several => count(several.len() as u64, "program", "programs"),
        }
    }
}

fn network(ip: &str) -> Vec<u8> {
    ip.parse().map_or_else(|_| ip.as_bytes().to_vec(), network_prefix)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::caller::{self, CallerId};
    use crate::domain::token_family::{KeyId, Parent};
    use crate::web::session_words::tests::family;
    use crate::web::views::Stem;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(1_795_444_327_000 + minutes * 60_000)
    }

    fn who(ip: &str, agent: &str) -> caller::Caller {
        caller::Caller { id: CallerId::from_bytes([0; 8]), ip: ip.into(), agent: agent.into() }
    }

    fn home() -> caller::Caller {
        who("203.0.113.24", "curl/8.14.1")
    }

    fn away() -> caller::Caller {
        who("192.0.2.66", "python-requests/2.32")
    }

    fn begun() -> History {
        let mut history = History::default();
        history.note(at(0), Kind::SignedIn, 1, None, Some(&home()));
        history
    }

    fn titles(family: &Family, history: &History) -> Vec<String> {
        let told = Told { family, history, ended_by: "Perennial".into(), now: at(60) };
        knots(&told, "").iter().map(Knot::title).collect()
    }

    #[test]
    fn a_fresh_session_is_its_sign_in() {
        assert_eq!(titles(&family(at(0), 1), &begun()), ["Signed in, generation 1"]);
    }

    #[test]
    fn quiet_refreshes_are_counted_from_the_gaps_between_entries() {
        let mut history = begun();
        history.note(at(5), Kind::NewCaller, 12, Some(11), Some(&away()));
        history.note(at(6), Kind::Retry, 12, Some(11), Some(&away()));
        let own = family(at(0), 5_218);
        assert_eq!(
            titles(&own, &history),
            [
                "Refreshed, generation 5,218",
                "5,205 refreshes, generations 13 to 5,217",
                "Retry, generation 12 given again",
                "Refreshed, generation 12",
                "10 refreshes, generations 2 to 11",
                "Signed in, generation 1",
            ]
        );
        let told = Told { family: &own, history: &history, ended_by: String::new(), now: at(60) };
        let stem = Stem::grow(knots(&told, ""));
        assert!(stem.retried && !stem.forked);
        let knots: Vec<&Knot> = stem.entries.iter().map(|entry| &entry.knot).collect();
        assert!(knots[0].is_current());
        assert_eq!(knots[3].news(), Some("New network and program"));
        assert_eq!(knots[0].news(), None, "the home network is known");
    }

    #[test]
    fn a_quiet_run_is_over_before_the_newest_refresh_and_what_followed_it() {
        let mut history = begun();
        history.note(at(43), Kind::Late, 10, Some(7), Some(&away()));
        let mut own = family(at(0), 10);
        own.chain.given_at = at(20);
        let told = Told { family: &own, history: &history, ended_by: String::new(), now: at(60) };
        let whens: Vec<String> = knots(&told, "")
            .into_iter()
            .filter_map(|knot| match knot {
                Knot::Quiet { when, .. } => Some(when),
                _ => None,
            })
            .collect();
        let stamp = |minutes| When::stamp(at(60).as_millis(), at(minutes).as_millis()).text;
        assert_eq!(whens, [format!("{} to {}", stamp(0), stamp(20))]);
    }

    #[test]
    fn a_second_use_forks_the_stem_and_letters_the_callers() {
        let mut history = begun();
        history.note(at(20), Kind::NewCaller, 40, Some(39), Some(&away()));
        history.note(at(43), Kind::ended(EndCause::Reuse), 40, None, None);
        history.note(at(43), Kind::Reuse, 40, Some(39), Some(&home()));
        let mut own = family(at(0), 40);
        own.caller_ip = away().ip;
        own.caller_agent = away().agent;
        own.chain.issued_at = at(20);
        own.chain.given_at = at(20);
        own.chain.parent = Some(Parent { generation: 39, key: KeyId(1), given_at: at(14) });
        own.status = Status::Ended { at: at(43), cause: EndCause::Reuse };
        assert_eq!(
            titles(&own, &history),
            [
                "Signed out, both callers",
                "Token 39 used a second time",
                "Refreshed, generation 40",
                "38 refreshes, generations 2 to 39",
                "Signed in, generation 1",
            ]
        );
        let told = Told { family: &own, history: &history, ended_by: String::new(), now: at(60) };
        let stem = Stem::grow(knots(&told, ""));
        assert!(stem.forked);
        let letters: Vec<Option<char>> =
            stem.entries.iter().map(|entry| entry.knot.caller()).collect();
        assert_eq!(letters, [None, Some('B'), Some('A'), None, None]);
        let note = stem.entries[1].knot.note().unwrap();
        assert!(note.starts_with("23 minutes after its first use."), "{note}");

        let fork = fork(&own, &history).unwrap();
        let [a, b] = callers(&fork, &own, &history, at(60));
        assert_eq!((a.ip.as_str(), a.ip_new, a.with_new), ("192.0.2.66", true, true));
        assert_eq!((b.ip.as_str(), b.ip_new, b.with_new), ("203.0.113.24", false, false));
    }

    #[test]
    fn what_ended_by_itself_says_so() {
        let own = family(at(0), 2);
        let now = at(0).plus(Duration::from_secs(86_400 * 31));
        let told = Told { family: &own, history: &begun(), ended_by: String::new(), now };
        let knots = knots(&told, "");
        assert_eq!(knots[0].title(), "Expired");
        assert_eq!(knots[0].note().unwrap(), "It went unused for 30 days.");
        assert!(!knots[1].is_current());
    }

    #[test]
    fn a_timeline_that_can_not_be_read_is_one_quiet_run() {
        let titles = titles(&family(at(0), 9), &History::default());
        assert_eq!(titles, ["Refreshed, generation 9", "8 refreshes, generations 1 to 8"]);
    }
}
