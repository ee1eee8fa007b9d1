//! A session that two may have held: who is told of it, and what they can do.

use crate::on_both_databases;
use crate::support::browser::{Browser as Chromium, DESKTOP, Scheme};
use crate::support::database::{Kind, TestDatabase, fresh};
use crate::support::http::{Answer, Http};
use crate::support::local::LocalServer;
use crate::support::oauth::{Browser, Device, Person, Request, TokenEndpoint, World};

#[track_caller]
fn says(page: &Answer, words: &str) {
    assert!(page.text().contains(words), "{words:?} isn't in {}", page.text());
}

#[track_caller]
fn is_silent_on(page: &Answer, words: &str) {
    assert!(!page.text().contains(words), "{words:?} is in {}", page.text());
}

async fn page(http: &Http, path: &str) -> Answer {
    http.get(path).await.expect(200)
}

/// Presses a button, and reads the page after it.
async fn press(http: &Http, on: &Answer, form: &str) -> Answer {
    http.follow(http.submit(&on.form(form), &[]).await.expect(303)).await.expect(200)
}

/// A server behind a proxy, so that apps come from places of their own.
struct Scene {
    server: LocalServer,
    world: World,
    ada: Browser,
    grace: Browser,
}

const HOME: &str = "203.0.113.24";
const AWAY: &str = "192.0.2.66";

impl Scene {
    async fn start(database: TestDatabase) -> Scene {
        let server = LocalServer::start_with(database, &[("trusted_proxies", "127.0.0.0/8")]).await;
        let world = World::on(&server).await;
        let ada = world.sign_in(&world.person).await;
        let grace = world.sign_in(&world.admin).await;
        Scene { server, world, ada, grace }
    }

    fn device(&self, ip: &str, agent: &str) -> Device {
        let mut device = self.world.device_called(&self.world.public, agent);
        device.http = device.http.with_header("x-forwarded-for", ip);
        device
    }

    /// The app at home, with its first token; signed in from Ada's own browser.
    async fn app(&self) -> (Device, String) {
        let app = self.device(HOME, "MeadowNotes/4.2 (Android 16; Pixel 9)");
        let code = self.ada.code(&Request::of(&self.world.public)).await;
        let token = app.exchange(&code).await.tokens().refresh;
        (app, token)
    }

    /// A session that ended by reuse, the second use from far away.
    async fn reuse(&self) -> (Device, String) {
        let (app, first) = self.app().await;
        let mut newest = first.clone();
        for _ in 0..3 {
            newest = app.refresh(&newest).await.tokens().refresh;
        }
        self.server.travel_seconds(60);
        let thief = self.device(AWAY, "python-requests/2.32");
        thief.refresh(&first).await.refused(400, "invalid_grant");
        (app, newest)
    }

    /// A session that lives, whose answer went to a stranger.
    async fn stranger(&self) -> (Device, String) {
        let (app, first) = self.app().await;
        let newest = app.refresh(&first).await.tokens().refresh;
        let thief = self.device(AWAY, "python-requests/2.32");
        thief.refresh(&newest).await.tokens();
        let newest = app.refresh(&newest).await.tokens().refresh;
        (app, newest)
    }

    async fn account(&self) -> Answer {
        page(&self.ada.http, "/account").await
    }

    async fn overview(&self) -> Answer {
        page(&self.grace.http, "/admin").await
    }

    fn audited(&self, action: &str) -> String {
        let count = "SELECT count(*) FROM audit_events WHERE action =";
        self.server.sql(&format!("{count} '{action}'"))
    }
}

const ME: &str = "form[action$='/me']";
const NOT_ME: &str = "form[action$='/not-me']";
const READ: &str = "form[action$='/read']";

