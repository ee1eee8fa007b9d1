//! Browser sessions: actix-session over our own store in the database.
//!
//! Traps that this meets: an update of a session that is gone writes nothing, or a revoked
//! one would come back to life; nothing is kept in the session's map that two tabs could
//! overwrite for each other; a stranger's visit writes no row; the last use is written at
//! most once a minute; a store that fails is an error page, not a signed-out person.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;

use actix_session::storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError};
use actix_session::{Session, SessionExt};
use actix_web::body::BoxBody;
use actix_web::cookie::time::Duration;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use serde::{Deserialize, Serialize};

use super::page::PageError;
use super::state::AppState;
use crate::crypto::random;
use crate::domain::account::Account;
use crate::domain::audit::Actor;
use crate::domain::browser_session::{BrowserSession, LAST_SEEN_STEP};
use crate::domain::id::{BrowserSessionId, UserId};
use crate::domain::secret::HashedSecret;
use crate::domain::time::Timestamp;
use crate::protocol::act::Act;
use crate::protocol::{endings, sessions};
use crate::storage::browser_sessions::{self, StoredSession};
use crate::storage::users;

/// The one entry of the session's map.
const ENTRY: &str = "signed_in";

/// What the entry holds.
#[derive(Serialize, Deserialize)]
struct Entry {
    id: String,
    user: String,
    at: i64,
    idle_ms: i64,
    ends_at: i64,
    ip: String,
    agent: String,
}

/// Somebody who is signed in, in this browser.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Who.
    pub account: Account,
    /// In which session.
    pub session: BrowserSessionId,
    /// Since when.
    pub signed_in_at: Timestamp,
}

/// An administrator who is signed in, in this browser.
#[derive(Clone, Debug)]
pub struct Admin(pub SignedIn);

/// Signs a person in: a new session, under a new key. Where the same person is signed in here
/// already (another tab was faster), it keeps its public id, and so its apps and codes; whoever
/// else was signed in here is signed out, apps and all.
///
/// # Errors
/// When the session's map can't be written, or the database can't answer.
pub async fn sign_in(
    request: &HttpRequest,
    state: &AppState,
    account: &Account,
    stay: bool,
    act: &Act,
) -> Result<(), PageError> {
    let now = act.now;
    let mut id = BrowserSessionId::new(now, random::bytes());
    match current(request).await? {
        Some(before) if before.account.id == account.id => id = before.session,
        Some(before) => {
            let (session, user) = (before.session, before.account.id);
            let act = Act { actor: Actor::User(user), ..act.clone() };
            let end = move |connection: &mut _| sessions::sign_out(connection, session, user, &act);
            endings::carry_out(&state.db, end).await?;
        }
        None => {}
    }
    let sessions = &state.settings.sessions;
    let (idle, absolute) =
        if stay { (sessions.stay, sessions.stay) } else { (sessions.idle, sessions.absolute) };
    let caller = super::client_address::caller(request, state);
    let entry = Entry {
        id: id.to_string(),
        user: account.id.to_string(),
        at: now.as_millis(),
        idle_ms: i64::try_from(idle.as_millis()).unwrap_or(i64::MAX),
        ends_at: now.plus(absolute).as_millis(),
        ip: caller.ip,
        agent: caller.agent,
    };
    let session = request.get_session();
    // The map of whoever was signed in before goes, and the key changes.
    session.clear();
    session.renew();
    session.insert(ENTRY, entry).map_err(|error| PageError::internal(error.to_string()))?;
    if stay {
        let seconds = i64::try_from(absolute.as_secs()).unwrap_or(i64::MAX);
        request.extensions_mut().insert(Stay(Duration::seconds(seconds)));
    }
    Ok(())
}

/// Forgets the session of this browser; its row is removed by the middleware.
pub fn forget(request: &HttpRequest) {
    request.get_session().purge();
}

/// The person who is signed in here, if somebody is.
///
/// # Errors
/// When the database can't answer.
pub async fn current(request: &HttpRequest) -> Result<Option<SignedIn>, PageError> {
    let Some(entry) = entry(&request.get_session()) else { return Ok(None) };
    let state =
        request.app_data::<web::Data<AppState>>().ok_or_else(|| PageError::internal("no state"))?;
    let (Ok(user), Ok(session)) = (entry.user.parse::<UserId>(), entry.id.parse()) else {
        return Ok(None);
    };
    let stored = state.db.read(move |connection| users::find(connection, user)).await?;
    Ok(stored.map(|stored| stored.account).filter(Account::is_active).map(|account| SignedIn {
        account,
        session,
        signed_in_at: Timestamp::from_millis(entry.at),
    }))
}

