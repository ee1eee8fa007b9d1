//! Every way to end a session, each by the door that its user takes: afterwards no token of it
//! works anywhere, on either of two nodes, from the next request on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use perennial::domain::access_token::AccessTokenFormat;
use perennial::domain::client::{ClientId, ClientMetadata};
use perennial::domain::token_family::EndCause;
use perennial::protocol::act::Act;
use perennial::protocol::clients;
use perennial::storage::StorageError;
use tokio::sync::Notify;

use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::families::copy;
use crate::support::http::{Answer, Http};
use crate::support::listener::Listener;
use crate::support::local::LocalServer;
use crate::support::oauth::{
    self, App, Browser, Device, GivenCode, PASSWORD, Person, Request, TokenEndpoint, Tokens, World,
    confidential_client,
};
use crate::support::process::Installation;

const NEW_PASSWORD: &str = "autumn orchard wall 7";
const DAY: u64 = 86_400;

/// How a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    By(EndCause),
    Unused,
    Over,
}

/// Where it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    SignOutPage,
    SignOutOfEveryAccount,
    AccountEndsOne,
    AccountEndsOthers,
    AccountEndsBrowser,
    AccountRemovesApp,
    AccountChangesPassword,
    AdminRevokesOne,
    AdminRevokesUser,
    AdminRevokesClient,
    AdminRevokesFilter,
    AdminDisables,
    AdminRemovesClient,
    CommandRevokesOne,
    CommandRevokesUser,
    CommandRevokesClient,
    CommandRevokesBefore,
    CommandChangesPassword,
    CommandDisables,
    CommandRemovesUser,
    CommandRemovesClient,
    RevokeNewest,
    RevokeOld,
    OldTokenAgain,
    CodeAgain,
    GoesUnused,
    ReachesItsEnd,
}

/// Whether the same person's session in another app and browser goes on.
const SPARES: bool = true;
const ALL_OF_THEM: bool = false;

/// Every door, what it ends a session by, and whether it spares the person's other one.
const TABLE: [(Door, End, bool); 27] = [
    (Door::SignOutPage, End::By(EndCause::SignedOut), SPARES),
    (Door::SignOutOfEveryAccount, End::By(EndCause::SignedOut), SPARES),
    (Door::AccountEndsOne, End::By(EndCause::Person), SPARES),
    (Door::AccountEndsOthers, End::By(EndCause::Person), ALL_OF_THEM),
    (Door::AccountEndsBrowser, End::By(EndCause::SignedOut), SPARES),
    (Door::AccountRemovesApp, End::By(EndCause::ConsentWithdrawn), SPARES),
    (Door::AccountChangesPassword, End::By(EndCause::PasswordChanged), ALL_OF_THEM),
    (Door::AdminRevokesOne, End::By(EndCause::Admin), SPARES),
    (Door::AdminRevokesUser, End::By(EndCause::Admin), ALL_OF_THEM),
    (Door::AdminRevokesClient, End::By(EndCause::Admin), SPARES),
    (Door::AdminRevokesFilter, End::By(EndCause::Admin), ALL_OF_THEM),
    (Door::AdminDisables, End::By(EndCause::UserDisabled), ALL_OF_THEM),
    (Door::AdminRemovesClient, End::By(EndCause::ClientRemoved), SPARES),
    (Door::CommandRevokesOne, End::By(EndCause::Admin), SPARES),
    (Door::CommandRevokesUser, End::By(EndCause::Admin), ALL_OF_THEM),
    (Door::CommandRevokesClient, End::By(EndCause::Admin), SPARES),
    (Door::CommandRevokesBefore, End::By(EndCause::Admin), SPARES),
    (Door::CommandChangesPassword, End::By(EndCause::PasswordChanged), ALL_OF_THEM),
    (Door::CommandDisables, End::By(EndCause::UserDisabled), ALL_OF_THEM),
    (Door::CommandRemovesUser, End::By(EndCause::UserRemoved), ALL_OF_THEM),
    (Door::CommandRemovesClient, End::By(EndCause::ClientRemoved), SPARES),
    (Door::RevokeNewest, End::By(EndCause::Client), SPARES),
    (Door::RevokeOld, End::By(EndCause::Client), SPARES),
    (Door::OldTokenAgain, End::By(EndCause::Reuse), SPARES),
    (Door::CodeAgain, End::By(EndCause::CodeReuse), SPARES),
    (Door::GoesUnused, End::Unused, ALL_OF_THEM),
    (Door::ReachesItsEnd, End::Over, ALL_OF_THEM),
];

