//! What apps discover (OpenID Connect Discovery, RFC 8414), and which doors are open to other
//! origins.

use reqwest::Method;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::http::{Answer, Http};
use crate::support::local::LocalServer;
use crate::support::oauth::{Pkce, Request, TokenEndpoint, World};

const METADATA: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

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
            "authorization_endpoint", "token_endpoint", "userinfo_endpoint",
            "revocation_endpoint", "introspection_endpoint", "jwks_uri", "end_session_endpoint",
            "pushed_authorization_request_endpoint",
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
        for endpoint in ["token", "revocation", "introspection"] {
            let methods =
                strings(&document[format!("{endpoint}_endpoint_auth_methods_supported")]);
            for method in ["client_secret_basic", "client_secret_post"] {
                assert!(methods.contains(&method), "{endpoint}: {method}");
            }
            // Only a confidential client may introspect.
            assert_eq!(methods.contains(&"none"), endpoint != "introspection");
            // Where an assertion is a way, what it may be signed with is told, and where not, not.
            let algorithms = &document[format!("{endpoint}_endpoint_auth_signing_alg_values_supported")];
            let asymmetric = methods.contains(&"private_key_jwt");
            for algorithm in ["RS256", "PS256", "ES256", "EdDSA"] {
                let told = algorithms.as_array().is_some_and(|all| all.contains(&json!(algorithm)));
                assert_eq!(told, asymmetric, "{endpoint}: {algorithm}");
            }
            assert!(!algorithms.to_string().contains("none"));
        }

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
        for scope in ["openid", "profile", "email", "address", "phone", "offline_access"] {
            assert!(strings(&document["scopes_supported"]).contains(&scope), "{scope}");
        }
    }

    async fn the_document_is_complete_and_of_the_right_form(database: TestDatabase) {
        let issuer = "https://login.northfield.example";
        let server = LocalServer::start_with(database, &[("issuer", issuer)]).await;
        let http = server.http();
        let document = http.get(OPENID).await.expect(200).json();
        assert_eq!(document, http.get(METADATA).await.expect(200).json(), "one document");
        assert_eq!(document["issuer"], issuer);
        for (name, value) in document.as_object().unwrap() {
            match value {
                Value::Array(all) => {
                    assert!(!all.is_empty(), "{name} is empty");
                    let mut seen: Vec<&str> = strings(value);
                    seen.sort_unstable();
                    seen.dedup();
                    assert_eq!(seen.len(), all.len(), "{name} says something twice");
                }
                Value::String(text) => {
                    assert!(text.starts_with(issuer), "{name}: {text}");
                }
                Value::Bool(_) => {}
                other => panic!("{name}: {other}"),
            }
        }
        let lists = [
            ("response_types_supported", vec!["code"]),
            ("response_modes_supported", vec!["query", "fragment", "form_post"]),
            ("subject_types_supported", vec!["public", "pairwise"]),
            ("id_token_signing_alg_values_supported", vec!["RS256", "PS256", "ES256", "EdDSA"]),
            ("userinfo_signing_alg_values_supported", vec!["RS256", "PS256", "ES256", "EdDSA"]),
            ("request_object_signing_alg_values_supported", vec!["RS256", "PS256", "ES256"]),
            ("prompt_values_supported", vec!["none", "login", "consent", "select_account"]),
            ("display_values_supported", vec!["page", "popup"]),
            ("acr_values_supported", vec!["1"]),
            ("ui_locales_supported", vec!["en"]),
            ("claim_types_supported", vec!["normal"]),
            ("claims_supported", vec!["sub", "auth_time", "acr", "sid", "name", "email", "address"]),
            ("grant_types_supported", vec!["authorization_code", "refresh_token"]),
            ("code_challenge_methods_supported", vec!["S256"]),
        ];
        for (name, needed) in lists {
            for value in needed {
                assert!(strings(&document[name]).contains(&value), "{name} lacks {value}");
            }
            assert!(!strings(&document[name]).contains(&"plain"), "{name}");
            if name.contains("_alg_") {
                assert!(!strings(&document[name]).contains(&"none"), "{name}");
            }
        }
        for (name, value) in [
            ("claims_parameter_supported", true),
            ("request_parameter_supported", true),
            ("request_uri_parameter_supported", false),
            ("require_request_uri_registration", false),
            ("require_pushed_authorization_requests", false),
            ("backchannel_logout_supported", true),
            ("backchannel_logout_session_supported", true),
            ("authorization_response_iss_parameter_supported", true),
        ] {
            assert_eq!(document[name], value, "{name}");
        }
        // What is switched off is not told.
        assert_eq!(document.get("registration_endpoint"), None);
        assert_eq!(document.get("client_id_metadata_document_supported"), None);
        assert_eq!((document.get("op_policy_uri"), document.get("op_tos_uri")), (None, None));
        // Nor are response types that OAuth 2.1 has dropped.
        assert_eq!(document["response_types_supported"], json!(["code"]));
    }

    async fn the_operators_pages_are_told_where_they_are_set(database: TestDatabase) {
        let policy = "https://northfield.example/privacy";
        let server = LocalServer::start_with(database, &[("policy_uri", policy)]).await;
        let document = server.http().get(OPENID).await.expect(200).json();
        assert_eq!(document["op_policy_uri"], policy);
        assert_eq!(document.get("op_tos_uri"), None);
    }

    async fn scopes_that_an_administrator_describes_are_told_once(database: TestDatabase) {
        use perennial::domain::scope::{Risk, ScopeDescription};
        let server = LocalServer::start(database).await;
        for name in ["notes.read", "email"] {
            let scope = ScopeDescription {
                name: name.to_owned(),
                description: "Read your notes".to_owned(),
                risk: Risk::Read,
            };
            let added = server.db.write(move |connection| {
                perennial::storage::scopes::add(connection, &scope)
            });
            added.await.unwrap();
        }
        let document = server.http().get(OPENID).await.expect(200).json();
        let scopes = strings(&document["scopes_supported"]);
        for scope in ["openid", "email", "notes.read"] {
            assert_eq!(scopes.iter().filter(|own| **own == scope).count(), 1, "{scope}: {scopes:?}");
        }
    }

    async fn whoever_keeps_the_document_asks_again_at_the_price_of_its_tag(database: TestDatabase) {
        let server = LocalServer::start(database).await;
        for path in [OPENID, METADATA, "/oauth/jwks.json"] {
            let answer = server.http().get(path).await.expect(200);
            assert!(answer.header("content-type").starts_with("application/json"), "{path}");
            assert_eq!(answer.header("cache-control"), "public, max-age=300", "{path}");
            let tag = answer.header("etag").to_owned();
            let kept = server.http().with_header("if-none-match", &tag);
            let again = kept.get(path).await.expect(304);
            assert_eq!((again.body.as_str(), again.header("etag")), ("", tag.as_str()));
            assert_eq!(again.header("cache-control"), "public, max-age=300", "{path}");
            let other = server.http().with_header("if-none-match", "\"something-else\"");
            assert_eq!(other.get(path).await.expect(200).body, answer.body);
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
            ("/oauth/jwks.json", "GET"), (METADATA, "GET"), (OPENID, "GET"),
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
        for path in [METADATA, OPENID]
            .into_iter()
            .flat_map(|path| [format!("{path}/tenant/a"), format!("/tenant/a{path}")])
        {
            let document = http.get(&path).await.expect(200).json();
            assert_eq!(document["issuer"], issuer);
            assert_eq!(document["token_endpoint"], format!("{issuer}/oauth/token"));
        }
        http.post_form("/tenant/a/oauth/token", &[("grant_type", "refresh_token")]).await
            .refused(401, "invalid_client");
        http.get("/tenant/a/oauth/jwks.json").await.expect(200);
        assert_eq!(http.post_form("/oauth/token", &[]).await.status, 404);
        for path in [METADATA, OPENID] {
            assert_eq!(http.get(path).await.status, 404, "{path}");
        }
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
