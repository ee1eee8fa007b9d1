//! What the FAPI 2.0 plan asks of pushed authorization requests, but for DPoP.

use reqwest::Method;
use serde_json::Value;

use super::checks;
use super::suite::{Mode, Screen, Suite, client};
use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::http::Answer;
use crate::support::oauth::{App, Request};

async fn push(suite: &Suite, app: &App, request: &Request) -> Answer {
    let fields: Vec<(&str, &str)> = request
        .parameters
        .iter()
        .filter(|(name, _)| name != "client_id")
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    suite.device(app).post("/oauth/par", &fields).await
}

/// Pushes a request; the short one that stands for it.
async fn pushed(suite: &Suite, app: &App, request: &Request) -> (Request, Value) {
    let answer = push(suite, app, request).await.expect(201);
    assert!(answer.header("cache-control").contains("no-store"));
    let json = answer.json();
    let uri = json["request_uri"].as_str().unwrap();
    checks::entropy("request_uri", uri.rsplit(':').next().unwrap());
    let seconds = json["expires_in"].as_i64().unwrap();
    assert!((60..=90).contains(&seconds), "{json}");
    let parameters = [("client_id", app.id.as_str()), ("request_uri", uri)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    (Request { parameters: parameters.into(), pkce: request.pkce.clone() }, json)
}

/// The short request is opened; what comes back is that of the whole one.
async fn code_of(suite: &Suite, short: &Request, whole: &Request) -> String {
    let browser = suite.world.browser();
    let answer = browser.http.get(&short.path()).await;
    let visit = suite.go_on(&browser, answer, whole).await;
    visit.callback(whole, &suite.server.issuer)["code"].clone()
}

async fn is_refused(suite: &Suite, short: &Request, whole: &Request) {
    let browser = suite.world.browser();
    let answer = browser.http.get(&short.path()).await;
    let visit = suite.go_on(&browser, answer, whole).await;
    if visit.end == Screen::Callback {
        let url = visit.answer.location().unwrap();
        let error = url.query_pairs().find(|(name, _)| name == "error").unwrap().1.into_owned();
        assert!(["invalid_request", "invalid_request_uri"].contains(&error.as_str()), "{url}");
    } else {
        assert_eq!(visit.end, Screen::Error);
    }
    assert_eq!(visit.screens, []);
}

on_both_databases! {
    async fn a_pushed_request_is_as_good_as_its_parameters(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        for app in [&suite.client, &suite.world.public] {
            let whole = Request::of(app).with("scope", "openid").with("nonce", "n-0S6_WzA2Mj");
            let (short, _) = pushed(&suite, app, &whole).await;
            // What stands beside the request_uri isn't used.
            let short = short.with("state", "another").with("nonce", "another");
            let code = code_of(&suite, &short, &whole).await;
            suite.exchange(app, &whole, &code, Vec::new()).await;
        }
    }

    async fn par_attempt_reuse_request_uri(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let whole = suite.ask(Mode::Query);
        let (short, _) = pushed(&suite, &suite.client, &whole).await;
        code_of(&suite, &short, &whole).await;
        is_refused(&suite, &short, &whole).await;
    }

    async fn par_ensure_reused_request_uri_prior_to_auth_completion_succeeds(
        database: TestDatabase
    ) {
        let suite = Suite::begin(database).await;
        let whole = suite.ask(Mode::Query);
        let (short, _) = pushed(&suite, &suite.client, &whole).await;
        let left = suite.world.browser();
        let answer = left.http.get(&short.path()).await;
        left.http.follow(answer).await.expect(200);
        code_of(&suite, &short, &whole).await;
    }

    async fn par_attempt_to_use_expired_request_uri(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let whole = suite.ask(Mode::Query);
        let (short, json) = pushed(&suite, &suite.client, &whole).await;
        suite.server.travel_seconds(json["expires_in"].as_u64().unwrap());
        is_refused(&suite, &short, &whole).await;
    }

    async fn par_attempt_to_use_request_uri_for_different_client(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let whole = suite.ask(Mode::Query);
        let (short, _) = pushed(&suite, &suite.client, &whole).await;
        let theirs = short.with("client_id", &suite.other.id);
        is_refused(&suite, &theirs, &whole).await;
    }

    async fn par_authorization_request_containing_request_uri_form_param(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let request = suite.ask(Mode::Query).with("request_uri", "urn:example:x");
        let answer = push(&suite, &suite.client, &request).await;
        checks::error_answer(answer.expect(400), &["invalid_request"]);
    }

    async fn par_attempt_invalid_http_method(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let http = suite.server.http();
        let request = http.request(Method::PUT, "/oauth/par");
        http.send(request.form(&suite.ask(Mode::Query).parameters)).await.expect(405);
    }

    async fn a_bad_request_is_refused_when_it_is_pushed(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let good = || suite.ask(Mode::Query);
        for (request, errors) in [
            (good().with("redirect_uri", "https://else.example/cb"), &["invalid_request"][..]),
            (good().with("response_type", "code id_token"), &["unsupported_response_type"]),
            (good().with("response_type", "token"), &["unsupported_response_type"]),
            (good().with("prompt", "none login"), &["invalid_request"]),
            (good().with("code_challenge", "x").with("code_challenge_method", "plain"), &[
                "invalid_request",
            ]),
        ] {
            let answer = push(&suite, &suite.client, &request).await;
            checks::error_answer(answer.expect(400), errors);
        }
        let nobody = suite.server.http().post_form("/oauth/par", &[("client_id", "suite-1")]).await;
        checks::error_answer(nobody, &["invalid_client"]);
    }

    async fn par_ensure_pkce_required(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let request = suite.ask_for(&suite.world.confidential, Mode::Query);
        let answer = push(&suite, &suite.world.confidential, &request).await;
        checks::error_answer(answer.expect(400), &["invalid_request"]);
    }

    async fn par_plain_pkce_rejected(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let request = Request::of(&suite.world.confidential).with("code_challenge_method", "plain");
        let answer = push(&suite, &suite.world.confidential, &request).await;
        checks::error_answer(answer.expect(400), &["invalid_request"]);
    }

    async fn ensure_unsigned_authorization_request_without_using_par_fails(
        database: TestDatabase
    ) {
        let suite = Suite::begin(database).await;
        let mut metadata = client("Pushing");
        metadata.details.require_pushed_authorization_requests = true;
        let app = suite.register("suite-pushing", metadata).await;
        let whole = suite.ask_for(&app, Mode::Query);
        is_refused(&suite, &whole, &whole).await;
        let (short, _) = pushed(&suite, &app, &whole).await;
        code_of(&suite, &short, &whole).await;
    }
}
