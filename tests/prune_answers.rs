//! A prune changes no answer while a session lives, and none for an hour after: of two sessions
//! that were led the same way, one is asked before a prune and the other after it.

use std::time::Duration;

use perennial::storage::prune::{self, Retention};

use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::families::copy;
use crate::support::http::Answer;
use crate::support::local::LocalServer;
use crate::support::oauth::{App, Device, GivenCode, Request, World};

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// What happens to a session next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The app refreshes with the token it has had for so long: 0 is the newest.
    Refresh(usize),
    /// The same, from another place.
    Elsewhere(usize),
    /// It asks about the refresh token.
    Ask(usize),
    /// An API asks about the access token.
    Api(usize),
    /// The app revokes its newest access token.
    Drop,
    /// The app signs out.
    SignOut,
    /// Its code is exchanged again.
    Code,
    /// So many seconds pass.
    Wait(u64),
}

use Step::{Api, Ask, Code, Drop, Elsewhere, Refresh, SignOut, Wait};

/// A session and all tokens that it was given.
struct Twin {
    device: Device,
    elsewhere: Device,
    api: Device,
    code: GivenCode,
    refresh: Vec<String>,
    access: Vec<String>,
}

impl Twin {
    async fn begin(world: &World, app: &App) -> Twin {
        let device = world.device(app);
        let code = world.sign_in(&world.person).await.code(&Request::of(app)).await;
        let mut twin = Twin {
            elsewhere: world.device_called(app, "Another/9.9"),
            api: world.device(&world.api),
            refresh: Vec::new(),
            access: Vec::new(),
            code,
            device,
        };
        let first = twin.device.exchange(&twin.code).await;
        twin.keep(&first.expect(200));
        twin
    }

    fn keep(&mut self, answer: &Answer) {
        let json = answer.json();
        self.refresh.push(json["refresh_token"].as_str().unwrap().to_owned());
        self.access.push(json["access_token"].as_str().unwrap().to_owned());
    }

    fn back(all: &[String], back: usize) -> &str {
        &all[all.len() - 1 - back.min(all.len() - 1)]
    }

    /// Does what the step says; what was answered, but for what differs by chance.
    async fn go(&mut self, step: Step) -> String {
        let token = |back| Twin::back(&self.refresh, back);
        let answer = match step {
            Refresh(back) => self.device.refresh(token(back)).await,
            Elsewhere(back) => self.elsewhere.refresh(token(back)).await,
            Ask(back) => self.api.introspect_answer(token(back)).await,
            Api(back) => self.api.introspect_answer(Twin::back(&self.access, back)).await,
            Drop => self.device.revoke(Twin::back(&self.access, 0)).await,
            SignOut => self.device.revoke(token(0)).await,
            Code => self.device.exchange(&self.code).await,
            Wait(_) => return String::new(),
        };
        let json = answer.json();
        let told = format!(
            "{} {} {:?} active {} expires in {} again {}",
            answer.status,
            json["error"],
            // The request's reference is another each time.
            json["error_description"].as_str().unwrap_or_default().split(" (reference").next(),
            json["active"],
            json["expires_in"],
            answer.header("retry-after"),
        );
        if json["refresh_token"].is_string() {
            let again = self.refresh.iter().position(|own| *own == json["refresh_token"]);
            self.keep(&answer);
            return format!("{told} the same as {again:?}");
        }
        told
    }
}

