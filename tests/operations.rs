//! What an operator relies on: health, limits, a stop that finishes what was begun, a log that
//! can be read and holds no secret, and addresses that nobody else chooses.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;

use crate::on_both_databases;
use crate::support::database::{self, Kind, TestDatabase};
use crate::support::http::{Answer, Http};
use crate::support::oauth::{PASSWORD, Request, TokenEndpoint, World};
use crate::support::postgres;
use crate::support::process::Installation;
use crate::support::server::TestServer;

fn sqlite() -> TestDatabase {
    database::fresh(Kind::Sqlite).expect("SQLite is always there")
}

/// A connection on which a test writes what no client would.
fn raw(server: &TestServer) -> TcpStream {
    let port = url::Url::parse(&server.origin()).unwrap().port().unwrap();
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

fn rest(mut stream: TcpStream) -> String {
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    String::from_utf8_lossy(&all).into_owned()
}

/// Reads up to the end of a head.
fn head(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&text));
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

on_both_databases! {
    async fn a_stopping_server_finishes_what_it_has_begun(database: TestDatabase) {
        let mut server = TestServer::start_on(database).await;
        let world = World::by_commands(&server);
        let token = world.tokens(&world.public).await.refresh;
        let body = format!("grant_type=refresh_token&client_id=public&refresh_token={token}");
        let mut stream = raw(&server);
        write!(
            stream,
            "POST /oauth/token HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\
             expect: 100-continue\r\n\r\n",
            body.len()
        )
        .unwrap();
        // The server asks for the body: it has begun.
        assert!(head(&mut stream).starts_with("HTTP/1.1 100 "));
        server.signal("TERM");
        // It takes nobody new.
        let address: SocketAddr = stream.peer_addr().unwrap();
        let start = Instant::now();
        while TcpStream::connect(address).is_ok() {
            assert!(start.elapsed() < Duration::from_secs(20), "it still listens");
        }
        assert!(server.is_running());
        stream.write_all(body.as_bytes()).unwrap();
        let answer = rest(stream);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let (_, json) = answer.split_once("\r\n\r\n").unwrap();
        server.secrets.remember_answer(&serde_json::from_str::<Value>(json).unwrap());
        let status = server.wait();
        assert_eq!(status.code(), Some(0), "{}", server.output());
        assert_eq!(server.database.sql("SELECT generation FROM token_families"), "2");
    }

    async fn a_whole_flow_leaves_no_secret_in_the_most_talkative_log(database: TestDatabase) {
        let mut server =
            TestServer::start_with(database, |it| it.with("RUST_LOG", "trace")).await;
        let world = World::by_commands(&server);
        let browser = world.sign_in(&world.person).await;
        for app in [&world.public, &world.confidential, &world.opaque] {
            let code = browser.code(&Request::of(app)).await;
            let device = world.device(app);
            let first = device.exchange(&code).await.tokens();
            let second = device.refresh(&first.refresh).await.tokens();
            assert_eq!(world.device(&world.api).introspect(&second.access).await["active"], false);
            device.refresh(&first.refresh).await;
            device.exchange(&code).await.expect(400);
            device.revoke(&second.refresh).await.expect(200);
            device.refresh(&second.refresh).await.expect(400);
        }
        server.secrets.remember("wrong password", "plum and pepper 42");
        let stranger = world.browser();
        let login = stranger.http.get("/login").await;
        let typed = [("username", "ada"), ("password", "plum and pepper 42")];
        let form = login.form("form[action$='/login']");
        stranger.http.submit(&form, &typed).await.expect(422);
        for fields in [
            [("client_id", "confidential"), ("client_secret", "pcs_wrong_secret_of_an_app")],
            [("client_id", "public"), ("refresh_token", "prt_wrong_token_of_an_app")],
            [("client_id", "public"), ("code", "pac_wrong_code_of_an_app")],
        ] {
            server.secrets.remember(fields[1].0, fields[1].1);
            let http = server.http();
            http.post_form("/oauth/token", &fields).await;
            let query = format!("/oauth/token?{}={}", fields[1].0, fields[1].1);
            http.post_form(&query, &[("grant_type", "refresh_token")]).await.expect(400);
            http.get(&format!("/oauth/authorize?{}={}", fields[1].0, fields[1].1)).await;
        }
        for http in [&browser.http, &stranger.http] {
            for (name, value) in http.cookies() {
                server.secrets.remember(&name, &value);
            }
        }
        server.secrets.remember("csrf", form.value("csrf").unwrap());
        assert!(server.terminate().success());
        let log = server.output();
        assert!(log.contains("refreshed") && log.contains("DEBUG"), "it isn't that talkative");
        assert_eq!(server.secrets.found_in(&log), []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_server_leaves_its_data_in_one_file() {
    let database = database::fresh(Kind::Sqlite).expect("SQLite is always there");
    let mut server = TestServer::start_on(database).await;
    let world = World::by_commands(&server);
    let tokens = world.tokens(&world.public).await;
    world.device(&world.public).refresh(&tokens.refresh).await.tokens();
    assert!(server.terminate().success());
    let url = server.database.url.clone();
    let file = std::path::Path::new(url.strip_prefix("sqlite://").unwrap());
    for log in ["-wal", "-shm"] {
        let log = format!("{}{log}", file.display());
        assert!(!std::path::Path::new(&log).exists(), "{log} was left behind");
    }
    // What a plain copy of that file has is all there is.
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(file, copy.path().join("copy.db")).unwrap();
    let copied = rusqlite::Connection::open(copy.path().join("copy.db")).unwrap();
    let newest: i64 =
        copied.query_row("SELECT generation FROM token_families", [], |row| row.get(0)).unwrap();
    assert_eq!(newest, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_living_server_says_so_and_a_ready_one_too() {
    let mut server = TestServer::start().await;
    let http = server.http();
    assert_eq!(http.get("/healthz").await.expect(200).json()["status"], "ok");
    assert_eq!(http.get("/readyz").await.expect(200).json()["status"], "ready");
    assert!(server.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_is_refused_and_what_follows_is_served() {
    let server = TestServer::start_with(sqlite(), |it| {
        it.with("PERENNIAL_LIMITS__BODY_BYTES", "2048").with("PERENNIAL_LIMITS__HEADER_COUNT", "20")
    })
    .await;
    // A connection may end with a refusal, so each request gets one of its own.
    let large = "x".repeat(2_049);
    for path in ["/oauth/token", "/oauth/revoke", "/oauth/introspect", "/login"] {
        server.http().post_form(path, &[("username", &large)]).await.expect(413);
        // Without a word on its length beforehand.
        let mut stream = raw(&server);
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\n\
             transfer-encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n0\r\n\r\n",
            large.len()
        )
        .unwrap();
        let answer = rest(stream);
        assert!(answer.starts_with("HTTP/1.1 413 "), "{path}: {answer}");
    }
    let with_headers = async |count: usize| {
        let http = server.http();
        let mut request = http.request(Method::GET, "/healthz");
        for n in 0..count {
            request = request.header(format!("x-{n}"), "1");
        }
        http.send(request).await
    };
    with_headers(10).await.expect(200);
    with_headers(21).await.expect(431);
    let beyond_the_parser = with_headers(200).await.status.as_u16();
    assert!([400, 431].contains(&beyond_the_parser), "{beyond_the_parser}");
    server.http().get(&format!("/login?request={}", "x".repeat(4_000))).await.expect(200);
    server.http().get(&format!("/login?request={}", "x".repeat(25_000))).await.expect(414);
    server.http().get("/healthz").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_sends_too_slowly_is_not_waited_for() {
    let server =
        TestServer::start_with(sqlite(), |it| it.with("PERENNIAL_LIMITS__REQUEST_SECONDS", "1"))
            .await;
    let mut body = raw(&server);
    write!(
        body,
        "POST /oauth/token HTTP/1.1\r\nhost: localhost\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\r\ngrant"
    )
    .unwrap();
    let mut line = raw(&server);
    write!(line, "GET /healthz HTTP/1.1\r\nhost: loc").unwrap();
    let begun = Instant::now();
    let answered = head(&mut body);
    assert!(answered.starts_with("HTTP/1.1 503 "), "{answered}");
    assert!(answered.to_ascii_lowercase().contains("retry-after"), "{answered}");
    assert!(rest(line).starts_with("HTTP/1.1 408 "));
    assert!(begun.elapsed() < Duration::from_secs(20));
    server.http().get("/healthz").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_has_a_name_that_pages_show_and_the_log_knows() {
    let mut server = TestServer::start_with(sqlite(), |it| {
        it.with("PERENNIAL_LOG__FORMAT", "json").with("RUST_LOG", "perennial=debug")
    })
    .await;
    let http = server.http();
    let mut names = Vec::new();
    let mut keep = |answer: &Answer| {
        let name = answer.header("x-request-id").to_owned();
        assert_eq!(name.len(), 9, "{} {name:?}", answer.url);
        assert!(!names.contains(&name));
        names.push(name.clone());
        name
    };
    for path in ["/healthz", "/readyz", "/login", "/account", "/oauth/jwks.json", "/static/x"] {
        keep(&http.get(path).await);
    }
    keep(&http.post_form("/oauth/token", &[]).await);
    keep(&http.get(&format!("/login?request={}", "x".repeat(17_000))).await);
    for page in [
        http.get("/nothing").await.expect(404),
        http.get("/oauth/authorize?client_id=nobody").await,
        http.post_form("/login", &[("username", "ada")]).await.expect(403),
    ] {
        let name = keep(&page);
        assert!(page.text().contains(&name), "{}", page.text());
    }
    // A name that somebody else made up is not taken over.
    let named = http.request(Method::GET, "/healthz").header("x-request-id", "AAAA-AAAA");
    assert_ne!(keep(&http.send(named).await), "AAAA-AAAA");

    assert!(server.terminate().success());
    let log = server.output();
    let (lines, others): (Vec<&str>, Vec<&str>) =
        log.lines().filter(|line| !line.is_empty()).partition(|line| line.starts_with('{'));
    for line in &lines {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        for name in ["timestamp", "level", "target", "message"] {
            assert!(line[name].is_string(), "{name}: {line}");
        }
    }
    for name in &names {
        assert!(lines.iter().any(|line| line.contains(name)), "{name} isn't in the log");
    }
    assert_eq!(others, [""; 0], "what isn't JSON");
}

#[test]
fn the_log_stands_on_standard_error_alone_and_every_line_of_it_parses() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let database = sqlite();
    let port = crate::support::tools::free_port();
    let mut server = Command::new(env!("CARGO_BIN_EXE_perennial"))
        .arg("serve")
        .current_dir(database.folder())
        .env("PERENNIAL_DATABASE_URL", &database.url)
        .env("PERENNIAL_LISTEN", format!("127.0.0.1:{port}"))
        .env("PERENNIAL_ISSUER", format!("http://localhost:{port}"))
        .env("PERENNIAL_LOG__FORMAT", "json")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(server.stderr.take().unwrap());
    let mut log = String::new();
    while !log.contains("/setup?link=") && stderr.read_line(&mut log).unwrap() > 0 {}
    // It has begun to serve once it answers.
    let mut probe = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(probe, "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    assert!(rest(probe).starts_with("HTTP/1.1 200 "));
    let id = server.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
    stderr.read_to_string(&mut log).unwrap();
    assert!(server.wait().unwrap().success());
    assert!(log.lines().count() > 0);
    for line in log.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("not JSON: {line:?}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_host_appears_in_nothing_that_the_server_writes() {
    let server = TestServer::start().await;
    let world = World::by_commands(&server);
    let signed_in = world.sign_in(&world.person).await;
    let lying = |http: &Http, method: Method, path: &str| {
        http.request(method, path)
            .header("host", "evil.example")
            .header("x-forwarded-host", "evil.example")
            .header("x-forwarded-proto", "gopher")
            .header("x-forwarded-for", "192.0.2.66")
            .header("forwarded", "for=192.0.2.66;host=evil.example;proto=gopher")
    };
    let honest = |answer: &Answer| {
        let headers = format!("{:?}", answer.headers);
        for lie in ["evil.example", "gopher:", "192.0.2.66"] {
            assert!(!headers.contains(lie), "{}: {headers}", answer.url);
            assert!(!answer.body.contains(lie), "{}: {}", answer.url, answer.body);
        }
    };
    let stranger = server.http();
    let authorize = Request::of(&world.public).path();
    for path in [
        "/.well-known/oauth-authorization-server",
        "/oauth/jwks.json",
        "/login",
        "/account",
        "/admin",
        "/nothing",
        "/",
        "/oauth/authorize",
        &authorize,
    ] {
        for http in [&stranger, &signed_in.http] {
            honest(&http.send(lying(http, Method::GET, path)).await);
        }
    }
    let form = stranger.get("/login").await.form("form[action$='/login']");
    let fields =
        [("csrf", form.value("csrf").unwrap()), ("username", "ada"), ("password", PASSWORD)];
    let answer = stranger.send(lying(&stranger, Method::POST, "/login").form(&fields)).await;
    honest(&answer.expect(303));
    let metadata = server.http();
    let document = metadata
        .send(lying(&metadata, Method::GET, "/.well-known/oauth-authorization-server"))
        .await
        .json();
    assert_eq!(document["issuer"], server.origin());
    assert_eq!(
        server.database.sql("SELECT DISTINCT ip FROM browser_sessions"),
        "127.0.0.1",
        "nobody trusts this proxy"
    );
}

on_both_databases! {
    async fn an_issuer_with_a_path_works_the_whole_way(database: TestDatabase) {
        let server = TestServer::start_with(database, |it| {
            let issuer = format!("{}/id", it.origin());
            it.with("PERENNIAL_ISSUER", &issuer)
        })
        .await;
        let world = World::by_commands(&server);
        let (origin, issuer) = (server.origin(), format!("{}/id", server.origin()));
        let http = server.http();
        let document = http.get("/.well-known/oauth-authorization-server/id").await;
        let document = document.expect(200).json();
        assert_eq!(document["issuer"], issuer.as_str());
        for (name, value) in document.as_object().unwrap() {
            if name.ends_with("_endpoint") || name.ends_with("_uri") {
                assert!(value.as_str().unwrap().starts_with(&issuer), "{name}: {value}");
            }
        }
        let endpoint = |name: &str| document[name].as_str().unwrap().to_owned();
        http.get(&endpoint("jwks_uri")).await.expect(200);
        http.get("/login").await.expect(404);
        http.get("/id/healthz").await.expect(200);

        let browser = world.browser();
        let request = Request::of(&world.public);
        let authorize = endpoint("authorization_endpoint");
        let query = request.path();
        let (_, query) = query.split_once('?').unwrap();
        let first = browser.http.get(&format!("{authorize}?{query}")).await.expect(303);
        let login = browser.http.follow(first).await.expect(200);
        assert!(login.url.path().starts_with("/id/login"), "{}", login.url);
        for cookie in login.headers.get_all("set-cookie") {
            assert!(cookie.to_str().unwrap().contains("Path=/id"), "{cookie:?}");
        }
        for link in login.attributes("[href^='/']", "href") {
            let ours = http.address("/").join(&link).unwrap();
            if ours.origin().ascii_serialization() == origin {
                assert!(ours.path().starts_with("/id"), "{link}");
                browser.http.get(ours.as_str()).await;
            }
        }
        let style = login.attributes("link[rel=stylesheet]", "href");
        http.get(&style[0]).await.expect(200);
        let signed_in = browser.type_password(&login, &world.person).await.expect(303);
        for cookie in signed_in.headers.get_all("set-cookie") {
            assert!(cookie.to_str().unwrap().contains("Path=/id"), "{cookie:?}");
        }
        let consent = browser.http.follow(signed_in).await.expect(200);
        let back = browser.decide(&consent, "allow").await.expect(303);
        assert_eq!(back.location_parameter("iss").as_deref(), Some(issuer.as_str()));
        let code = back.location_parameter("code").unwrap();
        let device = world.device(&world.public);
        let token = endpoint("token_endpoint");
        let exchange = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("code_verifier", &request.pkce.verifier),
            ("redirect_uri", &world.public.redirect_uri),
        ];
        let tokens = device.post(&token, &exchange).await.tokens();
        assert_eq!(tokens.claims()["iss"], issuer.as_str());
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", &tokens.refresh)];
        let next = device.post(&token, &refresh).await.tokens();
        device.post(&endpoint("revocation_endpoint"), &[("token", &next.refresh)]).await.expect(200);

        let account = browser.http.get("/id/account").await.expect(200);
        for link in account.attributes("[href]", "href") {
            assert!(!link.starts_with('/') || link.starts_with("/id/"), "{link}");
        }
        for form in account.forms("form") {
            assert!(form.action.starts_with(&issuer), "{}", form.action);
        }
        let stranger = server.http().get("/id/account").await.expect(303);
        assert!(stranger.location().unwrap().path().starts_with("/id/login"));
        // The commands know the path too.
        server.installation.run(["healthcheck"]).ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_tls_cookies_are_for_tls_alone_and_browsers_are_told_to_stay_there() {
    for (issuer, name, path) in [
        ("https://id.example", "__Host-perennial_", "Path=/"),
        ("https://example.org/id", "__Secure-perennial_", "Path=/id"),
    ] {
        let server =
            TestServer::start_with(sqlite(), |it| it.with("PERENNIAL_ISSUER", issuer)).await;
        let world = World::by_commands(&server);
        let base = server.installation.base_path();
        let http = server.http().with_origin(issuer);
        let login = http.get(&format!("{base}/login")).await.expect(200);
        assert!(login.header("strict-transport-security").starts_with("max-age="));
        let form = login.form("form[action$='/login']");
        let fields = [("username", "ada"), ("password", PASSWORD)];
        let signed_in = http.submit(&form, &fields).await.expect(303);
        let cookies: Vec<String> = [&login, &signed_in]
            .iter()
            .flat_map(|answer| answer.headers.get_all("set-cookie"))
            .map(|line| line.to_str().unwrap().to_owned())
            .collect();
        assert!(cookies.iter().any(|line| line.contains("_session=")), "{cookies:?}");
        assert!(cookies.iter().any(|line| line.contains("_csrf=")), "{cookies:?}");
        for line in &cookies {
            assert!(line.starts_with(name), "{line}");
            let parts: Vec<&str> = line.split("; ").collect();
            for part in ["Secure", "HttpOnly", "SameSite=Lax", path] {
                assert!(parts.contains(&part), "{part}: {line}");
            }
            assert!(!line.contains("Domain"), "{line}");
        }
        http.get(&format!("{base}/account")).await.expect(200);
        // On the server's own address the same form is another site's.
        let elsewhere = server.http();
        let form = elsewhere.get(&format!("{base}/login")).await.form("form[action$='/login']");
        elsewhere.submit(&form, &fields).await.expect(403);
        let _ = world;
    }
    // Without TLS nothing of that: a browser would throw such cookies away.
    let server = TestServer::start().await;
    let login = server.http().get("/login").await.expect(200);
    assert_eq!(login.header("strict-transport-security"), "");
    assert!(!login.header("set-cookie").contains("Secure"), "{}", login.header("set-cookie"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_believed_by_its_certificate_alone() {
    let Some(cluster) = postgres::shared() else { return };
    let name = cluster.new_database();
    let password = "a password of the database";
    let on = |host: &str| {
        let folder = sqlite();
        let url = cluster.tls_url(&name, host);
        let url = url.replace("postgres@", "postgres:a%20password%20of%20the%20database@");
        (Installation::on(&folder).with("PERENNIAL_DATABASE_URL", &url), folder)
    };
    let remember = |server: &crate::support::process::Server| {
        server.secrets.remember("password", password);
        server.secrets.remember("password as written", "a%20password%20of%20the%20database");
    };
    let (wrong, _folder) = on("127.0.0.1");
    let mut server = wrong.with("RUST_LOG", "trace").serve_unready();
    remember(&server);
    assert_eq!(server.wait().code(), Some(1), "{}", server.output());
    let said = server.output();
    assert!(said.contains("certificate"), "{said}");
    assert!(said.contains("127.0.0.1") || said.contains("name"), "{said}");
    let tables = "SELECT count(*) FROM pg_tables WHERE tablename = 'users'";
    assert_eq!(cluster.sql(&name, tables), "0");

    let (right, _folder) = on("localhost");
    let mut server = right.with("RUST_LOG", "trace").serve().await;
    remember(&server);
    // The tunnel's connections are TLS as Postgres sees it.
    let encrypted = "SELECT count(*) > 0, bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity \
                     USING (pid) WHERE datname = current_database() AND \
                     application_name = 'perennial'";
    assert_eq!(cluster.sql(&name, encrypted), "t|t");
    assert!(server.terminate().success());
}
