//! What bad input gets: the right error, and no change in the database.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::http::Answer;
use crate::support::local::LocalServer;
use crate::support::oauth::{Request, TokenEndpoint, World};

const FORM: &str = "application/x-www-form-urlencoded";
const ENDPOINTS: [&str; 3] = ["/oauth/token", "/oauth/revoke", "/oauth/introspect"];

async fn begin(database: TestDatabase) -> (LocalServer, World) {
    let server = LocalServer::start(database).await;
    let world = World::on(&server).await;
    (server, world)
}

fn encoded(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// Sends bytes as they are, and returns the status of the answer.
async fn status_of(server: &LocalServer, request: &[u8]) -> u16 {
    let address = server.origin.strip_prefix("http://localhost").unwrap();
    let mut stream = TcpStream::connect(format!("127.0.0.1{address}")).await.unwrap();
    // The server may answer, and close, before it has read all of it.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    answer.split(' ').nth(1).unwrap_or_else(|| panic!("no answer: {answer:?}")).parse().unwrap()
}

on_both_databases! {
    async fn a_body_that_is_too_long_is_refused(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let tokens = world.tokens(&world.public).await;
        let before = server.database.dump();
        let good = encoded(&[
            ("grant_type", "refresh_token"), ("client_id", "public"),
            ("refresh_token", &tokens.refresh), ("token", &tokens.refresh),
        ]);
        let padded = format!("{good}&padding={}", "x".repeat(70_000));
        for path in ENDPOINTS {
            let http = server.http();
            let answer = http.post_raw(path, FORM, padded.clone().into_bytes()).await;
            assert!([400, 413].contains(&answer.status.as_u16()), "{path}: {}", answer.status);
            assert_eq!(answer.json()["error"], "invalid_request", "{path}");
            // Without saying how long it is.
            let chunked = format!(
                "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                 content-type: {FORM}\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{padded}\r\n0\r\n\r\n",
                padded.len()
            );
            let status = status_of(&server, chunked.as_bytes()).await;
            assert!([400, 413].contains(&status), "{path}: {status}");
        }
        assert_eq!(server.database.dump(), before);
        world.device(&world.public).refresh(&tokens.refresh).await.tokens();
    }

    async fn another_content_type_is_refused(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let tokens = world.tokens(&world.public).await;
        let before = server.database.dump();
        let fields = [
            ("grant_type", "refresh_token"), ("client_id", "public"),
            ("refresh_token", tokens.refresh.as_str()), ("token", &tokens.refresh),
        ];
        let form = encoded(&fields).into_bytes();
        let json = serde_json::to_vec(&std::collections::BTreeMap::from(fields)).unwrap();
        for path in ENDPOINTS {
            let http = server.http();
            for (kind, body) in [
                ("application/json", &json), ("application/json", &form), ("text/plain", &form),
                ("multipart/form-data; boundary=x", &form), ("", &form),
            ] {
                http.post_raw(path, kind, body.clone()).await.refused(400, "invalid_request");
            }
        }
        assert_eq!(server.database.dump(), before);
        let http = server.http();
        let kind = "Application/X-WWW-Form-URLEncoded; charset=UTF-8";
        http.post_raw("/oauth/token", kind, form).await.tokens();
    }

    async fn bytes_that_are_not_utf_8_are_refused(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let tokens = world.tokens(&world.public).await;
        let before = server.database.dump();
        let good = encoded(&[
            ("grant_type", "refresh_token"), ("client_id", "public"),
            ("refresh_token", &tokens.refresh), ("token", &tokens.refresh),
        ]);
        for path in ENDPOINTS {
            for bad in [&b"&scope=%ff"[..], b"&scope=\xff", b"&%ff=x", b"&scope=%c0%af"] {
                let body = [good.as_bytes(), bad].concat();
                server.http().post_raw(path, FORM, body).await.refused(400, "invalid_request");
            }
        }
        let page = |answer: Answer| {
            let answer = answer.expect(400);
            assert!(answer.header("content-type").starts_with("text/html"));
            assert_eq!(answer.header("location"), "");
        };
        let browser = world.sign_in(&world.person).await;
        let before_pages = server.database.dump();
        let path = Request::of(&world.public).path();
        page(browser.http.get(&format!("{path}&login_hint=%ff")).await);
        page(browser.http.post_raw("/oauth/authorize", FORM, b"client_id=\xff".to_vec()).await);
        page(browser.http.post_raw("/login", FORM, b"username=\xff".to_vec()).await);
        assert_eq!(server.database.dump(), before_pages);
        assert_ne!(before_pages, before, "a sign-in is written");
    }

    async fn a_parameter_may_stand_once(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let tokens = world.tokens(&world.public).await;
        let browser = world.sign_in(&world.person).await;
        let code = browser.code(&Request::of(&world.public)).await;
        let device = world.device(&world.public);
        let before = server.database.dump();
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh.as_str())];
        let verifier = code.verifier.clone().unwrap();
        let uri = code.redirect_uri.clone().unwrap();
        let exchange = [
            ("grant_type", "authorization_code"), ("code", code.code.as_str()),
            ("code_verifier", &verifier), ("redirect_uri", &uri),
        ];
        for good in [&refresh[..], &exchange] {
            for (name, value) in [good, &[("client_id", "public")]].concat() {
                // Even where both say the same.
                for value in [value, "", "other"] {
                    let twice = [good, &[(name, value)]].concat();
                    device.post("/oauth/token", &twice).await.refused(400, "invalid_request");
                }
            }
        }
        let twice = [("token", tokens.refresh.as_str()), ("token", "x")];
        device.post("/oauth/revoke", &twice).await.refused(400, "invalid_request");
        assert_eq!(server.database.dump(), before);
        device.exchange(&code).await.tokens();
        device.refresh(&tokens.refresh).await.tokens();
    }

    async fn what_is_missing_or_not_supported_is_said(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let device = world.device(&world.public);
        let before = server.database.dump();
        let token = |fields: &'static [(&str, &str)]| device.post("/oauth/token", fields);
        token(&[]).await.refused(400, "invalid_request");
        token(&[("grant_type", "")]).await.refused(400, "invalid_request");
        for grant in ["password", "implicit", "client_credentials", "urn:x", "refresh_token "] {
            device.post("/oauth/token", &[("grant_type", grant), ("username", "ada"), ("password", "x")])
                .await.refused(400, "unsupported_grant_type");
        }
        let told = token(&[("grant_type", "refresh_token")]).await.refused(400, "invalid_request");
        assert!(told.contains("refresh_token"), "{told}");
        let told = token(&[("grant_type", "authorization_code")]).await.refused(400, "invalid_request");
        assert!(told.contains("code"), "{told}");
        for path in ["/oauth/revoke", "/oauth/introspect"] {
            let api = world.device(&world.api);
            let told = api.post(path, &[]).await.refused(400, "invalid_request");
            assert!(told.contains("token"), "{told}");
        }
        assert_eq!(server.database.dump(), before);
    }

    async fn secrets_in_an_address_are_refused(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let tokens = world.tokens(&world.public).await;
        let before = server.database.dump();
        let all = encoded(&[
            ("grant_type", "refresh_token"), ("client_id", "public"),
            ("refresh_token", &tokens.refresh),
        ]);
        let http = server.http();
        let answer = http.post_form(&format!("/oauth/token?{all}"), &[]).await;
        answer.refused(400, "invalid_request");
        let fields =
            [("grant_type", "refresh_token"), ("client_id", "public"), ("refresh_token", &tokens.refresh)];
        for name in ["refresh_token", "client_secret", "code", "code_verifier"] {
            let answer = http.post_form(&format!("/oauth/token?{name}=x"), &fields).await;
            answer.refused(400, "invalid_request");
        }
        let answer = http.post_form(
            &format!("/oauth/revoke?token={}", tokens.refresh), &[("client_id", "public")]
        ).await;
        answer.refused(400, "invalid_request");
        assert_eq!(server.database.dump(), before);
        // What is no secret does no harm there, and counts for nothing.
        let answer = http.post_form("/oauth/token?tenant=a", &fields).await;
        answer.tokens();
    }

    async fn long_and_odd_values_are_only_refused(database: TestDatabase) {
        let (server, world) = begin(database).await;
        let device = world.device(&world.public);
        let before = server.database.dump();
        let long = "x".repeat(40_000);
        for odd in [long.as_str(), "' OR 1=1 --", "\u{202e}", "%00", "🌱"] {
            device.refresh(odd).await.refused(400, "invalid_grant");
            let fields = [("grant_type", "authorization_code"), ("code", odd)];
            device.post("/oauth/token", &fields).await.refused(400, "invalid_grant");
            assert_eq!(device.revoke(odd).await.expect(200).body, "{}");
            let http = server.http();
            let fields = [("grant_type", "refresh_token"), ("client_id", odd), ("refresh_token", "x")];
            http.post_form("/oauth/token", &fields).await.refused(401, "invalid_client");
        }
        // A NUL stands in no parameter of any kind.
        for odd in ["\0", "prt_\0"] {
            device.refresh(odd).await.refused(400, "invalid_request");
            device.revoke(odd).await.refused(400, "invalid_request");
        }
        assert_eq!(server.database.dump(), before);
    }
}

