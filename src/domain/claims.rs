//! Which standard claims an app is told of a person (OpenID Connect Core sections 5.1, 5.4 and
//! 5.5): those of the scopes that were granted, and those that were asked for one by one, no
//! others. Both are named on the consent page.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::account::Account;
use super::claims_request::{ClaimAsked, ClaimsRequest};
use super::profile::Field;
use super::scope::Scope;

/// Each scope's claims (section 5.4).
const SCOPES: [(&str, &[&str]); 4] = [
    (
        "profile",
        &[
            "name",
            "given_name",
            "middle_name",
            "family_name",
            "nickname",
            "preferred_username",
            "profile",
            "picture",
            "website",
            "gender",
            "birthdate",
            "zoneinfo",
            "locale",
            "updated_at",
        ],
    ),
    ("email", &["email", "email_verified"]),
    ("address", &["address"]),
    ("phone", &["phone_number", "phone_number_verified"]),
];

/// One member of a [`ClaimsRequest`]: for the UserInfo endpoint, or for the ID token.
pub type Asked = BTreeMap<String, Option<ClaimAsked>>;

/// The names of all standard claims, scope by scope.
pub fn all() -> impl Iterator<Item = &'static str> {
    SCOPES.iter().flat_map(|(_, claims)| claims.iter().copied())
}

/// The claims that a scope gives; none for a scope that isn't about who a person is.
pub fn of_scope(scope: &str) -> &'static [&'static str] {
    SCOPES.iter().find(|(own, _)| *own == scope).map_or(&[], |(_, claims)| claims)
}

/// Whether a scope gives this claim.
pub fn is_given(scope: &Scope, claim: &str) -> bool {
    scope.iter().any(|own| of_scope(own).contains(&claim))
}

/// The claim of this name with the scope that it belongs to.
fn known(name: &str) -> Option<(&'static str, &'static str)> {
    SCOPES.iter().find_map(|(scope, claims)| {
        claims.iter().find(|own| **own == name).map(|claim| (*claim, *scope))
    })
}

/// What a request asks for one by one that `scope` doesn't give already, as far as a client may
/// ask that may ask for `allowed`. It must be named when the person is asked.
pub fn beyond(request: &ClaimsRequest, scope: &Scope, allowed: &Scope) -> BTreeSet<&'static str> {
    request
        .userinfo
        .keys()
        .chain(request.id_token.keys())
        .filter_map(|name| known(name))
        .filter(|(_, own)| allowed.contains(own) && !scope.contains(own))
        .map(|(claim, _)| claim)
        .collect()
}

/// What an app is told: the claims of `granted`, and those that it asked for one by one as far
/// as a client may that may ask for `allowed`. What is empty is left out, and so is a claim with
/// another value than the one that was asked for.
pub fn told(
    person: &Account,
    granted: &Scope,
    asked: &Asked,
    allowed: &Scope,
) -> Map<String, Value> {
    let by_scope = granted.iter().flat_map(of_scope).copied();
    let one_by_one = asked
        .keys()
        .filter_map(|name| known(name))
        .filter(|(_, scope)| allowed.contains(scope))
        .map(|(claim, _)| claim);
    let mut told = Map::new();
    for name in by_scope.chain(one_by_one) {
        let wanted = asked.get(name).and_then(Option::as_ref);
        if let Some(value) = value(person, name)
            && wanted.is_none_or(|wanted| wanted.accepts(&value))
        {
            told.insert(name.to_owned(), value);
        }
    }
    told
}

/// The claims of a scope that this person has something to tell by.
pub fn filled<'a>(
    person: &'a Account,
    scope: &str,
) -> impl Iterator<Item = &'static str> + use<'a> {
    of_scope(scope).iter().copied().filter(|name| value(person, name).is_some())
}

