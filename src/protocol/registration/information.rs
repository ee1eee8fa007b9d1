//! What a client is told of its registration (RFC 7591 section 3.2.1, RFC 7592 section 3).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use crate::domain::client::Client;
use crate::domain::secret::PlainSecret;

/// What may stand in a path as it is (RFC 3986 section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// All that is registered. `secret` is there only when it is new; `token` is the one that the
/// client holds.
pub fn information(
    client: &Client,
    issuer: &str,
    secret: Option<&PlainSecret>,
    token: &PlainSecret,
) -> Value {
    let metadata = &client.metadata;
    let grants: Vec<&str> = metadata.grants.iter().map(|grant| grant.name()).collect();
    let mut all = match serde_json::to_value(&metadata.details) {
        Ok(Value::Object(details)) => details,
        _ => Map::new(),
    };
    let id = client.id.as_str();
    let address = format!("{issuer}/oauth/register/{}", utf8_percent_encode(id, ENCODED));
    let own = json!({
        "client_id": id,
        "client_id_issued_at": client.created_at.as_seconds(),
        "registration_client_uri": address,
        "registration_access_token": token.reveal(),
        "client_name": metadata.name,
        "redirect_uris": metadata.redirect_uris,
        "grant_types": grants,
        "response_types": ["code"],
        "token_endpoint_auth_method": metadata.auth_method.name(),
        "scope": metadata.scope.to_string(),
    });
    if let Value::Object(own) = own {
        all.extend(own);
    }
    if !metadata.post_logout_redirect_uris.is_empty() {
        all.insert(
            "post_logout_redirect_uris".to_owned(),
            json!(metadata.post_logout_redirect_uris),
        );
    }
    if let Some(secret) = secret {
        all.insert("client_secret".to_owned(), json!(secret.reveal()));
    }
    if client.secret.is_some() {
        // It doesn't end by itself.
        all.insert("client_secret_expires_at".to_owned(), json!(0));
    }
    Value::Object(all)
}
