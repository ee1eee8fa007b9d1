//! Times, numbers and names in words. Every function takes what it needs, the time too.

use chrono::{DateTime, Datelike, Utc};

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A moment for `<time datetime>`: what machines read and what people read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When {
    /// RFC 3339, in UTC.
    pub iso: String,
    /// The words.
    pub text: String,
}

fn moment(at_ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(at_ms).unwrap_or(if at_ms < 0 {
        DateTime::<Utc>::MIN_UTC
    } else {
        DateTime::<Utc>::MAX_UTC
    })
}

impl When {
    fn new(at_ms: i64, text: String) -> Self {
        Self { iso: moment(at_ms).format("%Y-%m-%dT%H:%M:%SZ").to_string(), text }
    }

    /// For people: relative under a day ("2 minutes ago"), then a date ("1 September").
    pub fn ago(now_ms: i64, at_ms: i64) -> Self {
        Self::new(at_ms, relative(now_ms, at_ms).unwrap_or_else(|| date(now_ms, at_ms)))
    }

    /// As [`When::ago`], to follow a verb: "2 minutes ago", "on 1 September".
    pub fn on(now_ms: i64, at_ms: i64) -> Self {
        Self::new(
            at_ms,
            relative(now_ms, at_ms).unwrap_or_else(|| format!("on {}", date(now_ms, at_ms))),
        )
    }

    /// As [`When::on`], at the start of a sentence.
    pub fn on_capital(now_ms: i64, at_ms: i64) -> Self {
        let mut when = Self::on(now_ms, at_ms);
        when.text = capital(&when.text);
        when
    }

    /// A date: "23 December", with the year when it is another one.
    pub fn date(now_ms: i64, at_ms: i64) -> Self {
        Self::new(at_ms, date(now_ms, at_ms))
    }

    /// A date with its year.
    pub fn full_date(at_ms: i64) -> Self {
        Self::new(at_ms, moment(at_ms).format("%-d %B %Y").to_string())
    }

    /// The clock, for something within the hours to come: "14:36 UTC".
    pub fn clock(at_ms: i64) -> Self {
        Self::new(at_ms, moment(at_ms).format("%H:%M UTC").to_string())
    }

    /// The clock with seconds: "14:32:07 UTC".
    pub fn clock_seconds(at_ms: i64) -> Self {
        Self::new(at_ms, moment(at_ms).format("%H:%M:%S UTC").to_string())
    }

    /// For administrators, in running text: "23 November 2026, 14:31:05 UTC".
    pub fn exact(at_ms: i64) -> Self {
        Self::new(at_ms, moment(at_ms).format("%-d %B %Y, %H:%M:%S UTC").to_string())
    }

    /// For administrators, in columns that are headed as UTC: "23 Nov, 14:31:05".
    pub fn stamp(now_ms: i64, at_ms: i64) -> Self {
        let at = moment(at_ms);
        let pattern = if at.year() == moment(now_ms).year() {
            "%-d %b, %H:%M:%S"
        } else {
            "%-d %b %Y, %H:%M:%S"
        };
        Self::new(at_ms, at.format(pattern).to_string())
    }

    /// For a list of what happened to one person: "23 November, 14:31 UTC".
    pub fn event(now_ms: i64, at_ms: i64) -> Self {
        Self::new(at_ms, format!("{}, {}", date(now_ms, at_ms), moment(at_ms).format("%H:%M UTC")))
    }
}

fn date(now_ms: i64, at_ms: i64) -> String {
    let at = moment(at_ms);
    let pattern = if at.year() == moment(now_ms).year() { "%-d %B" } else { "%-d %B %Y" };
    at.format(pattern).to_string()
}

fn relative(now_ms: i64, at_ms: i64) -> Option<String> {
    let past = now_ms.saturating_sub(at_ms);
    match past {
        // Clocks of two nodes may differ a little: a moment ahead is now.
        _ if (-MINUTE..MINUTE).contains(&past) => Some("a moment ago".to_owned()),
        _ if (MINUTE..2 * MINUTE).contains(&past) => Some("a minute ago".to_owned()),
        _ if (2 * MINUTE..HOUR).contains(&past) => Some(format!("{} minutes ago", past / MINUTE)),
        _ if (HOUR..2 * HOUR).contains(&past) => Some("an hour ago".to_owned()),
        _ if (2 * HOUR..DAY).contains(&past) => Some(format!("{} hours ago", past / HOUR)),
        _ => None,
    }
}

/// A length of time in the largest unit that says it without a fraction: "20 seconds", "30 days".
pub fn span(seconds: u64) -> String {
    match seconds {
        0 => "no time".to_owned(),
        _ if seconds.is_multiple_of(86_400) => count(seconds / 86_400, "day", "days"),
        _ if seconds.is_multiple_of(3_600) => count(seconds / 3_600, "hour", "hours"),
        _ if seconds.is_multiple_of(60) => count(seconds / 60, "minute", "minutes"),
        _ => count(seconds, "second", "seconds"),
    }
}

/// About how long it is until a moment: "less than a minute", "about 4 minutes", "about 2 hours".
pub fn about(now_ms: i64, until_ms: i64) -> String {
    let left = until_ms.saturating_sub(now_ms);
    if left < MINUTE {
        return "less than a minute".to_owned();
    }
    let (unit, one, many) =
        if left < HOUR { (MINUTE, "minute", "minutes") } else { (HOUR, "hour", "hours") };
    let rounded = u64::try_from(left.saturating_add(unit / 2) / unit).unwrap_or(1);
    format!("about {}", count(rounded, one, many))
}

