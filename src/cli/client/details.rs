//! The flags of a client's further metadata, and how it is shown.

use super::arguments::{replace, set};
use crate::cli::answer::yes_no;
use crate::cli::one_of;
use crate::domain::algorithm::Algorithm;
use crate::domain::client_details::{ApplicationType, ClientDetails, SubjectType};

/// What a client says of itself. A list replaces the one before it.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "What it says of itself")]
pub(super) struct Details {
    /// Its own page; "" for none
    #[arg(long, value_name = "URI")]
    client_uri: Option<String>,
    /// Its picture, shown when people sign in; "" for none
    #[arg(long, value_name = "URI")]
    logo_uri: Option<String>,
    /// What it does with people's data; "" for none
    #[arg(long, value_name = "URI")]
    policy_uri: Option<String>,
    /// Its terms of service; "" for none
    #[arg(long, value_name = "URI")]
    tos_uri: Option<String>,
    /// The email address of somebody who answers for it; may be repeated; "" for nobody
    #[arg(long = "contact", value_name = "EMAIL")]
    contacts: Vec<String>,
    /// Whether it runs on a server or on people's devices
    #[arg(long, value_name = "TYPE", value_parser = one_of(ApplicationType::ALL))]
    application_type: Option<ApplicationType>,
    /// Whether it gets the same subjects as other clients [default: public]
    #[arg(long, value_name = "TYPE", value_parser = one_of(SubjectType::ALL))]
    subject_type: Option<SubjectType>,
    /// Where the redirect URIs of its sector are listed; "" for nowhere
    #[arg(long, value_name = "URI")]
    sector_identifier_uri: Option<String>,
    /// What its ID tokens are signed with, or "default" for RS256
    #[arg(long, value_name = "ALG", value_parser = algorithm)]
    id_token_alg: Option<Signed>,
    /// What its UserInfo answers are signed with, or "default" for plain JSON
    #[arg(long, value_name = "ALG", value_parser = algorithm)]
    userinfo_alg: Option<Signed>,
    /// How long ago people may have signed in, unless it says otherwise, or "default" for any time
    #[arg(long, value_name = "SECONDS", value_parser = max_age)]
    default_max_age: Option<MaxAge>,
    /// An authentication context that it asks for; may be repeated; "" for none
    #[arg(long = "default-acr", value_name = "ACR")]
    default_acr_values: Vec<String>,
    /// Where others may begin a sign-in to it; "" for nowhere
    #[arg(long, value_name = "URI")]
    initiate_login_uri: Option<String>,
    /// Where it is told that somebody has signed out; "" for nowhere
    #[arg(long, value_name = "URI")]
    backchannel_logout_uri: Option<String>,
}

/// The algorithm of a kind of answer; none is its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Signed(Option<Algorithm>);

fn algorithm(text: &str) -> Result<Signed, String> {
    if text == "default" {
        return Ok(Signed(None));
    }
    let names = Algorithm::ALL.map(|(_, name)| name).join(", ");
    let known = Algorithm::from_name(text).map(|algorithm| Signed(Some(algorithm)));
    known.ok_or_else(|| format!("one of {names}, or \"default\""))
}

/// An age that a sign-in may have; none is any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct MaxAge(Option<u64>);

fn max_age(text: &str) -> Result<MaxAge, String> {
    if text == "default" {
        return Ok(MaxAge(None));
    }
    text.parse()
        .map(|seconds| MaxAge(Some(seconds)))
        .map_err(|_| "a number of seconds, or \"default\"".to_owned())
}

impl Details {
    /// Puts what was given in place of what stands there.
    pub(super) fn apply(self, details: &mut ClientDetails) {
        fn put(value: &mut Option<String>, given: Option<String>) {
            if let Some(given) = given {
                *value = (!given.is_empty()).then_some(given);
            }
        }
        put(&mut details.client_uri, self.client_uri);
        put(&mut details.logo_uri, self.logo_uri);
        put(&mut details.policy_uri, self.policy_uri);
        put(&mut details.tos_uri, self.tos_uri);
        replace(&mut details.contacts, self.contacts);
        if let Some(kind) = self.application_type {
            details.application_type = Some(kind);
        }
        set(&mut details.subject_type, self.subject_type);
        put(&mut details.sector_identifier_uri, self.sector_identifier_uri);
        set(
            &mut details.id_token_signed_response_alg,
            self.id_token_alg.map(|Signed(algorithm)| algorithm),
        );
        set(
            &mut details.userinfo_signed_response_alg,
            self.userinfo_alg.map(|Signed(algorithm)| algorithm),
        );
        set(&mut details.default_max_age, self.default_max_age.map(|MaxAge(seconds)| seconds));
        replace(&mut details.default_acr_values, self.default_acr_values);
        put(&mut details.initiate_login_uri, self.initiate_login_uri);
        put(&mut details.backchannel_logout_uri, self.backchannel_logout_uri);
    }
}

