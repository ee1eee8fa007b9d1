//! What is forgotten, and what is kept although it looks dead.

use std::time::Duration;

use perennial::domain::time::Timestamp;
use perennial::storage::Database;
use perennial::storage::prune::{self, Retention, What};

use crate::on_both_databases;
use crate::storage::options;
use crate::support::database::{Kind, TestDatabase};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const NOW: i64 = 1_000 * DAY;

/// A row's id, as this database writes bytes.
fn id(database: &TestDatabase, n: usize) -> String {
    match database.kind {
        Kind::Sqlite => format!("X'{n:032x}'"),
        Kind::Postgres => format!("'\\x{n:032x}'::bytea"),
    }
}

/// Removes all that may go; how many rows went.
async fn prune(database: &Database, what: What, retention: Retention) -> usize {
    prune::pass(database, what, &retention, Timestamp::from_millis(NOW)).await.unwrap()
}

fn retention(days: u64) -> Retention {
    let span = Duration::from_secs(days * 24 * 3600);
    Retention { ended_sessions: span, audit: span }
}

fn opened(database: &TestDatabase) -> Database {
    let opened = Database::open(&options(database)).unwrap();
    opened.migrate().unwrap();
    opened
}

/// A family by when it was last given out, how long it may go unused, its end, and when it
/// was ended.
fn family(database: &TestDatabase, n: usize, given: i64, idle: i64, end: i64, ended: Option<i64>) {
    let (id, ended) = (id(database, n), ended.map_or("NULL".to_owned(), |at| at.to_string()));
    database.sql(&format!(
        "INSERT INTO token_families (id, nonce, user_id, client_id, scope, audience, created_at, \
         auth_time, refreshable, idle_ms, ends_at, generation, key_id, issued_at, given_at, \
         given_to, known_callers, written_at, row_version, caller_ip, caller_agent, ended_at, \
         history) VALUES ({id}, {id}, {id}, 'app{n}', 'a', '[]', 0, 0, TRUE, {idle}, {end}, 1, 1, \
         0, {given}, {id}, {id}, 0, 1, '', '', {ended}, '[]')"
    ));
}

on_both_databases! {
    async fn sessions_go_when_they_were_dead_for_as_long_as_they_are_kept(
        database: TestDatabase
    ) {
        let storage = opened(&database);
        let later = NOW + 100 * DAY;
        family(&database, 1, NOW - HOUR, 10 * DAY, later, None);
        family(&database, 2, NOW - HOUR, 10 * DAY, later, Some(NOW - 29 * DAY));
        family(&database, 3, NOW - HOUR, 10 * DAY, later, Some(NOW - 30 * DAY));
        family(&database, 4, NOW - 39 * DAY, 10 * DAY, later, None);
        family(&database, 5, NOW - 40 * DAY, 10 * DAY, later, None);
        family(&database, 6, NOW - HOUR, 10 * DAY, NOW - 29 * DAY, None);
        family(&database, 7, NOW - HOUR, 10 * DAY, NOW - 30 * DAY, None);
        assert_eq!(prune(&storage, What::Families, retention(30)).await, 3);
        let left = "SELECT client_id FROM token_families ORDER BY client_id";
        assert_eq!(database.sql(left), "app1\napp2\napp4\napp6");
        // An hour is the least: a late use of a token is still told why.
        family(&database, 8, NOW - HOUR, 10 * DAY, later, Some(NOW - HOUR + 1));
        family(&database, 9, NOW - HOUR, 10 * DAY, later, Some(NOW - HOUR));
        assert_eq!(prune(&storage, What::Families, retention(0)).await, 4);
        assert_eq!(database.sql(left), "app1\napp8");
    }

    async fn more_than_one_step_is_taken(database: TestDatabase) {
        let storage = opened(&database);
        let rows: Vec<String> =
            (0..1_201).map(|n| format!("('jti-{n}', {})", NOW - 1)).collect();
        database.sql(&format!("INSERT INTO revoked_access_tokens VALUES {}", rows.join(", ")));
        database.sql(&format!("INSERT INTO revoked_access_tokens VALUES ('live', {})", NOW + 1));
        assert_eq!(prune(&storage, What::RevokedTokens, retention(30)).await, 1_201);
        assert_eq!(database.sql("SELECT jti FROM revoked_access_tokens"), "live");
    }

    async fn sign_ins_codes_failures_and_the_audit_log_go_at_their_own_time(
        database: TestDatabase
    ) {
        let storage = opened(&database);
        let id = |n| id(&database, n);
        for (n, seen, idle, end) in [
            (1, NOW - HOUR, 2 * HOUR, NOW + DAY),
            (2, NOW - 2 * HOUR, 2 * HOUR, NOW + DAY),
            (3, NOW - HOUR, 2 * HOUR, NOW),
        ] {
            let id = id(n);
            database.sql(&format!(
                "INSERT INTO browser_sessions VALUES \
                 ({id}, {id}, {id}, '{{}}', 0, {seen}, {idle}, {end}, 'ip{n}', '')"
            ));
        }
        for (n, end) in [(1, NOW + 1), (2, NOW - HOUR), (3, NOW - DAY)] {
            let id = id(n);
            database.sql(&format!(
                "INSERT INTO authorization_codes (hash, client_id, user_id, redirect_uri, \
                 redirect_uri_was_sent, scope, auth_time, expires_at) \
                 VALUES ({id}, 'app{n}', {id}, '', TRUE, '', 0, {end})"
            ));
        }
        for (n, since, paused) in
            [(1, NOW - HOUR, 0), (2, NOW - 2 * DAY, NOW + 1), (3, NOW - 2 * DAY, NOW)]
        {
            let id = id(n);
            database
                .sql(&format!("INSERT INTO sign_in_failures VALUES ({id}, {n}, {since}, {paused})"));
        }
        for (n, at) in [(1, NOW - 29 * DAY), (2, NOW - 30 * DAY)] {
            let id = id(n);
            database.sql(&format!(
                "INSERT INTO audit_events (id, at, actor_kind, action) \
                 VALUES ({id}, {at}, 'operator', 'event{n}')"
            ));
        }
        for (what, gone, query, left) in [
            (What::BrowserSessions, 2, "SELECT ip FROM browser_sessions", "ip1"),
            (
                What::Codes,
                1,
                "SELECT client_id FROM authorization_codes ORDER BY client_id",
                "app1\napp2",
            ),
            (What::Failures, 1, "SELECT failures FROM sign_in_failures ORDER BY failures", "1\n2"),
            (What::Audit, 1, "SELECT action FROM audit_events", "event1"),
        ] {
            assert_eq!(prune(&storage, what, retention(30)).await, gone, "{what:?}");
            assert_eq!(database.sql(query), left, "{what:?}");
        }
    }
}
