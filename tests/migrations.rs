//! The start of a server on a database: empty, shared with another that starts too, newer than
//! the program, or another installation's.

use std::sync::{Arc, Barrier};

use perennial::crypto::root_secret::RootSecret;
use perennial::storage::{Database, StorageError};

use crate::on_both_databases;
use crate::storage::options;
use crate::support::database::TestDatabase;
use crate::support::http::Http;
use crate::support::process::Installation;

/// Starts a server that must not start, and returns what it said.
#[track_caller]
fn refused(installation: &Installation) -> String {
    let mut server = installation.serve_unready();
    let status = server.wait();
    let said = server.output();
    assert_eq!(status.code(), Some(1), "{said}");
    said
}

on_both_databases! {
    async fn two_who_migrate_at_once_do_it_once(database: TestDatabase) {
        const AT_ONCE: usize = 6;
        let together = Arc::new(Barrier::new(AT_ONCE));
        let threads: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let (options, together) = (options(&database), Arc::clone(&together));
                std::thread::spawn(move || {
                    together.wait();
                    let opened = Database::open(&options)?;
                    opened.migrate()
                })
            })
            .collect();
        let mut applied = Vec::new();
        for thread in threads {
            applied.extend(thread.join().unwrap().unwrap());
        }
        let all = Database::open(&options(&database)).unwrap().migrations().unwrap();
        assert!(all.iter().all(|migration| migration.applied));
        let names: Vec<_> = all.into_iter().map(|migration| migration.name).collect();
        assert_eq!(applied, names, "each once");
    }

    async fn two_servers_started_at_once_on_an_empty_database_do_not_collide(
        database: TestDatabase
    ) {
        let one = Installation::on(&database);
        // The key file is shared before the first start, as by two machines.
        let other = one.another_node();
        RootSecret::load_or_create(&database.folder().join("keys/perennial.key")).unwrap();
        let mut nodes = [one.serve_unready(), other.serve_unready()];
        for node in &mut nodes {
            node.wait_until_ready().await;
        }
        let [one, other] = &nodes;
        let keys = |origin: String| async move {
            Http::new(&origin).get("/oauth/jwks.json").await.expect(200).json()
        };
        assert_eq!(keys(one.origin()).await, keys(other.origin()).await);
        assert_eq!(database.sql("SELECT count(*) FROM signing_keys"), "2", "ES256 and RS256");
        assert_eq!(database.sql("SELECT count(*) FROM token_keys"), "1");
    }

    async fn nodes_that_open_an_empty_database_at_once_hold_the_same_keys(
        database: TestDatabase
    ) {
        use perennial::crypto::signing::Algorithm;
        use perennial::domain::time::Timestamp;
        const AT_ONCE: usize = 6;
        Database::open(&options(&database)).unwrap().migrate().unwrap();
        let root = Arc::new(RootSecret::random());
        let together = Arc::new(tokio::sync::Barrier::new(AT_ONCE));
        let nodes: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let (options, together) = (options(&database), Arc::clone(&together));
                let root = Arc::clone(&root);
                tokio::spawn(async move {
                    let opened = Database::open(&options)?;
                    together.wait().await;
                    let now = Timestamp::from_millis(1_000);
                    let stored = opened
                        .write(move |connection| {
                            perennial::protocol::keys::open(connection, &root, Algorithm::Es256, now)
                        })
                        .await?;
                    opened.write(perennial::protocol::setup::new_link).await?;
                    let kids: Vec<_> = stored.signing.iter().map(|held| held.key.kid.clone()).collect();
                    Ok::<_, StorageError>((stored.tokens.current(), kids))
                })
            })
            .collect();
        let mut seen = Vec::new();
        for node in nodes {
            seen.push(node.await.unwrap().unwrap());
        }
        assert!(seen.iter().all(|keys| *keys == seen[0] && keys.1.len() == 1), "{seen:?}");
    }

    async fn a_database_newer_than_the_program_is_refused(database: TestDatabase) {
        let installation = Installation::on(&database);
        installation.run(["migrate"]).ok();
        database.sql("INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231000000')");
        let opened = Database::open(&options(&database)).unwrap();
        assert!(matches!(
            opened.migrate(),
            Err(StorageError::NewerThanProgram(which)) if which == "99991231000000"
        ));
        let said = refused(&installation);
        assert!(said.contains("newer Perennial") && said.contains("99991231000000"), "{said}");
        assert_eq!(database.sql("SELECT count(*) FROM token_keys"), "0", "nothing was written");
    }

    async fn another_installations_key_file_is_refused_by_both_fingerprints(
        database: TestDatabase
    ) {
        let installation = Installation::on(&database);
        installation.serve().await.terminate();
        let known =
            database.sql("SELECT value FROM meta WHERE name = 'root_secret_fingerprint'");
        let file = database.folder().join("keys/perennial.key");
        let right = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let ours = RootSecret::load_or_create(&file).unwrap().fingerprint();
        assert_ne!(known, ours);
        let said = refused(&installation);
        assert!(said.contains(&known) && said.contains(&ours), "{said}");
        assert!(said.contains("secret_key_file"), "{said}");
        // The right file back, and it starts.
        std::fs::write(&file, right).unwrap();
        assert!(installation.serve().await.terminate().success());
    }

    async fn a_server_that_may_not_migrate_says_what_waits(database: TestDatabase) {
        let installation = Installation::on(&database).with("PERENNIAL_AUTO_MIGRATE", "false");
        let said = refused(&installation);
        assert!(said.contains("perennial migrate"), "{said}");
        let tables = match database.kind {
            crate::support::database::Kind::Sqlite => {
                "SELECT count(*) FROM sqlite_master WHERE name = 'users'"
            }
            crate::support::database::Kind::Postgres => {
                "SELECT count(*) FROM pg_tables WHERE tablename = 'users'"
            }
        };
        assert_eq!(database.sql(tables), "0");
        installation.run(["migrate"]).ok();
        assert!(installation.serve().await.terminate().success());
    }
}

