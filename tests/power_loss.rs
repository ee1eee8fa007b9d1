//! What a power failure leaves of a SQLite database: the real binary's own calls, as strace saw
//! them, decide what was on disk when each answer left.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use perennial::domain::refresh_token::RefreshToken;
use reqwest::Method;

use crate::support::database::{self, Kind, TestDatabase};
use crate::support::disk::{Disk, Unsynced};
use crate::support::http::Http;
use crate::support::oauth::{Request, TokenEndpoint, World};
use crate::support::server::TestServer;
use crate::support::tools;
use crate::support::trace::{self, Event};

/// What SQLite's files are called here, and beyond it.
const FILE: &str = "perennial.db";

/// How many clients refresh at once when commits are shared.
const CLIENTS: usize = 32;

/// How many sessions each of them holds: enough that the database's rows fill many pages.
const SESSIONS: usize = 5;

/// How often each session is refreshed then: enough that the log is carried over into the
/// database in between.
const ROUNDS: usize = 36;

/// Family by family the newest generation.
type Generations = BTreeMap<String, u64>;

/// A database's files as they were, and what a server then did.
struct Run {
    before: tempfile::TempDir,
    folder: PathBuf,
    events: Vec<Event>,
}

/// What was found to hold.
#[derive(Debug)]
struct Held {
    answers: usize,
    /// How often more was on disk than at the answer before.
    commits: usize,
    /// How often the log was carried over into the database.
    checkpoints: usize,
}

impl Run {
    /// Goes through it, and lets the power fail at each answer that gives a refresh token out:
    /// the files that are left open, are whole, and know that generation.
    ///
    /// # Errors
    /// The first answer that a power failure would have made a lie.
    fn check(&self, events: &[Event]) -> Result<Held, String> {
        let mut disk = self.disk();
        let mut held = Held { answers: 0, commits: 0, checkpoints: 0 };
        let mut left: Option<(u64, Generations)> = None;
        for event in events {
            disk.apply(event, FILE)?;
            held.checkpoints += usize::from(is_sync_of(event, FILE));
            let Event::Sent { bytes } = event else { continue };
            let Some((family, generation)) = given(bytes) else { continue };
            let fresh = left.as_ref().is_none_or(|(version, _)| *version != disk.version());
            if fresh {
                held.commits += 1;
                after_failure(&disk, Unsynced::Torn)?;
                left = Some((disk.version(), after_failure(&disk, Unsynced::Lost)?));
            }
            let kept = left.as_ref().and_then(|(_, all)| all.get(&family)).copied();
            if kept.is_none_or(|kept| kept < generation) {
                return Err(format!(
                    "answer {}: generation {generation} of {family} went out, and a power \
                     failure then leaves {kept:?}",
                    held.answers + 1
                ));
            }
            held.answers += 1;
        }
        after_failure(&disk, Unsynced::Torn)?;
        after_failure(&disk, Unsynced::Lost)?;
        Ok(held)
    }

    /// The disk as it was, under the names that the server used.
    fn disk(&self) -> Disk {
        Disk::copied(self.before.path(), &self.folder, FILE)
    }
}

/// Lets the power fail, opens what is left, and says which generations it knows.
fn after_failure(disk: &Disk, unsynced: Unsynced) -> Result<Generations, String> {
    let folder = tempfile::tempdir().unwrap();
    disk.fail(unsynced, folder.path());
    let file = folder.path().join(FILE);
    let whole = database::sqlite_file(&file, "PRAGMA integrity_check");
    if whole != "ok" {
        return Err(format!("{unsynced:?}: {whole}"));
    }
    let rows = database::sqlite_file(&file, "SELECT hex(id), generation FROM token_families");
    let row = |line: &str| {
        let (id, generation) = line.split_once('|').unwrap();
        (id.to_owned(), generation.parse().unwrap())
    };
    Ok(rows.lines().map(row).collect())
}

/// The family and generation that an answer gives out, if it is one.
fn given(sent: &[u8]) -> Option<(String, u64)> {
    let text = std::str::from_utf8(sent).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    if !head.starts_with("HTTP/1.1 200 ") {
        return None;
    }
    let answer: serde_json::Value = serde_json::from_str(body).ok()?;
    let token = RefreshToken::parse(answer["refresh_token"].as_str()?)?;
    let id = token.family.as_bytes().iter().map(|byte| format!("{byte:02X}")).collect();
    Some((id, token.presented.generation))
}

/// Refreshes sessions so often, in turn, on one connection.
async fn refresh(http: Http, mut tokens: Vec<String>, times: usize) -> Vec<String> {
    for _ in 0..times {
        for token in &mut tokens {
            let form = [
                ("grant_type", "refresh_token"),
                ("client_id", "public"),
                ("refresh_token", token.as_str()),
            ];
            let answer = http.send(http.request(Method::POST, "/oauth/token").form(&form)).await;
            *token = answer.tokens().refresh;
        }
    }
    tokens
}

async fn signed_in(world: &World, count: usize) -> Vec<String> {
    let browser = world.sign_in(&world.person).await;
    let mut tokens = Vec::new();
    for _ in 0..count {
        let code = browser.code(&Request::of(&world.public)).await;
        tokens.push(world.device(&world.public).exchange(&code).await.tokens().refresh);
    }
    tokens
}

