//! What the app knows about one person's sign-in, and what each kind of answer
//! from the server makes of it. Pure: the time is passed in, nothing is sent.

use std::collections::VecDeque;
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;

/// The app refreshes so long before its access token ends.
const AHEAD: Duration = Duration::from_secs(5);
/// Pauses between tries double up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A server may ask for more patience than that, but not for more than this.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);
const EVENTS: usize = 12;

/// What a token answer brought.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    pub(super) access: SecretString,
    /// Opaque to this app. An answer without one leaves the last one good.
    pub(super) refresh: Option<SecretString>,
    pub(super) life: Option<Duration>,
    /// As the server says it; an answer without leaves the last one.
    pub(super) scope: Option<String>,
}

/// A definite no from the server, in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) error: String,
    pub(super) description: Option<String>,
    pub(super) uri: Option<String>,
}

/// What came of asking for tokens.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Tokens(Tokens),
    Refused(Refusal),
    /// Nothing is decided: no connection, or a 5xx. The same token is good for another try.
    Unavailable {
        what: String,
        retry_after: Option<Duration>,
    },
}

#[derive(Clone, Debug)]
pub(super) enum State {
    SignedIn(SignedIn),
    Ended { at: Instant, why: End },
}

#[derive(Clone, Debug)]
pub(super) struct SignedIn {
    pub(super) tokens: Tokens,
    pub(super) obtained: Instant,
    pub(super) refreshes: u64,
    pub(super) trouble: Option<Trouble>,
}

#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) what: String,
    pub(super) failures: u32,
    pub(super) next_try: Instant,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    ByServer(Refusal),
    Here,
}

#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) at: Instant,
    pub(super) text: String,
}

#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) state: State,
    /// Newest first, only the last few.
    pub(super) events: VecDeque<Event>,
}

impl Session {
    pub(super) fn begin(tokens: Tokens, now: Instant) -> Self {
        let mut session = Self {
            state: State::SignedIn(SignedIn { tokens, obtained: now, refreshes: 0, trouble: None }),
            events: VecDeque::new(),
        };
        session.note(now, "Signed in".to_owned());
        session
    }

    /// When to refresh; `None` when there is nothing to refresh, or no need to.
    pub(super) fn next_refresh(&self) -> Option<Instant> {
        let State::SignedIn(held) = &self.state else {
            return None;
        };
        held.tokens.refresh.as_ref()?;
        match &held.trouble {
            Some(trouble) => Some(trouble.next_try),
            None => {
                let life = held.tokens.life?;
                Some(held.obtained + life.saturating_sub(AHEAD.min(life / 2)))
            }
        }
    }

    pub(super) fn refresh_token(&self) -> Option<SecretString> {
        match &self.state {
            State::SignedIn(held) => held.tokens.refresh.clone(),
            State::Ended { .. } => None,
        }
    }

    /// The best token to revoke: the refresh token ends everything.
    pub(super) fn token_to_revoke(&self) -> Option<(SecretString, bool)> {
        match &self.state {
            State::SignedIn(held) => Some(match &held.tokens.refresh {
                Some(refresh) => (refresh.clone(), true),
                None => (held.tokens.access.clone(), false),
            }),
            State::Ended { .. } => None,
        }
    }

    /// Takes in the answer to a refresh.
    pub(super) fn heard(&mut self, answer: Answer, now: Instant) {
        let State::SignedIn(held) = &mut self.state else {
            return;
        };
        let text = match answer {
            Answer::Tokens(new) => {
                held.tokens = Tokens {
                    refresh: new.refresh.or_else(|| held.tokens.refresh.take()),
                    scope: new.scope.or_else(|| held.tokens.scope.take()),
                    ..new
                };
                held.obtained = now;
                held.refreshes = held.refreshes.saturating_add(1);
                held.trouble = None;
                format!("Refresh number {}", held.refreshes)
            }
            Answer::Unavailable { what, retry_after } => {
                let failures = held.trouble.as_ref().map_or(0, |trouble| trouble.failures);
                let pause = pause(failures, retry_after);
                let text = format!("{what}; trying again in {}", seconds(pause));
                held.trouble = Some(Trouble {
                    what,
                    failures: failures.saturating_add(1),
                    next_try: now + pause,
                });
                text
            }
            Answer::Refused(refusal) => {
                let text = format!("The server refused: {}", refusal.error);
                self.state = State::Ended { at: now, why: End::ByServer(refusal) };
                text
            }
        };
        self.note(now, text);
    }

