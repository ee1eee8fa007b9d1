//! Reads the metadata of clients whose id is its address, before the protocol looks for them.

use std::net::IpAddr;
use std::time::Duration;

use actix_web::http::StatusCode;

use super::form::Fields;
use super::oauth::register::policy;
use super::page::{Context, DrawnError, DrawnView, PageError};
use super::state::AppState;
use crate::domain::audit::Actor;
use crate::domain::client::{Client, ClientId};
use crate::fetch::{FetchError, Fetched, Limits};
use crate::protocol::act::Act;
use crate::protocol::client_document;
use crate::protocol::oauth_error::{Code, OAuthError};
use crate::protocol::registration::{self, Rates};
use crate::storage::{StorageError, clients};

/// Why there is no client of this id.
#[derive(Clone, Debug)]
pub enum Unread {
    /// Not at this server, or not from this host.
    NotHere(String),
    /// Too many documents were asked for; so long.
    TooMany(Duration),
    /// What stands there is no client, or can't be read.
    Wrong(String),
    /// The database.
    Storage(String),
}

impl From<StorageError> for Unread {
    fn from(error: StorageError) -> Self {
        Self::Storage(error.to_string())
    }
}

/// Sees to it that the client of an authorization request can be found, where its id is an
/// address.
///
/// # Errors
/// A page that says why it can't.
pub async fn for_page(context: &Context, query: &str) -> Result<(), PageError> {
    let fields = Fields::parse(query.as_bytes()).unwrap_or_default();
    let id = fields.get("client_id").unwrap_or_default();
    resolve(&context.state, context.ip, id).await.map_err(|unread| drawn(unread, id))
}

/// The same for a request that an app sends itself.
///
/// # Errors
/// `invalid_client`, or that the server is busy.
pub async fn for_app(state: &AppState, ip: IpAddr, id: &str) -> Result<(), OAuthError> {
    resolve(state, ip, id).await.map_err(|unread| match unread {
        Unread::NotHere(why) | Unread::Wrong(why) => {
            let mut error = OAuthError::invalid_client(why.clone(), false);
            error.description = OAuthError::invalid_request(why).description;
            error
        }
        Unread::TooMany(wait) => {
            OAuthError::new(Code::TemporarilyUnavailable, "too many client documents are read")
                .retry_after(wait)
        }
        Unread::Storage(cause) => {
            OAuthError::new(Code::ServerError, "the server could not answer this request")
                .because(cause)
        }
    })
}

/// Reads the document of this id, unless it is no address, or what was read still counts.
async fn resolve(state: &AppState, ip: IpAddr, id: &str) -> Result<(), Unread> {
    if !id.starts_with("https://") {
        return Ok(());
    }
    let id = ClientId::parse(id).map_err(Unread::Wrong)?;
    let settings = &state.settings.registration;
    if !settings.client_id_documents {
        return Err(Unread::NotHere("client IDs are not addresses at this server".to_owned()));
    }
    let host = id.document_host().unwrap_or_default();
    if !settings.document_hosts.is_empty() && !settings.document_hosts.contains(&host) {
        return Err(Unread::NotHere(format!("clients of {host} are not taken at this server")));
    }
    let (wanted, now) = (id.clone(), state.now());
    let known = state.db.read(move |connection| clients::find(connection, &wanted)).await?;
    if known.as_ref().is_some_and(|client| client_document::is_fresh(client, now)) {
        return Ok(());
    }
    let rates = Rates::new(
        state.keyring.callers(),
        "documents",
        ip,
        settings.per_address_hourly,
        settings.hourly,
    );
    let taken = state.db.write(move |connection| rates.take(connection, now)).await?;
    if let Err(wait) = taken {
        return if in_grace(known.as_ref(), state) { Ok(()) } else { Err(Unread::TooMany(wait)) };
    }
    let limits = Limits { bytes: client_document::LARGEST, ..state.fetcher.limits() };
    match state.fetcher.get(id.as_str(), limits).await {
        Ok(fetched) => store(state, &id, known.as_ref(), &fetched, ip).await,
        Err(error) if passes(&error) && in_grace(known.as_ref(), state) => {
            tracing::info!(client = %id, cause = %error, "a client's document can't be read now");
            Ok(())
        }
        Err(error) => Err(Unread::Wrong(format!("the document can not be read: {error}"))),
    }
}

fn in_grace(known: Option<&Client>, state: &AppState) -> bool {
    known.is_some_and(|client| client_document::is_in_grace(client, state.now()))
}

/// Whether it may go better the next time: the document's owner hasn't taken it away.
fn passes(error: &FetchError) -> bool {
    match error {
        FetchError::Unknown(_)
        | FetchError::Unreachable(_)
        | FetchError::Tls { .. }
        | FetchError::Broken(_)
        | FetchError::Late(_) => true,
        FetchError::Status(status) => *status >= 500 || *status == 429,
        FetchError::Url(_) | FetchError::Forbidden(_) | FetchError::TooLong(_) => false,
    }
}

async fn store(
    state: &AppState,
    id: &ClientId,
    known: Option<&Client>,
    fetched: &Fetched,
    ip: IpAddr,
) -> Result<(), Unread> {
    if !fetched.is_json() {
        return Err(Unread::Wrong("the document is not application/json".to_owned()));
    }
    let body = serde_json::from_slice(&fetched.body)
        .map_err(|error| Unread::Wrong(format!("the document is not JSON: {error}")))?;
    let before = known.map(|client| &client.metadata);
    let metadata = registration::read_document(&body, id.as_str(), before, &policy(state))
        .map_err(|refusal| Unread::Wrong(format!("the document: {}", refusal.description)))?;
    let now = state.now();
    let until = now.plus(client_document::freshness(fetched.fresh_for));
    let act = Act { now, actor: Actor::Anonymous, ip: Some(ip.to_string()), reference: None };
    let own = id.clone();
    let stored = state
        .db
        .write(move |connection| client_document::store(connection, &own, metadata, until, &act))
        .await;
    match stored {
        // Somebody else has just read it too.
        Ok(()) | Err(StorageError::Duplicate) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn drawn(unread: Unread, id: &str) -> PageError {
    let (status, description) = match unread {
        Unread::NotHere(why) | Unread::Wrong(why) => (StatusCode::BAD_REQUEST, why),
        Unread::TooMany(_) => (
            StatusCode::TOO_MANY_REQUESTS,
            "too many client documents were asked for; try again later".to_owned(),
        ),
        Unread::Storage(cause) => return PageError::Busy(cause),
    };
    PageError::Drawn(Box::new(DrawnError {
        status,
        cause: description.clone(),
        view: DrawnView {
            heading: "We stopped before signing you in".into(),
            app: None,
            lead: "An app sent you here that describes itself at an address of its own, and we \
                   can’t take it from there."
                .into(),
            whose: "Most likely the app’s. Nothing is wrong with your account.".into(),
            what: "Go back to the app and try again later. If it happens again, tell the people \
                   who make it, and give them the reference below."
                .into(),
            error: "invalid_client",
            description,
            client: Some(id.chars().take(512).collect()),
            sent: None,
        },
    }))
}
