//! Pushed authorization requests (RFC 9126): a client leaves its request here first, and the
//! browser brings only a reference to it.

use std::time::Duration;

use super::authorize::{PageKind, PageRefusal, Parameters, Refused};
use super::oauth_error::OAuthError;
use crate::crypto::random;
use crate::domain::client::{Client, ClientId};
use crate::domain::secret::{HashedSecret, PlainSecret};
use crate::domain::time::Timestamp;
use crate::storage::pushed_requests::{self as stored, PushedRequest};
use crate::storage::{Connection, Result, clients};

/// What every reference starts with (RFC 9126 section 2.2).
pub const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

/// The longest request, names and values together, in bytes.
const LONGEST: usize = 16 * 1024;

/// A fresh reference: 256 random bits.
pub fn reference() -> PlainSecret {
    random::secret(PREFIX)
}

/// The refusal of an authorization request, as an app is told that pushed it.
pub fn refusal(refused: Refused) -> OAuthError {
    match refused {
        Refused::Redirect(answer) => OAuthError::new(answer.code, answer.description),
        Refused::Page(page) => OAuthError::invalid_request(page.description),
    }
}

/// Whether a request is short enough to be kept.
///
/// # Errors
/// `invalid_request`.
pub fn check_length(parameters: &Parameters) -> std::result::Result<(), OAuthError> {
    let bytes: usize =
        parameters.pairs().iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > LONGEST {
        let text = format!("the authorization request is longer than {LONGEST} bytes");
        return Err(OAuthError::invalid_request(text));
    }
    Ok(())
}

/// Keeps a request that was checked, under this reference.
pub fn push(
    connection: &mut Connection,
    client: &Client,
    reference: HashedSecret,
    parameters: &Parameters,
    life: Duration,
    now: Timestamp,
) -> Result<()> {
    stored::add(
        connection,
        &PushedRequest {
            hash: reference,
            client_id: client.id.clone(),
            parameters: parameters.pairs().to_vec(),
            expires_at: now.plus(life),
        },
    )
}

/// The request that a reference stands for, in place of everything that stands beside it.
/// `began` is when the browser brought the reference: whoever came in time may take as long as
/// any sign-in.
pub fn open(
    connection: &mut Connection,
    beside: &Parameters,
    reference: &str,
    began: Timestamp,
) -> Result<std::result::Result<Parameters, Refused>> {
    let id = beside.get("client_id");
    let hash = PlainSecret::new(reference).hash();
    let found = stored::find(connection, &hash)?;
    let description = match found {
        None => "request_uri is not known here, or was used before; push a new request",
        Some(found) if id != Some(found.client_id.as_str()) => "request_uri is not this client's",
        Some(found) if began >= found.expires_at => "request_uri has expired; push a new request",
        Some(found) => return Ok(Ok(Parameters::new(found.parameters).pushed_as(hash))),
    };
    let client = match id.map(ClientId::parse) {
        Some(Ok(id)) => clients::find(connection, &id)?,
        _ => None,
    };
    Ok(Err(Refused::Page(PageRefusal {
        kind: PageKind::RequestUri,
        description: description.to_owned(),
        client_id: id.map(str::to_owned),
        app: client.map(|client| client.metadata.name),
        sent: None,
    })))
}
