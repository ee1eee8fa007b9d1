//! Clients whose id is the address of their metadata: somebody signs in to an app that nobody
//! has registered.

use std::time::Duration;

use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::http::Answer;
use crate::support::local::LocalServer;
use crate::support::oauth::{App, Request, TokenEndpoint, World};
use crate::support::web_server::{Page, WebServer};

const LOOPBACK: &str = "http://127.0.0.1/callback";

/// A server, and the web server that documents stand on.
struct Scene {
    web: WebServer,
    server: LocalServer,
    world: World,
}

impl Scene {
    async fn new(database: TestDatabase) -> Scene {
        Scene::with(database, &[]).await
    }

    async fn with(database: TestDatabase, more: &[(&str, &str)]) -> Scene {
        let web = WebServer::start("localhost").await;
        let authority = web.authority_file().to_str().unwrap().to_owned();
        let mut settings = vec![
            ("registration.client_id_documents", "true"),
            ("fetch.allow_private_networks", "true"),
            ("fetch.ca_file", &authority),
        ];
        settings.extend(more);
        let server = LocalServer::start_with(database, &settings).await;
        let world = World::on(&server).await;
        Scene { web, server, world }
    }

    /// The app at a path.
    fn app(&self, path: &str) -> App {
        App { id: self.web.url(path), secret: None, redirect_uri: LOOPBACK.to_owned() }
    }

    /// A good document for a path, changed.
    fn document(&self, path: &str, changes: &Value) -> Value {
        let mut body = json!({
            "client_id": self.web.url(path),
            "client_name": "Sundial",
            "redirect_uris": [LOOPBACK],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        });
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    }

    fn put(&self, path: &str, changes: &Value) {
        self.web.put(path, Page::json(&self.document(path, changes)));
    }

    /// Opens a request of the app at a path; nobody is signed in.
    async fn open(&self, path: &str) -> Answer {
        let request = Request::of(&self.app(path)).with("scope", "openid");
        self.world.browser().open(&request).await
    }

    fn documents(&self) -> String {
        self.server.sql("SELECT count(*) FROM clients WHERE origin = 'document'")
    }
}