/// Leads two sessions of an app the same way, with a prune before each step of the second. Goes
/// no further than to an hour after their end: what is over for longer may be forgotten.
async fn compare(server: &LocalServer, world: &World, app: &App, name: &str, way: &[Step]) {
    let mut twins = [Twin::begin(world, app).await, Twin::begin(world, app).await];
    let mut over_for = None;
    for (place, step) in way.iter().enumerate() {
        if let Wait(seconds) = step {
            server.travel_seconds(*seconds);
            over_for = over_for.map(|waited| waited + seconds);
            if over_for.is_some_and(|waited| waited >= HOUR) {
                return;
            }
            continue;
        }
        let before = twins[0].go(*step).await;
        // Some are there to go.
        let dead = [("created_at", "0"), ("ended_at", "1"), ("end_cause", "'person'")];
        copy(&server.database, 1..=3, &dead);
        let none = Retention { ended_sessions: Duration::ZERO, audit: Duration::ZERO };
        let gone = prune::all(&server.db, &none, server.now()).await.unwrap();
        let sessions = gone.iter().find(|(what, _)| *what == "sessions");
        assert!(sessions.is_some_and(|(_, rows)| *rows >= 3), "{gone:?}");
        let after = twins[1].go(*step).await;
        assert_eq!(before, after, "{name}, step {place}: {step:?} of {way:?}");
        if before.starts_with("400") {
            over_for = over_for.or(Some(0));
        }
    }
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

on_both_databases! {
    async fn every_answer_is_the_same_before_and_after_a_prune(database: TestDatabase) {
        let settings = [("tokens.refresh_absolute_seconds", "3456000")];
        let server = LocalServer::start_with(database, &settings).await;
        let world = World::on(&server).await;
        let grown = [Refresh(0), Refresh(0), Refresh(0)];
        let old = |way: &[Step]| [&grown[..], way].concat();
        for (name, app, way) in [
            ("the newest token", &world.api, old(&[Ask(0), Refresh(0), Api(0)])),
            ("long unused", &world.api, old(&[Wait(29 * DAY), Ask(0), Refresh(0)])),
            ("a retry", &world.api, old(&[Refresh(1), Refresh(1), Wait(20), Refresh(1)])),
            ("a reissue", &world.api, old(&[Wait(60), Refresh(1), Refresh(0)])),
            ("a reissue after long", &world.api, old(&[Wait(29 * DAY), Refresh(1)])),
            ("a stranger", &world.public, old(&[Elsewhere(0), Refresh(1), Elsewhere(1)])),
            ("late", &world.api, old(&[Refresh(2), Refresh(3), Refresh(2)])),
            ("reuse", &world.api, old(&[Wait(60), Refresh(2), Refresh(0), Ask(0), Api(0)])),
            ("reuse after long", &world.api, old(&[Wait(29 * DAY), Refresh(3), Refresh(0)])),
            ("strict reuse", &world.strict, old(&[Refresh(1), Refresh(0)])),
            ("a dropped access token", &world.api, old(&[Api(0), Drop, Api(0), Api(1)])),
            ("a code again", &world.api, vec![Wait(60), Code, Refresh(0), Api(0)]),
            ("a code again much later", &world.api, old(&[Wait(23 * HOUR), Code, Refresh(0)])),
            ("ended just now", &world.api, old(&[SignOut, Refresh(0), Ask(0), Refresh(2)])),
            ("ended within the hour", &world.api, old(&[SignOut, Wait(3_599), Refresh(0)])),
            ("unused", &world.api, old(&[Wait(30 * DAY + 3_599), Refresh(0), Refresh(2)])),
            (
                "over",
                &world.api,
                old(&[Wait(29 * DAY), Refresh(0), Wait(11 * DAY + 3_599), Refresh(0), Refresh(1)]),
            ),
        ] {
            compare(&server, &world, app, name, &way).await;
        }
    }

    async fn a_session_led_anyhow_is_answered_the_same_before_and_after_a_prune(
        database: TestDatabase
    ) {
        let server = LocalServer::start(database).await;
        let world = World::on(&server).await;
        for seed in 0..12 {
            let mut dice = Dice(seed);
            let mut way = Vec::new();
            for _ in 0..8 {
                let back = [0, 0, 0, 1, 1, 2, 3][dice.throw(7) as usize];
                way.push(match dice.throw(9) {
                    0..=3 => Refresh(back),
                    4 => Elsewhere(back),
                    5 => Ask(back),
                    6 => Api(back),
                    // Far less in all than a session may go unused.
                    _ => Wait([5, 25, 40, 3 * HOUR, 2 * DAY][dice.throw(5) as usize]),
                });
            }
            compare(&server, &world, &world.api, &format!("seed {seed}"), &way).await;
        }
    }
}
