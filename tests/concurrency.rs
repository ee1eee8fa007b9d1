//! Many clients at once, on one server process or two: what they saw, put in an order.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use perennial::clock::Clock;
use perennial::crypto::random;
use perennial::domain::caller::CallerId;
use perennial::domain::refresh_token::RefreshToken;
use perennial::domain::time::Timestamp;
use perennial::domain::token_family::{EndCause, Policy, Presenter, Rotation, Status};
use perennial::storage::families::{self, Family};
use perennial::storage::{Database, Options};
use reqwest::Method;
use secrecy::SecretString;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::on_both_databases;
use crate::support::database::{self, Kind, TestDatabase};
use crate::support::http::{Answer, Http};
use crate::support::linearizability::{self, End, Operation, Rules, Seen};
use crate::support::oauth::{App, Request, SCOPE, TokenEndpoint, Tokens, World};
use crate::support::process::Server;
use crate::support::server::TestServer;

/// How long the clients run.
const RUN: Duration = Duration::from_secs(5);

/// The retry window of the app whose tokens are stolen and whose window passes within the run.
const SHORT_WINDOW: Duration = Duration::from_secs(1);

/// The program of everybody's own device.
const OWNER: &str = "Meadow/1.0 (laptop)";

/// The program that copied tokens are presented by.
const THIEF: &str = "Elsewhere/2.0";

/// The server processes of one installation: one on SQLite, two on Postgres.
struct Nodes {
    first: TestServer,
    second: Option<Server>,
}

impl Nodes {
    async fn on(database: TestDatabase) -> Nodes {
        let two = database.kind == Kind::Postgres;
        let first = TestServer::start_on(database).await;
        let second = if two { Some(first.installation.another_node().serve().await) } else { None };
        Nodes { first, second }
    }

    fn origins(&self) -> Vec<String> {
        let second = self.second.iter().map(|server| server.origin());
        std::iter::once(self.first.origin()).chain(second).collect()
    }

    /// Ends them all, so that nobody writes any more.
    fn terminate(&mut self) {
        assert!(self.first.terminate().success());
        if let Some(server) = &mut self.second {
            assert!(server.terminate().success());
        }
    }
}

/// How a family's client behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// One refresh after the other.
    Honest,
    /// Each refresh twice at once.
    Doubling,
    /// Drops connections before the answer, then asks again with the token it had.
    Losing,
    /// Honest, but its tokens are copied by somebody who goes on with them.
    Robbed,
}

/// One of a family's two ends: its own device, or a thief.
#[derive(Clone)]
struct Holder {
    /// One connection pool for each node.
    nodes: Vec<Arc<Http>>,
    agent: &'static str,
    presenter: Presenter,
}

/// One family and what is seen of it.
struct Watched {
    manner: Manner,
    app: App,
    rules: Rules,
    first: String,
    begun: Instant,
    history: Mutex<Vec<Operation>>,
    /// What the thief finds when it looks.
    copied: Mutex<Option<String>>,
    owner: Holder,
    thief: Holder,
}

fn holder(origins: &[String], agent: &'static str, id: CallerId) -> Holder {
    let nodes = origins
        .iter()
        .map(|origin| Arc::new(Http::new(origin).with_header("user-agent", agent)))
        .collect();
    Holder { nodes, agent, presenter: Presenter { id, proven: false } }
}

/// A number below `end`.
fn below(end: u64) -> u64 {
    u64::from_be_bytes(random::bytes()) % end
}

async fn pause(longest: Duration) {
    let micros = below(u64::try_from(longest.as_micros()).unwrap().max(1));
    tokio::time::sleep(Duration::from_micros(micros)).await;
}

