//! Reads one key after the other and remembers each: what was asked for is the
//! list of all settings, so code, help and manual can't disagree.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::error::{Origin, Problem};
use super::sources::{Given, Raw, variable_of_key};
use super::values::{Choice, DatabaseUrl, Issuer, without_password};

/// What there is to know about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name, with its section: `tokens.access_token_seconds`.
    pub name: &'static str,
    /// What its value is, with unit and bounds.
    pub kind: String,
    /// Its default, as a TOML file would have it.
    pub default: String,
    /// The default once more in a larger unit, where that reads better.
    pub default_words: Option<String>,
    /// One sentence or two.
    pub doc: &'static str,
}

impl Key {
    /// The section of the file that it stands in; empty for the head of it.
    pub fn section(&self) -> &'static str {
        self.name.split_once('.').map_or("", |(section, _)| section)
    }

    /// Its name inside the section.
    pub fn short_name(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(_, name)| name)
    }

    /// The environment variable that sets it.
    pub fn variable(&self) -> String {
        variable_of_key(self.name)
    }
}

#[derive(Default)]
pub(super) struct Reader {
    given: BTreeMap<String, Given>,
    pub(super) keys: Vec<Key>,
    pub(super) problems: Vec<Problem>,
}

/// The name of a key, and its sentence.
type Name = (&'static str, &'static str);

impl Reader {
    pub(super) fn new(given: BTreeMap<String, Given>, problems: Vec<Problem>) -> Self {
        Self { given, keys: Vec::new(), problems }
    }

    fn take<T>(
        &mut self,
        (name, doc): Name,
        kind: String,
        default: (T, String),
        parse: impl FnOnce(&Raw) -> Result<T, String>,
    ) -> T {
        let (default, default_text) = default;
        self.keys.push(Key { name, kind, default: default_text, default_words: None, doc });
        let Some(given) = self.given.get(name) else {
            return default;
        };
        match parse(&given.raw) {
            Ok(value) => value,
            Err(right) => {
                self.problem(name, right);
                default
            }
        }
    }

    /// Says that a key's value is wrong, whatever it came from.
    pub(super) fn problem(&mut self, name: &'static str, right: String) {
        let (value, origin) = match self.given.get(name) {
            Some(given) => (shown(name, &given.raw), given.origin.clone()),
            None => {
                let key = self.keys.iter().find(|key| key.name == name);
                let default = key.map(|key| key.default.clone()).unwrap_or_default();
                (default, Origin::Default)
            }
        };
        self.problems.push(Problem::Value { key: name, value, origin, right });
    }

    /// Once everything was read: what is left was never asked for.
    pub(super) fn refuse_unknown(&mut self) {
        for (key, given) in &self.given {
            if self.keys.iter().any(|known| known.name == key) {
                continue;
            }
            let variable = matches!(given.origin, Origin::Environment(_));
            let written = |key: &str| {
                if variable { variable_of_key(key) } else { key.to_owned() }
            };
            self.problems.push(Problem::UnknownKey {
                key: written(key),
                origin: given.origin.clone(),
                nearest: nearest(key, &self.keys).map(written),
            });
        }
    }

    pub(super) fn text(&mut self, name: Name, default: &str) -> String {
        let right = "some text";
        self.take(name, "text".to_owned(), (default.to_owned(), format!("{default:?}")), |raw| {
            match raw {
                Raw::Text(text) | Raw::Typed(text) if !text.trim().is_empty() => Ok(text.clone()),
                _ => Err(right.to_owned()),
            }
        })
    }

    /// Text with a rule of its own, which says what would be right.
    pub(super) fn checked<T: Display>(
        &mut self,
        name: Name,
        kind: &str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        let text = format!("\"{default}\"");
        let kind_again = kind.to_owned();
        self.take(name, kind.to_owned(), (default, text), |raw| match raw {
            Raw::Text(text) | Raw::Typed(text) => parse(text),
            _ => Err(format!("{kind_again}, in quotes")),
        })
    }

    pub(super) fn issuer(&mut self, name: Name, default: Issuer) -> Issuer {
        self.checked(name, "URL", default, Issuer::parse)
    }

    pub(super) fn database(&mut self, name: Name, default: DatabaseUrl) -> DatabaseUrl {
        self.checked(name, "URL", default, DatabaseUrl::parse)
    }

