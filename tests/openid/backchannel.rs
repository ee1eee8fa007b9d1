//! Back-Channel Logout OP.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use perennial::domain::client::ClientMetadata;
use serde_json::json;

use super::checks;
use super::suite::{Mode, SIGNED_OUT, Suite, client};
use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::oauth::jwt_part;

/// Waits for one POST, answers it 200, and gives what came: its head and its body.
fn listen() -> (String, mpsc::Receiver<(String, String)>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let uri = format!("http://{}/backchannel_logout", listener.local_addr().unwrap());
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = Vec::new();
            let mut chunk = [0; 4_096];
            let (head, body) = loop {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                if let Some((head, body)) = text.split_once("\r\n\r\n") {
                    let length = head
                        .lines()
                        .find_map(|line| {
                            let (name, value) = line.split_once(':')?;
                            let is_it = name.eq_ignore_ascii_case("content-length");
                            is_it.then(|| value.trim().parse::<usize>().unwrap())
                        })
                        .unwrap();
                    if body.len() >= length {
                        break (head.to_owned(), body.to_owned());
                    }
                }
                let read = stream.read(&mut chunk).unwrap();
                assert!(read > 0, "it broke off");
                bytes.extend_from_slice(&chunk[..read]);
            };
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(answer.as_bytes()).unwrap();
            if send.send((head, body)).is_err() {
                break;
            }
        }
    });
    (uri, receive)
}

on_both_databases! {
    async fn oidcc_backchannel_logout_discovery_endpoint_verification(database: TestDatabase) {
        let suite = Suite::begin(database).await;
        assert_eq!(suite.discovery["backchannel_logout_supported"], true);
        assert_eq!(suite.discovery["backchannel_logout_session_supported"], true);
        suite.endpoint("end_session_endpoint");
    }

    async fn oidcc_backchannel_rp_initiated_logout(database: TestDatabase) {
        let settings = [("fetch.allow_private_networks", "true")];
        let suite = Suite::begin_with(database, &settings).await;
        let (uri, posts) = listen();
        let mut metadata: ClientMetadata = client("Suite listening");
        metadata.details.backchannel_logout_uri = Some(uri);
        metadata.details.backchannel_logout_session_required = true;
        let app = suite.register("suite-listening", metadata).await;
        let browser = suite.world.browser();
        let request = suite.ask_for(&app, Mode::Query);
        let login = suite.login_as(&browser, &app, &request).await;
        assert!(login.claims["sid"].as_str().is_some_and(|sid| !sid.is_empty()));

        let mut url = url::Url::parse(&suite.endpoint("end_session_endpoint")).unwrap();
        url.query_pairs_mut()
            .append_pair("id_token_hint", &login.id_token)
            .append_pair("post_logout_redirect_uri", SIGNED_OUT);
        let mut answer = browser.http.get(url.as_str()).await;
        if !answer.forms("main form[method=post]").is_empty() {
            let form = answer.form("main form[method=post]");
            answer = browser.http.submit(&form, &[]).await;
        }
        let answer = browser.http.follow(answer).await;
        assert_eq!(answer.location().unwrap().as_str(), SIGNED_OUT);

        let (head, body) = posts.recv_timeout(Duration::from_secs(30)).expect("a logout token");
        assert!(head.starts_with("POST /backchannel_logout HTTP/1.1"), "{head}");
        assert!(head.to_lowercase().contains("content-type: application/x-www-form-urlencoded"));
        let token = body.strip_prefix("logout_token=").expect("nothing else stands there");
        assert!(!token.contains(['&', '=']), "{body}");
        let header = jwt_part(token, 0);
        assert_eq!(header["alg"], jwt_part(&login.id_token, 0)["alg"], "as ID tokens are");
        let claims = checks::signed(&suite.jwks().await, token);
        assert_eq!(claims["iss"], suite.server.issuer);
        assert_eq!(claims["aud"], app.id);
        assert_eq!(claims["sub"], login.claims["sub"]);
        assert_eq!(claims["sid"], login.claims["sid"]);
        assert_eq!(claims.get("nonce"), None);
        assert!(claims["jti"].as_str().is_some_and(|jti| jti.len() >= 16));
        let now = suite.server.now().as_seconds();
        assert!((claims["iat"].as_i64().unwrap() - now).abs() <= 300);
        assert!(claims["exp"].as_i64().unwrap() > now);
        let event = "http://schemas.openid.net/event/backchannel-logout";
        assert_eq!(claims["events"], json!({ event: {} }));
    }
}