#[test]
fn postgres_keeps_room_in_each_page_for_the_next_refresh() {
    use crate::support::database::{Kind, fresh};
    let Some(database) = fresh(Kind::Postgres) else { return };
    Database::open(&options(&database)).unwrap().migrate().unwrap();
    let fill = database.sql(
        "SELECT option_value FROM pg_class, pg_options_to_table(reloptions) \
         WHERE relname = 'token_families' AND option_name = 'fillfactor'",
    );
    assert_eq!(fill, "70");
}

/// One node's new set-up link is not committed yet when another makes its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_that_put_the_same_fact_for_the_first_time_do_not_collide() {
    use crate::support::database::{Kind, fresh};
    use perennial::storage::meta;
    let Some(database) = fresh(Kind::Postgres).map(Arc::new) else { return };
    let opened = Database::open(&options(&database)).unwrap();
    opened.migrate().unwrap();
    let (put, was_put) = tokio::sync::oneshot::channel();
    let (one, beside) = (opened.clone(), Arc::clone(&database));
    let one = tokio::spawn(async move {
        one.write(move |connection| {
            meta::put(connection, "link", "one")?;
            let _ = put.send(());
            // Commits when the other one waits for exactly that.
            let waits = "SELECT count(*) FROM pg_stat_activity \
                         WHERE datname = current_database() AND wait_event_type = 'Lock'";
            let start = std::time::Instant::now();
            while beside.sql(waits) == "0" {
                assert!(start.elapsed().as_secs() < 20, "nobody waits");
            }
            Ok(())
        })
        .await
    });
    was_put.await.unwrap();
    opened.write(|connection| meta::put(connection, "link", "other")).await.unwrap();
    one.await.unwrap().unwrap();
    assert_eq!(database.sql("SELECT value FROM meta WHERE name = 'link'"), "other");
}
