//! The authorization endpoint over HTTP: who asks, where the answer goes, sign-in and consent.

use perennial::domain::client::GrantType;

use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::http::Answer;
use crate::support::local::LocalServer;
use crate::support::oauth::{
    self, App, Pkce, Request, TokenEndpoint, World, confidential_client, landing, public_client,
};

async fn begin(database: TestDatabase) -> (LocalServer, World) {
    let server = LocalServer::start(database).await;
    let world = World::on(&server).await;
    (server, world)
}

/// A page for a person, and no redirect anywhere.
#[track_caller]
fn assert_page(answer: Answer) {
    let answer = answer.expect(400);
    assert!(answer.header("content-type").starts_with("text/html"), "{:?}", answer.headers);
    assert_eq!(answer.header("location"), "");
    assert!(answer.header("content-security-policy").contains("default-src 'none'"));
    assert!(!answer.header("x-request-id").is_empty());
}

/// An error on its way back to the app, with what it must repeat.
#[track_caller]
fn assert_sent_back(world: &World, app: &App, answer: &Answer, error: &str) {
    assert_eq!(answer.status, 303, "{}", answer.body);
    assert_eq!(landing(answer), app.redirect_uri);
    assert_eq!(answer.location_parameter("error").as_deref(), Some(error));
    assert_eq!(answer.location_parameter("state").as_deref(), Some("a state & more"));
    assert_eq!(answer.location_parameter("iss"), Some(world.issuer.clone()));
    assert_eq!(answer.location_parameter("code"), None);
    let description = answer.location_parameter("error_description").unwrap();
    assert!(!description.contains(['"', '\\']) && description.is_ascii(), "{description}");
}

