//! Browser sessions: actix-session over our own store in the database, and the accounts that a
//! browser keeps beside the one that it acts for.
//!
//! Traps that this meets: an update of a session that is gone writes nothing, or a revoked
//! one would come back to life; nothing is kept in the session's map that two tabs could
//! overwrite for each other; a stranger's visit writes no row; the last use is written at
//! most once a minute; a store that fails is an error page, not a signed-out person.

mod accounts;
mod cookies;
mod store;

use std::future::Future;
use std::pin::Pin;

use actix_session::{Session, SessionExt};
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use serde::{Deserialize, Serialize};

pub use accounts::{Accounts, accounts, change_over, leave, leave_all, sign_in};
pub use cookies::keep_cookie;
pub use store::Store;

use super::page::PageError;
use super::state::AppState;
use crate::domain::account::Account;
use crate::domain::browser_session::BrowserSession;
use crate::domain::id::{BrowserSessionId, UserId};
use crate::domain::time::Timestamp;
use crate::storage::users;

/// The entry of the session's map for whoever is signed in.
const ENTRY: &str = "signed_in";
/// The entry that names the key of the session that this browser acts for from now on.
const ACTS_FOR: &str = "acts_for";

/// What the entry holds.
#[derive(Serialize, Deserialize)]
struct Entry {
    id: String,
    user: String,
    at: i64,
}

impl Entry {
    fn of(session: &BrowserSession) -> Self {
        Self {
            id: session.id.to_string(),
            user: session.user_id.to_string(),
            at: session.signed_in_at.as_millis(),
        }
    }

    fn to_map(&self) -> serde_json::Result<store::SessionMap> {
        Ok([(ENTRY.to_owned(), serde_json::to_string(self)?)].into())
    }
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

/// Forgets the session that this browser acts for; its row is removed by the middleware.
pub fn forget(request: &HttpRequest) {
    request.get_session().purge();
}

/// The person for whom this browser acts, if somebody is signed in.
///
/// # Errors
/// When the database can't answer.
pub async fn current(request: &HttpRequest) -> Result<Option<SignedIn>, PageError> {
    let Some(entry) = entry(&request.get_session()) else { return Ok(None) };
    let state = state(request)?;
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

fn state(request: &HttpRequest) -> Result<web::Data<AppState>, PageError> {
    let state = request.app_data::<web::Data<AppState>>();
    state.cloned().ok_or_else(|| PageError::internal("no state"))
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
