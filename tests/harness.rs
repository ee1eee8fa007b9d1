//! The harness itself: what the other tests believe without asking.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::on_both_databases;
use crate::support::browser::{Browser, DESKTOP, PHONE, Scheme};
use crate::support::clients;
use crate::support::database::{self, Kind, TestDatabase};
use crate::support::postgres::{self, Cluster, Durability};
use crate::support::process::Installation;

on_both_databases! {
    async fn a_fresh_database_is_empty_and_answers(database: TestDatabase) {
        database.sql("CREATE TABLE t (a BIGINT, b TEXT)");
        database.sql("INSERT INTO t VALUES (7, 'x'), (8, NULL)");
        assert_eq!(database.sql("SELECT a, b FROM t ORDER BY a"), "7|x\n8|");
    }
}

#[test]
fn two_databases_of_one_cluster_know_nothing_of_each_other() {
    let (Some(one), Some(other)) =
        (database::fresh(Kind::Postgres), database::fresh(Kind::Postgres))
    else {
        return;
    };
    one.sql("CREATE TABLE t (a BIGINT)");
    assert_eq!(other.sql("SELECT count(*) FROM pg_tables WHERE tablename = 't'"), "0");
}

#[test]
fn postgres_serves_a_certificate_for_localhost_alone() {
    let Some(cluster) = postgres::shared() else {
        return;
    };
    let psql = |host: &str, authority: &str| {
        let programs = crate::support::tools::postgres_programs().unwrap();
        std::process::Command::new(programs.join("psql"))
            .args(["--no-psqlrc", "--tuples-only", "--no-align", "--command"])
            .arg("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            .arg(format!(
                "postgres://postgres@{host}:{}/postgres?sslmode=verify-full&sslrootcert={authority}",
                cluster.port()
            ))
            .output()
            .unwrap()
    };
    let authority = cluster.authority_file().display().to_string();
    let right = psql("localhost", &authority);
    assert_eq!(String::from_utf8_lossy(&right.stdout).trim(), "t", "{right:?}");
    let wrong_host = psql("127.0.0.1", &authority);
    assert!(String::from_utf8_lossy(&wrong_host.stderr).contains("127.0.0.1"), "{wrong_host:?}");
    let stranger = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(stranger.path(), postgres::Authority::new().pem()).unwrap();
    let wrong_authority = psql("localhost", &stranger.path().display().to_string());
    assert!(!wrong_authority.status.success(), "{wrong_authority:?}");
}

#[test]
fn a_safe_cluster_keeps_what_it_committed_before_a_crash() {
    let Some(cluster) = Cluster::start(Durability::Safe) else {
        return;
    };
    let name = cluster.new_database();
    cluster.sql(&name, "CREATE TABLE t (a BIGINT); INSERT INTO t VALUES (1)");
    cluster.crash_and_restart();
    assert_eq!(cluster.sql(&name, "SELECT a FROM t"), "1");
    assert_eq!(cluster.sql(&name, "SHOW fsync"), "on");
}

/// Serves one page, under the policy that our own pages have.
async fn serve_page(html: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.unwrap_or(0);
            let icon = request[..read].starts_with(b"GET /favicon.ico");
            let (status, body) = if icon { ("204 No Content", "") } else { ("200 OK", html) };
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\n\
                 content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n\
                 content-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn axe_finds_a_planted_violation_under_a_strict_policy() {
    let page = serve_page(
        "<!doctype html><html lang=en><title>t</title><main><h1>h</h1><img src=x><input></main>",
    )
    .await;
    let Some(browser) = Browser::start(DESKTOP.0, DESKTOP.1, Scheme::Light).await else {
        return;
    };
    browser.goto(&page).await.unwrap();
    let violations = browser.axe().await;
    let ids: Vec<&str> = violations.iter().map(|violation| violation.id.as_str()).collect();
    assert!(ids.contains(&"image-alt") && ids.contains(&"label"), "{violations:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_page_passes_in_both_schemes_and_sizes() {
    let page = serve_page(
        "<!doctype html><html lang=en><meta name=viewport content='width=device-width'>\
         <title>t</title><main><h1>h</h1><p>good</p></main>",
    )
    .await;
    let Some(mut browser) = Browser::start(PHONE.0, PHONE.1, Scheme::Dark).await else {
        return;
    };
    browser.goto(&page).await.unwrap();
    let looks = "return [innerWidth, matchMedia('(prefers-color-scheme: dark)').matches]";
    let seen = browser.execute(looks, vec![]).await.unwrap();
    assert_eq!(seen, serde_json::json!([PHONE.0, true]));
    browser.check_page("harness").await;
    browser.set_size(DESKTOP).await;
    browser.set_scheme(Scheme::Light).await;
    let seen = browser.execute(looks, vec![]).await.unwrap();
    assert_eq!(seen, serde_json::json!([DESKTOP.0, false]));
    browser.check_page("harness").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_wider_than_a_phone_is_noticed() {
    let page = serve_page("<!doctype html><title>t</title><table><tr><td><img width=900>").await;
    let Some(browser) = Browser::start(PHONE.0, PHONE.1, Scheme::Light).await else {
        return;
    };
    browser.goto(&page).await.unwrap();
    let check = tokio::spawn(async move { browser.no_sideways_scroll().await });
    assert!(check.await.is_err(), "a 900 px image fits into 390 px");
}

#[test]
fn stock_clients_are_installed() {
    for output in [clients::node("versions.mjs", &[]), clients::python("versions.py", &[])] {
        let Some(output) = output else { continue };
        assert!(output.status.success(), "{output:?}");
        println!("{}", String::from_utf8_lossy(&output.stdout).trim());
    }
}

#[test]
fn the_binary_runs() {
    let Some(database) = database::fresh(Kind::Sqlite) else {
        return;
    };
    let output = Installation::on(&database).run(["--version"]);
    assert_eq!(output.code(), Some(0), "{output:?}");
}

/// The pipe that the watchdogs hold closes however the tests end. This one
/// stands in for a test process that was killed.
#[test]
fn a_cluster_does_not_outlive_its_owner() {
    let Some(cluster) = Cluster::start(Durability::Fast) else {
        return;
    };
    let folder = cluster.authority_file().parent().unwrap().to_path_buf();
    let port = cluster.port();
    drop(cluster);
    assert!(!folder.exists(), "{} is still there", folder.display());
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err(), "still listening");
}
