//! `POST /oauth/revoke` (RFC 7009).

use actix_web::{HttpRequest, HttpResponse, web};

use super::{answer, client, request};
use crate::domain::audit::Actor;
use crate::protocol::act::Act;
use crate::protocol::oauth_error::OAuthError;
use crate::protocol::revoke::{self, Revoked};
use crate::web::client_address;
use crate::web::page::reference;
use crate::web::state::AppState;

/// The endpoint. `{}` rather than nothing: common clients throw on an empty text answer.
pub async fn revoke(
    http: HttpRequest,
    body: Result<web::Bytes, actix_web::Error>,
    state: web::Data<AppState>,
) -> HttpResponse {
    let answered = match body {
        Ok(body) => respond(&http, &body, &state).await,
        Err(error) => return answer::unread_body("revoke", &error, state.issuer()),
    };
    match answered {
        Ok(revoked) => {
            if revoked == Revoked::Session {
                state.db.call_courier();
            }
            answer::json(&serde_json::json!({}))
        }
        Err(error) => answer::refusal("revoke", &error, state.issuer()),
    }
}

async fn respond(
    http: &HttpRequest,
    body: &web::Bytes,
    state: &web::Data<AppState>,
) -> Result<Revoked, OAuthError> {
    let fields = request::fields(http, body, &["token", "token_type_hint"])?;
    let credentials = request::credentials(http, &fields)?;
    let token = request::required(&fields, "token")?.to_owned();
    state.keys.follow_for(&token).await;
    let (now, reference) = (state.now(), reference(http));
    let ip = client_address::caller(http, state).ip;
    let (keyring, issuer) = (state.keyring.clone(), state.issuer().to_owned());
    // Strangers don't get as far as the queue of changes.
    let client = client::prove(state, credentials, "/oauth/revoke", now).await?;
    let revoked = state
        .db
        .write(move |connection| {
            let actor = Actor::Client(client.id.to_string());
            let act = Act { now, actor, ip: Some(ip), reference: Some(reference) };
            revoke::revoke(connection, &keyring, &issuer, &client, &token, &act)
        })
        .await?;
    tracing::info!(what = ?revoked, "revoked");
    Ok(revoked)
}
