//! Requests that the server makes by itself: where they may go, and what they may cost.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use perennial::fetch::{FetchError, Fetcher, Limits, Lookup, Options};

use crate::support::web_server::{Page, WebServer};

const USUAL: Limits = Limits { time: Duration::from_secs(5), bytes: 65_536 };

fn options(server: &WebServer, allow_private_networks: bool) -> Options {
    Options {
        ca_file: Some(server.authority_file().to_owned()),
        allow_private_networks,
        limits: USUAL,
    }
}

fn inside(server: &WebServer) -> Fetcher {
    Fetcher::new(&options(server, true)).unwrap()
}

/// The n-th time that a name is asked for, it leads to the n-th of these; then to the last.
fn leading_to(answers: &[&[&str]]) -> (Lookup, Arc<AtomicUsize>) {
    let answers: Vec<Vec<IpAddr>> = answers
        .iter()
        .map(|list| list.iter().map(|address| address.parse().unwrap()).collect())
        .collect();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let lookup: Lookup = Arc::new(move |_| {
        let turn = count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        let answer = answers[turn].clone();
        Box::pin(async move { Ok(answer) })
    });
    (lookup, asked)
}

#[tokio::test]
async fn a_document_comes_with_its_type_and_how_long_it_counts() {
    let server = WebServer::start("localhost").await;
    let page = Page::text("application/jwk-set+json; charset=utf-8", "{\"keys\":[]}");
    server.put("/keys?a=b", page.header("cache-control", "public, max-age=300"));
    let fetched = inside(&server).get(&server.url("/keys?a=b"), USUAL).await.unwrap();
    assert_eq!(fetched.body, b"{\"keys\":[]}");
    assert!(fetched.is("application/jwk-set+json") && fetched.is_json());
    assert_eq!(fetched.fresh_for, Some(Duration::from_secs(300)));

    let head = server.seen()[0].head.to_ascii_lowercase();
    assert!(head.starts_with("get /keys?a=b http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: localhost:{}", server.port)), "{head}");
    assert!(head.contains("user-agent: perennial/"), "{head}");
}

#[tokio::test]
async fn a_form_is_posted_and_any_status_is_an_answer() {
    let server = WebServer::start("localhost").await;
    server.put("/logout", Page::text("text/plain", "no").status(400));
    let fetcher = inside(&server);
    let fields = [("logout_token", "a.b&c"), ("more", "ä")];
    let status = fetcher.post_form(&server.url("/logout"), &fields).await.unwrap();
    assert_eq!((status.0, status.is_success()), (400, false));
    let seen = &server.seen()[0];
    assert!(seen.head.starts_with("POST /logout "), "{seen:?}");
    assert!(seen.head.contains("content-type: application/x-www-form-urlencoded"), "{seen:?}");
    assert_eq!(seen.body, "logout_token=a.b%26c&more=%C3%A4");
}

