//! What people say of themselves, by the pages and by the command, on both databases.

use serde_json::json;

use crate::on_both_databases;
use crate::support::browser::{Browser, PHONE, Scheme};
use crate::support::database::{self, Kind, TestDatabase};
use crate::support::pages::{PASSWORD, Site};

/// The id of Ada's account.
fn ada(site: &Site) -> String {
    let shown = site.server.installation.json(&["user", "show", "ada"]);
    shown["id"].as_str().unwrap().to_owned()
}

on_both_databases! {
    async fn a_person_edits_their_details_and_is_told_what_is_wrong(database: TestDatabase) {
        let site = Site::start(database).await;
        let http = site.browser("ada").await;
        let page = http.get("/account").await.expect(200);
        let links = page.attributes("main a", "href");
        assert!(links.iter().any(|link| link == "/account/profile"), "{links:?}");
        let page = http.get("/account/profile").await.expect(200);
        let form = page.form("form[action$='/account/profile']");
        assert_eq!(form.value("display_name"), Some("Ada Rowe"));
        assert_eq!(form.value("email"), None, "an administrator's to change");
        assert_eq!(form.value("phone_number_verified"), None);

        let wrong = [
            ("display_name", ""), ("birthdate", "yesterday"), ("website", "javascript:alert(1)"),
            ("zoneinfo", "Mars/Olympus"), ("nickname", "Ad"), ("phone_number", "12"),
        ];
        let page = http.submit(&form, &wrong).await.expect(422);
        assert!(page.body.contains("<title>Error: "), "{}", page.body);
        assert!(page.text().contains("There are 5 problems"), "{}", page.text());
        let form = page.form("form[action$='/account/profile']");
        assert_eq!(form.value("birthdate"), Some("yesterday"), "what was typed is kept");
        assert_eq!(form.value("nickname"), Some("Ad"));
        for link in page.attributes(".summary a", "href") {
            let id = link.trim_start_matches('#');
            assert_eq!(page.attributes(&format!("#{id}"), "aria-invalid"), ["true"], "{link}");
        }
        let shown = site.server.installation.json(&["user", "show", "ada"]);
        assert_eq!(shown["profile"], json!({}), "nothing of it was stored");

        let right = [
            ("display_name", " Ada Fern "), ("birthdate", "0000-12-24"),
            ("website", "https://ada.example"), ("zoneinfo", "europe/london"), ("nickname", "Ad"),
            ("phone_number", "+44 (20) 7946 0958"), ("street_address", "2 Fern Walk\r\nFlat 3"),
        ];
        let page = http.follow(http.submit(&form, &right).await.expect(303)).await.expect(200);
        for told in ["Your details are saved.", "Hello, Ada", "Ada Fern", "+442079460958"] {
            assert!(page.text().contains(told), "{told}: {}", page.text());
        }
        let shown = site.server.installation.json(&["user", "show", "ada"]);
        assert_eq!(shown["display_name"], "Ada Fern");
        assert_eq!(shown["profile"], json!({
            "nickname": "Ad", "birthdate": "0000-12-24", "website": "https://ada.example",
            "zoneinfo": "Europe/London", "phone_number": "+442079460958",
            "street_address": "2 Fern Walk\nFlat 3",
        }));
        // The form has it all, and what is emptied goes.
        let form = http.get("/account/profile").await.form("form[action$='/account/profile']");
        assert_eq!(form.value("zoneinfo"), Some("Europe/London"));
        let unchanged = http.follow(http.submit(&form, &[]).await.expect(303)).await;
        assert!(unchanged.text().contains("Nothing was changed."), "{}", unchanged.text());
        http.submit(&form, &[("nickname", ""), ("street_address", " ")]).await.expect(303);
        let shown = site.server.installation.json(&["user", "show", "ada"]);
        assert_eq!(shown["profile"].get("nickname"), None);
        assert_eq!(shown["profile"].get("street_address"), None);
    }

    async fn nobody_says_what_only_an_administrator_may(database: TestDatabase) {
        let site = Site::start(database).await;
        let http = site.browser("ada").await;
        let form = http.get("/account/profile").await.form("form[action$='/account/profile']");
        let forged = [
            ("email", "fern@northfield.example"), ("email_verified", "1"), ("is_admin", "1"),
            ("phone_number", "+442079460958"), ("phone_number_verified", "1"),
        ];
        http.submit(&form, &forged).await.expect(303);
        let shown = site.server.installation.json(&["user", "show", "ada"]);
        assert_eq!(shown["email"], "ada@northfield.example");
        assert_eq!(shown["email_verified"], false);
        assert_eq!(shown["profile"], json!({ "phone_number": "+442079460958" }));
        assert_eq!(shown["admin"], false);
        // Nor on the administrator's page, nor without the form's own token.
        let path = format!("/admin/users/{}/profile", ada(&site));
        http.get(&path).await.expect(403);
        http.post_form("/account/profile", &[("display_name", "X")]).await.expect(403);
        site.server.http().get("/account/profile").await.expect(303);
    }

    async fn an_administrator_changes_details_and_says_what_is_confirmed(database: TestDatabase) {
        let site = Site::start(database).await;
        let fern = site.browser("fern").await;
        let own = format!("/admin/users/{}", ada(&site));
        let path = format!("{own}/profile");
        let links = fern.get(&own).await.expect(200).attributes("main a", "href");
        assert!(links.contains(&path), "{links:?}");
        let selector = "form[action$='/profile']";
        let form = fern.get(&path).await.expect(200).form(selector);

        let fields = [
            ("email_verified", "1"), ("phone_number", "+442079460958"), ("given_name", "Ada"),
        ];
        let page = fern.follow(fern.submit(&form, &fields).await.expect(303)).await.expect(200);
        for told in ["The details of Ada Rowe are saved.", "The new number isn’t confirmed yet.", "Confirmed", "First names"] {
            assert!(page.text().contains(told), "{told}: {}", page.text());
        }
        let form = fern.get(&path).await.form(selector);
        assert_eq!(form.value("email_verified"), Some("1"));
        fern.submit(&form, &[("phone_number_verified", "1")]).await.expect(303);
        let shown = site.server.installation.json(&["user", "show", "ada"]);
        assert_eq!(shown["email_verified"], true);
        assert_eq!(shown["profile"]["phone_number_verified"], true);
        // The person sees it, and a number of their own is theirs to confirm again.
        let ada = site.browser("ada").await;
        assert_eq!(ada.get("/account").await.text().matches("Confirmed").count(), 2);
        let theirs = ada.get("/account/profile").await.form("form[action$='/account/profile']");
        ada.submit(&theirs, &[("phone_number", "+442079460000")]).await.expect(303);
        let shown = site.server.installation.json(&["user", "show", "ada"]);
        assert_eq!(shown["profile"].get("phone_number_verified"), None);

        // Another address has to be confirmed anew, and must be nobody's.
        let form = fern.get(&path).await.form(selector);
        let page = fern.submit(&form, &[("email", "FERN@northfield.example")]).await.expect(422);
        assert!(page.text().contains("an account has this one"), "{}", page.text());
        let page = fern.submit(&form, &[("email", "ada.rowe@northfield.example")]).await.expect(303);
        let page = fern.follow(page).await.expect(200);
        assert!(page.text().contains("The new address isn’t confirmed yet."), "{}", page.text());
        let shown = site.server.installation.json(&["user", "show", "ada"]);
        assert_eq!(shown["email_verified"], false);
        // Which they sign in with from now on.
        let http = site.server.http();
        site.sign_in(&http, "ada.rowe@northfield.example", PASSWORD).await.expect(200);

        // The log has the names of what changed, never the values.
        let audit = fern.get("/admin/audit").await.expect(200).text();
        assert!(audit.contains("Details changed"), "{audit}");
        let details = site.server.database.sql(
            "SELECT detail FROM audit_events WHERE action = 'user.profile_changed' ORDER BY id",
        );
        let expected = "email_verified, given_name, phone_number\nphone_number_verified\n\
                        phone_number, phone_number_verified\nemail, email_verified";
        assert_eq!(details.trim(), expected);
        let events = ada.get("/account/security").await.text();
        assert!(events.contains("Your details changed by an administrator"), "{events}");
    }

    async fn the_command_changes_shows_and_refuses_as_the_pages_do(database: TestDatabase) {
        let site = Site::start(database).await;
        let installation = &site.server.installation;
        let changed = installation.json(&[
            "user", "update", "ada", "--given-name", "Ada", "--birthdate", "1990",
            "--phone-number", "+44 20 7946 0958", "--phone-number-verified", "true",
            "--email", "ada.rowe@northfield.example", "--email-verified", "true",
            "--display-name", "Ada Fern",
        ]);
        assert_eq!(changed["profile"], json!({
            "given_name": "Ada", "birthdate": "1990", "phone_number": "+442079460958",
            "phone_number_verified": true,
        }));
        assert_eq!(changed["email_verified"], true);
        assert!(changed["profile_updated_at"].is_string());
        assert_eq!(installation.json(&["user", "show", "ada"]), changed);
        let changed = installation.json(&["user", "update", "ada", "--email", "a@x.example"]);
        assert_eq!(changed["email_verified"], false);
        let emptied = installation.json(&["user", "update", "ada", "--phone-number", ""]);
        assert_eq!(emptied["profile"], json!({ "given_name": "Ada", "birthdate": "1990" }));

        for (line, status, said) in [
            (&["user", "update", "ada"][..], 2, "--given-name"),
            (&["user", "update", "ada", "--birthdate", "1.1.1990"][..], 2, "--birthdate: Write a day"),
            (&["user", "update", "ada", "--phone-number-verified", "true"][..], 2, "--phone-number"),
            (&["user", "update", "ada", "--email", "fern@northfield.example"][..], 1, "already"),
            (&["user", "update", "nobody", "--nickname", "N"][..], 1, "nobody"),
        ] {
            let output = installation.run(line);
            assert_eq!(output.status.code(), Some(status), "{line:?}");
            assert!(output.stderr.contains(said), "{line:?}: {}", output.stderr);
        }
        let text = installation.run(["user", "show", "ada"]).ok().stdout;
        assert!(text.contains("a@x.example (not verified)"), "{text}");
    }
}