/// The value of one claim; `None` where there is nothing to tell.
fn value(person: &Account, name: &str) -> Option<Value> {
    let text = |text: &str| (!text.is_empty()).then(|| Value::from(text));
    let profile = &person.profile;
    match name {
        "name" => text(&person.display_name),
        "preferred_username" => text(&person.username),
        "email" => text(&person.email),
        "email_verified" => (!person.email.is_empty()).then_some(person.email_verified.into()),
        "phone_number_verified" => (!profile.get(Field::PhoneNumber).is_empty())
            .then_some(profile.phone_number_verified.into()),
        "updated_at" => {
            Some(person.profile_updated_at.unwrap_or(person.created_at).as_seconds().into())
        }
        "address" => {
            let parts: Map<String, Value> = Field::ADDRESS
                .iter()
                .filter_map(|part| Some((part.name().to_owned(), text(profile.get(*part))?)))
                .collect();
            (!parts.is_empty()).then_some(parts.into())
        }
        name => text(profile.get(Field::from_name(name)?)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::account::AccountStatus;
    use crate::domain::id::UserId;
    use crate::domain::profile::Profile;
    use crate::domain::time::Timestamp;

    fn ada() -> Account {
        let mut profile = Profile::default();
        for (field, text) in [
            (Field::GivenName, "Ada"),
            (Field::FamilyName, "Fern"),
            (Field::Birthdate, "1990-12-24"),
            (Field::PhoneNumber, "+442079460958"),
            (Field::StreetAddress, "2 Fern Walk\nFlat 3"),
            (Field::Country, "United Kingdom"),
        ] {
            profile.set(field, text).unwrap();
        }
        Account {
            id: UserId::from_bytes([1; 16]),
            username: "ada".into(),
            email: "ada@northfield.example".into(),
            display_name: "Ada Fern".into(),
            is_admin: false,
            status: AccountStatus::Active,
            created_at: Timestamp::from_millis(5_999),
            last_sign_in_at: None,
            password_changed_at: Timestamp::from_millis(0),
            email_verified: true,
            profile,
            profile_updated_at: None,
        }
    }

    fn scope(text: &str) -> Scope {
        text.parse().unwrap()
    }

    fn request(text: &str) -> ClaimsRequest {
        ClaimsRequest::parse(text).unwrap()
    }

    const EVERYTHING: &str = "openid profile email address phone";

    #[test]
    fn each_scope_gives_its_claims_with_their_types_and_nothing_empty() {
        let told =
            |granted| Value::from(told(&ada(), &scope(granted), &Asked::new(), &scope(EVERYTHING)));
        assert_eq!(told("openid"), json!({}));
        assert_eq!(
            told("openid profile"),
            json!({
                "name": "Ada Fern", "given_name": "Ada", "family_name": "Fern",
                "preferred_username": "ada", "birthdate": "1990-12-24", "updated_at": 5,
            })
        );
        assert_eq!(
            told("email phone address notes.read"),
            json!({
                "email": "ada@northfield.example", "email_verified": true,
                "phone_number": "+442079460958", "phone_number_verified": false,
                "address": {
                    "street_address": "2 Fern Walk\nFlat 3", "country": "United Kingdom",
                },
            })
        );
    }

    #[test]
    fn a_claim_is_asked_for_by_itself_and_for_one_value() {
        let told = |granted: &str, asked: &str| {
            let asked = request(&format!("{{\"userinfo\":{asked}}}")).userinfo;
            Value::from(told(&ada(), &scope(granted), &asked, &scope(EVERYTHING)))
        };
        assert_eq!(told("openid", r#"{"name":{"essential":true}}"#), json!({"name": "Ada Fern"}));
        assert_eq!(told("openid", r#"{"nickname":{"essential":true}}"#), json!({}), "she has none");
        assert_eq!(told("openid", r#"{"sub":null,"acr":null,"password_hash":null}"#), json!({}));
        assert_eq!(told("openid", r#"{"name#de":null}"#), json!({}));
        assert_eq!(told("openid", r#"{"email_verified":{"value":false}}"#), json!({}));
        assert_eq!(
            told(
                "openid email",
                r#"{"email":{"values":["x@y.example","ada@northfield.example"]}}"#
            ),
            json!({"email": "ada@northfield.example", "email_verified": true})
        );
        assert_eq!(
            told("openid email", r#"{"email":{"value":"x@y.example"}}"#),
            json!({"email_verified": true}),
            "another value than she has"
        );
    }

    #[test]
    fn the_page_names_what_the_scope_does_not_give() {
        let asked = request(
            r#"{"userinfo":{"name":null,"email":null,"sub":null},"id_token":{"address":null,"name":null}}"#,
        );
        let beyond = |granted: &str, allowed: &str| -> Vec<&str> {
            beyond(&asked, &scope(granted), &scope(allowed)).into_iter().collect()
        };
        assert_eq!(beyond("openid", EVERYTHING), ["address", "email", "name"]);
        assert_eq!(beyond("openid profile", EVERYTHING), ["address", "email"]);
        assert_eq!(beyond("openid", "openid profile"), ["name"], "what the client may ask for");
        assert_eq!(beyond("openid", "openid").len(), 0);
    }

    #[test]
    fn every_claim_is_one_scopes_and_has_a_value_when_all_is_filled_in() {
        let mut person = ada();
        for (field, name) in Field::ALL {
            let text = match field {
                Field::Picture | Field::Profile | Field::Website => "https://ada.example/",
                Field::Birthdate => "1990",
                Field::Zoneinfo => "Europe/London",
                Field::Locale => "en-GB",
                Field::PhoneNumber => "+442079460958",
                _ => name,
            };
            person.profile.set(field, text).unwrap();
        }
        let names: BTreeSet<&str> = all().collect();
        assert_eq!(names.len(), all().count(), "each once");
        let told = told(&person, &scope(EVERYTHING), &Asked::new(), &Scope::empty());
        assert_eq!(told.keys().map(String::as_str).collect::<BTreeSet<_>>(), names);
    }

    fn some_scope() -> impl Strategy<Value = Scope> {
        let names = vec!["openid", "profile", "email", "address", "phone", "notes.read"];
        proptest::sample::subsequence(names, 0..=6).prop_map(|names| scope(&names.join(" ")))
    }

    fn some_asked() -> impl Strategy<Value = Asked> {
        let names: Vec<&str> = all().chain(["sub", "acr", "groups", "email#en"]).collect();
        let how = prop_oneof![
            Just(None),
            any::<bool>()
                .prop_map(|essential| Some(ClaimAsked { essential, ..Default::default() })),
            any::<bool>().prop_map(|value| Some(ClaimAsked {
                value: Some(value.into()),
                ..Default::default()
            })),
            Just(Some(ClaimAsked { value: Some("Ada".into()), ..Default::default() })),
        ];
        proptest::collection::btree_map(
            proptest::sample::select(names).prop_map(str::to_owned),
            how,
            0..8,
        )
    }

    proptest! {
        #[test]
        fn nothing_is_told_beyond_what_the_person_was_asked_about(
            granted in some_scope(), allowed in some_scope(), userinfo in some_asked(),
            id_token in some_asked(),
        ) {
            let request = ClaimsRequest { userinfo, id_token };
            let beyond = beyond(&request, &granted, &allowed);
            for claim in &beyond {
                prop_assert!(allowed.iter().any(|scope| of_scope(scope).contains(claim)));
            }
            for asked in [&request.userinfo, &request.id_token] {
                let told = told(&ada(), &granted, asked, &allowed);
                for (name, value) in &told {
                    let of_granted = granted.iter().any(|own| of_scope(own).contains(&name.as_str()));
                    prop_assert!(of_granted || beyond.contains(name.as_str()), "{}", name);
                    prop_assert!(of_granted || asked.contains_key(name), "{}", name);
                    let empty = [Value::Null, json!(""), json!({})].contains(value);
                    prop_assert!(!empty, "{}", name);
                    let wanted = asked.get(name).cloned().flatten().unwrap_or_default();
                    prop_assert!(wanted.accepts(value), "{} is {}", name, value);
                }
            }
            // Without having been asked for, an ID token tells nothing.
            prop_assert!(told(&ada(), &Scope::empty(), &Asked::new(), &allowed).is_empty());
        }
    }
}
