//! A prune of many dead sessions beside apps that refresh: how long these wait for it, and how
//! much memory it takes. `PERENNIAL_PRUNE_ROWS` says how many; see CONTRIBUTING.md.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use perennial::server::prune_all;
use perennial::settings::{Settings, Sources};

use crate::on_both_databases;
use crate::support::database::{Kind, TestDatabase};
use crate::support::local::LocalServer;
use crate::support::oauth::{App, Device, TokenEndpoint, World};
use crate::support::process::Server;
use crate::support::server::TestServer;

/// How many apps refresh meanwhile, one after the other's answer each.
const APPS: usize = 4;
/// The longest that a refresh may wait for a step of the prune.
const STALL: Duration = Duration::from_millis(50);
/// So few dead sessions that their prune takes no more memory than any.
const FEW: u64 = 5_000;
/// What a prune of any size may take beside what it takes for few.
const GROWTH_KIB: u64 = 16 * 1024;

/// How many dead sessions there are.
fn rows() -> u64 {
    std::env::var("PERENNIAL_PRUNE_ROWS").map_or(50_000, |rows| rows.parse().unwrap())
}

/// Copies the one session that there is: dead ones in each way to be dead, in the order in which
/// they began, and among ten of them one that lives. How many live.
fn fill(database: &TestDatabase, rows: RangeInclusive<u64>) -> u64 {
    let (first, last) = rows.into_inner();
    let columns = "nonce, user_id, client_id, scope, audience, browser_session_id, auth_time, \
                   refreshable, generation, key_id, given_to, known_callers, row_version, \
                   caller_ip, caller_agent, history";
    let (id, series) = match database.kind {
        Kind::Sqlite => (
            "CAST(printf('%016x', n) AS BLOB)",
            format!(
                "(WITH RECURSIVE s(n) AS (VALUES ({first}) UNION ALL SELECT n + 1 FROM s \
                 WHERE n < {last}) SELECT n FROM s)"
            ),
        ),
        Kind::Postgres => (
            "decode(lpad(to_hex(n), 32, '0'), 'hex')",
            format!("(SELECT generate_series({first}, {last}) AS n)"),
        ),
    };
    // The template began just now; the others a year before it and on, a millisecond apart.
    let (now, day) = ("t.created_at", "CAST(86400000 AS BIGINT)");
    database.sql(&format!(
        "INSERT INTO token_families (id, created_at, issued_at, given_at, written_at, idle_ms, \
         ends_at, ended_at, end_cause, {columns}) \
         SELECT {id}, {now} - 365 * {day} + n, {now} - 200 * {day}, \
         CASE WHEN n % 10 = 0 OR n % 3 <> 1 THEN {now} ELSE {now} - 200 * {day} END, \
         {now} - 200 * {day}, t.idle_ms, \
         CASE WHEN n % 10 <> 0 AND n % 3 = 2 THEN {now} - 100 * {day} ELSE {now} + {day} END, \
         CASE WHEN n % 10 <> 0 AND n % 3 = 0 THEN {now} - 100 * {day} END, \
         CASE WHEN n % 10 <> 0 AND n % 3 = 0 THEN 'person' END, {columns} \
         FROM (SELECT * FROM token_families ORDER BY created_at DESC LIMIT 1) AS t, {series} AS s"
    ));
    last / 10 - (first - 1) / 10
}

/// Apps that refresh until they are told to stop.
struct Refreshing {
    stop: Arc<AtomicBool>,
    apps: Vec<tokio::task::JoinHandle<(Vec<(Instant, Duration)>, String)>>,
}

/// How long refreshes took.
struct Waits {
    count: usize,
    median: Duration,
    longest: Duration,
}

impl Refreshing {
    fn start(devices: Vec<(Device, String)>) -> Refreshing {
        let stop = Arc::new(AtomicBool::new(false));
        let apps = devices
            .into_iter()
            .map(|(device, mut token)| {
                let stop = Arc::clone(&stop);
                tokio::spawn(async move {
                    let mut waits = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        let begun = Instant::now();
                        token = device.refresh(&token).await.tokens().refresh;
                        waits.push((begun, begun.elapsed()));
                    }
                    (waits, token)
                })
            })
            .collect();
        Refreshing { stop, apps }
    }

    /// Stops them; the waits before `quiet_until`, those from then on, and the newest tokens.
    async fn stop(self, quiet_until: Instant) -> (Waits, Waits) {
        self.stop.store(true, Ordering::Relaxed);
        let (mut quiet, mut during) = (Vec::new(), Vec::new());
        for app in self.apps {
            for (begun, wait) in app.await.unwrap().0 {
                let phase = if begun < quiet_until { &mut quiet } else { &mut during };
                phase.push(wait);
            }
        }
        (Waits::of(quiet), Waits::of(during))
    }
}

