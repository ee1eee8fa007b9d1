//! Keys that clients keep at an address of their own (`jwks_uri`): fetched when they are first
//! needed, and again when they are old or somebody signs with a key that isn't among them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::domain::client_keys::{self, PublicKey};
use crate::domain::time::Timestamp;
use crate::fetch::{FetchError, Fetcher};

/// How long a set counts whose server doesn't say, and within which bounds it may.
const USUAL: Duration = Duration::from_secs(5 * 60);
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How long a set goes on counting that can't be fetched anew.
const GRACE: Duration = Duration::from_secs(24 * 3600);

/// How long after a fetch an unknown key is a reason for another. A little less than the minute
/// that clients are told, so that whoever waits for it has waited enough.
const AGAIN: Duration = Duration::from_secs(50);

/// How long after a fetch that failed another is tried, while there is no set at all.
const RETRY: Duration = Duration::from_secs(10);

/// The most addresses that are remembered; beyond it, all are forgotten.
const MOST: usize = 1_000;

/// A set of keys.
pub type Keys = Arc<Vec<PublicKey>>;

/// The sets of one node. Clones share them.
#[derive(Clone, Default)]
pub struct RemoteKeys(Arc<Mutex<HashMap<String, Arc<Place>>>>);

/// One address.
#[derive(Default)]
struct Place {
    known: Mutex<Known>,
    // One fetch at a time.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct Known {
    keys: Option<Keys>,
    fresh_until: Timestamp,
    good_until: Timestamp,
    tried_at: Option<Timestamp>,
    problem: String,
}

impl Known {
    /// The set, as long as it counts.
    fn keys(&self, now: Timestamp) -> Option<&Keys> {
        self.keys.as_ref().filter(|_| now < self.good_until)
    }

    /// Whether it is worth asking again: the set is old or lacks what is wanted, and nobody has
    /// asked just now.
    fn wants_fetch(&self, wanted: &impl Fn(&[PublicKey]) -> bool, now: Timestamp) -> bool {
        let since = self.tried_at.map(|tried| now.since(tried));
        match self.keys(now) {
            Some(keys) if wanted(keys) => {
                now >= self.fresh_until && since.is_none_or(|since| since >= AGAIN)
            }
            Some(_) => since.is_none_or(|since| since >= AGAIN),
            None => since.is_none_or(|since| since >= RETRY),
        }
    }
}

impl RemoteKeys {
    /// The keys at this address. `wanted` says whether a set has the key that is looked for.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn get(
        &self,
        fetcher: &Fetcher,
        url: &str,
        wanted: impl Fn(&[PublicKey]) -> bool,
        now: Timestamp,
    ) -> Result<Keys, String> {
        let place = self.place(url);
        let known = place.known();
        let found = known.keys(now).filter(|keys| wanted(keys));
        if let Some(keys) = found
            && !known.wants_fetch(&wanted, now)
        {
            return Ok(Arc::clone(keys));
        }
        // Who finds what they look for doesn't wait for somebody else's fetch.
        let _turn = match (place.fetching.try_lock(), found) {
            (Ok(turn), _) => turn,
            (Err(_), Some(keys)) => return Ok(Arc::clone(keys)),
            (Err(_), None) => place.fetching.lock().await,
        };
        // Somebody else's fetch may have brought it.
        if place.known().wants_fetch(&wanted, now) {
            place.change(|known| known.tried_at = Some(now));
            match fetch(fetcher, url).await {
                Ok((keys, fresh_for)) => place.change(|known| {
                    known.keys = Some(Arc::new(keys));
                    known.fresh_until = now.plus(fresh_for);
                    known.good_until = now.plus(fresh_for.saturating_add(GRACE));
                }),
                Err(problem) => {
                    tracing::warn!(url, cause = problem, "a client's keys can't be fetched");
                    place.change(|known| known.problem = problem);
                }
            }
        }
        let known = place.known();
        known.keys(now).cloned().ok_or(known.problem)
    }

    fn place(&self, url: &str) -> Arc<Place> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = all.get(url) {
            return Arc::clone(place);
        }
        if all.len() >= MOST {
            all.clear();
        }
        Arc::clone(all.entry(url.to_owned()).or_default())
    }
}

impl Place {
    fn known(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

async fn fetch(fetcher: &Fetcher, url: &str) -> Result<(Vec<PublicKey>, Duration), String> {
    let fetched = fetcher
        .get(url, fetcher.limits())
        .await
        .map_err(|error: FetchError| format!("the jwks_uri of this client: {error}"))?;
    let wrong = || "the jwks_uri of this client has no good key set".to_owned();
    let set = serde_json::from_slice(&fetched.body).map_err(|_| wrong())?;
    let keys = client_keys::parse(&set).map_err(|why| {
        tracing::info!(url, why, "a client's key set isn't good");
        wrong()
    })?;
    Ok((keys, fetched.fresh_for.unwrap_or(USUAL).clamp(SHORTEST, LONGEST)))
}
