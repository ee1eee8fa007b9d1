//! A session's state in words: for its person, and for administrators.

use super::views::{Badge, Device, Tone, count, device, words};
use crate::domain::time::Timestamp;
use crate::domain::token_family::{EndCause, Expiry, Status};
use crate::storage::families::{Family, QUIET};

/// The badge that administrators see.
pub fn badge(family: &Family, now: Timestamp) -> Badge {
    match family.status {
        Status::Ended { cause, .. } => match cause {
            EndCause::Reuse | EndCause::CodeReuse => Badge::reuse(),
            EndCause::Admin
            | EndCause::Client
            | EndCause::UserDisabled
            | EndCause::UserRemoved
            | EndCause::ClientRemoved => Badge::revoked(),
            EndCause::SignedOut
            | EndCause::Person
            | EndCause::PasswordChanged
            | EndCause::ConsentWithdrawn => Badge::signed_out(),
        },
        Status::Live if !family.is_live(now) => Badge::expired(),
        Status::Live if now.since(family.chain.given_at) >= QUIET => Badge::quiet(),
        Status::Live => Badge::active(),
    }
}

/// When it ended, by somebody or by itself.
pub fn ended_at(family: &Family, now: Timestamp) -> Option<Timestamp> {
    match family.status {
        Status::Ended { at, .. } => Some(at),
        Status::Live if family.is_live(now) => None,
        Status::Live => Some(family.lifetime.next_end(family.chain.given_at)),
    }
}

/// The badge and the reason that the person sees, once it ended.
pub fn told_to_person(family: &Family, now: Timestamp) -> (Badge, Option<&'static str>) {
    let by_us = || Badge::new(Tone::Bad, "alert", "Signed out by us");
    let by_you = || Badge::new(Tone::Plain, "out", "Signed out by you");
    let plain = |text: &str| Badge::new(Tone::Plain, "x", text);
    match family.status {
        Status::Live => {
            let why = match family.lifetime.passed(family.chain.given_at, now) {
                Some(Expiry::ReachedEnd) => "It reached the longest time that a session may last.",
                _ => "It went unused for too long.",
            };
            (Badge::new(Tone::Plain, "clock", "Ended by itself"), Some(why))
        }
        Status::Ended { cause, .. } => match cause {
            EndCause::Reuse => (by_us(), Some("Its sign-in key was used from two places.")),
            EndCause::CodeReuse => (by_us(), Some("The code it signed in with was used twice.")),
            EndCause::Person | EndCause::SignedOut => (by_you(), None),
            EndCause::PasswordChanged => (by_you(), Some("Your password was changed.")),
            EndCause::ConsentWithdrawn => (by_you(), Some("You took the app’s access back.")),
            EndCause::Admin => (plain("Signed out by an administrator"), None),
            EndCause::Client => (plain("Signed out by the app"), None),
            EndCause::UserDisabled => {
                (plain("Signed out by an administrator"), Some("Your account was disabled."))
            }
            EndCause::UserRemoved => (plain("Signed out by an administrator"), None),
            EndCause::ClientRemoved => {
                (plain("Signed out by an administrator"), Some("The app was removed."))
            }
        },
    }
}

/// The device that a session's newest token went to.
pub fn device_of(family: &Family) -> Device {
    device(Some(&family.caller_agent))
}

/// "Meadow Notes on Linux"; the app alone where a program says nothing about its device.
pub fn title(app: &str, device: &Device) -> String {
    if device.icon == "terminal" || device.head == "Unknown" {
        app.to_owned()
    } else {
        format!("{app} on {}", device.head)
    }
}

/// "Quiet for 41 days", for one that wasn't used lately.
pub fn quiet(family: &Family, now: Timestamp) -> Option<Badge> {
    let unused = now.since(family.chain.given_at);
    (unused >= QUIET).then(|| {
        let days = count(unused.as_secs() / 86_400, "day", "days");
        Badge::new(Tone::Warn, "clock", format!("Quiet for {days}"))
    })
}

/// How long ago something was, roughly: "40 seconds", "23 minutes", "3 days".
pub fn roughly(seconds: u64) -> String {
    match seconds {
        0 => "less than a second".to_owned(),
        1..=119 => words::span(seconds),
        120..=7_199 => count(seconds / 60, "minute", "minutes"),
        7_200..=172_799 => count(seconds / 3_600, "hour", "hours"),
        _ => count(seconds / 86_400, "day", "days"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::caller::CallerId;
    use crate::domain::client::ClientId;
    use crate::domain::id::{FamilyId, UserId};
    use crate::domain::scope::Scope;
    use crate::domain::token_family::{Chain, KeyId, Lifetime};

    const DAY: Duration = Duration::from_secs(86_400);

    /// A family that was begun and last used at `at`, at this generation.
    pub(in crate::web) fn family(at: Timestamp, generation: u64) -> Family {
        Family {
            id: FamilyId::from_bytes([1; 16]),
            nonce: [0; 16],
            user_id: UserId::from_bytes([2; 16]),
            client_id: ClientId::parse("meadow-notes").unwrap(),
            claims: None,
            scope: Scope::empty(),
            audience: Vec::new(),
            browser_session: None,
            created_at: at,
            auth_time: at,
            refreshable: true,
            lifetime: Lifetime { idle: DAY * 30, ends_at: Some(at.plus(DAY * 365)) },
            chain: Chain {
                generation,
                key: KeyId(1),
                issued_at: at,
                given_at: at,
                given_to: CallerId::from_bytes([0; 8]),
                parent: None,
                known: Vec::new(),
                written_at: at,
            },
            row_version: 0,
            status: Status::Live,
            caller_ip: "203.0.113.24".into(),
            caller_agent: "curl/8.14.1".into(),
            alarm_at: None,
            ended_by: None,
            end_reason: None,
        }
    }

    #[test]
    fn a_session_is_active_then_quiet_then_expired() {
        let start = Timestamp::from_millis(1_795_444_327_000);
        let own = family(start, 3);
        let texts: Vec<String> =
            [0, 6, 7, 29, 30].map(|days| badge(&own, start.plus(DAY * days)).text).into();
        assert_eq!(texts, ["Active", "Active", "Quiet", "Quiet", "Expired"]);
        assert_eq!(ended_at(&own, start.plus(DAY * 40)), Some(start.plus(DAY * 30)));
        assert_eq!(ended_at(&own, start), None);
        assert_eq!(quiet(&own, start.plus(DAY * 8)).unwrap().text, "Quiet for 8 days");
    }

    #[test]
    fn every_end_has_a_badge_and_tells_its_person_who_did_it() {
        let start = Timestamp::from_millis(0);
        for (cause, name) in EndCause::ALL {
            let status = Status::Ended { at: start, cause };
            let own = Family { status, ..family(start, 1) };
            assert_ne!(badge(&own, start), Badge::active(), "{name}");
            let (told, _) = told_to_person(&own, start);
            assert!(told.text.starts_with("Signed out by "), "{name}: {}", told.text);
        }
    }

    #[test]
    fn titles_name_the_device_where_it_is_known() {
        let linux =
            device(Some("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"));
        assert_eq!(title("Meadow Notes", &linux), "Meadow Notes on Linux");
        assert_eq!(title("Meadow Notes", &device(Some("curl/8"))), "Meadow Notes");
        assert_eq!(title("Meadow Notes", &device(None)), "Meadow Notes");
        assert_eq!(roughly(1_391), "23 minutes");
    }
}
