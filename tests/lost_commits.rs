//! Commits that were answered and are gone: a restored backup, a standby that took over too
//! early. What docs/restore.md tells an operator to type is taken from it and typed here.

use std::time::{Duration, Instant};

use perennial::clock::Clock;
use perennial::domain::recovery::{Recovery, USUAL_TIME};
use perennial::domain::refresh_token::RefreshToken;
use perennial::domain::time::Timestamp;
use perennial::domain::token_family::EndCause;
use perennial::protocol::act::Act;
use perennial::protocol::recovery;
use perennial::storage::Kind;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::database::{self, TestDatabase};
use crate::support::http::{Answer, Http};
use crate::support::local::LocalServer;
use crate::support::oauth::{App, Device, TokenEndpoint, World};
use crate::support::postgres::{Cluster, Durability};
use crate::support::process::{Installation, Output};
use crate::support::server::TestServer;
use crate::support::tools;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

const HOME: &str = "Meadow/1.0 (laptop)";
const ELSEWHERE: &str = "Elsewhere/2.0";

/// An app on one device, with the newest refresh token that it was given.
struct Client {
    device: Device,
    token: String,
}

impl Client {
    async fn signed_in(world: &World, app: &App) -> Client {
        let token = world.tokens(app).await.refresh;
        Client { device: world.device_called(app, HOME), token }
    }

    async fn refresh(&mut self) {
        self.token = self.device.refresh(&self.token).await.tokens().refresh;
    }

    async fn refresh_times(&mut self, times: u64) {
        for _ in 0..times {
            self.refresh().await;
        }
    }

    /// Refreshes; asks again while it is told to.
    async fn refresh_patiently(&mut self) {
        let answer = patiently(|| self.device.refresh(&self.token)).await;
        self.token = answer.tokens().refresh;
    }

    /// Fails unless the refresh is refused because the session was ended by this.
    async fn is_refused(&self, cause: EndCause) {
        let answer = patiently(|| self.device.refresh(&self.token)).await;
        let told = answer.refused(400, "invalid_grant");
        assert!(told.starts_with(cause.description()), "{told}");
    }

    fn generation(&self) -> u64 {
        RefreshToken::parse(&self.token).unwrap().presented.generation
    }

    fn session(&self) -> String {
        RefreshToken::parse(&self.token).unwrap().family.to_string()
    }
}

