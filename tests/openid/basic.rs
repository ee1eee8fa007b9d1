//! Basic OP and Form Post OP: each module in both ways that an answer comes.

use perennial::domain::client::ClientMetadata;
use reqwest::Method;
use serde_json::{Value, json};

use super::checks;
use super::suite::{
    CALLBACK, Login, MODES, Mode, Screen, Suite, client, exchange_of, posting_client,
};
use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::http::Http;
use crate::support::oauth::{Browser, Request};

const NOT_SIGNED_IN: [&str; 4] =
    ["login_required", "interaction_required", "account_selection_required", "consent_required"];

/// The app and the person know each other from here on.
async fn signed_in(suite: &Suite, mode: Mode) -> (Browser, Login) {
    let browser = suite.world.browser();
    let login = suite.login(&browser, &suite.ask(mode)).await;
    assert_eq!(login.screens, [Screen::Login, Screen::Consent]);
    (browser, login)
}

/// A first sign-in in which consent is given, in a browser that is thrown away.
async fn consented(suite: &Suite, scope: &str) {
    let request = suite.ask(Mode::Query).with("scope", scope);
    suite.login(&suite.world.browser(), &request).await;
}

async fn with_parameters(suite: &Suite, parameters: &[(&str, &str)]) {
    for mode in MODES {
        let request = parameters
            .iter()
            .fold(suite.ask(mode), |request, (name, value)| request.with(name, value));
        let login = suite.login(&suite.world.browser(), &request).await;
        assert_eq!(login.screens.first(), Some(&Screen::Login));
    }
}

async fn scope(suite: &Suite, scope: &str, claims: &[&str]) {
    for mode in MODES {
        let request = suite.ask(mode).with("scope", scope);
        let login = suite.login(&suite.world.browser(), &request).await;
        let told = suite.userinfo_of(&login).await;
        for claim in claims {
            assert!(told.get(claim).is_some(), "{claim} is missing: {told}");
        }
        let known = ["sub"].iter().chain(claims).copied().collect::<Vec<_>>();
        for name in told.as_object().unwrap().keys() {
            assert!(known.contains(&name.as_str()), "{name} is beyond {scope}");
        }
    }
}

const PROFILE: [&str; 14] = [
    "name",
    "family_name",
    "given_name",
    "middle_name",
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
];
const EMAIL: [&str; 2] = ["email", "email_verified"];
const ADDRESS: [&str; 1] = ["address"];
const PHONE: [&str; 2] = ["phone_number", "phone_number_verified"];

