//! The programs in `examples/`, started as the demo's guide and their READMEs say, and used by a
//! person in a real browser.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::on_both_databases;
use crate::support::browser::{Browser, DESKTOP, PHONE, Scheme};
use crate::support::database::{self, Kind, TestDatabase};
use crate::support::http::{Answer, Http};
use crate::support::oauth::{PASSWORD, World};
use crate::support::pages::session_ids;
use crate::support::process::{Installation, Server};
use crate::support::programs::Program;
use crate::support::server::TestServer;
use crate::support::tools;

/// Longer than the demo's access tokens live, and than a slow machine needs.
const A_TOKENS_LIFE: Duration = Duration::from_secs(60);

/// The demo and the programs that stand beside it, each on a port of its own.
struct Stage {
    // Dropped in this order: the apps go before their server does.
    programs: Vec<Program>,
    demo: Server,
    site: String,
    express: String,
    spa: String,
}

impl Stage {
    /// Starts the demo, and these programs by the lines that its guide prints.
    async fn set(folders: &[&str]) -> Option<Stage> {
        let database = database::fresh(Kind::Sqlite).expect("SQLite is always there");
        let ports: Vec<String> = (0..3).map(|_| tools::free_port().to_string()).collect();
        let [express, spa, api] = [0, 1, 2].map(|index: usize| ports[index].as_str());
        let mut line = vec!["demo", "--port", "0", "--app-port", "0"];
        line.extend(["--express-port", express, "--spa-port", spa, "--api-port", api]);
        let demo = Server::start(Installation::on(&database), &line);
        let start = Instant::now();
        while !demo.log.text().contains("Ctrl-C ends the demo") {
            assert!(start.elapsed() < Duration::from_secs(60), "{}", demo.log.text());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let guide = demo.log.text();
        let site = guide.lines().find_map(|line| line.trim().strip_suffix("/admin/sessions"));
        let origin = |port: &str| format!("http://localhost:{port}");
        let mut stage = Stage {
            programs: Vec::new(),
            site: site.unwrap().to_owned(),
            express: origin(express),
            spa: origin(spa),

            demo,
        };
        for folder in folders {
            let folder = format!("examples/{folder}");
            let line = guide.lines().find(|line| line.contains(&format!("cd {folder} &&")));
            let line = line.unwrap_or_else(|| panic!("{folder} is not in the guide:\n{guide}"));
            assert_documented(&folder, line);
            // The packages are there already: `./test` has run `npm ci`.
            assert!(line.contains(" && npm ci && "), "{line}");
            let line = line.replace(" && npm ci && ", " && ");
            stage.programs.push(Program::start(&folder, &line).await?);
        }
        Some(stage)
    }

    /// Revokes everything as the demo's administrator, by the admin's page.
    async fn revoke_all_sessions(&self) {
        let http = Http::new(&self.site);
        let login = http.follow(http.get("/admin/sessions").await).await.expect(200);
        let typed = [("username", "linden"), ("password", "seven slow herons")];
        let form = login.form("form:has([name=password])");
        let list = http.follow(http.submit(&form, &typed).await).await.expect(200);
        let form = list.form("form[action$='/admin/sessions/revoke']");
        let ids = session_ids(&list);
        let picked: Vec<(&str, &str)> = ids.iter().map(|id| ("id", id.as_str())).collect();
        assert!(!picked.is_empty(), "{}", list.text());
        let ask = http.follow(http.submit(&form, &picked).await).await.expect(200);
        let form = ask.form("form[action$='/admin/sessions/revoke']");
        let done = http.follow(http.submit(&form, &[("reason", "lost")]).await).await.expect(200);
        assert!(done.text().contains("revoked"), "{}", done.text());
    }
}

/// The README's command is the guide's, but for the secret and the ports.
#[track_caller]
fn assert_documented(folder: &str, line: &str) {
    let readme = std::fs::read_to_string(tools::repository().join(folder).join("README.md"));
    let readme = readme.unwrap();
    let shape = |line: &str| {
        line.split_whitespace()
            .map(|word| {
                let word = word.split_once(|c: char| c.is_ascii_digit()).map_or(word, |cut| cut.0);
                word.split("pcs_").next().unwrap().to_owned()
            })
            .collect::<Vec<String>>()
    };
    let documented = readme.lines().find(|line| line.trim().starts_with("cd examples/"));
    assert_eq!(shape(documented.expect("a command in the README")), shape(line), "{folder}");
}

/// Signs in as the demo's Ada, at the page where the browser is sent, and allows the app.
async fn sign_in(browser: &Browser, app: &str) {
    browser.wait_for_text(&format!("to continue to {app}")).await;
    browser.fill("#username", "ada").await;
    browser.fill("#password", "winter garden gate").await;
    browser.click("form[action$='/login'] button").await;
    browser.wait_for_text(&format!("Allow {app} to use your account?")).await;
    browser.click_text("Allow").await;
}

/// Loads a page anew until it says this.
async fn reload_until(browser: &Browser, text: &str) {
    let start = Instant::now();
    while !browser.text().await.contains(text) {
        let waited = start.elapsed();
        assert!(waited < A_TOKENS_LIFE, "never {text:?}, but:\n{}", browser.text().await);
        tokio::time::sleep(Duration::from_millis(200)).await;
        browser.refresh().await.unwrap();
    }
}

/// Whether the server still knows the browser.
async fn is_signed_in_at(site: &str, browser: &Browser) -> bool {
    browser.goto(&format!("{site}/account")).await.unwrap();
    let end = browser.wait_for_address(|url| url.path() != "/").await;
    end.path() == "/account"
}

/// What a script of somebody else's in the app's page could get hold of.
async fn within_reach_of_scripts(browser: &Browser) -> String {
    let script = "return [document.cookie, JSON.stringify(localStorage), \
        JSON.stringify(sessionStorage), document.documentElement.outerHTML].join('\\n');";
    browser.execute(script, vec![]).await.unwrap().as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_express_app_keeps_a_person_signed_in_until_the_server_says_no() {
    let Some(mut browser) = Browser::start(DESKTOP.0, DESKTOP.1, Scheme::Light).await else {
        return;
    };
    let Some(stage) = Stage::set(&["resource-server", "express-app"]).await else { return };
    let app = &stage.express;
    browser.goto(app).await.unwrap();
    browser.wait_for_text("Nobody is signed in.").await;
    browser.check_looks("example-express-signed-out", None).await;
    browser.click_text("Sign in").await;
    sign_in(&browser, "Express app").await;
    browser.wait_for_text("Hello, Ada Fern").await;
    browser.wait_for_text("The access token is renewed after").await;
    let claims = browser.text().await;
    assert!(claims.contains("auth_time") && claims.contains(&stage.site), "{claims}");
    browser.check_looks("example-express-signed-in", None).await;

    // Its tokens stay with it.
    let found = within_reach_of_scripts(&browser).await;
    for secret in ["prt_", "pat_", "eyJ", "express-app="] {
        assert!(!found.contains(secret), "{secret} in {found}");
    }

    // It calls in the person's name.
    browser.click_text("Profile").await;
    browser.wait_for_text("ada@northfield.example").await;
    browser.click_text("Back").await;
    browser.click_text("Notes").await;
    browser.wait_for_text("The heron is back at the weir.").await;
    browser.check_page("example-express-notes").await;
    browser.click_text("Back").await;

    // By itself, when a page comes shortly before the token's end; and at once, when asked to.
    let start = Instant::now();
    while renewals(&browser).await == 0 {
        assert!(start.elapsed() < A_TOKENS_LIFE, "never renewed");
        tokio::time::sleep(Duration::from_millis(200)).await;
        browser.refresh().await.unwrap();
    }
    let before = renewals(&browser).await;
    browser.click_text("Refresh now").await;
    renewed_more_than(&browser, before).await;

    // Signed out here, the server knows it, too.
    browser.click_text("Sign out").await;
    browser.wait_for_address(|url| url.as_str().trim_end_matches('/') == app).await;
    browser.wait_for_text("Nobody is signed in.").await;
    assert!(!is_signed_in_at(&stage.site, &browser).await, "still signed in at the server");

    // Revoked, it hears of it without a refresh: the server tells it.
    browser.goto(app).await.unwrap();
    browser.click_text("Sign in").await;
    browser.fill("#username", "ada").await;
    browser.fill("#password", "winter garden gate").await;
    browser.click("form[action$='/login'] button").await;
    browser.wait_for_text("Hello, Ada Fern").await;
    stage.revoke_all_sessions().await;
    reload_until(&browser, "You were signed out by the server.").await;
    browser.check_looks("example-express-ended", None).await;
    browser.click_text("Sign in again").await;
    browser.wait_for_text("to continue to Express app").await;
    drop(stage.programs);
    drop(stage.demo);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_single_page_app_renews_by_itself_until_the_server_says_no() {
    let Some(mut browser) = Browser::start(PHONE.0, PHONE.1, Scheme::Dark).await else { return };
    let Some(stage) = Stage::set(&["resource-server", "spa"]).await else { return };
    let app = &stage.spa;
    browser.goto(app).await.unwrap();
    browser.wait_for_text("Nobody is signed in.").await;
    browser.check_looks("example-spa-signed-out", None).await;
    browser.click_text("Sign in").await;
    sign_in(&browser, "Single-page app").await;
    browser.wait_for_text("Hello, Ada Fern").await;
    // From UserInfo, which the library has held against the ID token.
    browser.wait_for_text("ada@northfield.example").await;
    browser.click_text("Call the API").await;
    browser.wait_for_text("The heron is back at the weir.").await;
    browser.check_looks("example-spa-signed-in", None).await;

    // Nothing is clicked, and the page isn't loaded anew.
    renewed_more_than(&browser, 0).await;
    let before = renewals(&browser).await;
    browser.click_text("Refresh now").await;
    renewed_more_than(&browser, before).await;
    browser.click_text("Call the API").await;
    browser.refresh().await.unwrap();
    browser.wait_for_text("Hello, Ada Fern").await;

    // A second tab has the same sign-in, and what one renews the other has.
    let first = browser.window().await.unwrap();
    let second = browser.new_window(true).await.unwrap().handle;
    browser.switch_to_window(second).await.unwrap();
    browser.goto(app).await.unwrap();
    browser.wait_for_text("Hello, Ada Fern").await;
    browser.click_text("Refresh now").await;
    renewed_more_than(&browser, 0).await;
    browser.switch_to_window(first).await.unwrap();
    renewed_more_than(&browser, 0).await;

    browser.click_text("Sign out").await;
    browser.wait_for_address(|url| url.as_str().trim_end_matches('/') == app).await;
    browser.wait_for_text("Nobody is signed in.").await;
    assert!(!within_reach_of_scripts(&browser).await.contains("prt_"));
    assert!(!is_signed_in_at(&stage.site, &browser).await, "still signed in at the server");

    browser.goto(app).await.unwrap();
    browser.click_text("Sign in").await;
    // Any program of this machine could listen there, so that its consent isn't remembered.
    sign_in(&browser, "Single-page app").await;
    browser.wait_for_text("Hello, Ada Fern").await;
    stage.revoke_all_sessions().await;
    browser.wait_for_text_within(A_TOKENS_LIFE, "Signed out by the server").await;
    let reason = browser.element("#message").await.text().await.unwrap();
    assert!(reason.contains("administrator"), "{reason}");
    drop(stage.programs);
}

/// How often the page says that its tokens were renewed; 0 while it is being loaded.
async fn renewals(browser: &Browser) -> u64 {
    let text = browser.execute("return document.body.innerText", vec![]).await;
    let text = text.ok().and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default();
    let told = text.split_once("Refreshed ").map(|(_, told)| told);
    match told.and_then(|told| told.split([' ', '.']).next()) {
        Some("once") => 1,
        number => number.and_then(|number| number.parse().ok()).unwrap_or(0),
    }
}

async fn renewed_more_than(browser: &Browser, before: u64) {
    let start = Instant::now();
    while renewals(browser).await <= before {
        assert!(start.elapsed() < A_TOKENS_LIFE, "never renewed more than {before} times");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A server with Ada, and the Express app registered there as its README says.
struct ExpressApp {
    program: Program,
    http: Http,
    origin: String,
}

impl ExpressApp {
    async fn start(server: &TestServer) -> Option<ExpressApp> {
        let port = tools::free_port();
        let origin = format!("http://localhost:{port}");
        let made = server.installation.json(&[
            "client",
            "add",
            "--id",
            "express-app",
            "--name",
            "Express app",
            "--type",
            "confidential",
            "--redirect-uri",
            &format!("{origin}/callback"),
            "--post-logout-redirect-uri",
            &format!("{origin}/signed-out"),
            "--scope",
            "openid profile email notes.read offline_access",
            "--access-token",
            "opaque",
            "--audience",
            "https://notes.example/api",
            "--skip-consent",
        ]);
        server.secrets.remember_answer(&made);
        let line = format!(
            "cd examples/express-app && ISSUER={} PORT={port} CLIENT_SECRET={} node app.js",
            server.origin(),
            made["client_secret"].as_str().unwrap()
        );
        let program = Program::start("examples/express-app", &line).await?;
        Some(ExpressApp { program, http: Http::new(&origin), origin })
    }

    /// A browser that knows nothing of the app yet.
    fn stranger(&self) -> Http {
        Http::new(&self.origin)
    }

    /// Signs Ada in, in the app's own browser.
    async fn sign_in(&self, server: &TestServer) {
        let site = server.http();
        let begun = self.http.post_form("/sign-in", &[]).await.expect(303);
        let login = site.get(begun.location().unwrap().as_str()).await;
        let login = site.follow(login).await.expect(200);
        let typed = [("username", "ada"), ("password", PASSWORD)];
        let back = site.submit(&login.form("form[action$='/login']"), &typed).await;
        let back = site.follow(back).await.expect(303);
        let callback = back.location().unwrap();
        self.http.get(callback.as_str()).await.expect(303);
        let home = self.http.get("/").await.expect(200);
        assert!(home.text().contains("Hello, "), "{}", home.text());
    }

    async fn refresh(&self) -> Answer {
        self.http.post_form("/refresh", &[]).await
    }
}

fn add_ada(server: &TestServer) {
    server.secrets.remember("password", PASSWORD);
    let line = ["user", "add", "ada", "--email", "ada@northfield.example", "--password-stdin"];
    server.installation.run_with_input(line, PASSWORD).ok();
    for name in ["notes.read", "notes.write"] {
        let line = ["scope", "add", name, "--description", "Read and write notes"];
        server.installation.run(line).ok();
    }
}

/// The answer is JSON, and nothing follows it.
#[track_caller]
fn json_answer(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", answer.body);
    let kind = answer.header("content-type");
    assert!(kind.starts_with("application/json"), "{kind}: {}", answer.body);
    answer.json()
}

on_both_databases! {
    async fn the_express_apps_refresh_route_gives_each_of_its_answers(database: TestDatabase) {
        let mut server = TestServer::start_on(database).await;
        add_ada(&server);
        let Some(app) = ExpressApp::start(&server).await else { return };

        // No session: neither a stranger, nor whoever only has a cookie.
        let unknown = app.stranger();
        assert_eq!(
            json_answer(&unknown.post_form("/refresh", &[]).await, 401),
            json!({ "error": "no_session" })
        );
        unknown.set_cookie("express-app", "s%3Amade-up.signature");
        json_answer(&unknown.post_form("/refresh", &[]).await, 401);
        app.http.post_form("/sign-in", &[]).await.expect(303);
        json_answer(&app.refresh().await, 401);

        app.sign_in(&server).await;
        let renewed = json_answer(&app.refresh().await, 200);
        assert_eq!(renewed["refreshes"], 1, "{renewed}");
        assert!(renewed["renews_at"].is_string(), "{renewed}");

        // Another site's form gets nothing of it.
        let forged = app.http.request(reqwest::Method::POST, "/refresh");
        let forged = app.http.send(forged.header("sec-fetch-site", "cross-site")).await;
        assert_eq!(json_answer(&forged, 400)["error"], "cross_site");

        // Neither yes nor no while the server is away; the session outlives that.
        server.kill9();
        let away = app.refresh().await;
        assert_eq!(json_answer(&away, 503), json!({ "error": "unavailable" }));
        assert_eq!(away.header("retry-after"), "5");
        server.start_again().await;
        assert_eq!(json_answer(&app.refresh().await, 200)["refreshes"], 2);

        // No: and so until somebody signs in again.
        server.installation.run(["session", "revoke", "--client", "express-app"]).ok();
        for _ in 0..2 {
            let refused = json_answer(&app.refresh().await, 403);
            assert_eq!(refused["error"], "refused", "{refused}");
            let why = refused["error_description"].as_str().unwrap();
            assert!(why.contains("administrator") || why.contains("operator"), "{why}");
        }
        let page = app.http.get("/").await.expect(200);
        assert!(page.text().contains("Signed out by the server"), "{}", page.text());
        json_answer(&app.stranger().post_form("/refresh", &[]).await, 401);

        let again = app.stranger();
        let app = ExpressApp { http: again, ..app };
        app.sign_in(&server).await;
        json_answer(&app.refresh().await, 200);
        app.http.post_form("/sign-out", &[]).await.expect(303);
        json_answer(&app.refresh().await, 401);
        drop(app.program);
    }

    async fn the_express_app_refreshes_once_for_all_who_ask_at_once(database: TestDatabase) {
        let server = TestServer::start_on(database).await;
        add_ada(&server);
        let Some(app) = ExpressApp::start(&server).await else { return };
        app.sign_in(&server).await;
        let mut most = 0;
        for _ in 0..5 {
            let mut at_once = JoinSet::new();
            for _ in 0..20 {
                at_once.spawn(app.http.request(reqwest::Method::POST, "/refresh").send());
            }
            while let Some(answer) = at_once.join_next().await {
                let answer = answer.unwrap().unwrap();
                assert_eq!(answer.status(), 200);
                let answer: Value = answer.json().await.unwrap();
                most = most.max(answer["refreshes"].as_u64().unwrap());
            }
        }
        // What the app counts is what the server saw: no token was sent twice.
        let sessions = server.installation.json(&["session", "list", "--client", "express-app"]);
        assert_eq!(sessions.as_array().unwrap().len(), 1, "{sessions}");
        assert_eq!(sessions[0]["generation"], json!(most + 1), "{sessions}");
        assert!((5..100).contains(&most), "{most} refreshes for 100 requests");
        drop(app.program);
    }

    async fn the_resource_server_refuses_as_rfc_6750_says(database: TestDatabase) {
        let mut server = TestServer::start_on(database).await;
        let world = World::by_commands(&server);
        // The tokens of one app are JWTs for the API, those of another are opaque.
        let line = ["client", "update", "confidential", "--audience", "https://api.example"];
        server.installation.run(line).ok();
        let port = tools::free_port();
        let line = format!(
            "cd examples/resource-server && ISSUER={} PORT={port} AUDIENCE=https://api.example \
             CLIENT_ID=api CLIENT_SECRET={} ALLOWED_ORIGINS='https://a.example https://b.example' \
             node server.js",
            server.origin(),
            world.api.secret.as_deref().unwrap()
        );
        let Some(program) = Program::start("examples/resource-server", &line).await else {
            return;
        };
        let api = Http::new(&format!("http://localhost:{port}"));
        let ask = async |path: &str, header: Option<&str>| {
            let request = api.request(reqwest::Method::GET, path);
            match header {
                Some(header) => api.send(request.header("authorization", header)).await,
                None => api.send(request).await,
            }
        };
        let bearer = async |path: &str, token: &str| {
            ask(path, Some(&format!("Bearer {token}"))).await
        };
        let refused = |answer: Answer, status: u16, error: &str| {
            let challenge = answer.header("www-authenticate").to_owned();
            assert_eq!(answer.status, status, "{challenge}\n{}", answer.body);
            assert!(challenge.starts_with("Bearer realm=\"notes\""), "{challenge}");
            if error.is_empty() {
                assert!(!challenge.contains("error"), "{challenge}");
            } else {
                assert!(challenge.contains(&format!("error=\"{error}\"")), "{challenge}");
                assert_eq!(answer.json()["error"], error);
            }
            challenge
        };

        let scope = "openid notes.read offline_access";
        let jwt = world.tokens_for(&world.confidential, scope).await;
        let opaque = world.tokens_for(&world.with_audience, scope).await;
        assert!(jwt.access.contains('.') && opaque.access.starts_with("pat_"));
        for tokens in [&jwt, &opaque] {
            let notes = bearer("/notes", &tokens.access).await.expect(200).json();
            assert_eq!(notes["notes"][0], "The heron is back at the weir.", "{notes}");
            let me = bearer("/me", &tokens.access).await.expect(200).json();
            assert_eq!(me["sub"], world.person.id, "{me}");
            // Good, but not for writing.
            let request = api.request(reqwest::Method::POST, "/notes").body("A note");
            let answer = api.send(request.bearer_auth(&tokens.access)).await;
            let challenge = refused(answer, 403, "insufficient_scope");
            assert!(challenge.contains("scope=\"notes.write\""), "{challenge}");
        }

        refused(ask("/notes", None).await, 401, "");
        refused(ask("/notes", Some("Basic YTpi")).await, 401, "");
        refused(ask("/notes", Some("Bearer")).await, 400, "invalid_request");
        refused(ask("/notes", Some("Bearer two words")).await, 400, "invalid_request");
        refused(bearer("/notes", "pat_made-up").await, 401, "invalid_token");
        refused(bearer("/notes", "a.b.c").await, 401, "invalid_token");
        let forged = format!("{}AAAA", &jwt.access[..jwt.access.len() - 4]);
        refused(bearer("/notes", &forged).await, 401, "invalid_token");
        // For somebody else, of both forms; and an ID token, which is for the app alone.
        for app in [&world.public, &world.opaque] {
            let other = world.tokens_for(app, scope).await;
            refused(bearer("/notes", &other.access).await, 401, "invalid_token");
        }
        let id_token = jwt.answer["id_token"].as_str().expect("an ID token").to_owned();
        refused(bearer("/notes", &id_token).await, 401, "invalid_token");

        // A page of an origin that may call is let through, and no other.
        let from = async |origin: &str| {
            let request = api.request(reqwest::Method::OPTIONS, "/notes");
            let answer = api.send(request.header("origin", origin)).await.expect(204);
            answer.header("access-control-allow-origin").to_owned()
        };
        assert_eq!(from("https://b.example").await, "https://b.example");
        assert_eq!(from("https://c.example").await, "");

        // Revoked: an opaque one is refused at once, a JWT is good until it ends.
        for app in ["confidential", "with-audience"] {
            server.installation.run(["session", "revoke", "--client", app]).ok();
        }
        refused(bearer("/notes", &opaque.access).await, 401, "invalid_token");
        bearer("/notes", &jwt.access).await.expect(200);

        // What can't be said now is neither a yes nor a no.
        server.kill9();
        let away = bearer("/notes", &opaque.access).await.expect(503);
        assert_eq!(away.header("www-authenticate"), "");
        drop(program);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_resource_server_refuses_a_jwt_once_it_has_expired() {
    let database = database::fresh(Kind::Sqlite).expect("SQLite is always there");
    let server = TestServer::start_with(database, |installation| {
        installation
            .with("PERENNIAL_TOKENS__ACCESS_TOKEN_SECONDS", "10")
            .with("PERENNIAL_TOKENS__RETRY_WINDOW_SECONDS", "10")
    })
    .await;
    let world = World::by_commands(&server);
    let port = tools::free_port();
    // Tokens of a client without an audience are for the issuer.
    let line = format!(
        "cd examples/resource-server && ISSUER={origin} PORT={port} AUDIENCE={origin} \
         node server.js",
        origin = server.origin(),
    );
    let Some(program) = Program::start("examples/resource-server", &line).await else { return };
    let tokens = world.tokens(&world.public).await;
    let api = Http::new(&format!("http://localhost:{port}"));
    let mut answers = Vec::new();
    let start = Instant::now();
    let last = loop {
        let request = api.request(reqwest::Method::GET, "/notes");
        let answer = api.send(request.bearer_auth(&tokens.access)).await;
        answers.push(answer.status.as_u16());
        if answer.status != 200 {
            break answer;
        }
        assert!(start.elapsed() < A_TOKENS_LIFE, "it never ends");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_eq!(answers[0], 200, "good while it lives: {}", last.body);
    let challenge = last.expect(401).header("www-authenticate").to_owned();
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    assert!(challenge.contains("expired"), "{challenge}");
    drop(program);
}
