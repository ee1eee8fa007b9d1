//! Pushed authorization requests (RFC 9126).

use perennial::crypto::signing::Algorithm;
use perennial::domain::client::ClientMetadata;
use perennial::domain::client_details::ClientDetails;
use perennial::storage::prune::{self, Retention};
use reqwest::Method;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::assertions::{Signer, SigningApp, post_with, signing_client};
use crate::support::database::TestDatabase;
use crate::support::http::Answer;
use crate::support::local::LocalServer;
use crate::support::oauth::{
    App, GivenCode, Request, TokenEndpoint, World, confidential_client, landing, public_client,
    register,
};

async fn begin(database: TestDatabase) -> (LocalServer, World) {
    let server = LocalServer::start(database).await;
    let world = World::on(&server).await;
    (server, world)
}

fn fields(request: &Request) -> Vec<(&str, &str)> {
    request.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// Pushes a request as its app would.
async fn push(world: &World, app: &App, request: &Request) -> Answer {
    let all = fields(request);
    // A device puts client_id in by itself where there is no secret.
    let all: Vec<_> = match app.secret {
        Some(_) => all,
        None => all.into_iter().filter(|(name, _)| *name != "client_id").collect(),
    };
    world.device(app).post("/oauth/par", &all).await
}

/// The reference that a good push is answered with.
#[track_caller]
fn reference(answer: Answer) -> String {
    let answer = answer.expect(201);
    assert_eq!(answer.header("cache-control"), "no-store");
    let json = answer.json();
    assert_eq!(json["expires_in"], 90, "{json}");
    json["request_uri"].as_str().unwrap().to_owned()
}

/// What the browser brings.
fn brought(app: &App, reference: &str, pushed: &Request) -> Request {
    Request {
        parameters: vec![
            ("client_id".to_owned(), app.id.clone()),
            ("request_uri".to_owned(), reference.to_owned()),
        ],
        pkce: pushed.pkce.clone(),
    }
}

/// The code of an answer to a pushed request.
#[track_caller]
fn code_of(answer: &Answer, pushed: &Request) -> GivenCode {
    let find = |name: &str| {
        pushed.parameters.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone())
    };
    GivenCode {
        code: answer
            .location_parameter("code")
            .unwrap_or_else(|| panic!("{:?}", answer.location())),
        verifier: Some(pushed.pkce.verifier.clone()),
        redirect_uri: find("redirect_uri"),
    }
}

#[track_caller]
fn refused_on_a_page(answer: Answer, why: &str) {
    let answer = answer.expect(400);
    assert!(answer.location().is_none());
    assert!(answer.text().contains(why), "{}", answer.text());
    assert!(answer.text().contains("invalid_request_uri"), "{}", answer.text());
}

