//! Access tokens: what one says, and its two forms (RFC 9068, or opaque).

use std::time::Duration;

use serde::Serialize;

use super::subject;
use crate::crypto::keyring::Keyring;
use crate::crypto::signing::Algorithm;
use crate::domain::access_token::{AccessToken, AccessTokenFormat, OPAQUE_PREFIX};
use crate::domain::client::Client;
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::storage::families::Family;
use crate::storage::{Connection, Result, families};
use crate::storage::{StorageError, revoked_tokens};

/// What every access token of this server has in common.
#[derive(Clone, Debug)]
pub struct Issuing {
    /// The issuer, for `iss` and as the audience of last resort.
    pub issuer: String,
    /// How long an access token lives.
    pub life: Duration,
    /// How JWTs are signed.
    pub algorithm: Algorithm,
}

/// The claims of the access token that goes with the newest generation of a family. Made from
/// the row and what the request narrows them to, so that a retry makes the very same ones.
pub fn claims(
    keyring: &Keyring,
    issuing: &Issuing,
    client: &Client,
    family: &Family,
    scope: &Scope,
    resources: Option<&[String]>,
) -> AccessToken {
    let audience = match resources.unwrap_or(&family.audience) {
        [] => vec![issuing.issuer.clone()],
        named => named.to_vec(),
    };
    let issued_at = family.chain.issued_at;
    let mut expires_at = issued_at.plus(issuing.life);
    if let Some(end) = family.lifetime.ends_at {
        expires_at = expires_at.min(end);
    }
    let mut token = AccessToken {
        family: family.id,
        generation: family.chain.generation,
        jti: String::new(),
        subject: subject::of(keyring, client, family.user_id),
        client_id: family.client_id.to_string(),
        scope: scope.clone(),
        audience,
        issued_at,
        expires_at,
        auth_time: family.auth_time,
    };
    token.jti = keyring.jti(&token);
    token
}

/// RFC 9068 section 2.2.
#[derive(Serialize)]
struct JwtClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: serde_json::Value,
    exp: i64,
    iat: i64,
    jti: &'a str,
    client_id: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    scope: String,
    auth_time: i64,
    sid: String,
}

/// The token's text.
///
/// # Errors
/// When no key is there to sign with.
pub fn encode(
    keyring: &Keyring,
    issuing: &Issuing,
    format: AccessTokenFormat,
    token: &AccessToken,
) -> Result<String> {
    let missing = |what: String| StorageError::Corrupt(what);
    let stored = keyring.stored();
    match format {
        AccessTokenFormat::Opaque => stored
            .tokens
            .opaque(token)
            .ok_or_else(|| missing("there is no token secret in force".into())),
        AccessTokenFormat::Jwt => {
            let signer = stored
                .signer(issuing.algorithm)
                .ok_or_else(|| missing("there is no signing key in force".into()))?;
            let aud = match token.audience.as_slice() {
                [only] => serde_json::json!(only),
                several => serde_json::json!(several),
            };
            let claims = JwtClaims {
                iss: &issuing.issuer,
                sub: &token.subject,
                aud,
                exp: token.expires_at.as_seconds(),
                iat: token.issued_at.as_seconds(),
                jti: &token.jti,
                client_id: &token.client_id,
                scope: token.scope.to_string(),
                auth_time: token.auth_time.as_seconds(),
                sid: token.family.to_string(),
            };
            signer.sign("at+jwt", &claims).map_err(|error| missing(error.to_string()))
        }
    }
}

/// Reads an access token of either form; `None` unless this server made it. Whether it still
/// counts is [`family`]'s to say.
pub fn decode(keyring: &Keyring, issuer: &str, text: &str) -> Option<AccessToken> {
    let stored = keyring.stored();
    if text.starts_with(OPAQUE_PREFIX) {
        return stored.tokens.read_opaque(text);
    }
    let claims = stored.verify("at+jwt", text)?;
    let text_of = |name: &str| claims.get(name).and_then(serde_json::Value::as_str);
    let seconds = |name: &str| {
        let seconds = claims.get(name).and_then(serde_json::Value::as_i64)?;
        Some(Timestamp::from_millis(seconds.saturating_mul(1000)))
    };
    if text_of("iss") != Some(issuer) {
        return None;
    }
    let audience = match claims.get("aud")? {
        serde_json::Value::String(only) => vec![only.clone()],
        serde_json::Value::Array(all) => {
            all.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect()
        }
        _ => return None,
    };
    Some(AccessToken {
        family: text_of("sid")?.parse().ok()?,
        generation: 0,
        jti: text_of("jti")?.to_owned(),
        subject: text_of("sub")?.to_owned(),
        client_id: text_of("client_id")?.to_owned(),
        scope: text_of("scope").unwrap_or_default().parse().ok()?,
        audience,
        issued_at: seconds("iat")?,
        expires_at: seconds("exp")?,
        auth_time: seconds("auth_time")?,
    })
}

/// The family of an authentic token, where the token still counts: not past its end, not revoked
/// by itself, and its family not ended. The family says whose it is.
pub fn family(
    connection: &mut Connection,
    token: &AccessToken,
    now: Timestamp,
) -> Result<Option<Family>> {
    if token.expires_at.as_seconds() <= now.as_seconds()
        || revoked_tokens::contains(connection, &token.jti)?
    {
        return Ok(None);
    }
    Ok(families::find(connection, token.family)?.filter(|family| family.is_live(now)))
}
