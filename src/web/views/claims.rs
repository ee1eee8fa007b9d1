//! The standard claims of a person in words (OpenID Connect Core section 5.1): what an app asks
//! for one by one, and what the scope `profile` tells beside a name and a picture.

use super::scopes::{ScopeGroup, ScopeLine, ScopeWords};

/// Each claim, as a person calls it.
const NOUNS: [(&str, &str); 19] = [
    ("name", "your name"),
    ("preferred_username", "your username"),
    ("given_name", "your first names"),
    ("middle_name", "your middle names"),
    ("family_name", "your last names"),
    ("nickname", "your nickname"),
    ("picture", "your picture"),
    ("profile", "your profile page"),
    ("website", "your website"),
    ("birthdate", "your birthday"),
    ("gender", "your gender"),
    ("zoneinfo", "your time zone"),
    ("locale", "your language"),
    ("email", "your email address"),
    ("email_verified", "whether your email address is confirmed"),
    ("phone_number", "your phone number"),
    ("phone_number_verified", "whether your phone number is confirmed"),
    ("address", "your postal address"),
    ("updated_at", "when your details last changed"),
];

/// The line of a claim that is asked for by itself; `None` for one that is none.
pub fn claim_line(claim: &str, words: &ScopeWords) -> Option<ScopeLine> {
    let (_, noun) = NOUNS.iter().find(|(own, _)| *own == claim)?;
    let detail = match claim {
        "email" => words.email.clone(),
        "phone_number" => words.phone.clone(),
        "address" => words.address.clone(),
        _ => None,
    };
    Some(ScopeLine { group: ScopeGroup::Know, sentence: format!("See {noun}"), detail })
}

/// What the scope `profile` tells beside name and picture, of the claims that are filled in:
/// "Also your username, birthday and time zone".
pub fn also<'a>(filled: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let filled: Vec<&str> = filled.into_iter().collect();
    let told: Vec<&str> = NOUNS
        .iter()
        .filter(|(claim, _)| {
            filled.contains(claim) && !matches!(*claim, "name" | "picture" | "updated_at")
        })
        .filter_map(|(_, noun)| noun.strip_prefix("your "))
        .collect();
    let (last, others) = told.split_last()?;
    Some(match others {
        [] => format!("Also your {last}"),
        others => format!("Also your {} and {last}", others.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::claims;

    #[test]
    fn every_standard_claim_has_its_words() {
        let words = ScopeWords::default();
        for claim in claims::all() {
            assert!(claim_line(claim, &words).is_some(), "{claim}");
        }
        assert_eq!(claim_line("sub", &words), None);
        assert_eq!(NOUNS.len(), claims::all().count());
    }

    #[test]
    fn what_is_told_beside_the_name() {
        assert_eq!(also(["name", "picture", "updated_at"]), None);
        assert_eq!(also(["preferred_username"]).as_deref(), Some("Also your username"));
        assert_eq!(
            also(["zoneinfo", "name", "birthdate", "preferred_username"]).as_deref(),
            Some("Also your username, birthday and time zone")
        );
    }
}