/// Two nodes of one installation, and its command line.
struct House {
    one: LocalServer,
    other: LocalServer,
    world: World,
    commands: Installation,
    admin: Browser,
    /// Where the apps are told of sign-outs, each under its name.
    ear: Listener,
}

impl House {
    async fn start(database: TestDatabase) -> House {
        let one = LocalServer::start_with(
            database,
            &[
                ("tokens.refresh_absolute_seconds", "3456000"),
                ("sessions.absolute_seconds", "31536000"),
                ("sessions.idle_seconds", "31536000"),
                ("fetch.allow_private_networks", "true"),
                ("logout.look_seconds", "1"),
            ],
        )
        .await;
        let other = one.another_node().await;
        let world = World::on(&one).await;
        let commands = Installation::on(&one.database);
        let admin = world.sign_in(&world.admin).await;
        House { one, other, world, commands, admin, ear: Listener::start().await }
    }

    async fn app(&self, id: &str, format: AccessTokenFormat) -> App {
        let metadata = ClientMetadata {
            access_token_format: format,
            may_introspect: true,
            audience: vec!["https://api.example".to_owned()],
            ..confidential_client(id)
        };
        oauth::register(&self.one, id, metadata).await
    }

    /// The same, and it asks to be told.
    async fn told_app(&self, id: &str, format: AccessTokenFormat) -> App {
        let app = self.app(id, format).await;
        let details = serde_json::json!({
            "backchannel_logout_uri": self.ear.url(&format!("/{id}"))
        });
        self.one.sql(&format!("UPDATE clients SET details = '{details}' WHERE id = '{id}'"));
        app
    }

    /// The app is told of the end of just this session.
    async fn assert_told(&self, held: &Held, what: &str) {
        let path = format!("/{}", held.device.app.id);
        let posts = self.ear.wait_for(&path, 1).await;
        let told = oauth::jwt_part(&posts[0].logout_token(), 1);
        let known = held.tokens[0].answer["id_token"].as_str().unwrap();
        assert_eq!(told["sid"], oauth::jwt_part(known, 1)["sid"], "{what}");
        assert_eq!(posts.len(), 1, "{what}: once");
    }

    /// The same device, at each of the two nodes.
    fn at_both(&self, device: &Device) -> [Device; 2] {
        let agent = "Meadow/1.0 (test)";
        [device.at(&self.one.origin, agent), device.at(&self.other.origin, agent)]
    }
}

/// A session, and every token that it was given.
struct Held {
    device: Device,
    code: GivenCode,
    tokens: Vec<Tokens>,
    id: String,
}

impl Held {
    async fn begin(house: &House, browser: &Browser, app: &App) -> Held {
        let device = house.world.device(app);
        let code = browser.code(&Request::of(app)).await;
        let mut tokens = vec![device.exchange(&code).await.tokens()];
        for _ in 0..3 {
            let newest = device.refresh(&tokens[tokens.len() - 1].refresh).await.tokens();
            tokens.push(newest);
        }
        let api = house.world.device(&house.world.api);
        let id = api.introspect(&tokens[0].access).await["sid"].as_str().unwrap().to_owned();
        Held { device, code, tokens, id }
    }

    fn newest(&self) -> &Tokens {
        &self.tokens[self.tokens.len() - 1]
    }

