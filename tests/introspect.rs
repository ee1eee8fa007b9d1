//! Token introspection (RFC 7662) over HTTP.

use perennial::domain::token_family::EndCause;
use perennial::protocol::act::Act;
use perennial::protocol::sessions;
use serde_json::json;

use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::local::LocalServer;
use crate::support::oauth::{self, TokenEndpoint, World, confidential_client};

async fn begin(database: TestDatabase) -> (LocalServer, World) {
    let server = LocalServer::start(database).await;
    let world = World::on(&server).await;
    (server, world)
}

on_both_databases! {
    async fn an_api_learns_all_about_a_token_that_is_for_it(database: TestDatabase) {
        let (_server, world) = begin(database).await;
        let tokens = world.tokens(&world.with_audience).await;
        let told = world.device(&world.api).introspect(&tokens.access).await;
        assert_eq!(told["active"], true);
        assert_eq!(told["scope"], tokens.answer["scope"]);
        assert_eq!(told["client_id"], "with-audience");
        assert_eq!(told["username"], "ada");
        assert_eq!(told["token_type"], "Bearer");
        assert_eq!(told["sub"], world.person.id);
        assert_eq!(told["aud"], "https://api.example");
        assert_eq!(told["iss"], world.issuer);
        assert_eq!(told["exp"].as_i64().unwrap() - told["iat"].as_i64().unwrap(), 600);
        assert!(told["jti"].is_string());
    }

    async fn only_clients_that_may_ask_are_told(database: TestDatabase) {
        let (_server, world) = begin(database).await;
        let tokens = world.tokens(&world.with_audience).await;
        let token = [("token", tokens.access.as_str())];
        for app in [&world.with_audience, &world.confidential, &world.public] {
            let answer = world.device(app).post("/oauth/introspect", &token).await;
            answer.refused(400, "unauthorized_client");
        }
        let mut impostor = world.api.clone();
        impostor.secret = Some("pcs_wrong-secret".into());
        let answer = world.device(&impostor).post("/oauth/introspect", &token).await;
        assert!(answer.header("www-authenticate").starts_with("Basic "));
        answer.refused(401, "invalid_client");
    }

    async fn an_inactive_token_tells_nothing(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let mut metadata = confidential_client("Other API");
        metadata.may_introspect = true;
        metadata.audience = vec!["https://other.example".into()];
        let other = oauth::register(&server, "other-api", metadata).await;
        let tokens = world.tokens(&world.with_audience).await;
        let nothing = json!({ "active": false });
        // Not for it, though it is good.
        assert_eq!(world.device(&other).introspect(&tokens.access).await, nothing);
        assert_eq!(world.device(&other).introspect(&tokens.refresh).await, nothing);
        let api = world.device(&world.api);
        let altered = format!("{}A", &tokens.access[..tokens.access.len() - 1]);
        let altered = if altered == tokens.access { format!("{altered}A") } else { altered };
        for token in [altered.as_str(), &tokens.refresh, "nonsense", "pat_", "prt_", "a.b.c"] {
            assert_eq!(api.introspect(token).await, nothing, "{token}");
        }
        server.travel_seconds(599);
        assert_eq!(api.introspect(&tokens.access).await["active"], true);
        server.travel_seconds(1);
        assert_eq!(api.introspect(&tokens.access).await, nothing);
    }

    async fn a_refresh_token_is_its_own_clients_business(database: TestDatabase) {
        let (_server, world) = begin(database).await;
        let tokens = world.tokens(&world.api).await;
        let device = world.device(&world.api);
        assert_eq!(device.introspect(&tokens.refresh).await["active"], true);
        let next = device.refresh(&tokens.refresh).await.tokens();
        assert_eq!(device.introspect(&tokens.refresh).await["active"], false);
        assert_eq!(device.introspect(&next.refresh).await["active"], true);
    }

    async fn a_revoked_session_is_inactive_at_once_on_every_node(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let other = server.another_node().await;
        let mut metadata = confidential_client("JWT");
        metadata.audience = vec!["https://api.example".into()];
        let with_jwt = oauth::register(&server, "with-jwt", metadata).await;
        for app in [&world.with_audience, &with_jwt] {
            let tokens = world.tokens(app).await;
            let nodes = [world.device(&world.api), world.device(&world.api).at(&other.origin, "API/1")];
            let mut session = String::new();
            for node in &nodes {
                let told = node.introspect(&tokens.access).await;
                assert_eq!(told["active"], true, "{}", app.id);
                session = told["sid"].as_str().unwrap().to_owned();
            }
            let act = Act::operator(server.now());
            let ended = server.db.write(move |connection| {
                sessions::end_family(connection, session.parse().unwrap(), EndCause::Admin, None, &act)
            }).await.unwrap();
            assert!(ended);
            for node in &nodes {
                assert_eq!(node.introspect(&tokens.access).await, json!({ "active": false }), "{}", app.id);
            }
            for origin in [&server.origin, &other.origin] {
                let device = world.device(app).at(origin, "Meadow/1.0 (test)");
                device.refresh(&tokens.refresh).await.refused(400, "invalid_grant");
            }
        }
    }
}
