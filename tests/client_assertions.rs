//! Apps that prove who they are by signing: `private_key_jwt` and `client_secret_jwt`.

use std::time::Duration;

use perennial::crypto::signing::Algorithm;
use perennial::domain::client::{AuthMethod, ClientId, ClientMetadata};
use perennial::domain::client_details::ClientDetails;
use perennial::protocol::act::Act;
use perennial::protocol::clients;
use perennial::storage::prune::{self, Retention};
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::assertions::{
    Signer, SigningApp, TYPE, claims, post_with, sign_by_secret, signing_client, unsigned,
};
use crate::support::database::TestDatabase;
use crate::support::local::LocalServer;
use crate::support::oauth::{
    Request, TokenEndpoint, World, basic, client_sealer, confidential_client, register,
};
use crate::support::server::TestServer;
use crate::support::web_server::{Page, WebServer};

async fn begin(database: TestDatabase) -> (LocalServer, World) {
    let server = LocalServer::start(database).await;
    let world = World::on(&server).await;
    (server, world)
}

/// Good claims with this member in place of what stands there; `null` for without it.
fn with(mut claims: Value, member: &str, value: Value) -> Value {
    let all = claims.as_object_mut().unwrap();
    if value.is_null() {
        all.remove(member);
    } else {
        all.insert(member.to_owned(), value);
    }
    claims
}

/// A server that may fetch keys from this one.
async fn fetching_from(database: TestDatabase, keys: &WebServer) -> (LocalServer, World) {
    let authority = keys.authority_file().display().to_string();
    let settings = [("fetch.allow_private_networks", "true"), ("fetch.ca_file", &authority)];
    let server = LocalServer::start_with(database, &settings).await;
    let world = World::on(&server).await;
    (server, world)
}

/// An app whose keys are at an address.
async fn with_keys_at<'a>(
    server: &'a LocalServer,
    world: &'a World,
    url: &str,
    signer: Signer,
) -> SigningApp<'a> {
    let details = ClientDetails { jwks_uri: Some(url.to_owned()), ..ClientDetails::default() };
    let metadata = ClientMetadata { details, ..signing_client("Remote", &json!({})) };
    SigningApp::register_as(server, world, "remote", signer, metadata).await
}

