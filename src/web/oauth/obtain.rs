//! The parameters that an authorization request stands for: its own, those of a request that
//! was pushed before, or those in a signed object.

use super::client;
use crate::domain::client::{Client, ClientId};
use crate::domain::time::Timestamp;
use crate::protocol::authorize::{self, Parameters, Refused};
use crate::protocol::oauth_error::Code;
use crate::protocol::pushed_requests;
use crate::protocol::request_object::{self, Bad};
use crate::storage::{StorageError, clients};
use crate::web::form::Fields;
use crate::web::page::PageError;
use crate::web::state::AppState;

/// The parameters that a query stands for. `began` is when the browser brought it: what has
/// expired since then still counts.
///
/// # Errors
/// A page when they aren't UTF-8, or when the database can't answer.
pub async fn obtain(
    state: &AppState,
    query: &str,
    began: Timestamp,
) -> Result<Result<Parameters, Refused>, PageError> {
    let fields = Fields::parse(query.as_bytes())
        .ok_or_else(|| PageError::bad_request("the authorization request isn't UTF-8"))?;
    let parameters = Parameters::new(fields.pairs().to_vec());
    // Which of two is meant nobody knows; the check says so.
    if ["client_id", "request", "request_uri"].iter().any(|name| parameters.repeated(name)) {
        return Ok(Ok(parameters));
    }
    match (parameters.get("request_uri").map(str::to_owned), parameters.get("request")) {
        (None, None) => Ok(Ok(parameters)),
        (Some(_), Some(_)) => {
            let text = "request and request_uri exclude each other; send one of them";
            Ok(Err(refused(state, parameters, (Code::InvalidRequest, text.to_owned())).await?))
        }
        (Some(reference), None) if reference.starts_with(pushed_requests::PREFIX) => {
            let open = move |connection: &mut _| {
                pushed_requests::open(connection, &parameters, &reference, began)
            };
            Ok(state.db.read(open).await?)
        }
        (Some(_), None) => {
            let text = "request_uri is supported only for requests that were pushed to \
                        /oauth/par";
            let error = (Code::RequestUriNotSupported, text.to_owned());
            Ok(Err(refused(state, parameters, error).await?))
        }
        (None, Some(object)) => {
            let object = object.to_owned();
            by_value(state, parameters, &object, began).await
        }
    }
}

/// A request object in the address.
async fn by_value(
    state: &AppState,
    parameters: Parameters,
    object: &str,
    began: Timestamp,
) -> Result<Result<Parameters, Refused>, PageError> {
    let id = parameters.get("client_id").map(ClientId::parse);
    let found = match id {
        Some(Ok(id)) => state.db.read(move |connection| clients::find(connection, &id)).await?,
        _ => None,
    };
    // Without a client nothing can be verified; the check says what is wrong with it.
    let Some(found) = found else { return Ok(Ok(parameters)) };
    match opened(state, &found, &parameters, object, false, began).await {
        Ok(merged) => Ok(Ok(merged)),
        Err(Unopened { error, verified }) => {
            // Where the answer goes is believed only of an object that was verified.
            Ok(Err(refused(state, verified.unwrap_or(parameters), error).await?))
        }
    }
}

/// A request object that isn't taken.
pub struct Unopened {
    /// Why.
    pub error: Bad,
    /// What it says, where its client signed it.
    pub verified: Option<Parameters>,
}

impl From<Bad> for Unopened {
    fn from(error: Bad) -> Self {
        Self { error, verified: None }
    }
}

/// The parameters of a request with an object. `alone`: those beside it aren't used.
///
/// # Errors
/// Why the object isn't taken.
pub async fn opened(
    state: &AppState,
    found: &Client,
    beside: &Parameters,
    object: &str,
    alone: bool,
    now: Timestamp,
) -> Result<Parameters, Unopened> {
    let jws = request_object::parse(object)?;
    let keys = client::public_keys(state, found, &jws, now)
        .await
        .map_err(|why| (Code::InvalidRequestObject, why))?;
    request_object::verify(found, &jws, &keys)?;
    let merged = request_object::merge(beside, &jws, alone)?;
    match request_object::judge(found, &jws, state.issuer(), now) {
        Ok(()) => Ok(merged),
        Err(error) => Err(Unopened { error, verified: Some(merged) }),
    }
}

/// A refusal on its way to wherever these parameters say, if that is the client's.
async fn refused(
    state: &AppState,
    parameters: Parameters,
    (code, description): Bad,
) -> Result<Refused, StorageError> {
    state
        .db
        .read(move |connection| authorize::refusal(connection, &parameters, code, description))
        .await
}
