//! The keys of a database: made at its first start, sealed under the root secret, and read
//! at every start.

use std::sync::Arc;

use crate::crypto::keyring::StoredKeys;
use crate::crypto::random;
use crate::crypto::root_secret::RootSecret;
use crate::crypto::signing::{self, Algorithm, SigningKey};
use crate::crypto::tokens::TokenKeys;
use crate::domain::time::Timestamp;
use crate::domain::token_family::KeyId;
use crate::storage::keys::{self, StoredSigningKey, StoredTokenKey};
use crate::storage::{Connection, Result, StorageError, meta};

const FINGERPRINT: &str = "root_secret_fingerprint";

/// Makes sure that the database belongs to this root secret, makes the keys that are missing,
/// and opens them all. Several nodes may do it at once.
pub fn open(
    connection: &mut Connection,
    root: &RootSecret,
    signs_with: Algorithm,
    now: Timestamp,
) -> Result<StoredKeys> {
    check_root(connection, root)?;
    let sealer = root.sealer("stored keys");

    if keys::token_keys(connection)?.is_empty() {
        let id = KeyId(1);
        let sealed = sealer.seal(&token_context(id), &random::bytes::<32>());
        add(connection, |connection| {
            let key = StoredTokenKey { id, sealed, created_at: now, retired_at: None };
            keys::add_token_key(connection, &key)
        })?;
    }
    for algorithm in [signs_with, Algorithm::Rs256] {
        ensure(connection, root, algorithm, now)?;
    }
    read(connection, root)
}

/// Makes a key for this algorithm unless there is one that signs. Of two nodes that come at once
/// one makes it; the other waits here for its commit.
fn ensure(
    connection: &mut Connection,
    root: &RootSecret,
    algorithm: Algorithm,
    now: Timestamp,
) -> Result<()> {
    let there = keys::signing_keys(connection)?;
    if there.iter().any(|key| key.algorithm == algorithm.name() && key.retired_at.is_none()) {
        return Ok(());
    }
    let failed = |error: signing::SigningError| StorageError::Corrupt(error.to_string());
    let private = signing::generate(algorithm).map_err(failed)?;
    let kid = SigningKey::from_private(algorithm, &private).map_err(failed)?.kid;
    let maker = format!("signing_key_{}", algorithm.name());
    if meta::put_once(connection, &maker, &kid)? != kid {
        return Ok(());
    }
    let key = StoredSigningKey {
        sealed: root.sealer("stored keys").seal(kid.as_bytes(), &private),
        kid,
        algorithm: algorithm.name().to_owned(),
        created_at: now,
        retired_at: None,
    };
    keys::add_signing_key(connection, &key)
}

/// Opens the keys that are there.
pub fn read(connection: &mut Connection, root: &RootSecret) -> Result<StoredKeys> {
    check_root(connection, root)?;
    let sealer = root.sealer("stored keys");
    let broken = |what: String| StorageError::Corrupt(format!("{what} can't be opened"));

    let mut secrets = Vec::new();
    let mut current = None;
    for key in keys::token_keys(connection)? {
        let secret = sealer
            .open(&token_context(key.id), &key.sealed)
            .ok_or_else(|| broken(format!("token secret {}", key.id.0)))?;
        if key.retired_at.is_none() {
            current = Some(key.id);
        }
        secrets.push((key.id, secret.to_vec()));
    }
    let tokens = current
        .and_then(|current| TokenKeys::new(secrets, current))
        .ok_or_else(|| StorageError::Corrupt("there is no token secret in force".into()))?;

    let mut signing = Vec::new();
    let mut retired = Vec::new();
    for key in keys::signing_keys(connection)? {
        let algorithm = Algorithm::from_name(&key.algorithm)
            .ok_or_else(|| StorageError::Corrupt(format!("signing algorithm {}", key.algorithm)))?;
        let private = sealer
            .open(key.kid.as_bytes(), &key.sealed)
            .ok_or_else(|| broken(format!("signing key {}", key.kid)))?;
        let opened = SigningKey::from_private(algorithm, &private)
            .map_err(|error| StorageError::Corrupt(error.to_string()))?;
        if key.retired_at.is_none() { signing.push(opened) } else { retired.push(opened) }
    }
    signing.append(&mut retired);
    Ok(StoredKeys { tokens: Arc::new(tokens), signing })
}

/// The fingerprint of the root secret that this database belongs to.
pub fn fingerprint(connection: &mut Connection) -> Result<Option<String>> {
    meta::get(connection, FINGERPRINT)
}

fn check_root(connection: &mut Connection, root: &RootSecret) -> Result<()> {
    let ours = root.fingerprint();
    let known = meta::put_once(connection, FINGERPRINT, &ours)?;
    if known == ours { Ok(()) } else { Err(StorageError::OtherRootSecret { known, ours }) }
}

fn token_context(id: KeyId) -> Vec<u8> {
    format!("token secret {}", id.0).into_bytes()
}

/// Adds something that another node may be adding at this moment: then theirs counts.
fn add(
    connection: &mut Connection,
    insert: impl FnOnce(&mut Connection) -> Result<()>,
) -> Result<()> {
    match crate::storage::nested(connection, insert) {
        Err(StorageError::Duplicate) => Ok(()),
        other => other,
    }
}