/// The forms in a real browser, at both widths and in both schemes, without and with faults.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_forms_look_right_and_work_in_a_browser() {
    let Some(mut browser) = Browser::start(PHONE.0, PHONE.1, Scheme::Light).await else {
        return;
    };
    let site = Site::start(database::fresh(Kind::Sqlite).unwrap()).await;
    let page = |path: &str| format!("{}{path}", site.server.origin());
    browser.goto(&page("/account/profile")).await.unwrap();
    browser.fill("#username", "fern").await;
    browser.fill("#password", PASSWORD).await;
    browser.click("form[action$='/login'] button").await;
    browser.wait_for_text("Postal address").await;
    browser.fill("#birthdate", "1990-02-30").await;
    browser.fill("#nickname", "Fernie").await;
    browser.click("main form.stack button").await;
    browser.wait_for_text("There is a problem").await;
    browser.check_looks("account-profile-error", Some(422)).await;
    browser.click(".summary a").await;
    browser.fill("#birthdate", "1990-02-28").await;
    browser.click("main form.stack button").await;
    browser.wait_for_text("Your details are saved.").await;
    browser.check_looks("account-details", None).await;
    let path = format!("/admin/users/{}/profile", ada(&site));
    for path in ["/account/profile", path.as_str()] {
        browser.goto(&page(path)).await.unwrap();
        browser.wait_for_text("Postal address").await;
        let name =
            if path.starts_with("/admin") { "admin-user-profile" } else { "account-profile" };
        browser.check_looks(name, None).await;
    }
}