fn read(answer: &Answer) -> Seen {
    let json = answer.json();
    let description = json["error_description"].as_str().unwrap_or_default();
    match (answer.status.as_u16(), json["error"].as_str()) {
        (200, None) => {
            let refresh = json["refresh_token"].as_str().unwrap().to_owned();
            let access = json["access_token"].as_str().unwrap().to_owned();
            let tokens = Tokens { access, refresh, answer: json.clone() };
            let claims = tokens.claims();
            let generation = RefreshToken::parse(&tokens.refresh).unwrap().presented.generation;
            let same = ["jti", "iat", "exp"].map(|name| claims[name].to_string()).join(" ");
            Seen::Given(generation, format!("{} {same}", tokens.refresh))
        }
        (503, Some("temporarily_unavailable")) if description.contains("overtaken") => Seen::Late,
        (503, Some("temporarily_unavailable")) => Seen::Nothing,
        (400, Some("invalid_grant")) if description.starts_with(EndCause::Reuse.description()) => {
            Seen::Ended
        }
        _ => panic!("{}\n{}", answer.status, answer.body),
    }
}

/// The refresh token of an answer.
fn token(seen: &Seen) -> Option<String> {
    match seen {
        Seen::Given(_, answer) => answer.split(' ').next().map(str::to_owned),
        _ => None,
    }
}

impl Watched {
    fn record(&self, token: &str, presenter: Presenter, at: (Instant, Timestamp), answer: &Seen) {
        let operation = Operation {
            sent: at.0 - self.begun,
            over: self.begun.elapsed(),
            at: at.1,
            presented: RefreshToken::parse(token).unwrap().presented,
            presenter,
            answer: answer.clone(),
        };
        self.history.lock().unwrap().push(operation);
    }

    /// One refresh, at any node.
    async fn present(&self, holder: &Holder, token: &str) -> Seen {
        let node = usize::try_from(below(holder.nodes.len() as u64)).unwrap();
        self.present_at(holder, node, token).await
    }

    /// The same, again where the server was too busy to say anything.
    async fn present_until_heard(&self, holder: &Holder, token: &str) -> Seen {
        loop {
            let seen = self.present(holder, token).await;
            if seen != Seen::Nothing {
                return seen;
            }
        }
    }

    async fn present_at(&self, holder: &Holder, node: usize, token: &str) -> Seen {
        let http = &holder.nodes[node % holder.nodes.len()];
        let request = http.request(Method::POST, "/oauth/token").form(&[
            ("grant_type", "refresh_token"),
            ("client_id", &self.app.id),
            ("refresh_token", token),
        ]);
        let sent = (Instant::now(), Clock::system().now());
        let answer = read(&http.send(request).await);
        self.record(token, holder.presenter, sent, &answer);
        answer
    }

    /// One refresh whose connection is dropped at some moment before its answer is read.
    async fn lose(&self, holder: &Holder, token: &str) {
        let node = usize::try_from(below(holder.nodes.len() as u64)).unwrap();
        let port = holder.nodes[node].address("/").port().unwrap();
        let body =
            format!("grant_type=refresh_token&client_id={}&refresh_token={token}", self.app.id);
        let request = format!(
            "POST /oauth/token HTTP/1.1\r\nhost: localhost:{port}\r\nuser-agent: {}\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            holder.agent,
            body.len()
        );
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let sent = (Instant::now(), Clock::system().now());
        stream.write_all(request.as_bytes()).await.unwrap();
        pause(Duration::from_millis(12)).await;
        drop(stream);
        self.record(token, holder.presenter, sent, &Seen::Nothing);
    }

    /// The family's own client. Its newest token; none once it was told of the end.
    async fn own(&self) -> Option<String> {
        let mut newest = self.first.clone();
        while self.begun.elapsed() < RUN {
            match self.manner {
                Manner::Losing => {
                    for _ in 0..below(3) {
                        self.lose(&self.owner, &newest).await;
                    }
                }
                // The thief looks before the token is used, or after it.
                Manner::Robbed if below(4) == 0 => {
                    *self.copied.lock().unwrap() = Some(newest.clone());
                    pause(Duration::from_millis(60)).await;
                }
                _ => {}
            }
            let seen = if self.manner == Manner::Doubling {
                let (one, other) = tokio::join!(
                    self.present_at(&self.owner, 0, &newest),
                    self.present_at(&self.owner, 1, &newest)
                );
                if token(&one).is_some() { one } else { other }
            } else {
                self.present(&self.owner, &newest).await
            };
            if seen == Seen::Ended {
                return None;
            }
            newest = token(&seen).unwrap_or(newest);
            // Some of the robbed let the window pass.
            let rarely = self.manner == Manner::Robbed && below(12) == 0;
            pause(if rarely { 2 * SHORT_WINDOW } else { Duration::from_millis(40) }).await;
        }
        Some(newest)
    }

