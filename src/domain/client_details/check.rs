//! What is wrong with a client's further metadata: one set of rules for the command line, the
//! form and registration. Each fault stands under its member's registered name, and says what
//! would be right.

use url::Url;

use super::{ApplicationType, SubjectType};
use crate::domain::account;
use crate::domain::algorithm::Algorithm;
use crate::domain::client::ClientMetadata;
use crate::domain::client_keys;
use crate::domain::redirect_uri::{self, is_loopback};

/// The longest URI, in bytes.
const URI_BYTES: usize = redirect_uri::MAX_BYTES;
/// The most entries of a list of URIs.
const URIS: usize = 100;
/// The most contacts, and the most authentication contexts.
const NAMES: usize = 20;
/// The longest name of a program, a version or an authentication context, in bytes.
const NAME_BYTES: usize = 255;
/// The longest `default_max_age`: ten years of seconds.
const MAX_AGE: u64 = 10 * 365 * 24 * 3600;

type Faults = Vec<(&'static str, String)>;

/// Everything that is wrong with what a client says of itself.
pub(in crate::domain) fn faults(client: &ClientMetadata) -> Faults {
    let mut faults = Faults::new();
    pages(client, &mut faults);
    descriptions(client, &mut faults);
    redirect_uris(client, &mut faults);
    keys(client, &mut faults);
    sign_in(client, &mut faults);
    faults
}

/// Addresses that people or this server follow.
fn pages(client: &ClientMetadata, faults: &mut Faults) {
    let details = &client.details;
    for (member, uri) in [
        ("client_uri", &details.client_uri),
        ("logo_uri", &details.logo_uri),
        ("policy_uri", &details.policy_uri),
        ("tos_uri", &details.tos_uri),
        ("jwks_uri", &details.jwks_uri),
        ("initiate_login_uri", &details.initiate_login_uri),
    ] {
        if let Some(Err(fault)) = uri.as_deref().map(web_address) {
            faults.push((member, fault));
        }
    }
    if let Some(uri) = &details.backchannel_logout_uri {
        if uri.contains('#') {
            faults.push((
                "backchannel_logout_uri",
                format!("“{}” has a fragment. Leave out everything from “#” on.", shown(uri)),
            ));
        } else if let Err(fault) = web_address(uri) {
            faults.push(("backchannel_logout_uri", fault));
        }
    }
}

/// An https address, or http at this machine for those who develop an app.
fn web_address(uri: &str) -> Result<(), String> {
    let refuse = |why: &str| Err(format!("“{}” {why}", shown(uri)));
    if uri.len() > URI_BYTES {
        return Err(format!("An address has {URI_BYTES} bytes at most."));
    }
    if !uri.is_ascii() || uri.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return refuse("has a character that must be percent-encoded.");
    }
    let Ok(parsed) = Url::parse(uri) else {
        return refuse("is not an address. Write it like https://app.example/page.");
    };
    match parsed.scheme() {
        "https" => {}
        "http" if is_loopback(&parsed) => {}
        _ => return refuse("is not https (http is for loopback addresses only)."),
    }
    // The parser forgives `https:app.example`; nobody else has to.
    if !uri.to_ascii_lowercase().starts_with(&format!("{}://", parsed.scheme())) {
        return refuse("is not an address. Write it like https://app.example/page.");
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return refuse("names a user. Leave out everything before “@”.");
    }
    Ok(())
}

