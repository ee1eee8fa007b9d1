//! The keys of one node as the database has them: read again when they have changed, made when
//! one is missing, replaced when they are old.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::crypto::keyring::Keyring;
use crate::crypto::root_secret::RootSecret;
use crate::crypto::signing::Algorithm;
use crate::domain::client::Client;
use crate::domain::time::Timestamp;
use crate::protocol::act::Act;
use crate::protocol::id_token;
use crate::protocol::key_rotation::{self, Order, Rotated};
use crate::protocol::keys::{self, FreshKey};
use crate::storage::keys::epoch;
use crate::storage::{Database, Result, StorageError};

/// Clones share what they keep.
#[derive(Clone)]
pub struct KeyKeeper {
    db: Database,
    keyring: Keyring,
    root: Arc<RootSecret>,
    /// The count of changes that the keyring was read at.
    seen: Arc<Mutex<Option<String>>>,
    /// Held by whoever makes a missing key: RSA takes long enough to do it once.
    making: Arc<tokio::sync::Mutex<()>>,
}

impl KeyKeeper {
    /// Of this keyring, whose keys stand in this database, sealed under this root secret.
    pub fn new(db: Database, keyring: Keyring, root: Arc<RootSecret>) -> Self {
        Self { db, keyring, root, seen: Arc::default(), making: Arc::default() }
    }

    /// Puts the database's keys in force, if they aren't the ones in force. Whether they changed.
    ///
    /// # Errors
    /// When the database can't answer; the keys that are held go on.
    pub async fn follow(&self) -> Result<bool> {
        let (root, seen) = (Arc::clone(&self.root), self.seen().clone());
        let newer = self
            .db
            .read(move |connection| {
                // The count first: a change in between makes it old, and they are read again.
                let count = epoch(connection)?;
                if seen.as_ref() == Some(&count) {
                    return Ok(None);
                }
                Ok(Some((keys::read(connection, &root)?, count)))
            })
            .await?;
        let Some((stored, count)) = newer else { return Ok(false) };
        self.keyring.replace(stored);
        *self.seen() = Some(count);
        Ok(true)
    }

    /// Before a token is judged: reads the keys again where it names one that isn't held and that
    /// another node may have made a moment ago. Where that fails, the token is judged without.
    pub async fn follow_for(&self, token: &str) {
        if self.keyring.stored().may_lack_key_of(token)
            && let Err(error) = self.follow().await
        {
            tracing::warn!(cause = %error, "the keys can't be read");
        }
    }

    /// Makes sure that there is a key that signs by this algorithm.
    ///
    /// # Errors
    /// When the database can't answer.
    pub async fn ready(&self, algorithm: Algorithm, now: Timestamp) -> Result<()> {
        if self.has(algorithm) {
            return Ok(());
        }
        let _turn = self.making.lock().await;
        self.follow().await?;
        if self.has(algorithm) {
            return Ok(());
        }
        let fresh = tokio::task::spawn_blocking(move || FreshKey::make(algorithm))
            .await
            .map_err(|error| StorageError::Unavailable(format!("no key was made: {error}")))??;
        let root = Arc::clone(&self.root);
        self.db.write(move |connection| keys::add_first(connection, &root, &fresh, now)).await?;
        self.follow().await.map(|_| ())
    }

    /// Makes sure that there is a key for all that is signed for this client.
    ///
    /// # Errors
    /// When the database can't answer.
    pub async fn ready_for(&self, client: &Client, now: Timestamp) -> Result<()> {
        self.ready(id_token::algorithm(&client.metadata), now).await?;
        match client.metadata.details.userinfo_signed_response_alg {
            Some(algorithm) => self.ready(algorithm, now).await,
            None => Ok(()),
        }
    }

    /// Carries out an order, and puts what came of it in force here.
    ///
    /// # Errors
    /// When the database can't answer.
    pub async fn carry_out(
        &self,
        order: Order,
        every: Option<Duration>,
        act: Act,
    ) -> Result<Rotated> {
        let done = key_rotation::carry_out(&self.db, &self.root, order, every, act).await?;
        self.follow().await?;
        Ok(done)
    }

    fn has(&self, algorithm: Algorithm) -> bool {
        self.keyring.stored().signer(algorithm).is_some()
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
