//! The store behind actix-session's middleware.

use std::collections::HashMap;

use actix_session::storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError};
use actix_web::cookie::time::Duration;

use super::{ACTS_FOR, Entry};
use crate::domain::browser_session::LAST_SEEN_STEP;
use crate::domain::secret::HashedSecret;
use crate::storage::browser_sessions;
use crate::web::state::AppState;

/// The store behind the middleware.
#[derive(Clone)]
pub struct Store {
    state: AppState,
}

impl Store {
    /// Over this state's database.
    pub fn new(state: AppState) -> Self {
        Self { state }
    }
}

/// What the middleware keeps of a session.
pub type SessionMap = HashMap<String, String>;

impl SessionStore for Store {
    async fn load(&self, key: &SessionKey) -> Result<Option<SessionMap>, LoadError> {
        let hash = HashedSecret::of(key.as_ref().as_bytes());
        let now = self.state.now();
        let stored = self
            .state
            .db
            .read(move |connection| browser_sessions::find(connection, hash))
            .await
            .map_err(|error| LoadError::Other(error.into()))?;
        let Some(stored) = stored.filter(|stored| stored.session.is_live(now)) else {
            return Ok(None);
        };
        if now.since(stored.session.last_seen_at) >= LAST_SEEN_STEP {
            self.state
                .db
                .write(move |connection| browser_sessions::touch(connection, hash, now))
                .await
                .map_err(|error| LoadError::Other(error.into()))?;
        }
        Entry::of(&stored.session)
            .to_map()
            .map(Some)
            .map_err(|error| LoadError::Deserialization(error.into()))
    }

    /// A session is written by the act that begins it; all that is new here is which one this
    /// browser acts for.
    async fn save(&self, map: SessionMap, _: &Duration) -> Result<SessionKey, SaveError> {
        let key = map.get(ACTS_FOR).and_then(|key| serde_json::from_str::<String>(key).ok());
        let key = key.and_then(|key| SessionKey::try_from(key).ok());
        key.ok_or_else(|| SaveError::Serialization(Unexpected("a session of nobody").into()))
    }

    async fn update(
        &self,
        key: SessionKey,
        map: SessionMap,
        _: &Duration,
    ) -> Result<SessionKey, UpdateError> {
        let hash = HashedSecret::of(key.as_ref().as_bytes());
        let text = serde_json::to_string(&map)
            .map_err(|error| UpdateError::Serialization(error.into()))?;
        // False when the session was ended meanwhile: it stays ended.
        self.state
            .db
            .write(move |connection| browser_sessions::update(connection, hash, &text))
            .await
            .map_err(|error| UpdateError::Other(error.into()))?;
        Ok(key)
    }

    async fn update_ttl(&self, _: &SessionKey, _: &Duration) -> Result<(), anyhow::Error> {
        // Its ends stand in its row.
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), anyhow::Error> {
        let hash = HashedSecret::of(key.as_ref().as_bytes());
        self.state.db.write(move |connection| browser_sessions::remove(connection, hash)).await?;
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("unexpected: {0}")]
struct Unexpected(&'static str);