#[tokio::test]
async fn an_inside_address_is_never_connected_to() {
    let server = WebServer::start("localhost").await;
    let outside = Fetcher::new(&options(&server, false)).unwrap();
    for host in ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433"] {
        let error = outside.get(&server.url_of(host, "/"), USUAL).await.unwrap_err();
        assert!(matches!(error, FetchError::Forbidden(_)), "{host}: {error}");
        assert!(error.to_string().ends_with("leads to an address that isn't public"), "{error}");
    }
    let error = outside.post_form(&server.url("/"), &[]).await.unwrap_err();
    assert!(matches!(error, FetchError::Forbidden(_)), "{error}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn one_inside_address_among_public_ones_is_enough() {
    let server = WebServer::start("app.example").await;
    let (lookup, _) = leading_to(&[&["93.184.216.34", "127.0.0.1"]]);
    let fetcher = Fetcher::with_lookup(&options(&server, false), lookup).unwrap();
    let error = fetcher.get(&server.url_of("app.example", "/"), USUAL).await.unwrap_err();
    assert_eq!(error, FetchError::Forbidden("app.example".to_owned()));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_the_next_time_gains_nothing() {
    let server = WebServer::start("app.example").await;
    server.put("/", Page::text("text/plain", "inside"));
    // First an address that nobody answers at, then the one that it is all about.
    let (lookup, asked) = leading_to(&[&["240.0.0.1"], &["127.0.0.1"]]);
    let fetcher = Fetcher::with_lookup(&options(&server, true), lookup).unwrap();
    let url = server.url_of("app.example", "/");
    assert!(matches!(fetcher.get(&url, USUAL).await, Err(FetchError::Forbidden(_))));
    assert_eq!(asked.load(Ordering::SeqCst), 1, "it is resolved once for each request");
    assert_eq!(server.connections(), 0);
    // What was checked is what is connected to.
    assert_eq!(fetcher.get(&url, USUAL).await.unwrap().body, b"inside");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn http_is_for_loopback_alone_and_only_if_the_operator_says_so() {
    let server = WebServer::start_plain().await;
    server.put("/", Page::text("text/plain", "plain"));
    let allowing =
        |allow_private_networks| Options { ca_file: None, allow_private_networks, limits: USUAL };
    let url = server.url("/");
    let outside = Fetcher::new(&allowing(false)).unwrap();
    assert_eq!(outside.get(&url, USUAL).await, Err(FetchError::Url("isn't https")));
    let fetcher = Fetcher::new(&allowing(true)).unwrap();
    assert_eq!(fetcher.get(&url, USUAL).await.unwrap().body, b"plain");
    let (lookup, _) = leading_to(&[&["10.1.2.3"]]);
    let fetcher = Fetcher::with_lookup(&allowing(true), lookup).unwrap();
    let error = fetcher.get("http://app.example/", USUAL).await.unwrap_err();
    assert_eq!(error, FetchError::Forbidden("app.example".to_owned()));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let server = WebServer::start("localhost").await;
    server.put("/there", Page::text("text/plain", "there"));
    let there = server.url("/there");
    server.put("/", Page::text("text/plain", "").status(302).header("location", &there));
    let error = inside(&server).get(&server.url("/"), USUAL).await.unwrap_err();
    assert_eq!(error.to_string(), "it answered with status 302");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_cut_off_where_it_passes_it() {
    let server = WebServer::start("localhost").await;
    let fetcher = inside(&server);
    let limits = Limits { bytes: 1_000, ..USUAL };
    server.put("/", Page::text("text/plain", &"a".repeat(1_000)));
    assert_eq!(fetcher.get(&server.url("/"), limits).await.unwrap().body.len(), 1_000);
    server.put("/", Page::text("text/plain", &"secret ".repeat(143)));
    let error = fetcher.get(&server.url("/"), limits).await.unwrap_err();
    assert_eq!(error.to_string(), "the answer is longer than 1000 bytes");
    let endless = Page { endless: true, ..Page::text("text/plain", &"a".repeat(900)) };
    server.put("/", endless);
    let error = fetcher.get(&server.url("/"), limits).await.unwrap_err();
    assert_eq!(error, FetchError::TooLong(1_000));
}

#[tokio::test]
async fn whoever_takes_too_long_is_not_waited_for() {
    let server = WebServer::start("localhost").await;
    let page = Page { after: Duration::from_secs(60), ..Page::text("text/plain", "late") };
    server.put("/slow", page);
    // It begins at once and never ends.
    server.put("/drip", Page { endless: true, ..Page::text("text/plain", ".") });
    let limits = Limits { time: Duration::from_millis(500), ..USUAL };
    for path in ["/slow", "/drip"] {
        let begun = Instant::now();
        let error = inside(&server).get(&server.url(path), limits).await.unwrap_err();
        assert_eq!(error, FetchError::Late(limits.time), "{path}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{path}");
        assert_eq!(error.to_string(), "it took longer than 0.5 s");
    }
}

#[tokio::test]
async fn only_whoever_the_certificate_is_for_is_asked() {
    let server = WebServer::start("app.example").await;
    server.put("/", Page::text("text/plain", "mine"));
    let to_it = || leading_to(&[&["127.0.0.1"]]).0;
    let fetcher = Fetcher::with_lookup(&options(&server, true), to_it()).unwrap();
    assert!(fetcher.get(&server.url_of("app.example", "/"), USUAL).await.is_ok());
    let error = fetcher.get(&server.url_of("other.example", "/"), USUAL).await.unwrap_err();
    assert!(error.to_string().starts_with("TLS with other.example failed: "), "{error}");

    let unknown = Options { ca_file: None, ..options(&server, true) };
    let fetcher = Fetcher::with_lookup(&unknown, to_it()).unwrap();
    let error = fetcher.get(&server.url_of("app.example", "/"), USUAL).await.unwrap_err();
    assert!(matches!(error, FetchError::Tls { .. }), "{error}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let server = WebServer::start("localhost").await;
    let fetcher = inside(&server);
    let error = fetcher.get(&server.url("/none"), USUAL).await.unwrap_err();
    assert_eq!(error.to_string(), "it answered with status 404");
    let port = server.port;
    drop(server);
    // The port is closed as soon as the task has ended.
    let error = loop {
        match fetcher.get(&format!("https://localhost:{port}/"), USUAL).await {
            Err(FetchError::Unreachable(host)) => break FetchError::Unreachable(host),
            _ => tokio::task::yield_now().await,
        }
    };
    assert_eq!(error.to_string(), "localhost can't be connected to");
}

#[test]
fn a_file_of_authorities_that_is_none_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let limits = USUAL;
    let why = |path: &std::path::Path| {
        let options =
            Options { ca_file: Some(path.to_owned()), allow_private_networks: false, limits };
        Fetcher::new(&options).err().unwrap().to_string()
    };
    let text = why(file.path());
    assert!(
        text.starts_with("fetch.ca_file: /") && text.ends_with("has no certificate in PEM"),
        "{text}"
    );
    assert!(why(std::path::Path::new("/nowhere.pem")).contains("can't be read"));
}