on_both_databases! {
    async fn oidcc_server(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        for mode in MODES {
            let browser = suite.world.browser();
            let login = suite.login(&browser, &suite.ask(mode)).await;
            suite.userinfo_of(&login).await;
        }
    }

    async fn oidcc_response_type_missing(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        for mode in MODES {
            let request = suite.ask(mode).without("response_type");
            let visit = suite.go(&suite.world.browser(), &request).await;
            let error = visit.callback(&request, &suite.server.issuer)["error"].clone();
            assert!(["unsupported_response_type", "invalid_request"].contains(&error.as_str()));
        }
    }

    async fn oidcc_idtoken_signature(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let login = suite.login(&suite.world.browser(), &suite.ask(Mode::Query)).await;
        let header = crate::support::oauth::jwt_part(&login.id_token, 0);
        assert_eq!(header["alg"], "RS256");
        assert!(header["kid"].is_string());
    }

    async fn oidcc_userinfo_get(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let login = suite.login(&suite.world.browser(), &suite.ask(Mode::Query)).await;
        suite.userinfo_of(&login).await;
    }

    async fn oidcc_userinfo_post_header(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let login = suite.login(&suite.world.browser(), &suite.ask(Mode::Query)).await;
        let http = Http::new(&suite.server.origin);
        let request = http.request(Method::POST, &suite.endpoint("userinfo_endpoint"));
        let answer = http.send(request.bearer_auth(login.access())).await.expect(200);
        assert_eq!(answer.json()["sub"], login.claims["sub"]);
    }

    async fn oidcc_userinfo_post_body(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let login = suite.login(&suite.world.browser(), &suite.ask(Mode::Query)).await;
        let endpoint = suite.endpoint("userinfo_endpoint");
        let http = Http::new(&suite.server.origin);
        let answer = http.post_form(&endpoint, &[("access_token", login.access())]).await;
        assert_eq!(answer.expect(200).json()["sub"], login.claims["sub"]);
    }

    async fn oidcc_ensure_request_without_nonce_succeeds_for_code_flow(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        for mode in MODES {
            let request = suite.ask(mode).without("nonce");
            let login = suite.login(&suite.world.browser(), &request).await;
            assert_eq!(login.claims.get("nonce"), None);
        }
    }

    async fn oidcc_scope_profile(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        suite.fill_profile().await;
        scope(&suite, "openid profile", &PROFILE).await;
    }

    async fn oidcc_scope_email(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        scope(&suite, "openid email", &EMAIL).await;
    }

    async fn oidcc_scope_address(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        suite.fill_profile().await;
        scope(&suite, "openid address", &ADDRESS).await;
    }

    async fn oidcc_scope_phone(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        suite.fill_profile().await;
        scope(&suite, "openid phone", &PHONE).await;
    }

    async fn oidcc_scope_all(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        suite.fill_profile().await;
        let claims = [&PROFILE[..], &EMAIL, &ADDRESS, &PHONE].concat();
        scope(&suite, "openid profile email address phone", &claims).await;
    }

    async fn an_unknown_scope_is_no_error(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let request = suite.ask(Mode::Query).with("scope", "openid weather.on.mars profile");
        let login = suite.login(&suite.world.browser(), &request).await;
        assert_eq!(login.answer["scope"], "openid profile");
    }

    async fn oidcc_alternate_happy_flow(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        for mode in MODES {
            let mut request = suite.ask(mode).with("scope", "email openid profile");
            request.parameters.reverse();
            let login = suite.login(&suite.world.browser(), &request).await;
            suite.userinfo_of(&login).await;
        }
    }

    async fn oidcc_display_page(database: TestDatabase) {
        with_parameters(&Suite::begin(database).await, &[("display", "page")]).await;
    }

    async fn oidcc_display_popup(database: TestDatabase) {
        with_parameters(&Suite::begin(database).await, &[("display", "popup")]).await;
    }

    async fn oidcc_prompt_login(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        consented(&suite, "openid").await;
        for mode in MODES {
            let browser = suite.world.browser();
            let first = suite.login(&browser, &suite.ask(mode)).await;
            suite.server.travel_seconds(2);
            let request = suite.ask(mode).with("prompt", "login");
            let second = suite.login(&browser, &request).await;
            assert_eq!(second.screens, [Screen::Login], "although signed in");
            assert_eq!(second.claims["sub"], first.claims["sub"]);
            assert!(second.claims["auth_time"].as_i64() > first.claims["auth_time"].as_i64());
        }
    }

    async fn oidcc_prompt_none_not_logged_in(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        for mode in MODES {
            let told = suite.silently(&suite.world.browser(), suite.ask(mode)).await;
            assert!(NOT_SIGNED_IN.contains(&told["error"].as_str()), "{told:?}");
        }
    }

    async fn oidcc_prompt_none_logged_in(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let (browser, first) = signed_in(&suite, Mode::Query).await;
        for mode in MODES {
            suite.server.travel_seconds(2);
            let request = suite.ask(mode).with("prompt", "none");
            let second = suite.login(&browser, &request).await;
            assert_eq!(second.screens, []);
            assert_eq!(second.claims["sub"], first.claims["sub"]);
            assert_eq!(second.claims["auth_time"], first.claims["auth_time"]);
        }
    }

    async fn oidcc_max_age_1(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let (browser, mut last) = signed_in(&suite, Mode::Query).await;
        for mode in MODES {
            suite.server.travel_seconds(2);
            let next = suite.login(&browser, &suite.ask(mode).with("max_age", "1")).await;
            assert_eq!(next.screens, [Screen::Login]);
            let auth_time = next.claims["auth_time"].as_i64().unwrap();
            assert!(auth_time > last.claims["auth_time"].as_i64().unwrap());
            assert!(suite.server.now().as_seconds() - auth_time <= 1);
            last = next;
        }
    }

    async fn oidcc_max_age_10000(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        consented(&suite, "openid").await;
        for mode in MODES {
            let browser = suite.world.browser();
            let first = suite.login(&browser, &suite.ask(mode).with("max_age", "15000")).await;
            suite.server.travel_seconds(60);
            let second = suite.login(&browser, &suite.ask(mode).with("max_age", "10000")).await;
            assert_eq!(second.screens, []);
            assert_eq!(second.claims["auth_time"], first.claims["auth_time"]);
        }
    }

    async fn oidcc_ensure_request_with_unknown_parameter_succeeds(database: TestDatabase) {
        with_parameters(&Suite::begin(database).await, &[("extra", "foobar")]).await;
    }

    async fn oidcc_id_token_hint(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let (browser, first) = signed_in(&suite, Mode::Query).await;
        for mode in MODES {
            suite.server.travel_seconds(2);
            let hint = &first.id_token;
            let request = suite.ask(mode).with("prompt", "none").with("id_token_hint", hint);
            let second = suite.login(&browser, &request).await;
            assert_eq!(second.claims["sub"], first.claims["sub"]);
            assert_eq!(second.claims["auth_time"], first.claims["auth_time"]);
        }
    }

    async fn oidcc_login_hint(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        with_parameters(&suite, &[("login_hint", "ada@northfield.example")]).await;
        let request = suite.ask(Mode::Query).with("login_hint", "ada \"<x>");
        let login = suite.world.browser().open(&request).await.expect(200);
        let form = login.form("form:has(input[type=password])");
        assert_eq!(form.value("username"), Some("ada \"<x>"));
    }

    async fn oidcc_ui_locales(database: TestDatabase) {
        with_parameters(&Suite::begin(database).await, &[("ui_locales", "se")]).await;
    }

    async fn oidcc_claims_locales(database: TestDatabase) {
        with_parameters(&Suite::begin(database).await, &[("claims_locales", "se")]).await;
    }

    async fn oidcc_ensure_request_with_acr_values_succeeds(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let offered = suite.discovery["acr_values_supported"].as_array().cloned();
        let offered: Vec<String> = offered
            .unwrap_or_else(|| vec![json!("1"), json!("2")])
            .iter()
            .map(|value| value.as_str().unwrap().to_owned())
            .collect();
        for mode in MODES {
            let request = suite.ask(mode).with("acr_values", &offered.join(" "));
            let login = suite.login(&suite.world.browser(), &request).await;
            let acr = login.claims["acr"].as_str().unwrap();
            assert!(offered.iter().any(|one| one == acr), "{acr}");
        }
    }

    async fn oidcc_codereuse(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        for mode in MODES {
            let request = suite.ask(mode);
            let login = suite.login(&suite.world.browser(), &request).await;
            let fields = exchange_of(&request, &login.code);
            let again = suite.device(&suite.client).post("/oauth/token", &fields).await;
            checks::error_answer(again, &["invalid_grant"]);
        }
    }

    async fn oidcc_codereuse_30seconds(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        for mode in MODES {
            let request = suite.ask(mode);
            let login = suite.login(&suite.world.browser(), &request).await;
            suite.userinfo_of(&login).await;
            suite.server.travel_seconds(30);
            let fields = exchange_of(&request, &login.code);
            let again = suite.device(&suite.client).post("/oauth/token", &fields).await;
            checks::error_answer(again, &["invalid_grant"]);
            suite.userinfo(login.access()).await.expect(401);
        }
    }

    async fn oidcc_ensure_registered_redirect_uri(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        for mode in MODES {
            let uri = format!("{}/unregistered", CALLBACK);
            let request = suite.ask(mode).with("redirect_uri", &uri);
            let visit = suite.go(&suite.world.browser(), &request).await;
            assert_eq!((visit.screens.as_slice(), visit.end), (&[][..], Screen::Error));
            assert!(visit.answer.text().contains("redirect_uri"), "it says so");
        }
    }

    async fn oidcc_ensure_post_request_succeeds(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        for mode in MODES {
            // From another site: no cookie of ours comes with it, and no CSRF token.
            let stranger = Http::new(&suite.server.origin);
            let request = suite.ask(mode);
            let post = stranger
                .request(Method::POST, &suite.endpoint("authorization_endpoint"))
                .header("origin", "https://suite.example")
                .header("sec-fetch-site", "cross-site")
                .form(&request.parameters);
            let answer = stranger.send(post).await;
            let browser = suite.world.browser();
            let visit = suite.go_on(&browser, answer, &request).await;
            let code = visit.callback(&request, &suite.server.issuer)["code"].clone();
            suite.exchange(&suite.client, &request, &code, visit.screens).await;
        }
    }

    async fn oidcc_server_client_secret_post(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let app = suite.register("suite-post", posting_client()).await;
        for mode in MODES {
            let request = suite.ask_for(&app, mode);
            let browser = suite.world.browser();
            let visit = suite.go(&browser, &request).await;
            let code = visit.callback(&request, &suite.server.issuer)["code"].clone();
            let mut fields = exchange_of(&request, &code);
            fields.push(("client_id", &app.id));
            fields.push(("client_secret", app.secret.as_deref().unwrap()));
            let answer = suite.server.http().post_form("/oauth/token", &fields).await;
            let answer = checks::token_answer(answer);
            let (jwks, token) = (suite.jwks().await, answer["id_token"].as_str().unwrap());
            checks::id_token(&jwks, token, &suite.server, &app, &request, &answer);
        }
    }

    async fn oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported(
        database: TestDatabase
    ) {
        let suite = Suite::begin(database).await;
        for mode in MODES {
            let request = suite.ask(mode).with("request_uri", "https://suite.example/request.jwt");
            let visit = suite.go(&suite.world.browser(), &request).await;
            let told = visit.callback(&request, &suite.server.issuer);
            assert_eq!(told["error"], "request_uri_not_supported");
        }
    }

    async fn oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported(
        database: TestDatabase
    ) {
        let suite = Suite::begin(database).await;
        for mode in MODES {
            let request = suite.ask(mode).with("request", &unsigned(&json!({ "scope": "openid" })));
            let visit = suite.go(&suite.world.browser(), &request).await;
            let told = visit.callback(&request, &suite.server.issuer);
            let error = told["error"].as_str();
            assert!(["request_not_supported", "invalid_request_object"].contains(&error), "{told:?}");
        }
    }

    async fn oidcc_ensure_request_object_with_redirect_uri(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        for mode in MODES {
            let inside = json!({ "redirect_uri": "https://suite.example/elsewhere" });
            let request = suite.ask(mode).with("request", &unsigned(&inside));
            let visit = suite.go(&suite.world.browser(), &request).await;
            match visit.end {
                Screen::Error => {}
                _ => assert!(visit.callback(&request, &suite.server.issuer).contains_key("error")),
            }
        }
    }

    async fn oidcc_claims_essential(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        for mode in MODES {
            let claims = r#"{"userinfo":{"name":{"essential":true}}}"#;
            let request = suite.ask(mode).with("claims", claims);
            let login = suite.login(&suite.world.browser(), &request).await;
            let told = suite.userinfo_of(&login).await;
            assert!(told["name"].is_string(), "{told}");
            assert_eq!(told.get("email"), None, "and no more than that: {told}");
        }
    }

    async fn oidcc_ensure_request_with_valid_pkce_succeeds(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        for mode in MODES {
            let challenged = Request::of(&suite.client);
            let request = suite
                .ask(mode)
                .with("code_challenge", &challenged.pkce.challenge)
                .with("code_challenge_method", "S256");
            let request = Request { pkce: challenged.pkce, ..request };
            suite.login(&suite.world.browser(), &request).await;
        }
    }

    async fn a_client_that_may_leave_pkce_out_is_a_confidential_one(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let strict = ClientMetadata { require_pkce: true, ..client("Strict") };
        let app = suite.register("strict-pkce", strict).await;
        let request = suite.ask_for(&app, Mode::Query);
        let visit = suite.go(&suite.world.browser(), &request).await;
        assert_eq!(visit.callback(&request, &suite.server.issuer)["error"], "invalid_request");
    }
}

/// A request object that nobody signed.
fn unsigned(claims: &Value) -> String {
    use base64::Engine;
    let part =
        |json: &Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json.to_string());
    format!("{}.{}.", part(&json!({ "alg": "none" })), part(claims))
}
