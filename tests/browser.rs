//! The pages as a person meets them: the real binary in a real Chromium.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use perennial::demo::{self, AppConfig};
use secrecy::SecretString;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use url::Url;

use crate::on_both_databases;
use crate::support::browser::{Browser, DESKTOP, PHONE, Scheme};
use crate::support::database::TestDatabase;
use crate::support::http::{Answer, Http};
use crate::support::process::{Installation, Server};
use crate::support::server::TestServer;
use crate::support::tools;

struct Person {
    name: &'static str,
    display_name: &'static str,
    password: &'static str,
}

const ADA: Person =
    Person { name: "ada", display_name: "Ada Fern", password: "winter garden gate" };
const LINDEN: Person =
    Person { name: "linden", display_name: "Linden Marsh", password: "seven slow herons" };

const VERIFIER: &str = "a-verifier-of-forty-three-letters-and-more-0123";

/// Longer than an access token lives in these tests, and than a slow machine needs.
const A_TOKENS_LIFE: Duration = Duration::from_secs(60);

/// A server with Ada, with Linden who is an administrator, and with scopes for notes.
async fn site(database: TestDatabase) -> TestServer {
    site_with(database, |installation| installation).await
}

async fn site_with(
    database: TestDatabase,
    settings: impl FnOnce(Installation) -> Installation,
) -> TestServer {
    let server = TestServer::start_with(database, |installation| {
        settings(installation.with("PERENNIAL_SITE_NAME", "Northfield ID"))
    })
    .await;
    for person in [&ADA, &LINDEN] {
        server.secrets.remember("a password", person.password);
        let email = format!("{}@northfield.example", person.name);
        let mut line = vec!["user", "add", person.name, "--email", &email];
        line.extend(["--display-name", person.display_name, "--password-stdin"]);
        line.extend((person.name == "linden").then_some("--admin"));
        server.installation.run_with_input(line, person.password).ok();
    }
    for (name, words, risk) in [
        ("notes.read", "Read your notes and notebooks", "read"),
        ("notes.write", "Write, change and delete your notes", "write"),
    ] {
        let line = ["scope", "add", name, "--description", words, "--risk", risk];
        server.installation.run(line).ok();
    }
    server
}

/// Registers a client, and returns its secret; `more` says of which type it is.
fn register(
    server: &Server,
    id: &str,
    name: &str,
    redirect_uri: &str,
    more: &[&str],
) -> Option<String> {
    let mut line = vec!["client", "add", "--id", id, "--name", name];
    line.extend(["--redirect-uri", redirect_uri]);
    line.extend(["--scope", "openid profile email notes.read notes.write offline_access"]);
    line.extend(more);
    let made = server.installation.json(&line);
    server.secrets.remember_answer(&made);
    made["client_secret"].as_str().map(str::to_owned)
}

/// An app on an origin of its own, 127.0.0.1, whose callback sends the browser on to yet another
/// one, localhost, whose page shows the answer. Chromium holds the `form-action` of the sign-in
/// and consent pages against each of these hops.
struct App {
    id: &'static str,
    secret: Option<String>,
    port: u16,
}

