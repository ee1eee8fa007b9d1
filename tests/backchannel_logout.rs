//! Back-channel logout: apps are told that a sign-in has ended, each once, whatever fails on the
//! way.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};
use perennial::crypto::signing::Algorithm;
use perennial::domain::client::{ClientId, ClientMetadata};
use perennial::domain::client_details::{ClientDetails, SubjectType};
use perennial::protocol::act::Act;
use perennial::protocol::clients;
use perennial::storage::logout_deliveries;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::http::Http;
use crate::support::listener::{Listener, Post, Reply};
use crate::support::local::LocalServer;
use crate::support::oauth::{
    self, App, Browser, Request, SCOPE, TokenEndpoint, Tokens, World, confidential_client, jwt_part,
};
use crate::support::server::TestServer;

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
const MINUTE: u64 = 60;

/// What lets apps be on this machine, and fails them fast.
const NEAR: [(&str, &str); 4] = [
    ("fetch.allow_private_networks", "true"),
    ("fetch.timeout_seconds", "1"),
    ("logout.look_seconds", "1"),
    ("sessions.absolute_seconds", "31536000"),
];

struct House {
    server: LocalServer,
    world: World,
    ear: Listener,
}

impl House {
    async fn start(database: TestDatabase) -> House {
        House::start_with(database, &[]).await
    }

    async fn start_with(database: TestDatabase, more: &[(&str, &str)]) -> House {
        let server = LocalServer::start_with(database, &[&NEAR[..], more].concat()).await;
        let world = World::on(&server).await;
        House { server, world, ear: Listener::start().await }
    }

    /// An app that is told at the path of its name.
    async fn app(&self, id: &str) -> App {
        self.app_with(id, ClientDetails::default()).await
    }

    async fn app_with(&self, id: &str, details: ClientDetails) -> App {
        let uri = self.ear.url(&format!("/{id}"));
        oauth::register(&self.server, id, told_at(id, &uri, details)).await
    }

    async fn tokens(&self, browser: &Browser, app: &App, scope: &str) -> Tokens {
        let code = browser.code(&Request::of(app).with("scope", scope)).await;
        self.world.device(app).exchange(&code).await.tokens()
    }

    /// The claims of the token of this post, whose signature is held against the JWKS.
    async fn claims(&self, post: &Post) -> Value {
        verified(&self.server.http(), &post.logout_token()).await
    }

    fn waiting(&self) -> String {
        self.server.sql("SELECT count(*) FROM logout_deliveries WHERE due_at IS NULL")
    }

    fn due(&self) -> u64 {
        let due = "SELECT count(*) FROM logout_deliveries WHERE due_at IS NOT NULL";
        self.server.sql(due).parse().unwrap()
    }

    /// How often what is due for an app was begun.
    fn attempts(&self, client: &str) -> String {
        self.server
            .sql(&format!("SELECT attempts FROM logout_deliveries WHERE client_id = '{client}'"))
    }

    /// Waits until the courier has looked for what is due now: it takes all of that at once, and
    /// something for this app is among it.
    async fn after_a_look(&self, marker: &App) {
        let path = format!("/{}", marker.id);
        let before = self.ear.posts(&path).len();
        let browser = self.world.sign_in(&self.world.admin).await;
        self.tokens(&browser, marker, SCOPE).await;
        sign_out(&browser.http).await;
        self.ear.wait_for(&path, before + 1).await;
    }

    /// What the audit log says of attempts for an app, in order.
    fn audit(&self, client: &str) -> Vec<String> {
        let lines = self.server.sql(&format!(
            "SELECT action || ' ' || detail FROM audit_events WHERE action LIKE 'logout.%' \
             AND client_id = '{client}' ORDER BY at, detail"
        ));
        lines.lines().map(str::to_owned).collect()
    }

