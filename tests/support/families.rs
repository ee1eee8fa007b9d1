//! Many sessions at once: copies of one that there is, made by SQL.

use std::ops::RangeInclusive;

use super::database::{Kind, TestDatabase};

/// Every column that a copy takes over unless it is changed.
const COLUMNS: [&str; 30] = [
    "nonce",
    "user_id",
    "client_id",
    "scope",
    "audience",
    "browser_session_id",
    "created_at",
    "auth_time",
    "refreshable",
    "idle_ms",
    "ends_at",
    "generation",
    "key_id",
    "issued_at",
    "given_at",
    "given_to",
    "parent",
    "parent_key_id",
    "parent_given_at",
    "known_callers",
    "written_at",
    "row_version",
    "caller_ip",
    "caller_agent",
    "alarm_at",
    "ended_at",
    "end_cause",
    "ended_by",
    "end_reason",
    "history",
];

/// Copies the session that began last, once for each number `n`, which makes the id. A changed
/// column is an SQL expression of `n` and of the original, `t`.
pub fn copy(database: &TestDatabase, numbers: RangeInclusive<u64>, changes: &[(&str, &str)]) {
    let (first, last) = numbers.into_inner();
    let (id, series) = match database.kind {
        Kind::Sqlite => (
            "CAST(printf('%016x', n) AS BLOB)",
            format!(
                "(WITH RECURSIVE s(n) AS (VALUES ({first}) UNION ALL SELECT n + 1 FROM s \
                 WHERE n < {last}) SELECT n FROM s)"
            ),
        ),
        Kind::Postgres => (
            "decode(lpad(to_hex(n), 32, '0'), 'hex')",
            format!("(SELECT generate_series({first}, {last}) AS n)"),
        ),
    };
    let values: Vec<String> = COLUMNS
        .iter()
        .map(|column| match changes.iter().find(|(changed, _)| changed == column) {
            Some((_, value)) => (*value).to_owned(),
            None => format!("t.{column}"),
        })
        .collect();
    database.sql(&format!(
        "INSERT INTO token_families (id, {}) SELECT {id}, {} FROM (SELECT * FROM token_families \
         ORDER BY created_at DESC, id DESC LIMIT 1) AS t, {series} AS s",
        COLUMNS.join(", "),
        values.join(", ")
    ));
}