impl App {
    async fn start(server: &Server, id: &'static str, name: &str) -> App {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut request = vec![0; 16384];
                    let read = stream.read(&mut request).await.unwrap_or(0);
                    let request = String::from_utf8_lossy(&request[..read]).into_owned();
                    let target = request.split(' ').nth(1).unwrap_or_default();
                    let _ = stream.write_all(app_answer(target, port).as_bytes()).await;
                });
            }
        });
        let confidential = ["--type", "confidential"];
        let secret = register(server, id, name, &callback(port), &confidential);
        assert!(secret.is_some());
        App { id, secret, port }
    }

    fn callback(&self) -> String {
        callback(self.port)
    }

    /// Where the app sends a browser that wants to sign in.
    fn start_url(&self, server: &Server, scope: &str, state: &str) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let mut url = Url::parse(&server.origin()).unwrap().join("/oauth/authorize").unwrap();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", self.id)
            .append_pair("redirect_uri", &self.callback())
            .append_pair("scope", scope)
            .append_pair("state", state)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        url.into()
    }

    /// Waits until the browser has come back, over both origins, and returns what the server
    /// said.
    async fn answer(&self, browser: &Browser) -> Vec<(String, String)> {
        let end = browser
            .wait_for_address(|url| url.port() == Some(self.port) && url.path() == "/done")
            .await;
        assert_eq!(end.host_str(), Some("localhost"));
        end.query_pairs().into_owned().collect()
    }

    /// Trades the code for tokens, as the app behind its page would.
    async fn tokens(&self, server: &Server, answer: &[(String, String)]) -> Value {
        let code = value(answer, "code");
        server.secrets.remember("a code", code);
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.callback()),
            ("code_verifier", VERIFIER),
        ];
        let tokens = self.ask(server, &fields).await.expect(200).json();
        server.secrets.remember_answer(&tokens);
        tokens
    }

    async fn refresh(&self, server: &Server, tokens: &Value) -> Answer {
        let token = tokens["refresh_token"].as_str().unwrap();
        self.ask(server, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    async fn ask(&self, server: &Server, fields: &[(&str, &str)]) -> Answer {
        let http = Http::new(&server.origin());
        let as_app = (self.id, self.secret.as_deref().unwrap());
        http.post_form_as("/oauth/token", as_app, fields).await
    }
}

fn callback(port: u16) -> String {
    format!("http://127.0.0.1:{port}/callback")
}

fn app_answer(target: &str, port: u16) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (status, location, body) = match path {
        "/callback" => {
            ("302 Found", format!("location: http://localhost:{port}/done?{query}\r\n"), "")
        }
        "/done" => (
            "200 OK",
            String::new(),
            "<!doctype html><html lang=en><title>App</title><h1>Back in the app</h1>",
        ),
        _ => ("204 No Content", String::new(), ""),
    };
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html\r\n{location}content-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    )
}

fn value<'a>(pairs: &'a [(String, String)], name: &str) -> &'a str {
    pairs
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_str())
        .unwrap_or_else(|| panic!("no {name} in {pairs:?}"))
}

/// Fills in the sign-in page that the browser is at.
async fn sign_in(browser: &Browser, person: &Person) {
    sign_in_with(browser, person, person.password).await;
}

async fn sign_in_with(browser: &Browser, person: &Person, password: &str) {
    browser.fill("#username", person.name).await;
    browser.fill("#password", password).await;
    browser.click("form[action$='/login'] button").await;
}

