//! The pages on the way from an app to its answer, in a real Chromium: the account, the password
//! once more, and the form that hands the answer over, with scripts and without.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::on_both_databases;
use crate::support::browser::{Browser, DESKTOP, PHONE, Scheme};
use crate::support::database::TestDatabase;
use crate::support::http::Http;
use crate::support::oauth::{PASSWORD, Pkce};
use crate::support::process::Server;
use crate::support::server::TestServer;

/// What an app was sent.
#[derive(Clone, Debug)]
struct Sent {
    head: String,
    fields: BTreeMap<String, String>,
}

/// An app on an origin of its own that takes answers by POST. Its callback sends the browser on
/// to another origin, or leaves it where it is.
struct App {
    port: u16,
    secret: String,
    pkce: Pkce,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl App {
    async fn start(server: &Server) -> App {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let sent = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&sent);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let seen = Arc::clone(&seen);
                tokio::spawn(async move {
                    let Some(request) = read(&mut stream).await else { return };
                    let answer = answer(&request, port);
                    if request.head.starts_with("POST /") {
                        seen.lock().unwrap().push(request);
                    }
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        let callback = format!("http://127.0.0.1:{port}/callback");
        let stay = format!("http://127.0.0.1:{port}/stay");
        let made = server.installation.json(&[
            "client",
            "add",
            "--id",
            "hops",
            "--name",
            "Hops & Hedges",
            "--type",
            "confidential",
            "--redirect-uri",
            &callback,
            "--redirect-uri",
            &stay,
            "--scope",
            "openid profile",
        ]);
        server.secrets.remember_answer(&made);
        let secret = made["client_secret"].as_str().unwrap().to_owned();
        App { port, secret, pkce: Pkce::new(), sent }
    }

    /// The address that begins a sign-in.
    fn start_url(&self, server: &Server, path: &str, more: &[(&str, &str)]) -> String {
        let mut url = url::Url::parse(&server.origin()).unwrap().join("/oauth/authorize").unwrap();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", "hops")
            .append_pair("redirect_uri", &format!("http://127.0.0.1:{}{path}", self.port))
            .append_pair("scope", "openid profile")
            .append_pair("state", "a \"state\" & <more>")
            .append_pair("code_challenge", &self.pkce.challenge)
            .append_pair("code_challenge_method", "S256")
            .extend_pairs(more);
        url.into()
    }

    /// Waits until the browser came back, over both origins, and gives what was sent last.
    async fn answer(&self, browser: &Browser) -> Sent {
        let back = |url: &url::Url| url.port() == Some(self.port) && url.path() == "/done";
        browser.wait_for_address(back).await;
        self.sent.lock().unwrap().last().unwrap().clone()
    }

    /// The claims of the ID token that a code is exchanged for.
    async fn claims(&self, server: &Server, sent: &Sent) -> serde_json::Value {
        server.secrets.remember("a code", &sent.fields["code"]);
        let callback = format!("http://127.0.0.1:{}/callback", self.port);
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", &sent.fields["code"]),
            ("redirect_uri", &callback),
            ("code_verifier", &self.pkce.verifier),
        ];
        let http = Http::new(&server.origin());
        let tokens = http.post_form_as("/oauth/token", ("hops", &self.secret), &fields).await;
        let tokens = tokens.expect(200).json();
        server.secrets.remember_answer(&tokens);
        crate::support::oauth::jwt_part(tokens["id_token"].as_str().unwrap(), 1)
    }
}

/// A whole request, headers in lower case.
async fn read(stream: &mut tokio::net::TcpStream) -> Option<Sent> {
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 4096];
        let read = stream.read(&mut part).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())?.ok()
        });
        if body.len() >= length.unwrap_or(0) {
            let fields = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
            return Some(Sent { head: head.to_owned(), fields });
        }
    }
}

