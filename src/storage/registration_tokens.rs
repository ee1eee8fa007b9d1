//! Initial access tokens, by their hashes.

use diesel::prelude::*;

use super::connection::Connection;
use super::error::{Result, StorageError};
use super::schema::registration_tokens as r;
use crate::domain::secret::HashedSecret;
use crate::domain::time::Timestamp;

/// An initial access token, without the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationToken {
    /// What it goes by.
    pub id: String,
    /// What it is for, in the words of whoever made it.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// How many more clients it may register; none is any number.
    pub uses_left: Option<u32>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When a client was last registered with it.
    pub last_used_at: Option<Timestamp>,
}

impl RegistrationToken {
    /// Whether it still registers clients.
    pub fn works(&self, now: Timestamp) -> bool {
        self.uses_left != Some(0) && self.expires_at.is_none_or(|end| end > now)
    }
}

type Row = (String, String, i64, Option<i64>, Option<i64>, Option<i64>);

fn token((id, name, created_at, uses_left, expires_at, last_used_at): Row) -> RegistrationToken {
    RegistrationToken {
        id,
        name,
        created_at: Timestamp::from_millis(created_at),
        uses_left: uses_left.map(|uses| u32::try_from(uses).unwrap_or(0)),
        expires_at: expires_at.map(Timestamp::from_millis),
        last_used_at: last_used_at.map(Timestamp::from_millis),
    }
}

const COLUMNS: (r::id, r::name, r::created_at, r::uses_left, r::expires_at, r::last_used_at) =
    (r::id, r::name, r::created_at, r::uses_left, r::expires_at, r::last_used_at);

/// Adds one.
pub fn add(
    connection: &mut Connection,
    token: &RegistrationToken,
    hash: HashedSecret,
) -> Result<()> {
    diesel::insert_into(r::table)
        .values((
            r::id.eq(&token.id),
            r::hash.eq(hash.as_bytes().as_slice()),
            r::name.eq(&token.name),
            r::created_at.eq(token.created_at.as_millis()),
            r::uses_left.eq(token.uses_left.map(i64::from)),
            r::expires_at.eq(token.expires_at.map(Timestamp::as_millis)),
        ))
        .execute(connection)?;
    Ok(())
}

/// All of them, the newest first.
pub fn list(connection: &mut Connection) -> Result<Vec<RegistrationToken>> {
    let rows = r::table
        .order((r::created_at.desc(), r::id.asc()))
        .select(COLUMNS)
        .load::<Row>(connection)?;
    Ok(rows.into_iter().map(token).collect())
}

/// The one with this hash.
pub fn find(connection: &mut Connection, hash: HashedSecret) -> Result<Option<RegistrationToken>> {
    let row = r::table
        .filter(r::hash.eq(hash.as_bytes().as_slice()))
        .select(COLUMNS)
        .first::<Row>(connection)
        .optional()?;
    Ok(row.map(token))
}

/// Uses it once, if it still works. One statement decides, so that of two at once no more than
/// it allows go through.
pub fn spend(connection: &mut Connection, hash: HashedSecret, now: Timestamp) -> Result<bool> {
    let at = now.as_millis();
    let living = r::table
        .filter(r::hash.eq(hash.as_bytes().to_vec()))
        .filter(r::uses_left.is_null().or(r::uses_left.assume_not_null().gt(0)))
        .filter(r::expires_at.is_null().or(r::expires_at.assume_not_null().gt(at)));
    let rows = diesel::update(living)
        .set((r::uses_left.eq(r::uses_left - 1), r::last_used_at.eq(at)))
        .execute(connection)?;
    Ok(rows == 1)
}

/// Removes one. Its name, if it was there.
pub fn remove(connection: &mut Connection, id: &str) -> Result<Option<String>> {
    let name = r::table.find(id).select(r::name).first::<String>(connection).optional()?;
    let rows = diesel::delete(r::table.find(id)).execute(connection)?;
    match (rows, name) {
        (1, Some(name)) => Ok(Some(name)),
        (0, _) => Ok(None),
        (rows, _) => Err(StorageError::Corrupt(format!("{rows} registration tokens {id}"))),
    }
}