on_both_databases! {
    async fn nobody_is_sent_to_an_address_that_is_not_the_apps(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let good = || Request::of(&world.public);
        let signed_in = world.sign_in(&world.person).await;
        let before = server.database.dump();
        let bad = [
            good().with("client_id", "nobody"),
            good().with("client_id", "not an id"),
            good().with("client_id", ""),
            good().without("client_id"),
            good().and("client_id", "public"),
            good().and("client_id", "confidential"),
            good().with("redirect_uri", "https://app.example/callback/"),
            good().with("redirect_uri", "https://app.example/callback?x=1"),
            good().with("redirect_uri", "https://app.example:444/callback"),
            good().with("redirect_uri", "https://APP.example/callback"),
            good().with("redirect_uri", "http://app.example/callback"),
            good().with("redirect_uri", "https://app.example.evil.example/callback"),
            good().with("redirect_uri", "https://app.example@evil.example/callback"),
            good().with("redirect_uri", "javascript:alert(1)"),
            good().with("redirect_uri", "//evil.example"),
            good().and("redirect_uri", &world.public.redirect_uri),
        ];
        for request in bad {
            // Whoever asks, and whatever else is wrong with it.
            let also = request.clone().with("response_type", "token").without("code_challenge");
            assert_page(world.browser().http.get(&request.path()).await);
            assert_page(signed_in.http.get(&request.path()).await);
            assert_page(signed_in.http.get(&also.path()).await);
        }
        assert_page(signed_in.http.get("/oauth/authorize?client_id=%ff").await);
        assert_eq!(server.database.dump(), before);
    }

    async fn only_the_port_of_a_loopback_address_may_vary(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let mut metadata = public_client("Terminal");
        metadata.redirect_uris = vec!["http://127.0.0.1/callback".into(), "http://[::1]:1/callback".into()];
        let app = oauth::register(&server, "terminal", metadata).await;
        let browser = world.sign_in(&world.person).await;
        for uri in ["http://127.0.0.1:51234/callback", "http://[::1]:51234/callback", "http://127.0.0.1/callback"] {
            let request = Request::of(&app).with("redirect_uri", uri);
            let consent = browser.open(&request).await.expect(200);
            let answer = browser.decide(&consent, "allow").await;
            assert_eq!(landing(&answer), uri);
            let given = oauth::GivenCode {
                code: answer.location_parameter("code").unwrap(),
                verifier: Some(request.pkce.verifier.clone()),
                redirect_uri: Some(uri.to_owned()),
            };
            world.device(&app).exchange(&given).await.tokens();
        }
        for uri in ["http://127.0.0.2:51234/callback", "http://localhost:51234/callback",
            "http://127.0.0.1:51234/other", "http://127.0.0.1:0x50/callback",
            "http://127.0.0.1:1@evil.example/callback"]
        {
            assert_page(browser.http.get(&Request::of(&app).with("redirect_uri", uri).path()).await);
        }
    }

    async fn the_only_redirect_uri_need_not_be_named_and_several_must(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let browser = world.sign_in(&world.person).await;
        let request = Request::of(&world.public).without("redirect_uri");
        let code = browser.code(&request).await;
        assert_eq!(code.redirect_uri, None);
        world.device(&world.public).exchange(&code).await.tokens();

        let mut metadata = public_client("Two");
        metadata.redirect_uris.push("https://app.example/other".into());
        let app = oauth::register(&server, "two", metadata).await;
        assert_page(browser.http.get(&Request::of(&app).without("redirect_uri").path()).await);
    }

    async fn what_else_is_wrong_goes_back_to_the_app(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = &world.public;
        let mut metadata = public_client("No grant");
        metadata.grants = vec![GrantType::RefreshToken];
        let without_grant = oauth::register(&server, "no-grant", metadata).await;
        let good = || Request::of(app);
        let long = "A".repeat(44);
        let before = server.database.dump();
        let bad = [
            (good().without("code_challenge").without("code_challenge_method"), "invalid_request"),
            (good().without("code_challenge"), "invalid_request"),
            (good().with("code_challenge_method", "plain"), "invalid_request"),
            (good().without("code_challenge_method"), "invalid_request"),
            (good().with("code_challenge_method", "s256"), "invalid_request"),
            (good().with("code_challenge", "short"), "invalid_request"),
            (good().with("code_challenge", &long), "invalid_request"),
            (good().with("code_challenge", &format!("{}=", &long[..42])), "invalid_request"),
            (good().without("response_type"), "invalid_request"),
            (good().with("response_type", "token"), "unsupported_response_type"),
            (good().with("response_type", "code id_token"), "unsupported_response_type"),
            (good().with("response_mode", "web_message"), "invalid_request"),
            (good().and("scope", "openid"), "invalid_request"),
            (good().and("response_type", "code"), "invalid_request"),
            (good().and("code_challenge", &Pkce::new().challenge), "invalid_request"),
            (good().and("nonce", "a").and("nonce", "b"), "invalid_request"),
            (good().with("scope", "admin"), "invalid_scope"),
            (good().with("scope", "a\"b"), "invalid_scope"),
            (Request::of(&without_grant), "unauthorized_client"),
        ];
        for (request, error) in bad {
            let answer = world.browser().http.get(&request.path()).await;
            assert_sent_back(&world, app, &answer, error);
        }
        // Of two states neither is the one.
        let answer = world.browser().http.get(&good().and("state", "other").path()).await;
        assert_eq!(answer.location_parameter("error").as_deref(), Some("invalid_request"));
        assert_eq!(answer.location_parameter("state"), None);
        assert_eq!(server.database.dump(), before);
    }

    async fn unknown_scopes_and_parameters_are_ignored(database: TestDatabase) {
        let (_server, world) = begin(database).await;
        let browser = world.sign_in(&world.person).await;
        let request = Request::of(&world.public)
            .with("scope", "openid admin notes.read offline_access nonsense")
            .and("ui_locales", "en")
            .and("x-unknown", "1")
            .and("x-unknown", "2");
        let code = browser.code(&request).await;
        let tokens = world.device(&world.public).exchange(&code).await.tokens();
        assert_eq!(tokens.answer["scope"], "openid notes.read offline_access");
    }

    async fn a_post_works_like_a_get(database: TestDatabase) {
        let (_server, world) = begin(database).await;
        let browser = world.sign_in(&world.person).await;
        let request = Request::of(&world.public);
        let fields: Vec<(&str, &str)> =
            request.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        // Another site's form comes without our cookies.
        let stranger = world.browser();
        let answer = stranger.http.post_form("/oauth/authorize", &fields).await;
        let consent = browser.http.get(answer.expect(303).location().unwrap().as_str()).await;
        let consent = browser.http.follow(consent).await.expect(200);
        let answer = browser.decide(&consent, "allow").await;
        assert_eq!(landing(&answer), world.public.redirect_uri);
        assert_eq!(answer.location_parameter("state").as_deref(), Some("a state & more"));

        let bad = browser.http.post_form("/oauth/authorize", &[("client_id", "nobody")]).await;
        assert_page(browser.http.follow(bad).await);
        let json = b"{}".to_vec();
        assert_page(browser.http.post_raw("/oauth/authorize", "application/json", json).await);
    }

    async fn who_denies_sends_the_app_a_refusal_and_is_asked_again(database: TestDatabase) {
        let (_server, world) = begin(database).await;
        let browser = world.sign_in(&world.person).await;
        for _ in 0..2 {
            let consent = browser.open(&Request::of(&world.public)).await.expect(200);
            let answer = browser.decide(&consent, "deny").await;
            assert_sent_back(&world, &world.public, &answer, "access_denied");
        }
    }

    async fn consent_is_remembered_and_asked_again_for_something_new(database: TestDatabase) {
        let (_server, world) = begin(database).await;
        let browser = world.sign_in(&world.person).await;
        let ask = |scope: &str| Request::of(&world.public).with("scope", scope);
        let consent = browser.open(&ask("openid notes.read")).await.expect(200);
        assert!(consent.text().contains("Meadow Notes"));
        browser.decide(&consent, "allow").await.expect(303);
        // The same, and less of it: at once.
        for scope in ["openid notes.read", "notes.read openid", "openid"] {
            let answer = browser.open(&ask(scope)).await.expect(303);
            assert!(answer.location_parameter("code").is_some());
            assert_eq!(answer.location_parameter("iss"), Some(world.issuer.clone()));
        }
        // More: asked, and both are remembered.
        let consent = browser.open(&ask("openid notes.write")).await.expect(200);
        browser.decide(&consent, "allow").await.expect(303);
        browser.open(&ask("openid notes.read notes.write")).await.expect(303);
        // Another app, and another person, are asked for themselves.
        browser.open(&Request::of(&world.confidential)).await.expect(200);
        let other = world.sign_in(&world.admin).await;
        other.open(&ask("openid")).await.expect(200);
    }

    async fn an_app_that_anybody_could_pretend_to_be_is_allowed_each_time(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let mut metadata = public_client("Terminal");
        metadata.redirect_uris = vec!["http://127.0.0.1/callback".into()];
        let app = oauth::register(&server, "terminal", metadata).await;
        let browser = world.sign_in(&world.person).await;
        for _ in 0..2 {
            let consent = browser.open(&Request::of(&app)).await.expect(200);
            browser.decide(&consent, "allow").await.expect(303);
        }
    }

    async fn an_operators_own_app_does_not_ask(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let mut metadata = confidential_client("Ours");
        metadata.skip_consent = true;
        let app = oauth::register(&server, "ours", metadata).await;
        let browser = world.sign_in(&world.person).await;
        let answer = browser.open(&Request::of(&app)).await.expect(303);
        assert!(answer.location_parameter("code").is_some());
        // But never for somebody who isn't signed in.
        assert_eq!(world.browser().open(&Request::of(&app)).await.status, 200);
    }

    async fn what_was_asked_for_survives_the_sign_in(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let browser = world.browser();
        let rows = server.database.row_count();
        let login = browser.open(&Request::of(&world.public)).await.expect(200);
        assert!(login.text().contains("Meadow Notes"));
        assert_eq!(server.database.row_count(), rows, "a stranger's visit writes no row");
        // A wrong password first.
        let mut wrong = world.person.clone();
        wrong.password = "summer garden gate".into();
        let login = browser.type_password(&login, &wrong).await.expect(422);
        let signed_in = browser.type_password(&login, &world.person).await.expect(303);
        let consent = browser.http.follow(signed_in).await.expect(200);
        let answer = browser.decide(&consent, "allow").await.expect(303);
        assert_eq!(landing(&answer), world.public.redirect_uri);
        assert_eq!(answer.location_parameter("state").as_deref(), Some("a state & more"));
    }

    async fn two_tabs_that_sign_in_at_once_both_end_where_they_should(database: TestDatabase) {
        let (_server, world) = begin(database).await;
        let browser = world.browser();
        let first = Request::of(&world.public).with("state", "first");
        let second = Request::of(&world.confidential).with("state", "second");
        let (one, two) = (browser.open(&first).await, browser.open(&second).await);
        let one = browser.type_password(&one, &world.person).await.expect(303);
        // The second tab's form was drawn before the first tab signed in.
        let two = browser.type_password(&two, &world.person).await.expect(303);
        let (one, two) = (browser.http.follow(one).await, browser.http.follow(two).await);
        let two = browser.decide(&two, "allow").await.expect(303);
        let one = browser.decide(&one, "allow").await.expect(303);
        for (request, answer, app) in [(first, one, &world.public), (second, two, &world.confidential)] {
            let state = answer.location_parameter("state").unwrap();
            assert!(request.parameters.contains(&("state".into(), state)));
            let code = oauth::GivenCode {
                code: answer.location_parameter("code").unwrap(),
                verifier: Some(request.pkce.verifier),
                redirect_uri: Some(app.redirect_uri.clone()),
            };
            world.device(app).exchange(&code).await.tokens();
        }
    }

    async fn forms_may_lead_on_to_the_app_and_to_nobody_else(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let mut metadata = public_client("Terminal");
        metadata.redirect_uris = vec!["http://127.0.0.1/callback".into()];
        let terminal = oauth::register(&server, "terminal", metadata).await;
        let mut metadata = public_client("Phone");
        metadata.redirect_uris = vec!["com.example.phone:/callback".into()];
        let phone = oauth::register(&server, "phone", metadata).await;
        let at_port = Request::of(&terminal).with("redirect_uri", "http://127.0.0.1:51234/callback");
        for (request, source) in [
            (Request::of(&world.public), "https://app.example"),
            // An app on this machine sends its browser on from port to port.
            (at_port, "http:"),
            (Request::of(&phone), "com.example.phone:"),
        ] {
            let browser = world.browser();
            let login = browser.open(&request).await.expect(200);
            let signed_in = browser.type_password(&login, &world.person).await;
            let consent = browser.http.follow(signed_in).await.expect(200);
            for page in [&login, &consent] {
                let policy = page.header("content-security-policy");
                let allowed = policy.split(';').map(str::trim)
                    .find_map(|part| part.strip_prefix("form-action ")).unwrap();
                let mut sources: Vec<&str> = allowed.split(' ').collect();
                assert_eq!(sources.pop(), Some(source), "{policy}");
                assert_eq!(sources, ["'self'", "https:"], "{policy}");
                assert_eq!(page.header("x-frame-options"), "DENY");
                assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
            }
        }
        let plain = world.browser().http.get("/login").await;
        assert!(plain.header("content-security-policy").contains("form-action 'self';"));
    }

    async fn the_answer_is_a_code_and_nothing_more(database: TestDatabase) {
        let (_server, world) = begin(database).await;
        let browser = world.sign_in(&world.person).await;
        let answer = browser.allow(&Request::of(&world.public)).await.expect(303);
        let location = answer.location().unwrap();
        assert_eq!(location.fragment(), None);
        let names: Vec<String> = location.query_pairs().map(|(name, _)| name.into_owned()).collect();
        assert_eq!(names, ["code", "state", "iss"]);
        assert!(answer.location_parameter("code").unwrap().starts_with("pac_"));
    }
}