    pub(super) fn address(&mut self, name: Name, default: SocketAddr) -> SocketAddr {
        self.checked(name, "address and port", default, |text| {
            text.parse().map_err(|_| {
                "an IP address and a port, such as 127.0.0.1:8080 or [::]:8080".to_owned()
            })
        })
    }

    /// The address of a page, or nothing.
    pub(super) fn page(&mut self, name: Name) -> Option<String> {
        let text = self.checked(name, "URL", String::new(), |text| {
            let good = url::Url::parse(text)
                .is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host());
            if text.is_empty() || good {
                Ok(text.to_owned())
            } else {
                Err("an absolute http or https URL, or empty".to_owned())
            }
        });
        Some(text).filter(|text| !text.is_empty())
    }

    pub(super) fn path(&mut self, name: Name, default: &str) -> PathBuf {
        self.checked(name, "path", default.to_owned(), |text| {
            if text.is_empty() { Err("the path of a file".to_owned()) } else { Ok(text.to_owned()) }
        })
        .into()
    }

    /// The path of a file that needn't be named.
    pub(super) fn path_or_none(&mut self, name: Name) -> Option<PathBuf> {
        let path = self.checked(name, "path", String::new(), |text| Ok(text.to_owned()));
        (!path.is_empty()).then(|| path.into())
    }

    pub(super) fn flag(&mut self, name: Name, default: bool) -> bool {
        self.take(name, "true or false".to_owned(), (default, default.to_string()), |raw| match raw
        {
            Raw::Boolean(flag) => Ok(*flag),
            Raw::Typed(text) if text == "true" => Ok(true),
            Raw::Typed(text) if text == "false" => Ok(false),
            Raw::Text(_) => Err("true or false, without quotes".to_owned()),
            _ => Err("true or false".to_owned()),
        })
    }

    /// A whole number of something.
    pub(super) fn count<N>(
        &mut self,
        name: Name,
        unit: &str,
        bounds: RangeInclusive<N>,
        default: N,
    ) -> N
    where
        N: Copy + Display + PartialOrd + TryFrom<i64>,
    {
        let range = format!("{} to {}", bounds.start(), bounds.end());
        let of_unit = if unit.is_empty() { String::new() } else { format!(" of {unit}") };
        let kind = if unit.is_empty() { range.clone() } else { format!("{unit}, {range}") };
        self.take(name, kind, (default, default.to_string()), |raw| {
            let right = format!("a whole number{of_unit}, {range}");
            whole(raw, &right)
                .and_then(|number| N::try_from(number).map_err(|_| right.clone()))
                .and_then(|number| bounds.contains(&number).then_some(number).ok_or(right))
        })
    }

    /// A time in seconds.
    pub(super) fn seconds(
        &mut self,
        name: Name,
        bounds: RangeInclusive<u64>,
        default: u64,
    ) -> Duration {
        let seconds = self.count(name, "seconds", bounds, default);
        if let Some(key) = self.keys.last_mut() {
            key.default_words = in_words(default);
        }
        Duration::from_secs(seconds)
    }

    /// A time in seconds, 0 for none.
    pub(super) fn seconds_or_none(
        &mut self,
        name: Name,
        bounds: RangeInclusive<u64>,
        default: u64,
    ) -> Option<Duration> {
        let range = format!("{} to {}, or 0 for none", bounds.start(), bounds.end());
        let seconds =
            self.take(name, format!("seconds, {range}"), (default, default.to_string()), |raw| {
                let right = format!("a whole number of seconds, {range}");
                let number = u64::try_from(whole(raw, &right)?).map_err(|_| right.clone())?;
                if number == 0 || bounds.contains(&number) { Ok(number) } else { Err(right) }
            });
        if let Some(key) = self.keys.last_mut() {
            key.default_words = in_words(default);
        }
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }

    pub(super) fn choice<C: Choice>(&mut self, name: Name, default: C) -> C {
        let words: Vec<&str> = C::WORDS.iter().map(|(word, _)| *word).collect();
        let kind = words.join(" or ");
        let right = kind.clone();
        self.take(name, kind, (default, format!("{:?}", default.word())), |raw| match raw {
            Raw::Text(text) | Raw::Typed(text) => C::WORDS
                .iter()
                .find(|(word, _)| word == text)
                .map(|(_, choice)| *choice)
                .ok_or(right),
            _ => Err(right),
        })
    }

    /// Host names; without any, all.
    pub(super) fn hosts(&mut self, name: Name) -> Vec<String> {
        let right = "a list of host names, such as [\"app.example\", \"localhost:8443\"] (in a \
                     variable or flag: app.example,localhost:8443)";
        self.take(name, "list of hosts".to_owned(), (Vec::new(), "[]".to_owned()), |raw| {
            let items: Vec<&str> = match raw {
                Raw::List(items) => items.iter().map(String::as_str).collect(),
                Raw::Typed(text) => {
                    text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect()
                }
                _ => return Err(right.to_owned()),
            };
            let host = |item: &str| {
                let url = url::Url::parse(&format!("https://{item}/")).ok()?;
                (url.as_str() == format!("https://{item}/")).then(|| item.to_owned())
            };
            items.into_iter().map(|item| host(item).ok_or_else(|| right.to_owned())).collect()
        })
    }

    pub(super) fn networks(&mut self, name: Name) -> Vec<IpNet> {
        let right = "a list of addresses or networks, such as [\"10.0.0.0/8\", \"::1\"] \
                     (in a variable or flag: 10.0.0.0/8,::1)";
        self.list(name, "list of networks", right, network)
    }

    /// A list; `right` says what would be right where `parse` refuses an item.
    pub(super) fn list<T>(
        &mut self,
        name: Name,
        kind: &str,
        right: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        self.take(name, kind.to_owned(), (Vec::new(), "[]".to_owned()), |raw| {
            let items: Vec<&str> = match raw {
                Raw::List(items) => items.iter().map(String::as_str).collect(),
                Raw::Typed(text) => {
                    text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect()
                }
                _ => return Err(right.to_owned()),
            };
            items.into_iter().map(|item| parse(item).ok_or_else(|| right.to_owned())).collect()
        })
    }
}

fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| Some(IpNet::from(text.parse::<std::net::IpAddr>().ok()?)))
}

fn whole(raw: &Raw, right: &str) -> Result<i64, String> {
    match raw {
        Raw::Integer(number) => Ok(*number),
        Raw::Typed(text) => text.replace('_', "").parse().map_err(|_| right.to_owned()),
        Raw::Text(_) => Err(format!("{right}, without quotes")),
        _ => Err(right.to_owned()),
    }
}

fn shown(key: &str, raw: &Raw) -> String {
    match raw {
        Raw::Typed(text) | Raw::Text(text) if key == "database_url" => {
            format!("{:?}", without_password(text))
        }
        raw => raw.to_string(),
    }
}

fn in_words(seconds: u64) -> Option<String> {
    let (number, unit) = [(86_400, "day"), (3_600, "hour"), (60, "minute")]
        .into_iter()
        .find(|(size, _)| seconds.is_multiple_of(*size) && seconds > 0)
        .map(|(size, unit)| (seconds / size, unit))?;
    Some(format!("{number} {unit}{}", if number == 1 { "" } else { "s" }))
}

/// The known name that a wrong one most likely meant.
fn nearest<'k>(wrong: &str, keys: &'k [Key]) -> Option<&'k str> {
    keys.iter()
        .map(|key| {
            let whole = strsim::damerau_levenshtein(wrong, key.name);
            // The section may just be missing, or be another one.
            let last = wrong.rsplit_once('.').map_or(wrong, |(_, last)| last);
            let short = strsim::damerau_levenshtein(last, key.short_name()) + 1;
            (whole.min(short), key.name)
        })
        .min()
        .filter(|(distance, _)| *distance <= 2.max(wrong.len() / 4))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        assert_eq!(in_words(30), None);
        assert_eq!(in_words(60).as_deref(), Some("1 minute"));
        assert_eq!(in_words(90), None);
        assert_eq!(in_words(2_592_000).as_deref(), Some("30 days"));
    }

    #[test]
    fn a_single_address_is_a_network() {
        assert_eq!(network("10.1.2.3").map(|net| net.to_string()).as_deref(), Some("10.1.2.3/32"));
        assert_eq!(network("nonsense"), None);
    }
}
