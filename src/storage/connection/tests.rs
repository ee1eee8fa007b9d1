//! What every connection to SQLite is set to, however it was opened.

use diesel::RunQueryDsl as _;
use diesel::sql_types::{Integer, Text};

use super::*;
use crate::storage::{Database, Options};

#[derive(diesel::QueryableByName, Debug, PartialEq, Eq)]
struct Setting {
    #[diesel(sql_type = Integer)]
    synchronous: i32,
}

#[derive(diesel::QueryableByName, Debug, PartialEq, Eq)]
struct Mode {
    #[diesel(sql_type = Text)]
    journal_mode: String,
}

/// `synchronous = FULL` and `journal_mode = wal`, as the connection itself says.
fn settings(connection: &mut Connection) -> Result<(i32, String)> {
    let Connection::Sqlite(sqlite) = connection else { panic!("not SQLite") };
    let own: Setting = diesel::sql_query("PRAGMA synchronous").get_result(sqlite)?;
    let mode: Mode = diesel::sql_query("PRAGMA journal_mode").get_result(sqlite)?;
    Ok((own.synchronous, mode.journal_mode))
}

const FULL: i32 = 2;

fn safe() -> (i32, String) {
    (FULL, "wal".to_owned())
}

fn url(folder: &tempfile::TempDir) -> SecretString {
    SecretString::from(format!("sqlite://{}/perennial.db", folder.path().display()))
}

#[test]
fn a_commit_waits_for_the_disk_on_every_connection_that_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let manager = Manager::new(&url(&folder), Duration::from_secs(5)).unwrap();
    // A new file, one that is in WAL mode already, and one that the pool opens.
    for _ in 0..2 {
        assert_eq!(settings(&mut manager.open().unwrap()).unwrap(), safe());
    }
    assert_eq!(manager.connect().unwrap().run(settings).unwrap(), safe());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_waits_for_the_disk_on_the_writer_and_on_each_reader() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&Options {
        url: url(&folder),
        connections: 3,
        busy: Duration::from_secs(5),
        queue: 64,
    })
    .unwrap();
    assert_eq!(database.write(settings).await.unwrap(), safe());
    // Three at once, each held until the others are there: no two on one connection.
    let all = Arc::new(std::sync::Barrier::new(3));
    let reads: Vec<_> = (0..3)
        .map(|_| {
            let (database, all) = (database.clone(), Arc::clone(&all));
            tokio::spawn(async move {
                let read = move |connection: &mut Connection| {
                    all.wait();
                    settings(connection)
                };
                database.read(read).await
            })
        })
        .collect();
    for read in reads {
        assert_eq!(read.await.unwrap().unwrap(), safe());
    }
}
