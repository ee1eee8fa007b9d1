//! Who calls an endpoint: the client that a request proves itself to be.

use std::borrow::Borrow;
use std::sync::Arc;

use actix_web::web;

use crate::crypto::jws::Jws;
use crate::domain::client::Client;
use crate::domain::client_keys::{self, PublicKey};
use crate::domain::time::Timestamp;
use crate::protocol::client_assertion::{self, Audience, Keys, Source, Use, refused};
use crate::protocol::client_auth::{self, Credentials};
use crate::protocol::oauth_error::OAuthError;
use crate::storage::clients;
use crate::web::state::AppState;

/// The client of these credentials, offered to the endpoint at `path`, read from the database.
///
/// # Errors
/// `invalid_client`; or what storage says.
pub async fn prove(
    state: &web::Data<AppState>,
    mut credentials: Credentials,
    path: &'static str,
    now: Timestamp,
) -> Result<Client, OAuthError> {
    let Some(assertion) = credentials.assertion.take() else {
        return state
            .db
            .read(move |connection| Ok(client_auth::authenticate(connection, &credentials)))
            .await?;
    };
    let id = credentials.client_id.clone();
    let found = state.db.read(move |connection| clients::find(connection, &id)).await?;
    let good = check_assertion(state, found, &credentials, &assertion, path, now).await?;
    spend(state, good.1).await?;
    Ok(good.0)
}

/// The client that was found under the id of these credentials, if the assertion is good; it
/// isn't used by this.
///
/// # Errors
/// `invalid_client`.
pub async fn check_assertion<C: Borrow<Client>>(
    state: &AppState,
    found: Option<C>,
    credentials: &Credentials,
    assertion: &str,
    path: &'static str,
    now: Timestamp,
) -> Result<(C, Use), OAuthError> {
    let Some(found) = found else {
        let cause = format!("{}: there is no such client", credentials.client_id);
        return Err(OAuthError::invalid_client(cause, false));
    };
    let client = found.borrow();
    let jws = client_assertion::parse(assertion)?;
    let audience = Audience { issuer: state.issuer(), path };
    let good = match client_assertion::source(client)? {
        Source::Secret => {
            let secret = client_assertion::secret(client, state.keyring.client_secrets())
                .ok_or_else(|| refused("this client has no secret to sign with; make a new one"))?;
            client_assertion::check(client, &jws, &Keys::Secret(&secret), audience, now)?
        }
        Source::Here(_) | Source::At(_) => {
            let keys = public_keys(state, client, &jws, now).await.map_err(refused)?;
            client_assertion::check(client, &jws, &Keys::Public(&keys), audience, now)?
        }
    };
    Ok((found, good))
}

/// Uses an assertion.
///
/// # Errors
/// `invalid_client` the second time.
pub async fn spend(state: &AppState, good: Use) -> Result<(), OAuthError> {
    let first = state.db.write(move |connection| good.spend(connection)).await?;
    if first { Ok(()) } else { Err(Use::refusal()) }
}

/// The keys of a client, fetched anew where the one that a JWT names isn't among those known.
///
/// # Errors
/// Why there are none.
pub async fn public_keys(
    state: &AppState,
    client: &Client,
    jws: &Jws<'_>,
    now: Timestamp,
) -> Result<Arc<Vec<PublicKey>>, String> {
    let details = &client.metadata.details;
    match (&details.jwks, &details.jwks_uri) {
        (Some(set), _) => client_keys::parse(set)
            .map(Arc::new)
            .map_err(|_| "this client has registered no good keys".to_owned()),
        (None, Some(url)) => {
            // What could never be verified isn't worth asking anybody.
            let algorithm = client_keys::algorithm(&jws.algorithm);
            let wanted = |keys: &[PublicKey]| {
                algorithm.is_none_or(|algorithm| jws.means_one_of(keys, algorithm))
            };
            state.client_keys.get(&state.fetcher, url, wanted, now).await
        }
        (None, None) => Err("this client has registered no keys".to_owned()),
    }
}
