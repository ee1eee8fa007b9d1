//! The modules of Dynamic OP that need no implicit grant.

use reqwest::Method;
use serde_json::{Value, json};

use super::checks;
use super::suite::{CALLBACK, Mode, Screen, Suite};
use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::http::{Answer, Http};
use crate::support::oauth::{App, Request};
use crate::support::process::Installation;

async fn begin(database: TestDatabase) -> Suite {
    Suite::begin_with(database, &[("registration.mode", "open")]).await
}

/// What the plans register.
fn metadata() -> Value {
    json!({
        "client_name": "Suite dynamic",
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "redirect_uris": [CALLBACK],
        "contacts": ["certification@suite.example"],
    })
}

fn with(mut metadata: Value, member: &str, value: Value) -> Value {
    metadata[member] = value;
    metadata
}

async fn post(suite: &Suite, metadata: &Value) -> Answer {
    let http = Http::new(&suite.server.origin);
    let request = http.request(Method::POST, &suite.endpoint("registration_endpoint"));
    http.send(request.json(metadata)).await
}

/// Registers, and checks the answer as the suite does.
async fn register(suite: &Suite, metadata: &Value) -> (App, Value) {
    let answer = post(suite, metadata).await.expect(201);
    assert!(answer.header("content-type").starts_with("application/json"));
    let json = answer.json();
    assert!(json.get("error").is_none() && json["client_id"].is_string(), "{json}");
    if json.get("client_secret").is_some() {
        assert!(json["client_secret_expires_at"].as_i64().is_some(), "{json}");
    }
    let both = ["registration_client_uri", "registration_access_token"]
        .map(|member| json.get(member).is_some());
    assert_eq!(both[0], both[1], "both or neither");
    let app = App {
        id: json["client_id"].as_str().unwrap().to_owned(),
        secret: json["client_secret"].as_str().map(str::to_owned),
        redirect_uri: CALLBACK.to_owned(),
    };
    (app, json)
}

/// The suite's clean-up.
async fn unregister(suite: &Suite, registered: &Value) {
    let http = Http::new(&suite.server.origin);
    let uri = registered["registration_client_uri"].as_str().unwrap();
    let token = registered["registration_access_token"].as_str().unwrap();
    let request = http.request(Method::DELETE, uri).bearer_auth(token);
    http.send(request).await.expect(204);
}

