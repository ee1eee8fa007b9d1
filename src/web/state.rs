//! What every handler shares.

use std::sync::Arc;

use super::app_face::Pictures;
use super::client_keys::RemoteKeys;
use super::cookies::CookieNames;
use super::key_keeper::KeyKeeper;
use crate::clock::Clock;
use crate::crypto::keyring::Keyring;
use crate::crypto::passwords::Passwords;
use crate::domain::throttle::Limit;
use crate::domain::time::Timestamp;
use crate::fetch::Fetcher;
use crate::protocol::known_clients::KnownClients;
use crate::protocol::sign_in::Limits;
use crate::settings::Settings;
use crate::storage::Database;

/// The shared state. Clones share it.
#[derive(Clone)]
pub struct AppState {
    /// The database.
    pub db: Database,
    /// The clients that refreshes came from.
    pub clients: KnownClients,
    /// The keys of clients that keep them at an address.
    pub client_keys: RemoteKeys,
    /// The keys.
    pub keyring: Keyring,
    /// What keeps them up to date.
    pub keys: KeyKeeper,
    /// The time.
    pub clock: Clock,
    /// The pool that judges passwords.
    pub passwords: Passwords,
    /// Who asks other servers.
    pub fetcher: Fetcher,
    /// The logos of apps that were fetched.
    pub pictures: Pictures,
    /// The settings.
    pub settings: Arc<Settings>,
    /// The names of this server's cookies.
    pub cookies: Arc<CookieNames>,
}

impl AppState {
    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The path that all routes are mounted under: "" or "/id".
    pub fn base(&self) -> &str {
        self.settings.issuer.path()
    }

    /// The issuer, as every URL that we write begins.
    pub fn issuer(&self) -> &str {
        self.settings.issuer.as_str()
    }

    /// How patient sign-in is.
    pub fn sign_in_limits(&self) -> Limits {
        let throttle = &self.settings.throttle;
        let limit =
            |tries| Limit { tries, window: throttle.window, longest_pause: throttle.longest_pause };
        Limits { account: limit(throttle.account_tries), network: limit(throttle.address_tries) }
    }
}