    /// Each of its tokens works on both nodes, as far as it ever did.
    async fn assert_alive(&self, house: &House, what: &str) {
        let apis = house.at_both(&house.world.device(&house.world.api));
        for (own, api) in house.at_both(&self.device).iter().zip(&apis) {
            for token in &self.tokens {
                assert_eq!(api.introspect(&token.access).await["active"], true, "{what}");
                assert_eq!(own.userinfo(&token.access).await.status, 200, "{what}");
            }
            assert_eq!(own.introspect(&self.newest().refresh).await["active"], true, "{what}");
        }
    }

    /// None of its tokens works on either node, and the app is told why.
    async fn assert_dead(&self, house: &House, what: &str, end: End) {
        let removed = end == End::By(EndCause::ClientRemoved);
        let apis = house.at_both(&house.world.device(&house.world.api));
        let nodes = house.at_both(&self.device);
        // In the very next request, on each node.
        for own in &nodes {
            self.assert_refused(own, self.newest(), what, end).await;
        }
        for (node, (own, api)) in nodes.iter().zip(&apis).enumerate() {
            for (generation, token) in self.tokens.iter().enumerate().rev() {
                let which = format!("{what}, node {node}, generation {}", generation + 1);
                assert_eq!(api.introspect(&token.access).await["active"], false, "{which}");
                let told = own.userinfo(&token.access).await;
                assert_eq!(told.status, 401, "{which}: {}", told.body);
                assert_eq!(told.json()["error"], "invalid_token", "{which}");
                if removed {
                    own.introspect_answer(&token.access).await.refused(401, "invalid_client");
                    own.introspect_answer(&token.refresh).await.refused(401, "invalid_client");
                } else {
                    assert_eq!(own.introspect(&token.access).await["active"], false, "{which}");
                    assert_eq!(own.introspect(&token.refresh).await["active"], false, "{which}");
                }
                self.assert_refused(own, token, &which, end).await;
            }
        }
        let cause = house.one.sql(&format!(
            "SELECT DISTINCT end_cause FROM token_families WHERE ended_at IS NOT NULL \
             AND client_id = '{}'",
            self.device.app.id
        ));
        if let End::By(expected) = end {
            assert_eq!(cause, expected.name(), "{what}");
        }
    }

    async fn assert_refused(&self, own: &Device, token: &Tokens, what: &str, end: End) {
        let answer = own.refresh(&token.refresh).await;
        let told = match end {
            End::By(EndCause::ClientRemoved) => {
                answer.refused(401, "invalid_client");
                return;
            }
            _ => answer.refused(400, "invalid_grant"),
        };
        let expected = match end {
            End::By(cause) => cause.description(),
            End::Unused => "the session expired because it was not used",
            End::Over => "the session reached its end",
        };
        assert!(told.starts_with(expected), "{what}: {told}");
    }
}

/// What a door is opened on: a person with two sessions by one browser, one session by another,
/// and a third browser that they act from.
struct Case {
    person: Person,
    there: Browser,
    here: Browser,
    held: Vec<Held>,
    /// The moment after the sessions began, and before anything else did.
    after: String,
}

async fn press(http: &Http, path: &str, form: &str, fields: &[(&str, &str)]) {
    let page = http.get(path).await.expect(200);
    let answer = http.submit(&page.form(form), fields).await.expect(303);
    http.follow(answer).await.expect(200);
}