on_both_databases! {
    async fn oidcc_idtoken_rs256(database: TestDatabase) {
        let suite = begin(database).await;
        let metadata = with(metadata(), "id_token_signed_response_alg", json!("RS256"));
        let (app, registered) = register(&suite, &metadata).await;
        let request = suite.ask_for(&app, Mode::Query);
        let login = suite.login_as(&suite.world.browser(), &app, &request).await;
        assert_eq!(crate::support::oauth::jwt_part(&login.id_token, 0)["alg"], "RS256");
        unregister(&suite, &registered).await;
    }

    async fn other_algorithms_by_registration(database: TestDatabase) {
        let suite = begin(database).await;
        for algorithm in ["ES256", "EdDSA", "PS256"] {
            let metadata = with(metadata(), "id_token_signed_response_alg", json!(algorithm));
            let (app, _) = register(&suite, &metadata).await;
            let request = suite.ask_for(&app, Mode::Query);
            let login = suite.login_as(&suite.world.browser(), &app, &request).await;
            assert_eq!(crate::support::oauth::jwt_part(&login.id_token, 0)["alg"], algorithm);
        }
    }

    async fn oidcc_userinfo_rs256(database: TestDatabase) {
        let suite = begin(database).await;
        let metadata = with(metadata(), "userinfo_signed_response_alg", json!("RS256"));
        let (app, _) = register(&suite, &metadata).await;
        let request = suite.ask_for(&app, Mode::Query);
        let login = suite.login_as(&suite.world.browser(), &app, &request).await;
        let answer = suite.userinfo(login.access()).await.expect(200);
        assert!(answer.header("content-type").starts_with("application/jwt"));
        let claims = checks::signed(&suite.jwks().await, answer.body.trim());
        assert_eq!(claims["iss"], suite.server.issuer);
        assert_eq!(claims["aud"], app.id);
        assert_eq!(claims["sub"], login.claims["sub"]);
    }

    async fn oidcc_ensure_redirect_uri_in_authorization_request(database: TestDatabase) {
        let suite = begin(database).await;
        let two = json!([CALLBACK, format!("{CALLBACK}?dummy1=lorem")]);
        let (app, _) = register(&suite, &with(metadata(), "redirect_uris", two)).await;
        let request = suite.ask_for(&app, Mode::Query).without("redirect_uri");
        let visit = suite.go(&suite.world.browser(), &request).await;
        assert_eq!((visit.screens.as_slice(), visit.end), (&[][..], Screen::Error));
    }

    async fn oidcc_redirect_uri_query_ok(database: TestDatabase) {
        let suite = begin(database).await;
        let uri = format!("{CALLBACK}?dummy1=lorem&dummy2=ipsum");
        let (app, _) = register(&suite, &with(metadata(), "redirect_uris", json!([uri]))).await;
        let request = suite.ask_for(&app, Mode::Query).with("redirect_uri", &uri);
        suite.login_as(&suite.world.browser(), &app, &request).await;
    }

    async fn oidcc_redirect_uri_query_mismatch(database: TestDatabase) {
        let suite = begin(database).await;
        let uri = format!("{CALLBACK}?foo=bar");
        let (app, _) = register(&suite, &with(metadata(), "redirect_uris", json!([uri]))).await;
        let other = format!("{CALLBACK}?baz=quux");
        refused(&suite, suite.ask_for(&app, Mode::Query).with("redirect_uri", &other)).await;
    }

    async fn oidcc_redirect_uri_query_added(database: TestDatabase) {
        let suite = begin(database).await;
        let (app, _) = register(&suite, &metadata()).await;
        let added = format!("{CALLBACK}?foo=bar");
        refused(&suite, suite.ask_for(&app, Mode::Query).with("redirect_uri", &added)).await;
    }

    async fn oidcc_redirect_uri_regfrag(database: TestDatabase) {
        let suite = begin(database).await;
        let uri = format!("{CALLBACK}#foobar");
        let answer = post(&suite, &with(metadata(), "redirect_uris", json!([uri]))).await;
        checks::error_answer(answer, &["invalid_redirect_uri", "invalid_client_metadata"]);
    }

    async fn oidcc_registration_policy_and_tos_uri(database: TestDatabase) {
        let suite = begin(database).await;
        let policy = "https://suite.example/policy";
        let terms = "https://suite.example/terms";
        let metadata = with(metadata(), "policy_uri", json!(policy));
        let (app, _) = register(&suite, &with(metadata, "tos_uri", json!(terms))).await;
        let login = suite.world.browser().open(&suite.ask_for(&app, Mode::Query)).await;
        let links = login.expect(200).attributes("a", "href");
        assert!(links.iter().any(|link| link == policy), "{links:?}");
        assert!(links.iter().any(|link| link == terms), "{links:?}");
    }

    async fn oidcc_server_rotate_keys(database: TestDatabase) {
        let suite = begin(database).await;
        let kids = |jwks: &Value| -> Vec<String> {
            let keys = jwks["keys"].as_array().unwrap();
            keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
        };
        let before = kids(&suite.jwks().await);
        let login = suite.login(&suite.world.browser(), &suite.ask(Mode::Query)).await;
        Installation::on(&suite.server.database).run(["key", "rotate", "--now"]).ok();
        // The server hears of it by itself, within a minute.
        let after = loop {
            let now = kids(&suite.jwks().await);
            if now.iter().any(|kid| !before.contains(kid)) {
                break now;
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        };
        assert!(before.iter().all(|kid| after.contains(kid)), "the old ones stay: {after:?}");
        suite.userinfo(login.access()).await.expect(200);
        let next = suite.login(&suite.world.browser(), &suite.ask(Mode::Query)).await;
        assert_eq!(next.claims["sub"], login.claims["sub"]);
    }
}

async fn refused(suite: &Suite, request: Request) {
    let visit = suite.go(&suite.world.browser(), &request).await;
    assert_eq!((visit.screens.as_slice(), visit.end), (&[][..], Screen::Error));
}