/// Waits until the log has a line with this text, and returns the line.
async fn logged(server: &Server, text: &str) -> String {
    let start = Instant::now();
    loop {
        if let Some(line) = server.log.text().lines().find(|line| line.contains(text)) {
            return line.trim().to_owned();
        }
        assert!(start.elapsed() < Duration::from_secs(60), "no {text:?} in {}", server.log.text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The whole way: sign in at the sample app, watch it refresh, revoke it as the administrator,
/// see it signed out.
async fn whole_way(browsers: [Browser; 2], app: &str, site: &str, name: &str) {
    let [mut person, mut admin] = browsers;
    let page = |what: &str| format!("{name}-{what}");
    person.goto(app).await.unwrap();
    person.wait_for_text("Notes for people who like to be outside").await;
    person.check_looks(&page("app"), None).await;
    person.click_text("Sign in").await;
    person.wait_for_text("to continue to Meadow Notes").await;
    person.check_looks(&page("login"), None).await;
    sign_in(&person, &ADA).await;
    person.wait_for_text("Allow Meadow Notes to use your account?").await;
    person.wait_for_text("Write, change and delete your notes").await;
    person.check_looks(&page("consent"), None).await;
    person.click_text("Allow").await;
    person.wait_for_address(|url| url.as_str().trim_end_matches('/') == app).await;
    person.wait_for_text("You are signed in").await;
    // By itself: nothing is clicked, and the page isn't loaded anew.
    person.wait_for_text_within(A_TOKENS_LIFE, "Refreshed once").await;
    person.check_looks(&page("app-signed-in"), None).await;

    admin.goto(&format!("{site}/admin/sessions")).await.unwrap();
    admin.wait_for_text("Sign in").await;
    sign_in(&admin, &LINDEN).await;
    admin.wait_for_address(|url| url.path() == "/admin/sessions").await;
    admin.wait_for_text("Ada Fern").await;
    admin.check_looks(&page("admin-sessions"), None).await;
    admin.click_text("Ada Fern").await;
    admin.wait_for_text("May do").await;
    admin.check_looks(&page("admin-session"), None).await;
    admin.back().await.unwrap();
    admin.click("td.pick label").await;
    admin.click(".bulk button").await;
    admin.wait_for_text("Revoke 1 session?").await;
    admin.check_looks(&page("admin-revoke"), None).await;
    admin.click("label[for=reason-lost]").await;
    admin.fill("#note", "She called from the station").await;
    admin.click("main button.danger.filled").await;
    admin.wait_for_text("1 session revoked. 1 browser signed out.").await;
    admin.check_looks(&page("admin-receipt"), None).await;

    person.wait_for_text_within(A_TOKENS_LIFE, "the session was revoked by an administrator").await;
    person.wait_for_text("You were signed out by the server").await;
    person.check_looks(&page("app-signed-out"), None).await;
    person.click_text("More about this from the server").await;
    person.wait_for_address(|url| url.as_str().starts_with(site)).await;
    person.check_looks(&page("why-signed-out"), None).await;
    person.back().await.unwrap();
    // Its browser was signed out too, so that it comes back by the password alone.
    person.click_text("Sign in again").await;
    person.wait_for_text("to continue to Meadow Notes").await;
    person.element("#password").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_is_what_it_says() {
    let Some(browsers) = Browser::start_two(DESKTOP, Scheme::Light).await else { return };
    let database = crate::support::database::fresh(crate::support::database::Kind::Sqlite);
    let database = database.expect("SQLite is always there");
    let line = ["demo", "--port", "0", "--app-port", "0"];
    let demo = Server::start(Installation::on(&database), &line);
    logged(&demo, "Ctrl-C ends the demo").await;
    let site = logged(&demo, "/admin/sessions").await;
    let site = site.strip_suffix("/admin/sessions").unwrap();
    let text = demo.log.text();
    let app = text.lines().map(str::trim).find(|line| line.starts_with("http://")).unwrap();
    whole_way(browsers, app, site, "demo").await;
}

on_both_databases! {
    async fn the_whole_way_from_sign_in_to_revocation(database: TestDatabase) {
        let Some(browsers) = Browser::start_two(PHONE, Scheme::Dark).await else { return };
        let server = site_with(database, |installation| {
            installation
                .with("PERENNIAL_TOKENS__ACCESS_TOKEN_SECONDS", "15")
                .with("PERENNIAL_TOKENS__RETRY_WINDOW_SECONDS", "15")
        })
        .await;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let app = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let made = server.installation.json(&[
            "client",
            "add",
            "--id",
            "meadow-notes",
            "--name",
            "Meadow Notes",
            "--type",
            "confidential",
            "--redirect-uri",
            &format!("{app}/callback"),
            "--scope",
            "profile notes.read notes.write offline_access",
        ]);
        server.secrets.remember_answer(&made);
        let config = AppConfig {
            base_url: app.clone(),
            issuer: server.origin(),
            client_id: "meadow-notes".to_owned(),
            client_secret: made["client_secret"].as_str().map(SecretString::from),
            scope: "profile notes.read notes.write offline_access".to_owned(),
        };
        let sample = demo::serve(listener, config).unwrap();
        let handle = sample.handle();
        let running = tokio::spawn(sample);
        whole_way(browsers, &app, &server.origin(), "whole-way").await;
        handle.stop(false).await;
        running.await.unwrap().unwrap();
    }

    async fn consent_is_refused_given_remembered_and_asked_again(database: TestDatabase) {
        let Some(mut browser) = Browser::start(DESKTOP.0, DESKTOP.1, Scheme::Light).await else {
            return;
        };
        let server = site(database).await;
        let app = App::start(&server, "hops", "Hops & Hedges").await;

        // Refused: back to the app with the error, and nothing is remembered.
        browser.goto(&app.start_url(&server, "profile notes.read", "one")).await.unwrap();
        sign_in(&browser, &ADA).await;
        browser.wait_for_text("Allow Hops & Hedges to use your account?").await;
        browser.click_text("Don’t allow").await;
        let answer = app.answer(&browser).await;
        assert_eq!(value(&answer, "error"), "access_denied");
        assert_eq!(value(&answer, "state"), "one");
        assert_eq!(value(&answer, "iss"), server.origin());

        // Given.
        browser.goto(&app.start_url(&server, "profile notes.read", "two")).await.unwrap();
        browser.wait_for_text("Allow Hops & Hedges to use your account?").await;
        browser.click_text("Allow").await;
        let answer = app.answer(&browser).await;
        assert_eq!(value(&answer, "state"), "two");
        assert_eq!(value(&answer, "iss"), server.origin());
        let tokens = app.tokens(&server, &answer).await;
        assert!(tokens["refresh_token"].is_null(), "offline_access wasn't asked for");

        // Remembered: no page comes between.
        browser.goto(&app.start_url(&server, "notes.read", "three")).await.unwrap();
        let answer = app.answer(&browser).await;
        assert_eq!(value(&answer, "state"), "three");

        // Asked again, for something new.
        browser.goto(&app.start_url(&server, "notes.read notes.write", "four")).await.unwrap();
        browser.wait_for_text("It asks for something that you haven’t allowed before.").await;
        browser.check_looks("consent-again", None).await;

        // Somebody else sits here: they sign in for the same request, and are asked for
        // themselves.
        browser.click_text("Not you?").await;
        browser.wait_for_text("to continue to Hops & Hedges").await;
        sign_in(&browser, &LINDEN).await;
        browser.wait_for_text("linden").await;
        browser.wait_for_text("Allow Hops & Hedges to use your account?").await;
        browser.click_text("Allow").await;
        let answer = app.answer(&browser).await;
        assert_eq!(value(&answer, "state"), "four");
        let complaints = browser.console().await;
        assert!(complaints.is_empty(), "{complaints:#?}");

        // Any program of this machine can say that it is a public client, so that one is asked
        // for each time.
        let port = tools::free_port();
        register(&server, "cli", "Hedge Lines", &callback(port), &["--type", "public"]);
        let program = App { id: "cli", secret: None, port };
        for _ in 0..2 {
            browser.goto(&program.start_url(&server, "profile", "p")).await.unwrap();
            browser.wait_for_text("Allow Hedge Lines to use your account?").await;
            let session = Http::new(&server.origin());
            for cookie in browser.get_all_cookies().await.unwrap() {
                session.set_cookie(cookie.name(), cookie.value());
            }
            let consent = session.get(browser.current_url().await.unwrap().as_str()).await;
            let allow = [("decision", "allow")];
            let back = session.submit(&consent.form("form[action='/consent']"), &allow).await;
            assert!(back.location_parameter("code").is_some(), "{}", back.body);
        }
    }

    async fn wrong_passwords_are_told_and_then_wait(database: TestDatabase) {
        let Some(mut browser) = Browser::start(PHONE.0, PHONE.1, Scheme::Light).await else {
            return;
        };
        let server = site(database).await;
        let app = App::start(&server, "hops", "Hops & Hedges").await;
        browser.goto(&app.start_url(&server, "profile", "kept")).await.unwrap();
        sign_in_with(&browser, &ADA, "not the password").await;
        browser.wait_for_text("That didn’t match").await;
        browser.check_looks("login-wrong", Some(422)).await;
        // The name stays, the password doesn't; what was asked for survives.
        let value_of = async |selector: &str| {
            browser.element(selector).await.prop("value").await.unwrap().unwrap_or_default()
        };
        assert_eq!(value_of("#username").await, "ada");
        assert_eq!(value_of("#password").await, "");
        browser.wait_for_text("to continue to Hops & Hedges").await;
        // Each page says how it differs from the one before, so that none is taken for it.
        for told in ["have 3 tries left", "have 2 tries left", "have 1 try left", "Too many tries."] {
            sign_in_with(&browser, &ADA, "not the password").await;
            browser.wait_for_text(told).await;
        }
        let statuses = browser.console().await;
        assert!(statuses.iter().all(|line| line.contains("(Unprocessable") || line.contains("429")),
            "{statuses:#?}");
        browser.check_looks("login-throttled", None).await;

        // Another person at the same address doesn't wait, and the request is still there.
        browser.click_text("Try your password again").await;
        sign_in(&browser, &LINDEN).await;
        browser.wait_for_text("Allow Hops & Hedges to use your account?").await;
    }

    async fn the_first_administrator_comes_by_a_link_that_works_once(database: TestDatabase) {
        let Some(mut browser) = Browser::start(DESKTOP.0, DESKTOP.1, Scheme::Light).await else {
            return;
        };
        let server = TestServer::start_on(database).await;
        let link = logged(&server, "/setup?link=").await;
        browser.goto(&link).await.unwrap();
        browser.wait_for_text("Create the first administrator").await;
        browser.check_looks("setup", None).await;
        browser.fill("#display_name", "Linden Marsh").await;
        browser.fill("#email", "linden@northfield.example").await;
        browser.fill("#username", "linden").await;
        browser.fill("#password", "Linden@Northfield.example").await;
        browser.click_text("Create the administrator").await;
        browser.wait_for_text("Create the first administrator").await;
        browser.element(".notice.bad.summary").await;
        browser.check_looks("setup-wrong", Some(422)).await;
        browser.fill("#password", LINDEN.password).await;
        browser.click_text("Create the administrator").await;
        browser.wait_for_address(|url| url.path() == "/admin").await;
        browser.check_looks("admin-first", None).await;

        browser.goto(&link).await.unwrap();
        browser.wait_for_text("Reference").await;
        browser.check_looks("setup-closed", Some(404)).await;
        browser.goto(&format!("{}/admin", server.origin())).await.unwrap();

        // Out, and in by the password.
        browser.click_text("Sign out").await;
        browser.wait_for_text("You are signed out").await;
        browser.check_looks("signed-out", None).await;
        browser.goto(&format!("{}/admin", server.origin())).await.unwrap();
        sign_in(&browser, &LINDEN).await;
        browser.wait_for_address(|url| url.path() == "/admin").await;
    }

    async fn a_person_ends_sessions_and_removes_apps(database: TestDatabase) {
        let Some([mut browser, elsewhere]) = Browser::start_two(DESKTOP, Scheme::Light).await else {
            return;
        };
        let server = site(database).await;
        let hops = App::start(&server, "hops", "Hops & Hedges").await;
        let moss = App::start(&server, "moss", "Moss Tracker").await;
        let scope = "profile notes.read offline_access";
        let page = |path: &str| format!("{}{path}", server.origin());

        browser.goto(&page("/account")).await.unwrap();
        sign_in(&browser, &ADA).await;
        browser.wait_for_text("Hello, Ada").await;
        browser.check_looks("account-new", None).await;
        browser.goto(&page("/account/apps")).await.unwrap();
        browser.wait_for_text("No app uses your account yet").await;
        browser.check_looks("account-apps-empty", None).await;

        let mut held = Vec::new();
        for (browser, app) in [(&browser, &hops), (&elsewhere, &hops), (&elsewhere, &moss)] {
            browser.goto(&app.start_url(&server, scope, "s")).await.unwrap();
            if browser.current_url().await.unwrap().path() == "/login" {
                sign_in(browser, &ADA).await;
                browser.wait_for_address(|url| url.path() != "/login").await;
            }
            if browser.current_url().await.unwrap().path() == "/consent" {
                browser.click_text("Allow").await;
            }
            held.push(app.tokens(&server, &app.answer(browser).await).await);
        }

        // One of them, then all others. The app that came by this browser stays.
        browser.goto(&page("/account/sessions")).await.unwrap();
        browser.wait_for_text("Moss Tracker").await;
        browser.check_looks("account-sessions", None).await;
        browser.click("button[aria-label^='Sign out Moss Tracker']").await;
        browser.wait_for_text("Ended lately").await;
        browser.check_looks("account-sessions-ended", None).await;
        let refused = moss.refresh(&server, &held[2]).await.expect(400).json();
        assert_eq!(refused["error"], "invalid_grant");
        held[1] = hops.refresh(&server, &held[1]).await.expect(200).json();
        browser.click_text("Sign out everywhere else").await;
        browser.wait_for_text("You are signed in nowhere else").await;
        hops.refresh(&server, &held[1]).await.expect(400);
        held[0] = hops.refresh(&server, &held[0]).await.expect(200).json();
        elsewhere.goto(&page("/account")).await.unwrap();
        elsewhere.wait_for_text("to continue to Northfield ID").await;

        // An app goes, and its session with it.
        browser.goto(&page("/account/apps")).await.unwrap();
        browser.wait_for_text("Hops & Hedges").await;
        browser.check_looks("account-apps", None).await;
        browser.click("button[aria-label='Remove access for Hops & Hedges']").await;
        browser.wait_for_text("Hops & Hedges may no longer use your account.").await;
        hops.refresh(&server, &held[0]).await.expect(400);
        browser.goto(&hops.start_url(&server, scope, "s")).await.unwrap();
        browser.wait_for_text("Allow Hops & Hedges to use your account?").await;

        // A new password; the old one is worth nothing then.
        server.secrets.remember("the new password", "eleven bright kestrels");
        browser.goto(&page("/account/security")).await.unwrap();
        browser.wait_for_text("What happened lately").await;
        browser.check_looks("account-security", None).await;
        browser.fill("#current", "not the password").await;
        browser.fill("#password", "eleven bright kestrels").await;
        browser.click_text("Change password").await;
        browser.wait_for_text("That isn’t your password.").await;
        browser.check_looks("account-security-wrong", Some(422)).await;
        browser.fill("#current", ADA.password).await;
        browser.fill("#password", "eleven bright kestrels").await;
        browser.click_text("Change password").await;
        browser.wait_for_text("Password changed.").await;
        elsewhere.goto(&page("/account")).await.unwrap();
        sign_in(&elsewhere, &ADA).await;
        elsewhere.wait_for_text("That didn’t match").await;
        sign_in_with(&elsewhere, &ADA, "eleven bright kestrels").await;
        elsewhere.wait_for_text("Hello, Ada").await;
    }

    async fn tabs_that_sign_in_at_once_each_end_where_they_should(database: TestDatabase) {
        let Some(browser) = Browser::start(DESKTOP.0, DESKTOP.1, Scheme::Light).await else {
            return;
        };
        let server = site(database).await;
        let hops = App::start(&server, "hops", "Hops & Hedges").await;
        let moss = App::start(&server, "moss", "Moss Tracker").await;
        let first = browser.window().await.unwrap();
        browser.goto(&hops.start_url(&server, "profile", "first")).await.unwrap();
        browser.wait_for_text("to continue to Hops & Hedges").await;
        let second = browser.new_window(true).await.unwrap().handle;
        browser.switch_to_window(second.clone()).await.unwrap();
        browser.goto(&moss.start_url(&server, "profile", "second")).await.unwrap();
        browser.wait_for_text("to continue to Moss Tracker").await;
        let third = browser.new_window(true).await.unwrap().handle;
        browser.switch_to_window(third.clone()).await.unwrap();
        browser.goto(&format!("{}/account/apps", server.origin())).await.unwrap();
        browser.wait_for_text("to continue to Northfield ID").await;

        // All three forms are open; each is sent after the one before has signed in.
        browser.switch_to_window(first).await.unwrap();
        sign_in(&browser, &ADA).await;
        browser.click_text("Allow").await;
        assert_eq!(value(&hops.answer(&browser).await, "state"), "first");
        browser.switch_to_window(second).await.unwrap();
        sign_in(&browser, &ADA).await;
        browser.wait_for_text("Allow Moss Tracker to use your account?").await;
        browser.click_text("Allow").await;
        assert_eq!(value(&moss.answer(&browser).await, "state"), "second");
        browser.switch_to_window(third).await.unwrap();
        sign_in(&browser, &ADA).await;
        browser.wait_for_address(|url| url.path() == "/account/apps").await;
        browser.wait_for_text("Moss Tracker").await;
    }

    async fn everything_works_without_javascript(database: TestDatabase) {
        let off = ["--blink-settings=scriptEnabled=false"];
        let (width, height) = DESKTOP;
        let Some(browser) = Browser::start_with(width, height, Scheme::Light, &off).await else {
            return;
        };
        let server = site(database).await;
        let app = App::start(&server, "hops", "Hops & Hedges").await;
        let page = |path: &str| format!("{}{path}", server.origin());

        // Scripts are off indeed.
        browser.goto("data:text/html,<p>off</p><script>document.write('on')</script>").await.unwrap();
        assert_eq!(browser.text().await.trim(), "off");

        browser.goto(&app.start_url(&server, "notes.read offline_access", "x")).await.unwrap();
        sign_in_with(&browser, &LINDEN, "not the password").await;
        browser.wait_for_text("That didn’t match").await;
        sign_in(&browser, &LINDEN).await;
        browser.click_text("Allow").await;
        let tokens = app.tokens(&server, &app.answer(&browser).await).await;
        let tokens = app.refresh(&server, &tokens).await.expect(200).json();

        for (path, text) in [
            ("/account", "Hello, Linden"),
            ("/account/sessions", "Hops & Hedges"),
            ("/account/apps", "Hops & Hedges"),
            ("/account/security", "What happened lately"),
            ("/admin", "Sessions"),
            ("/admin/users", "Ada Fern"),
            ("/admin/clients", "Hops & Hedges"),
            ("/admin/audit", "Linden Marsh"),
            ("/admin/keys", "ES256"),
            ("/admin/sessions", "Hops & Hedges"),
        ] {
            browser.goto(&page(path)).await.unwrap();
            browser.wait_for_text(text).await;
        }
        browser.fill("#q", "linden").await;
        browser.click_text("Find").await;
        browser.wait_for_address(|url| url.query().is_some_and(|q| q.contains("q=linden"))).await;
        browser.click("td.pick label").await;
        browser.click(".bulk button").await;
        browser.wait_for_text("Revoke 1 session?").await;
        browser.click("label[for=reason-suspicious]").await;
        // Linden's own browser shall stay.
        browser.click("label[for=browsers]").await;
        browser.click("main button.danger.filled").await;
        browser.wait_for_text("1 session revoked.").await;
        let refused = app.refresh(&server, &tokens).await.expect(400).json();
        let why = refused["error_description"].as_str().unwrap();
        assert!(why.contains("revoked by an administrator"), "{why}");
        browser.goto(&page("/logout")).await.unwrap();
        browser.wait_for_text("Sign out of Northfield ID?").await;
        browser.click("main button").await;
        browser.wait_for_text("You are signed out").await;
    }

    async fn pages_for_what_goes_wrong(database: TestDatabase) {
        let Some(mut browser) = Browser::start(PHONE.0, PHONE.1, Scheme::Light).await else {
            return;
        };
        let server = site(database).await;
        let app = App::start(&server, "hops", "Hops & Hedges").await;
        let good = app.start_url(&server, "profile", "x");
        for (name, address, status, text) in [
            ("error-client", good.replace("client_id=hops", "client_id=nobody"), 400,
                "We stopped before signing you in"),
            ("error-redirect", good.replace("callback", "elsewhere"), 400,
                "an address it hasn’t registered"),
            ("error-nowhere", format!("{}/nowhere", server.origin()), 404, "Reference"),
            ("login", format!("{}/login", server.origin()), 200, "Sign in"),
        ] {
            browser.goto(&address).await.unwrap();
            browser.wait_for_text(text).await;
            browser.check_looks(name, (status != 200).then_some(status)).await;
            let here = browser.current_url().await.unwrap();
            assert_eq!(here.origin().ascii_serialization(), server.origin(), "never a redirect");
        }
        // Somebody who is no administrator.
        sign_in(&browser, &ADA).await;
        browser.wait_for_text("Hello, Ada").await;
        browser.goto(&format!("{}/admin/sessions", server.origin())).await.unwrap();
        browser.wait_for_text("Reference").await;
        browser.check_looks("error-not-admin", Some(403)).await;
    }
}

/// Every place of the administrator's pages, with something in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_administrators_pages_look_right() {
    let Some(mut browser) = Browser::start(DESKTOP.0, DESKTOP.1, Scheme::Light).await else {
        return;
    };
    let database = crate::support::database::fresh(crate::support::database::Kind::Sqlite);
    let server = site_with(database.unwrap(), |installation| {
        installation.with("PERENNIAL_TRUSTED_PROXIES", "127.0.0.0/8")
    })
    .await;
    let app = App { id: "meadow-notes", secret: None, port: tools::free_port() };
    let public = ["--type", "public", "--retry-window", "1"];
    register(&server, app.id, "Meadow Notes", &app.callback(), &public);
    forked_session(&server, &app).await;

    let page = |path: &str| format!("{}{path}", server.origin());
    browser.goto(&page("/admin/sessions")).await.unwrap();
    sign_in(&browser, &LINDEN).await;
    browser.wait_for_text("Ada Fern").await;
    browser.check_looks("admin-sessions-alarm", None).await;
    browser.click_text("Ada Fern").await;
    browser.wait_for_text("The two callers").await;
    browser.check_looks("admin-session-fork", None).await;
    if std::env::var_os("PERENNIAL_BLESS_IMAGES").is_some_and(|value| value == "1") {
        picture(&mut browser).await;
    }
    for (name, path, text) in [
        ("admin", "/admin", "Sessions"),
        ("admin-users", "/admin/users", "Ada Fern"),
        ("admin-user", "/admin/users?q=ada", "Ada Fern"),
        ("admin-clients", "/admin/clients", "Meadow Notes"),
        ("admin-client", "/admin/clients/meadow-notes", "Meadow Notes"),
        ("admin-client-new", "/admin/clients/new", "Redirect"),
        ("admin-audit", "/admin/audit", "Ada Fern"),
        ("admin-keys", "/admin/keys", "ES256"),
        ("admin-keys-rotate", "/admin/keys/rotate", "Nobody is signed out"),
        ("admin-keys-rotate-secret", "/admin/keys/secret/rotate", "Nobody is signed out"),
    ] {
        browser.goto(&page(path)).await.unwrap();
        browser.wait_for_text(text).await;
        if name == "admin-user" {
            browser.click_text("Ada Fern").await;
            browser.wait_for_address(|url| url.path().len() > "/admin/users".len()).await;
        }
        browser.check_looks(name, None).await;
    }
}

/// Ada's session: signed in, refreshed, asked again, and then used by a second holder.
async fn forked_session(server: &Server, app: &App) {
    const PHONE_APP: &str = "MeadowNotes/4.2 (Android 16; Pixel 9)";
    let person =
        Http::new(&server.origin()).with_header("x-forwarded-for", "203.0.113.24").with_header(
            "user-agent",
            "Mozilla/5.0 (Linux; Android 16; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/148.0.0.0 Mobile Safari/537.36",
        );
    let start = app.start_url(server, "profile notes.read notes.write offline_access", "x");
    let login = person.follow(person.get(&start).await).await.expect(200);
    let typed = [("username", ADA.name), ("password", ADA.password)];
    let signed_in = person.submit(&login.form("form[action='/login']"), &typed).await;
    let consent = person.follow(signed_in).await.expect(200);
    let allow = [("decision", "allow")];
    let back = person.submit(&consent.form("form[action='/consent']"), &allow).await;
    let code = back.location_parameter("code").unwrap();
    server.secrets.remember("a code", &code);

    let holder = |address: &str, agent: &str| {
        Http::new(&server.origin())
            .with_header("x-forwarded-for", address)
            .with_header("user-agent", agent)
    };
    let phone = holder("203.0.113.24", PHONE_APP);
    let other = holder("198.51.100.77", "curl/8.17.0");
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", app.id),
        ("code", &code),
        ("redirect_uri", &app.callback()),
        ("code_verifier", VERIFIER),
    ];
    let mut tokens = vec![phone.post_form("/oauth/token", &fields).await.expect(200).json()];
    let refresh = async |http: &Http, token: &Value| {
        let token = token["refresh_token"].as_str().unwrap();
        let fields =
            [("grant_type", "refresh_token"), ("client_id", app.id), ("refresh_token", token)];
        http.post_form("/oauth/token", &fields).await
    };
    for turn in 0..9 {
        let last = tokens.last().unwrap().clone();
        tokens.push(refresh(&phone, &last).await.expect(200).json());
        if turn == 5 {
            // The answer was lost on its way, so the app asks with the same token again.
            refresh(&phone, &last).await.expect(200);
        }
    }
    tokens.iter().for_each(|answer| server.secrets.remember_answer(answer));
    // A copy of an older token turns up elsewhere, when the window in which it would only be
    // late has passed.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let answer = refresh(&other, &tokens[7]).await.expect(400);
    assert_eq!(answer.json()["error"], "invalid_grant");
}

/// The picture of the README: the head of a session's page and its timeline.
async fn picture(browser: &mut Browser) {
    browser.set_scheme(Scheme::Light).await;
    browser.set_size((1280, 1305)).await;
    let png = browser.screenshot("readme-session").await;
    let file = tools::repository().join("docs/images/session.png");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::copy(png, &file).unwrap();
    assert!(std::fs::metadata(&file).unwrap().len() < 200 * 1024, "the picture is too large");
}
