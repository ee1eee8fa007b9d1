//! A wrong request to each endpoint gets the error that its standard names.

use reqwest::Method;
use serde_json::json;

use super::suite::Suite;
use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::http::{Answer, Http};
use crate::support::oauth::basic;

const FORM: &str = "application/x-www-form-urlencoded";

/// A refusal as RFC 6749 section 5.2 writes it.
#[track_caller]
fn refusal(answer: Answer, status: u16, error: &str) {
    let answer = answer.expect(status);
    assert!(answer.header("content-type").starts_with("application/json"), "{}", answer.body);
    let json = answer.json();
    assert_eq!(json["error"], error, "{json}");
    assert!(json["error_description"].as_str().is_some_and(|text| !text.is_empty()), "{json}");
}

/// A refusal as RFC 6750 section 3 writes it; without `error` where no token was sent.
#[track_caller]
fn challenge(answer: Answer, status: u16, error: Option<&str>) {
    let answer = answer.expect(status);
    let told = answer.header("www-authenticate");
    assert!(told.starts_with("Bearer"), "{told}");
    match error {
        Some(error) => assert!(told.contains(&format!("error=\"{error}\"")), "{told}"),
        None => assert!(!told.contains("error"), "{told}"),
    }
}

async fn post(suite: &Suite, path: &str, fields: &[(&str, &str)]) -> Answer {
    let http = Http::new(&suite.server.origin);
    let secret = suite.client.secret.as_deref().unwrap();
    let request = http.request(Method::POST, path);
    http.send(request.header("authorization", basic(&suite.client.id, secret)).form(fields)).await
}

