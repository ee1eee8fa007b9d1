//! Clients that register themselves (RFC 7591), manage their registration (RFC 7592), and go
//! when nobody uses them.

use std::time::Duration;

use perennial::domain::client::ClientId;
use perennial::protocol::act::Act;
use perennial::protocol::clients;
use perennial::protocol::unused_clients;
use reqwest::Method;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::http::{Answer, Http};
use crate::support::local::LocalServer;
use crate::support::oauth::{App, Request, TokenEndpoint, World};
use crate::support::pages;
use crate::support::server::TestServer;
use crate::support::web_server::{Page, WebServer};

const CALLBACK: &str = "https://app.example/callback";
const DAY: Duration = Duration::from_secs(24 * 3600);
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

/// A good registration.
fn metadata() -> Value {
    json!({
        "client_name": "Sundial",
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "client_secret_basic",
    })
}

fn with(mut body: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// Sends JSON, with a token where there is one.
async fn send(http: &Http, method: Method, at: &str, token: Option<&str>, body: &Value) -> Answer {
    let mut request = http.request(method, at);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if !body.is_null() {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    http.send(request).await
}

async fn post(http: &Http, body: &Value) -> Answer {
    send(http, Method::POST, "/oauth/register", None, body).await
}

async fn registered(http: &Http, body: &Value) -> Value {
    post(http, body).await.expect(201).json()
}

/// The management address and its token.
fn management(client: &Value) -> (&str, &str) {
    (
        client["registration_client_uri"].as_str().unwrap(),
        client["registration_access_token"].as_str().unwrap(),
    )
}

/// Fails unless it is this refusal, in the form that the standards want; its description.
#[track_caller]
fn refused(answer: Answer, status: u16, code: &str) -> String {
    let answer = answer.expect(status);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.header("content-type").starts_with("application/json"));
    let json = answer.json();
    assert_eq!(json["error"], code, "{json}");
    let description = json["error_description"].as_str().unwrap().to_owned();
    assert!(description.chars().all(|c| matches!(c, ' '..='~') && !"\"\\".contains(c)), "{json}");
    description
}

fn app(client: &Value) -> App {
    App {
        id: client["client_id"].as_str().unwrap().to_owned(),
        secret: client["client_secret"].as_str().map(str::to_owned),
        redirect_uri: client["redirect_uris"][0].as_str().unwrap().to_owned(),
    }
}

async fn open(database: TestDatabase) -> LocalServer {
    LocalServer::start_with(database, &[("registration.mode", "open")]).await
}

/// A server that reads documents of `web`.
async fn open_beside(database: TestDatabase, web: &WebServer) -> LocalServer {
    let settings = [
        ("registration.mode", "open"),
        ("fetch.allow_private_networks", "true"),
        ("fetch.ca_file", web.authority_file().to_str().unwrap()),
    ];
    LocalServer::start_with(database, &settings).await
}

on_both_databases! {
    async fn nobody_registers_where_the_operator_did_not_say_so(database: TestDatabase) {
        let server = LocalServer::start(database).await;
        refused(post(&server.http(), &metadata()).await, 403, "access_denied");
        assert_eq!(server.sql("SELECT count(*) FROM clients"), "0");
    }

    async fn a_client_registers_signs_people_in_and_leaves(database: TestDatabase) {
        let server = open(database).await;
        let world = World::on(&server).await;
        let http = server.http();
        let sent = with(metadata(), json!({
            "contacts": ["ada@app.example"],
            "policy_uri": "https://app.example/policy",
            "post_logout_redirect_uris": ["https://app.example/bye"],
            "id_token_signed_response_alg": "ES256",
            "subject_type": "pairwise",
            "favourite_colour": "green",
        }));
        let answer = post(&http, &sent).await.expect(201);
        assert_eq!(answer.header("cache-control"), "no-store");
        let client = answer.json();
        for (name, value) in sent.as_object().unwrap() {
            if name == "favourite_colour" {
                assert!(client.get(name).is_none(), "{client}");
            } else {
                assert_eq!(&client[name], value, "{name}");
            }
        }
        assert_eq!(client["response_types"], json!(["code"]));
        assert_eq!(client["client_secret_expires_at"], 0);
        assert_eq!(client["client_id_issued_at"], server.now().as_seconds());
        let (address, token) = management(&client);
        let id = client["client_id"].as_str().unwrap();
        assert_eq!(address, format!("{}/oauth/register/{id}", server.issuer));

        // Neither the secret nor the token is stored.
        let dump = server.database.dump();
        let secret = client["client_secret"].as_str().unwrap();
        assert!(!dump.contains(secret) && !dump.contains(token));

        // OpenID Connect's profiles send no PKCE; a confidential client needs none.
        let app = app(&client);
        let request = Request::of(&app).without("code_challenge").without("code_challenge_method");
        let browser = world.sign_in(&world.person).await;
        let consent = browser.open(&request).await.expect(200);
        assert!(consent.text().contains("Nobody at Perennial has checked this app"));
        assert_eq!(consent.attributes(".button:not(.quiet):not(.plain)", "value"), ["deny"]);
        let code = browser.code(&request).await;
        let device = world.device(&app);
        let tokens = device.exchange(&code).await.tokens();
        let tokens = device.refresh(&tokens.refresh).await.tokens();

        let read = send(&http, Method::GET, address, Some(token), &Value::Null).await.expect(200);
        assert_eq!(read.header("cache-control"), "no-store");
        let mut expected = client.clone();
        expected.as_object_mut().unwrap().remove("client_secret");
        assert_eq!(read.json(), expected);

        let gone = send(&http, Method::DELETE, address, Some(token), &Value::Null).await;
        assert_eq!(gone.expect(204).body, "");
        device.refresh(&tokens.refresh).await.refused(401, "invalid_client");
        refused(
            send(&http, Method::GET, address, Some(token), &Value::Null).await,
            401,
            "invalid_token",
        );
        assert_eq!(server.sql("SELECT count(*) FROM token_families WHERE ended_at IS NULL"), "0");
        let audit = server.sql(&format!(
            "SELECT action, actor_kind FROM audit_events \
             WHERE target_id = '{id}' AND action LIKE 'client.%' ORDER BY action"
        ));
        assert_eq!(audit, "client.registered|anonymous\nclient.removed|client");
    }

    async fn a_public_client_gets_no_secret_and_must_use_pkce(database: TestDatabase) {
        let server = open(database).await;
        let world = World::on(&server).await;
        let body = json!({
            "redirect_uris": ["http://127.0.0.1/callback"],
            "token_endpoint_auth_method": "none",
        });
        let client = registered(&server.http(), &body).await;
        for absent in ["client_secret", "client_secret_expires_at"] {
            assert!(client.get(absent).is_none(), "{client}");
        }
        assert_eq!(client["client_name"], "127.0.0.1");
        assert_eq!(client["grant_types"], json!(["authorization_code"]));
        let app = app(&client);
        let browser = world.sign_in(&world.person).await;
        let request = Request::of(&app).with("scope", "openid");
        let without = request.clone().without("code_challenge").without("code_challenge_method");
        let answer = browser.open(&without).await;
        assert_eq!(answer.location_parameter("error").as_deref(), Some("invalid_request"));
        let consent = browser.open(&request).await.expect(200);
        assert!(consent.text().contains("a program on this computer"), "{}", consent.text());
        let code = browser.code(&request).await;
        assert_eq!(world.device(&app).exchange(&code).await.tokens().refresh, "");
    }

    async fn what_is_wrong_is_named_and_nothing_is_registered(database: TestDatabase) {
        let server = open(database).await;
        let http = server.http();
        for (changes, code, member) in [
            (json!({ "redirect_uris": ["https://app.example/cb#x"] }), "invalid_redirect_uri", "redirect_uris"),
            (json!({ "redirect_uris": null }), "invalid_redirect_uri", "redirect_uris"),
            (json!({ "redirect_uris": ["http://app.example/"] }), "invalid_redirect_uri", "redirect_uris"),
            (json!({ "grant_types": ["implicit"] }), "invalid_client_metadata", "grant_types"),
            (json!({ "response_types": ["code id_token"] }), "invalid_client_metadata", "response_types"),
            (json!({ "logo_uri": "http://app.example/l" }), "invalid_client_metadata", "logo_uri"),
            (json!({ "id_token_signed_response_alg": "none" }), "invalid_client_metadata", "id_token"),
            (json!({ "software_statement": "a.b.c" }), "unapproved_software_statement", "software"),
        ] {
            let text = refused(post(&http, &with(metadata(), changes)).await, 400, code);
            assert!(text.starts_with(member), "{text}");
        }
        for (kind, body) in [
            ("application/json", "{"),
            ("application/json", "[]"),
            ("application/json", "\u{feff}{}"),
            ("text/plain", "{}"),
            ("application/json", &"[".repeat(60_000)),
        ] {
            let answer = http.post_raw("/oauth/register", kind, body.into()).await;
            assert_eq!(answer.status, 400, "{body:.20}: {}", answer.body);
        }
        let long = format!("{{\"client_name\":\"{}\"}}", "x".repeat(70_000));
        http.post_raw("/oauth/register", "application/json", long.into()).await.expect(413);
        let other = http.get("/oauth/register").await.expect(405);
        assert_eq!(other.header("allow"), "POST");
        assert_eq!(server.sql("SELECT count(*) FROM clients"), "0");
    }

    async fn a_scope_goes_no_further_than_the_operator_allows(database: TestDatabase) {
        let settings = [("registration.mode", "open"), ("registration.scopes", "openid notes.read")];
        let server = LocalServer::start_with(database, &settings).await;
        let http = server.http();
        let body = with(metadata(), json!({ "scope": "openid notes.read notes.write email" }));
        assert_eq!(registered(&http, &body).await["scope"], "openid notes.read");
        assert_eq!(registered(&http, &metadata()).await["scope"], "openid notes.read");
        let body = with(metadata(), json!({ "scope": "admin" }));
        let text = refused(post(&http, &body).await, 400, "invalid_client_metadata");
        assert!(text.contains("openid notes.read"), "{text}");
    }

    async fn an_update_replaces_everything_and_is_reviewed_again(database: TestDatabase) {
        let server = open(database).await;
        let http = server.http();
        let first = with(metadata(), json!({ "policy_uri": "https://app.example/policy" }));
        let client = registered(&http, &first).await;
        let (address, token) = management(&client);
        let id = client["client_id"].as_str().unwrap().to_owned();
        let review = {
            let (id, act) = (ClientId::parse(&id).unwrap(), Act::operator(server.now()));
            move |connection: &mut _| clients::review(connection, &id, &act)
        };
        assert!(server.db.write(review).await.unwrap());
        let reviewed = || server.sql("SELECT reviewed_at IS NOT NULL FROM clients");
        let yes = reviewed();

        let put = |body: Value| {
            let http = server.http();
            let (address, token) = (address.to_owned(), token.to_owned());
            async move { send(&http, Method::PUT, &address, Some(&token), &body).await }
        };
        for (changes, why) in [
            (json!({}), "client_id is missing"),
            (json!({ "client_id": "other" }), "client_id"),
            (json!({ "client_id": id, "client_secret": "chosen" }), "client_secret"),
        ] {
            let text = refused(put(with(first.clone(), changes)).await, 400, "invalid_client_metadata");
            assert!(text.starts_with(why), "{text}");
        }
        let bad = with(first.clone(), json!({ "client_id": id, "redirect_uris": ["x"] }));
        refused(put(bad).await, 400, "invalid_redirect_uri");

        // The same again changes nothing, so the review stands.
        let same = with(first.clone(), json!({
            "client_id": id,
            "client_secret": client["client_secret"],
        }));
        let told = put(same).await.expect(200).json();
        assert_eq!(told["policy_uri"], "https://app.example/policy");
        assert_eq!(told["registration_access_token"], token);
        assert_eq!(reviewed(), yes);

        let next = json!({
            "client_id": id,
            "client_name": "Moondial",
            "redirect_uris": ["https://moon.example/callback"],
            "token_endpoint_auth_method": "none",
        });
        let told = put(next).await.expect(200).json();
        assert_eq!(told["client_name"], "Moondial");
        assert!(told.get("policy_uri").is_none() && told.get("client_secret_expires_at").is_none());
        assert_ne!(reviewed(), yes);

        // A client that gets something to keep gets it once.
        let back = json!({ "client_id": id, "redirect_uris": ["https://moon.example/callback"] });
        let told = put(back).await.expect(200).json();
        assert!(told["client_secret"].as_str().unwrap().starts_with("pcs_"));
    }

    async fn a_registration_is_managed_with_its_own_token_alone(database: TestDatabase) {
        let server = open(database).await;
        let http = server.http();
        let (one, two) = (registered(&http, &metadata()).await, registered(&http, &metadata()).await);
        let (address, _) = management(&one);
        let (_, others) = management(&two);
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            for token in [None, Some(others), Some("pra_nonsense"), one["client_secret"].as_str()] {
                let body = with(metadata(), json!({ "client_id": one["client_id"] }));
                let answer = send(&http, method.clone(), address, token, &body).await;
                let challenge = answer.header("www-authenticate").to_owned();
                assert!(challenge.starts_with("Bearer "), "{challenge}");
                assert_eq!(challenge.contains("invalid_token"), token.is_some(), "{challenge}");
                refused(answer, 401, "invalid_token");
            }
        }
        let nowhere = format!("{}/oauth/register/nobody", server.issuer);
        let answer = send(&http, Method::GET, &nowhere, Some(others), &Value::Null).await;
        refused(answer, 401, "invalid_token");
        assert_eq!(server.sql("SELECT count(*) FROM clients"), "2");
    }

    async fn so_many_in_an_hour_and_no_more_whichever_node_is_asked(database: TestDatabase) {
        let settings = [
            ("registration.mode", "open"),
            ("registration.per_address_hourly", "4"),
            ("registration.hourly", "6"),
            ("trusted_proxies", "127.0.0.0/8,::1"),
        ];
        let server = LocalServer::start_with(database, &settings).await;
        let other = server.another_node().await;
        let from = |node: &LocalServer, ip: &str| node.http().with_header("x-forwarded-for", ip);
        for node in [&server, &other, &server, &other] {
            registered(&from(node, "192.0.2.1"), &metadata()).await;
        }
        for node in [&server, &other] {
            let answer = post(&from(node, "192.0.2.77"), &metadata()).await;
            let wait: u64 = answer.header("retry-after").parse().unwrap();
            assert!((890..=901).contains(&wait), "{wait}");
            refused(answer, 429, "temporarily_unavailable");
        }
        // Other networks aren't held up, until everybody together is too much.
        registered(&from(&server, "198.51.100.1"), &metadata()).await;
        registered(&from(&server, "203.0.113.1"), &metadata()).await;
        refused(
            post(&from(&other, "203.0.113.200"), &metadata()).await,
            429,
            "temporarily_unavailable",
        );
        server.travel_seconds(900);
        registered(&from(&other, "192.0.2.1"), &metadata()).await;
    }

    async fn a_sector_lists_every_redirect_uri(database: TestDatabase) {
        let web = WebServer::start("localhost").await;
        let server = open_beside(database, &web).await;
        let http = server.http();
        let other = "https://other.example/callback";
        web.put("/good", Page::json(&json!([CALLBACK, other, "https://third.example/"])));
        web.put("/short", Page::json(&json!([CALLBACK])));
        web.put("/object", Page::json(&json!({ "redirect_uris": [CALLBACK, other] })));
        let body = |path: &str| {
            with(metadata(), json!({
                "redirect_uris": [CALLBACK, other],
                "subject_type": "pairwise",
                "sector_identifier_uri": web.url(path),
            }))
        };
        let client = registered(&http, &body("/good")).await;
        assert_eq!(client["sector_identifier_uri"], web.url("/good"));
        for (path, why) in [
            ("/short", "lacks the redirect URI https://other.example/callback"),
            ("/object", "not a JSON list"),
            ("/missing", "status 404"),
        ] {
            let text = refused(post(&http, &body(path)).await, 400, "invalid_client_metadata");
            assert!(text.starts_with("sector_identifier_uri: ") && text.contains(why), "{text}");
        }
        // Several hosts and no sector: whose subjects would they be?
        let none = with(body("/good"), json!({ "sector_identifier_uri": null }));
        let text = refused(post(&http, &none).await, 400, "invalid_client_metadata");
        assert!(text.starts_with("subject_type: "), "{text}");
        // An update is held to it too.
        let (address, token) = management(&client);
        let changed = with(body("/short"), json!({ "client_id": client["client_id"] }));
        refused(
            send(&http, Method::PUT, address, Some(token), &changed).await,
            400,
            "invalid_client_metadata",
        );
    }

    async fn what_nobody_uses_goes_and_what_somebody_uses_stays(database: TestDatabase) {
        let server = open(database).await;
        let world = World::on(&server).await;
        let http = server.http();
        let prune = || unused_clients::prune(&server.db, MONTH, server.now());
        let there = |client: &Value| {
            let id = client["client_id"].as_str().unwrap();
            server.sql(&format!("SELECT count(*) FROM clients WHERE id = '{id}'")) == "1"
        };
        let (unused, used, reviewed) = (
            registered(&http, &metadata()).await,
            registered(&http, &metadata()).await,
            registered(&http, &metadata()).await,
        );
        let id = ClientId::parse(reviewed["client_id"].as_str().unwrap()).unwrap();
        let act = Act::operator(server.now());
        server.db.write(move |connection| clients::review(connection, &id, &act)).await.unwrap();

        // Somebody signs in by one of them on the twentieth day, and stays signed in.
        server.travel(20 * DAY);
        assert_eq!(prune().await.unwrap(), 0);
        let tokens = world.tokens_for(&app(&used), "openid offline_access").await;
        server.travel(10 * DAY);
        assert_eq!(prune().await.unwrap(), 1);
        assert!(!there(&unused) && there(&used) && there(&reviewed));
        let audit = server.sql("SELECT count(*) FROM audit_events WHERE action = 'client.expired'");
        assert_eq!(audit, "1");

        // A session that goes on keeps it, however long ago the sign-in was.
        let device = world.device(&app(&used));
        let mut refresh = tokens.refresh;
        for _ in 0..3 {
            server.travel(15 * DAY);
            refresh = device.refresh(&refresh).await.tokens().refresh;
            assert_eq!(prune().await.unwrap(), 0);
        }
        // Once it has ended, there is a month to come back.
        device.revoke(&refresh).await.expect(200);
        assert_eq!(prune().await.unwrap(), 0);
        server.travel(29 * DAY);
        assert_eq!(prune().await.unwrap(), 0);
        server.travel(DAY);
        assert_eq!(prune().await.unwrap(), 1);
        assert!(!there(&used) && there(&reviewed));
        // What an administrator registered stays anyhow.
        assert_eq!(server.sql("SELECT count(*) FROM clients WHERE origin = 'administrator'"), "6");
    }

    async fn several_redirect_uris_and_none_asked_for_is_an_error_page(database: TestDatabase) {
        let server = open(database).await;
        let world = World::on(&server).await;
        let query = "https://app.example/callback?tenant=one";
        let body = with(metadata(), json!({ "redirect_uris": [query, "https://app.example/2"] }));
        let client = registered(&server.http(), &body).await;
        let app = app(&client);
        let browser = world.sign_in(&world.person).await;
        // oidcc-ensure-redirect-uri-in-authorization-request
        let answer = browser.open(&Request::of(&app).without("redirect_uri")).await.expect(400);
        assert!(answer.text().contains("redirect_uri is missing"), "{}", answer.text());
        // oidcc-redirect-uri-query-OK, -query-mismatch, -query-added
        let answer = browser.allow(&Request::of(&app)).await;
        let back = answer.location().unwrap();
        assert!(back.as_str().starts_with(&format!("{query}&")), "{back}");
        assert!(answer.location_parameter("code").is_some());
        for wrong in [
            "https://app.example/callback?tenant=two",
            "https://app.example/callback?tenant=one&more=1",
            "https://app.example/callback",
        ] {
            let answer = browser.open(&Request::of(&app).with("redirect_uri", wrong)).await;
            assert!(answer.expect(400).text().contains("hasn’t registered"), "{wrong}");
        }
    }

    async fn the_sign_in_page_shows_the_logo_and_links_policy_and_terms(database: TestDatabase) {
        let web = WebServer::start("localhost").await;
        let server = open_beside(database, &web).await;
        let world = World::on(&server).await;
        let png = b"\x89PNG\r\n\x1a\n and so on";
        let mut page = Page::text("text/html", "");
        page.body = png.to_vec();
        web.put("/logo.png", page);
        web.put("/logo.html", Page::text("image/png", "<html><script>alert(1)</script>"));
        let register = |logo: &str| {
            with(metadata(), json!({
                "logo_uri": web.url(logo),
                "policy_uri": "https://app.example/policy",
                "tos_uri": "https://app.example/terms",
                "client_uri": "https://app.example/",
            }))
        };
        let client = registered(&server.http(), &register("/logo.png")).await;
        let request = Request::of(&app(&client)).with("scope", "openid");
        let browser = world.browser();
        let login = browser.open(&request).await.expect(200);
        // oidcc-registration-logo-uri: by way of this server, so that nobody else learns of it.
        let logo = login.attributes("img.logo", "src");
        assert_eq!(logo.len(), 1, "{}", login.body);
        assert!(logo[0].starts_with("/logos/"), "{logo:?}");
        assert!(login.header("content-security-policy").contains("img-src 'self';"));
        // oidcc-registration-policy-uri, -tos-uri
        let links = login.attributes("a[rel='noopener noreferrer']", "href");
        assert_eq!(
            links,
            ["https://app.example/", "https://app.example/policy", "https://app.example/terms"]
        );
        let picture = browser.http.get(&logo[0]).await.expect(200);
        assert_eq!(picture.header("content-type"), "image/png");
        assert_eq!(picture.header("x-content-type-options"), "nosniff");
        assert!(picture.header("content-security-policy").contains("sandbox"));
        browser.http.get(&logo[0]).await.expect(200);
        assert_eq!(web.seen().len(), 1, "it is kept for a while");

        let signed_in = browser.type_password(&login, &world.person).await.expect(303);
        let consent = browser.http.follow(signed_in).await.expect(200);
        assert_eq!(consent.attributes("img.logo", "src"), logo);
        assert_eq!(consent.attributes("a[rel='noopener noreferrer']", "href"), links);

        // What is no picture isn't handed on, whatever its server calls it.
        let client = registered(&server.http(), &register("/logo.html")).await;
        let address = format!("/logos/{}", client["client_id"].as_str().unwrap());
        let tile = server.http().get(&address).await.expect(200);
        assert_eq!(tile.header("content-type"), "image/svg+xml");
        assert!(tile.body.contains(">S</text>") && !tile.body.contains("script"), "{}", tile.body);
        server.http().get("/logos/nobody").await.expect(404);
        server.http().get("/logos/public").await.expect(404);
    }

    async fn initial_access_tokens_let_in_as_often_as_they_say(database: TestDatabase) {
        let server = TestServer::start_with(database, |installation| {
            installation
                .with("PERENNIAL_REGISTRATION__MODE", "token")
                .with("PERENNIAL_REGISTRATION__PER_ADDRESS_HOURLY", "1000")
        })
        .await;
        let installation = &server.installation;
        let command = |line: &[&str]| {
            let line = [&["client", "registration-token"], line].concat();
            installation.json(&line)
        };
        let made = command(&["add", "--name", "build farm", "--uses", "2"]);
        let token = made["token"].as_str().unwrap();
        server.secrets.remember("initial access token", token);
        assert!(token.starts_with("pit_"));
        assert_eq!(installation.run(["client", "registration-token", "add", "--uses", "0"]).code(), Some(2));

        let http = server.http();
        let at = "/oauth/register";
        let none = post(&http, &metadata()).await;
        assert_eq!(none.header("www-authenticate"), "Bearer realm=\"registration\"");
        refused(none, 401, "invalid_token");
        refused(
            send(&http, Method::POST, at, Some("pit_wrong"), &metadata()).await,
            401,
            "invalid_token",
        );
        // A registration that is refused spends nothing.
        let bad = with(metadata(), json!({ "redirect_uris": [] }));
        refused(
            send(&http, Method::POST, at, Some(token), &bad).await,
            400,
            "invalid_redirect_uri",
        );
        for left in [1, 0] {
            let client = send(&http, Method::POST, at, Some(token), &metadata()).await;
            server.secrets.remember_answer(&client.expect(201).json());
            assert_eq!(command(&["list"])[0]["uses_left"], left);
        }
        refused(send(&http, Method::POST, at, Some(token), &metadata()).await, 401, "invalid_token");

        // Ten at once with a token for three.
        let made = command(&["add", "--uses", "3"]);
        let three = made["token"].as_str().unwrap();
        server.secrets.remember("initial access token", three);
        let body = metadata();
        let tries = (0..10).map(|_| send(&http, Method::POST, at, Some(three), &body));
        let answers = futures_join(tries).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 3);
        for answer in &answers {
            if answer.status == 201 {
                server.secrets.remember_answer(&answer.json());
            }
        }

        let endless = command(&["add"]);
        let token = endless["token"].as_str().unwrap();
        server.secrets.remember("initial access token", token);
        let client = send(&http, Method::POST, at, Some(token), &metadata()).await;
        server.secrets.remember_answer(&client.expect(201).json());
        let id = endless["id"].as_str().unwrap();
        assert_eq!(command(&["remove", id])["removed"], true);
        refused(send(&http, Method::POST, at, Some(token), &metadata()).await, 401, "invalid_token");
        assert!(!server.database.dump().contains(token));

        // What came by itself is listed as such until somebody has looked at it.
        let list = installation.json(&["client", "list"]);
        let clients = list.as_array().unwrap();
        assert_eq!(clients.len(), 6);
        let first = clients[0]["client_id"].as_str().unwrap();
        assert_eq!((&clients[0]["origin"], &clients[0]["reviewed"]), (&json!("registration"), &json!(false)));
        assert_eq!(installation.json(&["client", "review", first])["reviewed"], true);
        assert_eq!(installation.json(&["client", "show", first])["reviewed"], true);
        let lines = installation.run(["client", "list"]).ok().stdout;
        assert_eq!(lines.matches("registration, unreviewed").count(), 5, "{lines}");
    }

    async fn an_administrator_sees_who_came_by_themselves_and_reviews_them(database: TestDatabase) {
        let server = TestServer::start_with(database, |installation| {
            installation.with("PERENNIAL_REGISTRATION__MODE", "open")
        })
        .await;
        let site = pages::Site::on(server);
        let client = registered(&site.server.http(), &metadata()).await;
        site.server.secrets.remember_answer(&client);
        let id = client["client_id"].as_str().unwrap();
        let fern = site.browser("fern").await;
        let list = fern.get("/admin/clients").await.expect(200);
        assert_eq!(list.text().matches("Not reviewed").count(), 1);
        let own = format!("/admin/clients/{id}");
        let page = fern.get(&own).await.expect(200);
        assert!(page.text().contains("Nobody has reviewed this app"));
        let form = page.form("form[action$='/review']");
        let page = fern.follow(fern.submit(&form, &[]).await).await.expect(200);
        assert!(page.text().contains("Sundial is reviewed."), "{}", page.text());
        assert!(page.forms("form[action$='/review']").is_empty());
        assert!(!fern.get("/admin/clients").await.text().contains("Not reviewed"));

        let ada = site.browser("ada").await;
        ada.post_form(&format!("{own}/review"), &[]).await.expect(403);
    }
}

/// All of these, side by side.
async fn futures_join<F: std::future::Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut pinned: Vec<_> = all.map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(|context| {
        for (future, done) in &mut pinned {
            if done.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
            {
                *done = Some(output);
            }
        }
        if pinned.iter().all(|(_, done)| done.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    pinned.into_iter().filter_map(|(_, done)| done).collect()
}