on_both_databases! {
    async fn somebody_signs_in_to_an_app_that_nobody_registered(database: TestDatabase) {
        let scene = Scene::new(database).await;
        scene.put("/client.json", &json!({}));
        let app = App {
            // Where the program on the person's computer happens to listen.
            redirect_uri: "http://127.0.0.1:49152/callback".to_owned(),
            ..scene.app("/client.json")
        };
        let request = Request::of(&app).with("scope", "openid offline_access");
        let browser = scene.world.sign_in(&scene.world.person).await;
        let consent = browser.open(&request).await.expect(200);
        let host = format!("localhost:{}", scene.web.port);
        let text = consent.text();
        assert!(text.contains("Allow Sundial to use your account?"), "{text}");
        assert!(text.contains(&format!("An app from {host}")), "{text}");
        assert!(text.contains("has checked this app"), "{text}");
        assert!(text.contains("a program on this computer"), "{text}");
        assert_eq!(consent.attributes(".button:not(.quiet):not(.plain)", "value"), ["deny"]);

        let code = browser.code(&request).await;
        let device = scene.world.device(&app);
        let tokens = device.exchange(&code).await.tokens();
        assert_eq!(tokens.claims()["client_id"], app.id.as_str());
        let tokens = device.refresh(&tokens.refresh).await.tokens();
        device.revoke(&tokens.refresh).await.expect(200);
        assert_eq!(scene.web.seen().len(), 1, "it counts for a while");
        assert_eq!(scene.documents(), "1");

        // The person finds it among their apps, and an administrator among all.
        let apps = browser.http.get("/account/apps").await.expect(200);
        assert!(apps.text().contains("Sundial"));
        let admin = scene.world.sign_in(&scene.world.admin).await;
        let list = admin.http.get("/admin/clients").await.expect(200);
        let links = list.attributes("tbody a.rowlink", "href");
        let own = links.iter().find(|link| link.contains("localhost")).unwrap();
        let page = admin.http.get(own).await.expect(200);
        assert!(page.text().contains("Nobody has reviewed this app"), "{}", page.text());
        let form = page.form("form[action$='/review']");
        let page = admin.http.follow(admin.http.submit(&form, &[]).await).await.expect(200);
        assert!(page.text().contains("Sundial is reviewed."), "{}", page.text());
    }

    async fn ids_are_no_addresses_unless_the_operator_says_so(database: TestDatabase) {
        let scene = Scene::with(database, &[("registration.client_id_documents", "false")]).await;
        scene.put("/client.json", &json!({}));
        let answer = scene.open("/client.json").await.expect(400);
        assert!(answer.text().contains("client IDs are not addresses"), "{}", answer.text());
        assert_eq!(scene.web.connections(), 0);
    }

    async fn only_hosts_that_the_operator_names_are_read(database: TestDatabase) {
        let scene = Scene::with(database, &[("registration.document_hosts", "app.example")]).await;
        scene.put("/client.json", &json!({}));
        let answer = scene.open("/client.json").await.expect(400);
        assert!(answer.text().contains("are not taken at this server"), "{}", answer.text());
        assert_eq!(scene.web.connections(), 0);
    }

    async fn a_document_that_is_no_client_signs_nobody_in(database: TestDatabase) {
        let scene = Scene::new(database).await;
        for (path, page, why) in [
            ("/missing", None, "status 404"),
            ("/moved", Some(Page::text("text/plain", "").status(302).header("location", "/good")), "status 302"),
            ("/html", Some(Page::text("text/html", "{}")), "not application/json"),
            ("/broken", Some(Page::text("application/json", "{")), "not JSON"),
            ("/long", Some(Page::json(&scene.document("/long", &json!({ "x": "y".repeat(5_000) })))), "longer than 5120 bytes"),
            ("/other", Some(Page::json(&scene.document("/else", &json!({})))), "client_id"),
            ("/secret", Some(Page::json(&scene.document("/secret", &json!({ "client_secret": "x" })))), "client_secret"),
            ("/basic", Some(Page::json(&scene.document("/basic", &json!({ "token_endpoint_auth_method": "client_secret_basic" })))), "token_endpoint_auth_method"),
            ("/http", Some(Page::json(&scene.document("/http", &json!({ "redirect_uris": ["http://app.example/"] })))), "redirect_uris"),
        ] {
            if let Some(page) = page {
                scene.web.put(path, page);
            }
            let text = scene.open(path).await.expect(400).text();
            assert!(text.contains(why), "{path}: {text}");
        }
        assert_eq!(scene.documents(), "0");
        // Nor does an address that isn't in its plain form; it isn't even asked for.
        let asked = scene.web.connections();
        for path in ["/a/../client.json", "/client.json#x"] {
            scene.open(path).await.expect(400);
        }
        assert_eq!(scene.web.connections(), asked);
    }

    async fn a_document_counts_as_long_as_its_server_says(database: TestDatabase) {
        let scene = Scene::new(database).await;
        let page = |changes: &Value| {
            Page::json(&scene.document("/c", changes)).header("cache-control", "max-age=300")
        };
        scene.web.put("/c", page(&json!({})));
        scene.open("/c").await.expect(200);
        scene.server.sql("UPDATE clients SET reviewed_at = 1 WHERE origin = 'document'");
        scene.server.travel_seconds(299);
        scene.open("/c").await.expect(200);
        assert_eq!(scene.web.seen().len(), 1);

        // Read anew and unchanged, it stays reviewed; changed, it doesn't.
        scene.server.travel_seconds(1);
        scene.open("/c").await.expect(200);
        assert_eq!(scene.web.seen().len(), 2);
        let reviewed = "SELECT count(*) FROM clients WHERE reviewed_at IS NOT NULL";
        assert_eq!(scene.server.sql(reviewed), "1");
        scene.web.put("/c", page(&json!({ "client_name": "Moondial" })));
        scene.server.travel_seconds(300);
        assert!(scene.open("/c").await.expect(200).text().contains("Moondial"));
        assert_eq!(scene.server.sql(reviewed), "0");

        // Its server is down for a while: what was read goes on for a day.
        scene.web.put("/c", Page::text("text/plain", "later").status(503));
        scene.server.travel(Duration::from_secs(23 * 3600));
        scene.open("/c").await.expect(200);
        scene.server.travel(Duration::from_secs(2 * 3600));
        scene.open("/c").await.expect(400);
        // It was taken away: nobody signs in to it any more.
        scene.web.put("/c", page(&json!({})));
        scene.open("/c").await.expect(200);
        scene.web.put("/c", Page::text("text/plain", "gone").status(410));
        scene.server.travel_seconds(301);
        let text = scene.open("/c").await.expect(400).text();
        assert!(text.contains("status 410"), "{text}");
    }

    async fn nobody_makes_the_server_read_documents_without_end(database: TestDatabase) {
        let scene = Scene::with(database, &[("registration.per_address_hourly", "3")]).await;
        for path in ["/1", "/2", "/3"] {
            scene.open(path).await.expect(400);
        }
        scene.open("/4").await.expect(429);
        assert_eq!(scene.web.connections(), 3);
        scene.server.travel_seconds(1200);
        scene.open("/4").await.expect(400);
        assert_eq!(scene.web.connections(), 4);
    }

    async fn inside_addresses_are_not_asked_for(database: TestDatabase) {
        let scene = Scene::with(database, &[("fetch.allow_private_networks", "false")]).await;
        scene.put("/client.json", &json!({}));
        let text = scene.open("/client.json").await.expect(400).text();
        assert!(text.contains("isn't public") || text.contains("isn’t public"), "{text}");
        assert_eq!(scene.web.connections(), 0);
    }

    async fn what_nobody_uses_any_more_is_forgotten(database: TestDatabase) {
        let scene = Scene::new(database).await;
        scene.put("/client.json", &json!({}));
        scene.open("/client.json").await.expect(200);
        let month = Duration::from_secs(30 * 24 * 3600);
        scene.server.travel(month);
        let gone =
            perennial::protocol::unused_clients::prune(&scene.server.db, month, scene.server.now());
        assert_eq!(gone.await.unwrap(), 1);
        assert_eq!(scene.documents(), "0");
        scene.open("/client.json").await.expect(200);
    }
}