impl Case {
    async fn go(&self, house: &House, door: Door) {
        let (here, there, admin) = (&self.here.http, &self.there.http, &house.admin.http);
        let name = self.person.username.as_str();
        let run = |line: &[&str]| house.commands.run(line).ok();
        match door {
            Door::SignOutPage => {
                press(there, "/logout", "main form[action$='/logout']", &[]).await;
            }
            Door::SignOutOfEveryAccount => {
                let login = there.get("/login?another=1").await.expect(200);
                self.there.type_password(&login, &house.world.person).await.expect(303);
                press(there, "/logout", "form:has([name=account][value=all])", &[]).await;
            }
            Door::AccountEndsOne => {
                for held in &self.held {
                    let form = format!("form[action$='/account/sessions/{}/end']", held.id);
                    press(here, "/account/sessions", &form, &[]).await;
                }
            }
            Door::AccountEndsOthers => {
                press(here, "/account/sessions", "form[action$='/end-others']", &[]).await;
            }
            Door::AccountEndsBrowser => {
                let id = house.one.sql(&format!(
                    "SELECT {} FROM browser_sessions WHERE id = (SELECT browser_session_id \
                     FROM token_families WHERE client_id = '{}')",
                    match house.one.database.kind {
                        crate::support::database::Kind::Sqlite => "lower(hex(id))",
                        crate::support::database::Kind::Postgres => "encode(id, 'hex')",
                    },
                    self.held[0].device.app.id
                ));
                let bytes = u128::from_str_radix(&id, 16).unwrap().to_be_bytes();
                let id = perennial::domain::id::BrowserSessionId::from_bytes(bytes);
                let form = format!("form[action$='/account/sessions/{id}/end']");
                press(here, "/account/sessions", &form, &[]).await;
            }
            Door::AccountRemovesApp => {
                for held in &self.held {
                    let form = format!("form[action$='/apps/{}/remove']", held.device.app.id);
                    press(here, "/account/apps", &form, &[]).await;
                }
            }
            Door::AccountChangesPassword => {
                let fields = [("current", PASSWORD), ("password", NEW_PASSWORD)];
                press(here, "/account/security", "form[action$='/password']", &fields).await;
            }
            Door::AdminRevokesOne => {
                for held in &self.held {
                    self.admin_revokes(admin, &format!("id={}", held.id)).await;
                }
            }
            Door::AdminRevokesUser => {
                let path = format!("/admin/users/{}", self.person.id);
                press(admin, &path, "form[action$='/sign-out']", &[]).await;
            }
            Door::AdminRevokesClient => {
                for held in &self.held {
                    let query = format!("all=1&client={}", held.device.app.id);
                    self.admin_revokes(admin, &query).await;
                }
            }
            Door::AdminRevokesFilter => {
                self.admin_revokes(admin, &format!("all=1&q={name}&state=active")).await;
            }
            Door::AdminDisables => {
                let path = format!("/admin/users/{}/disable", self.person.id);
                press(admin, &path, "form[action$='/disable']", &[]).await;
            }
            Door::AdminRemovesClient => {
                for held in &self.held {
                    let path = format!("/admin/clients/{}/remove", held.device.app.id);
                    press(admin, &path, "form[action$='/remove']", &[]).await;
                }
            }
            Door::CommandRevokesOne => {
                for held in &self.held {
                    run(&["session", "revoke", &held.id]);
                }
            }
            Door::CommandRevokesUser => {
                run(&["session", "revoke", "--user", name]);
            }
            Door::CommandRevokesClient => {
                for held in &self.held {
                    run(&["session", "revoke", "--client", &held.device.app.id]);
                }
            }
            Door::CommandRevokesBefore => {
                run(&["session", "revoke", "--before", &self.after]);
            }
            Door::CommandChangesPassword => {
                let line = ["user", "password", name, "--password-stdin"];
                house.commands.run_with_input(line, NEW_PASSWORD).ok();
            }
            Door::CommandDisables => {
                run(&["user", "disable", name]);
            }
            Door::CommandRemovesUser => {
                run(&["user", "remove", name]);
            }
            Door::CommandRemovesClient => {
                for held in &self.held {
                    run(&["client", "remove", &held.device.app.id]);
                }
            }
            Door::RevokeNewest => {
                for held in &self.held {
                    held.device.revoke(&held.newest().refresh).await.expect(200);
                }
            }
            Door::RevokeOld => {
                for held in &self.held {
                    held.device.revoke(&held.tokens[0].refresh).await.expect(200);
                }
            }
            Door::OldTokenAgain => {
                house.one.travel_seconds(60);
                for held in &self.held {
                    held.device
                        .refresh(&held.tokens[0].refresh)
                        .await
                        .refused(400, "invalid_grant");
                }
            }
            Door::CodeAgain => {
                house.one.travel_seconds(60);
                for held in &self.held {
                    held.device.exchange(&held.code).await.refused(400, "invalid_grant");
                }
            }
            Door::GoesUnused => house.one.travel_seconds(30 * DAY),
            Door::ReachesItsEnd => house.one.travel_seconds(11 * DAY),
        }
    }

