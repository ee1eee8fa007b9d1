//! Token introspection (RFC 7662).

use serde::Serialize;

use super::{access, subject};
use crate::crypto::keyring::Keyring;
use crate::domain::client::Client;
use crate::domain::refresh_token::{Authenticity, RefreshToken};
use crate::domain::time::Timestamp;
use crate::storage::{Connection, Result, families, users};

/// The answer (RFC 7662 section 2.2). An inactive token tells nothing more.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Introspection {
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
}

/// Tells a client about a token: its own, or an access token whose audience it is. The client is
/// known to be one that may ask.
pub fn introspect(
    connection: &mut Connection,
    keyring: &Keyring,
    issuer: &str,
    client: &Client,
    token: &str,
    now: Timestamp,
) -> Result<Introspection> {
    if let Some(refresh) = RefreshToken::parse(token) {
        return refresh_token(connection, keyring, issuer, client, &refresh, now);
    }
    let Some(access) = access::decode(keyring, issuer, token) else {
        return Ok(Introspection::default());
    };
    let concerned = access.client_id == client.id.as_str()
        || access
            .audience
            .iter()
            .any(|one| one == client.id.as_str() || client.metadata.audience.contains(one));
    if !concerned {
        return Ok(Introspection::default());
    }
    let Some(family) = access::family(connection, &access, now)? else {
        return Ok(Introspection::default());
    };
    // A name that every client knows would undo a `sub` that only one sector does.
    let username = if access.subject == family.user_id.to_string() {
        users::find(connection, family.user_id)?.map(|stored| stored.account.username)
    } else {
        None
    };
    Ok(Introspection {
        active: true,
        scope: Some(access.scope.to_string()),
        client_id: Some(access.client_id),
        username,
        token_type: Some("Bearer"),
        exp: Some(access.expires_at.as_seconds()),
        iat: Some(access.issued_at.as_seconds()),
        sub: Some(access.subject),
        aud: Some(match access.audience.as_slice() {
            [only] => serde_json::json!(only),
            several => serde_json::json!(several),
        }),
        iss: Some(issuer.to_owned()),
        jti: Some(access.jti),
        sid: Some(access.family.to_string()),
    })
}

/// A refresh token is its own client's business alone; the newest generation is active.
fn refresh_token(
    connection: &mut Connection,
    keyring: &Keyring,
    issuer: &str,
    client: &Client,
    token: &RefreshToken,
    now: Timestamp,
) -> Result<Introspection> {
    let Some(family) = families::find(connection, token.family)? else {
        return Ok(Introspection::default());
    };
    let active = keyring.stored().tokens.proves(token, &family.nonce)
        && family.client_id == client.id
        && family.refreshable
        && family.is_live(now)
        && token.presented.generation == family.chain.generation
        && token.presented.key == family.chain.key;
    if !active {
        return Ok(Introspection::default());
    }
    Ok(Introspection {
        active: true,
        scope: Some(family.scope.to_string()),
        client_id: Some(family.client_id.to_string()),
        exp: Some(family.lifetime.next_end(family.chain.given_at).as_seconds()),
        iat: Some(family.chain.issued_at.as_seconds()),
        sub: Some(subject::of(keyring, client, family.user_id)),
        iss: Some(issuer.to_owned()),
        sid: Some(family.id.to_string()),
        ..Introspection::default()
    })
}
