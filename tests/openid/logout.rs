//! RP-Initiated Logout OP.

use serde_json::json;

use super::suite::{Login, Mode, SIGNED_OUT, Suite};
use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::http::Answer;
use crate::support::oauth::Browser;

/// What came of a logout request.
enum Outcome {
    /// The app's address was called, with this query.
    Called(Vec<(String, String)>),
    /// A page, after a confirmation or at once.
    Page(Answer),
}

async fn begin(suite: &Suite) -> (Browser, Login) {
    let browser = suite.world.browser();
    let login = suite.login(&browser, &suite.ask(Mode::Query)).await;
    (browser, login)
}

/// Opens the endpoint, confirms where that is asked, and follows to the end.
async fn log_out(suite: &Suite, browser: &Browser, parameters: &[(&str, &str)]) -> Outcome {
    let mut url = url::Url::parse(&suite.endpoint("end_session_endpoint")).unwrap();
    if !parameters.is_empty() {
        url.query_pairs_mut().extend_pairs(parameters);
    }
    let mut answer = browser.http.get(url.as_str()).await;
    answer = browser.http.follow(answer).await;
    if answer.status == 200 && !answer.forms("main form[method=post]").is_empty() {
        let form = answer.form("main form[method=post]");
        answer = browser.http.submit(&form, &[]).await;
        answer = browser.http.follow(answer).await;
    }
    match answer.location() {
        Some(url) => {
            assert!(url.as_str().starts_with(SIGNED_OUT), "{url}");
            Outcome::Called(url.query_pairs().into_owned().collect())
        }
        None => Outcome::Page(answer),
    }
}

async fn is_signed_out(suite: &Suite, browser: &Browser) {
    let told = suite.silently(browser, suite.ask(Mode::Query)).await;
    assert_eq!(told["error"], "login_required");
}

#[track_caller]
fn called_with(outcome: Outcome, query: &[(&str, &str)]) {
    let Outcome::Called(got) = outcome else { panic!("the app was not called") };
    let got: Vec<(&str, &str)> =
        got.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(got, query);
}

#[track_caller]
fn a_page(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Page(answer) => answer,
        Outcome::Called(query) => panic!("the app was called with {query:?}"),
    }
}

on_both_databases! {
    async fn oidcc_rp_initiated_logout_discovery_endpoint_verification(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let endpoint = suite.endpoint("end_session_endpoint");
        assert_eq!(endpoint, format!("{}/oauth/logout", suite.server.issuer));
    }

    async fn oidcc_rp_initiated_logout(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let (browser, login) = begin(&suite).await;
        let parameters = [
            ("id_token_hint", login.id_token.as_str()),
            ("post_logout_redirect_uri", SIGNED_OUT),
            ("state", "leaves & fall"),
        ];
        let outcome = log_out(&suite, &browser, &parameters).await;
        called_with(outcome, &[("state", "leaves & fall")]);
        is_signed_out(&suite, &browser).await;
    }

    async fn oidcc_rp_initiated_logout_no_state(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let (browser, login) = begin(&suite).await;
        let parameters = [
            ("id_token_hint", login.id_token.as_str()),
            ("post_logout_redirect_uri", SIGNED_OUT),
        ];
        called_with(log_out(&suite, &browser, &parameters).await, &[]);
        is_signed_out(&suite, &browser).await;
    }

    async fn oidcc_rp_initiated_logout_no_params(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let (browser, _) = begin(&suite).await;
        let page = a_page(log_out(&suite, &browser, &[]).await);
        assert!(page.text().contains("signed out"), "{}", page.text());
        is_signed_out(&suite, &browser).await;
    }

    async fn oidcc_rp_initiated_logout_only_state(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let (browser, _) = begin(&suite).await;
        let page = a_page(log_out(&suite, &browser, &[("state", "x")]).await);
        assert!(page.text().contains("signed out"), "{}", page.text());
        is_signed_out(&suite, &browser).await;
    }

    async fn oidcc_rp_initiated_logout_no_post_logout_redirect_uri(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let (browser, login) = begin(&suite).await;
        let parameters = [("id_token_hint", login.id_token.as_str()), ("state", "x")];
        let page = a_page(log_out(&suite, &browser, &parameters).await);
        assert!(page.text().contains("signed out"), "{}", page.text());
        is_signed_out(&suite, &browser).await;
    }

    async fn oidcc_rp_initiated_logout_bad_post_logout_redirect_uri(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let (browser, login) = begin(&suite).await;
        let parameters = [
            ("id_token_hint", login.id_token.as_str()),
            ("post_logout_redirect_uri", "https://suite.example/somewhere/else"),
            ("state", "x"),
        ];
        a_page(log_out(&suite, &browser, &parameters).await);
    }

    async fn oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri(
        database: TestDatabase
    ) {
        let suite = Suite::begin(database).await;
        let (browser, login) = begin(&suite).await;
        let added = format!("{SIGNED_OUT}?foo=bar");
        let parameters = [
            ("id_token_hint", login.id_token.as_str()),
            ("post_logout_redirect_uri", added.as_str()),
        ];
        a_page(log_out(&suite, &browser, &parameters).await);
    }

    async fn oidcc_rp_initiated_logout_no_id_token_hint(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let (browser, _) = begin(&suite).await;
        let parameters = [("post_logout_redirect_uri", SIGNED_OUT), ("state", "x")];
        a_page(log_out(&suite, &browser, &parameters).await);
    }

    async fn oidcc_rp_initiated_logout_modified_id_token_hint(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let (browser, login) = begin(&suite).await;
        let claims = login.id_token.split('.').nth(1).unwrap();
        let hint = format!("{}.{claims}.", encoded(&json!({ "alg": "none" })));
        let parameters =
            [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", SIGNED_OUT)];
        a_page(log_out(&suite, &browser, &parameters).await);
    }

    async fn oidcc_rp_initiated_logout_bad_id_token_hint(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let (browser, login) = begin(&suite).await;
        let hint = signed_by_another(&login.id_token);
        let parameters =
            [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", SIGNED_OUT)];
        a_page(log_out(&suite, &browser, &parameters).await);
    }

    async fn an_expired_hint_is_a_hint(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let (browser, login) = begin(&suite).await;
        suite.server.travel_seconds(3 * 3_600);
        let parameters = [
            ("id_token_hint", login.id_token.as_str()),
            ("post_logout_redirect_uri", SIGNED_OUT),
        ];
        called_with(log_out(&suite, &browser, &parameters).await, &[]);
        is_signed_out(&suite, &browser).await;
    }
}

fn encoded(json: &serde_json::Value) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json.to_string())
}

/// The same header and claims under somebody else's RSA key.
fn signed_by_another(token: &str) -> String {
    use perennial::crypto::signing::{Algorithm, SigningKey, generate};
    let private = generate(Algorithm::Rs256).unwrap();
    let key = SigningKey::from_private(Algorithm::Rs256, &private).unwrap();
    let forged = key.sign("JWT", &crate::support::oauth::jwt_part(token, 1)).unwrap();
    let (_, signature) = forged.rsplit_once('.').unwrap();
    let (signed, _) = token.rsplit_once('.').unwrap();
    format!("{signed}.{signature}")
}
