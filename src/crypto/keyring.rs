//! Every key that a running server uses, in one place.

use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::root_secret::{RootSecret, Sealer};
use super::signing::{self, Algorithm, SigningKey};
use super::tokens::{CallerHasher, TokenKeys};
use crate::domain::access_token::AccessToken;
use crate::domain::client::ClientId;
use crate::domain::id::{BrowserSessionId, UserId};
use crate::domain::key_life::{KeyLife, KeyState};
use crate::domain::time::Timestamp;

/// The keys of one node. Clones share them; [`Keyring::replace`] reaches them all.
#[derive(Clone)]
pub struct Keyring {
    fixed: Arc<Fixed>,
    stored: Arc<RwLock<Arc<StoredKeys>>>,
}

/// What is derived from the root secret, and stays.
struct Fixed {
    forms: Sealer,
    client_secrets: Sealer,
    callers: CallerHasher,
    names: CallerHasher,
    cookies: [u8; 64],
}

/// What stands in the database, sealed under the root secret.
pub struct StoredKeys {
    /// The token secrets.
    pub tokens: Arc<TokenKeys>,
    /// The signing keys: those that sign, those to come, and those that did.
    pub signing: Vec<HeldKey>,
}

/// A signing key and where it stands.
pub struct HeldKey {
    /// The key.
    pub key: SigningKey,
    /// Its stations.
    pub life: KeyLife,
}

/// The key that seals the secrets that clients sign with, for who has no keyring.
pub fn client_secrets(root: &RootSecret) -> Sealer {
    root.sealer("client secrets")
}

impl Keyring {
    /// The keys of this root secret and this database.
    pub fn new(root: &RootSecret, stored: StoredKeys) -> Self {
        let cookies = root.derive::<64>("session cookies");
        Self {
            fixed: Arc::new(Fixed {
                forms: root.sealer("forms"),
                client_secrets: client_secrets(root),
                callers: CallerHasher::new(&*root.derive::<32>("callers")),
                names: CallerHasher::new(&*root.derive::<32>("names for clients")),
                cookies: *cookies,
            }),
            stored: Arc::new(RwLock::new(Arc::new(stored))),
        }
    }

    /// The key that seals the sign-in's parameters and the CSRF cookie.
    pub fn forms(&self) -> &Sealer {
        &self.fixed.forms
    }

    /// The key that seals the secrets that clients sign with.
    pub fn client_secrets(&self) -> &Sealer {
        &self.fixed.client_secrets
    }

    /// The key that hashes callers and throttle keys.
    pub fn callers(&self) -> &CallerHasher {
        &self.fixed.callers
    }

    /// An access token's `jti`: a MAC over what makes it the token that it is, so that a retry
    /// has the same one and no other token has.
    pub fn jti(&self, token: &AccessToken) -> String {
        let mac = self.fixed.callers.key(
            "jti",
            &[
                token.family.as_bytes(),
                &token.generation.to_be_bytes(),
                &token.issued_at.as_seconds().to_be_bytes(),
                token.scope.to_string().as_bytes(),
                token.audience.join(" ").as_bytes(),
            ],
        );
        URL_SAFE_NO_PAD.encode(mac.split_at(16).0)
    }

    /// A pairwise `sub` (OpenID Connect Core section 8.1): the same for all clients of a sector,
    /// or for the one client where there is none.
    pub fn pairwise(&self, sector: Option<&str>, client: &ClientId, user: UserId) -> String {
        let mac = match sector {
            Some(host) => self.name("subject in a sector", &[host.as_bytes(), user.as_bytes()]),
            None => {
                let client = client.as_str().as_bytes();
                self.name("subject of a client", &[client, user.as_bytes()])
            }
        };
        URL_SAFE_NO_PAD.encode(mac)
    }

    /// The `sid` of a browser session in ID tokens and logout tokens: another one for each
    /// client, so that two of them can't tell that they share a browser.
    pub fn sid(&self, session: BrowserSessionId, client: &ClientId) -> String {
        let mac = self.name("sid", &[client.as_str().as_bytes(), session.as_bytes()]);
        URL_SAFE_NO_PAD.encode(mac.split_at(16).0)
    }

    fn name(&self, label: &str, parts: &[&[u8]]) -> [u8; 32] {
        self.fixed.names.key(label, parts)
    }

    /// The key of the session cookie: 64 bytes.
    pub fn cookies(&self) -> &[u8; 64] {
        &self.fixed.cookies
    }

    /// The token and signing keys as they are now.
    pub fn stored(&self) -> Arc<StoredKeys> {
        Arc::clone(&self.stored.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts newly read keys in force.
    pub fn replace(&self, stored: StoredKeys) {
        *self.stored.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(stored);
    }
}

impl StoredKeys {
    /// The key that signs with this algorithm.
    pub fn signer(&self, algorithm: Algorithm) -> Option<&SigningKey> {
        let signs = |held: &&HeldKey| {
            held.key.algorithm == algorithm && held.life.state() == KeyState::Current
        };
        self.signing.iter().find(signs).map(|held| &held.key)
    }

    /// The claims of a JWT with this `typ` that one of these keys signed; its times are for the
    /// caller to judge.
    pub fn verify(&self, kind: &str, token: &str) -> Option<serde_json::Value> {
        let kid = signing::kid(token)?;
        self.signing.iter().find(|held| held.key.kid == kid)?.key.verify(kind, token)
    }

    /// Whether a token names a key that isn't here and may have been made since.
    pub fn may_lack_key_of(&self, token: &str) -> bool {
        match signing::kid(token) {
            Some(kid) => !self.signing.iter().any(|held| held.key.kid == kid),
            None => self.tokens.may_lack_key_of(token),
        }
    }

    /// The public halves of those that are published now (RFC 7517 section 5).
    pub fn jwks(&self, now: Timestamp) -> serde_json::Value {
        let published = self.signing.iter().filter(|held| held.life.is_published(now));
        serde_json::json!({
            "keys": published.map(|held| held.key.public.clone()).collect::<Vec<_>>()
        })
    }
}
