//! Config OP.

use serde_json::{Value, json};

use super::checks;
use super::suite::Suite;
use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::local::LocalServer;

fn strings<'a>(document: &'a Value, member: &str) -> Vec<&'a str> {
    let list = document[member].as_array().unwrap_or_else(|| panic!("no {member}"));
    list.iter().map(|one| one.as_str().unwrap()).collect()
}

/// No nulls, no empty lists, and what ends in `_uri` or `_endpoint` is an address of the issuer.
fn sound(document: &Value, issuer: &str) {
    for (member, value) in document.as_object().unwrap() {
        assert!(!value.is_null() && *value != json!([]) && *value != json!(""), "{member}");
        if member.ends_with("_endpoint") || member == "jwks_uri" {
            let url = value.as_str().unwrap();
            assert!(url.starts_with(&format!("{issuer}/")), "{member}: {url}");
        }
    }
    assert_eq!(document["issuer"], issuer);
    assert_eq!(strings(document, "response_types_supported"), ["code"]);
    for (member, needed) in [
        ("subject_types_supported", &["public", "pairwise"][..]),
        ("id_token_signing_alg_values_supported", &["RS256", "ES256", "EdDSA", "PS256"]),
        ("scopes_supported", &["openid", "profile", "email", "address", "phone", "offline_access"]),
        ("grant_types_supported", &["authorization_code", "refresh_token"]),
        ("response_modes_supported", &["query", "fragment", "form_post"]),
        ("code_challenge_methods_supported", &["S256"]),
        ("claims_supported", &["sub", "name", "email", "email_verified", "address", "auth_time"]),
        (
            "token_endpoint_auth_methods_supported",
            &[
                "none",
                "client_secret_basic",
                "client_secret_post",
                "client_secret_jwt",
                "private_key_jwt",
            ],
        ),
        ("request_object_signing_alg_values_supported", &["RS256", "ES256", "PS256"]),
        ("userinfo_signing_alg_values_supported", &["RS256"]),
        ("prompt_values_supported", &["none", "login", "consent", "select_account"]),
    ] {
        let offered = strings(document, member);
        for one in needed {
            assert!(offered.contains(one), "{member} lacks {one}: {offered:?}");
        }
        assert!(!offered.contains(&"plain"), "{member}");
        if member != "prompt_values_supported" && member != "token_endpoint_auth_methods_supported"
        {
            assert!(!offered.contains(&"none"), "{member} must not offer unsigned");
        }
    }
    for member in ["userinfo_endpoint", "end_session_endpoint", "registration_endpoint"] {
        if member != "registration_endpoint" {
            assert!(document[member].is_string(), "{member}");
        }
    }
    for (member, value) in [
        ("claims_parameter_supported", true),
        ("request_parameter_supported", true),
        ("request_uri_parameter_supported", false),
        ("authorization_response_iss_parameter_supported", true),
        ("backchannel_logout_supported", true),
        ("backchannel_logout_session_supported", true),
    ] {
        assert_eq!(document[member], value, "{member}");
    }
    // Scope tokens of RFC 6749 section 3.3; languages as BCP 47 writes them.
    let token = |b: u8| b == 0x21 || (0x23..=0x5b).contains(&b) || (0x5d..=0x7e).contains(&b);
    assert!(strings(document, "scopes_supported").iter().all(|scope| scope.bytes().all(token)));
    for member in ["ui_locales_supported", "claims_locales_supported"] {
        if document.get(member).is_some() {
            assert!(strings(document, member).iter().all(|tag| tag.starts_with("en")));
        }
    }
}

on_both_databases! {
    async fn oidcc_discovery_endpoint_verification(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let http = suite.server.http();
        let answer = http.get("/.well-known/openid-configuration").await.expect(200);
        assert!(answer.header("content-type").starts_with("application/json"));
        sound(&answer.json(), &suite.server.issuer);
        let oauth = http.get("/.well-known/oauth-authorization-server").await.expect(200);
        assert_eq!(oauth.json(), answer.json(), "both say the same");
        checks::jwks(&http.get(&suite.endpoint("jwks_uri")).await.expect(200).json());
    }

    async fn an_issuer_with_a_path_behind_a_proxy_is_https_throughout(database: TestDatabase) {
        let first = LocalServer::start(database).await;
        let issuer = "https://id.example/tenant";
        let server = first
            .another_node_with(|settings| settings.issuer = issuer_of(issuer))
            .await;
        let http = server.http();
        let documents = [
            "/tenant/.well-known/openid-configuration",
            "/.well-known/oauth-authorization-server/tenant",
            "/.well-known/openid-configuration/tenant",
            "/tenant/.well-known/oauth-authorization-server",
        ];
        for path in documents {
            sound(&http.get(&format!("{}{path}", server.origin)).await.expect(200).json(), issuer);
        }
    }
}

fn issuer_of(text: &str) -> perennial::settings::Issuer {
    perennial::settings::Issuer::parse(text).unwrap()
}
