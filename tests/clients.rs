//! Other people's OAuth clients, as their registries have them, against the real binary.

use std::process::Output;

use serde_json::Value;

use crate::on_both_databases;
use crate::support::clients;
use crate::support::database::TestDatabase;
use crate::support::server::TestServer;

const PASSWORD: &str = "quiet heron by the reeds";
const SIGNED_OUT: &str = "http://localhost:9/signed-out";

/// How the scripts are told what to do; `secret` is empty for a public client.
struct Registered {
    id: &'static str,
    secret: String,
    method: &'static str,
    redirect_uri: &'static str,
    /// What its ID tokens are signed with.
    algorithm: &'static str,
}

/// A server with one person, and one client of each way to say who it is.
async fn server(database: TestDatabase) -> (TestServer, Vec<Registered>) {
    let server = TestServer::start_on(database).await;
    server.secrets.remember("the password", PASSWORD);
    let line = [
        "user",
        "add",
        "wren",
        "--email",
        "wren@example.com",
        "--password-stdin",
        "--display-name",
        "Wren Hollow",
    ];
    server.installation.run_with_input(line, PASSWORD).ok();
    let mut registered = Vec::new();
    for (id, kind, method, redirect_uri, algorithm) in [
        // The port may vary at a loopback address (RFC 8252 section 7.3).
        ("by-nothing", "public", "none", "http://127.0.0.1:49152/callback", "ES256"),
        ("by-basic", "confidential", "client_secret_basic", "http://localhost:9/callback", "RS256"),
        ("by-post", "confidential", "client_secret_post", "http://localhost:9/callback", "PS256"),
    ] {
        let stored = redirect_uri.replace(":49152", "");
        let made = server.installation.json(&[
            "client",
            "add",
            "--id",
            id,
            "--name",
            id,
            "--type",
            kind,
            "--auth-method",
            method,
            "--redirect-uri",
            &stored,
            "--post-logout-redirect-uri",
            SIGNED_OUT,
            "--id-token-alg",
            algorithm,
        ]);
        server.secrets.remember_answer(&made);
        let secret = made["client_secret"].as_str().unwrap_or_default().to_owned();
        assert_eq!(secret.is_empty(), kind == "public", "{made}");
        registered.push(Registered { id, secret, method, redirect_uri, algorithm });
    }
    (server, registered)
}

type Run = fn(&str, &[&str]) -> Option<Output>;

/// Sign-in, three refreshes and a revocation with each of the clients.
async fn complete(database: TestDatabase, run: Run, script: &'static str) {
    let (server, registered) = server(database).await;
    for client in registered {
        let id = client.id;
        let issuer = server.origin();
        let output = tokio::task::spawn_blocking(move || {
            let Registered { id, secret, method, redirect_uri, .. } = &client;
            run(script, &[&issuer, id, secret, method, redirect_uri, "wren", PASSWORD])
        });
        let Some(output) = output.await.unwrap() else { return };
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script} as {id}: {stderr}");
        let got: Value = serde_json::from_slice(&output.stdout).unwrap();
        let answers = got["answers"].as_array().unwrap();
        assert_eq!(answers.len(), 4);
        answers.iter().for_each(|answer| server.secrets.remember_answer(answer));
        let callback = url::Url::parse(got["callback"].as_str().unwrap()).unwrap();
        let code = callback.query_pairs().find(|(name, _)| name == "code").unwrap().1;
        server.secrets.remember("the code", &code);
        let why = got["refused"].as_str().unwrap();
        assert!(!why.is_empty(), "{got}");

        // What the server says of it all.
        let sessions = server.installation.json(&["session", "list", "--client", id]);
        let sessions = sessions.as_array().unwrap();
        assert_eq!(sessions.len(), 1, "{sessions:?}");
        assert_eq!(sessions[0]["generation"], 4, "{sessions:?}");
    }
}

/// Sign-in with an ID token that the client verifies by itself, UserInfo, three refreshes, a
/// revocation and a sign-out, with each of the clients.
async fn complete_with_openid(database: TestDatabase, run: Run, script: &'static str) {
    let (server, registered) = server(database).await;
    for client in registered {
        let id = client.id;
        let issuer = server.origin();
        let output = tokio::task::spawn_blocking(move || {
            let Registered { id, secret, method, redirect_uri, algorithm } = &client;
            let person = ["wren", PASSWORD, algorithm];
            let told = [issuer.as_str(), id, secret, method, redirect_uri, SIGNED_OUT];
            run(script, &[&told[..], &person].concat())
        });
        let Some(output) = output.await.unwrap() else { return };
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script} as {id}: {stderr}");
        let got: Value = serde_json::from_slice(&output.stdout).unwrap();
        for answer in got["answers"].as_array().unwrap() {
            assert!(answer["id_token"].is_string(), "{answer}");
            server.secrets.remember_answer(answer);
        }
        let sessions = server.installation.json(&["session", "list", "--client", id]);
        let newest = sessions.as_array().unwrap().iter().map(|one| one["generation"].as_u64());
        assert_eq!(newest.max(), Some(Some(4)), "{sessions}");
    }
}

on_both_databases! {
    async fn openid_client_verifies_id_tokens_and_signs_out(database: TestDatabase) {
        complete_with_openid(database, clients::node, "openid-client-oidc.mjs").await;
    }

    async fn oauth4webapi_signs_in_refreshes_revokes_and_signs_out(database: TestDatabase) {
        complete_with_openid(database, clients::node, "oauth4webapi.mjs").await;
    }

    async fn authlib_verifies_id_tokens_and_signs_out(database: TestDatabase) {
        complete_with_openid(database, clients::python, "authlib_oidc.py").await;
    }

    async fn requests_oauthlib_signs_in_refreshes_revokes_and_signs_out(database: TestDatabase) {
        complete_with_openid(database, clients::python, "requests_oauthlib_client.py").await;
    }

    async fn openid_client_signs_in_refreshes_and_revokes(database: TestDatabase) {
        complete(database, clients::node, "openid-client.mjs").await;
    }

    async fn authlib_signs_in_refreshes_and_revokes(database: TestDatabase) {
        complete(database, clients::python, "authlib_client.py").await;
    }
}