on_both_databases! {
    async fn a_pushed_request_leads_to_tokens(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let signing = SigningApp::register(&server, &world, "signing", Algorithm::Ps256).await;
        for app in [&world.public, &world.confidential, &signing.app] {
            let request = Request::of(app).with("state", "pushed").with("nonce", "n");
            let answer = if app.id == "signing" {
                signing.post("/oauth/par", &fields(&request)).await
            } else {
                push(&world, app, &request).await
            };
            let uri = reference(answer);
            let random = uri.strip_prefix("urn:ietf:params:oauth:request_uri:").unwrap();
            assert!(random.len() >= 43, "{random}: 256 bits");
            let browser = world.sign_in(&world.person).await;
            let answer = browser.allow(&brought(app, &uri, &request)).await.expect(303);
            assert_eq!(landing(&answer), app.redirect_uri);
            assert_eq!(answer.location_parameter("state").as_deref(), Some("pushed"));
            assert_eq!(answer.location_parameter("iss").as_deref(), Some(server.issuer.as_str()));
            let code = code_of(&answer, &request);
            if app.id == "signing" {
                signing.exchange(&code).await.tokens();
            } else {
                world.device(app).exchange(&code).await.tokens();
            }
            // Its code was given: it counts no more.
            refused_on_a_page(browser.open(&brought(app, &uri, &request)).await, "used before");
        }
    }

    async fn a_request_that_was_opened_and_left_still_counts(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = &world.confidential;
        let request = Request::of(app);
        let uri = reference(push(&world, app, &request).await);
        let opened = brought(app, &uri, &request);
        let browser = world.browser();
        for _ in 0..2 {
            let login = browser.open(&opened).await.expect(200);
            assert_eq!(login.forms("form[action$='/login']").len(), 1);
        }
        let other = world.browser();
        other.open(&opened).await.expect(200);
        server.travel_seconds(30);
        let answer = browser.allow(&opened).await.expect(303);
        world.device(app).exchange(&code_of(&answer, &request)).await.tokens();
    }

    async fn a_sign_in_may_take_longer_than_the_reference_lives(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = &world.confidential;
        let request = Request::of(app);
        let uri = reference(push(&world, app, &request).await);
        let opened = brought(app, &uri, &request);
        let browser = world.browser();
        server.travel_seconds(89);
        let login = browser.open(&opened).await.expect(200);
        // It is forgotten only long after.
        server.travel_seconds(1_200);
        let retention = Retention {
            ended_sessions: std::time::Duration::from_secs(3600),
            audit: std::time::Duration::from_secs(3600),
        };
        prune::all(&server.db, &retention, server.now()).await.unwrap();
        let signed_in = browser.type_password(&login, &world.person).await.expect(303);
        let consent = browser.http.follow(signed_in).await.expect(200);
        server.travel_seconds(600);
        let answer = browser.decide(&consent, "allow").await.expect(303);
        world.device(app).exchange(&code_of(&answer, &request)).await.tokens();

        let uri = reference(push(&world, app, &request).await);
        assert_eq!(server.sql("SELECT count(*) FROM pushed_requests"), "1");
        server.travel_seconds(3 * 3600);
        prune::all(&server.db, &retention, server.now()).await.unwrap();
        assert_eq!(server.sql("SELECT count(*) FROM pushed_requests"), "0");
        let again = brought(app, &uri, &request);
        refused_on_a_page(world.browser().open(&again).await, "not known here");
    }

    async fn a_reference_that_has_expired_is_refused(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = &world.public;
        let request = Request::of(app);
        let uri = reference(push(&world, app, &request).await);
        // Opened in time by one browser, and brought by another too late.
        world.browser().open(&brought(app, &uri, &request)).await.expect(200);
        server.travel_seconds(90);
        let browser = world.sign_in(&world.person).await;
        refused_on_a_page(browser.open(&brought(app, &uri, &request)).await, "has expired");
    }

    async fn only_whoever_pushed_it_may_use_it(database: TestDatabase) {
        let (_server, world) = begin(database).await;
        let app = &world.public;
        let request = Request::of(app);
        let uri = reference(push(&world, app, &request).await);
        let browser = world.sign_in(&world.person).await;
        for (what, brought, why) in [
            ("another client", brought(&world.confidential, &uri, &request), "not this client's"),
            ("an unknown client", Request { parameters: vec![("client_id".into(), "nobody".into()), ("request_uri".into(), uri.clone())], pkce: request.pkce.clone() }, "not this client's"),
            ("no client", Request { parameters: vec![("request_uri".into(), uri.clone())], pkce: request.pkce.clone() }, "not this client's"),
            ("another reference", brought(app, &format!("{uri}x"), &request), "not known here"),
        ] {
            let answer = browser.open(&brought).await;
            assert_eq!(answer.status.as_u16(), 400, "{what}");
            refused_on_a_page(answer, why);
        }
        browser.allow(&brought(app, &uri, &request)).await.expect(303);
    }

    async fn what_stands_beside_a_reference_is_not_used(database: TestDatabase) {
        let (_server, world) = begin(database).await;
        let app = &world.public;
        let request = Request::of(app).without("state").with("scope", "openid notes.read");
        let uri = reference(push(&world, app, &request).await);
        let beside = brought(app, &uri, &request)
            .with("state", "outside")
            .with("nonce", "outside")
            .with("scope", "openid notes.write")
            .with("redirect_uri", "https://evil.example/")
            .with("response_type", "token")
            .with("prompt", "none");
        let answer = world.sign_in(&world.person).await.allow(&beside).await.expect(303);
        assert_eq!(landing(&answer), app.redirect_uri);
        assert_eq!(answer.location_parameter("state"), None);
        let tokens = world.device(app).exchange(&code_of(&answer, &request)).await.tokens();
        assert_eq!(tokens.answer["scope"], "openid notes.read");
    }

    async fn two_at_once_get_one_code(database: TestDatabase) {
        let (_server, world) = begin(database).await;
        let app = &world.confidential;
        let browser = world.sign_in(&world.person).await;
        browser.allow(&Request::of(app)).await.expect(303);
        for _ in 0..5 {
            let request = Request::of(app);
            let uri = reference(push(&world, app, &request).await);
            let brought = brought(app, &uri, &request);
            let (one, two) = tokio::join!(browser.open(&brought), browser.open(&brought));
            let codes = [&one, &two].iter().filter(|a| a.location_parameter("code").is_some()).count();
            assert_eq!(codes, 1, "{:?} {:?}", one.location(), two.location());
            let other = if one.location_parameter("code").is_some() { two } else { one };
            match other.location() {
                Some(_) => {
                    let error = other.location_parameter("error");
                    assert_eq!(error.as_deref(), Some("invalid_request"));
                }
                None => refused_on_a_page(other, "used before"),
            }
        }
    }

    async fn what_is_wrong_with_a_request_is_said_when_it_is_pushed(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = &world.confidential;
        let good = || Request::of(app);
        let long = "x".repeat(20_000);
        let two_uris = register(&server, "two", ClientMetadata {
            redirect_uris: vec!["https://a.example/".into(), "https://b.example/".into()],
            ..confidential_client("Two")
        }).await;
        for (what, app, request, code, why) in [
            ("a request_uri", app, good().and("request_uri", "urn:ietf:params:oauth:request_uri:x"), "invalid_request", "request_uri"),
            ("an empty request_uri", app, good().and("request_uri", ""), "invalid_request", "request_uri"),
            ("another's redirect URI", app, good().with("redirect_uri", "https://evil.example/"), "invalid_request", "redirect_uri"),
            ("none of two redirect URIs", &two_uris, Request::of(&two_uris).without("redirect_uri"), "invalid_request", "redirect_uri"),
            ("no PKCE", app, good().without("code_challenge").without("code_challenge_method"), "invalid_request", "code_challenge"),
            ("plain PKCE", app, good().with("code_challenge_method", "plain"), "invalid_request", "S256"),
            ("code id_token", app, good().with("response_type", "code id_token"), "unsupported_response_type", "code"),
            ("token", app, good().with("response_type", "token"), "unsupported_response_type", "code"),
            ("no response_type", app, good().without("response_type"), "invalid_request", "response_type"),
            ("an unknown scope alone", app, good().with("scope", "nothing.known"), "invalid_scope", "scope"),
            ("a parameter twice", app, good().and("state", "again"), "invalid_request", "state"),
            ("a wrong prompt", app, good().with("prompt", "none login"), "invalid_request", "prompt"),
            ("more than is kept", app, good().with("state", &long), "invalid_request", "16384"),
            ("no client_id beside the header is fine, another isn't", app, good().with("client_id", "public"), "invalid_request", "client_id"),
        ] {
            let answer = push(&world, app, &request).await;
            let description = answer.refused(400, code);
            assert!(description.contains(why), "{what}: {description}");
        }
        assert_eq!(server.sql("SELECT count(*) FROM pushed_requests"), "0");
        push(&world, app, &good().without("client_id")).await.expect(201);
    }

    async fn who_pushes_proves_who_it_is(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let request = Request::of(&world.confidential);
        let http = server.http();
        let bare = http.post_form("/oauth/par", &fields(&request)).await;
        bare.refused(401, "invalid_client");
        let mut wrong = fields(&request);
        wrong.push(("client_secret", "wrong"));
        http.post_form("/oauth/par", &wrong).await.refused(401, "invalid_client");

        let app = SigningApp::register(&server, &world, "app", Algorithm::Es256).await;
        let request = Request::of(&app.app);
        let now = server.now().as_seconds();
        let par = format!("{}/oauth/par", server.issuer);
        for (what, member, value, status) in [
            ("nbf in 8 seconds", "nbf", json!(now + 8), 201),
            ("nbf in over 60 seconds", "nbf", json!(now + 61), 401),
            ("iat in over 60 seconds", "iat", json!(now + 61), 401),
            ("the issuer as aud", "aud", json!(server.issuer), 201),
            ("the endpoint as aud", "aud", json!(par), 201),
            ("a list as aud", "aud", json!([server.issuer]), 201),
            ("another aud", "aud", json!("https://other.example"), 401),
        ] {
            let mut claims = app.claims();
            claims[member] = value;
            let answer = app.post_with("/oauth/par", &app.signer.sign(&claims), &fields(&request)).await;
            assert_eq!(answer.status.as_u16(), status, "{what}: {}", answer.body);
        }
        // What FAPI asks for.
        let signer = Signer::new(Algorithm::Ps256);
        let mut metadata = signing_client("Bank", &signer.jwks());
        metadata.details.assertion_audience_is_issuer = true;
        let bank = SigningApp::register_as(&server, &world, "bank", signer, metadata).await;
        for (aud, status) in [
            (json!(server.issuer), 201),
            (json!([server.issuer]), 401),
            (json!(par), 401),
            (json!(format!("{}/oauth/token", server.issuer)), 401),
        ] {
            let mut claims = bank.claims();
            claims["aud"] = aud.clone();
            let request = Request::of(&bank.app);
            let answer = bank.post_with("/oauth/par", &bank.signer.sign(&claims), &fields(&request)).await;
            assert_eq!(answer.status.as_u16(), status, "{aud}: {}", answer.body);
        }
        let answer = http.send(http.request(Method::PUT, "/oauth/par").form(&fields(&request))).await;
        assert_eq!(answer.expect(405).header("allow"), "POST");
        http.get("/oauth/par").await.expect(405);
    }

    async fn a_client_that_must_push_does(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let details = ClientDetails {
            require_pushed_authorization_requests: true,
            ..ClientDetails::default()
        };
        let metadata = ClientMetadata { details, ..public_client("Bank") };
        let app = register(&server, "bank", metadata).await;
        let request = Request::of(&app);
        let browser = world.sign_in(&world.person).await;
        let answer = browser.open(&request).await.expect(303);
        assert_eq!(landing(&answer), app.redirect_uri);
        assert_eq!(answer.location_parameter("error").as_deref(), Some("invalid_request"));
        let why = answer.location_parameter("error_description").unwrap();
        assert!(why.contains("/oauth/par"), "{why}");
        let uri = reference(push(&world, &app, &request).await);
        let answer = browser.allow(&brought(&app, &uri, &request)).await.expect(303);
        world.device(&app).exchange(&code_of(&answer, &request)).await.tokens();
    }

    async fn a_signed_request_may_be_pushed(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = SigningApp::register(&server, &world, "app", Algorithm::Ps256).await;
        let request = Request::of(&app.app).with("state", "inside");
        let mut claims = json!({
            "iss": "app", "aud": server.issuer, "exp": server.now().as_seconds() + 60,
        });
        for (name, value) in &request.parameters {
            claims[name] = Value::from(value.as_str());
        }
        let object = app.signer.0.sign("oauth-authz-req+jwt", &claims).unwrap();
        let pushed = [("client_id", "app"), ("request", object.as_str()), ("state", "outside"), ("nonce", "outside")];
        let uri = reference(app.post("/oauth/par", &pushed).await);
        let browser = world.sign_in(&world.person).await;
        // Its own end isn't the reference's.
        server.travel_seconds(80);
        let answer = browser.allow(&brought(&app.app, &uri, &request)).await.expect(303);
        assert_eq!(answer.location_parameter("state").as_deref(), Some("inside"));
        app.exchange(&code_of(&answer, &request)).await.tokens();

        for (what, object, code) in [
            ("expired", app.signer.sign(&claims.clone()), "invalid_request_object"),
            ("no JWT", "nonsense".to_owned(), "invalid_request_object"),
            ("another's", Signer::new(Algorithm::Ps256).sign(&claims), "invalid_request_object"),
        ] {
            server.travel_seconds(60);
            let pushed = [("client_id", "app"), ("request", object.as_str())];
            let answer = post_with(&server.http(), "/oauth/par", &app.assertion(), &pushed).await;
            let why = answer.refused(400, code);
            assert!(why.starts_with("the request object "), "{what}: {why}");
        }
    }

    async fn what_is_kept_of_a_request_opens_nothing(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = &world.confidential;
        let request = Request::of(app);
        let mut all = fields(&request);
        let secret = app.secret.clone().unwrap();
        all.push(("client_secret", &secret));
        let uri = reference(server.http().post_form("/oauth/par", &all).await);
        let dump = server.database.dump();
        let random = uri.rsplit_once(':').unwrap().1;
        assert!(!dump.contains(random) && !dump.contains(&secret));
    }
}
