//! A person's own pages, by HTTP, on both databases.

use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::pages::{PASSWORD, Site, session_ids};

const NEW_PASSWORD: &str = "autumn orchard wall 7";

on_both_databases! {
    async fn a_stranger_is_asked_to_sign_in_and_comes_back(database: TestDatabase) {
        let site = Site::start(database).await;
        for path in ["/account", "/account/sessions", "/account/apps", "/account/security"] {
            let http = site.server.http();
            let answer = http.get(path).await.expect(303);
            assert!(answer.location().unwrap().path().ends_with("/login"), "{path}");
            let login = http.follow(answer).await.expect(200);
            let form = login.form("form:has([name=password])");
            let fields = [("username", "ada"), ("password", PASSWORD)];
            let after = http.submit(&form, &fields).await.expect(303);
            assert_eq!(after.location().unwrap().path(), path);
            let page = http.follow(after).await.expect(200);
            assert!(!page.forms("form[action$='/logout']").is_empty(), "{path}");
        }
    }

    async fn one_session_is_ended_and_only_one_s_own(database: TestDatabase) {
        let site = Site::start(database).await;
        let ada = site.browser("ada").await;
        let tokens = site.sign_in_to_app(&ada).await;
        let tokens = site.refresh(&tokens).await.unwrap();

        let page = ada.get("/account/sessions").await.expect(200);
        assert!(page.text().contains("You are here"), "{}", page.text());
        let forms = page.forms("form[action$='/end']");
        assert_eq!(forms.len(), 1, "the app's session; this browser signs out above");

        // Somebody else's session isn't there, for whoever knows its id.
        let fern = site.browser("fern").await;
        let mut foreign = fern.get("/account").await.form("form[action$='/logout']");
        foreign.action = forms[0].action.clone();
        fern.submit(&foreign, &[]).await.expect(404);
        // Without the form's token nothing happens.
        ada.post_form(&forms[0].action, &[]).await.expect(403);
        let tokens = site.refresh(&tokens).await.unwrap();

        let after = ada.submit(&forms[0], &[]).await.expect(303);
        let page = ada.follow(after).await.expect(200);
        assert!(page.text().contains("Signed out of Meadow Notes."), "{}", page.text());
        assert!(page.text().contains("Signed out by you"), "{}", page.text());
        assert!(site.refresh(&tokens).await.is_none());
        // The message is shown once; a second press changes nothing.
        assert!(!ada.get("/account/sessions").await.text().contains("Signed out of Meadow"));
        let page = ada.follow(ada.submit(&forms[0], &[]).await.expect(303)).await;
        assert!(page.text().contains("had ended already"), "{}", page.text());
    }

    async fn end_others_keeps_this_browser_and_its_apps(database: TestDatabase) {
        let site = Site::start(database).await;
        let (here, there) = (site.browser("ada").await, site.browser("ada").await);
        let own = site.sign_in_to_app(&here).await;
        let other = site.sign_in_to_app(&there).await;
        let page = here.get("/account/sessions").await.expect(200);
        assert!(page.text().contains("2 sessions"), "{}", page.text());
        let form = page.form("form[action$='/end-others']");
        let page = here.follow(here.submit(&form, &[]).await.expect(303)).await.expect(200);
        assert!(page.text().contains("Signed out everywhere else: 1 session"), "{}", page.text());
        assert!(page.text().contains("You are signed in nowhere else"), "{}", page.text());
        assert!(site.refresh(&other).await.is_none());
        assert!(site.refresh(&own).await.is_some());
        there.get("/account").await.expect(303);
    }

    async fn a_browser_s_sign_in_is_ended_from_another(database: TestDatabase) {
        let site = Site::start(database).await;
        let (here, there) = (site.browser("ada").await, site.browser("ada").await);
        let tokens = site.sign_in_to_app(&there).await;
        let page = here.get("/account/sessions").await.expect(200);
        for form in page.forms("form[action$='/end']") {
            here.submit(&form, &[]).await.expect(303);
        }
        there.get("/account").await.expect(303);
        assert!(site.refresh(&tokens).await.is_none());
        here.get("/account").await.expect(200);
    }

    async fn an_app_is_removed_and_asks_again(database: TestDatabase) {
        let site = Site::start(database).await;
        let ada = site.browser("ada").await;
        assert!(ada.get("/account/apps").await.text().contains("No app uses your account yet"));
        let tokens = site.sign_in_to_app(&ada).await;
        let page = ada.get("/account/apps").await.expect(200);
        for told in ["Meadow Notes", "app.meadow.example", "Sees your email address", "Keeps access"] {
            assert!(page.text().contains(told), "{told}: {}", page.text());
        }
        assert!(ada.get("/account").await.text().contains("1 connected app"));
        let form = page.form("form[action$='/remove']");
        let page = ada.follow(ada.submit(&form, &[]).await.expect(303)).await.expect(200);
        assert!(page.text().contains("Meadow Notes may no longer use your account. 1 session ended."), "{}", page.text());
        assert!(site.refresh(&tokens).await.is_none());
        ada.submit(&form, &[]).await.expect(404);
        // It must be allowed again.
        site.sign_in_to_app(&ada).await;
        assert!(ada.get("/account/apps").await.text().contains("Remove access"));
    }

    async fn the_password_is_changed_by_who_knows_it(database: TestDatabase) {
        let site = Site::start(database).await;
        site.server.secrets.remember("password", NEW_PASSWORD);
        let (here, there) = (site.browser("ada").await, site.browser("ada").await);
        let other = site.sign_in_to_app(&there).await;
        let form = here.get("/account/security").await.expect(200).form("form[action$='/password']");
        assert_eq!(form.value("everywhere"), Some("1"), "ticked by itself");

        let page = here.submit(&form, &[("current", PASSWORD), ("password", "short")]).await.expect(422);
        assert!(page.text().contains("Use at least"), "{}", page.text());
        let page = here.submit(&form, &[("current", "something else"), ("password", NEW_PASSWORD)]).await.expect(422);
        assert!(page.body.contains("<title>Error: "), "{}", page.body);
        assert!(page.text().contains("That isn’t your password."), "{}", page.text());
        let page = here.submit(&form, &[("current", PASSWORD), ("password", PASSWORD)]).await.expect(422);
        assert!(page.text().contains("Choose another password"), "{}", page.text());
        assert!(site.refresh(&other).await.is_some());

        let fields = [("current", PASSWORD), ("password", NEW_PASSWORD)];
        let page = here.follow(here.submit(&form, &fields).await.expect(303)).await.expect(200);
        assert!(page.text().contains("You are signed out everywhere else"), "{}", page.text());
        assert!(page.text().contains("Password changed"), "{}", page.text());
        there.get("/account").await.expect(303);
        let old = site.server.http();
        assert_ne!(site.sign_in(&old, "ada", PASSWORD).await.status, 200);
        site.sign_in(&old, "ada", NEW_PASSWORD).await.expect(200);
    }

    async fn guessing_the_password_here_makes_one_wait(database: TestDatabase) {
        let site = Site::start(database).await;
        let ada = site.browser("ada").await;
        let form = ada.get("/account/security").await.form("form[action$='/password']");
        let wrong = [("current", "not this one"), ("password", NEW_PASSWORD)];
        let mut waits = false;
        for _ in 0..40 {
            waits |= ada.submit(&form, &wrong).await.expect(422).text().contains("Wait until");
            if waits {
                break;
            }
        }
        assert!(waits);
        let right = [("current", PASSWORD), ("password", NEW_PASSWORD)];
        let page = ada.submit(&form, &right).await.expect(422);
        assert!(page.text().contains("Wait until"), "{}", page.text());
    }

    async fn a_token_used_twice_is_told_to_its_person_and_to_administrators(database: TestDatabase) {
        let site = Site::start(database).await;
        let ada = site.browser("ada").await;
        let first = site.sign_in_to_app(&ada).await;
        let second = site.refresh(&first).await.unwrap();
        let third = site.refresh(&second).await.unwrap();
        let fourth = site.refresh(&third).await.unwrap();
        // Far behind, and past the retry window.
        site.server.database.sql("UPDATE token_families SET parent_given_at = 0, given_at = given_at");
        assert!(site.refresh(&first).await.is_none(), "reuse");
        assert!(site.refresh(&fourth).await.is_none(), "the session is over");

        let page = ada.get("/account").await.expect(200);
        assert!(page.text().contains("We signed you out of Meadow Notes"), "{}", page.text());
        assert!(ada.get("/account/sessions").await.text().contains("Signed out by us"));

        let fern = site.browser("fern").await;
        let page = fern.get("/admin").await.expect(200);
        assert!(page.text().contains("1 session raised an alarm that nobody has read"), "{}", page.text());
        let list = fern.get("/admin/sessions?state=reuse").await.expect(200);
        let ids = session_ids(&list);
        assert_eq!(ids.len(), 1);
        let page = fern.get(&format!("/admin/sessions/{}", ids[0])).await.expect(200);
        for told in ["Someone has a copy", "The two callers", "Token 1 used a second time", "Signed out, both callers"] {
            assert!(page.text().contains(told), "{told}: {}", page.text());
        }
        let audit = fern.get("/admin/audit?event=reuse").await.expect(200);
        assert!(audit.text().contains("Token reuse"), "{}", audit.text());
    }
}
