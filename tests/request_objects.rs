//! Authorization requests that their apps signed (RFC 9101, OpenID Connect Core section 6).

use perennial::crypto::signing::Algorithm;
use perennial::domain::client::ClientMetadata;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::assertions::{Signer, SigningApp, sign_by_secret, signing_client, unsigned};
use crate::support::database::TestDatabase;
use crate::support::local::LocalServer;
use crate::support::oauth::{GivenCode, Request, TokenEndpoint, World, landing};
use crate::support::web_server::{Page, WebServer};

async fn begin(database: TestDatabase) -> (LocalServer, World) {
    let server = LocalServer::start(database).await;
    let world = World::on(&server).await;
    (server, world)
}

/// The claims of a good object for a good request.
fn claims(server: &LocalServer, request: &Request) -> Value {
    let id = request.parameters.iter().find(|(name, _)| name == "client_id").unwrap().1.clone();
    let mut claims = json!({
        "iss": id,
        "aud": server.issuer,
        "exp": server.now().as_seconds() + 300,
    });
    for (name, value) in &request.parameters {
        claims[name] = Value::from(value.as_str());
    }
    claims
}

fn with(mut claims: Value, member: &str, value: Value) -> Value {
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(member);
    } else {
        claims[member] = value;
    }
    claims
}

/// A request by value: what OAuth wants outside, and the object.
fn by_value(request: &Request, object: &str) -> Request {
    let kept = request
        .parameters
        .iter()
        .filter(|(name, _)| matches!(name.as_str(), "client_id" | "response_type" | "scope"))
        .cloned()
        .chain([("request".to_owned(), object.to_owned())]);
    Request { parameters: kept.collect(), pkce: request.pkce.clone() }
}

