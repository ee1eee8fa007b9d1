//! Token revocation (RFC 7009).

use super::access;
use super::act::Act;
use super::sessions;
use crate::crypto::keyring::Keyring;
use crate::domain::client::Client;
use crate::domain::refresh_token::{Authenticity, RefreshToken};
use crate::domain::token_family::EndCause;
use crate::storage::{Connection, Result, families, revoked_tokens};

/// What a revocation did; the client is told the same in each case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// It ended a session.
    Session,
    /// It ended a single access token.
    AccessToken,
    /// The token isn't ours, or not this client's, or ended before.
    Nothing,
}

/// Revokes a token of this client: any authentic generation of a refresh token ends the family,
/// an access token ends alone.
pub fn revoke(
    connection: &mut Connection,
    keyring: &Keyring,
    issuer: &str,
    client: &Client,
    token: &str,
    act: &Act,
) -> Result<Revoked> {
    if let Some(refresh) = RefreshToken::parse(token) {
        let Some(family) = families::find(connection, refresh.family)? else {
            return Ok(Revoked::Nothing);
        };
        let authentic = keyring.stored().tokens.proves(&refresh, &family.nonce);
        if !authentic || family.client_id != client.id || !family.refreshable {
            return Ok(Revoked::Nothing);
        }
        let ended = sessions::end_family(connection, family.id, EndCause::Client, None, act)?;
        return Ok(if ended { Revoked::Session } else { Revoked::Nothing });
    }
    match access::decode(keyring, issuer, token) {
        Some(access) if access.client_id == client.id.as_str() && access.expires_at > act.now => {
            revoked_tokens::add(connection, &access.jti, access.expires_at)?;
            Ok(Revoked::AccessToken)
        }
        _ => Ok(Revoked::Nothing),
    }
}
