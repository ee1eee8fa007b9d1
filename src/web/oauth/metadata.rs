//! What clients discover (OpenID Connect Discovery 1.0, RFC 8414), and the key set (RFC 7517).

use std::time::Duration;

use actix_web::http::header::{self, EntityTag, Header, IfNoneMatch};
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::crypto::signing::Algorithm;
use crate::domain::key_life::KEY_SET_MAX_AGE;
use crate::protocol::metadata::{self, Installed};
use crate::settings::RegistrationMode;
use crate::storage::scopes;
use crate::web::state::AppState;

/// Where the document is, below the issuer's path, by OpenID Connect Discovery and RFC 8414.
pub const DOCUMENTS: [&str; 2] =
    ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"];

/// How long the key set waits for the database to say whether it has changed.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long clients may keep the document.
const DOCUMENT_MAX_AGE: Duration = Duration::from_secs(300);

/// The document, under each of its names.
pub async fn document(http: HttpRequest, state: web::Data<AppState>) -> HttpResponse {
    let described = match state.db.read(scopes::list).await {
        Ok(list) => list.into_iter().map(|scope| scope.name).collect::<Vec<String>>(),
        Err(error) => return super::answer::refusal("metadata", &error.into(), state.issuer()),
    };
    let installed = Installed {
        issuer: state.issuer(),
        scopes: &described,
        policy_uri: state.settings.policy_uri.as_deref(),
        terms_uri: state.settings.terms_uri.as_deref(),
        registration: state.settings.registration.mode != RegistrationMode::Off,
        metadata_documents: state.settings.registration.client_id_documents,
    };
    cached(&http, &metadata::document(&installed), DOCUMENT_MAX_AGE)
}

/// `GET /oauth/jwks.json`
pub async fn jwks(http: HttpRequest, state: web::Data<AppState>) -> HttpResponse {
    // What another node or a command changed shows at once. Where the database can't say, what
    // this node knows is right until it can.
    let now = state.now();
    match tokio::time::timeout(PATIENCE, state.keys.follow()).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(cause = %error, "the keys can't be read"),
        Err(_) => tracing::warn!("the keys can't be read: the database takes too long"),
    }
    if let Err(error) = state.keys.ready(Algorithm::Rs256, now).await {
        tracing::warn!(cause = %error, "a key can't be made");
    }
    cached(&http, &state.keyring.stored().jwks(now), KEY_SET_MAX_AGE)
}

/// A public document that clients may keep, and ask for again at the price of its tag.
fn cached(http: &HttpRequest, document: &Value, age: Duration) -> HttpResponse {
    let body = document.to_string();
    let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(&body));
    let tag = EntityTag::new_strong(hash);
    let has = match IfNoneMatch::parse(http) {
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|own| own.weak_eq(&tag)),
        Ok(IfNoneMatch::Any) | Err(_) => false,
    };
    let mut response = if has { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::CACHE_CONTROL, format!("public, max-age={}", age.as_secs())))
        .insert_header(header::ETag(tag));
    if has {
        return response.finish();
    }
    response.insert_header(header::ContentType::json()).body(body)
}