async fn patiently<F: Future<Output = Answer>>(ask: impl Fn() -> F) -> Answer {
    let start = Instant::now();
    loop {
        let answer = ask().await;
        if answer.status != 503 {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "still: {}", answer.body);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Somebody else, who copied a token.
struct Thief {
    device: Device,
    token: String,
}

impl Thief {
    fn who_copied(world: &World, client: &Client) -> Thief {
        let device = world.device_called(&client.device.app, ELSEWHERE);
        Thief { device, token: client.token.clone() }
    }

    /// Fails unless the thief's token, presented until there is an answer, ends the session.
    async fn is_found_out(&self, victim: &Client) {
        let answer = patiently(|| self.device.refresh(&self.token)).await;
        let told = answer.refused(400, "invalid_grant");
        assert!(told.starts_with(EndCause::Reuse.description()), "{told}");
        victim.is_refused(EndCause::Reuse).await;
    }
}

/// What the administrator reads on a session's page.
async fn timeline(admin: &Http, session: &str) -> String {
    admin.get(&format!("/admin/sessions/{session}")).await.expect(200).text()
}

const AHEAD: &str = "was newer than the database";

mod recoveries {
    use super::*;

    /// Keeps all rows of sessions as they are now.
    fn back_up(server: &LocalServer) -> Timestamp {
        server.sql("CREATE TABLE saved AS SELECT * FROM token_families");
        server.now()
    }

    /// Loses every commit since, and returns the time of the last one.
    fn restore(server: &LocalServer) -> Timestamp {
        server.sql("DELETE FROM token_families");
        server.sql("INSERT INTO token_families SELECT * FROM saved");
        let stopped = server.now();
        server.travel_seconds(60);
        stopped
    }

    async fn open(server: &LocalServer, since: Timestamp, until: Timestamp) {
        let act = Act::operator(server.now());
        let new = Recovery::new(since, until, USUAL_TIME, act.actor_name(), act.now).unwrap();
        let work = move |connection: &mut _| recovery::open(connection, &new, &act);
        server.db.write(work).await.unwrap();
    }

    async fn close(server: &LocalServer) {
        let act = Act::operator(server.now());
        server.db.write(move |connection| recovery::close(connection, &act)).await.unwrap();
    }

    async fn far_ahead(server: &LocalServer, clients: &mut [Client]) {
        for _ in 0..5 {
            server.travel_seconds(40);
            for client in &mut *clients {
                client.refresh().await;
            }
        }
    }

    async fn clients<const N: usize>(world: &World) -> [Client; N] {
        let mut all = Vec::new();
        for _ in 0..N {
            all.push(Client::signed_in(world, &world.public).await);
        }
        all.try_into().ok().unwrap()
    }

    on_both_databases! {
        async fn one_counts_on_every_node_at_once_and_not_once_it_is_closed(
            database: TestDatabase
        ) {
            let server = LocalServer::start(database).await;
            let node = server.another_node().await;
            let world = World::on(&server).await;
            let mut all = clients::<5>(&world).await;
            let spent = Thief::who_copied(&world, &all[1]);
            let made = back_up(&server);
            far_ahead(&server, &mut all).await;
            let stopped = restore(&server);
            let [early, mut here, mut there, closed, lapsed] = all;

            early.is_refused(EndCause::Reuse).await;
            open(&server, made, stopped).await;
            let before = there.generation();
            there.device = there.device.at(&node.origin, HOME);
            there.refresh().await;
            assert_eq!(there.generation(), before + 1);
            here.refresh().await;
            let admin = world.sign_in(&world.admin).await;
            assert!(timeline(&admin.http, &here.session()).await.contains(AHEAD));
            let overview = admin.http.get("/admin").await.expect(200).text();
            assert!(overview.contains("A recovery is open until"), "{overview}");
            assert!(overview.contains("Opened by the command line"), "{overview}");
            // What it adopted is an ordinary session again: an old copy is found out.
            server.travel_seconds(40);
            here.refresh().await;
            spent.is_found_out(&here).await;

            close(&server).await;
            closed.is_refused(EndCause::Reuse).await;
            open(&server, made, stopped).await;
            server.travel(USUAL_TIME);
            lapsed.is_refused(EndCause::Reuse).await;
            there.refresh().await;
        }

        async fn one_counts_for_tokens_of_its_interval_alone(database: TestDatabase) {
            let server = LocalServer::start(database).await;
            let world = World::on(&server).await;
            let mut all = clients::<2>(&world).await;
            let made = back_up(&server);
            far_ahead(&server, &mut all[..1]).await;
            let between = server.now();
            far_ahead(&server, &mut all[1..]).await;
            restore(&server);
            open(&server, made, between).await;
            let [mut within, after] = all;
            within.refresh().await;
            after.is_refused(EndCause::Reuse).await;
        }

        async fn a_thief_who_comes_first_in_one_is_found_out_by_the_app(database: TestDatabase) {
            let server = LocalServer::start(database).await;
            let world = World::on(&server).await;
            let mut all = clients::<2>(&world).await;
            // One copied the newest token of the backup, one a token of the time that is lost.
            let newest = Thief::who_copied(&world, &all[0]);
            let made = back_up(&server);
            server.travel_seconds(40);
            all[1].refresh_times(4).await;
            let lost = Thief::who_copied(&world, &all[1]);
            far_ahead(&server, &mut all).await;
            let stopped = restore(&server);
            open(&server, made, stopped).await;
            for (mut thief, victim) in [newest, lost].into_iter().zip(&all) {
                thief.token = thief.device.refresh(&thief.token).await.tokens().refresh;
                server.travel_seconds(40);
                // The row was written since the app's token was issued: it isn't gone over.
                victim.is_refused(EndCause::Reuse).await;
                thief.is_found_out(victim).await;
            }
        }

        async fn a_session_that_only_the_restored_row_takes_for_expired_goes_on(
            database: TestDatabase
        ) {
            let settings = [("tokens.refresh_idle_seconds", "3600")];
            let server = LocalServer::start_with(database, &settings).await;
            let world = World::on(&server).await;
            let mut all = clients::<3>(&world).await;
            let made = back_up(&server);
            for _ in 0..4 {
                server.travel_seconds(2_400);
                all[0].refresh().await;
                all[1].refresh().await;
            }
            let stopped = restore(&server);
            let [mut used, ended, unused] = all;
            // The command goes by the machine's clock: to it, too, that row has expired.
            let id = RefreshToken::parse(&ended.token).unwrap().family;
            let hex: String = id.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            let literal = match server.db.kind() {
                Kind::Sqlite => format!("x'{hex}'"),
                Kind::Postgres => format!("'\\x{hex}'"),
            };
            server.sql(&format!("UPDATE token_families SET idle_ms = 1 WHERE id = {literal}"));
            let installation = Installation::on(&server.database);
            let client = ["session", "revoke", "--client", "public"];
            let until = ["--before", "2100-01-01T00:00:00Z"];
            let revoked = installation.shell(
                &format!("echo {id} | perennial session revoke --ids - --json"),
                &[],
            );
            assert_eq!(revoked.ok().json()["ended"], 1);
            open(&server, made, stopped).await;
            ended.is_refused(EndCause::Admin).await;
            used.refresh().await;
            let told = unused.device.refresh(&unused.token).await.refused(400, "invalid_grant");
            assert!(told.starts_with("the session expired"), "{told}");
            // All that is left ends, counted or not.
            assert_eq!(installation.json(&[&client[..], &until[..]].concat())["ended"], 2);
            used.is_refused(EndCause::Admin).await;
        }
    }

    on_both_databases! {
        async fn the_command_says_what_can_not_be_meant(database: TestDatabase) {
            let server = TestServer::start_on(database).await;
            let run = |line: &str| server.installation.run(line.split(' '));
            for (line, fault) in [
                ("recover --since 2026-01-02T00:00:00Z --until 2026-01-01T00:00:00Z", "--until: it must be later than --since"),
                ("recover --since 2026-01-02T00:00:00Z --until 2999-01-01T00:00:00Z", "--until: it lies in the future"),
                ("recover --since 2025-01-02T00:00:00Z --until 2026-01-01T00:00:00Z", "--since: it lies more than 31 days before --until"),
                ("recover --since 2026-01-01T00:00:00Z --until 2026-01-02T00:00:00Z --for 31d", "--for: a recovery stays open for 1m to 30d"),
                ("recover --since yesterday --until 2026-01-02T00:00:00Z", "write it like 2026-11-23T14:00:00Z"),
                ("recover --since 2026-01-01T00:00:00Z --until 2026-01-02T00:00:00Z --for 31", "write it like 90m, 24h or 7d"),
            ] {
                let output = run(line);
                assert_eq!(output.code(), Some(2), "{line}");
                assert!(output.stderr.contains(fault), "{line}: {}", output.stderr);
            }
            let status = || server.installation.json(&["recover", "--status"]);
            assert_eq!(status(), json!({ "open": false }));
            let both = "recover --since 2026-01-01T00:00:00Z --until 2026-01-02T00:00:00+01:00";
            let text = run(both).ok().stdout;
            assert!(text.starts_with("A recovery is open.\n"), "{text}");
            assert!(text.contains("2026-01-01T00:00:00Z to 2026-01-01T23:00:00Z"), "{text}");
            let open = status();
            assert_eq!((&open["open"], &open["opened_by"]), (&json!(true), &json!("the command line")));
            assert_eq!((&open["since"], &open["sessions_not_back"]), (&json!("2026-01-01T00:00:00Z"), &json!(0)));
            let closes = Timestamp::parse_rfc3339(open["closes_at"].as_str().unwrap()).unwrap();
            let opened = Timestamp::parse_rfc3339(open["opened_at"].as_str().unwrap()).unwrap();
            assert_eq!(closes.since(opened), USUAL_TIME);
            let again = run(&format!("{both} --for 24h")).ok().stdout;
            assert!(again.contains("in place of the one from 2026-01-01T00:00:00Z"), "{again}");
            let closed = server.installation.json(&["recover", "--close"]);
            assert_eq!(closed, json!({ "open": false, "was_open": true }));
            assert_eq!(run("recover --close").ok().stdout, "No recovery was open.\n");
            assert_eq!(status(), json!({ "open": false }));
            let world = World::by_commands(&server);
            let admin = world.sign_in(&world.admin).await;
            let audit = admin.http.get("/admin/audit").await.expect(200).text();
            assert!(audit.contains("Recovery opened"), "{audit}");
            assert!(audit.contains("Recovery closed"), "{audit}");
            assert!(audit.contains("are taken until"), "{audit}");
        }

        async fn ending_what_is_older_signs_browsers_out_too(database: TestDatabase) {
            let server = TestServer::start_on(database).await;
            let world = World::by_commands(&server);
            let browser = world.sign_in(&world.person).await;
            let client = Client::signed_in(&world, &world.public).await;
            browser.http.get("/account").await.expect(200);
            let revoke = |more: &[&str]| {
                let line = ["session", "revoke", "--before", "2100-01-01T00:00:00Z"];
                server.installation.json(&[&line[..], more].concat())
            };
            // For one app alone the browser isn't what matters.
            assert_eq!(revoke(&["--client", "confidential"]), json!({ "ended": 0 }));
            browser.http.get("/account").await.expect(200);
            assert_eq!(revoke(&["--user", "grace"]), json!({ "ended": 0, "browsers": 0 }));
            browser.http.get("/account").await.expect(200);
            assert_eq!(revoke(&[]), json!({ "ended": 1, "browsers": 2 }));
            browser.http.get("/account").await.expect(303);
            client.is_refused(EndCause::Admin).await;
        }

        async fn a_list_of_sessions_is_ended_and_what_it_met_is_counted(database: TestDatabase) {
            let server = TestServer::start_on(database).await;
            let world = World::by_commands(&server);
            let one = Client::signed_in(&world, &world.public).await;
            let mut other = Client::signed_in(&world, &world.public).await;
            let unknown = "0190a5b2-7d4e-7c3a-9f00-000000000001";
            let list = format!("{}\n\n {unknown} \r\n{}\n", one.session(), one.session());
            std::fs::write(server.installation.folder().join("ids"), &list).unwrap();
            let line = ["session", "revoke", "--ids", "ids"];
            let told = server.installation.run(line).ok().stdout;
            assert_eq!(told, "Ended 1 session. 1 is not in this database.\n");
            let told = server.installation.json(&line);
            assert_eq!(told, json!({ "ended": 0, "ended_before": 1, "unknown": 1 }));
            one.is_refused(EndCause::Admin).await;
            other.refresh().await;
            let stdin = ["session", "revoke", "--ids", "-"];
            let bad = server.installation.run_with_input(stdin, &format!("{unknown}\nID  USER\n"));
            assert_eq!(bad.code(), Some(2));
            assert!(bad.stderr.contains("-, line 2: not a session's id"), "{}", bad.stderr);
            let missing = server.installation.run(["session", "revoke", "--ids", "nowhere"]);
            assert_eq!(missing.code(), Some(1));
            other.refresh().await;
        }
    }
}

mod restores {
    use super::*;

    /// What docs/restore.md says to type under this name.
    fn steps(name: &str) -> String {
        let page = std::fs::read_to_string(tools::repository().join("docs/restore.md")).unwrap();
        let (_, rest) = page
            .split_once(&format!("<!-- steps: {name} -->\n```sh\n"))
            .unwrap_or_else(|| panic!("docs/restore.md has no steps called {name}"));
        rest.split_once("```").unwrap().0.to_owned()
    }

    /// A server as an operator has it, with what is typed beside it.
    struct Site {
        // Dropped in this order: the server goes before its database does.
        server: TestServer,
        cluster: Option<Cluster>,
        made: String,
        stopped: String,
    }

    impl Site {
        async fn start(kind: database::Kind) -> Option<Site> {
            let folder = database::fresh(database::Kind::Sqlite).expect("SQLite is always there");
            let (cluster, url) = match kind {
                database::Kind::Sqlite if tools::program("", &["sqlite3"]).is_none() => {
                    tools::missing("sqlite3");
                    return None;
                }
                database::Kind::Sqlite => (None, "sqlite://data/perennial.db".to_owned()),
                database::Kind::Postgres => {
                    let cluster = Cluster::start(Durability::Fast)?;
                    cluster.sql("postgres", "CREATE DATABASE perennial");
                    let url = cluster.url("perennial");
                    (Some(cluster), url)
                }
            };
            let server = TestServer::start_with(folder, |it| {
                it.with("PERENNIAL_DATABASE_URL", &url)
                    .with("PERENNIAL_TOKENS__RETRY_WINDOW_SECONDS", "1")
                    .with("PERENNIAL_LOG__FORMAT", "json")
            })
            .await;
            Some(Site { server, cluster, made: String::new(), stopped: String::new() })
        }

        /// Types the steps with these names, one after the other.
        fn types(&self, names: &[&str]) -> Output {
            let script: String = names.iter().map(|name| steps(&self.own(name))).collect();
            self.types_text(&script)
        }

        fn types_text(&self, script: &str) -> Output {
            let server = match &self.cluster {
                Some(cluster) => format!("postgres://postgres@127.0.0.1:{}", cluster.port()),
                None => String::new(),
            };
            let variables = [
                ("server", server.as_str()),
                ("made", &self.made),
                ("stopped", &self.stopped),
                ("PGSSLMODE", "disable"),
            ];
            let output = self.server.installation.shell(script, &variables);
            assert!(output.status.success(), "{script}\n{}\n{}", output.stdout, output.stderr);
            output
        }

        /// `copy` as `copy-sqlite` or `copy-postgres`, where there are both.
        fn own(&self, name: &str) -> String {
            let kind = if self.cluster.is_some() { "postgres" } else { "sqlite" };
            match name {
                "copy" | "place" | "changes" => format!("{name}-{kind}"),
                _ => name.to_owned(),
            }
        }

        fn makes_the_copy(&mut self) {
            let script = format!("{}echo \"$made\"", steps(&self.own("copy")));
            self.made = self.types_text(&script).stdout.trim().to_owned();
        }

        /// Stops the server, and keeps its log as `perennial.log`.
        fn stops(&mut self) {
            self.server.terminate();
            // Times are noted in whole seconds: nothing else happens in this one.
            self.stopped = next_second();
            next_second();
            let log = self.server.output();
            std::fs::write(self.server.installation.folder().join("perennial.log"), log).unwrap();
        }

        fn command(&self, line: &[&str]) -> Value {
            self.server.installation.json(line)
        }

        fn listed(&self, client: &Client) -> Value {
            let all = self.command(&["session", "list"]);
            let all = all.as_array().unwrap();
            all.iter().find(|one| one["id"] == client.session()).unwrap().clone()
        }
    }

    async fn an_older_copy_is_restored(kind: database::Kind) {
        let Some(mut site) = Site::start(kind).await else { return };
        let world = World::by_commands(&site.server);
        let mut early = Client::signed_in(&world, &world.public).await;
        let mut laptop = Client::signed_in(&world, &world.public).await;
        let mut service = Client::signed_in(&world, &world.confidential).await;
        let mut robbed = Client::signed_in(&world, &world.strict).await;
        let mut outrun = Client::signed_in(&world, &world.public).await;
        let mut late = Client::signed_in(&world, &world.public).await;
        let mut by_app = Client::signed_in(&world, &world.public).await;
        let mut by_thief = Client::signed_in(&world, &world.strict).await;
        let by_command = Client::signed_in(&world, &world.public).await;
        let quiet = world.sign_in(&world.person).await;
        let spent = Thief::who_copied(&world, &robbed);
        let reused = Thief::who_copied(&world, &by_thief);
        for client in [&mut robbed, &mut by_thief, &mut laptop] {
            client.refresh().await;
        }
        let newest = Thief::who_copied(&world, &outrun);
        site.makes_the_copy();

        for client in [&mut early, &mut laptop, &mut service, &mut robbed, &mut outrun, &mut late] {
            client.refresh_times(8).await;
        }
        by_app.refresh_times(3).await;
        by_app.device.revoke(&by_app.token).await.expect(200);
        by_thief.refresh_times(2).await;
        reused.is_found_out(&by_thief).await;
        site.command(&["session", "revoke", &by_command.session()]);
        site.command(&["user", "disable", "grace"]);
        let since_the_copy = Client::signed_in(&world, &world.public).await;
        site.stops();

        // Put in place, and what was ended is live again, until it is ended again.
        let ends =
            |name: &str| site.types_text(&format!("{}{}", placed(&site), steps(&site.own(name))));
        site.types(&["place"]);
        for client in [&by_app, &by_thief, &by_command] {
            assert_eq!(site.listed(client)["state"], "active");
        }
        let told = ends("end-by-log").stdout;
        assert_eq!(told, "Ended 2 sessions. Signed out 2 browsers.\n");
        let told = ends("end-by-database").stdout;
        assert_eq!(told, "Ended 1 session. Signed out 1 browser. 2 had ended before.\n");
        // The log knows nothing of what commands did; the old database knows all.
        assert!(ends("changes").stdout.contains("user.disabled"), "{}", ends("changes").stdout);
        let logged = site.types(&["changes-log"]);
        assert!(logged.stdout.contains("consent.granted"), "{}", logged.stdout);
        site.server.start_again().await;

        for client in [&by_app, &by_thief, &by_command] {
            client.is_refused(EndCause::Admin).await;
        }
        let unknown = since_the_copy.device.refresh(&since_the_copy.token).await;
        let told = unknown.refused(400, "invalid_grant");
        assert_eq!(told, "the refresh token is not valid");
        // Without a recovery, whoever is far ahead is taken for a thief.
        early.is_refused(EndCause::Reuse).await;
        assert_eq!(site.listed(&early)["end_cause"], "reuse");

        site.types(&["recover"]);
        let status = site.types_text(&steps("status").replace("--status", "--status --json"));
        assert_eq!(status.json()["sessions_not_back"], 5);
        for client in [&mut laptop, &mut service, &mut robbed] {
            let before = client.generation();
            client.refresh().await;
            assert_eq!(client.generation(), before + 1);
        }
        assert_eq!(site.listed(&laptop)["state"], "active");
        assert_eq!(site.listed(&laptop)["alarm_at"], Value::Null);
        let status = site.types_text(&steps("status").replace("--status", "--status --json"));
        assert_eq!(status.json()["sessions_not_back"], 2);
        let admin = world.sign_in(&world.admin).await;
        let page = timeline(&admin.http, &laptop.session()).await;
        assert!(page.contains(&format!("Token {} {AHEAD}", laptop.generation() - 1)), "{page}");
        let overview = admin.http.get("/admin").await.expect(200).text();
        assert!(overview.contains("A recovery is open until"), "{overview}");

        // An old copy is found out, in the recovery too, whoever comes first.
        spent.is_found_out(&robbed).await;
        let mut newest = newest;
        newest.token = newest.device.refresh(&newest.token).await.tokens().refresh;
        outrun.is_refused(EndCause::Reuse).await;
        newest.is_found_out(&outrun).await;

        site.types(&["close"]);
        let overview = admin.http.get("/admin").await.expect(200).text();
        assert!(!overview.contains("A recovery is open"), "{overview}");
        late.is_refused(EndCause::Reuse).await;
        for client in [&mut laptop, &mut service] {
            client.refresh_times(2).await;
        }
        // The last resort ends all that is older than the stop.
        quiet.http.get("/account").await.expect(200);
        let told = site.types(&["end-all"]).stdout;
        assert!(told.starts_with("Ended 2 sessions. Signed out "), "{told}");
        quiet.http.get("/account").await.expect(303);
        laptop.is_refused(EndCause::Admin).await;
        service.is_refused(EndCause::Admin).await;
    }

    /// Waits for the next whole second.
    fn next_second() -> String {
        let last = Clock::system().now().as_seconds();
        loop {
            let now = Clock::system().now();
            if now.as_seconds() > last {
                return now.to_rfc3339();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The last line of the steps that put a copy in place: where the old database is now.
    fn placed(site: &Site) -> String {
        let steps = steps(&site.own("place"));
        format!("{}\n", steps.lines().last().unwrap())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_older_copy_is_restored_on_sqlite() {
        an_older_copy_is_restored(database::Kind::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_older_copy_is_restored_on_postgres() {
        an_older_copy_is_restored(database::Kind::Postgres).await;
    }
}

mod failovers {
    use super::*;

    /// A server whose URL names a primary and the standby that may take its place.
    async fn on_two(primary: &Cluster, standby: &Cluster) -> TestServer {
        let folder = database::fresh(database::Kind::Sqlite).expect("SQLite is always there");
        let url = format!(
            "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/{}?sslmode=disable\
             &target_session_attrs=read-write",
            primary.port(),
            standby.port(),
            primary.new_database()
        );
        TestServer::start_with(folder, |it| {
            it.with("PERENNIAL_DATABASE_URL", &url)
                .with("PERENNIAL_DATABASE__BUSY_SECONDS", "1")
                .with("PERENNIAL_TOKENS__RETRY_WINDOW_SECONDS", "1")
        })
        .await
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn sessions_go_on_by_themselves_when_a_standby_that_lagged_takes_over() {
        let Some(primary) = Cluster::start(Durability::Safe) else { return };
        let standby = tokio::task::block_in_place(|| primary.standby());
        let mut server = on_two(&primary, &standby).await;
        let world = World::by_commands(&server);
        let mut behind: Vec<(Client, u64)> = Vec::new();
        for (app, lost) in [
            (&world.public, 0),
            (&world.public, 1),
            (&world.public, 2),
            (&world.confidential, 1),
            (&world.opaque, 2),
            (&world.strict, 2),
        ] {
            behind.push((Client::signed_in(&world, app).await, lost));
        }
        let mut robbed = Client::signed_in(&world, &world.public).await;
        let mut watched = Client::signed_in(&world, &world.strict).await;
        let mut outrun = Client::signed_in(&world, &world.public).await;
        let mut far = Client::signed_in(&world, &world.public).await;
        let mut recovered = Client::signed_in(&world, &world.public).await;
        let spent = Thief::who_copied(&world, &robbed);
        let seen = Thief::who_copied(&world, &watched);
        for (client, _) in &mut behind {
            client.refresh().await;
        }
        for client in [&mut robbed, &mut watched, &mut outrun] {
            client.refresh().await;
        }
        let mut newest = Thief::who_copied(&world, &outrun);
        tokio::task::block_in_place(|| {
            standby.catch_up_with(&primary);
            standby.fall_behind(&primary);
        });

        let fell_behind = Clock::system().now().to_rfc3339();
        for (client, lost) in &mut behind {
            client.refresh_times(*lost).await;
        }
        for client in [&mut robbed, &mut watched] {
            client.refresh().await;
        }
        outrun.refresh_times(2).await;
        far.refresh_times(3).await;
        recovered.refresh_times(3).await;
        tokio::task::block_in_place(|| {
            primary.stop_now();
            standby.promote();
        });
        let stopped = Clock::system().now().to_rfc3339();

        // Nobody does anything: neither at the server nor in the apps.
        for (client, _) in &mut behind {
            let before = client.generation();
            client.refresh_patiently().await;
            assert_eq!(client.generation(), before + 1);
        }
        let admin = world.sign_in(&world.admin).await;
        for (client, lost) in &behind {
            let page = timeline(&admin.http, &client.session()).await;
            let ahead = format!("Token {} {AHEAD}", client.generation() - 1);
            assert_eq!(page.contains(&ahead), *lost > 0, "lost {lost}: {page}");
        }
        assert!(server.is_running());

        // Old copies are found out, whoever comes first.
        for (thief, victim) in [(&spent, &mut robbed), (&seen, &mut watched)] {
            victim.refresh().await;
            thief.is_found_out(victim).await;
        }
        newest.token = newest.device.refresh(&newest.token).await.tokens().refresh;
        outrun.is_refused(EndCause::Reuse).await;
        newest.is_found_out(&outrun).await;

        // More than two is more than a lag, unless somebody says so.
        far.is_refused(EndCause::Reuse).await;
        let recovery = ["recover", "--since", &fell_behind, "--until", &stopped];
        server.installation.json(&recovery);
        recovered.refresh().await;
        for (client, _) in &mut behind {
            client.refresh().await;
        }
        let live = server.installation.json(&["session", "list", "--state", "active"]);
        assert_eq!(live.as_array().unwrap().len(), behind.len() + 1);
    }
}