/// strace stands beside the server and ends a little after it.
async fn finished(trace: &Path, process: u32) -> String {
    let begun = Instant::now();
    loop {
        let text = std::fs::read_to_string(trace).unwrap();
        let ends = |line: &str| {
            let own = line.split_once(' ').is_some_and(|(id, _)| id == process.to_string());
            own && line.contains("+++")
        };
        if text.lines().rev().take(100).any(ends) {
            return text;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "strace did not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A server whose every call is written down while one client refreshes 30 times, and then 32
/// clients at once.
async fn recorded(strace: &Path, database: TestDatabase) -> Run {
    let mut server = TestServer::start_on(database).await;
    let world = World::by_commands(&server);
    let mut tokens = signed_in(&world, CLIENTS * SESSIONS).await;
    assert!(server.terminate().success());
    // The last one to close it clears its log away, so that the next server makes another.
    assert!(server.database.sql("PRAGMA wal_checkpoint(TRUNCATE)").starts_with("0|"));
    assert!(!server.database.folder().join(format!("{FILE}-wal")).exists());

    let folder = server.database.folder().to_path_buf();
    let before = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with(FILE) {
            std::fs::copy(entry.path(), before.path().join(entry.file_name())).unwrap();
        }
    }
    let trace = before.path().join("trace");
    let mut traced = server.installation.serve_traced(strace, trace::CALLS, &trace).await;
    let http = || Http::new(&traced.origin()).with_header("user-agent", "Meadow/1.0 (test)");
    let lone = refresh(http(), tokens[..1].to_vec(), 30).await;
    tokens[..1].clone_from_slice(&lone);
    let runs: Vec<_> = tokens
        .chunks(SESSIONS)
        .map(|own| tokio::spawn(refresh(http(), own.to_vec(), ROUNDS)))
        .collect();
    for run in runs {
        run.await.unwrap();
    }
    assert!(traced.terminate().success());
    let events = trace::read(&finished(&trace, traced.id()).await).unwrap();
    Run { before, folder, events }
}

/// The events without those that `is_left_out` names.
fn without(events: &[Event], is_left_out: impl Fn(&Event) -> bool) -> Vec<Event> {
    events.iter().filter(|event| !is_left_out(event)).cloned().collect()
}

fn is_sync_of(event: &Event, name: &str) -> bool {
    matches!(event, Event::SyncDone { path, .. } if path.ends_with(name))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_leaves_before_its_commit_is_on_disk() {
    let Some(strace) = tools::strace() else { return };
    let database = database::fresh(Kind::Sqlite).expect("SQLite is always there");
    let run = recorded(&strace, database).await;
    let held = run.check(&run.events).unwrap_or_else(|fault| panic!("{fault}"));
    println!("{held:?}");
    let answers = 30 + CLIENTS * SESSIONS * ROUNDS;
    assert_eq!(held.answers, answers, "each answer is in the trace");
    assert!(held.commits > 30, "{held:?}");
    assert!(held.commits < answers, "commits were shared: {held:?}");
    assert!(held.checkpoints > 0, "the log was carried over: more rounds? {held:?}");

    // The check can fail. A database that never syncs:
    let never = without(&run.events, |event| matches!(event, Event::SyncDone { .. }));
    let fault = run.check(&never).unwrap_err();
    assert!(fault.starts_with("answer 1: "), "{fault}");
    // One that syncs its log a single time too few, for the last of the lone client's answers:
    let answers = run
        .events
        .iter()
        .enumerate()
        .filter(|(_, event)| matches!(event, Event::Sent { bytes } if given(bytes).is_some()));
    let thirtieth = answers.map(|(n, _)| n).nth(29).unwrap();
    let is_log = |n: &usize| is_sync_of(&run.events[*n], "-wal");
    let last_sync = (0..thirtieth).rev().find(is_log).expect("a sync of the log");
    let mut once = run.events.clone();
    once.remove(last_sync);
    let fault = run.check(&once).unwrap_err();
    assert!(fault.starts_with("answer 30: "), "{fault}");
    // One that answers first and syncs then:
    let mut early = run.events.clone();
    let answer = early.remove(thirtieth);
    early.insert(last_sync, answer);
    let fault = run.check(&early).unwrap_err();
    assert!(fault.starts_with("answer 30: "), "{fault}");
    // One that begins its log anew before what it held is surely in the database:
    let careless = without(&run.events, |event| is_sync_of(event, FILE));
    // what is lost is an answered refresh, or the order of the file itself.
    let fault = run.check(&careless).unwrap_err();
    let is_found = ["a power failure then leaves", "*** in database main ***"];
    assert!(is_found.iter().any(|words| fault.contains(words)), "{fault}");
    // One that never syncs the folder in which it made its log:
    let folder = run.folder.display().to_string();
    let nameless = without(
        &run.events,
        |event| matches!(event, Event::SyncDone { path, .. } if *path == folder),
    );
    let fault = run.check(&nameless).unwrap_err();
    assert!(fault.starts_with("answer 1: "), "{fault}");
}
