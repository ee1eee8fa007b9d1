//! Storage by itself: what is in force on every connection, what a commit promises, and what
//! becomes of work when the database breaks off, is full, or has too much to do.

use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use diesel::RunQueryDsl;
use diesel::dsl::sql;
use diesel::sql_types::{BigInt, Text};
use perennial::storage::{Connection, Database, Options, Result, StorageError};
use secrecy::SecretString;
use tokio::task::JoinHandle;

use crate::on_both_databases;
use crate::support::database::{self, Kind, TestDatabase};

/// As the server opens it, but with few connections.
pub(crate) fn options(database: &TestDatabase) -> Options {
    Options {
        url: SecretString::from(database.url.clone()),
        connections: 3,
        busy: Duration::from_secs(5),
        queue: 1_024,
    }
}

fn open(database: &TestDatabase) -> Database {
    let opened = Database::open(&options(database)).unwrap();
    database.sql("CREATE TABLE t (a BIGINT NOT NULL)");
    opened
}

fn sqlite() -> TestDatabase {
    database::fresh(Kind::Sqlite).expect("SQLite is always there")
}

fn run(connection: &mut Connection, statement: &str) -> Result<()> {
    match connection {
        Connection::Postgres(postgres) => diesel::sql_query(statement).execute(postgres)?,
        Connection::Sqlite(sqlite) => diesel::sql_query(statement).execute(sqlite)?,
    };
    Ok(())
}

fn add(connection: &mut Connection, row: i64) -> Result<()> {
    run(connection, &format!("INSERT INTO t VALUES ({row})"))
}

fn number(connection: &mut Connection, query: &str) -> Result<i64> {
    Ok(match connection {
        Connection::Postgres(postgres) => sql::<BigInt>(query).get_result(postgres)?,
        Connection::Sqlite(sqlite) => sql::<BigInt>(query).get_result(sqlite)?,
    })
}

/// What SQLite says of the connection that it is asked on.
fn pragmas(connection: &mut Connection) -> Result<(String, i64, i64)> {
    let Connection::Sqlite(sqlite) = connection else { panic!("not SQLite") };
    Ok((
        sql::<Text>("PRAGMA journal_mode").get_result(sqlite)?,
        sql::<BigInt>("PRAGMA synchronous").get_result(sqlite)?,
        sql::<BigInt>("PRAGMA foreign_keys").get_result(sqlite)?,
    ))
}

const DURABLE: fn() -> (String, i64, i64) = || ("wal".to_owned(), 2, 1);

/// A change that has begun and goes on when it is told to, so that others wait behind it.
struct Blocker {
    go_on: mpsc::Sender<()>,
    write: JoinHandle<Result<()>>,
}

impl Blocker {
    async fn begin(database: &Database) -> Blocker {
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (go_on, may_go_on) = mpsc::channel();
        let database = database.clone();
        let write = tokio::spawn(async move {
            database
                .write(move |_| {
                    let _ = begun.send(());
                    let _ = may_go_on.recv();
                    Ok(())
                })
                .await
        });
        has_begun.await.unwrap();
        Blocker { go_on, write }
    }

    async fn end(self) {
        self.go_on.send(()).unwrap();
        self.write.await.unwrap().unwrap();
    }
}

/// Puts a change into the queue before it returns; its answer comes later.
async fn queued<T: Send + 'static>(
    database: &Database,
    work: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
) -> JoinHandle<Result<T>> {
    let mut answer = Box::pin({
        let database = database.clone();
        async move { database.write(work).await }
    });
    // The first poll sends it; nothing answers while another change is held up.
    let sent = std::future::poll_fn(|context| {
        std::task::Poll::Ready(answer.as_mut().poll(context).map(drop))
    });
    assert!(sent.await.is_pending(), "answered while the writer was held up");
    tokio::spawn(answer)
}