fn answer(request: &Sent, port: u16) -> String {
    let path = request.head.split(' ').nth(1).unwrap_or_default();
    let (status, location, body) = match path {
        "/callback" => ("303 See Other", format!("location: http://localhost:{port}/done\r\n"), ""),
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

async fn site(database: TestDatabase) -> TestServer {
    let server = TestServer::start_with(database, |installation| {
        installation.with("PERENNIAL_SITE_NAME", "Northfield ID")
    })
    .await;
    server.secrets.remember("a password", PASSWORD);
    for (name, display_name) in [("ada", "Ada Fern"), ("linden", "Linden Marsh")] {
        let email = format!("{name}@northfield.example");
        let line = [
            "user",
            "add",
            name,
            "--email",
            &email,
            "--display-name",
            display_name,
            "--password-stdin",
        ];
        server.installation.run_with_input(line, PASSWORD).ok();
    }
    server
}

async fn sign_in(browser: &Browser, name: &str) {
    browser.fill("#username", name).await;
    browser.fill("#password", PASSWORD).await;
    browser.click("form[action$='/login'] button").await;
}

#[track_caller]
fn assert_answer(server: &Server, sent: &Sent, names: &[&str]) {
    let found: Vec<&str> = sent.fields.keys().map(String::as_str).collect();
    assert_eq!(found, names);
    assert_eq!(sent.fields["state"], "a \"state\" & <more>");
    assert_eq!(sent.fields["iss"], server.origin());
    let head = sent.head.to_lowercase();
    assert!(head.starts_with("post /callback http"), "nothing in the address: {head}");
    assert!(head.contains("content-type: application/x-www-form-urlencoded"), "{head}");
    // The app can see that it came from us, and nothing of our address beyond that.
    assert!(head.contains(&format!("origin: {}\r\n", server.origin())), "{head}");
    assert!(!head.contains("/oauth/"), "{head}");
}

on_both_databases! {
    async fn a_form_hands_the_answer_over_by_itself(database: TestDatabase) {
        let Some(mut browser) = Browser::start(DESKTOP.0, DESKTOP.1, Scheme::Light).await else {
            return;
        };
        let server = site(database).await;
        let app = App::start(&server).await;
        let form_post = ("response_mode", "form_post");
        browser.goto(&app.start_url(&server, "/callback", &[form_post])).await.unwrap();
        sign_in(&browser, "ada").await;
        browser.wait_for_text("Allow Hops & Hedges to use your account?").await;
        browser.click_text("Allow").await;
        let sent = app.answer(&browser).await;
        assert_answer(&server, &sent, &["code", "iss", "state"]);
        let claims = app.claims(&server, &sent).await;
        assert_eq!(claims["aud"], "hops");

        // At once, with nobody asked.
        let silent = [form_post, ("prompt", "none")];
        browser.goto(&app.start_url(&server, "/callback", &silent)).await.unwrap();
        let sent = app.answer(&browser).await;
        assert_answer(&server, &sent, &["code", "iss", "state"]);
        assert_eq!(app.claims(&server, &sent).await["sub"], claims["sub"]);
        // An error too.
        let more = [form_post, ("prompt", "none"), ("max_age", "0")];
        browser.goto(&app.start_url(&server, "/callback", &more)).await.unwrap();
        let sent = app.answer(&browser).await;
        assert_answer(&server, &sent, &["error", "error_description", "iss", "state"]);
        assert_eq!(sent.fields["error"], "login_required");
        let complaints = browser.console().await;
        assert!(complaints.is_empty(), "{complaints:#?}");

        // An app that says nothing leaves the page where it is, to be looked at.
        browser.goto(&app.start_url(&server, "/stay", &silent)).await.unwrap();
        browser.wait_for_text("If nothing happens, press the button.").await;
        browser.check_looks("form-post", None).await;
        let before = app.sent.lock().unwrap().len();
        browser.click_text("Continue").await;
        let end = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
        while app.sent.lock().unwrap().len() == before {
            assert!(tokio::time::Instant::now() < end, "the button sent nothing");
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
    }

    async fn a_button_hands_the_answer_over_without_scripts(database: TestDatabase) {
        let off = ["--blink-settings=scriptEnabled=false"];
        let Some(browser) = Browser::start_with(PHONE.0, PHONE.1, Scheme::Dark, &off).await else {
            return;
        };
        let server = site(database).await;
        let app = App::start(&server).await;
        let form_post = ("response_mode", "form_post");
        browser.goto(&app.start_url(&server, "/callback", &[form_post])).await.unwrap();
        sign_in(&browser, "ada").await;
        browser.wait_for_text("Allow Hops & Hedges to use your account?").await;
        browser.click_text("Allow").await;
        browser.wait_for_text("Back to Hops & Hedges").await;
        browser.screenshot("form-post-without-scripts").await;
        assert!(app.sent.lock().unwrap().is_empty(), "it waits for the button");
        browser.click_text("Continue").await;
        let sent = app.answer(&browser).await;
        assert_answer(&server, &sent, &["code", "iss", "state"]);
        app.claims(&server, &sent).await;
        // The password once more, and another account, in the same way.
        browser.goto(&app.start_url(&server, "/callback", &[form_post, ("prompt", "login")])).await.unwrap();
        browser.wait_for_text("Confirm it’s you").await;
        browser.click_text("Not you?").await;
        sign_in(&browser, "linden").await;
        browser.wait_for_text("Allow Hops & Hedges to use your account?").await;
        browser.click_text("Don’t allow").await;
        browser.click_text("Continue").await;
        assert_eq!(app.answer(&browser).await.fields["error"], "access_denied");
    }

    async fn the_account_is_chosen_and_the_password_asked_once_more(database: TestDatabase) {
        let Some(mut browser) = Browser::start(PHONE.0, PHONE.1, Scheme::Light).await else {
            return;
        };
        let server = site(database).await;
        let app = App::start(&server).await;
        let form_post = ("response_mode", "form_post");
        let page = |path: &str| format!("{}{path}", server.origin());
        browser.goto(&page("/account")).await.unwrap();
        sign_in(&browser, "ada").await;
        browser.wait_for_text("Hello, Ada").await;
        browser.check_looks("account-switch", None).await;
        browser.click_text("Switch account").await;
        browser.wait_for_text("Choose an account").await;
        browser.click_text("Use another account").await;
        sign_in(&browser, "linden").await;
        browser.wait_for_text("Hello, Linden").await;

        let both = [form_post, ("prompt", "select_account login")];
        browser.goto(&app.start_url(&server, "/callback", &both)).await.unwrap();
        browser.wait_for_text("to continue to Hops & Hedges").await;
        browser.check_looks("login-accounts", None).await;
        browser.click("button[aria-label^='Continue as Ada Fern']").await;
        browser.wait_for_text("Confirm it’s you").await;
        browser.wait_for_text("ada@northfield.example").await;
        browser.check_looks("login-again", None).await;
        browser.fill("#password", "not the password").await;
        browser.click_text("Continue").await;
        browser.wait_for_text("That didn’t match").await;
        browser.check_looks("login-again-wrong", Some(422)).await;
        browser.fill("#password", PASSWORD).await;
        // Enter does what the filled button says, and not what stands before it.
        browser.element("#password").await.send_keys("\u{e007}").await.unwrap();
        browser.wait_for_text("Allow Hops & Hedges to use your account?").await;
        browser.wait_for_text("ada@northfield.example").await;
        browser.click_text("Allow").await;
        let sent = app.answer(&browser).await;
        assert_answer(&server, &sent, &["code", "iss", "state"]);
        app.claims(&server, &sent).await;
        // Cancelled: back with nothing.
        browser.goto(&app.start_url(&server, "/callback", &[form_post, ("max_age", "0")])).await.unwrap();
        browser.wait_for_text("Confirm it’s you").await;
        browser.click_text("Cancel").await;
        assert_eq!(app.answer(&browser).await.fields["error"], "access_denied");

        // The browser acts for Ada since she was chosen. Out of one, then out of all.
        browser.goto(&page("/account")).await.unwrap();
        browser.wait_for_text("Hello, Ada").await;
        browser.click_text("Sign out").await;
        browser.wait_for_text("Sign out of Northfield ID?").await;
        browser.check_looks("sign-out-several", None).await;
        browser.click("button[aria-label^='Sign out of Ada Fern']").await;
        browser.wait_for_text("This browser is still signed in as Linden Marsh.").await;
        browser.check_looks("signed-out-of-one", None).await;
        browser.click_text("Choose an account").await;
        browser.click("button[aria-label^='Continue as Linden Marsh']").await;
        browser.wait_for_text("Hello, Linden").await;
        browser.click_text("Sign out").await;
        browser.wait_for_text("You are signed out").await;
        let complaints = browser.console().await;
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
}