on_both_databases! {
    async fn reuse_is_told_with_both_places_and_dismissed_by_who_it_was(database: TestDatabase) {
        let scene = Scene::start(database).await;
        scene.reuse().await;
        assert_eq!(scene.audited("session.token_reuse"), "1");
        let told = scene.account().await;
        for words in [
            "We signed you out of Meadow Notes",
            "its sign-in key was used from two places",
            "First from 203.0.113.24, with MeadowNotes 4.2",
            "Then from 192.0.2.66, with python-requests 2.32",
            "Was it you both times?",
        ] {
            says(&told, words);
        }
        // A look changes nothing, also not at the addresses of the buttons.
        for form in [ME, NOT_ME] {
            let action = told.form(form).action;
            scene.ada.http.get(&action).await.expect(404);
            // Nor does a form of another site.
            scene.ada.http.post_form(&action, &[]).await.expect(403);
        }
        says(&scene.account().await, "We signed you out of Meadow Notes");

        let after = press(&scene.ada.http, &told, ME).await;
        says(&after, "We won’t ask about it again.");
        is_silent_on(&scene.account().await, "We signed you out");
        assert_eq!(scene.audited("session.was_me"), "1");
        says(&page(&scene.ada.http, "/account/security").await, "Said that it was you who used");
        // The form of another tab changes nothing any more.
        let late = press(&scene.ada.http, &told, NOT_ME).await;
        is_silent_on(&late, "We signed you out");
        assert_eq!(scene.audited("session.was_not_me"), "0");
        // The administrator still has to read it, and sees what she said.
        says(&scene.overview().await, "ada says: it was me.");
    }

    async fn an_alarm_stands_until_an_administrator_has_read_it(database: TestDatabase) {
        let scene = Scene::start(database).await;
        is_silent_on(&scene.overview().await, "nobody has read");
        scene.reuse().await;
        scene.stranger().await;
        // Not for a day alone.
        scene.server.travel_seconds(3 * 86_400);
        let grace = scene.world.sign_in(&scene.world.admin).await;
        let http = &grace.http;
        let overview = page(http, "/admin").await;
        says(&overview, "2 sessions raised an alarm that nobody has read");
        let forms = overview.forms(READ);
        assert_eq!(forms.len(), 2);
        http.get(&forms[0].action).await.expect(404);
        http.post_form(&forms[0].action, &[]).await.expect(403);
        let after = http.follow(http.submit(&forms[0], &[]).await.expect(303)).await.expect(200);
        says(&after, "Marked as read.");
        says(&after, "1 session raised an alarm that nobody has read");
        says(&after, "Read by grace");
        // On its own page as well, by whom and when.
        let own = after.form(READ).action.replace("/read", "");
        let session = page(http, &own).await;
        let after = press(http, &session, READ).await;
        says(&after, "Read by grace");
        assert!(after.forms(READ).is_empty());
        let overview = page(http, "/admin").await;
        is_silent_on(&overview, "nobody has read");
        assert!(overview.forms(READ).is_empty());
        assert_eq!(scene.audited("session.alarm_read"), "2");
        // A second press, of a page that was open all along.
        let again = http.follow(http.submit(&forms[0], &[]).await.expect(303)).await.expect(200);
        says(&again, "Somebody has read it already");
        assert_eq!(scene.audited("session.alarm_read"), "2");
        says(&page(http, "/admin/audit?event=reuse").await, "Alarm read");
        assert_eq!(
            page(http, "/admin/sessions?state=alarm").await.attributes("tbody a.rowlink", "href").len(),
            2
        );
    }

    async fn who_it_was_not_shuts_everybody_else_out(database: TestDatabase) {
        let scene = Scene::start(database).await;
        let (app, newest) = scene.stranger().await;
        let other = scene.world.sign_in(&scene.world.person).await;
        let code = other.code(&Request::of(&scene.world.opaque)).await;
        let elsewhere = scene.world.device(&scene.world.opaque);
        let held = elsewhere.exchange(&code).await.tokens().refresh;
        // An app of this very browser, which has nothing to do with it.
        let code = scene.ada.code(&Request::of(&scene.world.confidential)).await;
        let mail = scene.world.device(&scene.world.confidential);
        let kept = mail.exchange(&code).await.tokens().refresh;

        let overview = scene.overview().await;
        press(&scene.grace.http, &overview, READ).await;
        is_silent_on(&scene.overview().await, "nobody has read");

        let told = scene.account().await;
        says(&told, "Somebody else may have used Meadow Notes");
        says(&told, "From 192.0.2.66, with python-requests 2.32");
        let ask = press(&scene.ada.http, &told, NOT_ME).await;
        says(&ask, "Sign out everywhere else?");
        assert_eq!(scene.audited("session.was_not_me"), "1");
        // Nothing has ended yet, but the administrators have something to read again.
        let newest = app.refresh(&newest).await.tokens().refresh;
        let overview = scene.overview().await;
        says(&overview, "1 session raised an alarm that nobody has read");
        says(&overview, "ada says: it wasn’t me.");
        says(&scene.account().await, "You told us that it wasn’t you");

        // Somebody else's page shows nothing of it, and does nothing.
        let form = ask.form("form[action$='/shut-out']");
        let mut foreign = page(&scene.grace.http, "/account").await
            .forms("form[action$='/logout']").remove(0);
        scene.grace.http.get(&form.action.replace("/shut-out", "")).await.expect(404);
        for action in [form.action.clone(), form.action.replace("/shut-out", "/me")] {
            foreign.action = action;
            scene.grace.http.submit(&foreign, &[("raised", "1")]).await.expect(404);
        }
        scene.ada.http.post_form(&form.action, &[]).await.expect(403);

        let after = press(&scene.ada.http, &ask, "form[action$='/shut-out']").await;
        says(&after, "Now choose a new password.");
        app.refresh(&newest).await.refused(400, "invalid_grant");
        elsewhere.refresh(&held).await.refused(400, "invalid_grant");
        other.http.get("/account").await.expect(303);
        mail.refresh(&kept).await.tokens();
        page(&scene.ada.http, "/account").await;
    }

    async fn a_second_alarm_asks_anew(database: TestDatabase) {
        let scene = Scene::start(database).await;
        let (app, newest) = scene.stranger().await;
        let told = scene.account().await;
        press(&scene.ada.http, &told, ME).await;
        press(&scene.grace.http, &scene.overview().await, READ).await;
        scene.server.travel_seconds(60);
        let thief = scene.device("198.51.100.9", "curl/8.17.0");
        thief.refresh(&newest).await.tokens();
        app.refresh(&newest).await.tokens();
        let told = scene.account().await;
        says(&told, "From 198.51.100.9, with curl 8.17");
        says(&scene.overview().await, "1 session raised an alarm that nobody has read");
        // An answer to the first says nothing of the second.
        let mut old = told.form(ME);
        old.fields.iter_mut().filter(|(name, _)| name == "raised").for_each(|(_, at)| *at = "1".into());
        let after = scene.ada.http.submit(&old, &[]).await.expect(303);
        let after = scene.ada.http.follow(after).await.expect(200);
        says(&after, "something new has happened since");
        says(&after, "From 198.51.100.9");
    }
}