fn entry(session: &Session) -> Option<Entry> {
    session.get::<Entry>(ENTRY).ok().flatten()
}

impl FromRequest for SignedIn {
    type Error = PageError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, PageError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            current(&request).await?.ok_or_else(|| PageError::SignInFirst(return_path(&request)))
        })
    }
}

impl FromRequest for Admin {
    type Error = PageError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, PageError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let who = SignedIn::from_request(request, payload);
        Box::pin(async move {
            let who = who.await?;
            if who.account.is_admin { Ok(Self(who)) } else { Err(PageError::NotAdmin) }
        })
    }
}

/// Where to come back to: this page; after a form, the page above it.
fn return_path(request: &HttpRequest) -> String {
    let base = request.app_data::<web::Data<AppState>>().map_or("", |state| state.base());
    let path = request.path().strip_prefix(base).unwrap_or("/account");
    if request.method() != actix_web::http::Method::GET {
        let admin = path.starts_with("/admin");
        return if admin { "/admin".to_owned() } else { "/account".to_owned() };
    }
    match request.query_string() {
        "" => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

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

type SessionMap = HashMap<String, String>;

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
        serde_json::from_str(&stored.state)
            .map(Some)
            .map_err(|error| LoadError::Deserialization(error.into()))
    }

    async fn save(&self, map: SessionMap, _: &Duration) -> Result<SessionKey, SaveError> {
        let key = random::secret("");
        let stored = to_row(&map, key.hash())
            .ok_or_else(|| SaveError::Serialization(Unexpected("a session of nobody").into()))?;
        self.state
            .db
            .write(move |connection| {
                // Not for a password that was changed, or an account that was disabled, while
                // this sign-in was on its way.
                let session = &stored.session;
                if users::hold_active(connection, session.user_id, session.signed_in_at)? {
                    browser_sessions::add(connection, &stored)?;
                }
                Ok(())
            })
            .await
            .map_err(|error| SaveError::Other(error.into()))?;
        SessionKey::try_from(key.reveal().to_owned())
            .map_err(|_| SaveError::Other(Unexpected("a session key").into()))
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

fn to_row(map: &SessionMap, key_hash: HashedSecret) -> Option<StoredSession> {
    let entry: Entry = serde_json::from_str(map.get(ENTRY)?).ok()?;
    let at = Timestamp::from_millis(entry.at);
    Some(StoredSession {
        key_hash,
        session: BrowserSession {
            id: entry.id.parse().ok()?,
            user_id: entry.user.parse().ok()?,
            signed_in_at: at,
            last_seen_at: at,
            idle: std::time::Duration::from_millis(u64::try_from(entry.idle_ms).ok()?),
            ends_at: Timestamp::from_millis(entry.ends_at),
            ip: entry.ip,
            agent: entry.agent,
        },
        state: serde_json::to_string(map).ok()?,
    })
}

#[derive(Debug, thiserror::Error)]
#[error("unexpected: {0}")]
struct Unexpected(&'static str);

/// Asked for at sign-in: the cookie outlives the browser's window.
struct Stay(Duration);

type Responding = Pin<Box<dyn Future<Output = Result<ServiceResponse, actix_web::Error>>>>;

/// Gives the session's cookie a life of its own where the person asked to stay signed in. The
/// middleware knows only one life for all.
pub fn keep_cookie(request: ServiceRequest, next: Next<BoxBody>) -> Responding {
    Box::pin(async move {
        let mut response = next.call(request).await?;
        let Some(Stay(life)) = response.request().extensions_mut().remove::<Stay>() else {
            return Ok(response);
        };
        let Some(state) = response.request().app_data::<web::Data<AppState>>().cloned() else {
            return Ok(response);
        };
        let cookies: Vec<_> =
            response.response().cookies().map(|cookie| cookie.into_owned()).collect();
        response.headers_mut().remove(header::SET_COOKIE);
        for mut cookie in cookies {
            if cookie.name() == state.cookies.session && !cookie.value().is_empty() {
                cookie.set_max_age(life);
            }
            response.response_mut().add_cookie(&cookie)?;
        }
        Ok(response)
    })
}
