//! What an app sends: a form, read strictly.

use actix_web::http::header;
use actix_web::{HttpRequest, web};

use crate::protocol::client_auth::{self, Credentials, Offered};
use crate::protocol::oauth_error::OAuthError;
use crate::web::form::{Fields, is_urlencoded};

/// The parameters of client authentication; each may stand once only.
const CREDENTIALS: [&str; 4] =
    ["client_id", "client_secret", "client_assertion", "client_assertion_type"];

/// The fields of a form from an app.
///
/// # Errors
/// `invalid_request` for another content type, bytes that aren't UTF-8, a parameter in the
/// query, and one of `single` or of client authentication that stands more than once.
pub fn fields(
    request: &HttpRequest,
    body: &web::Bytes,
    single: &[&str],
) -> Result<Fields, OAuthError> {
    let kind = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if !is_urlencoded(kind) {
        return Err(OAuthError::invalid_request(
            "the body is not application/x-www-form-urlencoded",
        ));
    }
    let fields = Fields::parse(body)
        .ok_or_else(|| OAuthError::invalid_request("the body is not UTF-8 text without NUL"))?;
    if let Some(name) = fields.duplicate(&CREDENTIALS).or(fields.duplicate(single)) {
        return Err(OAuthError::invalid_request(format!("{name} stands more than once")));
    }
    // Secrets and tokens in an address end up in logs (RFC 6749 section 2.3.1).
    let in_query = request.query_string().split('&').any(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        matches!(
            name,
            "client_secret"
                | "client_assertion"
                | "refresh_token"
                | "code"
                | "token"
                | "code_verifier"
        )
    });
    if in_query {
        return Err(OAuthError::invalid_request("send parameters in the body, not in the address"));
    }
    Ok(fields)
}

/// What the request offers to prove who its client is.
///
/// # Errors
/// As [`client_auth::read`].
pub fn credentials(request: &HttpRequest, fields: &Fields) -> Result<Credentials, OAuthError> {
    let header = match request.headers().get(header::AUTHORIZATION) {
        None => None,
        Some(value) => Some(value.to_str().map_err(|_| {
            OAuthError::invalid_client("the Authorization header isn't text", true)
        })?),
    };
    let given = |name| fields.get(name).filter(|value| !value.is_empty());
    let offered = Offered {
        client_id: given("client_id"),
        client_secret: given("client_secret"),
        client_assertion_type: given("client_assertion_type"),
        client_assertion: given("client_assertion"),
    };
    client_auth::read(header, offered)
}

/// A parameter that must be there.
///
/// # Errors
/// `invalid_request` that names it.
pub fn required<'a>(fields: &'a Fields, name: &str) -> Result<&'a str, OAuthError> {
    fields
        .get(name)
        .filter(|value| !value.is_empty())
        .ok_or_else(|| OAuthError::invalid_request(format!("{name} is missing")))
}
