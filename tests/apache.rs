//! Debian's Apache with mod_auth_openidc, against the real binary: a site behind a sign-in.

use serde_json::Value;
use url::Url;

use crate::on_both_databases;
use crate::support::apache::Apache;
use crate::support::database::TestDatabase;
use crate::support::http::{Answer, Http};
use crate::support::oauth::World;
use crate::support::server::TestServer;

/// The site, and Ada's browser, whose cookies for the site and for the server are apart.
struct Scene {
    apache: Apache,
    server: TestServer,
    world: World,
    here: Http,
    there: Http,
}

impl Scene {
    /// `told`: whether the site is told of ends by the server, and needn't find out.
    async fn start(database: TestDatabase, told: bool) -> Option<Scene> {
        let server = TestServer::start_with(database, |installation| {
            installation.with("PERENNIAL_FETCH__ALLOW_PRIVATE_NETWORKS", "true")
        })
        .await;
        let world = World::by_commands(&server);
        let origin = Apache::free_origin();
        let (home, redirect_uri) = (format!("{origin}/"), format!("{origin}/protected/callback"));
        let back_channel = format!("{origin}/protected/callback?logout=backchannel");
        let mut line = vec![
            "client",
            "add",
            "--id",
            "apache",
            "--name",
            "Northfield wiki",
            "--type",
            "confidential",
            "--redirect-uri",
            &redirect_uri,
            "--post-logout-redirect-uri",
            &home,
        ];
        if told {
            line.extend(["--backchannel-logout-uri", &back_channel]);
        }
        let made = server.installation.json(&line);
        server.secrets.remember_answer(&made);
        let directives = format!(
            "OIDCProviderMetadataURL {issuer}/.well-known/openid-configuration\n\
             OIDCClientID apache\nOIDCClientSecret {secret}\n\
             OIDCRedirectURI {origin}/protected/callback\n\
             OIDCCryptoPassphrase a-passphrase-of-this-test-alone-0123\n\
             OIDCScope \"openid profile email offline_access\"\n\
             OIDCPKCEMethod S256\nOIDCRemoteUserClaim email\n\
             OIDCUserInfoRefreshInterval 1\n\
             OIDCInfoHook iat access_token access_token_expires id_token userinfo refresh_token\n",
            issuer = server.origin(),
            secret = made["client_secret"].as_str().unwrap(),
        );
        let apache = Apache::start(&origin, &directives).await?;
        let here = Http::new(&origin);
        let there = server.http();
        Some(Scene { apache, server, world, here, there })
    }

    /// Opens a page of the site, and goes where it sends the browser and back, signing in where
    /// that is asked; the page at the end.
    async fn open(&self, path: &str) -> Answer {
        let mut answer = self.here.follow(self.here.get(path).await).await;
        if let Some(next) = answer.location() {
            let back = self.at_the_server(&next).await;
            answer = self.here.follow(self.here.get(back.as_str()).await).await;
        }
        answer
    }

    /// What the server does with a browser that is sent there: signs in and allows; where it
    /// sends it afterwards.
    async fn at_the_server(&self, url: &Url) -> Url {
        let mut answer = self.there.follow(self.there.get(url.as_str()).await).await;
        let person = &self.world.person;
        for form in answer.forms("form[action$='/login']") {
            let typed = [("username", person.username.as_str()), ("password", &person.password)];
            answer = self.there.follow(self.there.submit(&form, &typed).await).await;
        }
        for form in answer.forms("form[action$='/consent']") {
            answer = self.there.submit(&form, &[("decision", "allow")]).await;
        }
        answer.location().unwrap_or_else(|| panic!("{}\n{}", answer.url, answer.text()))
    }

    /// What the module has of the person.
    async fn info(&self) -> Value {
        let told = self.here.get("/protected/callback?info=json").await.expect(200).json();
        self.server.secrets.remember_answer(&told);
        told
    }

    /// Has the module refresh; where it returns to.
    async fn refresh(&self, access_token: &str) -> Url {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("refresh", &format!("{}/protected/", self.apache.origin));
        query.append_pair("access_token", access_token);
        let answer = self.here.get(&format!("/protected/callback?{}", query.finish())).await;
        answer.location().unwrap_or_else(|| panic!("{}", answer.body))
    }

    /// Whether the site lets the browser in as it is.
    async fn is_let_in(&self) -> bool {
        self.here.get("/protected/").await.status == 200
    }
}

on_both_databases! {
    async fn a_site_behind_mod_auth_openidc_signs_in_refreshes_and_signs_out(
        database: TestDatabase
    ) {
        let Some(scene) = Scene::start(database, false).await else { return };
        assert_eq!(scene.here.get("/").await.body, "In the open");
        assert!(!scene.is_let_in().await);
        let page = scene.open("/protected/").await.expect(200);
        assert_eq!(page.body, "Behind the module");
        // From UserInfo.
        assert_eq!(page.header("x-remote-user"), "ada@northfield.example");
        let first = scene.info().await;
        assert_eq!(first["id_token"]["iss"], scene.server.origin(), "{first}");
        assert_eq!(first["id_token"]["aud"], "apache", "{first}");
        assert_eq!(first["id_token"]["sub"], scene.world.person.id, "{first}");
        assert_eq!(first["userinfo"]["sub"], scene.world.person.id, "{first}");

        let mut last = first;
        for _ in 0..3 {
            let back = scene.refresh(last["access_token"].as_str().unwrap()).await;
            assert_eq!(back.path(), "/protected/", "{back}");
            assert_eq!(back.query(), None, "{back}");
            let next = scene.info().await;
            assert_ne!(next["access_token"], last["access_token"]);
            assert_ne!(next["refresh_token"], last["refresh_token"]);
            last = next;
        }
        let sessions = scene.server.installation.json(&["session", "list", "--client", "apache"]);
        assert_eq!(sessions[0]["generation"], 4, "{sessions}");

        // Signed out at the site: the server sends the browser back, and knows it no more.
        let end = format!("/protected/callback?logout={}/", scene.apache.origin);
        let answer = scene.here.get(&end).await;
        let there = answer.location().unwrap_or_else(|| panic!("{}", answer.body));
        assert_eq!(there.path(), "/oauth/logout");
        let back = scene.at_the_server(&there).await;
        assert_eq!(back.as_str(), format!("{}/", scene.apache.origin));
        assert!(!scene.is_let_in().await);
        let login = scene.there.follow(scene.there.get("/account").await).await;
        assert!(!login.forms("form[action$='/login']").is_empty(), "still signed in");
    }

    async fn mod_auth_openidc_notices_a_revocation_at_its_next_refresh(database: TestDatabase) {
        let Some(scene) = Scene::start(database, false).await else { return };
        scene.open("/protected/").await.expect(200);
        let held = scene.info().await;
        scene.server.installation.run(["session", "revoke", "--client", "apache"]).ok();
        let back = scene.refresh(held["access_token"].as_str().unwrap()).await;
        let told: Vec<_> = back.query_pairs().collect();
        assert!(told.contains(&("error_code".into(), "refresh_failed".into())), "{back}");
    }

    async fn mod_auth_openidc_ends_a_session_that_a_logout_token_names(database: TestDatabase) {
        let Some(scene) = Scene::start(database, true).await else { return };
        scene.open("/protected/").await.expect(200);
        scene.server.installation.run(["session", "revoke", "--client", "apache"]).ok();
        let start = std::time::Instant::now();
        while scene.is_let_in().await {
            let waited = start.elapsed();
            assert!(waited < std::time::Duration::from_secs(60), "{}", scene.apache.log());
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
}