    async fn admin_revokes(&self, admin: &Http, query: &str) {
        let path = format!("/admin/sessions/revoke?{query}");
        let fields = [("reason", "other"), ("browsers", "")];
        press(admin, &path, "form[action$='/admin/sessions/revoke']", &fields).await;
    }
}

async fn open_door(house: &House, number: usize, door: Door, end: End, spares: bool) {
    let what = format!("{door:?}");
    let person = oauth::add_person(&house.one, &format!("person{number}"), false).await;
    let jwt = house.told_app(&format!("jwt-{number}"), AccessTokenFormat::Jwt).await;
    let opaque = house.told_app(&format!("opaque-{number}"), AccessTokenFormat::Opaque).await;
    let third = house.told_app(&format!("third-{number}"), AccessTokenFormat::Opaque).await;
    let there = house.world.sign_in(&person).await;
    let mut held = Vec::new();
    for app in [&jwt, &opaque] {
        held.push(Held::begin(house, &there, app).await);
    }
    house.one.travel_seconds(2);
    let after = house.one.now().to_rfc3339();
    house.one.travel_seconds(2);
    let elsewhere = house.world.sign_in(&person).await;
    let spared = Held::begin(house, &elsewhere, &third).await;
    let nobodys = Held::begin(house, &house.world.sign_in(&house.world.person).await, &third).await;
    let here = house.world.sign_in(&person).await;
    let mut case = Case { person, there, here, held, after };

    if door == Door::ReachesItsEnd {
        // Used all the time, and over all the same.
        house.one.travel_seconds(29 * DAY);
        for held in &mut case.held {
            let newest = held.device.refresh(&held.newest().refresh).await.tokens();
            held.tokens.push(newest);
        }
    } else {
        for held in case.held.iter().chain([&spared, &nobodys]) {
            held.assert_alive(house, &what).await;
        }
    }
    case.go(house, door).await;
    for held in &case.held {
        held.assert_dead(house, &what, end).await;
        if end == End::By(EndCause::ClientRemoved) {
            let left = format!(
                "SELECT count(*) FROM logout_deliveries WHERE client_id = '{}'",
                held.device.app.id
            );
            assert_eq!(house.one.sql(&left), "0", "{what}: there is nobody to tell");
            assert!(house.ear.posts(&format!("/{}", held.device.app.id)).is_empty());
        } else {
            house.assert_told(held, &what).await;
        }
    }
    if spares {
        assert!(house.ear.posts(&format!("/third-{number}")).is_empty(), "{what}: nobody else is");
    }
    if matches!(end, End::By(_)) {
        if spares {
            spared.assert_alive(house, &format!("{what} spares others")).await;
        } else {
            let own = &house.at_both(&spared.device)[1];
            own.refresh(&spared.newest().refresh).await.refused(400, "invalid_grant");
        }
        nobodys.assert_alive(house, &format!("{what} is nothing to other people")).await;
        let newest = nobodys.device.refresh(&nobodys.newest().refresh).await.tokens();
        // What a later row's "before" would reach.
        nobodys.device.revoke(&newest.refresh).await.expect(200);
        if spares {
            spared.device.revoke(&spared.newest().refresh).await.expect(200);
        }
    }
}