    async fn wait_for_audit(&self, client: &str, count: usize) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let lines = self.audit(client);
            if lines.len() >= count {
                return lines;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{client}: {lines:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn told_at(name: &str, uri: &str, details: ClientDetails) -> ClientMetadata {
    ClientMetadata {
        details: ClientDetails { backchannel_logout_uri: Some(uri.to_owned()), ..details },
        ..confidential_client(name)
    }
}

/// The claims of a JWT that a key of the server's JWKS signed.
async fn verified(http: &Http, token: &str) -> Value {
    let keys = http.get("/oauth/jwks.json").await.expect(200);
    let keys: JwkSet = serde_json::from_str(&keys.body).unwrap();
    let header = jsonwebtoken::decode_header(token).unwrap();
    let key = keys.find(header.kid.as_deref().unwrap()).expect("its key is published");
    let mut validation = Validation::new(header.alg);
    validation.validate_exp = false;
    validation.validate_aud = false;
    let key = DecodingKey::from_jwk(key).unwrap();
    jsonwebtoken::decode::<Value>(token, &key, &validation).unwrap().claims
}

async fn sign_out(http: &Http) {
    let page = http.get("/logout").await.expect(200);
    http.submit(&page.form("main form[action$='/logout']"), &[]).await.expect(303);
}

fn id_token(tokens: &Tokens) -> &str {
    tokens.answer["id_token"].as_str().unwrap()
}

on_both_databases! {
    async fn a_logout_tells_every_app_of_the_sign_in_once(database: TestDatabase) {
        let house = House::start(database).await;
        let rp = house.app("rp").await;
        let signs = ClientDetails {
            id_token_signed_response_alg: Some(Algorithm::Es256),
            subject_type: SubjectType::Pairwise,
            ..ClientDetails::default()
        };
        let pairwise = house.app_with("pairwise", signs).await;
        let browser = house.world.sign_in(&house.world.person).await;
        // Twice in the same app: one session, as the app sees it.
        let first = house.tokens(&browser, &rp, SCOPE).await;
        let second = house.tokens(&browser, &rp, "openid").await;
        assert_eq!(jwt_part(id_token(&first), 1)["sid"], jwt_part(id_token(&second), 1)["sid"]);
        let other = house.tokens(&browser, &pairwise, "openid").await;
        house.tokens(&browser, &house.world.confidential, SCOPE).await;
        // Another browser of the same person isn't told of.
        let elsewhere = house.world.sign_in(&house.world.person).await;
        let spared = house.tokens(&elsewhere, &rp, SCOPE).await;
        house.server.travel_seconds(3 * MINUTE);

        let hint = id_token(&first);
        let logout = format!("/oauth/logout?id_token_hint={hint}");
        browser.http.get(&logout).await.expect(303);
        for (app, tokens, algorithm) in [("rp", &first, "RS256"), ("pairwise", &other, "ES256")] {
            let posts = house.ear.wait_for(&format!("/{app}"), 1).await;
            let post = &posts[0];
            assert!(post.head.starts_with("POST "), "{}", post.head);
            let head = post.head.to_ascii_lowercase();
            assert!(head.contains("content-type: application/x-www-form-urlencoded"), "{head}");
            let token = post.logout_token();
            let header = jwt_part(&token, 0);
            assert_eq!((&header["typ"], &header["alg"]), (&json!("logout+jwt"), &json!(algorithm)));
            let known = jwt_part(id_token(tokens), 1);
            let claims = house.claims(post).await;
            let names: BTreeSet<&str> =
                claims.as_object().unwrap().keys().map(String::as_str).collect();
            let expected = ["aud", "events", "exp", "iat", "iss", "jti", "sid", "sub"];
            assert_eq!(names, expected.into_iter().collect(), "and no nonce");
            assert_eq!(claims["iss"], house.server.issuer.as_str());
            assert_eq!(claims["aud"], app);
            assert_eq!((&claims["sub"], &claims["sid"]), (&known["sub"], &known["sid"]));
            assert_eq!(claims["events"], json!({ EVENT: {} }));
            let now = house.server.now().as_seconds();
            assert_eq!(claims["iat"], now);
            assert_eq!(claims["exp"], now + 120);
            assert!(claims["jti"].as_str().unwrap().len() >= 16);
            // It can't pass for another kind of token.
            assert_eq!(jwt_part(id_token(tokens), 0)["alg"], algorithm);
            let told = house.wait_for_audit(app, 1).await;
            assert_eq!(told, ["logout.told attempt 1"]);
        }
        assert_ne!(
            jwt_part(id_token(&other), 1)["sid"], jwt_part(hint, 1)["sid"],
            "apps can't tell that they share a browser"
        );
        // The other browser's sign-in waits for its own end.
        assert_eq!(house.waiting(), "1");
        assert_eq!(house.due(), 0);
        assert_eq!(house.ear.posts("/rp").len(), 1);
        house.world.device(&rp).refresh(&spared.refresh).await.tokens();
        sign_out(&elsewhere.http).await;
        let posts = house.ear.wait_for("/rp", 2).await;
        let claims = [house.claims(&posts[0]).await, house.claims(&posts[1]).await];
        assert_ne!(claims[0]["jti"], claims[1]["jti"]);
        assert_ne!(claims[0]["sid"], claims[1]["sid"]);
        assert_eq!(claims[1]["sid"], jwt_part(id_token(&spared), 1)["sid"]);
    }

    async fn an_app_that_keeps_its_refresh_token_is_told_as_well(database: TestDatabase) {
        let house = House::start(database).await;
        let (rp, other) = (house.app("rp").await, house.app("other").await);
        let browser = house.world.sign_in(&house.world.person).await;
        let own = house.tokens(&browser, &rp, SCOPE).await;
        let lasting = house.tokens(&browser, &other, SCOPE).await;
        browser.http.get(&format!("/oauth/logout?id_token_hint={}", id_token(&own))).await;
        house.ear.wait_for("/rp", 1).await;
        house.ear.wait_for("/other", 1).await;
        // Offline access is for when the person is away (section 2.7).
        house.world.device(&other).refresh(&lasting.refresh).await.tokens();
        house.world.device(&rp).refresh(&own.refresh).await.refused(400, "invalid_grant");
    }

    async fn apps_that_do_not_ask_to_be_told_cost_no_row(database: TestDatabase) {
        let house = House::start(database).await;
        let browser = house.world.sign_in(&house.world.person).await;
        let tokens = house.tokens(&browser, &house.world.confidential, SCOPE).await;
        assert_eq!(house.server.sql("SELECT count(*) FROM logout_deliveries"), "0");
        house.world.device(&house.world.confidential).revoke(&tokens.refresh).await.expect(200);
        sign_out(&browser.http).await;
        assert_eq!(house.server.sql("SELECT count(*) FROM logout_deliveries"), "0");
    }

    async fn an_app_is_told_when_its_last_session_of_the_sign_in_ends(database: TestDatabase) {
        let house = House::start(database).await;
        let rp = house.app("rp").await;
        let browser = house.world.sign_in(&house.world.person).await;
        let first = house.tokens(&browser, &rp, SCOPE).await;
        let second = house.tokens(&browser, &rp, SCOPE).await;
        let device = house.world.device(&rp);
        // As an app does that signs in anew and throws the old token away.
        device.revoke(&first.refresh).await.expect(200);
        assert_eq!((house.waiting().as_str(), house.due()), ("1", 0));
        device.refresh(&second.refresh).await.tokens();
        device.revoke(&second.refresh).await.expect(200);
        let posts = house.ear.wait_for("/rp", 1).await;
        let sid = house.claims(&posts[0]).await["sid"].clone();
        assert_eq!(sid, jwt_part(id_token(&second), 1)["sid"]);
        // The browser's sign-in goes on, and with it the next session in the app.
        house.wait_for_audit("rp", 1).await;
        let third = house.tokens(&browser, &rp, SCOPE).await;
        assert_eq!(jwt_part(id_token(&third), 1)["sid"], sid);
        sign_out(&browser.http).await;
        house.ear.wait_for("/rp", 2).await;
    }

    async fn an_app_that_is_away_is_told_when_it_is_back(database: TestDatabase) {
        let house = House::start(database).await;
        let port = house.ear.port;
        let rp = house.app("rp").await;
        let browser = house.world.sign_in(&house.world.person).await;
        house.tokens(&browser, &rp, SCOPE).await;
        drop(house.ear);
        let house = House { ear: Listener::start().await, ..house };
        sign_out(&browser.http).await;
        let said = house.wait_for_audit("rp", 1).await;
        assert!(said[0].starts_with("logout.failed attempt 1: 127.0.0.1 can't be connected to"), "{said:?}");
        let house = House { ear: Listener::start_at(port).await, ..house };
        house.server.travel_seconds(20);
        let posts = house.ear.wait_for("/rp", 1).await;
        let claims = house.claims(&posts[0]).await;
        assert_eq!(claims["iat"], house.server.now().as_seconds(), "fresh at each attempt");
        assert_eq!(house.wait_for_audit("rp", 2).await[1], "logout.told attempt 2");
        assert_eq!(house.due(), 0);
    }

    async fn an_error_is_tried_again_with_the_same_id_and_longer_pauses(database: TestDatabase) {
        let house = House::start(database).await;
        let (rp, marker) = (house.app("rp").await, house.app("marker").await);
        house.ear.next("/rp", &[500, 302, 404, 429].map(Reply::Status));
        let browser = house.world.sign_in(&house.world.person).await;
        house.tokens(&browser, &rp, SCOPE).await;
        sign_out(&browser.http).await;
        let mut ids = BTreeSet::new();
        // A fifth more than the pause, which a fifth less doesn't reach.
        for (attempt, pause) in [0, 15, 60, 240, 960].into_iter().enumerate() {
            if pause > 0 {
                house.server.travel_seconds(pause * 3 / 4);
                house.after_a_look(&marker).await;
                assert_eq!(house.attempts("rp"), attempt.to_string(), "not before its time");
                house.server.travel_seconds(pause / 2);
            }
            let posts = house.ear.wait_for("/rp", attempt + 1).await;
            let claims = house.claims(&posts[attempt]).await;
            assert_eq!(claims["iat"], house.server.now().as_seconds());
            ids.insert(claims["jti"].as_str().unwrap().to_owned());
            house.wait_for_audit("rp", attempt + 1).await;
        }
        assert_eq!(ids.len(), 1, "the app can tell that it is the same");
        let said = house.audit("rp");
        assert!(said[0].starts_with("logout.failed attempt 1: it answered with status 500; again at "), "{said:?}");
        assert_eq!(said[4], "logout.told attempt 5");
        assert_eq!(house.due(), 0);
    }

    async fn a_clear_no_is_not_repeated(database: TestDatabase) {
        let house = House::start(database).await;
        let rp = house.app("rp").await;
        house.ear.always("/rp", Reply::Status(400));
        let browser = house.world.sign_in(&house.world.person).await;
        house.tokens(&browser, &rp, SCOPE).await;
        sign_out(&browser.http).await;
        let said = house.wait_for_audit("rp", 1).await;
        assert_eq!(said, ["logout.refused attempt 1: it answered with status 400"]);
        assert_eq!(house.due(), 0);
        // An administrator reads of it.
        let admin = house.world.sign_in(&house.world.admin).await;
        let page = admin.http.get("/admin/audit").await.expect(200);
        assert!(page.text().contains("App refused to be told of a sign-out"), "{}", page.text());
    }

    async fn what_always_fails_is_given_up(database: TestDatabase) {
        let house = House::start_with(
            database,
            &[("logout.attempts", "3"), ("logout.pause_seconds", "10")],
        ).await;
        let rp = house.app("rp").await;
        house.ear.always("/rp", Reply::Status(503));
        let browser = house.world.sign_in(&house.world.person).await;
        house.tokens(&browser, &rp, SCOPE).await;
        sign_out(&browser.http).await;
        for attempt in 1..=3 {
            house.wait_for_audit("rp", attempt).await;
            house.server.travel_seconds(MINUTE);
        }
        let said = house.audit("rp");
        assert_eq!(said[2], "logout.given_up attempt 3, the last: it answered with status 503");
        assert_eq!(house.due(), 0);
    }

    async fn an_app_that_never_answers_holds_up_nobody_else(database: TestDatabase) {
        let house = House::start_with(
            database,
            &[("fetch.timeout_seconds", "60"), ("logout.concurrent", "6")],
        ).await;
        let (slow, quick) = (house.app("slow").await, house.app("quick").await);
        house.ear.always("/slow", Reply::Hang);
        let mut browsers = Vec::new();
        for _ in 0..8 {
            let browser = house.world.sign_in(&house.world.person).await;
            house.tokens(&browser, &slow, "openid").await;
            browsers.push(browser);
        }
        for browser in &browsers {
            sign_out(&browser.http).await;
        }
        house.ear.wait_for("/slow", 4).await;
        let browser = house.world.sign_in(&house.world.person).await;
        house.tokens(&browser, &quick, "openid").await;
        sign_out(&browser.http).await;
        house.ear.wait_for("/quick", 1).await;
        assert_eq!(house.wait_for_audit("quick", 1).await, ["logout.told attempt 1"]);
        assert_eq!(house.ear.posts("/slow").len(), 4, "of one app no more than four");
        assert!(house.audit("slow").is_empty(), "none of those has ended");
    }

    async fn an_answer_that_does_not_come_is_tried_again(database: TestDatabase) {
        let house = House::start(database).await;
        let rp = house.app("rp").await;
        house.ear.next("/rp", &[Reply::Hang]);
        let browser = house.world.sign_in(&house.world.person).await;
        house.tokens(&browser, &rp, SCOPE).await;
        sign_out(&browser.http).await;
        let said = house.wait_for_audit("rp", 1).await;
        assert!(said[0].starts_with("logout.failed attempt 1: it took longer than 1 s"), "{said:?}");
        house.server.travel_seconds(20);
        assert_eq!(house.wait_for_audit("rp", 2).await[1], "logout.told attempt 2");
    }

    async fn inside_addresses_are_not_asked_unless_that_is_allowed(database: TestDatabase) {
        let house =
            House::start_with(database, &[("fetch.allow_private_networks", "false")]).await;
        let rp = house.app("rp").await;
        let browser = house.world.sign_in(&house.world.person).await;
        house.tokens(&browser, &rp, SCOPE).await;
        sign_out(&browser.http).await;
        house.wait_for_audit("rp", 1).await;
        assert!(house.ear.posts("/rp").is_empty());
    }

    async fn two_nodes_tell_each_app_once(database: TestDatabase) {
        const SIGN_INS: usize = 12;
        let house = House::start(database).await;
        let other = house.server.another_node().await;
        let third = house.server.another_node().await;
        let rp = house.app("rp").await;
        let mut browsers = Vec::new();
        for _ in 0..SIGN_INS {
            let browser = house.world.sign_in(&house.world.person).await;
            house.tokens(&browser, &rp, SCOPE).await;
            browsers.push(browser);
        }
        // All at once, and every node is called.
        let act = Act::operator(house.server.now());
        let user = house.world.person.id.parse().unwrap();
        let end = move |connection: &mut _| {
            perennial::protocol::accounts::disable(connection, user, &act)
        };
        house.server.db.write(end).await.unwrap();
        for node in [&house.server, &other, &third] {
            node.db.call_courier();
        }
        house.ear.wait_for("/rp", SIGN_INS).await;
        let said = house.wait_for_audit("rp", SIGN_INS).await;
        assert!(said.iter().all(|line| line == "logout.told attempt 1"), "{said:?}");
        let mut ids = BTreeSet::new();
        for post in house.ear.posts("/rp") {
            ids.insert(house.claims(&post).await["jti"].to_string());
        }
        assert_eq!((ids.len(), house.ear.posts("/rp").len()), (SIGN_INS, SIGN_INS));
        assert_eq!(house.due(), 0);
    }

    async fn a_removed_app_is_told_nothing_more(database: TestDatabase) {
        let house = House::start(database).await;
        let rp = house.app("rp").await;
        house.ear.always("/rp", Reply::Status(500));
        let [away, here] = [(); 2].map(|()| house.world.sign_in(&house.world.person));
        let (away, here) = (away.await, here.await);
        for browser in [&away, &here] {
            house.tokens(browser, &rp, SCOPE).await;
        }
        sign_out(&away.http).await;
        house.wait_for_audit("rp", 1).await;
        assert_eq!((house.waiting().as_str(), house.due()), ("1", 1));
        let (id, act) = (ClientId::parse("rp").unwrap(), Act::operator(house.server.now()));
        let remove = move |connection: &mut _| clients::remove(connection, &id, &act);
        assert!(house.server.db.write(remove).await.unwrap());
        assert_eq!(house.server.sql("SELECT count(*) FROM logout_deliveries"), "0");
        // Nor is another app under its name.
        house.server.travel_seconds(MINUTE);
        house.app("rp").await;
        sign_out(&here.http).await;
        house.after_a_look(&house.app("marker").await).await;
        assert_eq!(house.ear.posts("/rp").len(), 1);
        assert_eq!(house.audit("rp").len(), 1);
    }

    async fn a_sign_in_that_ends_by_itself_is_told_of(database: TestDatabase) {
        let house = House::start_with(
            database,
            &[("sessions.idle_seconds", "3600"), ("sessions.absolute_seconds", "86400")],
        ).await;
        let (bound, lasting) = (house.app("bound").await, house.app("lasting").await);
        let browser = house.world.sign_in(&house.world.person).await;
        let first = house.tokens(&browser, &bound, "openid").await;
        let offline = house.tokens(&browser, &lasting, SCOPE).await;
        // Its access token has ended long ago; the browser's sign-in has not.
        house.server.travel_seconds(50 * MINUTE);
        browser.http.get("/account").await.expect(200);
        house.server.travel_seconds(50 * MINUTE);
        browser.http.get("/account").await.expect(200);
        let now = house.server.now();
        let look = move |connection: &mut _| logout_deliveries::look(connection, None, 10, now);
        let found = house.server.db.read(look).await.unwrap();
        assert!(found.lapsed.is_empty() && found.last.is_some(), "{found:?}");
        assert_eq!((house.waiting().as_str(), house.due()), ("2", 0));
        house.server.travel_seconds(61 * MINUTE);
        let posts = house.ear.wait_for("/bound", 1).await;
        let claims = house.claims(&posts[0]).await;
        assert_eq!(claims["sid"], jwt_part(id_token(&first), 1)["sid"]);
        // The other one still refreshes: its session goes on.
        let newest = house.world.device(&lasting).refresh(&offline.refresh).await.tokens();
        assert!(house.ear.posts("/lasting").is_empty());
        house.server.travel_seconds(31 * 86_400);
        let posts = house.ear.wait_for("/lasting", 1).await;
        assert_eq!(house.claims(&posts[0]).await["sid"], jwt_part(id_token(&newest), 1)["sid"]);
        house.wait_for_audit("lasting", 1).await;
        assert_eq!(house.server.sql("SELECT count(*) FROM logout_deliveries"), "0");
    }

    async fn a_server_that_is_killed_before_the_delivery_makes_it_after_its_start(
        database: TestDatabase
    ) {
        let ear = Listener::start().await;
        // The one attempt under way is cut off in its middle; another isn't begun at all.
        ear.next("/public", &[Reply::Hang]);
        ear.next("/confidential", &[Reply::Status(500)]);
        let mut server = TestServer::start_with(database, |it| {
            it.with("PERENNIAL_FETCH__ALLOW_PRIVATE_NETWORKS", "true")
                .with("PERENNIAL_FETCH__TIMEOUT_SECONDS", "2")
                .with("PERENNIAL_LOGOUT__PAUSE_SECONDS", "4")
        })
        .await;
        let world = World::by_commands(&server);
        for id in ["public", "confidential"] {
            let details = json!({ "backchannel_logout_uri": ear.url(&format!("/{id}")) });
            server.database.sql(&format!(
                "UPDATE clients SET details = '{details}' WHERE id = '{id}'"
            ));
        }
        let browser = world.sign_in(&world.person).await;
        for app in [&world.public, &world.confidential] {
            let code = browser.code(&Request::of(app)).await;
            world.device(app).exchange(&code).await.tokens();
        }
        sign_out(&browser.http).await;
        ear.wait_for("/public", 1).await;
        let begun = Instant::now();
        let failed = "SELECT count(*) FROM audit_events WHERE action = 'logout.failed'";
        while server.database.sql(failed) != "1" {
            assert!(begun.elapsed() < Duration::from_secs(60));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server.kill9();
        assert_eq!(ear.posts("/confidential").len(), 1);
        server.start_again().await;
        for path in ["/public", "/confidential"] {
            let posts = ear.wait_for(path, 2).await;
            let [first, second] = [&posts[0], &posts[1]].map(|post| post.logout_token());
            let second = verified(&server.http(), &second).await;
            assert_eq!(jwt_part(&first, 1)["jti"], second["jti"], "the app knows it again");
        }
    }
}
