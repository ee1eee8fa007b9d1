//! The guarded update: one row, if nobody wrote it since and nobody ended it.

use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, Binary, HasSqlType, Nullable};

use super::super::connection::Connection;
use super::super::either::either;
use super::super::error::Result;
use super::super::families::{self, Family};
use crate::domain::token_family::Chain;

/// Writes a chain; false when another write came between.
pub(super) fn update_chain(
    connection: &mut Connection,
    family: &Family,
    chain: &Chain,
    write_id: i64,
) -> Result<bool> {
    let parent = chain.parent;
    let update = UpdateChain {
        generation: families::to_i64(chain.generation)?,
        key_id: i64::from(chain.key.0),
        issued_at: chain.issued_at.as_millis(),
        given_at: chain.given_at.as_millis(),
        given_to: chain.given_to.as_bytes(),
        parent: parent.map(|p| families::to_i64(p.generation)).transpose()?,
        parent_key_id: parent.map(|p| i64::from(p.key.0)),
        parent_given_at: parent.map(|p| p.given_at.as_millis()),
        known_callers: families::callers_to_bytes(&chain.known),
        written_at: chain.written_at.as_millis(),
        row_version: write_id,
        id: family.id.as_bytes(),
        expected: family.row_version,
    };
    let rows = either!(connection, |c| update.execute(c))?;
    Ok(rows == 1)
}

/// Diesel prepares its own `update` anew each time, since what it sets may differ; this one is
/// always the same, and says so by its type.
struct UpdateChain<'a> {
    generation: i64,
    key_id: i64,
    issued_at: i64,
    given_at: i64,
    given_to: &'a [u8],
    parent: Option<i64>,
    parent_key_id: Option<i64>,
    parent_given_at: Option<i64>,
    known_callers: Vec<u8>,
    written_at: i64,
    row_version: i64,
    id: &'a [u8],
    expected: i64,
}

impl QueryId for UpdateChain<'_> {
    type QueryId = UpdateChain<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<DB> QueryFragment<DB> for UpdateChain<'_>
where
    DB: Backend + HasSqlType<BigInt> + HasSqlType<Binary>,
    i64: ToSql<BigInt, DB>,
    Option<i64>: ToSql<Nullable<BigInt>, DB>,
    [u8]: ToSql<Binary, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("UPDATE token_families SET generation = ");
        out.push_bind_param::<BigInt, _>(&self.generation)?;
        out.push_sql(", key_id = ");
        out.push_bind_param::<BigInt, _>(&self.key_id)?;
        out.push_sql(", issued_at = ");
        out.push_bind_param::<BigInt, _>(&self.issued_at)?;
        out.push_sql(", given_at = ");
        out.push_bind_param::<BigInt, _>(&self.given_at)?;
        out.push_sql(", given_to = ");
        out.push_bind_param::<Binary, _>(self.given_to)?;
        out.push_sql(", parent = ");
        out.push_bind_param::<Nullable<BigInt>, _>(&self.parent)?;
        out.push_sql(", parent_key_id = ");
        out.push_bind_param::<Nullable<BigInt>, _>(&self.parent_key_id)?;
        out.push_sql(", parent_given_at = ");
        out.push_bind_param::<Nullable<BigInt>, _>(&self.parent_given_at)?;
        out.push_sql(", known_callers = ");
        out.push_bind_param::<Binary, _>(self.known_callers.as_slice())?;
        out.push_sql(", written_at = ");
        out.push_bind_param::<BigInt, _>(&self.written_at)?;
        out.push_sql(", row_version = ");
        out.push_bind_param::<BigInt, _>(&self.row_version)?;
        out.push_sql(" WHERE id = ");
        out.push_bind_param::<Binary, _>(self.id)?;
        out.push_sql(" AND row_version = ");
        out.push_bind_param::<BigInt, _>(&self.expected)?;
        out.push_sql(" AND ended_at IS NULL");
        Ok(())
    }
}

impl Query for UpdateChain<'_> {
    type SqlType = BigInt;
}

impl<C> RunQueryDsl<C> for UpdateChain<'_> {}