on_both_databases! {
    async fn the_endpoints_that_take_a_form(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let http = Http::new(&suite.server.origin);
        let before = suite.server.sql("SELECT count(*) FROM token_families");
        for path in ["/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/par"] {
            http.get(path).await.expect(405);
            let empty = http.post_form(path, &[]).await;
            let error = empty.json()["error"].clone();
            assert!(error == "invalid_request" || error == "invalid_client", "{path}: {error}");
            let text = http.post_raw(path, "application/json", b"{}".to_vec()).await;
            refusal(text, 400, "invalid_request");
            let bytes = http.post_raw(path, FORM, b"token=\xff\xfe".to_vec()).await;
            refusal(bytes, 400, "invalid_request");
            let wrong = [
                ("client_id", suite.client.id.as_str()),
                ("client_secret", "pcs_wrong"),
                ("grant_type", "authorization_code"),
                ("token", "x"),
            ];
            refusal(http.post_form(path, &wrong).await, 401, "invalid_client");
            let twice = [("client_id", "a"), ("client_id", "b"), ("token", "x")];
            refusal(http.post_form(path, &twice).await, 400, "invalid_request");
        }
        for (path, fields, error) in [
            ("/oauth/token", vec![("grant_type", "implicit")], "unsupported_grant_type"),
            ("/oauth/token", vec![("grant_type", "authorization_code")], "invalid_request"),
            (
                "/oauth/token",
                vec![("grant_type", "authorization_code"), ("code", "pac_x")],
                "invalid_grant",
            ),
            ("/oauth/token", vec![("grant_type", "refresh_token")], "invalid_request"),
            (
                "/oauth/token",
                vec![("grant_type", "refresh_token"), ("refresh_token", "prt_x")],
                "invalid_grant",
            ),
            ("/oauth/revoke", vec![], "invalid_request"),
            ("/oauth/par", vec![("request_uri", "urn:x")], "invalid_request"),
            ("/oauth/par", vec![("response_type", "token")], "unsupported_response_type"),
        ] {
            refusal(post(&suite, path, &fields).await, 400, error);
        }
        assert_eq!(suite.server.sql("SELECT count(*) FROM token_families"), before);
    }

    async fn userinfo(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let http = Http::new(&suite.server.origin);
        let path = "/oauth/userinfo";
        challenge(http.get(path).await, 401, None);
        challenge(http.post_form(path, &[]).await, 401, None);
        for wrong in ["x", "pat_x", "a.b.c", "prt_x"] {
            challenge(suite.userinfo(wrong).await, 401, Some("invalid_token"));
        }
        let tokens = suite.world.tokens_for(&suite.world.public, "profile").await;
        challenge(suite.userinfo(&tokens.access).await, 403, Some("insufficient_scope"));
        let good = suite.world.tokens(&suite.world.public).await;
        let by_address = format!("{path}?access_token={}", good.access);
        let answer = http.get(&by_address).await;
        assert!(answer.status == 400 || answer.status == 401, "a token in an address isn't taken");
        let twice = http
            .request(Method::POST, path)
            .bearer_auth(&good.access)
            .form(&[("access_token", good.access.as_str())]);
        challenge(http.send(twice).await, 400, Some("invalid_request"));
        suite.userinfo(&good.access).await.expect(200);
    }

    async fn registration(database: TestDatabase) {
        let suite = Suite::begin_with(database, &[("registration.mode", "open")]).await;
        let http = Http::new(&suite.server.origin);
        let good = || json!({ "redirect_uris": ["https://suite.example/cb"] });
        for (member, value, error) in [
            ("redirect_uris", json!([]), "invalid_redirect_uri"),
            ("redirect_uris", json!("https://suite.example/cb"), "invalid_client_metadata"),
            ("redirect_uris", json!(["http://suite.example/cb"]), "invalid_redirect_uri"),
            ("redirect_uris", json!(["/cb"]), "invalid_redirect_uri"),
            ("grant_types", json!(["implicit"]), "invalid_client_metadata"),
            ("response_types", json!(["token"]), "invalid_client_metadata"),
            ("token_endpoint_auth_method", json!("tls_client_auth"), "invalid_client_metadata"),
            ("id_token_signed_response_alg", json!("none"), "invalid_client_metadata"),
            ("id_token_signed_response_alg", json!("HS256"), "invalid_client_metadata"),
            ("subject_type", json!("private"), "invalid_client_metadata"),
            ("jwks", json!({ "keys": "x" }), "invalid_client_metadata"),
            ("jwks_uri", json!("http://suite.example/jwks"), "invalid_client_metadata"),
            ("logo_uri", json!("javascript:alert(1)"), "invalid_client_metadata"),
            ("backchannel_logout_uri", json!("https://a.example/#x"), "invalid_client_metadata"),
            ("default_max_age", json!(-1), "invalid_client_metadata"),
        ] {
            let mut metadata = good();
            metadata[member] = value.clone();
            let request = http.request(Method::POST, "/oauth/register").json(&metadata);
            let answer = http.send(request).await;
            let json = answer.json();
            let either = ["invalid_redirect_uri", "invalid_client_metadata"];
            assert_eq!(answer.status, 400, "{member}: {value}: {json}");
            // The two codes overlap where the redirect URIs themselves are malformed JSON.
            let told = json["error"].as_str().unwrap();
            assert!(told == error || member == "redirect_uris" && either.contains(&told), "{json}");
            let description = json["error_description"].as_str().unwrap();
            assert!(description.contains(member), "{description} doesn't name {member}");
        }
        let mut keyless = good();
        keyless["token_endpoint_auth_method"] = json!("private_key_jwt");
        let answer = http.send(http.request(Method::POST, "/oauth/register").json(&keyless)).await;
        let told = answer.expect(400).json();
        assert_eq!(told["error"], "invalid_client_metadata");
        assert!(told["error_description"].as_str().unwrap().contains("jwks"), "{told}");
        for body in ["", "x", "[]", "null"] {
            let answer = http.post_raw("/oauth/register", "application/json", body.into()).await;
            let told = answer.expect(400).json();
            let errors = ["invalid_request", "invalid_client_metadata"];
            assert!(errors.contains(&told["error"].as_str().unwrap()), "{told}");
        }
        let management = http.request(Method::GET, "/oauth/register/nobody").bearer_auth("x");
        challenge(http.send(management).await, 401, Some("invalid_token"));
        let off = Http::new(&suite.server.origin);
        off.get("/oauth/register").await.expect(405);
    }
}
