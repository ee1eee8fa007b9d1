//! What a crash leaves: of the server in the middle of a run of refreshes, and of Postgres
//! beneath it. The real binary, killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use perennial::crypto::random;
use perennial::domain::refresh_token::RefreshToken;
use perennial::domain::token_family::Status;
use perennial::storage::families::{self, Family};
use perennial::storage::{Database, Options};
use reqwest::Method;
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::on_both_databases;
use crate::support::database::{self, Kind, TestDatabase};
use crate::support::http::{Answer, Http};
use crate::support::oauth::{App, Request, TokenEndpoint, World, basic};
use crate::support::postgres::{Cluster, Durability};
use crate::support::server::TestServer;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// An app on one device that holds one session.
struct Client {
    http: Arc<Http>,
    app: App,
    /// The newest refresh token that it was given.
    token: String,
}

impl Client {
    async fn signed_in(world: &World, app: &App, agent: &str) -> Client {
        let token = world.tokens(app).await.refresh;
        let http = Arc::new(Http::new(&world.origin).with_header("user-agent", agent));
        Client { http, app: app.clone(), token }
    }

    /// One refresh; `None` when there was no answer.
    async fn refresh(&self) -> Option<Answer> {
        let request = self.http.request(Method::POST, "/oauth/token");
        let request = match &self.app.secret {
            Some(secret) => request.header("authorization", basic(&self.app.id, secret)),
            None => request,
        };
        let request = request.form(&[
            ("grant_type", "refresh_token"),
            ("client_id", &self.app.id),
            ("refresh_token", &self.token),
        ]);
        self.http.try_send(request).await.ok()
    }

    fn generation(&self) -> u64 {
        RefreshToken::parse(&self.token).unwrap().presented.generation
    }

    async fn family(&self, storage: &Database) -> Family {
        let id = RefreshToken::parse(&self.token).unwrap().family;
        let found = storage.read(move |connection| families::find(connection, id)).await;
        found.unwrap().expect("a session that was signed in")
    }
}

/// What the clients of one run have seen so far.
#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    answered: AtomicU64,
    busy: AtomicU64,
}