impl Waits {
    fn of(mut all: Vec<Duration>) -> Waits {
        all.sort_unstable();
        assert!(all.len() >= APPS, "the apps came to a stop: {} refreshes", all.len());
        Waits { count: all.len(), median: all[all.len() / 2], longest: all[all.len() - 1] }
    }
}

async fn devices(world: &World, app: &App) -> Vec<(Device, String)> {
    let mut all = Vec::new();
    for _ in 0..APPS {
        all.push((world.device(app), world.tokens(app).await.refresh));
    }
    all
}

/// Nobody waited longer than in the quiet before, but for one step of the prune.
fn check(what: &str, took: Duration, quiet: &Waits, during: &Waits) {
    for (phase, waits) in [("quiet", quiet), ("during", during)] {
        let Waits { count, median, longest } = waits;
        println!("{what}, {phase}: {count} refreshes, median {median:?}, longest {longest:?}");
    }
    println!("{what}: {} rows in {took:?}", rows());
    // On a machine that is busy with other things, these stall refreshes too.
    let bound = STALL + quiet.longest * 2;
    assert!(during.longest <= bound, "{what}: {:?} is over {bound:?}", during.longest);
}

/// A figure of `/proc/PID/status`, in KiB; none once the process has ended.
fn memory(process: u32, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Runs `perennial prune`; its most resident memory in KiB, and how many sessions it removed.
async fn prune_command(server: &TestServer) -> (u64, u64) {
    let mut command = Server::start(server.installation.clone(), &["prune", "--json"]);
    let mut most = 0;
    while command.is_running() {
        most = most.max(memory(command.id(), "VmHWM:").unwrap_or(0));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(command.wait().success(), "{}", command.output());
    let answer: serde_json::Value = serde_json::from_str(&command.output()).unwrap();
    (most, answer["sessions"].as_u64().unwrap())
}

on_both_databases! {
    async fn the_servers_own_prune_lets_apps_go_on(database: TestDatabase) {
        let server = LocalServer::start(database).await;
        let world = World::on(&server).await;
        let devices = devices(&world, &world.opaque).await;
        let live = fill(&server.database, 1..=rows());
        let settings = Settings::load(&Sources::only([])).unwrap();

        let refreshing = Refreshing::start(devices);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let begun = Instant::now();
        let gone = prune_all(&server.db, &settings, server.now()).await.unwrap();
        let took = begun.elapsed();
        let (quiet, during) = refreshing.stop(begun).await;
        assert!(gone.contains(&("sessions", (rows() - live) as usize)), "{gone:?}");
        let left = server.sql("SELECT count(*) FROM token_families");
        assert_eq!(left, (live + APPS as u64).to_string());
        check("by the server", took, &quiet, &during);
    }

    async fn the_command_lets_apps_go_on_and_takes_no_memory(database: TestDatabase) {
        let server = TestServer::start_on(database).await;
        let world = World::by_commands(&server);
        let devices = devices(&world, &world.opaque).await;
        fill(&server.database, 1..=FEW);
        let (usual, gone) = prune_command(&server).await;
        assert_eq!(gone, FEW - FEW / 10);
        let live = fill(&server.database, FEW + 1..=FEW + rows());

        let refreshing = Refreshing::start(devices);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let resident = || memory(server.id(), "VmRSS:").unwrap();
        let (begun, before) = (Instant::now(), resident());
        let (most, gone) = prune_command(&server).await;
        let (took, after) = (begun.elapsed(), resident());
        let (quiet, during) = refreshing.stop(begun).await;
        assert_eq!(gone, rows() - live);
        println!("the command took {most} KiB, {usual} KiB for few; the server {before} KiB, \
                  {after} KiB after it");
        assert!(most <= usual + GROWTH_KIB, "{most} KiB, and {usual} KiB for few");
        assert!(after <= before + GROWTH_KIB, "the server grew from {before} KiB to {after} KiB");
        check("by the command", took, &quiet, &during);
    }
}
