//! A prune of many dead sessions beside apps that refresh: how long these wait for it, and how
//! much memory it takes. `PERENNIAL_PRUNE_ROWS` says how many; see CONTRIBUTING.md.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use perennial::server::prune_all;
use perennial::settings::{Settings, Sources};

use crate::on_both_databases;
use crate::support::database::TestDatabase;
use crate::support::families::copy;
use crate::support::local::LocalServer;
use crate::support::oauth::{App, Device, TokenEndpoint, World};
use crate::support::process::Server;
use crate::support::server::TestServer;

/// How many apps refresh meanwhile, one after the other's answer each.
const APPS: usize = 4;
/// They are well under way after this.
const WARM: Duration = Duration::from_millis(500);
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

/// Dead sessions in each way to be dead, in the order in which they began, and among ten of them
/// one that lives. How many live.
fn fill(database: &TestDatabase, numbers: RangeInclusive<u64>) -> u64 {
    const DAY: &str = "CAST(86400000 AS BIGINT)";
    let live = (numbers.start() - 1) / 10;
    let live = numbers.end() / 10 - live;
    let long_ago = format!("t.created_at - 200 * {DAY}");
    copy(
        database,
        numbers,
        &[
            ("created_at", &format!("t.created_at - 365 * {DAY} + n")),
            ("issued_at", &long_ago),
            ("written_at", &long_ago),
            (
                "given_at",
                &format!(
                    "CASE WHEN n % 10 = 0 OR n % 3 <> 1 THEN t.created_at ELSE {long_ago} END"
                ),
            ),
            (
                "ends_at",
                &format!(
                    "CASE WHEN n % 10 <> 0 AND n % 3 = 2 THEN {long_ago} \
                     ELSE t.created_at + {DAY} END"
                ),
            ),
            ("ended_at", &format!("CASE WHEN n % 10 <> 0 AND n % 3 = 0 THEN {long_ago} END")),
            ("end_cause", "CASE WHEN n % 10 <> 0 AND n % 3 = 0 THEN 'person' END"),
        ],
    );
    live
}

/// Apps that refresh until they are told to stop.
struct Refreshing {
    stop: Arc<AtomicBool>,
    apps: Vec<tokio::task::JoinHandle<Vec<(Instant, Duration)>>>,
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
                    waits
                })
            })
            .collect();
        Refreshing { stop, apps }
    }

    /// Stops them when it has been quiet for as long as the prune took. The waits after the
    /// prune, and those during it.
    async fn stop(self, prune: Range<Instant>) -> (Waits, Waits) {
        tokio::time::sleep((prune.end - prune.start).max(Duration::from_secs(2))).await;
        self.stop.store(true, Ordering::Relaxed);
        let (mut quiet, mut during) = (Vec::new(), Vec::new());
        for app in self.apps {
            for (begun, wait) in app.await.unwrap() {
                if prune.contains(&begun) {
                    during.push(wait);
                } else if begun >= prune.end {
                    quiet.push(wait);
                }
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

/// Nobody waited longer than in the quiet after it, but for one step of the prune. On a machine
/// that is busy with other things, these stall refreshes too: hence the comparison.
fn check(what: &str, took: Duration, quiet: &Waits, during: &Waits) {
    for (phase, waits) in [("quiet", quiet), ("during", during)] {
        let Waits { count, median, longest } = waits;
        println!("{what}, {phase}: {count} refreshes, median {median:?}, longest {longest:?}");
    }
    println!("{what}: {} rows in {took:?}", rows());
    let bound = STALL + quiet.longest;
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
        tokio::time::sleep(WARM).await;
        let begun = Instant::now();
        let gone = prune_all(&server.db, &settings, server.now()).await.unwrap();
        let (took, end) = (begun.elapsed(), Instant::now());
        let (quiet, during) = refreshing.stop(begun..end).await;
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
        tokio::time::sleep(WARM).await;
        let resident = || memory(server.id(), "VmRSS:").unwrap();
        let (begun, before) = (Instant::now(), resident());
        let (most, gone) = prune_command(&server).await;
        let (took, after, end) = (begun.elapsed(), resident(), Instant::now());
        let (quiet, during) = refreshing.stop(begun..end).await;
        assert_eq!(gone, rows() - live);
        println!("the command took {most} KiB, {usual} KiB for few; the server {before} KiB, \
                  {after} KiB after it");
        assert!(most <= usual + GROWTH_KIB, "{most} KiB, and {usual} KiB for few");
        assert!(after <= before + GROWTH_KIB, "the server grew from {before} KiB to {after} KiB");
        check("by the command", took, &quiet, &during);
    }
}
