//! `POST /oauth/par` (RFC 9126): an app leaves its authorization request here, and gets a
//! reference to put into the browser's address.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::obtain::opened;
use super::{answer, client, request};
use crate::protocol::authorize::{self, Parameters};
use crate::protocol::oauth_error::OAuthError;
use crate::protocol::pushed_requests;
use crate::web::state::AppState;
use crate::web::{client_address, client_documents};

/// Where it is, below the issuer.
pub const PATH: &str = "/oauth/par";

/// What says who the client is, and isn't part of the request.
const CREDENTIALS: [&str; 3] = ["client_secret", "client_assertion", "client_assertion_type"];

/// RFC 9126 section 2.2.
#[derive(Serialize)]
struct Pushed {
    request_uri: String,
    expires_in: u64,
}

/// The endpoint.
pub async fn push(
    http: HttpRequest,
    body: Result<web::Bytes, actix_web::Error>,
    state: web::Data<AppState>,
) -> HttpResponse {
    let answered = match body {
        Ok(body) => respond(&http, &body, &state).await,
        Err(error) => return answer::unread_body("par", &error, state.issuer()),
    };
    match answered {
        Ok(pushed) => {
            let mut response = answer::json(&pushed);
            *response.status_mut() = StatusCode::CREATED;
            response
        }
        Err(error) => answer::refusal("par", &error, state.issuer()),
    }
}

async fn respond(
    http: &HttpRequest,
    body: &web::Bytes,
    state: &web::Data<AppState>,
) -> Result<Pushed, OAuthError> {
    let now = state.now();
    let fields = request::fields(http, body, &["request", "request_uri"])?;
    let credentials = request::credentials(http, &fields)?;
    let ip = client_address::address(http, &state.settings.trusted_proxies);
    client_documents::for_app(state, ip, credentials.client_id.as_str()).await?;
    let found = client::prove(state, credentials, PATH, now).await?;
    if fields.get("request_uri").is_some() {
        return Err(OAuthError::invalid_request("request_uri may not be pushed"));
    }
    let mut pairs: Vec<(String, String)> = fields
        .pairs()
        .iter()
        .filter(|(name, _)| !CREDENTIALS.contains(&name.as_str()))
        .cloned()
        .collect();
    if fields.get("client_id").is_none_or(str::is_empty) {
        pairs.retain(|(name, _)| name != "client_id");
        pairs.push(("client_id".to_owned(), found.id.to_string()));
    }
    let mut parameters = Parameters::new(pairs);
    if let Some(object) = parameters.get("request").map(str::to_owned) {
        parameters = opened(state, &found, &parameters, &object, true, now)
            .await
            .map_err(|unopened| OAuthError::new(unopened.error.0, unopened.error.1))?;
    }
    pushed_requests::check_length(&parameters)?;
    let reference = pushed_requests::reference();
    let parameters = parameters.pushed_as(reference.hash());

    let (keyring, settings, asked) =
        (state.keyring.clone(), Arc::clone(&state.settings), parameters.clone());
    let check = move |connection: &mut _| {
        let (issuer, of_all) = (settings.issuer.as_str(), &settings.tokens.resources);
        authorize::check(connection, &keyring, issuer, of_all, &asked)
    };
    state.db.read(check).await?.map_err(pushed_requests::refusal)?;

    let (life, hash) = (state.settings.tokens.pushed_request, reference.hash());
    state
        .db
        .write(move |connection| {
            pushed_requests::push(connection, &found, hash, &parameters, life, now)
        })
        .await?;
    Ok(Pushed { request_uri: reference.reveal().to_owned(), expires_in: life.as_secs() })
}
