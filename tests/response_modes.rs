//! How an answer travels to the app: in the query, in the fragment, or in a form.

use std::collections::BTreeMap;

use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::gate::{ask, confirm, in_fragment};
use crate::support::http::Answer;
use crate::support::local::LocalServer;
use crate::support::oauth::{
    self, App, PASSWORD, Request, TokenEndpoint, World, jwt_part, landing, public_client,
};

async fn begin(database: TestDatabase) -> (LocalServer, World) {
    let server = LocalServer::start(database).await;
    let world = World::on(&server).await;
    (server, world)
}

fn request(app: &App, mode: &str) -> Request {
    Request::of(app).with("scope", "openid").with("response_mode", mode)
}

/// What the form of a page hands over, which must be a page as it should be.
#[track_caller]
fn handed_over(page: &Answer, app: &App) -> BTreeMap<String, String> {
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.header("content-type").starts_with("text/html"), "{:?}", page.headers);
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("location"), "");
    // The app sees where the form came from, and not the address with its parameters.
    assert_eq!(page.header("referrer-policy"), "origin");
    let policy = page.header("content-security-policy");
    for part in [
        "default-src 'none'; ",
        "script-src 'self'; ",
        "form-action 'self' https: https://app.example; ",
        "base-uri 'none'; ",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    // Understood without the script: what happens, and a button that does it.
    assert!(page.text().contains("Back to Meadow Notes"), "{}", page.text());
    assert_eq!(page.attributes("form button:not([name])", "class").len(), 1, "{}", page.body);
    assert_eq!(page.attributes("script:not([src])", "type"), Vec::<String>::new());
    assert_eq!(page.attributes("script", "src").len(), 1);
    let form = page.form("form");
    assert_eq!(form.method, reqwest::Method::POST);
    assert_eq!(form.action, app.redirect_uri);
    let fields: BTreeMap<String, String> = form.fields.iter().cloned().collect();
    assert_eq!(fields.len(), form.fields.len(), "each once");
    fields
}

fn names(fields: &BTreeMap<String, String>) -> Vec<&str> {
    fields.keys().map(String::as_str).collect()
}

