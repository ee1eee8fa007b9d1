//! The UserInfo endpoint over HTTP (OpenID Connect Core sections 5.3 to 5.5, RFC 6750).

use perennial::domain::access_token::AccessTokenFormat;
use perennial::domain::algorithm::Algorithm;
use perennial::domain::client::ClientMetadata;
use perennial::domain::client_details::{ClientDetails, SubjectType};
use perennial::domain::token_family::EndCause;
use perennial::protocol::act::Act;
use perennial::protocol::{accounts, sessions};
use reqwest::Method;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::http::{Answer, Http};
use crate::support::local::LocalServer;
use crate::support::oauth::{
    self, App, Browser, Request, Tokens, World, confidential_client, jwt_part,
};

const PATH: &str = "/oauth/userinfo";
const EVERYTHING: &str = "openid profile email address phone offline_access";

async fn begin(database: TestDatabase) -> (LocalServer, World, App) {
    let server = LocalServer::start(database).await;
    let world = World::on(&server).await;
    let app = oauth::register(&server, "fern-post", client()).await;
    oauth::fill_profile(&server, &world.person).await;
    (server, world, app)
}

fn client() -> ClientMetadata {
    ClientMetadata { scope: EVERYTHING.parse().unwrap(), ..confidential_client("Fern Post") }
}

async fn ask(origin: &str, token: &str) -> Answer {
    let http = Http::new(origin);
    http.send(http.request(Method::GET, PATH).bearer_auth(token)).await
}

async fn told(server: &LocalServer, token: &str) -> Value {
    let answer = ask(&server.origin, token).await.expect(200);
    assert!(answer.header("content-type").starts_with("application/json"));
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.json()
}

/// Fails unless it is this refusal, in the header as in the body (RFC 6750 section 3).
#[track_caller]
fn refused(answer: Answer, status: u16, code: &str) -> Answer {
    let answer = answer.expect(status);
    let challenge = answer.header("www-authenticate").to_owned();
    assert!(challenge.starts_with("Bearer realm="), "{challenge}");
    assert!(challenge.contains(&format!("error=\"{code}\"")), "{challenge}");
    let body = answer.json();
    assert_eq!(body["error"], code);
    let description = body["error_description"].as_str().unwrap();
    assert!(challenge.contains(&format!("error_description=\"{description}\"")), "{challenge}");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(body.get("sub").is_none() && body.get("email").is_none(), "{body}");
    answer
}

fn names(claims: &Value) -> Vec<&str> {
    claims.as_object().unwrap().keys().map(String::as_str).collect()
}

fn with_claims(app: &App, scope: &str, claims: &Value) -> Request {
    Request::of(app).with("scope", scope).with("claims", &claims.to_string())
}

async fn tokens(world: &World, browser: &Browser, app: &App, request: &Request) -> Tokens {
    let code = browser.code(request).await;
    oauth::TokenEndpoint::tokens(world.device(app).exchange(&code).await)
}