async fn sign_in(browser: &Chromium, person: &Person) {
    browser.fill("#username", &person.username).await;
    browser.fill("#password", &person.password).await;
    browser.click("form[action$='/login'] button").await;
}

impl Scene {
    /// A session to which everything has happened that a timeline draws in a way of its own, and
    /// which goes on.
    async fn eventful(&self) -> String {
        let (app, first) = self.app().await;
        let mut all = vec![first];
        for _ in 0..14 {
            self.server.travel_seconds(700);
            let newest = app.refresh(&all[all.len() - 1]).await.tokens();
            all.push(newest.refresh);
        }
        // The answer got lost, and is asked for at once.
        app.refresh(&all[all.len() - 2]).await.tokens();
        // The database falls back to what it was one refresh ago.
        self.server.sql(
            "UPDATE token_families SET generation = generation - 1, parent = parent - 1, \
             issued_at = issued_at - 700000, given_at = given_at - 700000, \
             written_at = issued_at - 700000, parent_given_at = parent_given_at - 700000 \
             WHERE ended_at IS NULL",
        );
        let ahead = app.refresh(&all[all.len() - 1]).await.tokens().refresh;
        app.refresh(&ahead).await.tokens();
        // Long after, the app asks again with the token that it has.
        self.server.travel_seconds(3_600);
        let again = app.refresh(&ahead).await.tokens().refresh;
        let thief = self.device(AWAY, "python-requests/2.32");
        thief.refresh(&again).await.tokens();
        self.server.travel_seconds(5);
        app.refresh(&again).await.tokens();
        let row = self.server.sql(match self.server.database.kind {
            Kind::Sqlite => "SELECT lower(hex(id)) FROM token_families WHERE ended_at IS NULL",
            Kind::Postgres => "SELECT encode(id, 'hex') FROM token_families WHERE ended_at IS NULL",
        });
        let bytes = u128::from_str_radix(&row, 16).unwrap().to_be_bytes();
        perennial::domain::id::FamilyId::from_bytes(bytes).to_string()
    }
}