on_both_databases! {
    async fn a_form_hands_the_code_over(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = &world.public;
        let state = "a \"state\" & <more> é";
        let request = request(app, "form_post").with("state", state).with("nonce", "n");
        let browser = world.sign_in(&world.person).await;
        // From the consent page, and at once when nothing is to be asked.
        let consent = browser.open(&request).await.expect(200);
        for page in [browser.decide(&consent, "allow").await, ask(&browser, &request).await] {
            let fields = handed_over(&page, app);
            assert_eq!(names(&fields), ["code", "iss", "state"]);
            assert_eq!(fields["state"], state);
            assert_eq!(fields["iss"], world.issuer);
            let code = oauth::GivenCode {
                code: fields["code"].clone(),
                verifier: Some(request.pkce.verifier.clone()),
                redirect_uri: Some(app.redirect_uri.clone()),
            };
            let tokens = world.device(app).exchange(&code).await.tokens();
            let token = jwt_part(tokens.answer["id_token"].as_str().unwrap(), 1);
            assert_eq!(token["nonce"], "n");
            let script = &page.attributes("script", "src")[0];
            let script = server.http().get(script).await.expect(200);
            assert!(script.header("content-type").starts_with("text/javascript"));
            assert!(script.body.contains("submit()"), "{}", script.body);
        }
    }

    async fn errors_travel_as_the_answer_would(database: TestDatabase) {
        let (_server, world) = begin(database).await;
        let app = &world.public;
        let browser = world.sign_in(&world.person).await;
        let refused = async |mode: &str| {
            let consent = browser.open(&request(app, mode).with("scope", "notes.read")).await;
            [
                ("access_denied", browser.decide(&consent, "deny").await),
                ("consent_required", ask(&browser, &request(app, mode).with("prompt", "none")).await),
                ("invalid_request", ask(&browser, &request(app, mode).without("code_challenge")).await),
                ("invalid_request", ask(&browser, &request(app, mode).without("response_type")).await),
                (
                    "unsupported_response_type",
                    ask(&browser, &request(app, mode).with("response_type", "id_token")).await,
                ),
                ("login_required", ask(&world.browser(), &request(app, mode).with("prompt", "none")).await),
            ]
        };
        for (error, page) in refused("form_post").await {
            let fields = handed_over(&page, app);
            assert_eq!(names(&fields), ["error", "error_description", "iss", "state"]);
            assert_eq!(fields["error"], error);
        }
        for (error, answer) in refused("fragment").await {
            let location = answer.expect(303).location().unwrap();
            assert_eq!(location.query(), None);
            let fields = in_fragment(&location);
            assert_eq!(names(&fields), ["error", "error_description", "iss", "state"]);
            assert_eq!(fields["error"], error);
        }
        for (error, answer) in refused("query").await {
            assert_eq!(answer.location().unwrap().fragment(), None);
            assert_eq!(answer.location_parameter("error").as_deref(), Some(error));
        }
    }

    async fn a_fragment_has_the_code_where_it_is_asked_for(database: TestDatabase) {
        let (_server, world) = begin(database).await;
        let app = &world.public;
        let browser = world.sign_in(&world.person).await;
        let answer = browser.allow(&request(app, "fragment")).await.expect(303);
        let location = answer.location().unwrap();
        assert_eq!(location.query(), None);
        let fields = in_fragment(&location);
        assert_eq!(names(&fields), ["code", "iss", "state"]);
        assert_eq!(fields["state"], "a state & more");
        // The usual way is the query.
        for request in [request(app, "query"), request(app, "")] {
            let answer = browser.allow(&request).await.expect(303);
            assert_eq!(answer.location().unwrap().fragment(), None);
            assert!(answer.location_parameter("code").is_some());
        }
    }

    async fn what_can_not_be_sent_by_form_is_refused_by_address(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let mut metadata = public_client("Meadow Notes");
        metadata.redirect_uris = vec!["com.example.phone:/callback".into()];
        let phone = oauth::register(&server, "phone", metadata).await;
        for (app, mode) in [(&phone, "form_post"), (&world.public, "jwt"), (&world.public, "FRAGMENT")] {
            let answer = ask(&world.browser(), &request(app, mode)).await;
            assert_eq!(landing(&answer), app.redirect_uri);
            assert_eq!(answer.location_parameter("error").as_deref(), Some("invalid_request"));
        }
        let twice = request(&world.public, "form_post").and("response_mode", "fragment");
        let answer = ask(&world.browser(), &twice).await;
        assert_eq!(answer.location_parameter("error").as_deref(), Some("invalid_request"));
        assert_eq!(ask(&world.browser(), &request(&phone, "fragment")).await.status, 303);
    }

    async fn a_redirect_uri_keeps_its_query_in_every_mode(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let mut metadata = public_client("Meadow Notes");
        metadata.redirect_uris = vec!["https://app.example/callback?tenant=a%20b&x".into()];
        let app = oauth::register(&server, "tenant", metadata).await;
        let browser = world.sign_in(&world.person).await;
        let page = browser.allow(&request(&app, "form_post")).await;
        assert!(handed_over(&page, &app).contains_key("code"));
        let answer = ask(&browser, &request(&app, "query")).await;
        let start = "https://app.example/callback?tenant=a%20b&x&code=";
        assert!(answer.header("location").starts_with(start), "{}", answer.header("location"));
        let answer = ask(&browser, &request(&app, "fragment")).await;
        let start = "https://app.example/callback?tenant=a%20b&x#code=";
        assert!(answer.header("location").starts_with(start), "{}", answer.header("location"));
    }

    async fn the_form_comes_after_every_page_on_the_way(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = &world.public;
        let browser = world.sign_in(&world.person).await;
        browser.allow(&request(app, "query")).await.expect(303);
        let page = browser.open(&request(app, "form_post").with("prompt", "login")).await;
        let page = page.expect(200);
        server.travel_seconds(1);
        let cancelled =
            browser.http.submit(&page.form("form[action$='/login/cancel']"), &[]).await;
        assert_eq!(handed_over(&cancelled, app)["error"], "access_denied");
        let confirmed = confirm(&browser.http, &page, PASSWORD).await.expect(303);
        let answer = browser.http.follow(confirmed).await;
        assert!(handed_over(&answer, app).contains_key("code"));
    }
}
