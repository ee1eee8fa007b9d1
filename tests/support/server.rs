//! A server of its own for each test: the real binary on a random port, with a
//! fresh database.

use std::ops::{Deref, DerefMut};

use super::database::{self, Kind, TestDatabase};
use super::http::Http;
use super::process::{Installation, Server};

/// A running server and its database; it derefs to the [`Server`].
pub struct TestServer {
    // Dropped in this order: the server goes before its database does.
    server: Server,
    /// Its database.
    pub database: TestDatabase,
}

impl TestServer {
    /// On SQLite.
    pub async fn start() -> TestServer {
        let database = database::fresh(Kind::Sqlite).expect("SQLite is always there");
        TestServer::start_on(database).await
    }

    /// On a database of either kind.
    pub async fn start_on(database: TestDatabase) -> TestServer {
        TestServer::start_with(database, |installation| installation).await
    }

    /// With more settings: `|it| it.with("PERENNIAL_…", "…")`.
    pub async fn start_with(
        database: TestDatabase,
        settings: impl FnOnce(Installation) -> Installation,
    ) -> TestServer {
        let server = settings(Installation::on(&database)).serve().await;
        TestServer { server, database }
    }

    /// A client that knows nothing of this server yet.
    pub fn http(&self) -> Http {
        Http::new(&self.server.origin())
    }

    /// Kills the process with SIGKILL and starts another on the same database
    /// and port. What the test remembered as secret stays remembered.
    pub async fn crash_and_restart(&mut self) {
        self.server.kill9();
        self.start_again().await;
    }

    /// Starts another process on the same port, once the one before has ended.
    pub async fn start_again(&mut self) {
        let secrets = self.server.secrets.clone();
        let mut next = self.server.installation.serve_unready();
        next.secrets = secrets;
        next.wait_until_ready().await;
        self.server = next;
    }
}

impl Deref for TestServer {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for TestServer {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}