/// Every page that an alarm is told on, in every look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_of_an_alarm_look_right() {
    let Some([mut ada, mut grace]) = Chromium::start_two(DESKTOP, Scheme::Light).await else {
        return;
    };
    let scene = Scene::start(fresh(Kind::Sqlite).unwrap()).await;
    scene.reuse().await;
    let eventful = scene.eventful().await;
    let address = |path: &str| format!("{}{path}", scene.server.origin);

    ada.goto(&address("/account")).await.unwrap();
    sign_in(&ada, &scene.world.person).await;
    ada.wait_for_text("Somebody else may have used Meadow Notes").await;
    ada.wait_for_text("We signed you out of Meadow Notes").await;
    ada.check_looks("alarm-account", None).await;

    grace.goto(&address("/admin")).await.unwrap();
    sign_in(&grace, &scene.world.admin).await;
    grace.wait_for_text("2 sessions raised an alarm that nobody has read").await;
    grace.check_looks("alarm-admin", None).await;
    grace.goto(&address(&format!("/admin/sessions/{eventful}"))).await.unwrap();
    for told in [
        "An answer of this session may have gone to a stranger",
        "Retry, generation 15 given again",
        "Token 15 was newer than the database",
        "Asked again with token 16, long after",
        "Its answer must have got lost, so token 17 was left behind.",
        "New network and program",
        "Asked again with token 18, after a stranger",
        "the person was told",
    ] {
        grace.wait_for_text(told).await;
    }
    grace.check_looks("alarm-session", None).await;
    grace.click_text("Mark as read").await;
    grace.wait_for_text("Read by grace").await;
    grace.check_looks("alarm-session-read", None).await;
    grace.goto(&address("/admin")).await.unwrap();
    grace.wait_for_text("1 session raised an alarm that nobody has read").await;

    // The latest stands first.
    ada.click_text("It wasn’t me…").await;
    ada.wait_for_text("Sign out everywhere else?").await;
    ada.check_looks("alarm-shut-out", None).await;
    ada.click_text("Cancel").await;
    ada.wait_for_text("You told us that it wasn’t you").await;
    ada.check_looks("alarm-account-disowned", None).await;
    ada.click_text("It was me").await;
    ada.wait_for_text("We won’t ask about it again.").await;
    ada.click_text("Sign out everywhere else…").await;
    ada.wait_for_text("Sign out everywhere else?").await;
    ada.click("main button.danger.filled").await;
    ada.wait_for_text("Now choose a new password.").await;
    ada.check_looks("alarm-password", None).await;

    grace.goto(&address("/admin")).await.unwrap();
    grace.wait_for_text("ada says: it wasn’t me.").await;
    grace.check_looks("alarm-admin-answered", None).await;
}