/// A number with thousands separators: 12,486.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A counted word: "1 session", "18,902 sessions".
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number), if number == 1 { one } else { many })
}

/// The first letters of the first and the last word of a name, or "?".
pub fn initials(name: &str) -> String {
    let mut firsts = name
        .split_whitespace()
        .filter_map(|word| word.chars().find(|letter| letter.is_alphanumeric()));
    let first = firsts.next();
    let last = firsts.next_back();
    let letters: String = first.into_iter().chain(last).flat_map(char::to_uppercase).collect();
    if letters.is_empty() { "?".to_owned() } else { letters }
}

/// The letter on an app's tile, or "?".
pub fn letter(name: &str) -> String {
    let letter: String = name
        .chars()
        .find(|letter| letter.is_alphanumeric())
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    if letter.is_empty() { "?".to_owned() } else { letter }
}

/// The first word of a name, to speak to a person with.
pub fn first_name(name: &str) -> &str {
    name.split_whitespace().next().unwrap_or(name)
}

/// The text with its first letter as a capital.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // 23 November 2026, 14:32:07 UTC
    const NOW: i64 = 1_795_444_327_000;

    #[test]
    fn people_read_relative_times_under_a_day_and_dates_after() {
        let ago = |ms: i64| When::ago(NOW, NOW - ms).text;
        assert_eq!(ago(0), "a moment ago");
        assert_eq!(ago(-5_000), "a moment ago");
        assert_eq!(ago(59_999), "a moment ago");
        assert_eq!(ago(MINUTE), "a minute ago");
        assert_eq!(ago(2 * MINUTE), "2 minutes ago");
        assert_eq!(ago(HOUR - 1), "59 minutes ago");
        assert_eq!(ago(HOUR), "an hour ago");
        assert_eq!(ago(DAY - 1), "23 hours ago");
        assert_eq!(ago(DAY), "22 November");
        assert_eq!(ago(400 * DAY), "19 October 2025");
        assert_eq!(When::on(NOW, NOW - 400 * DAY).text, "on 19 October 2025");
        assert_eq!(When::on_capital(NOW, NOW - MINUTE).text, "A minute ago");
        assert_eq!(When::date(NOW, NOW + 30 * DAY).text, "23 December");
    }

    #[test]
    fn administrators_read_exact_times_in_utc() {
        assert_eq!(When::exact(NOW).text, "23 November 2026, 14:32:07 UTC");
        assert_eq!(When::exact(NOW).iso, "2026-11-23T14:32:07Z");
        assert_eq!(When::stamp(NOW, NOW - DAY).text, "22 Nov, 14:32:07");
        assert_eq!(When::stamp(NOW, NOW - 400 * DAY).text, "19 Oct 2025, 14:32:07");
        assert_eq!(When::clock(NOW).text, "14:32 UTC");
        assert_eq!(When::clock_seconds(NOW).text, "14:32:07 UTC");
        assert_eq!(When::event(NOW, NOW).text, "23 November, 14:32 UTC");
        assert_eq!(When::full_date(0).text, "1 January 1970");
    }

    #[test]
    fn impossible_times_do_not_panic() {
        for at in [i64::MIN, i64::MAX] {
            let _ = (
                When::ago(NOW, at),
                When::stamp(at, NOW),
                When::exact(at),
                about(at, NOW),
                about(NOW, at),
            );
        }
    }

    #[test]
    fn numbers_have_separators() {
        let read: Vec<String> =
            [0, 7, 999, 1_000, 18_902, 1_234_567].into_iter().map(thousands).collect();
        assert_eq!(read, ["0", "7", "999", "1,000", "18,902", "1,234,567"]);
        assert_eq!(count(1, "session", "sessions"), "1 session");
        assert_eq!(count(0, "session", "sessions"), "0 sessions");
        assert_eq!(count(1_806, "session", "sessions"), "1,806 sessions");
    }

    #[test]
    fn spans_use_their_largest_whole_unit() {
        let read: Vec<String> =
            [0, 20, 60, 600, 3_600, 86_400, 2_592_000, 90].into_iter().map(span).collect();
        assert_eq!(
            read,
            [
                "no time",
                "20 seconds",
                "1 minute",
                "10 minutes",
                "1 hour",
                "1 day",
                "30 days",
                "90 seconds"
            ]
        );
        assert_eq!(about(NOW, NOW + 233_000), "about 4 minutes");
        assert_eq!(about(NOW, NOW + 20_000), "less than a minute");
        assert_eq!(about(NOW, NOW + 2 * HOUR), "about 2 hours");
    }

    #[test]
    fn names_become_letters() {
        assert_eq!(initials("Ada Fern"), "AF");
        assert_eq!(initials("ada maria fern"), "AF");
        assert_eq!(initials("Ada"), "A");
        assert_eq!(initials("  "), "?");
        assert_eq!(initials("<b> écru"), "BÉ");
        assert_eq!(letter("meadow notes"), "M");
        assert_eq!(letter("…"), "?");
        assert_eq!(first_name("Ada Fern"), "Ada");
        assert_eq!(capital("élan"), "Élan");
    }
}
