//! What the plans ask of refresh tokens.

use serde_json::Value;

use super::checks;
use super::suite::{Mode, Suite};
use crate::on_both_databases;
use crate::support::database::TestDatabase;

on_both_databases! {
    async fn oidcc_refresh_token(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let mut refreshed = Vec::new();
        for (app, with_scope) in [(&suite.client, true), (&suite.other, false)] {
            let request = suite
                .ask_for(app, Mode::Query)
                .with("scope", "openid offline_access")
                .with("prompt", "consent");
            let login = suite.login_as(&suite.world.browser(), app, &request).await;
            suite.server.travel_seconds(2);
            let device = suite.device(app);
            let answer = match with_scope {
                true => device.refresh_for(login.refresh(), "openid offline_access").await,
                false => device.refresh(login.refresh()).await,
            };
            let answer = checks::token_answer(answer);
            assert_ne!(answer["access_token"], login.answer["access_token"]);
            for name in ["access_token", "refresh_token"] {
                checks::entropy(name, answer[name].as_str().unwrap());
            }
            let token = answer["id_token"].as_str().expect("an ID token");
            let jwks = suite.jwks().await;
            // No nonce is looked for in it: it may stand or not.
            let claims = checks::signed(&jwks, token);
            for name in ["iss", "sub", "aud", "auth_time", "sid"] {
                assert_eq!(claims[name], login.claims[name], "{name}");
            }
            assert_eq!(claims.get("azp"), login.claims.get("azp"));
            assert!(claims["iat"].as_i64() > login.claims["iat"].as_i64());
            let told = suite.userinfo(answer["access_token"].as_str().unwrap()).await.expect(200);
            assert_eq!(told.json()["sub"], login.claims["sub"]);
            refreshed.push(answer);
        }
        let token = |answer: &Value| answer["refresh_token"].as_str().unwrap().to_owned();
        let theirs = suite.device(&suite.client).refresh(&token(&refreshed[1])).await;
        checks::error_answer(theirs, &["invalid_grant"]);
        // And nothing is lost by it.
        let own = suite.device(&suite.other).refresh(&token(&refreshed[1])).await;
        checks::token_answer(own);
    }

    async fn the_previous_token_after_thirty_seconds(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        let request = suite.ask(Mode::Query).with("scope", "openid offline_access");
        let login = suite.login(&suite.world.browser(), &request).await;
        let device = suite.device(&suite.client);
        checks::token_answer(device.refresh(login.refresh()).await);
        suite.server.travel_seconds(30);
        let again = checks::token_answer(device.refresh(login.refresh()).await);
        // Without authentication, and by another client: refused, and the session goes on.
        let token = again["refresh_token"].as_str().unwrap();
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
        let nobody = suite.server.http().post_form("/oauth/token", &fields).await;
        checks::error_answer(nobody, &["invalid_client", "invalid_request", "invalid_grant"]);
        let other = suite.device(&suite.other).refresh(token).await;
        checks::error_answer(other, &["invalid_grant"]);
        checks::token_answer(device.refresh(token).await);
    }
}