on_both_databases! {
    async fn each_scope_tells_its_claims_of_the_right_types_and_no_others(database: TestDatabase) {
        let (server, world, app) = begin(database).await;
        let sub = &world.person.id;
        let profile = json!({
            "sub": sub, "name": "ada", "given_name": "Ada", "middle_name": "May",
            "family_name": "Fern", "nickname": "Ad", "preferred_username": "ada",
            "profile": "https://people.example/ada", "picture": "https://ada.example/me.png",
            "website": "https://ada.example/", "gender": "female", "birthdate": "0000-12-24",
            "zoneinfo": "Europe/London", "locale": "en-GB",
            "updated_at": server.now().as_seconds(),
        });
        let email = json!({
            "sub": sub, "email": "ada@northfield.example", "email_verified": true,
        });
        let address = json!({ "sub": sub, "address": {
            "formatted": "Ada Fern\n2 Fern Walk\nLeeds", "street_address": "2 Fern Walk\nFlat 3",
            "locality": "Leeds", "region": "West Yorkshire", "postal_code": "LS1 4AP",
            "country": "United Kingdom",
        }});
        let phone = json!({
            "sub": sub, "phone_number": "+442079460958", "phone_number_verified": false,
        });
        for (scope, expected) in [
            ("openid", json!({ "sub": sub })),
            ("openid profile", profile.clone()),
            ("openid email", email),
            ("openid address", address),
            ("phone openid", phone),
        ] {
            let given = world.tokens_for(&app, scope).await;
            assert_eq!(told(&server, &given.access).await, expected, "{scope}");
            let id_token = jwt_part(given.answer["id_token"].as_str().unwrap(), 1);
            assert_eq!(id_token["sub"], expected["sub"]);
            assert_eq!(id_token.get("name"), None, "what the scope gives is told here");
        }
        let all = world.tokens_for(&app, EVERYTHING).await;
        assert_eq!(names(&told(&server, &all.access).await).len(), 20);
        // A refresh for less tells less.
        let less = world.device(&app).refresh_for(&all.refresh, "openid email").await;
        let less = oauth::TokenEndpoint::tokens(less);
        assert_eq!(names(&told(&server, &less.access).await), ["email", "email_verified", "sub"]);
    }

    async fn the_token_comes_in_the_header_or_in_a_posted_form(database: TestDatabase) {
        let (server, world, app) = begin(database).await;
        let http = Http::new(&server.origin);
        let opaque = ClientMetadata {
            access_token_format: AccessTokenFormat::Opaque, ..client()
        };
        let opaque = oauth::register(&server, "opaque-post", opaque).await;
        for app in [&app, &opaque] {
            let token = world.tokens_for(app, "openid email").await.access;
            let expected = told(&server, &token).await;
            let post = http.request(Method::POST, PATH).bearer_auth(&token);
            assert_eq!(http.send(post).await.expect(200).json(), expected);
            let answer = http.post_form(PATH, &[("access_token", &token)]).await;
            assert_eq!(answer.expect(200).json(), expected);

            let both = http.request(Method::POST, PATH).bearer_auth(&token)
                .form(&[("access_token", &token)]);
            refused(http.send(both).await, 400, "invalid_request");
            let address = format!("{PATH}?access_token={token}");
            refused(http.get(&address).await, 400, "invalid_request");
            refused(http.post_form(&address, &[]).await, 400, "invalid_request");
            let twice = [("access_token", token.as_str()), ("access_token", token.as_str())];
            refused(http.post_form(PATH, &twice).await, 400, "invalid_request");
        }
        let put = http.send(http.request(Method::PUT, PATH)).await.expect(405);
        assert_eq!(put.header("allow"), "GET, POST");
    }

    async fn without_a_token_no_error_is_named_and_with_a_wrong_one_it_is(database: TestDatabase) {
        let (server, world, app) = begin(database).await;
        let http = Http::new(&server.origin);
        let basic = http.request(Method::GET, PATH).basic_auth("x", Some("y"));
        for answer in [http.get(PATH).await, http.post_form(PATH, &[("a", "b")]).await, http.send(basic).await] {
            let answer = answer.expect(401);
            assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"userinfo\"");
            assert_eq!(answer.body, "");
        }
        let given = world.tokens_for(&app, EVERYTHING).await;
        let id_token = given.answer["id_token"].as_str().unwrap();
        let altered = format!("{}A", &given.access[..given.access.len() - 2]);
        for wrong in [given.refresh.as_str(), id_token, "nonsense", "pat_", "a.b.c", &altered] {
            refused(ask(&server.origin, wrong).await, 401, "invalid_token");
        }
        let plain = world.tokens_for(&world.public, "notes.read").await;
        let answer = refused(ask(&server.origin, &plain.access).await, 403, "insufficient_scope");
        assert!(answer.header("www-authenticate").ends_with("scope=\"openid\""));
        server.travel_seconds(599);
        told(&server, &given.access).await;
        server.travel_seconds(1);
        refused(ask(&server.origin, &given.access).await, 401, "invalid_token");
    }

    async fn an_ended_session_a_revoked_token_and_a_disabled_person_tell_nothing_at_once(
        database: TestDatabase
    ) {
        let (server, world, app) = begin(database).await;
        let other = server.another_node().await;
        let (ended, revoked) =
            (world.tokens_for(&app, EVERYTHING).await, world.tokens_for(&app, EVERYTHING).await);
        let session = ended.session().parse().unwrap();
        let act = Act::operator(server.now());
        let by = act.clone();
        server.db.write(move |connection| {
            sessions::end_family(connection, session, EndCause::Admin, None, &by)
        }).await.unwrap();
        for origin in [&server.origin, &other.origin] {
            refused(ask(origin, &ended.access).await, 401, "invalid_token");
            ask(origin, &revoked.access).await.expect(200);
        }
        let kept = world.tokens_for(&app, EVERYTHING).await;
        world.device(&app).revoke(&revoked.access).await.expect(200);
        refused(ask(&other.origin, &revoked.access).await, 401, "invalid_token");
        told(&server, &kept.access).await;
        let user = world.person.id.parse().unwrap();
        server.db.write(move |connection| accounts::disable(connection, user, &act)).await.unwrap();
        refused(ask(&server.origin, &kept.access).await, 401, "invalid_token");
    }

    async fn a_signed_answer_is_a_jwt_by_the_algorithm_that_was_registered(database: TestDatabase) {
        let (server, world, _) = begin(database).await;
        for (algorithm, name) in Algorithm::ALL {
            let details = ClientDetails {
                userinfo_signed_response_alg: Some(algorithm), ..ClientDetails::default()
            };
            let id = format!("signed-{}", name.to_lowercase());
            let app = oauth::register(&server, &id, ClientMetadata { details, ..client() }).await;
            let given = world.tokens_for(&app, "openid email").await;
            let answer = ask(&server.origin, &given.access).await.expect(200);
            assert_eq!(answer.header("content-type"), "application/jwt");
            assert_eq!(answer.header("cache-control"), "no-store");
            let header = jwt_part(&answer.body, 0);
            assert_eq!(header["alg"], name);
            let keys = server.http().get("/oauth/jwks.json").await.json();
            let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]);
            let key = serde_json::from_value(key.unwrap().clone()).unwrap();
            let mut validation = jsonwebtoken::Validation::new(name.parse().unwrap());
            validation.set_audience(&[&id]);
            validation.set_issuer(&[&server.issuer]);
            validation.set_required_spec_claims(&["iss", "aud"]);
            let decoding = jsonwebtoken::DecodingKey::from_jwk(&key).unwrap();
            let read = jsonwebtoken::decode::<Value>(&answer.body, &decoding, &validation).unwrap();
            assert_eq!(read.claims["email"], "ada@northfield.example");
            assert_eq!(read.claims["sub"], world.person.id);
        }
    }

    async fn a_pairwise_client_is_told_the_sub_of_its_id_token(database: TestDatabase) {
        let (server, world, _) = begin(database).await;
        let details =
            ClientDetails { subject_type: SubjectType::Pairwise, ..ClientDetails::default() };
        let app = oauth::register(&server, "pairwise", ClientMetadata { details, ..client() }).await;
        let given = world.tokens_for(&app, "openid").await;
        let id_token = jwt_part(given.answer["id_token"].as_str().unwrap(), 1);
        let told = told(&server, &given.access).await;
        assert_eq!(told, json!({ "sub": id_token["sub"] }));
        assert_ne!(told["sub"], world.person.id);
    }

    async fn a_token_for_another_server_alone_is_refused(database: TestDatabase) {
        let server = LocalServer::start_with(
            database, &[("tokens.resources", "https://notes.example")],
        ).await;
        let world = World::on(&server).await;
        let browser = world.sign_in(&world.person).await;
        // For whom its tokens always are, and for us.
        let usual = world.tokens(&world.with_audience).await;
        told(&server, &usual.access).await;
        let app = &world.confidential;
        let named = Request::of(app).with("resource", "https://notes.example");
        let named = tokens(&world, &browser, app, &named).await;
        assert_eq!(named.claims()["aud"], "https://notes.example");
        refused(ask(&server.origin, &named.access).await, 401, "invalid_token");
        let both = Request::of(app).with("resource", "https://notes.example")
            .and("resource", &server.issuer);
        let both = tokens(&world, &browser, app, &both).await;
        told(&server, &both.access).await;
    }

    async fn claims_asked_for_one_by_one_are_named_allowed_told_and_remembered(
        database: TestDatabase
    ) {
        let (server, world, app) = begin(database).await;
        let browser = world.sign_in(&world.person).await;
        let name = json!({ "userinfo": { "name": { "essential": true } } });
        let page = browser.open(&with_claims(&app, "openid", &name)).await.expect(200);
        assert!(page.text().contains("See your name"), "{}", page.text());
        assert!(!page.text().contains("nothing else about you"), "{}", page.text());
        let request = with_claims(&app, "openid", &name);
        let given = tokens(&world, &browser, &app, &request).await;
        assert_eq!(told(&server, &given.access).await, json!({ "sub": world.person.id, "name": "ada" }));

        // The same again is remembered, less too; more is asked.
        for (scope, claims, asks) in [
            ("openid", &name, false),
            ("openid", &json!({}), false),
            ("openid", &json!({ "id_token": { "name": null } }), false),
            ("openid", &json!({ "userinfo": { "name": null, "email": null } }), true),
            ("openid", &json!({ "id_token": { "address": null } }), true),
            ("openid", &json!({ "userinfo": { "groups": null } }), false),
        ] {
            let answer = browser.open(&with_claims(&app, scope, claims)).await;
            assert_eq!(answer.status == 200, asks, "{claims}: {}", answer.text());
        }
        let more = json!({ "userinfo": { "email": null, "phone_number": null, "address": null } });
        let page = browser.open(&with_claims(&app, "openid", &more)).await.expect(200);
        for shown in [
            "See your email address", "ada@northfield.example", "See your phone number",
            "+442079460958", "See your postal address", "2 Fern Walk", "haven’t allowed before",
        ] {
            assert!(page.text().contains(shown), "{shown}: {}", page.text());
        }
        // No means no.
        let answer = browser.decide(&page, "deny").await;
        assert_eq!(answer.location_parameter("error").as_deref(), Some("access_denied"));
        assert_eq!(browser.open(&with_claims(&app, "openid", &more)).await.status, 200);
        // The person sees what they allowed, and takes it back.
        let apps = browser.http.get("/account/apps").await.expect(200);
        assert!(apps.text().contains("Sees your name"), "{}", apps.text());
    }

    async fn claims_go_no_further_than_the_clients_scope_and_into_the_token_that_was_asked(
        database: TestDatabase
    ) {
        let (server, world, app) = begin(database).await;
        let browser = world.sign_in(&world.person).await;
        let asked = json!({
            "userinfo": { "nickname": null, "phone_number_verified": { "value": true } },
            "id_token": { "given_name": null, "email": { "values": ["x@y.example"] }, "sub": null },
        });
        let request = with_claims(&app, "openid offline_access", &asked);
        let given = tokens(&world, &browser, &app, &request).await;
        let sub = &world.person.id;
        // A claim of another value than the one that was asked for is left out.
        assert_eq!(told(&server, &given.access).await, json!({ "sub": sub, "nickname": "Ad" }));
        let id_token = jwt_part(given.answer["id_token"].as_str().unwrap(), 1);
        assert_eq!(id_token["given_name"], "Ada");
        for other in ["email", "nickname", "phone_number_verified"] {
            assert_eq!(id_token.get(other), None, "{id_token}");
        }
        let next = oauth::TokenEndpoint::tokens(world.device(&app).refresh(&given.refresh).await);
        assert_eq!(told(&server, &next.access).await, json!({ "sub": sub, "nickname": "Ad" }));

        // The public client may ask for no address and no phone number.
        let asked = json!({ "userinfo": { "address": null, "phone_number": null, "email": null } });
        let request = with_claims(&world.public, "openid", &asked);
        let page = browser.open(&request).await.expect(200);
        assert!(!page.text().contains("postal address"), "{}", page.text());
        assert!(page.text().contains("See your email address"), "{}", page.text());
        let given = tokens(&world, &browser, &world.public, &request).await;
        assert_eq!(names(&told(&server, &given.access).await), ["email", "sub"]);
    }

    async fn browser_apps_of_any_origin_may_ask_with_their_token(database: TestDatabase) {
        let (server, world, app) = begin(database).await;
        let http = Http::new(&server.origin).with_header("origin", "https://spa.example");
        for method in ["GET", "POST"] {
            let preflight = http.request(Method::OPTIONS, PATH)
                .header("access-control-request-method", method)
                .header("access-control-request-headers", "authorization");
            let answer = http.send(preflight).await;
            assert!(answer.status.is_success(), "{}", answer.status);
            assert_eq!(answer.header("access-control-allow-origin"), "*");
            let allowed = answer.header("access-control-allow-headers").to_lowercase();
            assert!(allowed.contains("authorization"), "{allowed}");
        }
        let token = world.tokens_for(&app, "openid").await.access;
        for (token, status) in [(token.as_str(), 200), ("nonsense", 401)] {
            let answer = http.send(http.request(Method::GET, PATH).bearer_auth(token)).await;
            let answer = answer.expect(status);
            assert_eq!(answer.header("access-control-allow-origin"), "*");
            let exposed = answer.header("access-control-expose-headers").to_lowercase();
            assert!(exposed.contains("www-authenticate"), "{exposed}");
        }
    }
}
