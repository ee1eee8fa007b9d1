//! Token secrets and signing keys, sealed under the root secret.

use diesel::prelude::*;

use super::connection::Connection;
use super::error::{Result, StorageError};
use super::schema::{signing_keys as s, token_keys as k};
use crate::domain::time::Timestamp;
use crate::domain::token_family::KeyId;

/// A token secret as stored.
#[derive(Clone, Debug)]
pub struct StoredTokenKey {
    /// Its id.
    pub id: KeyId,
    /// The secret, sealed.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stopped being given to new tokens.
    pub retired_at: Option<Timestamp>,
}

/// A signing key as stored.
#[derive(Clone, Debug)]
pub struct StoredSigningKey {
    /// Its id in the key set.
    pub kid: String,
    /// The registered name of its algorithm.
    pub algorithm: String,
    /// The private half, sealed.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stopped signing.
    pub retired_at: Option<Timestamp>,
}

/// All token secrets, oldest first.
pub fn token_keys(connection: &mut Connection) -> Result<Vec<StoredTokenKey>> {
    k::table
        .order(k::id.asc())
        .load::<(i64, Vec<u8>, i64, Option<i64>)>(connection)?
        .into_iter()
        .map(|(id, sealed, created_at, retired_at)| {
            Ok(StoredTokenKey {
                id: KeyId(
                    u32::try_from(id)
                        .map_err(|_| StorageError::Corrupt("token key id out of range".into()))?,
                ),
                sealed,
                created_at: Timestamp::from_millis(created_at),
                retired_at: retired_at.map(Timestamp::from_millis),
            })
        })
        .collect()
}

/// Adds a token secret; `Duplicate` when another node made one with this id first.
pub fn add_token_key(connection: &mut Connection, key: &StoredTokenKey) -> Result<()> {
    diesel::insert_into(k::table)
        .values((
            k::id.eq(i64::from(key.id.0)),
            k::sealed.eq(&key.sealed),
            k::created_at.eq(key.created_at.as_millis()),
        ))
        .execute(connection)?;
    Ok(())
}

/// All signing keys, the newest first.
pub fn signing_keys(connection: &mut Connection) -> Result<Vec<StoredSigningKey>> {
    Ok(s::table
        .order((s::created_at.desc(), s::kid.asc()))
        .load::<(String, String, Vec<u8>, i64, Option<i64>)>(connection)?
        .into_iter()
        .map(|(kid, algorithm, sealed, created_at, retired_at)| StoredSigningKey {
            kid,
            algorithm,
            sealed,
            created_at: Timestamp::from_millis(created_at),
            retired_at: retired_at.map(Timestamp::from_millis),
        })
        .collect())
}

/// Adds a signing key.
pub fn add_signing_key(connection: &mut Connection, key: &StoredSigningKey) -> Result<()> {
    diesel::insert_into(s::table)
        .values((
            s::kid.eq(&key.kid),
            s::algorithm.eq(&key.algorithm),
            s::sealed.eq(&key.sealed),
            s::created_at.eq(key.created_at.as_millis()),
        ))
        .execute(connection)?;
    Ok(())
}
