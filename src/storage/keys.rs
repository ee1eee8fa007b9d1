//! Token secrets and signing keys, sealed under the root secret.

use diesel::prelude::*;

use super::connection::Connection;
use super::error::{Result, StorageError};
use super::schema::{signing_keys as s, token_keys as k};
use crate::domain::key_life::{KeyLife, KeyState};
use crate::domain::time::Timestamp;
use crate::domain::token_family::KeyId;

/// Under which name the count of changes stands.
const EPOCH: &str = "keys_epoch";

/// A token secret as stored.
#[derive(Clone, Debug)]
pub struct StoredTokenKey {
    /// Its id; a newer secret has a higher one.
    pub id: KeyId,
    /// The secret, sealed.
    pub sealed: Vec<u8>,
    /// Its stations.
    pub life: KeyLife,
    /// When it was said that others may know it: nothing of it counts from then on.
    pub compromised_at: Option<Timestamp>,
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
    /// Its stations.
    pub life: KeyLife,
}

/// The one in this state.
pub fn in_state<'a, T>(
    keys: impl IntoIterator<Item = &'a T>,
    life: impl Fn(&T) -> KeyLife,
    state: KeyState,
) -> Option<&'a T> {
    keys.into_iter().find(|key| life(key).state() == state)
}

type Stations = (i64, Option<i64>, Option<i64>, Option<i64>);

fn life((created_at, retired_at, due_at, current_since): Stations) -> KeyLife {
    KeyLife {
        created_at: Timestamp::from_millis(created_at),
        due_at: due_at.map(Timestamp::from_millis),
        current_since: current_since.map(Timestamp::from_millis),
        retired_at: retired_at.map(Timestamp::from_millis),
    }
}

/// How many changes there were to keys. Every change here, in whichever process, moves it in
/// the same transaction.
pub fn epoch(connection: &mut Connection) -> Result<String> {
    super::meta::get(connection, EPOCH)?
        .ok_or_else(|| StorageError::Corrupt(format!("meta has no {EPOCH}")))
}

/// Counts a change. On Postgres this holds the count until the transaction ends: those who
/// change keys take turns.
pub fn changed(connection: &mut Connection) -> Result<()> {
    diesel::sql_query(
        "UPDATE meta SET value = CAST(CAST(value AS BIGINT) + 1 AS TEXT) \
         WHERE name = 'keys_epoch'",
    )
    .execute(connection)?;
    Ok(())
}

/// All token secrets, oldest first.
pub fn token_keys(connection: &mut Connection) -> Result<Vec<StoredTokenKey>> {
    type Row = (i64, Vec<u8>, Stations, Option<i64>);
    k::table
        .order(k::id.asc())
        .select((
            k::id,
            k::sealed,
            (k::created_at, k::retired_at, k::due_at, k::current_since),
            k::compromised_at,
        ))
        .load::<Row>(connection)?
        .into_iter()
        .map(|(id, sealed, stations, compromised_at)| {
            Ok(StoredTokenKey {
                id: KeyId(
                    u32::try_from(id)
                        .map_err(|_| StorageError::Corrupt("token key id out of range".into()))?,
                ),
                sealed,
                life: life(stations),
                compromised_at: compromised_at.map(Timestamp::from_millis),
            })
        })
        .collect()
}

/// Adds a token secret; `Duplicate` when another node made one with this id first.
pub fn add_token_key(connection: &mut Connection, key: &StoredTokenKey) -> Result<()> {
    let millis = |at: Option<Timestamp>| at.map(Timestamp::as_millis);
    diesel::insert_into(k::table)
        .values((
            k::id.eq(i64::from(key.id.0)),
            k::sealed.eq(&key.sealed),
            k::created_at.eq(key.life.created_at.as_millis()),
            k::due_at.eq(millis(key.life.due_at)),
            k::current_since.eq(millis(key.life.current_since)),
        ))
        .execute(connection)?;
    changed(connection)
}

/// Says when a secret that isn't in use yet is to begin.
pub fn order_token_key(connection: &mut Connection, id: KeyId, due_at: Timestamp) -> Result<()> {
    diesel::update(k::table.filter(k::id.eq(i64::from(id.0))).filter(k::current_since.is_null()))
        .set(k::due_at.eq(due_at.as_millis()))
        .execute(connection)?;
    changed(connection)
}

