//! The authorization code grant at the token endpoint over HTTP.

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use perennial::domain::client::{ClientId, GrantType, RefreshPolicy};
use perennial::domain::id::UserId;
use perennial::protocol::act::Act;
use perennial::protocol::{accounts, clients, sessions};
use serde_json::Value;

use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::local::LocalServer;
use crate::support::oauth::{
    self, GivenCode, Pkce, Request, SCOPE, TokenEndpoint, World, basic, confidential_client,
    jwt_part, public_client,
};

async fn begin(database: TestDatabase) -> (LocalServer, World) {
    let server = LocalServer::start(database).await;
    let world = World::on(&server).await;
    (server, world)
}

async fn code(world: &World, app: &oauth::App) -> GivenCode {
    world.sign_in(&world.person).await.code(&Request::of(app)).await
}

fn families(server: &LocalServer, live: &str) -> String {
    server.sql(&format!("SELECT count(*) FROM token_families WHERE ended_at IS {live}"))
}

on_both_databases! {
    async fn a_code_works_once(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let device = world.device(&world.public);
        let code = code(&world, &world.public).await;
        let tokens = device.exchange(&code).await.tokens();
        assert_eq!(tokens.answer["expires_in"], 600);
        assert_eq!(tokens.answer["scope"], SCOPE);
        assert!(tokens.refresh.starts_with("prt_"));
        // A doubled request: refused, and no harm done.
        server.travel_seconds(5);
        let before = server.database.dump();
        device.exchange(&code).await.refused(400, "invalid_grant");
        assert_eq!(server.database.dump(), before);
        device.refresh(&tokens.refresh).await.tokens();
    }

    async fn a_code_used_again_later_ends_what_it_gave(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let device = world.device(&world.public);
        let code = code(&world, &world.public).await;
        let tokens = device.exchange(&code).await.tokens();
        let newer = device.refresh(&tokens.refresh).await.tokens();
        server.travel_seconds(6);
        device.exchange(&code).await.refused(400, "invalid_grant");
        let told = device.refresh(&newer.refresh).await.refused(400, "invalid_grant");
        assert!(told.contains("its authorization code was used twice"), "{told}");
        let audited = "SELECT count(*) FROM audit_events WHERE action = 'session.code_reuse'";
        assert_eq!(server.sql(audited), "1");
        device.exchange(&code).await.refused(400, "invalid_grant");
        assert_eq!(server.sql(audited), "1");
    }

    async fn a_replay_with_wrong_parameters_ends_nothing(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let device = world.device(&world.public);
        let code = code(&world, &world.public).await;
        let tokens = device.exchange(&code).await.tokens();
        server.travel_seconds(30);
        let stolen = GivenCode { verifier: Some(Pkce::new().verifier), ..code.clone() };
        device.exchange(&stolen).await.refused(400, "invalid_grant");
        world.device(&world.strict).exchange(&code).await.refused(400, "invalid_grant");
        device.refresh(&tokens.refresh).await.tokens();
    }

    async fn a_wrong_exchange_changes_nothing_and_the_right_one_still_works(
        database: TestDatabase
    ) {
        let (server, world) = begin(database).await;
        let device = world.device(&world.public);
        let good = code(&world, &world.public).await;
        let verifier = |text: &str| GivenCode { verifier: Some(text.into()), ..good.clone() };
        let uri = |text: &str| GivenCode { redirect_uri: Some(text.into()), ..good.clone() };
        let wrong = [
            verifier(&Pkce::new().verifier),
            verifier("short"),
            verifier(&"x".repeat(129)),
            GivenCode { verifier: None, ..good.clone() },
            uri("https://app.example/other"),
            uri("https://app.example/callback/"),
            GivenCode { redirect_uri: None, ..good.clone() },
            GivenCode { code: format!("{}x", good.code), ..good.clone() },
            GivenCode { code: "pac_nonsense".into(), ..good.clone() },
            GivenCode { code: "nonsense".into(), ..good.clone() },
        ];
        let before = server.database.dump();
        for wrong in &wrong {
            device.exchange(wrong).await.refused(400, "invalid_grant");
        }
        for other in [&world.strict, &world.confidential] {
            world.device(other).exchange(&good).await.refused(400, "invalid_grant");
        }
        assert_eq!(server.database.dump(), before);
        device.exchange(&good).await.tokens();
    }

    async fn of_many_exchanges_at_once_one_succeeds(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let code = code(&world, &world.public).await;
        let device = std::sync::Arc::new(world.device(&world.public));
        let mut running = Vec::new();
        for _ in 0..20 {
            let (device, code) = (device.clone(), code.clone());
            running.push(tokio::spawn(async move { device.exchange(&code).await }));
        }
        let mut good = Vec::new();
        for one in running {
            let answer = one.await.unwrap();
            match answer.status.as_u16() {
                200 => good.push(answer.tokens()),
                _ => { answer.refused(400, "invalid_grant"); }
            }
        }
        assert_eq!(good.len(), 1);
        assert_eq!(families(&server, "NULL"), "1");
        device.refresh(&good[0].refresh).await.tokens();
    }

    async fn a_code_lives_sixty_seconds(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let device = world.device(&world.public);
        let first = code(&world, &world.public).await;
        server.travel_seconds(59);
        device.exchange(&first).await.tokens();
        let second = code(&world, &world.public).await;
        server.travel_seconds(60);
        let before = server.database.dump();
        let told = device.exchange(&second).await.refused(400, "invalid_grant");
        assert!(told.contains("expired"), "{told}");
        assert_eq!(server.database.dump(), before);
    }

    async fn a_code_ends_with_the_sign_in_that_it_came_from(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let browser = world.sign_in(&world.person).await;
        let code = browser.code(&Request::of(&world.public)).await;
        let page = browser.http.get("/logout").await.expect(200);
        let form = page.forms("form[action$='/logout']").remove(0);
        browser.http.submit(&form, &[]).await.expect(303);
        let device = world.device(&world.public);
        device.exchange(&code).await.refused(400, "invalid_grant");
        assert_eq!(families(&server, "NULL"), "0");
    }

    async fn a_code_on_its_way_ends_with_what_it_stood_for(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let client = ClientId::parse("public").unwrap();
        let user: UserId = world.person.id.parse().unwrap();
        for case in ["consent withdrawn", "account disabled", "client removed"] {
            let device = world.device(&world.public);
            let code = code(&world, &world.public).await;
            let (client, act) = (client.clone(), Act::operator(server.now()));
            server.db.write(move |connection| {
                match case {
                    "consent withdrawn" => {
                        sessions::remove_app(connection, user, &client, &act)?;
                    }
                    "account disabled" => {
                        accounts::disable(connection, user, &act)?;
                        accounts::enable(connection, user, &act)?;
                    }
                    _ => {
                        clients::remove(connection, &client, &act)?;
                        clients::register(connection, None, client, public_client("Another"), &act)?;
                    }
                }
                Ok(())
            }).await.unwrap();
            device.exchange(&code).await.refused(400, "invalid_grant");
            assert_eq!(families(&server, "NULL"), "0", "{case}");
        }
    }

    async fn a_verifier_without_a_challenge_is_refused(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let mut metadata = confidential_client("Old");
        metadata.require_pkce = false;
        let app = oauth::register(&server, "old", metadata).await;
        let browser = world.sign_in(&world.person).await;
        let request =
            Request::of(&app).without("code_challenge").without("code_challenge_method");
        let code = browser.code(&request).await;
        assert_eq!(code.verifier, None);
        let device = world.device(&app);
        let downgraded = GivenCode { verifier: Some(Pkce::new().verifier), ..code.clone() };
        device.exchange(&downgraded).await.refused(400, "invalid_grant");
        device.exchange(&code).await.tokens();
        // With a challenge it is held to it, though it needn't have sent one.
        let code = browser.code(&Request::of(&app)).await;
        let without = GivenCode { verifier: None, ..code.clone() };
        device.exchange(&without).await.refused(400, "invalid_grant");
        device.exchange(&code).await.tokens();
    }

    async fn a_verifier_counts_by_its_hash_and_length(database: TestDatabase) {
        let (_server, world) = begin(database).await;
        let browser = world.sign_in(&world.person).await;
        // What Debian's git-credential-oauth sends: standard base64.
        let mut request = Request::of(&world.public);
        request.pkce = Pkce::of(&format!("{}+/=", "ab".repeat(21)));
        let challenge = request.pkce.challenge.clone();
        let code = browser.code(&request.with("code_challenge", &challenge)).await;
        world.device(&world.public).exchange(&code).await.tokens();
    }

    async fn a_refresh_token_needs_the_grant_and_the_persons_consent(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let without = world.tokens_for(&world.public, "openid notes.read").await;
        assert_eq!(without.refresh, "");
        for member in ["refresh_token", "refresh_token_timeout", "authorization_expires_in"] {
            assert!(without.answer.get(member).is_none(), "{}", without.answer);
        }

        let mut metadata = public_client("No refresh");
        metadata.grants = vec![GrantType::AuthorizationCode];
        let app = oauth::register(&server, "no-refresh", metadata).await;
        let tokens = world.tokens(&app).await;
        assert_eq!(tokens.refresh, "");
        assert!(!tokens.answer["scope"].as_str().unwrap().contains("offline_access"));
        let other = world.tokens(&world.public).await;
        world.device(&app).refresh(&other.refresh).await.refused(400, "unauthorized_client");

        let mut metadata = public_client("Always");
        metadata.refresh_policy = RefreshPolicy::Always;
        let app = oauth::register(&server, "always", metadata).await;
        let tokens = world.tokens_for(&app, "openid").await;
        world.device(&app).refresh(&tokens.refresh).await.tokens();
    }

    async fn an_opaque_access_token_tells_nothing_but_to_introspection(database: TestDatabase) {
        let (_server, world) = begin(database).await;
        let tokens = world.tokens(&world.opaque).await;
        assert!(tokens.access.starts_with("pat_"));
        let tokens = world.tokens(&world.with_audience).await;
        let told = world.device(&world.api).introspect(&tokens.access).await;
        assert_eq!(told["active"], true);
        assert_eq!(told["aud"], "https://api.example");
    }

    async fn a_client_proves_itself_by_header_or_body(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let app = &world.confidential;
        let secret = app.secret.clone().unwrap();
        let http = world.browser().http;
        let post = async |header: Option<&str>, more: &[(&str, &str)]| {
            let fields = [&[("grant_type", "refresh_token"), ("refresh_token", "nonsense")], more].concat();
            let mut request = http.request(reqwest::Method::POST, "/oauth/token").form(&fields);
            if let Some(header) = header {
                request = request.header("authorization", header);
            }
            http.send(request).await
        };
        let header = basic(&app.id, &secret);
        let id = app.id.as_str();
        let before = server.database.dump();
        // Who is let in is told about the token.
        for (header, body) in [
            (Some(header.as_str()), &[][..]),
            (Some(&header.replacen("Basic", "bAsIc", 1)), &[]),
            (Some(&header), &[("client_id", id)]),
            (None, &[("client_id", id), ("client_secret", &secret)]),
            (None, &[("client_id", "public")]),
        ] {
            post(header, body).await.refused(400, "invalid_grant");
        }
        // Percent-encoded by somebody who encodes everything (RFC 6749 section 2.3.1).
        let encoded: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let id_encoded: String = id.bytes().map(|byte| format!("%{byte:02x}")).collect();
        use base64::Engine;
        let raw = base64::engine::general_purpose::STANDARD.encode(format!("{id_encoded}:{encoded}"));
        post(Some(&format!("Basic {raw}")), &[]).await.refused(400, "invalid_grant");

        let wrong = basic(id, "pcs_wrong");
        for (header, body) in [
            (Some(wrong.as_str()), &[][..]),
            (Some(&basic("nobody", &secret)), &[]),
            (Some(&basic("public", &secret)), &[]),
            (Some("Basic !!!"), &[]),
            (Some("Bearer abc"), &[]),
        ] {
            let answer = post(header, body).await;
            assert!(answer.header("www-authenticate").starts_with("Basic "), "{header:?}");
            answer.refused(401, "invalid_client");
        }
        for body in [
            &[("client_id", id), ("client_secret", "pcs_wrong")][..],
            &[("client_id", id)],
            &[("client_id", "nobody")],
            &[("client_id", "nobody"), ("client_secret", "pcs_wrong")],
            &[("client_id", "public"), ("client_secret", "pcs_wrong")],
            &[("client_secret", "pcs_wrong")],
            &[],
        ] {
            post(None, body).await.refused(401, "invalid_client");
        }
        for body in [
            &[("client_id", id), ("client_secret", &secret)][..],
            &[("client_secret", &secret)],
            &[("client_id", "public")],
        ] {
            post(Some(&header), body).await.refused(400, "invalid_request");
        }
        assert_eq!(server.database.dump(), before);

        // A new secret counts at once, and the old one no more.
        let act = Act::operator(server.now());
        let own = ClientId::parse(id).unwrap();
        let secret = server.db
            .write(move |connection| clients::rotate_secret(connection, None, &own, &act))
            .await.unwrap().unwrap();
        post(Some(&header), &[]).await.refused(401, "invalid_client");
        post(Some(&basic(id, secret.reveal())), &[]).await.refused(400, "invalid_grant");
    }

    async fn a_jwt_access_token_is_as_rfc_9068_says(database: TestDatabase) {
        let mut database = Some(database);
        for (name, algorithm) in
            [("ES256", Algorithm::ES256), ("EdDSA", Algorithm::EdDSA), ("RS256", Algorithm::RS256)]
        {
            let settings = [("tokens.signing_algorithm", name)];
            let fresh = match database.take() {
                Some(first) => first,
                // SQLite will do for the others: signing knows no database.
                None => crate::support::database::fresh(crate::support::database::Kind::Sqlite).unwrap(),
            };
            let server = LocalServer::start_with(fresh, &settings).await;
            let world = World::on(&server).await;
            let tokens = world.tokens(&world.confidential).await;

            let jwks: JwkSet = serde_json::from_value(
                server.http().get("/oauth/jwks.json").await.expect(200).json()
            ).unwrap();
            for key in &jwks.keys {
                let text = serde_json::to_string(key).unwrap();
                assert!(!text.contains("\"d\""), "a private key in public");
            }
            let header = jwt_part(&tokens.access, 0);
            assert_eq!((&header["typ"], &header["alg"]), (&"at+jwt".into(), &name.into()));
            let key = jwks.find(header["kid"].as_str().unwrap()).unwrap();
            let mut validation = Validation::new(algorithm);
            validation.set_issuer(&[&world.issuer]);
            validation.set_audience(&[&world.issuer]);
            let claims = jsonwebtoken::decode::<Value>(
                &tokens.access, &DecodingKey::from_jwk(key).unwrap(), &validation
            ).unwrap().claims;
            assert_eq!(claims["sub"], world.person.id);
            assert_eq!(claims["client_id"], "confidential");
            assert_eq!(claims["scope"], SCOPE);
            assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 600);
            assert!(claims["auth_time"].as_i64().unwrap() <= claims["iat"].as_i64().unwrap());
            assert!(claims["jti"].as_str().unwrap().len() >= 22);

            let altered = format!("{}x{}", &tokens.access[..80], &tokens.access[81..]);
            jsonwebtoken::decode::<Value>(
                &altered, &DecodingKey::from_jwk(key).unwrap(), &validation
            ).unwrap_err();
        }
    }
}