impl Seen {
    async fn until(&self, what: &AtomicU64, count: u64) {
        let start = Instant::now();
        while what.load(Ordering::SeqCst) < count {
            assert!(start.elapsed() < PATIENCE, "waited in vain for {count} answers");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Refreshes one after the other, each with the newest token that was given, until it is told
/// to stop or gets no answer.
fn run(mut client: Client, seen: &Arc<Seen>) -> JoinHandle<Client> {
    let seen = Arc::clone(seen);
    tokio::spawn(async move {
        while !seen.stop.load(Ordering::SeqCst) {
            let Some(answer) = client.refresh().await else { break };
            if answer.status == 503 {
                assert_eq!(answer.json()["error"], "temporarily_unavailable");
                assert_ne!(answer.header("retry-after"), "");
                seen.busy.fetch_add(1, Ordering::SeqCst);
                continue;
            }
            client.token = answer.tokens().refresh;
            seen.answered.fetch_add(1, Ordering::SeqCst);
        }
        client
    })
}

fn open(url: &str) -> Database {
    Database::open(&Options {
        url: SecretString::from(url.to_owned()),
        connections: 2,
        busy: Duration::from_secs(5),
        queue: 64,
    })
    .unwrap()
}

/// One client of each kind of app, several times over: each has a session of its own.
async fn clients(world: &World, times: usize) -> Vec<Client> {
    let apps = [
        (&world.public, "Meadow/1.0 (laptop)"),
        (&world.public, "Meadow/1.0 (phone)"),
        (&world.confidential, "Fern/2.0"),
        (&world.opaque, "Moss/3.0"),
    ];
    let browser = world.sign_in(&world.person).await;
    let mut all = Vec::new();
    for _ in 0..times {
        for (app, agent) in apps {
            let code = browser.code(&Request::of(app)).await;
            let token = world.device(app).exchange(&code).await.tokens().refresh;
            let http = Arc::new(Http::new(&world.origin).with_header("user-agent", agent));
            all.push(Client { http, app: app.clone(), token });
        }
    }
    all
}

/// How often a server is killed in one test: 30 times, or as `PERENNIAL_CRASHES` says.
fn crashes() -> u64 {
    std::env::var("PERENNIAL_CRASHES").map_or(30, |count| {
        count.parse().unwrap_or_else(|_| panic!("PERENNIAL_CRASHES={count:?} is not a number"))
    })
}

/// The database as a killed server left it. SQLite's files are copied before anybody opens
/// them, so that the next server finds what the last one left.
struct Remains {
    storage: Database,
    _copy: Option<TempDir>,
}

impl Remains {
    fn of(database: &TestDatabase) -> Remains {
        if database.kind == Kind::Postgres {
            return Remains { storage: open(&database.url), _copy: None };
        }
        let copy = tempfile::tempdir().unwrap();
        for name in ["perennial.db", "perennial.db-wal"] {
            // The log is not there right after a start.
            let from = database.folder().join(name);
            if from.exists() {
                std::fs::copy(from, copy.path().join(name)).unwrap();
            }
        }
        let file = copy.path().join("perennial.db");
        assert_eq!(database::sqlite_file(&file, "PRAGMA integrity_check"), "ok");
        let storage = open(&format!("sqlite://{}", file.display()));
        Remains { storage, _copy: Some(copy) }
    }
}

on_both_databases! {
    async fn no_answered_rotation_is_lost_when_the_server_is_killed(database: TestDatabase) {
        let mut server = TestServer::start_on(database).await;
        let world = World::by_commands(&server);
        let mut clients = clients(&world, 3).await;
        let browser = world.sign_in(&world.person).await;
        let (count, rounds) = (clients.len(), crashes());
        let (mut answered, mut unheard) = (0, 0);
        for round in 0..rounds {
            let seen = Arc::new(Seen::default());
            let runs: Vec<_> = clients.drain(..).map(|client| run(client, &seen)).collect();
            // Anywhere within a run: after some answers, and some part of a refresh more.
            let [some, part, start, moment] = random::bytes::<4>();
            seen.until(&seen.answered, 4 + u64::from(some % 60)).await;
            tokio::time::sleep(Duration::from_micros(u64::from(part) * 20)).await;
            server.kill9();
            seen.stop.store(true, Ordering::SeqCst);
            for run in runs {
                clients.push(run.await.unwrap());
            }
            answered += seen.answered.load(Ordering::SeqCst);
            let remains = Remains::of(&server.database);
            for client in &clients {
                let family = client.family(&remains.storage).await;
                let (ours, newest) = (client.generation(), family.chain.generation);
                assert_eq!(family.status, Status::Live, "round {round}");
                let parent = family.chain.parent.map(|parent| parent.generation);
                assert!(
                    newest == ours || (newest == ours + 1 && parent == Some(ours)),
                    "round {round}: {ours} was answered, {newest} after {parent:?} is stored"
                );
                unheard += newest - ours;
            }
            drop(remains);
            if start % 4 == 0 {
                // The next one doesn't even get to its start.
                let mut next = server.installation.serve_unready();
                tokio::time::sleep(Duration::from_millis(u64::from(moment) / 4)).await;
                next.kill9();
            }
            server.crash_and_restart().await;
            for client in &mut clients {
                let before = client.generation();
                let answer = client.refresh().await.expect("an answer after the restart");
                client.token = answer.tokens().refresh;
                assert_eq!(client.generation(), before + 1, "round {round}");
            }
        }
        println!("{rounds} crashes, {answered} answers, {unheard} commits that nobody heard of");
        browser.http.get("/account").await.expect(200);
        assert_eq!(
            server.database.sql("SELECT count(*) FROM token_families WHERE ended_at IS NULL"),
            count.to_string()
        );
        assert_eq!(server.database.sql("SELECT count(*) FROM token_families"), count.to_string());
        // No alarm, no end.
        let actions = "SELECT DISTINCT action FROM audit_events WHERE action LIKE 'session.%'";
        assert_eq!(server.database.sql(actions), "session.started");
        if server.database.kind == Kind::Sqlite {
            assert_eq!(server.database.sql("PRAGMA integrity_check"), "ok");
        }
    }
}

/// A server on a cluster of its own, which a test may take away.
async fn on_a_cluster(cluster: &Cluster) -> (TestServer, String) {
    let folder = database::fresh(Kind::Sqlite).expect("SQLite is always there");
    let url = cluster.url(&cluster.new_database());
    let server = TestServer::start_with(folder, |it| {
        it.with("PERENNIAL_DATABASE_URL", &url).with("PERENNIAL_DATABASE__BUSY_SECONDS", "1")
    })
    .await;
    (server, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answered_rotation_is_lost_when_postgres_crashes_beneath_the_server() {
    let Some(cluster) = Cluster::start(Durability::Safe) else { return };
    let (mut server, url) = on_a_cluster(&cluster).await;
    let world = World::by_commands(&server);
    let mut clients = clients(&world, 1).await;
    for _ in 0..2 {
        let seen = Arc::new(Seen::default());
        let count = clients.len() as u64;
        let runs: Vec<_> = clients.drain(..).map(|client| run(client, &seen)).collect();
        seen.until(&seen.answered, 20).await;
        tokio::task::block_in_place(|| cluster.stop_now());
        seen.until(&seen.busy, 2 * count).await;
        let answered = seen.answered.load(Ordering::SeqCst);
        tokio::task::block_in_place(|| cluster.start_server()).unwrap();
        seen.until(&seen.answered, answered + 20).await;
        seen.stop.store(true, Ordering::SeqCst);
        for run in runs {
            clients.push(run.await.unwrap());
        }
        let storage = open(&url);
        for client in &clients {
            let family = client.family(&storage).await;
            assert_eq!(family.status, Status::Live);
            assert_eq!(family.chain.generation, client.generation());
        }
    }
    assert!(server.is_running());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_postgres_is_gone_everybody_is_asked_to_come_back_and_nobody_is_signed_out() {
    let Some(cluster) = Cluster::start(Durability::Fast) else { return };
    let (mut server, _) = on_a_cluster(&cluster).await;
    let world = World::by_commands(&server);
    let client = Client::signed_in(&world, &world.public, "Meadow/1.0").await;
    let browser = world.sign_in(&world.person).await;
    browser.http.get("/account").await.expect(200);

    tokio::task::block_in_place(|| cluster.stop_now());
    let http = server.http();
    http.get("/healthz").await.expect(200);
    let ready = http.get("/readyz").await.expect(503);
    assert_eq!(ready.json()["status"], "not ready");
    // A page, not the way to the sign-in page, and the cookie stays.
    let cookies = browser.http.cookies();
    let page = browser.http.get("/account").await.expect(503);
    assert!(page.text().contains("can’t answer just now"), "{}", page.text());
    assert!(page.text().contains(page.header("x-request-id")), "{}", page.text());
    assert_ne!(page.header("retry-after"), "");
    assert!(page.header("set-cookie").is_empty() && browser.http.cookies() == cookies);
    let token = client.refresh().await.unwrap().expect(503);
    assert_eq!(token.json()["error"], "temporarily_unavailable");
    assert_ne!(token.header("retry-after"), "");
    let introspected = world.device(&world.api).introspect_answer("prt_nothing").await.expect(503);
    assert_eq!(introspected.json()["error"], "temporarily_unavailable");
    let login = browser.http.get("/login").await.expect(503);
    assert!(login.text().contains("can’t answer just now"));

    tokio::task::block_in_place(|| cluster.start_server()).unwrap();
    server.wait_until_ready().await;
    // A connection that was open then may be found broken once.
    let start = Instant::now();
    while browser.http.get("/account").await.status != 200 {
        assert!(start.elapsed() < PATIENCE);
    }
    while client.refresh().await.unwrap().status != 200 {
        assert!(start.elapsed() < PATIENCE);
    }
    assert!(server.is_running());
}