/// Lets the next secret take over from the one in use. Whether both were still that.
pub fn promote_token_key(
    connection: &mut Connection,
    current: KeyId,
    next: KeyId,
    now: Timestamp,
) -> Result<bool> {
    let retired = diesel::update(
        k::table.filter(k::id.eq(i64::from(current.0))).filter(k::retired_at.is_null()),
    )
    .set(k::retired_at.eq(now.as_millis()))
    .execute(connection)?;
    if retired == 0 {
        return Ok(false);
    }
    let begun = diesel::update(
        k::table.filter(k::id.eq(i64::from(next.0))).filter(k::current_since.is_null()),
    )
    .set(k::current_since.eq(now.as_millis()))
    .execute(connection)?;
    changed(connection)?;
    if begun == 1 {
        Ok(true)
    } else {
        Err(StorageError::Unavailable("the next secret is gone".into()))
    }
}

/// Says of all secrets that others may know them.
pub fn compromise_token_keys(connection: &mut Connection, now: Timestamp) -> Result<()> {
    diesel::update(k::table.filter(k::compromised_at.is_null()))
        .set((k::compromised_at.eq(now.as_millis()), k::retired_at.eq(now.as_millis())))
        .execute(connection)?;
    changed(connection)
}

/// Removes a secret that isn't in use.
pub fn remove_token_key(connection: &mut Connection, id: KeyId) -> Result<bool> {
    let own = k::table.filter(k::id.eq(i64::from(id.0))).filter(k::retired_at.is_not_null());
    let removed = diesel::delete(own).execute(connection)? == 1;
    if removed {
        changed(connection)?;
    }
    Ok(removed)
}

/// All signing keys, the newest first.
pub fn signing_keys(connection: &mut Connection) -> Result<Vec<StoredSigningKey>> {
    type Row = (String, String, Vec<u8>, Stations);
    Ok(s::table
        .order((s::created_at.desc(), s::kid.asc()))
        .select((
            s::kid,
            s::algorithm,
            s::sealed,
            (s::created_at, s::retired_at, s::due_at, s::current_since),
        ))
        .load::<Row>(connection)?
        .into_iter()
        .map(|(kid, algorithm, sealed, stations)| StoredSigningKey {
            kid,
            algorithm,
            sealed,
            life: life(stations),
        })
        .collect())
}

/// Adds a signing key; `Duplicate` when another node made one for the same place first.
pub fn add_signing_key(connection: &mut Connection, key: &StoredSigningKey) -> Result<()> {
    let millis = |at: Option<Timestamp>| at.map(Timestamp::as_millis);
    diesel::insert_into(s::table)
        .values((
            s::kid.eq(&key.kid),
            s::algorithm.eq(&key.algorithm),
            s::sealed.eq(&key.sealed),
            s::created_at.eq(key.life.created_at.as_millis()),
            s::due_at.eq(millis(key.life.due_at)),
            s::current_since.eq(millis(key.life.current_since)),
        ))
        .execute(connection)?;
    changed(connection)
}

/// Says when a key that doesn't sign yet is to begin.
pub fn order_signing_key(connection: &mut Connection, kid: &str, due_at: Timestamp) -> Result<()> {
    diesel::update(s::table.filter(s::kid.eq(kid)).filter(s::current_since.is_null()))
        .set(s::due_at.eq(due_at.as_millis()))
        .execute(connection)?;
    changed(connection)
}

/// Lets the next key take over from the one that signs. Whether both were still that.
pub fn promote_signing_key(
    connection: &mut Connection,
    current: &str,
    next: &str,
    now: Timestamp,
) -> Result<bool> {
    let retired =
        diesel::update(s::table.filter(s::kid.eq(current)).filter(s::retired_at.is_null()))
            .set(s::retired_at.eq(now.as_millis()))
            .execute(connection)?;
    if retired == 0 {
        return Ok(false);
    }
    let begun = diesel::update(s::table.filter(s::kid.eq(next)).filter(s::current_since.is_null()))
        .set(s::current_since.eq(now.as_millis()))
        .execute(connection)?;
    changed(connection)?;
    if begun == 1 {
        Ok(true)
    } else {
        Err(StorageError::Unavailable("the next key is gone".into()))
    }
}

/// Removes a signing key. Whether it was there.
pub fn remove_signing_key(connection: &mut Connection, kid: &str) -> Result<bool> {
    let removed = diesel::delete(s::table.filter(s::kid.eq(kid))).execute(connection)? == 1;
    if removed {
        changed(connection)?;
    }
    Ok(removed)
}
