//! The keys of a database: made when they are first needed, sealed under the root secret, and
//! read by every node. How one takes over from another is [`super::key_rotation`]'s.

use std::sync::Arc;

use crate::crypto::keyring::{HeldKey, StoredKeys};
use crate::crypto::random;
use crate::crypto::root_secret::{RootSecret, Sealer};
use crate::crypto::signing::{self, Algorithm, PrivateKey, SigningKey};
use crate::crypto::tokens::TokenKeys;
use crate::domain::key_life::{KeyLife, KeyState};
use crate::domain::time::Timestamp;
use crate::domain::token_family::KeyId;
use crate::storage::keys::{self, StoredSigningKey, StoredTokenKey};
use crate::storage::{Connection, Result, StorageError, meta};

const FINGERPRINT: &str = "root_secret_fingerprint";

/// A signing key that stands nowhere yet.
pub struct FreshKey {
    /// How it signs.
    pub algorithm: Algorithm,
    kid: String,
    private: PrivateKey,
}

impl FreshKey {
    /// Makes one. RSA takes a tenth of a second or more: not on a thread that others wait for.
    ///
    /// # Errors
    /// When the library refuses, which it has no reason to.
    pub fn make(algorithm: Algorithm) -> Result<Self> {
        let failed = |error: signing::SigningError| StorageError::Corrupt(error.to_string());
        let private = signing::generate(algorithm).map_err(failed)?;
        let kid = SigningKey::from_private(algorithm, &private).map_err(failed)?.kid;
        Ok(Self { algorithm, kid, private })
    }

    /// As it is stored.
    pub(super) fn sealed(&self, sealer: &Sealer, life: KeyLife) -> StoredSigningKey {
        StoredSigningKey {
            kid: self.kid.clone(),
            algorithm: self.algorithm.name().to_owned(),
            sealed: sealer.seal(self.kid.as_bytes(), &self.private),
            life,
        }
    }
}

/// Makes sure that the database belongs to this root secret, makes the keys that no start does
/// without, and opens them all. Several nodes may do it at once.
pub fn open(
    connection: &mut Connection,
    root: &RootSecret,
    signs_with: Algorithm,
    now: Timestamp,
) -> Result<StoredKeys> {
    check_root(connection, root)?;
    if keys::token_keys(connection)?.is_empty() {
        let secret = fresh_secret(&sealer(root), KeyId(1), KeyLife::first(now));
        add(connection, |connection| keys::add_token_key(connection, &secret))?;
    }
    if !signs(connection, signs_with)? {
        add_first(connection, root, &FreshKey::make(signs_with)?, now)?;
    }
    read(connection, root)
}

/// Whether there is a key that signs by this algorithm.
pub fn signs(connection: &mut Connection, algorithm: Algorithm) -> Result<bool> {
    Ok(keys::signing_keys(connection)?
        .iter()
        .any(|key| key.algorithm == algorithm.name() && key.life.state() == KeyState::Current))
}

/// Puts the first key of its algorithm in use. Where another node was first, theirs counts.
pub fn add_first(
    connection: &mut Connection,
    root: &RootSecret,
    fresh: &FreshKey,
    now: Timestamp,
) -> Result<()> {
    check_root(connection, root)?;
    let key = fresh.sealed(&sealer(root), KeyLife::first(now));
    add(connection, |connection| keys::add_signing_key(connection, &key))
}

/// Opens the keys that are there.
pub fn read(connection: &mut Connection, root: &RootSecret) -> Result<StoredKeys> {
    check_root(connection, root)?;
    let sealer = sealer(root);
    let broken = |what: String| StorageError::Corrupt(format!("{what} can't be opened"));

    let mut secrets = Vec::new();
    let mut current = None;
    let usable = |key: &StoredTokenKey| key.compromised_at.is_none();
    for key in keys::token_keys(connection)?.into_iter().filter(usable) {
        let secret = sealer
            .open(&token_context(key.id), &key.sealed)
            .ok_or_else(|| broken(format!("token secret {}", key.id.0)))?;
        if key.life.state() == KeyState::Current {
            current = Some(key.id);
        }
        secrets.push((key.id, secret.to_vec()));
    }
    let tokens = current
        .and_then(|current| TokenKeys::new(secrets, current))
        .ok_or_else(|| StorageError::Corrupt("there is no token secret in force".into()))?;

    let mut signing = Vec::new();
    for key in keys::signing_keys(connection)? {
        let algorithm = Algorithm::from_name(&key.algorithm)
            .ok_or_else(|| StorageError::Corrupt(format!("signing algorithm {}", key.algorithm)))?;
        let private = sealer
            .open(key.kid.as_bytes(), &key.sealed)
            .ok_or_else(|| broken(format!("signing key {}", key.kid)))?;
        let opened = SigningKey::from_private(algorithm, &private)
            .map_err(|error| StorageError::Corrupt(error.to_string()))?;
        signing.push(HeldKey { key: opened, life: key.life });
    }
    // Those that sign come first: whoever reads the key set finds them soonest.
    signing.sort_by_key(|held| match held.life.state() {
        KeyState::Current => 0,
        KeyState::Next => 1,
        KeyState::Retired => 2,
    });
    Ok(StoredKeys { tokens: Arc::new(tokens), signing })
}

/// The fingerprint of the root secret that this database belongs to.
pub fn fingerprint(connection: &mut Connection) -> Result<Option<String>> {
    meta::get(connection, FINGERPRINT)
}

/// A new token secret, as it is stored.
pub(super) fn fresh_secret(sealer: &Sealer, id: KeyId, life: KeyLife) -> StoredTokenKey {
    let sealed = sealer.seal(&token_context(id), &random::bytes::<32>());
    StoredTokenKey { id, sealed, life, compromised_at: None }
}

pub(super) fn sealer(root: &RootSecret) -> Sealer {
    root.sealer("stored keys")
}

pub(super) fn check_root(connection: &mut Connection, root: &RootSecret) -> Result<()> {
    let ours = root.fingerprint();
    let known = meta::put_once(connection, FINGERPRINT, &ours)?;
    if known == ours { Ok(()) } else { Err(StorageError::OtherRootSecret { known, ours }) }
}

fn token_context(id: KeyId) -> Vec<u8> {
    format!("token secret {}", id.0).into_bytes()
}

/// Adds something that another node may be adding at this moment: then theirs counts.
pub(super) fn add(
    connection: &mut Connection,
    insert: impl FnOnce(&mut Connection) -> Result<()>,
) -> Result<()> {
    match crate::storage::nested(connection, insert) {
        Err(StorageError::Duplicate) => Ok(()),
        other => other,
    }
}