/// Who answers for it, and which program it is.
fn descriptions(client: &ClientMetadata, faults: &mut Faults) {
    let details = &client.details;
    if details.contacts.len() > NAMES {
        faults.push(("contacts", format!("Name {NAMES} contacts at most.")));
    }
    if let Some(wrong) =
        details.contacts.iter().find(|contact| account::check_email(contact).is_err())
    {
        let text =
            format!("“{}” is not an email address. Write it like ada@example.org.", shown(wrong));
        faults.push(("contacts", text));
    }
    for (member, text) in
        [("software_id", &details.software_id), ("software_version", &details.software_version)]
    {
        if text.as_ref().is_some_and(|text| !is_name(text)) {
            faults.push((member, format!("Write 1 to {NAME_BYTES} characters.")));
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= NAME_BYTES && !text.chars().any(char::is_control)
}

/// How many there are, and whether they fit the kind of app (OpenID Connect Registration
/// section 2; RFC 8252 section 7).
fn redirect_uris(client: &ClientMetadata, faults: &mut Faults) {
    for (member, uris) in [
        ("redirect_uris", &client.redirect_uris),
        ("post_logout_redirect_uris", &client.post_logout_redirect_uris),
    ] {
        if uris.len() > URIS {
            faults.push((member, format!("Name {URIS} redirect URIs at most.")));
        }
    }
    let is_https = |uri: &&String| uri.starts_with("https://");
    if client.details.application_type == Some(ApplicationType::Web)
        && let Some(uri) = client.redirect_uris.iter().find(|uri| !is_https(uri))
    {
        let text = format!(
            "“{}” is not https, which a web app’s redirect URIs are. For a program on people’s \
             devices, choose the application type native.",
            shown(uri)
        );
        faults.push(("redirect_uris", text));
    }
}

/// Its keys, and what it signs with them.
fn keys(client: &ClientMetadata, faults: &mut Faults) {
    let details = &client.details;
    if details.jwks.is_some() && details.jwks_uri.is_some() {
        let text = "Give the keys themselves (jwks) or their address (jwks_uri), not both.";
        faults.push(("jwks", text.to_owned()));
    }
    faults.extend(client_keys::faults(client));
    if let Some(name) = &details.request_object_signing_alg
        && Algorithm::from_name(name).is_none()
    {
        faults.push(("request_object_signing_alg", format!("Choose {}.", algorithms())));
    }
}

fn algorithms() -> String {
    Algorithm::ALL.map(|(_, name)| name).join(", ")
}

/// Its subjects, and what it asks of a sign-in.
fn sign_in(client: &ClientMetadata, faults: &mut Faults) {
    let details = &client.details;
    if let Some(uri) = &details.sector_identifier_uri {
        if !uri.starts_with("https://") {
            let text = format!("“{}” is not https.", shown(uri));
            faults.push(("sector_identifier_uri", text));
        } else if let Err(fault) = web_address(uri) {
            faults.push(("sector_identifier_uri", fault));
        }
    }
    if details.subject_type == SubjectType::Pairwise
        && details.sector_identifier_uri.is_none()
        && sector_host(&client.redirect_uris).is_none()
    {
        let text = "Pairwise subjects need redirect URIs that all have the same host, or a sector \
                    identifier URI that lists them.";
        faults.push(("subject_type", text.to_owned()));
    }
    if details.default_max_age.is_some_and(|seconds| seconds > MAX_AGE) {
        faults.push(("default_max_age", format!("Write {MAX_AGE} seconds at most.")));
    }
    let acr = &details.default_acr_values;
    if acr.len() > NAMES
        || acr.iter().any(|value| !is_name(value) || value.contains(char::is_whitespace))
    {
        let text = format!("Name {NAMES} values at most, each without spaces.");
        faults.push(("default_acr_values", text));
    }
}

/// The one host of these redirect URIs, which is their sector where no URI lists it (OpenID
/// Connect Core section 8.1); `None` where they have several or none.
pub fn sector_host(redirect_uris: &[String]) -> Option<String> {
    let host = |uri: &String| Url::parse(uri).ok()?.host_str().map(str::to_owned);
    let mut hosts = redirect_uris.iter().map(host);
    let first = hosts.next()??;
    hosts.all(|other| other.as_ref() == Some(&first)).then_some(first)
}

/// A value as a sentence repeats it: not longer than a line.
fn shown(value: &str) -> String {
    let mut text: String = value.escape_debug().take(80).collect();
    if value.len() > 80 {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::client::AuthMethod;
    use crate::domain::client_details::ClientDetails;
    use crate::domain::scope::Scope;

    fn client(details: ClientDetails) -> ClientMetadata {
        ClientMetadata {
            redirect_uris: vec!["https://app.example/callback".into()],
            details,
            ..ClientMetadata::new("Meadow", AuthMethod::ClientSecretBasic, Scope::empty())
        }
    }

    /// The members at fault.
    fn wrong(details: serde_json::Value) -> Vec<&'static str> {
        let details = serde_json::from_value(details).unwrap();
        faults(&client(details)).into_iter().map(|(member, _)| member).collect()
    }

    #[test]
    fn a_whole_description_is_good() {
        let good = json!({
            "client_uri": "https://app.example",
            "logo_uri": "https://cdn.example/logo.png",
            "policy_uri": "http://localhost:3000/policy",
            "tos_uri": "https://app.example/tos?lang=en#top",
            "contacts": ["ada@northfield.example"],
            "software_id": "4NRB1-0XZABZI9E6-5SM3R",
            "jwks": { "keys": [{ "kty": "EC", "crv": "P-256", "x": "A".repeat(43), "y": "A".repeat(43) }] },
            "token_endpoint_auth_signing_alg": "ES256",
            "request_object_signing_alg": "PS256",
            "subject_type": "pairwise",
            "sector_identifier_uri": "https://app.example/sector.json",
            "id_token_signed_response_alg": "EdDSA",
            "default_max_age": 3600,
            "default_acr_values": ["urn:x"],
            "initiate_login_uri": "https://app.example/login",
            "backchannel_logout_uri": "https://app.example/bye?tenant=1",
            "application_type": "web",
        });
        assert_eq!(wrong(good), [""; 0]);
        assert_eq!(wrong(json!({})), [""; 0]);
    }

    #[test]
    fn addresses_are_https_but_for_loopback() {
        for member in
            ["client_uri", "logo_uri", "policy_uri", "tos_uri", "jwks_uri", "initiate_login_uri"]
        {
            for uri in [
                "http://app.example/x",
                "ftp://app.example/",
                "javascript:alert(1)",
                "/x",
                "https:app.example",
                "https://ada@app.example/",
                "https://app.example/a b",
                "https://größe.example/",
                "",
                &format!("https://app.example/{}", "x".repeat(2048)),
            ] {
                assert_eq!(wrong(json!({ member: uri })), [member], "{uri}");
            }
            assert_eq!(wrong(json!({ member: "http://127.0.0.1:3000/x" })), [""; 0]);
        }
        for uri in ["https://app.example/bye#x", "https://app.example/bye#", "http://app.example/"]
        {
            let member = "backchannel_logout_uri";
            assert_eq!(wrong(json!({ member: uri })), [member], "{uri}");
        }
        for uri in ["http://localhost/x", "https://a b/"] {
            let member = "sector_identifier_uri";
            assert_eq!(wrong(json!({ member: uri })), [member], "{uri}");
        }
    }

    #[test]
    fn each_other_member_has_its_rule() {
        for (details, member) in [
            (json!({ "contacts": ["nobody"] }), "contacts"),
            (json!({ "contacts": vec!["a@b"; 21] }), "contacts"),
            (json!({ "software_id": " " }), "software_id"),
            (json!({ "software_version": "x".repeat(256) }), "software_version"),
            (json!({ "jwks": [] }), "jwks"),
            (json!({ "jwks": { "keys": [] } }), "jwks"),
            (json!({ "jwks": { "keys": [{ "kty": "oct", "k": "AA" }] } }), "jwks"),
            (json!({ "jwks": { "keys": [{ "kty": "EC", "d": "AA" }] } }), "jwks"),
            (json!({ "jwks": { "keys": [{ "kty": "RSA", "n": "x".repeat(20_001) }] } }), "jwks"),
            (
                json!({ "token_endpoint_auth_signing_alg": "none" }),
                "token_endpoint_auth_signing_alg",
            ),
            (json!({ "request_object_signing_alg": "HS256" }), "request_object_signing_alg"),
            (json!({ "default_max_age": u64::MAX }), "default_max_age"),
            (json!({ "default_acr_values": ["a b"] }), "default_acr_values"),
        ] {
            assert_eq!(wrong(details.clone()), [member], "{details}");
        }
        let both = json!({
            "jwks": { "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "A".repeat(43) }] },
            "jwks_uri": "https://app.example/jwks",
        });
        assert_eq!(wrong(both), ["jwks"]);
    }

    #[test]
    fn pairwise_subjects_need_one_sector() {
        let mut two = client(ClientDetails {
            subject_type: SubjectType::Pairwise,
            ..ClientDetails::default()
        });
        assert!(faults(&two).is_empty());
        two.redirect_uris.push("https://other.example/callback".into());
        assert_eq!(faults(&two).len(), 1);
        two.details.sector_identifier_uri = Some("https://app.example/sector.json".into());
        assert!(faults(&two).is_empty());
    }

    #[test]
    fn a_web_app_goes_back_to_https() {
        let mut app = client(ClientDetails {
            application_type: Some(ApplicationType::Web),
            ..ClientDetails::default()
        });
        app.redirect_uris.push("http://localhost:3000/callback".into());
        assert_eq!(faults(&app).len(), 1);
        app.details.application_type = Some(ApplicationType::Native);
        assert!(faults(&app).is_empty());
        app.details.application_type = None;
        assert!(faults(&app).is_empty());
    }

    proptest! {
        /// Whatever passes as an address is one that a browser understands the same way, and
        /// that leads over TLS or to this machine.
        #[test]
        fn no_address_passes_that_could_surprise(uri in "(https?|ftp|data)?:?/{0,3}[ -~é]{0,40}") {
            if web_address(&uri).is_ok() {
                let parsed = Url::parse(&uri).unwrap();
                prop_assert!(parsed.scheme() == "https" || is_loopback(&parsed));
                prop_assert!(parsed.host_str().is_some_and(|host| !host.is_empty()));
                prop_assert!(parsed.username().is_empty() && parsed.password().is_none());
            }
        }

        /// No fault repeats more of a value than a line holds.
        #[test]
        fn faults_are_short(uri in ".{0,4000}", contact in ".{0,4000}") {
            let details = ClientDetails {
                logo_uri: Some(uri.clone()),
                sector_identifier_uri: Some(uri.clone()),
                backchannel_logout_uri: Some(uri),
                contacts: vec![contact],
                ..ClientDetails::default()
            };
            for (member, text) in faults(&client(details)) {
                prop_assert!(text.chars().count() < 250, "{member}: {text}");
                prop_assert!(!text.chars().any(char::is_control), "{member}");
            }
        }
    }
}