on_both_databases! {
    async fn a_signed_request_leads_to_tokens(database: TestDatabase) {
        let (server, world) = begin(database).await;
        for (algorithm, name) in Algorithm::ALL {
            let app = SigningApp::register(&server, &world, name, algorithm).await;
            let request = Request::of(&app.app).with("state", "inside");
            let inside = with(claims(&server, &request), "max_age", json!(3600));
            let inside = with(inside, "claims", json!({"userinfo": {"name": null}}));
            let object = app.signer.0.sign("oauth-authz-req+jwt", &inside).unwrap();
            // Those inside win.
            let sent = by_value(&request, &object)
                .with("state", "outside")
                .with("redirect_uri", "https://evil.example/")
                .with("scope", "openid");
            let browser = world.browser();
            let login = browser.open(&sent).await.expect(200);
            // Who signs in slowly isn't told that the object has expired meanwhile.
            server.travel_seconds(400);
            let signed_in = browser.type_password(&login, &world.person).await.expect(303);
            let consent = browser.http.follow(signed_in).await.expect(200);
            let answer = browser.decide(&consent, "allow").await.expect(303);
            assert_eq!(landing(&answer), app.app.redirect_uri, "{name}");
            assert_eq!(answer.location_parameter("state").as_deref(), Some("inside"));
            let code = GivenCode {
                code: answer.location_parameter("code").unwrap(),
                verifier: Some(request.pkce.verifier.clone()),
                redirect_uri: Some(app.app.redirect_uri.clone()),
            };
            let tokens = app.exchange(&code).await.tokens();
            assert!(tokens.answer["scope"].as_str().unwrap().contains("notes.write"));
        }
    }

    async fn what_stands_outside_alone_is_taken_too(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = SigningApp::register(&server, &world, "app", Algorithm::Es256).await;
        let request = Request::of(&app.app);
        let inside = with(claims(&server, &request), "state", Value::Null);
        let object = app.signer.sign(&inside);
        let sent = by_value(&request, &object).with("state", "outside");
        let answer = world.sign_in(&world.person).await.allow(&sent).await.expect(303);
        assert_eq!(answer.location_parameter("state").as_deref(), Some("outside"));
        assert!(answer.location_parameter("code").is_some());
    }

    async fn every_wrong_object_is_refused(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = SigningApp::register(&server, &world, "app", Algorithm::Ps256).await;
        let request = Request::of(&app.app);
        let browser = world.sign_in(&world.person).await;
        let good = claims(&server, &request);
        let now = server.now().as_seconds();
        let sign = |member: &str, value: Value| app.signer.sign(&with(good.clone(), member, value));
        let header = json!({"alg": "PS256", "kid": app.signer.0.kid});
        let bad = "invalid_request_object";
        let rows: Vec<(&str, String, &str, &str)> = vec![
            ("unsigned", unsigned(&json!({"alg": "none"}), &good, ""), "request_not_supported", "unsigned"),
            ("signed with a secret", sign_by_secret("HS256", b"secret", &good), bad, "not signed with"),
            ("another's key", Signer::new(Algorithm::Ps256).sign(&good), bad, "not among"),
            ("another kind of key", Signer::new(Algorithm::Es256).sign(&good), bad, "not among"),
            ("a forged signature", unsigned(&header, &good, "AAAA"), bad, "signature"),
            ("no JWT", "nonsense".to_owned(), bad, "JWT"),
            ("encrypted", "a.b.c.d.e".to_owned(), bad, "header"),
            ("a client assertion", app.signer.0.sign("client-authentication+jwt", &good).unwrap(), bad, "typ"),
            ("no iss", sign("iss", Value::Null), bad, "iss"),
            ("another iss", sign("iss", json!("public")), bad, "iss"),
            ("no aud", sign("aud", Value::Null), bad, "aud"),
            ("another aud", sign("aud", json!("https://other.example")), bad, "aud"),
            ("the client as its sub", sign("sub", json!("app")), bad, "sub"),
            ("expired", sign("exp", json!(now - 61)), bad, "expired"),
            ("not good yet", sign("nbf", json!(now + 61)), bad, "nbf"),
            ("another client_id", sign("client_id", json!("public")), bad, "client_id"),
            ("another response_type", sign("response_type", json!("token")), bad, "response_type"),
            ("one in another", sign("request", json!("x")), bad, "request"),
            ("an address in it", sign("request_uri", json!("https://app.example/")), bad, "request"),
        ];
        for (what, object, code, why) in rows {
            let sent = by_value(&request, &object)
                .with("redirect_uri", &app.app.redirect_uri)
                .with("state", "s");
            let answer = browser.open(&sent).await;
            assert_eq!(answer.status.as_u16(), 303, "{what}: {}", answer.body);
            assert_eq!(landing(&answer), app.app.redirect_uri, "{what}");
            assert_eq!(answer.location_parameter("error").as_deref(), Some(code), "{what}");
            let description = answer.location_parameter("error_description").unwrap();
            assert!(description.contains(why), "{what}: {description}");
            assert!(answer.location_parameter("state").is_some(), "{what}");
            assert!(answer.location_parameter("code").is_none(), "{what}");
        }
    }

    async fn only_a_verified_object_says_where_the_answer_goes(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = SigningApp::register(&server, &world, "app", Algorithm::Es256).await;
        let request = Request::of(&app.app);
        let browser = world.sign_in(&world.person).await;
        let two = SigningApp::register_as(&server, &world, "two", Signer::new(Algorithm::Es256), {
            let signer = Signer::new(Algorithm::Es256);
            ClientMetadata {
                redirect_uris: vec!["https://a.example/".into(), "https://b.example/".into()],
                ..signing_client("Two", &signer.jwks())
            }
        }).await;
        // The one registered address is where errors go even if nothing names it.
        let forged = Signer::new(Algorithm::Es256).sign(&claims(&server, &request));
        let answer = browser.open(&by_value(&request, &forged)).await.expect(303);
        assert_eq!(landing(&answer), app.app.redirect_uri);
        // Of two, only an object could name one, and nobody signed this.
        let unnamed = Request::of(&two.app).with("redirect_uri", "https://a.example/");
        let forged = two.signer.sign(&claims(&server, &unnamed));
        let answer = browser.open(&by_value(&unnamed, &forged)).await.expect(400);
        assert!(answer.location().is_none());
        // One that is signed may name only a registered one.
        let inside = with(claims(&server, &request), "redirect_uri", json!("https://evil.example/"));
        let late = with(inside.clone(), "exp", json!(server.now().as_seconds() - 61));
        for object in [app.signer.sign(&inside), app.signer.sign(&late)] {
            let answer = browser.open(&by_value(&request, &object)).await.expect(400);
            assert!(answer.location().is_none());
        }
    }

    async fn a_registered_algorithm_is_the_only_one(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let (rsa, ec) = (Signer::new(Algorithm::Rs256), Signer::new(Algorithm::Es256));
        let keys = json!({"keys": [rsa.0.public, ec.0.public]});
        let mut metadata = signing_client("Two", &keys);
        metadata.details.request_object_signing_alg = Some("ES256".to_owned());
        let app = SigningApp::register_as(&server, &world, "app", rsa, metadata).await;
        let request = Request::of(&app.app);
        let browser = world.sign_in(&world.person).await;
        let by_rsa = app.signer.sign(&claims(&server, &request));
        let answer = browser.open(&by_value(&request, &by_rsa)).await.expect(303);
        assert_eq!(answer.location_parameter("error").as_deref(), Some("invalid_request_object"));
        let by_ec = ec.sign(&claims(&server, &request));
        let answer = browser.allow(&by_value(&request, &by_ec)).await.expect(303);
        assert!(answer.location_parameter("code").is_some());
    }

    async fn nothing_is_fetched_for_a_request(database: TestDatabase) {
        let theirs = WebServer::start("localhost").await;
        let authority = theirs.authority_file().display().to_string();
        let settings = [("fetch.allow_private_networks", "true"), ("fetch.ca_file", &authority)];
        let server = LocalServer::start_with(database, &settings).await;
        let world = World::on(&server).await;
        theirs.put("/request.jwt", Page::text("application/jwt", "a.b.c"));
        let request = Request::of(&world.public);
        let browser = world.sign_in(&world.person).await;
        let by_address = request.clone().with("request_uri", &theirs.url("/request.jwt"));
        let answer = browser.open(&by_address).await.expect(303);
        let error = answer.location_parameter("error");
        assert_eq!(error.as_deref(), Some("request_uri_not_supported"));
        assert_eq!(theirs.connections(), 0);
        // Both at once are neither.
        let both = by_address.with("request", "a.b.c");
        let answer = browser.open(&both).await.expect(303);
        assert_eq!(answer.location_parameter("error").as_deref(), Some("invalid_request"));
        // A client without keys signs nothing.
        let keyless = request.with("request", &Signer::new(Algorithm::Es256).sign(&json!({})));
        let answer = browser.open(&keyless).await.expect(303);
        assert_eq!(answer.location_parameter("error").as_deref(), Some("invalid_request_object"));
    }
}
