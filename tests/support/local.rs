//! A server inside the test's own process, on a real port, whose clock the test turns: it
//! stands still otherwise, so that no outcome depends on how long a test takes.
//!
//! For what depends on time: windows, ends, throttles. What a crash or a log shows needs
//! the real binary: [`super::server::TestServer`].

use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use perennial::clock::Clock;
use perennial::domain::time::Timestamp;
use perennial::server::Server;
use perennial::settings::{Settings, Sources};
use perennial::storage::Database;

use super::database::TestDatabase;
use super::http::Http;

/// A running server. Stopped when it goes out of scope.
pub struct LocalServer {
    /// Where it answers: `http://localhost:PORT`.
    pub origin: String,
    /// What it puts before every URL; on another node, the first one's.
    pub issuer: String,
    /// Its clock; all nodes of one installation share it.
    pub clock: Clock,
    /// Its own way to the database.
    pub db: Database,
    /// Its database, for SQL beside its back.
    pub database: Arc<TestDatabase>,
    settings: Vec<(String, String)>,
    handle: actix_web::dev::ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl LocalServer {
    /// With the usual settings but for cheap password hashes.
    pub async fn start(database: TestDatabase) -> LocalServer {
        LocalServer::start_with(database, &[]).await
    }

    /// With more settings: `&[("tokens.access_token_seconds", "60")]`.
    pub async fn start_with(database: TestDatabase, settings: &[(&str, &str)]) -> LocalServer {
        let settings = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        node(Arc::new(database), settings, Clock::standing(), None, |_| {}).await
    }

    /// A second node of the same installation: its own port, the same database, key file,
    /// issuer and clock.
    pub async fn another_node(&self) -> LocalServer {
        self.another_node_with(|_| {}).await
    }

    /// The same with other settings, also such as no file could set.
    pub async fn another_node_with(&self, change: impl FnOnce(&mut Settings)) -> LocalServer {
        let settings = self.settings.clone();
        let issuer = Some(self.issuer.clone());
        node(Arc::clone(&self.database), settings, self.clock.clone(), issuer, change).await
    }

    /// A client that knows nothing of this server yet.
    pub fn http(&self) -> Http {
        Http::new(&self.origin).with_origin(&self.issuer)
    }

    /// Moves its clock on.
    pub fn travel(&self, span: Duration) {
        self.clock.travel(span);
    }

    /// Moves its clock on by seconds.
    pub fn travel_seconds(&self, seconds: u64) {
        self.travel(Duration::from_secs(seconds));
    }

    /// The time by its clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Runs SQL beside its back.
    pub fn sql(&self, statement: &str) -> String {
        self.database.sql(statement)
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        // The command is sent at once; only its answer is a future.
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.unwrap();
            }
        }
    }
}

async fn node(
    database: Arc<TestDatabase>,
    more: Vec<(String, String)>,
    clock: Clock,
    issuer: Option<String>,
    change: impl FnOnce(&mut Settings),
) -> LocalServer {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let issuer = issuer.unwrap_or_else(|| origin.clone());
    let mut settings = settings(&database, &issuer, &more);
    change(&mut settings);

    let (ready, started) = tokio::sync::oneshot::channel();
    let own_clock = clock.clone();
    let thread = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server = Server::bind_to(settings, own_clock, listener).await.unwrap();
            // From here on nothing writes by itself.
            server.make_keys().await.unwrap();
            let _ = ready.send((server.handle(), server.database().clone()));
            server.run().await.unwrap();
        });
    });
    let Ok((handle, db)) = started.await else {
        match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => panic!("the server ended before it was ready"),
        }
    };
    LocalServer {
        origin,
        issuer,
        clock,
        db,
        database,
        settings: more,
        handle,
        thread: Some(thread),
    }
}

fn settings(database: &TestDatabase, issuer: &str, more: &[(String, String)]) -> Settings {
    let key_file = database.folder().join("keys/perennial.key").display().to_string();
    let usual = [
        ("database_url", database.url.as_str()),
        ("secret_key_file", &key_file),
        ("issuer", issuer),
        ("workers", "2"),
        ("database.connections", "4"),
    ];
    let more = more.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let mut settings = Settings::load(&Sources::only(usual.into_iter().chain(more))).unwrap();
    // Far below what the settings allow: these passwords guard nothing.
    settings.passwords.memory_kib = 8;
    settings.passwords.iterations = 1;
    settings
}
