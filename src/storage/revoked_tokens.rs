//! Single access tokens that were revoked (RFC 7009), until they would have ended.

use diesel::Connection as _;
use diesel::prelude::*;

use super::connection::Connection;
use super::error::{Result, StorageError};
use super::schema::revoked_access_tokens as r;
use crate::domain::time::Timestamp;

/// Revokes the access token with this `jti`.
pub fn add(connection: &mut Connection, jti: &str, expires_at: Timestamp) -> Result<()> {
    let inserted = connection.transaction::<_, StorageError, _>(|connection| {
        diesel::insert_into(r::table)
            .values((r::jti.eq(jti), r::expires_at.eq(expires_at.as_millis())))
            .execute(connection)?;
        Ok(())
    });
    match inserted {
        Err(StorageError::Duplicate) | Ok(()) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether the access token with this `jti` was revoked.
pub fn contains(connection: &mut Connection, jti: &str) -> Result<bool> {
    let found: Option<String> =
        r::table.filter(r::jti.eq(jti)).select(r::jti).first(connection).optional()?;
    Ok(found.is_some())
}
