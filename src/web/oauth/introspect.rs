//! `POST /oauth/introspect` (RFC 7662).

use actix_web::{HttpRequest, HttpResponse, web};

use super::{answer, client, request};
use crate::protocol::introspect::{self, Introspection};
use crate::protocol::oauth_error::{Code, OAuthError};
use crate::web::state::AppState;

/// The endpoint: for clients that may ask, which are confidential.
pub async fn introspect(
    http: HttpRequest,
    body: Result<web::Bytes, actix_web::Error>,
    state: web::Data<AppState>,
) -> HttpResponse {
    let answered = match body {
        Ok(body) => respond(&http, &body, &state).await,
        Err(error) => return answer::unread_body("introspect", &error, state.issuer()),
    };
    match answered {
        Ok(introspection) => answer::json(&introspection),
        Err(error) => answer::refusal("introspect", &error, state.issuer()),
    }
}

async fn respond(
    http: &HttpRequest,
    body: &web::Bytes,
    state: &web::Data<AppState>,
) -> Result<Introspection, OAuthError> {
    let fields = request::fields(http, body, &["token", "token_type_hint"])?;
    let credentials = request::credentials(http, &fields)?;
    let token = request::required(&fields, "token")?.to_owned();
    state.keys.follow_for(&token).await;
    let (keyring, issuer, now) = (state.keyring.clone(), state.issuer().to_owned(), state.now());
    let client = client::prove(state, credentials, "/oauth/introspect", now).await?;
    if !client.metadata.may_introspect {
        let description = "this client may not introspect tokens";
        return Err(OAuthError::new(Code::UnauthorizedClient, description));
    }
    Ok(state
        .db
        .read(move |connection| {
            introspect::introspect(connection, &keyring, &issuer, &client, &token, now)
        })
        .await?)
}
