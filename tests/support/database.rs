//! A fresh, empty database of either kind for each test.

use tempfile::TempDir;

use super::postgres;

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file in a temporary folder.
    Sqlite,
    /// A database of the run's shared cluster.
    Postgres,
}

/// An empty database; nothing has migrated it yet.
pub struct TestDatabase {
    /// What `database_url` takes.
    pub url: String,
    /// Which kind it is.
    pub kind: Kind,
    folder: TempDir,
    name: String,
}

/// Makes a database; `None` when its server isn't installed and skipping is
/// allowed.
pub fn fresh(kind: Kind) -> Option<TestDatabase> {
    let folder = tempfile::Builder::new().prefix("perennial-test-").tempdir().unwrap();
    let (url, name) = match kind {
        Kind::Sqlite => {
            let file = folder.path().join("perennial.db");
            (format!("sqlite://{}", file.display()), file.display().to_string())
        }
        Kind::Postgres => {
            let cluster = postgres::shared()?;
            let name = cluster.new_database();
            (cluster.url(&name), name)
        }
    };
    Some(TestDatabase { url, kind, folder, name })
}

impl TestDatabase {
    /// A folder that lives as long as the database: for key files and the like.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Runs SQL beside the server's back and returns what it prints: rows as
    /// lines, columns parted by `|`. For tests that look at rows; the program
    /// itself goes through its storage room.
    pub fn sql(&self, statement: &str) -> String {
        match self.kind {
            Kind::Postgres => postgres::shared()
                .expect("a Postgres database has its cluster")
                .sql(&self.name, statement),
            Kind::Sqlite => sqlite::query(&self.name, statement),
        }
    }

    /// Every row of every table, as text: equal before and after what must change nothing.
    pub fn dump(&self) -> String {
        let mut all = String::new();
        for table in self.tables() {
            let rows = match self.kind {
                Kind::Postgres => {
                    self.sql(&format!("SELECT t::text FROM {table} AS t ORDER BY t::text"))
                }
                Kind::Sqlite => {
                    let columns = self.sql(&format!(
                        "SELECT group_concat('quote(' || name || ')', ' || '','' || ') \
                         FROM pragma_table_info('{table}')"
                    ));
                    self.sql(&format!("SELECT {columns} AS line FROM {table} ORDER BY line"))
                }
            };
            all.push_str(&format!("{table}:\n{rows}\n"));
        }
        all
    }

    /// How many rows there are in all tables together.
    pub fn row_count(&self) -> u64 {
        let count = |table| self.sql(&format!("SELECT count(*) FROM {table}"));
        self.tables().iter().map(|table| count(table).parse::<u64>().unwrap()).sum()
    }

    fn tables(&self) -> Vec<String> {
        let names = match self.kind {
            Kind::Postgres => {
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
            }
            Kind::Sqlite => {
                "SELECT name FROM sqlite_master WHERE type = 'table' \
                 AND name NOT LIKE 'sqlite_%' ORDER BY name"
            }
        };
        self.sql(names).lines().map(str::to_owned).collect()
    }
}

/// Runs SQL on a file that no server holds, as [`TestDatabase::sql`] does.
pub fn sqlite_file(file: &std::path::Path, statement: &str) -> String {
    sqlite::query(&file.display().to_string(), statement)
}

mod sqlite {
    use diesel::deserialize::FromSql;
    use diesel::prelude::*;
    use diesel::row::{Field, Row};
    use diesel::sql_types::Text;
    use diesel::sqlite::Sqlite;

    struct Line(String);

    impl diesel::deserialize::FromSqlRow<diesel::sql_types::Untyped, Sqlite> for Line {
        fn build_from_row<'a>(row: &impl Row<'a, Sqlite>) -> diesel::deserialize::Result<Self> {
            let mut columns = Vec::new();
            for index in 0..row.field_count() {
                let field = row.get(index).ok_or("no such column")?;
                columns.push(match field.value() {
                    None => String::new(),
                    Some(value) => <String as FromSql<Text, Sqlite>>::from_sql(value)?,
                });
            }
            Ok(Line(columns.join("|")))
        }
    }

    pub(super) fn query(file: &str, statement: &str) -> String {
        let mut connection = SqliteConnection::establish(file).unwrap();
        diesel::sql_query("PRAGMA busy_timeout = 10000").execute(&mut connection).unwrap();
        let lines: Vec<Line> = diesel::sql_query(statement).load(&mut connection).unwrap();
        lines.into_iter().map(|line| line.0).collect::<Vec<_>>().join("\n")
    }
}

/// Makes two tests, `name::sqlite` and `name::postgres`, of one body:
///
/// ```ignore
/// on_both_databases! {
///     async fn a_code_is_used_once(database: TestDatabase) { … }
/// }
/// ```
#[macro_export]
macro_rules! on_both_databases {
    ($($(#[$attribute:meta])* async fn $name:ident($database:ident : $type:ty) $body:block)*) => {$(
        $(#[$attribute])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn body($database: $type) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                if let Some(database) =
                    $crate::support::database::fresh($crate::support::database::Kind::Sqlite)
                {
                    body(database).await;
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if let Some(database) =
                    $crate::support::database::fresh($crate::support::database::Kind::Postgres)
                {
                    body(database).await;
                }
            }
        }
    )*};
}
