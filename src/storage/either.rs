//! One query, compiled for each database by itself.
//!
//! Through the connection that is either, Diesel writes a query's SQL anew each time; on a
//! connection of one kind it finds the prepared statement by the query's type. What a refresh
//! runs goes this way, everything else needn't.

/// Runs the same expression on whichever connection it is:
/// `either!(connection, |c| query.execute(c))`.
macro_rules! either {
    ($connection:expr, |$c:ident| $work:expr) => {
        match $connection {
            $crate::storage::Connection::Postgres($c) => $work,
            $crate::storage::Connection::Sqlite($c) => $work,
        }
    };
}

pub(super) use either;