/// The log of the real binary, over good flows and bad ones, holds none of their secrets; the
/// harness looks when the server goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_logged_with_their_cause_and_without_secrets() {
    let server = crate::support::server::TestServer::start().await;
    let world = World::by_commands(&server);
    let device = world.device(&world.confidential);
    let tokens = world.tokens(&world.confidential).await;
    let next = device.refresh(&tokens.refresh).await.tokens();
    device.refresh_for(&next.refresh, "admin").await.refused(400, "invalid_scope");
    world.device(&world.public).refresh(&next.refresh).await.refused(400, "invalid_grant");
    let fields = [("grant_type", "refresh_token"), ("refresh_token", next.refresh.as_str())];
    let http = world.browser().http;
    let address = format!("/oauth/token?refresh_token={}", next.refresh);
    http.post_form(&address, &fields).await.refused(400, "invalid_request");
    let wrong = (world.confidential.id.as_str(), "pcs_a-wrong-secret");
    server.secrets.remember("wrong secret", wrong.1);
    http.post_form_as("/oauth/token", wrong, &fields).await.refused(401, "invalid_client");
    assert_eq!(world.device(&world.api).introspect(&next.access).await["active"], false);
    device.revoke(&next.refresh).await.expect(200);
    let log = server.log.text();
    for cause in ["wrong secret", "presented a token of confidential", "invalid_scope"] {
        assert!(log.contains(cause), "{cause}\n{log}");
    }
}