    /// Goes on with what it copied for a while, then looks for another copy.
    async fn steal(&self) -> Option<String> {
        let mut newest: Option<String> = None;
        while self.begun.elapsed() < RUN {
            let copy = self.copied.lock().unwrap().take();
            let Some(copy) = copy else {
                pause(Duration::from_millis(10)).await;
                continue;
            };
            pause(Duration::from_millis(40)).await;
            let mut own = copy;
            for _ in 0..=below(3) {
                let seen = self.present(&self.thief, &own).await;
                if seen == Seen::Ended {
                    return None;
                }
                let Some(next) = token(&seen) else { break };
                newest = Some(next.clone());
                own = next;
                pause(Duration::from_millis(80)).await;
            }
        }
        newest
    }

    fn end_of(family: &Family) -> End {
        End {
            generation: family.chain.generation,
            parent: family.chain.parent.map(|parent| parent.generation),
            live: family.status == Status::Live,
        }
    }
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

async fn family(storage: &Database, token: &str) -> Family {
    let id = RefreshToken::parse(token).unwrap().family;
    let found = storage.read(move |connection| families::find(connection, id)).await;
    found.unwrap().expect("a session that was signed in")
}

/// A public app whose window passes within the run.
fn short_window_app(server: &TestServer) -> App {
    let seconds = SHORT_WINDOW.as_secs().to_string();
    let mut line = vec!["client", "add", "--id", "short", "--name", "Short", "--type", "public"];
    line.extend(["--scope", SCOPE, "--redirect-uri", "https://app.example/callback"]);
    line.extend(["--retry-window", &seconds]);
    server.installation.json(&line);
    let redirect_uri = "https://app.example/callback".to_owned();
    App { id: "short".to_owned(), secret: None, redirect_uri }
}

/// Fifty families, signed in one after the other.
async fn fifty(nodes: &Nodes, world: &World) -> Vec<Watched> {
    let short = short_window_app(&nodes.first);
    let origins = nodes.origins();
    let storage = open(&nodes.first.database.url);
    let browser = world.sign_in(&world.person).await;
    // The hash of its caller is the server's secret; any that no family knows will do.
    let thief = holder(&origins, THIEF, CallerId::from_bytes(*b"a thief!"));
    let owner = holder(&origins, OWNER, CallerId::from_bytes([0; 8]));
    let manners = [(Manner::Honest, 12), (Manner::Doubling, 12), (Manner::Losing, 12)];
    let plain = manners.into_iter().flat_map(|(manner, n)| vec![(manner, &world.public); n]);
    let robbed = (0..14).map(|n| (Manner::Robbed, if n < 10 { &short } else { &world.public }));
    let mut all = Vec::new();
    for (manner, app) in plain.chain(robbed) {
        let code = browser.code(&Request::of(app)).await;
        let first = world.device_called(app, OWNER).exchange(&code).await.tokens().refresh;
        let row = family(&storage, &first).await;
        let is_short = app.id == short.id;
        let policy = Policy {
            rotation: Rotation::Resumable,
            retry_window: if is_short { SHORT_WINDOW } else { Duration::from_secs(30) },
            current_key: row.chain.key,
            recovery: None,
        };
        let presenter = Presenter { id: row.chain.given_to, proven: false };
        all.push(Watched {
            manner,
            app: app.clone(),
            rules: Rules { chain: row.chain, lifetime: row.lifetime, policy },
            first,
            begun: Instant::now(),
            history: Mutex::default(),
            copied: Mutex::default(),
            owner: Holder { presenter, ..owner.clone() },
            thief: thief.clone(),
        });
    }
    let begun = Instant::now();
    for family in &mut all {
        family.begun = begun;
    }
    all
}

/// Runs a family's clients to the end. Where its owner and a thief hold different generations
/// then, both present them once more: whether they were found out by it, or before.
async fn run(watched: Arc<Watched>) -> Option<bool> {
    if watched.manner != Manner::Robbed {
        watched.own().await;
        return None;
    }
    let (owner, thief) = tokio::join!(watched.own(), watched.steal());
    if watched.rules.policy.retry_window != SHORT_WINDOW {
        return None;
    }
    let (Some(owner), Some(thief)) = (owner, thief) else { return Some(true) };
    if owner == thief {
        return None;
    }
    // What the table says of an early return is said of a window that has passed.
    tokio::time::sleep(2 * SHORT_WINDOW).await;
    let first = watched.present_until_heard(&watched.owner, &owner).await;
    let second = watched.present_until_heard(&watched.thief, &thief).await;
    Some([first, second].contains(&Seen::Ended))
}

on_both_databases! {
    async fn what_fifty_mixed_clients_see_at_once_has_an_order(database: TestDatabase) {
        let mut nodes = Nodes::on(database).await;
        let world = World::by_commands(&nodes.first);
        let all: Vec<Arc<Watched>> =
            fifty(&nodes, &world).await.into_iter().map(Arc::new).collect();
        let runs: Vec<_> = all.iter().map(|one| tokio::spawn(run(Arc::clone(one)))).collect();
        let mut found_out = Vec::new();
        for run in runs {
            found_out.push(run.await.unwrap());
        }
        nodes.terminate();
        let storage = open(&nodes.first.database.url);
        let (mut count, mut steps) = (0, 0);
        for (watched, found_out) in all.iter().zip(&found_out) {
            let row = family(&storage, &watched.first).await;
            let history = watched.history.lock().unwrap().clone();
            let (manner, app) = (watched.manner, &watched.app.id);
            count += history.len();
            let end = Watched::end_of(&row);
            steps += linearizability::check(&watched.rules, &history, Some(end))
                .unwrap_or_else(|fault| panic!("{manner:?}, {app}: {fault}"));
            if manner == Manner::Robbed {
                assert_ne!(*found_out, Some(false), "{app}: the thief and its owner went on");
            } else {
                assert!(end.live && row.alarm_at.is_none(), "{manner:?}: {row:?}");
                assert!(!history.iter().any(|one| one.answer == Seen::Late), "{manner:?}");
            }
        }
        // The run was one: many refreshes, and thieves who were found out.
        assert!(count >= 200, "{count} refreshes in {RUN:?}");
        assert!(found_out.contains(&Some(true)), "no thief got anything");
        println!("{count} refreshes put in order in {steps} steps");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_server_processes_on_one_postgres_give_one_successor() {
    let Some(database) = database::fresh(Kind::Postgres) else { return };
    let nodes = Nodes::on(database).await;
    let world = World::by_commands(&nodes.first);
    let first = world.tokens(&world.public).await;
    let devices: Vec<_> = nodes
        .origins()
        .iter()
        .map(|origin| Arc::new(world.device(&world.public).at(origin, "Meadow/1.0 (test)")))
        .collect();
    assert_eq!(devices.len(), 2);
    let mut newest = first.refresh;
    // Many at once, and then again and again a few: only the first ones of a round race for it.
    let rounds = [200; 3].into_iter().chain([8; 60]);
    for (round, uses) in (2..).zip(rounds) {
        let runs: Vec<_> = (0..uses)
            .map(|n| {
                let (device, token) = (Arc::clone(&devices[n % 2]), newest.clone());
                tokio::spawn(async move { device.refresh(&token).await.tokens() })
            })
            .collect();
        let mut answers = BTreeSet::new();
        for run in runs {
            let tokens = run.await.unwrap();
            let same = ["jti", "iat", "exp"].map(|claim| tokens.claims()[claim].to_string());
            answers.insert((tokens.refresh, same));
        }
        assert_eq!(answers.len(), 1, "{answers:#?}");
        newest = answers.into_iter().next().unwrap().0;
        let row = nodes.first.database.sql(
            "SELECT generation, parent, ended_at IS NULL, alarm_at IS NULL FROM token_families",
        );
        assert_eq!(row, format!("{round}|{}|t|t", round - 1));
    }
}
