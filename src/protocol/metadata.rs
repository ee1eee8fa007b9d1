//! Authorization server metadata (RFC 8414), computed from what is there.

use serde_json::{Value, json};

use crate::domain::client::{AuthMethod, GrantType};

/// The document. `scopes` are those that consent can describe.
pub fn document(issuer: &str, scopes: &[String]) -> Value {
    let at = |path: &str| format!("{issuer}{path}");
    let methods: Vec<&str> = AuthMethod::ALL.iter().map(|(_, name)| *name).collect();
    let secret_methods: Vec<&str> =
        methods.iter().copied().filter(|method| *method != "none").collect();
    let grants: Vec<&str> = GrantType::ALL.iter().map(|(_, name)| *name).collect();
    json!({
        "issuer": issuer,
        "authorization_endpoint": at("/oauth/authorize"),
        "token_endpoint": at("/oauth/token"),
        "revocation_endpoint": at("/oauth/revoke"),
        "introspection_endpoint": at("/oauth/introspect"),
        "jwks_uri": at("/oauth/jwks.json"),
        "scopes_supported": scopes,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": grants,
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": secret_methods,
        "authorization_response_iss_parameter_supported": true,
        "refresh_token_expiration_types_supported": ["refresh_token_timeout", "authorization_expires_in"],
    })
}
