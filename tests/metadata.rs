//! What apps discover (RFC 8414), and which doors are open to other origins.

use reqwest::Method;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::http::{Answer, Http};
use crate::support::local::LocalServer;
use crate::support::oauth::{Pkce, Request, TokenEndpoint, World};

const METADATA: &str = "/.well-known/oauth-authorization-server";

async fn preflight(http: &Http, path: &str, method: &str) -> Answer {
    let request = http
        .request(Method::OPTIONS, path)
        .header("origin", "https://spa.example")
        .header("access-control-request-method", method)
        .header("access-control-request-headers", "authorization, content-type");
    http.send(request).await
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect()
}

on_both_databases! {
    async fn every_member_is_true(database: TestDatabase) {
        let server = LocalServer::start(database).await;
        let world = World::on(&server).await;
        let http = server.http();
        let answer = http.get(METADATA).await.expect(200);
        assert!(answer.header("content-type").starts_with("application/json"));
        let document = answer.json();
        assert_eq!(document["issuer"], server.issuer);

        for name in [
            "authorization_endpoint", "token_endpoint", "revocation_endpoint",
            "introspection_endpoint", "jwks_uri",
        ] {
            let address = document[name].as_str().unwrap();
            assert!(address.starts_with(&format!("{}/", server.issuer)), "{name}: {address}");
            let answer = http.get(address).await;
            assert_ne!(answer.status, 404, "{name}");
        }
        let jwks = http.get(document["jwks_uri"].as_str().unwrap()).await.expect(200).json();
        assert!(!jwks["keys"].as_array().unwrap().is_empty());

        // Each grant is one, and no other is.
        let device = world.device(&world.public);
        for grant in strings(&document["grant_types_supported"]) {
            let answer = device.post("/oauth/token", &[("grant_type", grant)]).await;
            assert_eq!(answer.json()["error"], "invalid_request", "{grant}: something is missing");
        }
        device.post("/oauth/token", &[("grant_type", "password")]).await
            .refused(400, "unsupported_grant_type");

        assert_eq!(document["response_types_supported"], json!(["code"]));
        assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
        let methods = strings(&document["token_endpoint_auth_methods_supported"]);
        assert_eq!(methods, ["none", "client_secret_basic", "client_secret_post"]);
        let methods = strings(&document["introspection_endpoint_auth_methods_supported"]);
        assert!(!methods.contains(&"none"));

        // `iss` comes back, a challenge never does, and the expiry types are told.
        assert_eq!(document["authorization_response_iss_parameter_supported"], true);
        let browser = world.sign_in(&world.person).await;
        let request = Request::of(&world.public);
        let answer = browser.allow(&request).await.expect(303);
        assert_eq!(answer.location_parameter("iss").as_deref(), document["issuer"].as_str());
        assert!(!answer.location().unwrap().as_str().contains(&request.pkce.challenge));
        assert_eq!(Pkce::of(&request.pkce.verifier).challenge, request.pkce.challenge);
        let tokens = world.tokens(&world.public).await;
        for kind in strings(&document["refresh_token_expiration_types_supported"]) {
            assert!(tokens.answer[kind].is_i64(), "{kind}");
        }
        for scope in ["openid", "profile", "email", "offline_access"] {
            assert!(strings(&document["scopes_supported"]).contains(&scope), "{scope}");
        }
    }

    async fn browser_apps_of_any_origin_may_call_and_nobody_may_authorize_so(
        database: TestDatabase
    ) {
        let server = LocalServer::start(database).await;
        let world = World::on(&server).await;
        let http = server.http();
        for (path, method) in [
            ("/oauth/token", "POST"), ("/oauth/revoke", "POST"),
            ("/oauth/jwks.json", "GET"), (METADATA, "GET"),
        ] {
            let answer = preflight(&http, path, method).await;
            assert!(answer.status.is_success(), "{path}: {}", answer.status);
            assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
            assert!(answer.header("access-control-allow-methods").contains(method), "{path}");
            let allowed = answer.header("access-control-allow-headers").to_lowercase();
            assert!(allowed.contains("authorization") && allowed.contains("content-type"), "{allowed}");
            assert_eq!(answer.header("access-control-allow-credentials"), "", "{path}");
        }
        // The answers too, good and bad.
        let tokens = world.tokens(&world.public).await;
        let spa = Http::new(&server.origin).with_header("origin", "https://spa.example");
        for token in [tokens.refresh.as_str(), "nonsense"] {
            let fields =
                [("grant_type", "refresh_token"), ("client_id", "public"), ("refresh_token", token)];
            let answer = spa.post_form("/oauth/token", &fields).await;
            assert_eq!(answer.header("access-control-allow-origin"), "*", "{}", answer.status);
        }
        for path in ["/oauth/authorize", "/login", "/consent", "/oauth/introspect"] {
            let answer = preflight(&http, path, "GET").await;
            assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
            let answer = spa.get(path).await;
            assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
        }
        let request = Request::of(&world.public);
        let answer = spa.get(&request.path()).await;
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }

    async fn all_of_it_stands_below_the_issuers_path(database: TestDatabase) {
        let issuer = "http://localhost:1/tenant/a";
        let server = LocalServer::start_with(database, &[("issuer", issuer)]).await;
        let http = server.http();
        // RFC 8414 section 3.1 puts the path behind; OpenID Connect Discovery puts it before.
        for path in [format!("{METADATA}/tenant/a"), format!("/tenant/a{METADATA}")] {
            let document = http.get(&path).await.expect(200).json();
            assert_eq!(document["issuer"], issuer);
            assert_eq!(document["token_endpoint"], format!("{issuer}/oauth/token"));
        }
        http.post_form("/tenant/a/oauth/token", &[("grant_type", "refresh_token")]).await
            .refused(401, "invalid_client");
        http.get("/tenant/a/oauth/jwks.json").await.expect(200);
        assert_eq!(http.post_form("/oauth/token", &[]).await.status, 404);
        assert_eq!(http.get(METADATA).await.status, 404);
    }

    async fn the_protocol_endpoints_take_posts_alone(database: TestDatabase) {
        let server = LocalServer::start(database).await;
        for path in ["/oauth/token", "/oauth/revoke", "/oauth/introspect"] {
            for method in [Method::GET, Method::PUT, Method::DELETE] {
                let http = server.http();
                let answer = http.send(http.request(method, path)).await;
                assert_eq!(answer.header("allow"), "POST", "{path}");
                answer.refused(405, "invalid_request");
            }
        }
    }
}