    /// The person signed out here. The tokens are gone with it.
    pub(super) fn sign_out(&mut self, told_server: Result<(), String>, now: Instant) {
        self.state = State::Ended { at: now, why: End::Here };
        self.note(
            now,
            match told_server {
                Ok(()) => "Signed out; the server has ended this session".to_owned(),
                Err(what) => format!("Signed out here, but the server doesn't know: {what}"),
            },
        );
    }

    fn note(&mut self, at: Instant, text: String) {
        self.events.push_front(Event { at, text });
        self.events.truncate(EVENTS);
    }
}

fn pause(failures: u32, retry_after: Option<Duration>) -> Duration {
    match retry_after {
        Some(asked) => asked.clamp(Duration::from_secs(1), LONGEST_RETRY_AFTER),
        None => {
            Duration::from_secs(1).saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST_PAUSE)
        }
    }
}

/// A token so that a person can tell one from another, and nobody can use it.
pub(super) fn shortened(token: &str) -> String {
    let length = token.chars().count();
    if length < 24 {
        return format!("({length} characters)");
    }
    let head: String = token.chars().take(8).collect();
    let tail: String = token.chars().skip(length - 6).collect();
    format!("{head}…{tail} ({length} characters)")
}

/// A time as a person says it: `18 seconds`, `2 minutes`.
pub(super) fn seconds(time: Duration) -> String {
    let seconds = time.as_secs();
    let (number, unit) = match seconds {
        0..=119 => (seconds, "second"),
        120..=7_199 => (seconds / 60, "minute"),
        _ => (seconds / 3_600, "hour"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

/// How long ago something was.
pub(super) fn ago(time: Duration) -> String {
    if time.as_secs() == 0 { "just now".to_owned() } else { format!("{} ago", seconds(time)) }
}

/// What is left of an access token, in whole seconds; `None` if it never said.
pub(super) fn remaining(held: &SignedIn, now: Instant) -> Option<Duration> {
    let life = held.tokens.life?;
    let left = life.saturating_sub(now.saturating_duration_since(held.obtained));
    // Rounded up: "0 seconds" is when it is over.
    Some(Duration::from_secs(left.as_millis().div_ceil(1_000) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    fn tokens(number: u32, life: u64) -> Tokens {
        Tokens {
            access: format!("access {number}").into(),
            refresh: Some(format!("refresh {number}").into()),
            life: Some(Duration::from_secs(life)),
            scope: Some("notes.read".to_owned()),
        }
    }

    fn unavailable(retry_after: Option<u64>) -> Answer {
        Answer::Unavailable {
            what: "No answer".to_owned(),
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    fn held(session: &Session) -> &SignedIn {
        match &session.state {
            State::SignedIn(held) => held,
            State::Ended { .. } => panic!("it has ended"),
        }
    }

    fn second(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn it_refreshes_five_seconds_ahead_and_short_lives_at_their_half() {
        let now = Instant::now();
        for (life, after) in [(20, 15), (600, 595), (10, 5), (4, 2)] {
            let session = Session::begin(tokens(0, life), now);
            assert_eq!(session.next_refresh(), Some(now + second(after)), "{life}");
        }
    }

    #[test]
    fn there_is_nothing_to_refresh_without_a_refresh_token_or_a_life() {
        let now = Instant::now();
        let mut alone = tokens(0, 20);
        alone.refresh = None;
        assert_eq!(Session::begin(alone, now).next_refresh(), None);
        let mut endless = tokens(0, 20);
        endless.life = None;
        assert_eq!(Session::begin(endless, now).next_refresh(), None);
    }

    #[test]
    fn new_tokens_take_the_place_of_the_old() {
        let now = Instant::now();
        let mut session = Session::begin(tokens(0, 20), now);
        session.heard(Answer::Tokens(tokens(1, 30)), now + second(15));
        assert_eq!(held(&session).refreshes, 1);
        assert_eq!(held(&session).tokens.access.expose_secret(), "access 1");
        assert_eq!(session.next_refresh(), Some(now + second(15 + 25)));

        let bare = Tokens { refresh: None, scope: None, ..tokens(2, 30) };
        session.heard(Answer::Tokens(bare), now + second(40));
        let refresh = session.refresh_token().unwrap();
        assert_eq!(refresh.expose_secret(), "refresh 1", "kept, as RFC 6749 says");
        assert_eq!(held(&session).tokens.scope.as_deref(), Some("notes.read"));
    }

    #[test]
    fn an_unavailable_server_is_asked_again_with_growing_patience() {
        let now = Instant::now();
        let mut session = Session::begin(tokens(0, 20), now);
        for pause in [1, 2, 4, 8, 16, 30, 30] {
            session.heard(unavailable(None), now);
            assert_eq!(session.next_refresh(), Some(now + second(pause)));
        }
        assert_eq!(session.refresh_token().unwrap().expose_secret(), "refresh 0");
        session.heard(Answer::Tokens(tokens(1, 20)), now);
        assert!(held(&session).trouble.is_none());
        session.heard(unavailable(None), now);
        assert_eq!(session.next_refresh(), Some(now + second(1)), "from the start");
    }

    #[test]
    fn retry_after_is_honoured_within_reason() {
        let now = Instant::now();
        for (asked, kept) in [(0, 1), (7, 7), (100_000, 300)] {
            let mut session = Session::begin(tokens(0, 20), now);
            session.heard(unavailable(Some(asked)), now);
            assert_eq!(session.next_refresh(), Some(now + second(kept)), "{asked}");
        }
    }

    #[test]
    fn a_refusal_ends_it_for_good_in_the_words_of_the_server() {
        let now = Instant::now();
        let mut session = Session::begin(tokens(0, 20), now);
        let refusal = Refusal {
            error: "invalid_grant".to_owned(),
            description: Some("An administrator has ended this session.".to_owned()),
            uri: None,
        };
        session.heard(Answer::Refused(refusal.clone()), now + second(15));
        let State::Ended { at, why } = &session.state else {
            panic!("still signed in");
        };
        assert_eq!((*at, why), (now + second(15), &End::ByServer(refusal)));
        assert_eq!(session.next_refresh(), None);
        assert!(session.token_to_revoke().is_none());

        // An answer that was still under way changes nothing any more.
        session.heard(Answer::Tokens(tokens(1, 20)), now + second(16));
        assert!(matches!(session.state, State::Ended { .. }));
    }

    #[test]
    fn signing_out_forgets_the_tokens() {
        let now = Instant::now();
        let mut session = Session::begin(tokens(0, 20), now);
        let (token, is_refresh) = session.token_to_revoke().unwrap();
        assert_eq!((token.expose_secret(), is_refresh), ("refresh 0", true));
        session.sign_out(Ok(()), now);
        assert!(session.refresh_token().is_none() && session.next_refresh().is_none());
    }

    #[test]
    fn only_the_last_few_events_are_kept() {
        let now = Instant::now();
        let mut session = Session::begin(tokens(0, 20), now);
        for number in 1..=40 {
            session.heard(Answer::Tokens(tokens(number, 20)), now);
        }
        assert_eq!(session.events.len(), EVENTS);
        assert_eq!(session.events[0].text, "Refresh number 40");
    }

    #[test]
    fn a_shortened_token_is_of_no_use() {
        let token = "prt_0123456789abcdefghijklmnopqrstuv";
        assert_eq!(shortened(token), "prt_0123…qrstuv (36 characters)");
        assert_eq!(shortened("short"), "(5 characters)");
    }

    #[test]
    fn the_countdown_reaches_nought_only_at_the_end() {
        let now = Instant::now();
        let session = Session::begin(tokens(0, 20), now);
        for (after, left) in [(0, 20), (1, 20), (1_000, 19), (19_999, 1), (20_000, 0), (30_000, 0)]
        {
            let at = now + Duration::from_millis(after);
            assert_eq!(remaining(held(&session), at), Some(second(left)), "{after}");
        }
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        assert_eq!(seconds(second(1)), "1 second");
        assert_eq!(seconds(second(90)), "90 seconds");
        assert_eq!(seconds(second(120)), "2 minutes");
        assert_eq!(ago(second(0)), "just now");
        assert_eq!(ago(second(7_200)), "2 hours ago");
    }
}