#[test]
fn the_table_has_every_way_to_end_a_session() {
    let ends = |end| TABLE.iter().any(|(_, own, _)| *own == end);
    for (cause, name) in EndCause::ALL {
        assert!(ends(End::By(cause)), "no door ends a session by {name}");
    }
    assert!(ends(End::Unused) && ends(End::Over));
}

/// How many sessions nobody has ended.
fn living(server: &LocalServer) -> u64 {
    server.sql("SELECT count(*) FROM token_families WHERE ended_at IS NULL").parse().unwrap()
}

on_both_databases! {
    async fn after_every_end_no_token_works_on_either_node(database: TestDatabase) {
        let house = House::start(database).await;
        for (number, (door, end, spares)) in TABLE.into_iter().enumerate() {
            open_door(&house, number, door, end, spares).await;
        }
    }

    async fn many_sessions_end_within_one_request(
        database: TestDatabase
    ) {
        const MANY: u64 = 730;
        let mut house = House::start(database).await;
        for (number, door) in [
            // First, while the servers' clock is that of the command line.
            Door::CommandRevokesBefore,
            Door::CommandRemovesUser,
            Door::SignOutPage,
            Door::AccountEndsOthers,
            Door::AccountRemovesApp,
            Door::AccountChangesPassword,
            Door::AdminRevokesUser,
            Door::AdminDisables,
            Door::AdminRemovesClient,
        ]
        .into_iter()
        .enumerate()
        {
            let person = oauth::add_person(&house.one, &format!("many{number}"), false).await;
            let app = house.app(&format!("many-{number}"), AccessTokenFormat::Jwt).await;
            let other = house.app(&format!("other-{number}"), AccessTokenFormat::Jwt).await;
            let nobodys =
                Held::begin(&house, &house.world.sign_in(&house.world.person).await, &other).await;
            house.one.travel_seconds(1);
            let there = house.world.sign_in(&person).await;
            let held = vec![Held::begin(&house, &there, &app).await];
            let living_before = living(&house.one);
            let from = number as u64 * MANY + 1;
            // Most began at the same moment, as after an import.
            copy(
                &house.one.database,
                from..=from + MANY - 1,
                &[("created_at", "t.created_at - n % 3 * 7")],
            );
            house.one.travel_seconds(1);
            let case = Case {
                here: house.world.sign_in(&person).await,
                after: house.one.now().to_rfc3339(),
                person,
                there,
                held,
            };
            assert_eq!(living(&house.one), living_before + MANY);
            case.go(&house, door).await;
            let left = if door == Door::CommandRevokesBefore { 0 } else { living_before - 1 };
            assert_eq!(living(&house.one), left, "{door:?}");
            assert_eq!(house.one.sql("SELECT count(*) FROM endings"), "0", "{door:?}");
            if door == Door::CommandRevokesBefore {
                // It signed out the administrator's browser as well.
                house.admin = house.world.sign_in(&house.world.admin).await;
            } else {
                nobodys.assert_alive(&house, &format!("{door:?}")).await;
            }
            let ended = house.one.sql(&format!(
                "SELECT count(*) FROM audit_events WHERE action = 'session.ended' \
                 AND client_id = '{}'",
                app.id
            ));
            assert_eq!(ended, (MANY + 1).to_string(), "{door:?}: each stands in the audit log");
        }
    }

    async fn an_ending_that_broke_off_is_finished_by_another_node(database: TestDatabase) {
        let house = House::start(database).await;
        let app = house.app("broken", AccessTokenFormat::Jwt).await;
        let browser = house.world.sign_in(&house.world.person).await;
        let held = Held::begin(&house, &browser, &app).await;
        copy(&house.one.database, 1..=500, &[("created_at", "t.created_at + n")]);
        // Its process ends after the first step.
        let (id, act) = (ClientId::parse("broken").unwrap(), Act::operator(house.one.now()));
        let (own, by) = (id.clone(), act.clone());
        let removed = house.one.db.write(move |connection| clients::remove(connection, &own, &by));
        assert!(removed.await.unwrap());
        assert_eq!(living(&house.one), 401, "a step's worth has ended");
        // Nobody may take the id meanwhile, and the sessions with it.
        let metadata = confidential_client("Another");
        let again = house
            .one
            .db
            .write(move |connection| clients::register(connection, None, id, metadata, &act));
        assert!(matches!(again.await, Err(StorageError::Duplicate)));
        let _node = house.one.another_node().await;
        let begun = Instant::now();
        while living(&house.one) > 0 {
            assert!(begun.elapsed() < Duration::from_secs(30), "nobody goes on with it");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        held.assert_dead(&house, "broken off", End::By(EndCause::ClientRemoved)).await;
    }

    async fn a_revocation_that_races_with_refreshes_leaves_no_token_alive(
        database: TestDatabase
    ) {
        const APPS: usize = 10;
        let house = Arc::new(House::start(database).await);
        for round in 0..4_usize {
            let person = oauth::add_person(&house.one, &format!("racer{round}"), false).await;
            let app = house.app(&format!("racer-{round}"), AccessTokenFormat::Opaque).await;
            let there = house.world.sign_in(&person).await;
            let here = house.world.sign_in(&person).await;
            let refreshed = Arc::new((AtomicUsize::new(0), Notify::new()));
            let revoked = Arc::new(std::sync::OnceLock::<Instant>::new());
            let mut racers = Vec::new();
            for number in 0..APPS {
                let held = Held::begin(&house, &there, &app).await;
                let nodes = house.at_both(&held.device);
                let (refreshed, revoked) = (Arc::clone(&refreshed), Arc::clone(&revoked));
                racers.push(tokio::spawn(async move {
                    race(held, nodes, number % 2 == 0, &refreshed, &revoked).await
                }));
            }
            // All of them are well under way.
            while refreshed.0.load(Ordering::Relaxed) < APPS * 8 {
                refreshed.1.notified().await;
            }
            let case = Case { person, there, here, held: Vec::new(), after: String::new() };
            let door = [
                Door::AdminRevokesFilter,
                Door::AdminRevokesUser,
                Door::CommandRevokesUser,
                Door::SignOutPage,
            ][round];
            case.go(&house, door).await;
            revoked.set(Instant::now()).unwrap();
            for racer in racers {
                let (held, device) = racer.await.unwrap();
                for token in &held {
                    for node in house.at_both(&device) {
                        let told = node.refresh(&token.refresh).await.refused(400, "invalid_grant");
                        assert!(told.starts_with("the "), "{told}");
                        assert_eq!(node.introspect(&token.access).await["active"], false);
                    }
                }
            }
        }
    }
}

/// Refreshes, in one tab or two, until the session is over. All tokens that came.
async fn race(
    held: Held,
    nodes: [Device; 2],
    two_tabs: bool,
    refreshed: &(AtomicUsize, Notify),
    revoked: &std::sync::OnceLock<Instant>,
) -> (Vec<Tokens>, Device) {
    let Held { device, mut tokens, .. } = held;
    for turn in 0.. {
        let newest = tokens[tokens.len() - 1].refresh.clone();
        let begun = Instant::now();
        let answers: Vec<Answer> = if two_tabs {
            let (one, other) = tokio::join!(nodes[0].refresh(&newest), nodes[1].refresh(&newest));
            vec![one, other]
        } else {
            vec![nodes[turn % 2].refresh(&newest).await]
        };
        let over = answers.iter().any(|answer| answer.status == 400);
        for answer in answers {
            if answer.status == 200 {
                let late = revoked.get().is_some_and(|revoked| begun > *revoked);
                assert!(!late, "refreshed after it was revoked");
                tokens.push(answer.tokens());
            } else if answer.status != 503 {
                answer.refused(400, "invalid_grant");
            }
        }
        refreshed.0.fetch_add(1, Ordering::Relaxed);
        refreshed.1.notify_one();
        if over {
            break;
        }
    }
    (tokens, device)
}
