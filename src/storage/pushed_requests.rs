//! Authorization requests that clients pushed (RFC 9126), by the hash of their reference.

use diesel::prelude::*;

use super::connection::Connection;
use super::error::{Result, StorageError};
use super::schema::pushed_requests as p;
use crate::domain::client::ClientId;
use crate::domain::secret::HashedSecret;
use crate::domain::time::Timestamp;

/// A request that waits to be opened.
#[derive(Clone, Debug)]
pub struct PushedRequest {
    /// The hash of its reference.
    pub hash: HashedSecret,
    /// Whose it is.
    pub client_id: ClientId,
    /// What it asks for, in order.
    pub parameters: Vec<(String, String)>,
    /// Until when it may be opened.
    pub expires_at: Timestamp,
}

/// Adds one.
pub fn add(connection: &mut Connection, request: &PushedRequest) -> Result<()> {
    let parameters = serde_json::to_string(&request.parameters)
        .map_err(|error| StorageError::Corrupt(error.to_string()))?;
    diesel::insert_into(p::table)
        .values((
            p::hash.eq(request.hash.as_bytes().to_vec()),
            p::client_id.eq(request.client_id.as_str()),
            p::parameters.eq(parameters),
            p::expires_at.eq(request.expires_at.as_millis()),
        ))
        .execute(connection)?;
    Ok(())
}

/// The one with this hash.
pub fn find(connection: &mut Connection, hash: &HashedSecret) -> Result<Option<PushedRequest>> {
    let row: Option<(String, String, i64)> = p::table
        .filter(p::hash.eq(hash.as_bytes().to_vec()))
        .select((p::client_id, p::parameters, p::expires_at))
        .first(connection)
        .optional()?;
    let Some((client_id, parameters, expires_at)) = row else { return Ok(None) };
    let corrupt = |what: String| StorageError::Corrupt(format!("pushed request: {what}"));
    Ok(Some(PushedRequest {
        hash: *hash,
        client_id: ClientId::parse(&client_id).map_err(corrupt)?,
        parameters: serde_json::from_str(&parameters).map_err(|e| corrupt(e.to_string()))?,
        expires_at: Timestamp::from_millis(expires_at),
    }))
}

/// Uses one up. Whether this was the first time: of several that do it at once, one removes it.
pub fn spend(connection: &mut Connection, hash: &HashedSecret) -> Result<bool> {
    let own = p::table.filter(p::hash.eq(hash.as_bytes().to_vec()));
    Ok(diesel::delete(own).execute(connection)? == 1)
}
