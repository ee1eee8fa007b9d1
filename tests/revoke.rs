//! Token revocation (RFC 7009) over HTTP.

use perennial::domain::token_family::EndCause;

use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::local::LocalServer;
use crate::support::oauth::{TokenEndpoint, World};

async fn begin(database: TestDatabase) -> (LocalServer, World) {
    let server = LocalServer::start(database).await;
    let world = World::on(&server).await;
    (server, world)
}

on_both_databases! {
    async fn any_generation_ends_the_session(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let device = world.device(&world.public);
        for generation in 0..3 {
            let mut all = vec![world.tokens(&world.public).await];
            for _ in 0..2 {
                let newest = device.refresh(&all[all.len() - 1].refresh).await.tokens();
                all.push(newest);
            }
            server.travel_seconds(40);
            let answer = device.revoke(&all[generation].refresh).await.expect(200);
            assert_eq!(answer.body, "{}");
            assert_eq!(answer.header("cache-control"), "no-store");
            let told = device.refresh(&all[2].refresh).await.refused(400, "invalid_grant");
            assert!(told.starts_with(EndCause::Client.description()), "{told}");
            // Again is no error, and nothing new.
            let before = server.database.dump();
            assert_eq!(device.revoke(&all[2].refresh).await.expect(200).body, "{}");
            assert_eq!(server.database.dump(), before);
        }
    }

    async fn what_is_not_a_token_is_answered_alike(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let tokens = world.tokens(&world.public).await;
        let device = world.device(&world.public);
        let cut = &tokens.refresh[..tokens.refresh.len() - 1];
        let before = server.database.dump();
        for token in ["nonsense", "prt_", "pat_", "a.b.c", cut, &tokens.refresh.replacen("prt_", "", 1)] {
            assert_eq!(device.revoke(token).await.expect(200).body, "{}");
        }
        assert_eq!(server.database.dump(), before);
        device.refresh(&tokens.refresh).await.tokens();
    }

    async fn a_single_access_token_ends_alone(database: TestDatabase) {
        let (server, world) = begin(database).await;
        for app in [&world.with_audience, &world.api] {
            let (device, api) = (world.device(app), world.device(&world.api));
            let tokens = world.tokens(app).await;
            let next = device.refresh(&tokens.refresh).await.tokens();
            assert_eq!(api.introspect(&tokens.access).await["active"], true);
            for _ in 0..2 {
                assert_eq!(device.revoke(&tokens.access).await.expect(200).body, "{}");
            }
            assert_eq!(api.introspect(&tokens.access).await["active"], false);
            assert_eq!(api.introspect(&next.access).await["active"], true);
            device.refresh(&next.refresh).await.tokens();
        }
        assert_eq!(server.sql("SELECT count(*) FROM revoked_access_tokens"), "2");
    }

    async fn another_clients_token_is_left_alone(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let tokens = world.tokens(&world.confidential).await;
        let before = server.database.dump();
        for other in [&world.public, &world.api] {
            for token in [&tokens.refresh, &tokens.access] {
                assert_eq!(world.device(other).revoke(token).await.expect(200).body, "{}");
            }
        }
        assert_eq!(server.database.dump(), before);
        world.device(&world.confidential).refresh(&tokens.refresh).await.tokens();
    }

    async fn a_client_must_prove_itself_to_revoke(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let tokens = world.tokens(&world.confidential).await;
        let before = server.database.dump();
        let http = world.browser().http;
        for fields in [
            &[("token", tokens.refresh.as_str()), ("client_id", "confidential")][..],
            &[("token", &tokens.refresh)],
            &[("token", &tokens.refresh), ("client_id", "nobody")],
        ] {
            http.post_form("/oauth/revoke", fields).await.refused(401, "invalid_client");
        }
        world.device(&world.confidential).post("/oauth/revoke", &[]).await
            .refused(400, "invalid_request");
        assert_eq!(server.database.dump(), before);
    }
}