fn is_unavailable<T>(answer: &Result<T>) -> bool {
    matches!(answer, Err(StorageError::Unavailable(_)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sqlite_connection_is_durable_and_holds_foreign_keys() {
    let file = sqlite();
    let database = open(&file);
    assert_eq!(database.write(pragmas).await.unwrap(), DURABLE());
    // Three at once, none of which ends before all have begun: so they are three connections.
    let together = Arc::new(Barrier::new(3));
    let reads: Vec<_> = (0..3)
        .map(|_| {
            let (database, together) = (database.clone(), Arc::clone(&together));
            tokio::spawn(async move {
                database
                    .read(move |connection| {
                        together.wait();
                        pragmas(connection)
                    })
                    .await
            })
        })
        .collect();
    for read in reads {
        assert_eq!(read.await.unwrap().unwrap(), DURABLE());
    }
    // The writer's connection is another one after a fault; it is no different.
    let broken: Result<()> = database.write(|_| panic!("planted")).await;
    assert!(is_unavailable(&broken));
    assert_eq!(database.write(pragmas).await.unwrap(), DURABLE());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_wait_together_share_one_commit() {
    let file = Arc::new(sqlite());
    let database = open(&file);
    let blocker = Blocker::begin(&database).await;
    let mut waiting = Vec::new();
    for row in 0..40 {
        waiting.push(
            queued(&database, move |connection| {
                add(connection, row)?;
                Ok(row)
            })
            .await,
        );
    }
    let outside = Arc::clone(&file);
    let last = queued(&database, move |connection| {
        Ok((number(connection, "SELECT count(*) FROM t")?, outside.sql("SELECT count(*) FROM t")))
    })
    .await;
    blocker.end().await;
    // All forty were written in the transaction of the last, and nobody else saw one yet.
    assert_eq!(last.await.unwrap().unwrap(), (40, "0".to_owned()));
    for (row, answer) in (0..).zip(waiting) {
        assert_eq!(answer.await.unwrap().unwrap(), row, "each has its own answer");
    }
    assert_eq!(file.sql("SELECT count(*) FROM t"), "40");
}

on_both_databases! {
    async fn an_answer_comes_after_its_commit(database: TestDatabase) {
        let opened = open(&database);
        for row in 1..=20 {
            opened.write(move |connection| add(connection, row)).await.unwrap();
            assert_eq!(database.sql("SELECT count(*) FROM t"), row.to_string());
        }
    }

    async fn an_error_takes_back_its_own_part_and_nobody_elses(database: TestDatabase) {
        let opened = Database::open(&Options { connections: 1, ..options(&database) }).unwrap();
        database.sql("CREATE TABLE t (a BIGINT NOT NULL UNIQUE)");
        let blocker = Blocker::begin(&opened).await;
        let good = queued(&opened, |connection| add(connection, 1)).await;
        let refused: JoinHandle<Result<()>> = queued(&opened, |connection| {
            add(connection, 2)?;
            Err(StorageError::Corrupt("planted".into()))
        })
        .await;
        let duplicate = queued(&opened, |connection| {
            add(connection, 3)?;
            add(connection, 1)
        })
        .await;
        let later = queued(&opened, |connection| add(connection, 4)).await;
        blocker.end().await;
        good.await.unwrap().unwrap();
        let refused = refused.await.unwrap();
        assert!(matches!(&refused, Err(StorageError::Corrupt(why)) if why == "planted"));
        assert!(matches!(duplicate.await.unwrap(), Err(StorageError::Duplicate)));
        later.await.unwrap().unwrap();
        assert_eq!(database.sql("SELECT a FROM t ORDER BY a"), "1\n4");
    }

    async fn after_a_panic_the_next_changes_are_on_disk(database: TestDatabase) {
        let opened = open(&database);
        for round in 0..3 {
            let broken: Result<()> = opened
                .write(|connection| {
                    add(connection, 666)?;
                    panic!("planted")
                })
                .await;
            assert!(is_unavailable(&broken), "{broken:?}");
            let broken: Result<()> = opened.read(|_| panic!("planted")).await;
            assert!(is_unavailable(&broken), "{broken:?}");
            opened.write(move |connection| add(connection, round)).await.unwrap();
            let seen = opened.read(|connection| number(connection, "SELECT count(*) FROM t"));
            assert_eq!(seen.await.unwrap(), round + 1);
        }
        drop(opened);
        assert_eq!(database.sql("SELECT a FROM t ORDER BY a"), "0\n1\n2");
    }

    async fn a_panic_within_a_savepoint_leaves_nothing_open(database: TestDatabase) {
        let opened = open(&database);
        let broken: Result<()> = opened
            .write(|connection| {
                perennial::storage::nested(connection, |connection| {
                    perennial::storage::nested(connection, |connection| {
                        add(connection, 666)?;
                        panic!("planted")
                    })
                })
            })
            .await;
        assert!(is_unavailable(&broken), "{broken:?}");
        for row in 0..10 {
            opened.write(move |connection| add(connection, row)).await.unwrap();
        }
        assert_eq!(database.sql("SELECT count(*), min(a), max(a) FROM t"), "10|0|9");
    }

    async fn a_full_queue_is_an_answer(database: TestDatabase) {
        let few = Options { connections: 1, queue: 2, ..options(&database) };
        let opened = Database::open(&few).unwrap();
        database.sql("CREATE TABLE t (a BIGINT NOT NULL)");
        let blocker = Blocker::begin(&opened).await;
        let one = queued(&opened, |connection| add(connection, 1)).await;
        let two = queued(&opened, |connection| add(connection, 2)).await;
        let three = opened.write(|connection| add(connection, 3)).await;
        assert!(is_unavailable(&three), "{three:?}");
        blocker.end().await;
        one.await.unwrap().unwrap();
        two.await.unwrap().unwrap();
        // There is room again.
        opened.write(|connection| add(connection, 4)).await.unwrap();
        assert_eq!(database.sql("SELECT a FROM t ORDER BY a"), "1\n2\n4");
    }

    async fn whoever_stops_waiting_leaves_the_rest_as_it_was(database: TestDatabase) {
        let opened = Database::open(&Options { connections: 1, ..options(&database) }).unwrap();
        database.sql("CREATE TABLE t (a BIGINT NOT NULL)");
        let blocker = Blocker::begin(&opened).await;
        let gone = queued(&opened, |connection| add(connection, 1)).await;
        let stays = queued(&opened, |connection| add(connection, 2)).await;
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        blocker.end().await;
        stays.await.unwrap().unwrap();
        assert_eq!(database.sql("SELECT a FROM t ORDER BY a"), "1\n2");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_fails_its_batch_and_nothing_of_it_is_written() {
    let file = sqlite();
    let database = open(&file);
    let blocker = Blocker::begin(&database).await;
    let mut batch = Vec::new();
    for row in 0..5 {
        batch.push(
            queued(&database, move |connection| {
                add(connection, row)?;
                assert_ne!(row, 2, "planted");
                Ok(())
            })
            .await,
        );
    }
    blocker.end().await;
    for answer in batch {
        let answer = answer.await.unwrap();
        assert!(is_unavailable(&answer), "{answer:?}");
    }
    assert_eq!(file.sql("SELECT count(*) FROM t"), "0");
    database.write(|connection| add(connection, 7)).await.unwrap();
    drop(database);
    assert_eq!(file.sql("SELECT a FROM t"), "7");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_fails_the_batch_and_nothing_is_half_written() {
    let file = sqlite();
    let database = open(&file);
    // No page beyond those that there are: what SQLite meets on a disk without room.
    let full = |connection: &mut Connection| run(connection, "PRAGMA max_page_count = 1");
    database.write(full).await.unwrap();
    let blocker = Blocker::begin(&database).await;
    let small = queued(&database, |connection| add(connection, 1)).await;
    let large = queued(&database, |connection| {
        add(connection, 2)?;
        run(connection, "CREATE TABLE large AS SELECT zeroblob(1000000) AS b")
    })
    .await;
    let after = queued(&database, |connection| add(connection, 3)).await;
    blocker.end().await;
    for answer in [small, large, after] {
        let answer = answer.await.unwrap();
        assert!(is_unavailable(&answer), "{answer:?}");
    }
    assert_eq!(file.sql("SELECT count(*) FROM t"), "0");
    assert_eq!(file.sql("SELECT count(*) FROM sqlite_master WHERE name = 'large'"), "0");
    // The writer's next connection finds room.
    database.write(|connection| add(connection, 4)).await.unwrap();
    database
        .write(|connection| run(connection, "CREATE TABLE large AS SELECT zeroblob(1000000) AS b"))
        .await
        .unwrap();
    drop(database);
    assert_eq!(file.sql("SELECT a FROM t"), "4");
    assert_eq!(file.sql("PRAGMA integrity_check"), "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_of_another_process_is_waited_for_and_then_an_answer() {
    let file = sqlite();
    let patient = open(&file);
    let hasty =
        Database::open(&Options { busy: Duration::from_millis(50), ..options(&file) }).unwrap();
    let blocker = Blocker::begin(&patient).await;
    let refused = hasty.write(|connection| add(connection, 1)).await;
    assert!(is_unavailable(&refused), "{refused:?}");
    assert_eq!(
        hasty.read(|connection| number(connection, "SELECT count(*) FROM t")).await.unwrap(),
        0,
        "whoever reads doesn't wait"
    );
    blocker.end().await;
    hasty.write(|connection| add(connection, 2)).await.unwrap();
    assert_eq!(file.sql("SELECT a FROM t"), "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_database_is_one_file_whoever_closes_last() {
    let file = sqlite();
    drop(open(&file));
    let log = format!("{}-wal", file.url.strip_prefix("sqlite://").unwrap());
    for round in 0..200 {
        let opened = Database::open(&options(&file)).unwrap();
        let reads: Vec<_> = (0..6)
            .map(|_| {
                let opened = opened.clone();
                tokio::spawn(async move {
                    opened.read(|connection| number(connection, "SELECT count(*) FROM t")).await
                })
            })
            .collect();
        opened.write(move |connection| add(connection, round)).await.unwrap();
        for read in reads {
            read.await.unwrap().unwrap();
        }
        drop(opened);
        assert!(!std::path::Path::new(&log).exists(), "round {round} left {log} behind");
    }
}
