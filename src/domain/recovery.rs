//! A recovery after a restored backup: which of the tokens that the database has lost still
//! count, and until when. `decide` does the rest.

use std::time::Duration;

use super::time::Timestamp;

const DAY: Duration = Duration::from_secs(86_400);

/// How long a recovery stays open unless somebody says otherwise: apps that are used once a
/// week come back in it.
pub const USUAL_TIME: Duration = Duration::from_secs(7 * 86_400);

/// How long one may stay open.
pub const LONGEST_TIME: Duration = Duration::from_secs(30 * 86_400);

/// How long one stays open at least: shorter is a slip of the pen.
pub const SHORTEST_TIME: Duration = Duration::from_secs(60);

/// How much may have been lost: a wider interval is a mistyped date.
pub const WIDEST: Duration = Duration::from_secs(31 * 86_400);

/// A recovery that an administrator opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// When the backup was made: tokens issued from then on are lost.
    pub since: Timestamp,
    /// When the server that issued them stopped.
    pub until: Timestamp,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it closes by itself.
    pub closes_at: Timestamp,
    /// Who opened it, in words.
    pub opened_by: String,
}

/// Why there is no such recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The interval ends before it begins.
    #[error(
        "it must be later than --since; --since is when the backup was made, --until when the \
         server that ran after it stopped"
    )]
    Backwards,
    /// It ends in the future.
    #[error(
        "it lies in the future; it is when the server that ran before the restore stopped, and \
         now it is {}",
        now.to_rfc3339()
    )]
    Future {
        /// The time.
        now: Timestamp,
    },
    /// It is too wide.
    #[error(
        "it lies more than {} days before --until; tokens of so long a time can't all be trusted \
         again: restore a newer backup, or let people sign in again",
        WIDEST.as_secs() / 86_400
    )]
    TooWide,
    /// It would stay open for too short or too long.
    #[error("a recovery stays open for 1m to {}d", LONGEST_TIME.as_secs() / 86_400)]
    Time,
}

impl Fault {
    /// The flag that it belongs to.
    pub fn flag(self) -> &'static str {
        match self {
            Self::Backwards | Self::Future { .. } => "--until",
            Self::TooWide => "--since",
            Self::Time => "--for",
        }
    }
}

impl Recovery {
    /// For tokens issued from `since` to the end of the second `until`, open for `time`.
    ///
    /// # Errors
    /// What can't be meant.
    pub fn new(
        since: Timestamp,
        until: Timestamp,
        time: Duration,
        opened_by: String,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        if until > now {
            return Err(Fault::Future { now });
        }
        // Whoever noted "stopped at 12:00:07" means the whole second.
        let rest = 999 - until.as_millis().rem_euclid(1000);
        let until = Timestamp::from_millis(until.as_millis().saturating_add(rest));
        if since >= until {
            return Err(Fault::Backwards);
        }
        if until.since(since) > WIDEST {
            return Err(Fault::TooWide);
        }
        if !(SHORTEST_TIME..=LONGEST_TIME).contains(&time) {
            return Err(Fault::Time);
        }
        Ok(Self { since, until, opened_at: now, closes_at: now.plus(time), opened_by })
    }

    /// Whether it counts at `now`.
    pub fn is_open(&self, now: Timestamp) -> bool {
        now < self.closes_at
    }
}

/// Reads how long a recovery stays open: `90m`, `24h`, `7d`.
///
/// # Errors
/// A sentence that says what would be right.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{text}\" is not a length of time; write it like 90m, 24h or 7d");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let unit = match unit {
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        "d" => DAY,
        _ => return Err(wrong()),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    unit.checked_mul(number).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn new(since: i64, until: i64, time: Duration) -> Result<Recovery, Fault> {
        Recovery::new(at(since), at(until), time, "somebody".into(), at(10_000_000))
    }

    #[test]
    fn it_holds_to_the_end_of_its_last_second_and_closes_by_itself() {
        let open = new(1_000, 2_000, USUAL_TIME).unwrap();
        assert_eq!(open.until, Timestamp::from_millis(2_000_999));
        assert!(new(2_000, 2_000, USUAL_TIME).is_ok(), "all in one second");
        assert!(open.is_open(at(10_000_000)));
        assert!(open.is_open(at(10_000_000 + 7 * 86_400 - 1)));
        assert!(!open.is_open(at(10_000_000 + 7 * 86_400)));
    }

    #[test]
    fn what_can_not_be_meant_is_refused_under_its_flag() {
        let flag = |since, until, time| new(since, until, time).unwrap_err().flag();
        assert_eq!(flag(2_001, 2_000, USUAL_TIME), "--until");
        assert_eq!(flag(1_000, 10_000_001, USUAL_TIME), "--until");
        assert_eq!(flag(1_000, 1_001 + 31 * 86_400, USUAL_TIME), "--since");
        assert_eq!(flag(1_000, 2_000, DAY * 31), "--for");
        assert_eq!(flag(1_000, 2_000, Duration::from_secs(59)), "--for");
    }

    #[test]
    fn a_length_of_time_has_a_unit() {
        assert_eq!(parse_time("90m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(parse_time("24h"), Ok(DAY));
        assert_eq!(parse_time("7d"), Ok(USUAL_TIME));
        for bad in ["", "7", "d", "-1d", "1w", "1.5h", "9999999999d", "ü"] {
            assert!(parse_time(bad).unwrap_err().contains("7d"), "{bad}");
        }
    }
}