/// The member's name on the command line.
pub(super) fn flag(member: &str) -> &str {
    match member {
        "client_uri" => "--client-uri",
        "logo_uri" => "--logo-uri",
        "policy_uri" => "--policy-uri",
        "tos_uri" => "--tos-uri",
        "contacts" => "--contact",
        "subject_type" => "--subject-type",
        "sector_identifier_uri" => "--sector-identifier-uri",
        "default_max_age" => "--default-max-age",
        "default_acr_values" => "--default-acr",
        "initiate_login_uri" => "--initiate-login-uri",
        "backchannel_logout_uri" => "--backchannel-logout-uri",
        other => other,
    }
}

/// What a client says of itself, line by line; what it doesn't say is empty.
pub(super) fn facts(details: &ClientDetails) -> impl Iterator<Item = (&'static str, String)> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let name = |value: Option<Algorithm>| value.map(Algorithm::name).unwrap_or_default().to_owned();
    let yes = |flag: bool| if flag { yes_no(true) } else { String::new() };
    let keys = details.jwks.as_ref().and_then(|set| set.get("keys")?.as_array()).map(Vec::len);
    [
        ("page", text(&details.client_uri)),
        ("logo", text(&details.logo_uri)),
        ("policy", text(&details.policy_uri)),
        ("terms", text(&details.tos_uri)),
        ("contacts", details.contacts.join(" ")),
        ("software", text(&details.software_id)),
        ("software version", text(&details.software_version)),
        (
            "application",
            details.application_type.map(ApplicationType::name).unwrap_or_default().to_owned(),
        ),
        ("keys", keys.map(|count| format!("{count} by value")).unwrap_or_default()),
        ("keys at", text(&details.jwks_uri)),
        ("assertions by", text(&details.token_endpoint_auth_signing_alg)),
        ("requests by", text(&details.request_object_signing_alg)),
        ("pushes requests", yes(details.require_pushed_authorization_requests)),
        ("subjects", details.subject_type.name().to_owned()),
        ("sector", text(&details.sector_identifier_uri)),
        ("ID tokens by", name(details.id_token_signed_response_alg)),
        ("UserInfo by", name(details.userinfo_signed_response_alg)),
        (
            "signed in within",
            details.default_max_age.map(|seconds| format!("{seconds} s")).unwrap_or_default(),
        ),
        ("contexts", details.default_acr_values.join(" ")),
        ("sign-in begins at", text(&details.initiate_login_uri)),
        ("told of sign-outs", text(&details.backchannel_logout_uri)),
    ]
    .into_iter()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        details: Details,
    }

    fn apply(details: &mut ClientDetails, arguments: &[&str]) {
        Line::try_parse_from([&["client"], arguments].concat()).unwrap().details.apply(details);
    }

    #[test]
    fn what_is_given_is_set_and_what_is_empty_is_taken_away() {
        let mut details = ClientDetails::default();
        let given = [
            "--logo-uri=https://a.example/l.png",
            "--contact=ada@a.example",
            "--contact=bea@a.example",
            "--subject-type=pairwise",
            "--id-token-alg=ES256",
            "--userinfo-alg=PS256",
            "--default-max-age=60",
        ];
        apply(&mut details, &given);
        assert_eq!(details.logo_uri.as_deref(), Some("https://a.example/l.png"));
        assert_eq!(details.contacts.len(), 2);
        assert_eq!(details.subject_type, SubjectType::Pairwise);
        assert_eq!(details.id_token_signed_response_alg, Some(Algorithm::Es256));
        assert_eq!(details.default_max_age, Some(60));

        let before = details.clone();
        apply(&mut details, &[]);
        assert_eq!(details, before);

        let taken = [
            "--logo-uri=",
            "--contact=",
            "--subject-type=public",
            "--id-token-alg=default",
            "--userinfo-alg=default",
            "--default-max-age=default",
        ];
        apply(&mut details, &taken);
        assert_eq!(details, ClientDetails::default());
    }

    #[test]
    fn no_algorithm_is_none_or_unknown() {
        for wrong in ["none", "HS256", ""] {
            assert!(algorithm(wrong).is_err(), "{wrong}");
        }
    }
}