on_both_databases! {
    async fn an_app_proves_itself_by_its_key_at_every_endpoint(database: TestDatabase) {
        let (server, world) = begin(database).await;
        for (algorithm, name) in Algorithm::ALL {
            let signer = Signer::new(algorithm);
            let mut metadata = signing_client(name, &signer.jwks());
            metadata.may_introspect = true;
            metadata.audience = vec![name.to_owned()];
            let app = SigningApp::register_as(&server, &world, name, signer, metadata).await;
            let first = app.tokens().await;
            let second = app.refresh(&first.refresh).await.tokens();
            let fields = [("token", second.access.as_str())];
            let asked = app.post("/oauth/introspect", &fields).await.expect(200).json();
            assert_eq!(asked["active"], true, "{name}: {asked}");
            app.post("/oauth/revoke", &[("token", &second.refresh)]).await.expect(200);
            app.refresh(&second.refresh).await.refused(400, "invalid_grant");
        }
    }

    async fn audiences_and_clocks_that_are_a_little_off_are_taken(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = SigningApp::register(&server, &world, "app", Algorithm::Es256).await;
        let mut token = app.tokens().await.refresh;
        let (now, issuer) = (server.now().as_seconds(), server.issuer.clone());
        let endpoint = format!("{issuer}/oauth/token");
        for (what, member, value) in [
            ("the issuer", "aud", json!(issuer)),
            ("the token endpoint in a list", "aud", json!(["https://other.example", endpoint])),
            ("made 8 seconds from now", "iat", json!(now + 8)),
            ("good in 10 seconds", "nbf", json!(now + 10)),
            ("ended 10 seconds ago", "exp", json!(now - 10)),
            ("good for an hour", "exp", json!(now + 3600)),
            ("times with fractions", "exp", json!(now as f64 + 59.5)),
            ("no iat", "iat", Value::Null),
            ("more claims", "scope", json!("x")),
        ] {
            let assertion = app.signer.sign(&with(app.claims(), member, value));
            let answer = app.refresh_with(&assertion, &token).await;
            assert_eq!(answer.status, 200, "{what}: {}", answer.body);
            token = answer.tokens().refresh;
        }
        // At another endpoint, its own address will do.
        let own = format!("{issuer}/oauth/revoke");
        let assertion = app.signer.sign(&with(app.claims(), "aud", json!(own)));
        app.post_with("/oauth/revoke", &assertion, &[("token", "nonsense")]).await.expect(200);
        let assertion = app.signer.sign(&with(app.claims(), "aud", json!(own)));
        app.refresh_with(&assertion, &token).await.refused(401, "invalid_client");
        // The kid may be left out, and client_id may stand beside.
        let client_id = [("client_id", "app"), ("token", "nonsense")];
        app.post("/oauth/revoke", &client_id).await.expect(200);
    }

    async fn every_wrong_assertion_is_refused_and_ends_nothing(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = SigningApp::register(&server, &world, "app", Algorithm::Ps256).await;
        let token = app.tokens().await.refresh;
        let now = server.now().as_seconds();
        let other = Signer::new(Algorithm::Ps256);
        let es256 = Signer::new(Algorithm::Es256);
        let good = app.claims();
        let changed = |member: &str, value: Value| {
            app.signer.sign(&with(app.claims(), member, value))
        };
        let header = json!({"alg": "PS256", "kid": app.signer.0.kid});
        let signature = app.assertion().rsplit_once('.').unwrap().1.to_owned();
        let public = app.signer.0.public.to_string();
        let rows: Vec<(&str, String, &str)> = vec![
            ("no iss", changed("iss", Value::Null), "iss and sub"),
            ("another iss", changed("iss", json!("public")), "iss and sub"),
            ("another sub", changed("sub", json!("public")), ""),
            ("no sub", changed("sub", Value::Null), "no sub"),
            ("a sub that is no text", changed("sub", json!(7)), "no sub"),
            ("no aud", changed("aud", Value::Null), "aud"),
            ("another aud", changed("aud", json!("https://other.example")), "aud"),
            ("an aud that only begins well", changed("aud", json!(format!("{}.evil.example", server.issuer))), "aud"),
            ("the revocation endpoint as aud", changed("aud", json!(format!("{}/oauth/revoke", server.issuer))), "aud"),
            ("an empty list as aud", changed("aud", json!([])), "aud"),
            ("no exp", changed("exp", Value::Null), "no exp"),
            ("an exp that is text", changed("exp", json!("soon")), "not a number"),
            ("an exp 5 minutes ago", changed("exp", json!(now - 300)), "expired"),
            ("an exp 61 seconds ago", changed("exp", json!(now - 61)), "expired"),
            ("an exp in two hours", changed("exp", json!(now + 7200)), "an hour"),
            ("an nbf in over 60 seconds", changed("nbf", json!(now + 61)), "nbf"),
            ("an iat in over 60 seconds", changed("iat", json!(now + 61)), "iat"),
            ("no jti", changed("jti", Value::Null), "jti"),
            ("an empty jti", changed("jti", json!("")), "jti"),
            ("a jti without end", changed("jti", json!("x".repeat(513))), "jti"),
            ("another's key", other.sign(&good), "not among"),
            ("another kind of key", es256.sign(&good), "not among"),
            ("another's key under our kid", {
                let theirs = other.sign(&good);
                let (signed, signature) = theirs.rsplit_once('.').unwrap();
                let claims = signed.split_once('.').unwrap().1;
                let ours = unsigned(&header, &json!({}), "");
                format!("{}.{claims}.{signature}", ours.split_once('.').unwrap().0)
            }, "signature"),
            ("another text under our signature", unsigned(&header, &good, &signature), "signature"),
            ("no signature", unsigned(&header, &good, ""), "signature"),
            ("alg none", unsigned(&json!({"alg": "none"}), &good, ""), "not signed"),
            ("alg None", unsigned(&json!({"alg": "None"}), &good, ""), "not signed"),
            ("the public key as a secret", sign_by_secret("HS256", public.as_bytes(), &good), "not signed"),
            ("a critical header", unsigned(&json!({"alg": "PS256", "crit": ["exp"], "exp": 1}), &good, &signature), "critical"),
            ("a request object", app.signer.0.sign("oauth-authz-req+jwt", &good).unwrap(), "typ"),
            ("an access token", app.signer.0.sign("at+jwt", &good).unwrap(), "typ"),
            ("no JWT", "nonsense".to_owned(), "isn't a signed JWT"),
            ("a JWT of five parts", "a.b.c.d.e".to_owned(), "header"),
            ("an endless one", "a".repeat(20_000), "16384"),
        ];
        for (what, assertion, why) in rows {
            let answer = app.refresh_with(&assertion, &token).await;
            assert_eq!(answer.header("cache-control"), "no-store", "{what}");
            let description = answer.refused(401, "invalid_client");
            assert!(description.contains(why), "{what}: {description}");
            let plain = |c: char| (' '..='~').contains(&c) && c != '"' && c != '\\';
            assert!(description.chars().all(plain), "{what}: {description}");
        }
        // Nothing of that ended the session.
        app.refresh(&token).await.tokens();
    }

    async fn ways_are_not_mixed(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = SigningApp::register(&server, &world, "app", Algorithm::Es256).await;
        let token = app.tokens().await.refresh;
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
        let http = server.http();
        let refresh_and = |more: Vec<(&'static str, String)>| {
            let mut fields: Vec<(String, String)> =
                refresh.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
            fields.extend(more.into_iter().map(|(k, v)| (k.to_owned(), v)));
            http.request(reqwest::Method::POST, "/oauth/token").form(&fields)
        };
        let typed = ("client_assertion_type", TYPE.to_owned());
        let assertion = || ("client_assertion", app.assertion());
        for (what, request, status, code) in [
            ("no type", refresh_and(vec![assertion()]), 400, "invalid_request"),
            (
                "another type",
                refresh_and(vec![assertion(), ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer".into())]),
                400,
                "invalid_request",
            ),
            ("no assertion", refresh_and(vec![typed.clone()]), 400, "invalid_request"),
            (
                "a secret beside it",
                refresh_and(vec![typed.clone(), assertion(), ("client_secret", "x".into())]),
                400,
                "invalid_request",
            ),
            (
                "a header beside it",
                refresh_and(vec![typed.clone(), assertion()]).header("authorization", basic("app", "x")),
                400,
                "invalid_request",
            ),
            (
                "two assertions",
                refresh_and(vec![typed.clone(), assertion(), assertion()]),
                400,
                "invalid_request",
            ),
            (
                "another client_id",
                refresh_and(vec![typed.clone(), assertion(), ("client_id", "public".into())]),
                401,
                "invalid_client",
            ),
            // The client without what it is registered with.
            ("its id alone", refresh_and(vec![("client_id", "app".into())]), 401, "invalid_client"),
            (
                "a made-up secret",
                refresh_and(vec![("client_id", "app".into()), ("client_secret", "x".into())]),
                401,
                "invalid_client",
            ),
            ("Basic", refresh_and(vec![]).header("authorization", basic("app", "")), 401, "invalid_client"),
        ] {
            let answer = http.send(request).await;
            assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (status, &json!(code)), "{what}: {}", answer.body);
        }
        let in_address = format!("/oauth/token?client_assertion={}", app.assertion());
        app.post(&in_address, &refresh).await.refused(400, "invalid_request");

        // Clients of other methods don't sign.
        for other in [&world.public, &world.confidential] {
            let endpoint = format!("{}/oauth/token", server.issuer);
            let theirs = app.signer.sign(&claims(&other.id, &endpoint, server.now()));
            post_with(&http, "/oauth/token", &theirs, &refresh).await.refused(401, "invalid_client");
        }
        app.refresh(&token).await.tokens();
    }

    async fn an_assertion_counts_once_on_whichever_node(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let other = server.another_node().await;
        let app = SigningApp::register(&server, &world, "app", Algorithm::EdDsa).await;
        let fields = [("token", "nonsense")];
        let (here, there) = (server.http(), other.http());
        for _ in 0..8 {
            let assertion = app.assertion();
            let (one, two) = tokio::join!(
                post_with(&here, "/oauth/revoke", &assertion, &fields),
                post_with(&there, "/oauth/revoke", &assertion, &fields),
            );
            let mut both = [one, two];
            both.sort_by_key(|answer| answer.status);
            let [first, second] = both;
            assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 401), "{}", second.body);
            assert!(second.refused(401, "invalid_client").contains("used before"));
            // Nor later, at another endpoint, as long as it would be good.
            server.travel_seconds(30);
            let again = post_with(&there, "/oauth/token", &assertion, &fields).await;
            assert_eq!(again.status, 400, "the grant is missing, which is asked first");
            let refresh = [("grant_type", "refresh_token"), ("refresh_token", "x")];
            let again = post_with(&there, "/oauth/token", &assertion, &refresh).await;
            assert!(again.refused(401, "invalid_client").contains("used before"));
        }
        // Another client's jti is another one.
        let jti = json!("the same");
        let second = SigningApp::register(&server, &world, "second", Algorithm::EdDsa).await;
        for one in [&app, &second] {
            let assertion = one.signer.sign(&with(one.claims(), "jti", jti.clone()));
            one.post_with("/oauth/revoke", &assertion, &fields).await.expect(200);
        }
    }

    async fn used_assertions_are_forgotten_after_their_end(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = SigningApp::register(&server, &world, "app", Algorithm::EdDsa).await;
        let remembered = || server.sql("SELECT count(*) FROM assertion_jtis");
        app.post("/oauth/revoke", &[("token", "nonsense")]).await.expect(200);
        let retention = Retention {
            ended_sessions: Duration::from_secs(3600),
            audit: Duration::from_secs(3600),
        };
        server.travel_seconds(61);
        prune::all(&server.db, &retention, server.now()).await.unwrap();
        assert_eq!(remembered(), "1", "a clock that is off may still take it");
        server.travel_seconds(60);
        prune::all(&server.db, &retention, server.now()).await.unwrap();
        assert_eq!(remembered(), "0");
    }

    async fn a_registered_algorithm_is_the_only_one(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let (rsa, ec) = (Signer::new(Algorithm::Rs256), Signer::new(Algorithm::Es256));
        // The same pair signs both ways; its set doesn't say for which it is.
        let mut public = rsa.0.public.clone();
        public.as_object_mut().unwrap().remove("alg");
        let keys = json!({"keys": [public, ec.0.public]});
        let mut metadata = signing_client("Two", &keys);
        let app = |id: &'static str, metadata: ClientMetadata, signer: Signer| {
            SigningApp::register_as(&server, &world, id, signer, metadata)
        };
        let any = app("any", metadata.clone(), rsa).await;
        any.post("/oauth/revoke", &[("token", "x")]).await.expect(200);
        let audience = format!("{}/oauth/token", server.issuer);
        let by_ec = ec.sign(&claims("any", &audience, server.now()));
        any.post_with("/oauth/revoke", &by_ec, &[("token", "x")]).await.expect(200);

        metadata.details.token_endpoint_auth_signing_alg = Some("ES256".to_owned());
        let SigningApp { signer: rsa, .. } = any;
        let strict = app("strict-alg", metadata, rsa).await;
        // RS256, although the key is the client's own.
        let why = strict.post("/oauth/revoke", &[("token", "x")]).await.refused(401, "invalid_client");
        assert!(why.contains("registered"), "{why}");
        let by_ec = ec.sign(&claims("strict-alg", &audience, server.now()));
        strict.post_with("/oauth/revoke", &by_ec, &[("token", "x")]).await.expect(200);
    }

    async fn a_strict_client_means_the_issuer_alone(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let signer = Signer::new(Algorithm::Ps256);
        let mut metadata = signing_client("Bank", &signer.jwks());
        metadata.details.assertion_audience_is_issuer = true;
        let app = SigningApp::register_as(&server, &world, "bank", signer, metadata).await;
        let issuer = &server.issuer;
        for (aud, status) in [
            (json!(issuer), 200),
            (json!([issuer]), 401),
            (json!(format!("{issuer}/oauth/token")), 401),
            (json!(format!("{issuer}/oauth/revoke")), 401),
            (json!(format!("{issuer}/")), 401),
        ] {
            let assertion = app.signer.sign(&with(app.claims(), "aud", aud.clone()));
            let answer = app.post_with("/oauth/revoke", &assertion, &[("token", "x")]).await;
            assert_eq!(answer.status, status, "{aud}: {}", answer.body);
        }
    }

    async fn an_app_proves_itself_by_signing_with_its_secret(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let metadata = ClientMetadata {
            auth_method: AuthMethod::ClientSecretJwt,
            ..confidential_client("Fern")
        };
        let app = register(&server, "fern", metadata.clone()).await;
        let secret = app.secret.clone().unwrap();
        let audience = format!("{}/oauth/token", server.issuer);
        let http = server.http();
        let sign = |algorithm: &str, secret: &str| {
            let claims = claims("fern", &audience, server.now());
            sign_by_secret(algorithm, secret.as_bytes(), &claims)
        };
        let revoke = async |assertion: String| {
            post_with(&http, "/oauth/revoke", &assertion, &[("token", "x")]).await
        };
        for algorithm in ["HS256", "HS384", "HS512"] {
            revoke(sign(algorithm, &secret)).await.expect(200);
        }
        // The whole way, refreshes from memory among them.
        let browser = world.sign_in(&world.person).await;
        let code = browser.code(&Request::of(&app)).await;
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code.code.as_str()),
            ("code_verifier", code.verifier.as_deref().unwrap()),
            ("redirect_uri", code.redirect_uri.as_deref().unwrap()),
        ];
        let answer = post_with(&http, "/oauth/token", &sign("HS256", &secret), &fields).await;
        let mut token = answer.tokens().refresh;
        for _ in 0..3 {
            let fields = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
            let answer = post_with(&http, "/oauth/token", &sign("HS256", &secret), &fields).await;
            token = answer.tokens().refresh;
        }
        let why = revoke(sign("HS256", "another")).await.refused(401, "invalid_client");
        assert!(why.contains("not by this client's secret"), "{why}");
        let key = Signer::new(Algorithm::Es256);
        let by_key = key.sign(&claims("fern", &audience, server.now()));
        revoke(by_key).await.refused(401, "invalid_client");
        let none = unsigned(&json!({"alg": "none"}), &claims("fern", &audience, server.now()), "");
        revoke(none).await.refused(401, "invalid_client");
        // The secret itself stays at home.
        let plain = [("client_id", "fern"), ("client_secret", &secret), ("token", "x")];
        http.post_form("/oauth/revoke", &plain).await.refused(401, "invalid_client");
        // What the database holds isn't it.
        assert!(!server.database.dump().contains(&secret));

        let id = ClientId::parse("fern").unwrap();
        let (sealer, act) = (client_sealer(&server), Act::operator(server.now()));
        let own = id.clone();
        let new = server
            .db
            .write(move |connection| clients::rotate_secret(connection, Some(&sealer), &own, &act))
            .await
            .unwrap()
            .unwrap();
        revoke(sign("HS256", &secret)).await.refused(401, "invalid_client");
        revoke(sign("HS256", new.reveal())).await.expect(200);

        // Without the key file there is nothing to keep a secret with, so nothing changes.
        let (own, act) = (id.clone(), Act::operator(server.now()));
        let refused = server
            .db
            .write(move |connection| clients::rotate_secret(connection, None, &own, &act))
            .await;
        assert!(refused.err().unwrap().to_string().contains("key file"));
        revoke(sign("HS256", new.reveal())).await.expect(200);

        // A client that only sends its secret keeps it, and none of it stays here.
        let (sealer, act) = (client_sealer(&server), Act::operator(server.now()));
        let changed = ClientMetadata { auth_method: AuthMethod::ClientSecretPost, ..metadata };
        let (_, shown) = server
            .db
            .write(move |connection| {
                clients::update(connection, Some(&sealer), &id, &changed, &act)
            })
            .await
            .unwrap()
            .unwrap();
        assert!(shown.is_none());
        let plain = [("client_id", "fern"), ("client_secret", new.reveal()), ("token", "x")];
        http.post_form("/oauth/revoke", &plain).await.expect(200);
        revoke(sign("HS256", new.reveal())).await.refused(401, "invalid_client");
        assert_eq!(server.sql("SELECT count(*) FROM clients WHERE secret_sealed IS NOT NULL"), "0");
    }

    async fn keys_at_an_address_are_fetched_once_and_again_for_a_new_kid(database: TestDatabase) {
        let theirs = WebServer::start("localhost").await;
        let (server, world) = fetching_from(database, &theirs).await;
        let first = Signer::new(Algorithm::Es256);
        theirs.put("/keys", Page::json(&first.jwks()));
        let mut app = with_keys_at(&server, &world, &theirs.url("/keys"), first).await;
        let mut token = app.tokens().await.refresh;
        for _ in 0..3 {
            token = app.refresh(&token).await.tokens().refresh;
        }
        assert_eq!(theirs.seen().len(), 1, "one fetch serves many");

        // It rotates its keys. A kid that isn't known is a reason to ask, at most once a minute.
        let second = Signer::new(Algorithm::Es256);
        theirs.put("/keys", Page::json(&second.jwks()));
        let old = std::mem::replace(&mut app.signer, second);
        let why = app.refresh(&token).await.refused(401, "invalid_client");
        assert!(why.contains("not among"), "{why}");
        assert_eq!(theirs.seen().len(), 1);
        server.travel_seconds(60);
        token = app.refresh(&token).await.tokens().refresh;
        assert_eq!(theirs.seen().len(), 2);
        // The old key is out.
        let by_old = old.sign(&app.claims());
        app.refresh_with(&by_old, &token).await.refused(401, "invalid_client");
        // Strangers' kids don't make it ask more often.
        for _ in 0..5 {
            let stranger = Signer::new(Algorithm::Es256).sign(&app.claims());
            app.refresh_with(&stranger, &token).await.refused(401, "invalid_client");
            server.travel_seconds(10);
        }
        assert!(theirs.seen().len() <= 3, "{}", theirs.seen().len());
        app.refresh(&token).await.tokens();
    }

    async fn an_old_set_stays_good_while_nobody_answers(database: TestDatabase) {
        let theirs = WebServer::start("localhost").await;
        let (server, world) = fetching_from(database, &theirs).await;
        let signer = Signer::new(Algorithm::EdDsa);
        let page = Page::json(&signer.jwks());
        theirs.put("/keys", page.clone().header("cache-control", "max-age=120"));
        let app = with_keys_at(&server, &world, &theirs.url("/keys"), signer).await;
        let ask = async || app.post("/oauth/revoke", &[("token", "x")]).await;
        ask().await.expect(200);
        server.travel_seconds(100);
        ask().await.expect(200);
        assert_eq!(theirs.seen().len(), 1, "it counts for as long as its server says");
        // Down, or broken, or somebody's error page: the keys that were there still count.
        for page in [
            Page::text("text/html", "down").status(503),
            Page::text("text/html", "<p>hello"),
            Page::json(&json!({"keys": []})),
        ] {
            theirs.put("/keys", page);
            server.travel_seconds(121);
            let before = theirs.seen().len();
            ask().await.expect(200);
            ask().await.expect(200);
            assert_eq!(theirs.seen().len(), before + 1, "it is tried, and not by each request");
        }
        // But not for ever.
        server.travel_seconds(2 * 86_400);
        let why = ask().await.refused(401, "invalid_client");
        assert!(why.contains("jwks_uri"), "{why}");
        server.travel_seconds(10);
        theirs.put("/keys", page);
        ask().await.expect(200);
    }

    async fn freshness_has_bounds(database: TestDatabase) {
        let theirs = WebServer::start("localhost").await;
        let (server, world) = fetching_from(database, &theirs).await;
        let signer = Signer::new(Algorithm::EdDsa);
        let page = Page::json(&signer.jwks());
        theirs.put("/keys", page.clone().header("cache-control", "no-store"));
        let app = with_keys_at(&server, &world, &theirs.url("/keys"), signer).await;
        let ask = async || app.post("/oauth/revoke", &[("token", "x")]).await;
        ask().await.expect(200);
        server.travel_seconds(59);
        ask().await.expect(200);
        assert_eq!(theirs.seen().len(), 1, "a minute at least");
        theirs.put("/keys", page.header("cache-control", "max-age=31536000"));
        server.travel_seconds(1);
        ask().await.expect(200);
        assert_eq!(theirs.seen().len(), 2);
        server.travel_seconds(86_399);
        ask().await.expect(200);
        assert_eq!(theirs.seen().len(), 2);
        server.travel_seconds(1);
        ask().await.expect(200);
        assert_eq!(theirs.seen().len(), 3, "a day at most");
    }

    async fn many_at_once_fetch_once(database: TestDatabase) {
        let theirs = WebServer::start("localhost").await;
        let (server, world) = fetching_from(database, &theirs).await;
        let signer = Signer::new(Algorithm::EdDsa);
        let page = Page { after: Duration::from_millis(300), ..Page::json(&signer.jwks()) };
        theirs.put("/keys", page);
        let app = with_keys_at(&server, &world, &theirs.url("/keys"), signer).await;
        let all: Vec<_> = (0..12).map(|_| app.assertion()).collect();
        let mut tasks = tokio::task::JoinSet::new();
        for assertion in all {
            let http = server.http();
            tasks.spawn(async move {
                post_with(&http, "/oauth/revoke", &assertion, &[("token", "x")]).await.status
            });
        }
        while let Some(status) = tasks.join_next().await {
            assert_eq!(status.unwrap(), 200);
        }
        assert_eq!(theirs.seen().len(), 1);
    }

    async fn keys_that_nobody_may_ask_for_are_none(database: TestDatabase) {
        let theirs = WebServer::start("localhost").await;
        let server = LocalServer::start(database).await;
        let world = World::on(&server).await;
        let signer = Signer::new(Algorithm::EdDsa);
        theirs.put("/keys", Page::json(&signer.jwks()));
        let app = with_keys_at(&server, &world, &theirs.url("/keys"), signer).await;
        let why = app.post("/oauth/revoke", &[("token", "x")]).await.refused(401, "invalid_client");
        assert!(why.contains("isn't public"), "{why}");
        assert_eq!(theirs.connections(), 0);
    }

    async fn the_command_line_registers_apps_that_sign(database: TestDatabase) {
        let server = TestServer::start_on(database).await;
        let run = &server.installation;
        let add = |more: &[&str]| {
            let line = ["client", "add", "--name", "N", "--type", "confidential",
                "--redirect-uri", "https://app.example/callback"];
            [&line[..], more].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        let signer = Signer::new(Algorithm::Es256);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys.json");
        std::fs::write(&file, signer.jwks().to_string()).unwrap();
        let keys = file.display().to_string();

        let by_key = ["--id", "by-key", "--auth-method", "private_key_jwt"];
        let refused = run.run(add(&by_key));
        assert!(refused.stderr.contains("--jwks-file: With private_key_jwt"), "{}", refused.stderr);
        let answer = run.run(add(&[&by_key[..], &["--jwks-file", &keys, "--json"]].concat())).ok().json();
        assert_eq!(answer["token_endpoint_auth_method"], "private_key_jwt");
        assert_eq!(answer.get("client_secret"), None, "it has none");
        let now = perennial::clock::Clock::system().now();
        let origin = server.origin();
        let http = server.http();
        let ask = async |assertion: &str| {
            post_with(&http, "/oauth/revoke", assertion, &[("token", "x")]).await
        };
        ask(&signer.sign(&claims("by-key", &origin, now))).await.expect(200);
        let refused = run.run(["client", "rotate-secret", "by-key"]);
        assert!(refused.stderr.contains("private_key_jwt"), "{}", refused.stderr);
        let refused = run.run(["client", "update", "by-key", "--jwks-file", "/nowhere.json"]);
        assert!(refused.stderr.contains("/nowhere.json can't be read"), "{}", refused.stderr);
        std::fs::write(&file, "{\"keys\": [{\"kty\": \"RSA\", \"d\": \"AQAB\"}]}").unwrap();
        let refused = run.run(["client", "update", "by-key", "--jwks-file", &keys]);
        assert!(refused.stderr.contains("private parts"), "{}", refused.stderr);

        let answer = run.json(&["client", "update", "by-key", "--auth-method", "client_secret_jwt"]);
        server.secrets.remember_answer(&answer);
        let secret = answer["client_secret"].as_str().unwrap().to_owned();
        let sign = |secret: &str| sign_by_secret("HS256", secret.as_bytes(), &claims("by-key", &origin, now));
        ask(&sign(&secret)).await.expect(200);
        let answer = run.json(&["client", "rotate-secret", "by-key"]);
        server.secrets.remember_answer(&answer);
        ask(&sign(&secret)).await.refused(401, "invalid_client");
        ask(&sign(answer["client_secret"].as_str().unwrap())).await.expect(200);
    }
}
