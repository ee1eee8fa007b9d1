//! The metadata document (RFC 8414) and the key set (RFC 7517).

use actix_web::http::header;
use actix_web::{HttpResponse, web};

use crate::protocol::metadata;
use crate::storage::scopes;
use crate::web::state::AppState;

/// Scopes with words of their own on the consent page.
const STANDARD: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// `GET /.well-known/oauth-authorization-server`
pub async fn document(state: web::Data<AppState>) -> HttpResponse {
    let described = state.db.read(scopes::list).await;
    let mut names: Vec<String> = STANDARD.map(str::to_owned).to_vec();
    match described {
        Ok(list) => names.extend(list.into_iter().map(|scope| scope.name)),
        Err(error) => return super::answer::refusal("metadata", &error.into(), state.issuer()),
    }
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
        .json(metadata::document(state.issuer(), &names))
}

/// `GET /oauth/jwks.json`
pub async fn jwks(state: web::Data<AppState>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
        .json(state.keyring.stored().jwks())
}
