use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn policy() -> Policy {
    Policy {
        scopes: "openid email offline_access".parse().unwrap(),
        access_token_life: Duration::from_secs(600),
    }
}

/// A registration that is good, with these members in it.
fn with(changes: &Value) -> Value {
    let mut body = json!({ "redirect_uris": ["https://app.example/callback"] });
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn good(changes: &Value) -> ClientMetadata {
    read(&with(changes), None, &policy()).unwrap_or_else(|refusal| panic!("{changes}: {refusal:?}"))
}

fn refused(changes: &Value) -> (&'static str, String) {
    let refusal = read(&with(changes), None, &policy()).expect_err(&changes.to_string());
    assert_eq!(refusal.status, 400);
    (refusal.code, refusal.description)
}

#[test]
fn what_is_left_out_has_the_defaults_of_the_standard() {
    let client = good(&json!({}));
    assert_eq!(client.auth_method, AuthMethod::ClientSecretBasic);
    assert_eq!(client.grants, [GrantType::AuthorizationCode]);
    assert_eq!(client.scope.to_string(), "openid email");
    assert_eq!(client.name, "app.example");
    assert_eq!(client.details, ClientDetails::default());
    assert!(!client.require_pkce && !client.may_introspect && !client.skip_consent);

    let public = good(&json!({ "token_endpoint_auth_method": "none" }));
    assert!(public.require_pkce);
    let refreshing = good(&json!({ "grant_types": ["refresh_token", "authorization_code"] }));
    assert!(refreshing.scope.contains("offline_access"));
}

#[test]
fn unknown_members_and_nulls_are_ignored() {
    let more = json!({
        "client_name#de": "Wiese",
        "tls_client_certificate_bound_access_tokens": true,
        "logo_uri": null,
        "policy_uri": "",
        "scope": null,
    });
    assert_eq!(good(&more), good(&json!({})));
}

#[test]
fn a_scope_is_cut_to_what_may_be_asked() {
    let narrowed = good(&json!({ "scope": "openid notes.write offline_access" }));
    assert_eq!(narrowed.scope.to_string(), "openid");
    let (code, text) = refused(&json!({ "scope": "notes.write" }));
    assert_eq!(code, "invalid_client_metadata");
    assert!(text.contains("openid email"), "{text}");
}

#[test]
fn each_wrong_member_is_named() {
    for (changes, code, member) in [
        (
            json!({ "redirect_uris": ["https://app.example/#x"] }),
            "invalid_redirect_uri",
            "redirect_uris",
        ),
        (
            json!({ "redirect_uris": ["http://app.example/"] }),
            "invalid_redirect_uri",
            "redirect_uris",
        ),
        (json!({ "redirect_uris": [] }), "invalid_redirect_uri", "redirect_uris"),
        (json!({ "redirect_uris": null }), "invalid_redirect_uri", "redirect_uris"),
        (
            json!({ "redirect_uris": "https://app.example/" }),
            "invalid_redirect_uri",
            "redirect_uris",
        ),
        (json!({ "redirect_uris": [7] }), "invalid_redirect_uri", "redirect_uris"),
        (
            json!({ "application_type": "web", "redirect_uris": ["http://localhost/cb"] }),
            "invalid_redirect_uri",
            "redirect_uris",
        ),
        (
            json!({ "post_logout_redirect_uris": ["https://app.example/#x"] }),
            "invalid_client_metadata",
            "post_logout_redirect_uris",
        ),
        (json!({ "client_name": ["x"] }), "invalid_client_metadata", "client_name"),
        (json!({ "client_name": "a\u{202e}b" }), "invalid_client_metadata", "client_name"),
        (json!({ "client_name": "x".repeat(101) }), "invalid_client_metadata", "client_name"),
        (json!({ "grant_types": ["implicit"] }), "invalid_client_metadata", "grant_types"),
        (json!({ "grant_types": ["refresh_token"] }), "invalid_client_metadata", "grant_types"),
        (json!({ "response_types": ["id_token"] }), "invalid_client_metadata", "response_types"),
        (json!({ "response_types": [] }), "invalid_client_metadata", "response_types"),
        (
            json!({ "token_endpoint_auth_method": "tls_client_auth" }),
            "invalid_client_metadata",
            "token_endpoint_auth_method",
        ),
        (json!({ "scope": "a\u{7f}b" }), "invalid_client_metadata", "scope"),
        (json!({ "logo_uri": "http://app.example/x" }), "invalid_client_metadata", "logo_uri"),
        (json!({ "contacts": ["nobody"] }), "invalid_client_metadata", "contacts"),
        (json!({ "subject_type": "secret" }), "invalid_client_metadata", "subject_type"),
        (
            json!({ "id_token_signed_response_alg": "none" }),
            "invalid_client_metadata",
            "id_token_signed_response_alg",
        ),
        (
            json!({ "userinfo_signed_response_alg": "HS256" }),
            "invalid_client_metadata",
            "userinfo_signed_response_alg",
        ),
        (
            json!({ "id_token_encrypted_response_alg": "RSA-OAEP" }),
            "invalid_client_metadata",
            "id_token_encrypted_response_alg",
        ),
        (json!({ "default_max_age": "60" }), "invalid_client_metadata", "default_max_age"),
        (json!({ "default_max_age": -1 }), "invalid_client_metadata", "default_max_age"),
        (json!({ "require_auth_time": "yes" }), "invalid_client_metadata", "require_auth_time"),
        (
            json!({ "jwks": { "keys": [{ "kty": "EC", "d": "x" }] } }),
            "invalid_client_metadata",
            "jwks",
        ),
        (
            json!({ "backchannel_logout_uri": "https://app.example/#x" }),
            "invalid_client_metadata",
            "backchannel_logout_uri",
        ),
        (
            json!({ "software_statement": "e30.e30." }),
            "unapproved_software_statement",
            "software_statement",
        ),
    ] {
        let (got, text) = refused(&changes);
        assert_eq!(got, code, "{changes}: {text}");
        assert!(text.starts_with(member), "{changes}: {text}");
    }
    assert_eq!(read(&json!([]), None, &policy()).unwrap_err().code, "invalid_client_metadata");
}

#[test]
fn an_update_keeps_what_only_an_administrator_chooses() {
    let mut before = good(&json!({ "client_name": "Meadow", "logo_uri": "https://a.example/l" }));
    before.audience = vec!["https://api.example".into()];
    before.scope = "openid notes.write".parse().unwrap();
    before.require_pkce = true;
    let after = read(&with(&json!({ "scope": "notes.write" })), Some(&before), &policy()).unwrap();
    assert_eq!(after.audience, before.audience);
    assert!(after.require_pkce);
    assert_eq!(after.scope.to_string(), "notes.write");
    // And nothing else: what is left out is gone.
    assert_eq!(after.details.logo_uri, None);
    assert_eq!(after.name, "app.example");
}

#[test]
fn a_document_names_itself_and_has_no_secret() {
    let id = "https://app.example/client.json";
    let document = |changes: Value| read_document(&with(&changes), id, None, &policy());
    let client = document(json!({ "client_id": id })).unwrap();
    assert!(client.is_public() && client.require_pkce);
    for changes in [
        json!({}),
        json!({ "client_id": "https://app.example/other.json" }),
        json!({ "client_id": id, "client_secret": "x" }),
        json!({ "client_id": id, "client_secret_expires_at": 0 }),
        json!({ "client_id": id, "token_endpoint_auth_method": "client_secret_basic" }),
        json!({ "client_id": id, "token_endpoint_auth_method": "client_secret_post" }),
        json!({ "client_id": id, "token_endpoint_auth_method": "client_secret_jwt" }),
        json!({ "client_id": id, "redirect_uris": [] }),
    ] {
        assert!(document(changes.clone()).is_err(), "{changes}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        "https?://[a-z.]{0,12}(/[a-z#?@]{0,8})?".prop_map(Value::from),
        Just(json!("none")),
        Just(json!("pairwise")),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map("keys|kty|[a-z]{1,4}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

const NAMES: [&str; 12] = [
    "redirect_uris",
    "client_name",
    "grant_types",
    "response_types",
    "token_endpoint_auth_method",
    "scope",
    "logo_uri",
    "contacts",
    "jwks",
    "subject_type",
    "default_max_age",
    "post_logout_redirect_uris",
];

proptest! {
    /// Whatever is sent, the answer is a client that all rules allow, or a refusal that the
    /// standard's rules for descriptions allow.
    #[test]
    fn anything_is_read_or_refused(
        values in proptest::collection::hash_map(0..NAMES.len(), any_json(), 0..6),
    ) {
        let mut body = json!({ "redirect_uris": ["https://app.example/cb"] });
        for (place, value) in values {
            body[NAMES[place]] = value;
        }
        match read(&body, None, &policy()) {
            Ok(client) => {
                prop_assert!(client.faults(Duration::from_secs(600)).is_empty());
                prop_assert!(client.scope.is_subset_of(&policy().scopes));
                prop_assert!(!client.skip_consent && !client.may_introspect);
                prop_assert!(client.require_pkce || !client.is_public());
            }
            Err(refusal) => {
                let plain = |c: char| matches!(c, ' '..='~') && c != '"' && c != '\\';
                prop_assert!(refusal.description.chars().all(plain), "{}", refusal.description);
                prop_assert!(!refusal.description.is_empty());
            }
        }
    }
}
