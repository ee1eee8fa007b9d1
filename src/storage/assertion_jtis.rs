//! Client assertions that were used (RFC 7523 section 3), until they would have ended.

use diesel::prelude::*;

use super::connection::Connection;
use super::either::either;
use super::error::Result;
use super::schema::assertion_jtis as j;
use crate::domain::secret::HashedSecret;
use crate::domain::time::Timestamp;

/// Uses an assertion. Whether this was the first time: of several nodes that do it at once, one
/// insert goes through.
pub fn spend(connection: &mut Connection, hash: &HashedSecret, until: Timestamp) -> Result<bool> {
    let row = (j::hash.eq(hash.as_bytes().to_vec()), j::expires_at.eq(until.as_millis()));
    let rows = either!(connection, |c| {
        diesel::insert_into(j::table).values(row).on_conflict_do_nothing().execute(c)
    })?;
    Ok(rows == 1)
}
