//! The administrators' pages, by HTTP, on both databases.

use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::http::{Answer, Http};
use crate::support::pages::{Site, session_ids};

/// All pages that need no id.
const PAGES: [&str; 7] = [
    "/admin",
    "/admin/sessions",
    "/admin/users",
    "/admin/clients",
    "/admin/clients/new",
    "/admin/audit",
    "/admin/keys",
];

/// Presses a button that posts, and reads the page after it.
async fn press(http: &Http, page: &Answer, selector: &str, fields: &[(&str, &str)]) -> Answer {
    let answer = http.submit(&page.form(selector), fields).await.expect(303);
    http.follow(answer).await.expect(200)
}

#[track_caller]
fn says(page: &Answer, words: &str) {
    assert!(page.text().contains(words), "{words:?} isn't in {}", page.text());
}

on_both_databases! {
    async fn only_administrators_come_in(database: TestDatabase) {
        let site = Site::start(database).await;
        let (fern, ada, stranger) =
            (site.browser("fern").await, site.browser("ada").await, site.server.http());
        for path in PAGES {
            fern.get(path).await.expect(200);
            ada.get(path).await.expect(403);
            stranger.get(path).await.expect(303);
        }
        for path in ["/admin/sessions/x", "/admin/users/x", "/admin/clients/x", "/admin/clients/x/remove"] {
            fern.get(path).await.expect(404);
        }
        // A form of the administrator's, sent by somebody else.
        let form = fern.get("/admin/clients/new").await.form("form[action$='/admin/clients']");
        let mut theirs = ada.get("/account").await.form("form[action$='/logout']");
        theirs.action = form.action.clone();
        ada.submit(&theirs, &[("name", "Mine")]).await.expect(403);
        fern.post_form("/admin/clients", &[("name", "Mine")]).await.expect(403);
    }

    async fn a_session_is_revoked_with_a_reason_after_a_page_that_says_so(database: TestDatabase) {
        let site = Site::start(database).await;
        let ada = site.browser("ada").await;
        let tokens = site.sign_in_to_app(&ada).await;
        let tokens = site.refresh(&tokens).await.unwrap();
        let fern = site.browser("fern").await;

        let list = fern.get("/admin/sessions").await.expect(200);
        says(&list, "1 session");
        let ids = session_ids(&list);
        let page = fern.get(&format!("/admin/sessions/{}", ids[0])).await.expect(200);
        for told in ["Ada Rowe, Meadow Notes", "Signed in, generation 1", "Refreshed, generation 2", "Current"] {
            says(&page, told);
        }

        let form = list.form("form[action$='/admin/sessions/revoke']");
        let ask = fern.submit(&form, &[("id", &ids[0])]).await.expect(200);
        says(&ask, "Revoke 1 session?");
        let form = ask.form("form[action$='/admin/sessions/revoke']");
        let page = fern.submit(&form, &[]).await.expect(422);
        says(&page, "Choose a reason.");
        let tokens = site.refresh(&tokens).await.unwrap();

        let fields = [("reason", "lost"), ("note", "left on a train")];
        let page = fern.follow(fern.submit(&form, &fields).await.expect(303)).await.expect(200);
        says(&page, "1 session revoked. 1 browser signed out.");
        assert!(site.refresh(&tokens).await.is_none());
        ada.get("/account").await.expect(303);

        let page = fern.get(&format!("/admin/sessions/{}", ids[0])).await.expect(200);
        for told in ["Revoked", "Device lost or stolen: left on a train", "Fern Holm"] {
            says(&page, told);
        }
        // Again: there is nothing left.
        let page = fern.follow(fern.submit(&form, &fields).await.expect(303)).await.expect(200);
        says(&page, "had ended already");
        let audit = fern.get(&format!("/admin/audit?q={}", ids[0])).await.expect(200);
        says(&audit, "Session ended");
        says(&audit, "left on a train");
        // The person isn't told the note.
        let ada = site.browser("ada").await;
        let page = ada.get("/account/sessions").await.expect(200);
        says(&page, "Signed out by an administrator");
        assert!(!page.body.contains("train"));
    }

    async fn the_list_is_searched_filtered_sorted_and_cut_into_pages(database: TestDatabase) {
        let site = Site::start(database).await;
        let (ada, fern) = (site.browser("ada").await, site.browser("fern").await);
        let mut newest = None;
        for _ in 0..28 {
            newest = Some(site.sign_in_to_app(&ada).await);
        }
        site.sign_in_to_app(&fern).await;

        for sort in ["", "sort=created", "sort=-rotated", "sort=rotated"] {
            let first = fern.get(&format!("/admin/sessions?user=ada&{sort}")).await.expect(200);
            says(&first, "28 sessions");
            let mut ids = session_ids(&first);
            assert_eq!(ids.len(), 25);
            let next = first.attributes("nav.pages a[rel=next]", "href").remove(0);
            let second = fern.get(&next).await.expect(200);
            ids.extend(session_ids(&second));
            assert!(second.attributes("nav.pages a[rel=next]", "href").is_empty());
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), 28, "{sort}: each once");
        }
        for (query, found) in [
            ("q=ROWE", 25), ("q=fern%40", 1), ("q=Meadow+notes", 25), ("q=nobody", 0),
            ("q=127.0.0.1", 25), ("q=192.0.2.1", 0), ("client=meadow&user=fern", 1),
            ("client=other", 0), ("user=nobody", 0), ("state=active&user=fern", 1),
            ("state=quiet", 0), ("state=revoked", 0), ("state=signed_out", 0),
            ("state=expired", 0), ("state=reuse", 0), ("q=%25", 0), ("after=nonsense", 25),
        ] {
            let list = fern.get(&format!("/admin/sessions?{query}")).await.expect(200);
            assert_eq!(session_ids(&list).len(), found, "{query}: {}", list.text());
        }

        // All that match, beyond the page, and nobody else's.
        let list = fern.get("/admin/sessions?user=ada").await.expect(200);
        says(&list, "Revoke all 28 that match…");
        let form = list.form("form[action$='/admin/sessions/revoke']");
        let ask = fern.submit(&form, &[("all", "1")]).await.expect(200);
        says(&ask, "Revoke 28 sessions?");
        let form = ask.form("form[action$='/admin/sessions/revoke']");
        assert!(form.fields.iter().all(|(name, _)| name != "id"));
        let mut fields: Vec<(&str, &str)> = vec![("reason", "left")];
        fields.push(("browsers", ""));
        let page = fern.follow(fern.submit(&form, &fields).await.expect(303)).await.expect(200);
        says(&page, "28 sessions revoked.");
        assert!(site.refresh(&newest.unwrap()).await.is_none());
        ada.get("/account").await.expect(200);
        assert_eq!(session_ids(&fern.get("/admin/sessions?state=revoked").await).len(), 25);
        assert_eq!(session_ids(&fern.get("/admin/sessions?state=active").await).len(), 1);
        // Without a filter there is no "all".
        let page = fern.follow(fern.get("/admin/sessions/revoke?all=1").await).await.expect(200);
        says(&page, "Nothing to revoke");
    }

    async fn a_person_is_disabled_enabled_and_signed_out(database: TestDatabase) {
        let site = Site::start(database).await;
        let (ada, fern) = (site.browser("ada").await, site.browser("fern").await);
        let tokens = site.sign_in_to_app(&ada).await;
        let list = fern.get("/admin/users?q=ada").await.expect(200);
        says(&list, "1 person");
        let own = list.attributes("tbody a.rowlink", "href").remove(0);
        let page = fern.get(&own).await.expect(200);
        says(&page, "Ada Rowe");

        let page = press(&fern, &page, "form[action$='/sign-out']", &[]).await;
        says(&page, "Ada Rowe is signed out everywhere: 1 session");
        assert!(site.refresh(&tokens).await.is_none());
        ada.get("/account").await.expect(303);

        let ada = site.browser("ada").await;
        let tokens = site.sign_in_to_app(&ada).await;
        let ask = fern.submit(&page.form("form[action$='/disable']"), &[]).await.expect(200);
        says(&ask, "Disable Ada Rowe?");
        says(&ask, "1 session end");
        let page = press(&fern, &ask, "form[action$='/disable']", &[]).await;
        says(&page, "Ada Rowe is disabled");
        assert!(site.refresh(&tokens).await.is_none());
        ada.get("/account").await.expect(303);
        let http = site.server.http();
        assert_ne!(site.sign_in(&http, "ada", crate::support::pages::PASSWORD).await.status, 200);
        says(&fern.get("/admin/users?state=disabled").await, "1 person");

        let page = press(&fern, &page, "form[action$='/enable']", &[]).await;
        says(&page, "Ada Rowe may sign in again.");
        site.browser("ada").await;

        // Nobody locks themselves out.
        let list = fern.get("/admin/users?state=admin").await.expect(200);
        let own = list.attributes("tbody a.rowlink", "href").remove(0);
        says(&fern.get(&own).await, "This is you.");
        let mut form = fern.get(&own).await.form("form[action$='/sign-out']");
        form.action = form.action.replace("/sign-out", "/disable");
        let page = fern.follow(fern.submit(&form, &[]).await.expect(303)).await.expect(200);
        says(&page, "This is you.");
        fern.get("/admin").await.expect(200);
    }

    async fn an_app_is_registered_changed_given_a_secret_and_removed(database: TestDatabase) {
        let site = Site::start(database).await;
        let fern = site.browser("fern").await;
        let form = fern.get("/admin/clients/new").await.expect(200).form("form[action$='/admin/clients']");
        let page = fern.submit(&form, &[("redirect_uris", "http://plain.example/")]).await.expect(422);
        says(&page, "Give the app a name");
        says(&page, "plain http");

        let fields = [
            ("name", "Orchard Mail"), ("client_id", "orchard"), ("type", "confidential"),
            ("redirect_uris", "https://mail.orchard.example/cb\r\n"),
        ];
        let taken = fern.submit(&form, &[("client_id", "meadow"), fields[0], fields[3]]).await.expect(422);
        says(&taken, "Choose another ID");
        let page = fern.follow(fern.submit(&form, &fields).await.expect(303)).await.expect(200);
        says(&page, "Orchard Mail is registered");
        let secret = page.text().split_whitespace().find(|word| word.starts_with("pcs_")).unwrap().to_owned();
        site.server.secrets.remember("client secret", &secret);
        // Once.
        let again = fern.follow(fern.get("/admin/clients/orchard/secret").await).await.expect(200);
        assert!(!again.body.contains(&secret));
        says(&again, "A secret is shown once");
        // It works: the code is what is wrong.
        let grant = [("grant_type", "authorization_code"), ("code", "pac_x"), ("redirect_uri", "https://mail.orchard.example/cb")];
        let app = ("orchard", secret.as_str());
        let answer = site.server.http().post_form_as("/oauth/token", app, &grant).await.expect(400);
        assert_eq!(answer.json()["error"], "invalid_grant");

        let page = fern.get("/admin/clients/orchard").await.expect(200);
        let edit = "form[action$='/admin/clients/orchard']";
        let page = press(&fern, &page, edit, &[("name", "Orchard Post"), ("retry_window", "45")]).await;
        says(&page, "Orchard Post is changed.");
        assert_eq!(page.form(edit).value("retry_window"), Some("45"));

        let ask = fern.submit(&page.form("form[action$='/new-secret']"), &[]).await.expect(200);
        let shown = press(&fern, &ask, "form[action$='/new-secret']", &[]).await;
        let next = shown.text().split_whitespace().find(|word| word.starts_with("pcs_")).unwrap().to_owned();
        site.server.secrets.remember("client secret", &next);
        assert_ne!(next, secret);
        site.server.http().post_form_as("/oauth/token", app, &grant).await.expect(401);

        let ask = fern.submit(&page.form("form[action$='/remove']"), &[]).await.expect(200);
        says(&ask, "Remove Orchard Post?");
        let page = press(&fern, &ask, "form[action$='/remove']", &[]).await;
        says(&page, "Orchard Post is removed.");
        fern.get("/admin/clients/orchard").await.expect(404);
        fern.get("/admin/clients/meadow/new-secret").await.expect(404);
        let audit = fern.get("/admin/audit?event=client").await.expect(200);
        for told in ["App registered", "App changed", "New client secret", "App removed", "Fern Holm"] {
            says(&audit, told);
        }
        assert!(!audit.body.contains("pcs_"));
    }

    async fn the_audit_log_is_found_by_person_app_address_and_day(database: TestDatabase) {
        let site = Site::start(database).await;
        let ada = site.browser("ada").await;
        site.sign_in_to_app(&ada).await;
        let fern = site.browser("fern").await;
        for (query, told) in [
            ("", "Signed in"), ("q=ada", "Ada Rowe"), ("q=rowe", "Ada Rowe"),
            ("q=Meadow+Notes", "Session started"), ("q=127.0.0.1", "Signed in"),
            ("event=sign_in", "Signed in"), ("event=user", "Person added"),
            ("from=2020-01-01", "Signed in"), ("to=2020-01-01", "No event matches"),
            ("q=nothing+like+it", "No event matches"), ("event=key", "No event matches"),
        ] {
            says(&fern.get(&format!("/admin/audit?{query}")).await.expect(200), told);
        }
        says(&fern.get("/admin/keys").await, "ES256");
        says(&fern.get("/admin").await, "Meadow Notes");
    }
}
