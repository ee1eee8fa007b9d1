//! Answers to apps: JSON, never cached, errors by RFC 6749 section 5.2.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use serde::Serialize;

use super::errors::SESSION_ENDED;
use crate::protocol::oauth_error::OAuthError;
use crate::web::limits::is_too_large;

/// A good answer.
pub fn json(body: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::PRAGMA, "no-cache"))
        .json(body)
}

/// RFC 6749 section 5.2.
#[derive(Serialize)]
struct Refusal<'a> {
    error: &'static str,
    error_description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_uri: Option<String>,
}

/// A refusal, logged here and nowhere else.
pub fn refusal(endpoint: &'static str, error: &OAuthError, issuer: &str) -> HttpResponse {
    let code = error.code.name();
    if error.status() >= 500 && error.status() != 503 {
        tracing::error!(endpoint, code, cause = error.cause, "failed");
    } else {
        tracing::info!(endpoint, code, cause = error.cause, "refused");
    }
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::PRAGMA, "no-cache"));
    if status == StatusCode::UNAUTHORIZED {
        // RFC 9110 wants it with every 401; RFC 6749 where the header was used.
        response
            .insert_header((header::WWW_AUTHENTICATE, "Basic realm=\"oauth\", charset=\"UTF-8\""));
    }
    if let Some(span) = error.retry_after {
        response.insert_header((header::RETRY_AFTER, span.as_secs().max(1).to_string()));
    }
    let uri = error.session_ended.then(|| format!("{issuer}{SESSION_ENDED}"));
    let body = Refusal { error: code, error_description: &error.description, error_uri: uri };
    response.json(body)
}

/// A body that couldn't be read: too long for the settings (413), or broken off.
pub fn unread_body(endpoint: &'static str, error: &actix_web::Error, issuer: &str) -> HttpResponse {
    let refused = OAuthError::invalid_request(format!("the body: {error}"));
    let mut response = refusal(endpoint, &refused, issuer);
    if is_too_large(error) {
        *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
    }
    response
}

/// Another method than POST.
pub async fn only_post() -> HttpResponse {
    HttpResponse::MethodNotAllowed()
        .insert_header((header::ALLOW, "POST"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(serde_json::json!({
            "error": "invalid_request",
            "error_description": "send a POST request",
        }))
}
