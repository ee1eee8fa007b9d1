//! The app from outside, against a small server that plays a few answers.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};

use super::*;

/// What the token endpoint will answer, one after the other, and what it was asked.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<(u16, String)>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Script {
    fn will_answer(&self, status: u16, body: &str) {
        self.answers.lock().unwrap().push_back((status, body.to_owned()));
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn tokens(number: u32, life: u32) -> String {
    format!(
        r#"{{"access_token":"access-token-number-{number:012}","token_type":"Bearer","expires_in":{life},
            "refresh_token":"refresh-token-number-{number:012}","scope":"notes.read"}}"#
    )
}

async fn token(script: web::Data<Script>, body: String) -> HttpResponse {
    script.asked.lock().unwrap().push(body);
    let next = script.answers.lock().unwrap().pop_front();
    let (status, body) = next.unwrap_or((500, String::new()));
    HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap())
        .insert_header(("retry-after", "1"))
        .content_type("application/json")
        .body(body)
}

async fn revoke(script: web::Data<Script>, body: String) -> HttpResponse {
    script.asked.lock().unwrap().push(format!("revoke {body}"));
    HttpResponse::Ok().finish()
}

fn bound() -> (TcpListener, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

fn play(script: &Script) -> String {
    let (listener, issuer) = bound();
    let (script, own) = (web::Data::new(script.clone()), issuer.clone());
    let server = HttpServer::new(move || {
        let metadata = serde_json::json!({
            "issuer": own,
            "authorization_endpoint": format!("{own}/oauth/authorize"),
            "token_endpoint": format!("{own}/oauth/token"),
            "revocation_endpoint": format!("{own}/oauth/revoke"),
            "authorization_response_iss_parameter_supported": true,
        });
        App::new()
            .app_data(script.clone())
            .route("/oauth/token", web::post().to(token))
            .route("/oauth/revoke", web::post().to(revoke))
            .route(
                "/.well-known/oauth-authorization-server",
                web::get().to(move || {
                    let metadata = metadata.clone();
                    async move { HttpResponse::Ok().json(metadata) }
                }),
            )
    })
    .workers(1)
    .disable_signals()
    .listen(listener)
    .unwrap()
    .run();
    tokio::spawn(server);
    issuer
}

/// A browser with one cookie and no patience for redirects.
struct Browser {
    http: reqwest::Client,
    app: String,
    cookie: String,
}

impl Browser {
    fn at_new_app(issuer: &str) -> Self {
        let (listener, app) = bound();
        let config = AppConfig {
            base_url: app.clone(),
            issuer: issuer.to_owned(),
            client_id: "meadow".to_owned(),
            client_secret: None,
            scope: "notes.read offline_access".to_owned(),
        };
        tokio::spawn(serve(listener, config).unwrap());
        let http =
            reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { http, app, cookie: String::new() }
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> (u16, String, String) {
        let answer = request.header(COOKIE, &self.cookie).send().await.unwrap();
        if let Some(cookie) = answer.headers().get(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"));
            self.cookie = cookie.split(';').next().unwrap().to_owned();
        }
        let place = answer.headers().get(LOCATION);
        let place = place.map_or(String::new(), |place| place.to_str().unwrap().to_owned());
        (answer.status().as_u16(), place, answer.text().await.unwrap())
    }

    async fn get(&mut self, path: &str) -> (u16, String, String) {
        self.send(self.http.get(format!("{}{path}", self.app))).await
    }

    async fn post(&mut self, path: &str) -> (u16, String, String) {
        self.send(self.http.post(format!("{}{path}", self.app))).await
    }

    /// Presses the button; gives the state that went along.
    async fn begin(&mut self) -> String {
        let (status, place, _) = self.post("/sign-in").await;
        assert_eq!(status, 303);
        let url = url::Url::parse(&place).unwrap();
        assert_eq!(url.path(), "/oauth/authorize");
        let find = |name: &str| {
            let found = url.query_pairs().find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned()).unwrap()
        };
        assert_eq!(find("code_challenge_method"), "S256");
        assert_eq!(find("scope"), "notes.read offline_access");
        assert_eq!(find("redirect_uri"), format!("{}/callback", self.app));
        find("state")
    }

    async fn sign_in(&mut self, issuer: &str) {
        let state = self.begin().await;
        let before = self.cookie.clone();
        let back = format!("/callback?code=pac_1&state={state}&iss={issuer}");
        let (status, place, _) = self.get(&back).await;
        assert_eq!((status, place.as_str()), (303, "/"));
        assert_ne!(self.cookie, before, "a new session id at sign-in");
    }
}

#[actix_web::test]
async fn it_signs_in_refreshes_by_itself_and_is_told_of_its_end() {
    let script = Script::default();
    script.will_answer(200, &tokens(0, 2));
    script.will_answer(200, &tokens(1, 2));
    script.will_answer(503, "");
    script.will_answer(
        400,
        r#"{"error":"invalid_grant","error_description":"An administrator ended it.","error_uri":"https://x.example/why"}"#,
    );
    let issuer = play(&script);
    let mut browser = Browser::at_new_app(&issuer);
    browser.sign_in(&issuer).await;

    let (_, _, page) = browser.get("/").await;
    assert!(page.contains("You are signed in"), "{page}");
    assert!(page.contains("access-t…000000"), "{page}");
    assert!(!page.contains("number-0000"), "no whole token on the page");

    // Half of two seconds, then half again, then after the second of Retry-After.
    tokio::time::sleep(Duration::from_millis(1_400)).await;
    let (_, _, status) = browser.get("/status.json").await;
    assert!(status.contains("Refreshed once"), "{status}");
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    let (_, _, status) = browser.get("/status.json").await;
    assert!(status.contains("The server answered 503"), "{status}");
    assert!(status.contains("\"page\":\"signed-in\""), "{status}");
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    let (_, _, page) = browser.get("/").await;
    for part in [
        "You were signed out by the server",
        "invalid_grant",
        "An administrator ended it.",
        "https://x.example/why",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let asked = script.asked();
    assert!(asked[0].contains("code_verifier="), "{asked:?}");
    for (place, number) in [(1, 0), (2, 1), (3, 1)] {
        let token = format!("refresh_token=refresh-token-number-{number:012}");
        assert!(asked[place].contains(&token), "{place}: {asked:?}");
    }
    assert_eq!(asked.len(), 4);
}

#[actix_web::test]
async fn refreshing_and_signing_out_are_the_persons_to_press() {
    let script = Script::default();
    script.will_answer(200, &tokens(0, 600));
    script.will_answer(200, &tokens(1, 600));
    let issuer = play(&script);
    let mut browser = Browser::at_new_app(&issuer);
    browser.sign_in(&issuer).await;
    assert_eq!(browser.post("/refresh").await.0, 303);
    let (_, _, page) = browser.get("/").await;
    assert!(page.contains("Refreshed once"), "{page}");
    assert_eq!(browser.post("/sign-out").await.0, 303);
    let (_, _, page) = browser.get("/").await;
    assert!(page.contains("You signed out just now"), "{page}");
    let last = script.asked().pop().unwrap();
    assert!(last.starts_with("revoke token=refresh-token-number-000000000001"), "{last}");
}

#[actix_web::test]
async fn an_answer_that_nobody_asked_for_signs_nobody_in() {
    let script = Script::default();
    let issuer = play(&script);
    let mut browser = Browser::at_new_app(&issuer);
    assert_eq!(browser.get("/callback?code=x&state=y").await.0, 400);

    let state = browser.begin().await;
    let right = format!("/callback?code=x&state={state}&iss={issuer}");
    for wrong in [
        format!("/callback?code=x&state=other&iss={issuer}"),
        "/callback?code=x".to_owned(),
        format!("{right}&state=twice"),
    ] {
        assert_eq!(browser.get(&wrong).await.0, 400, "{wrong}");
    }
    let foreign = format!("/callback?code=x&state={state}&iss=https://evil.example");
    let (status, _, page) = browser.get(&foreign).await;
    assert_eq!(status, 400);
    assert!(page.contains("another server"), "{page}");
    assert_eq!(browser.get(&right).await.0, 400, "a state is good for one return");

    let state = browser.begin().await;
    let without_iss = format!("/callback?code=x&state={state}");
    assert_eq!(browser.get(&without_iss).await.0, 400);
    assert!(script.asked().is_empty());
}

#[actix_web::test]
async fn a_person_may_say_no() {
    let issuer = play(&Script::default());
    let mut browser = Browser::at_new_app(&issuer);
    let state = browser.begin().await;
    let back = format!("/callback?error=access_denied&state={state}&iss={issuer}");
    let (status, _, page) = browser.get(&back).await;
    assert_eq!(status, 200);
    assert!(page.contains("You chose not to let Meadow Notes in"), "{page}");
}

#[actix_web::test]
async fn forms_of_other_sites_do_nothing() {
    let issuer = play(&Script::default());
    let mut browser = Browser::at_new_app(&issuer);
    for path in ["/sign-in", "/refresh", "/sign-out"] {
        for (name, value) in [
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "cross-site"),
            ("origin", "http://localhost:8080"),
            ("origin", "null"),
        ] {
            let request = browser.http.post(format!("{}{path}", browser.app));
            let (status, ..) = browser.send(request.header(name, value)).await;
            assert_eq!(status, 403, "{path} {name}: {value}");
        }
    }
}

#[actix_web::test]
async fn a_server_that_is_away_is_an_error_with_a_way_back() {
    let (listener, issuer) = bound();
    drop(listener);
    let mut browser = Browser::at_new_app(&issuer);
    let (status, _, page) = browser.post("/sign-in").await;
    assert_eq!(status, 502);
    // apostrophes are escaped in pages
    assert!(page.contains("be reached") && page.contains("href=\"/\""), "{page}");
}

#[actix_web::test]
async fn every_answer_has_the_strict_policy() {
    let issuer = play(&Script::default());
    let browser = Browser::at_new_app(&issuer);
    for path in ["/", "/nowhere", "/meadow.css", "/status.json"] {
        let answer = browser.http.get(format!("{}{path}", browser.app));
        let answer = answer.send().await.unwrap();
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        assert!(policy.contains(&format!("form-action 'self' {issuer};")), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let page = answer.text().await.unwrap();
        assert!(!page.contains(" style=") && !page.contains("onclick"), "{path}");
    }
}
