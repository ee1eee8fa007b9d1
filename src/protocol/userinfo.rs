//! The UserInfo endpoint (OpenID Connect Core section 5.3): what an access token tells of its
//! person, and how a bearer token is refused (RFC 6750 section 3.1).

use serde_json::{Map, Value};

use super::{access, subject};
use crate::crypto::keyring::Keyring;
use crate::domain::access_token::AccessToken;
use crate::domain::claims::{self, Asked};
use crate::domain::client::{Client, ClientId};
use crate::domain::scope::OPENID;
use crate::domain::time::Timestamp;
use crate::storage::families::Family;
use crate::storage::{Connection, Result, StorageError, clients, users};

/// Why a token opens nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No token was sent: the challenge alone, without an error.
    NoToken,
    /// The request itself is wrong.
    InvalidRequest(&'static str),
    /// The token is none, or doesn't count; the second is for our log.
    InvalidToken(&'static str, String),
    /// The token is good, but not for this.
    InsufficientScope,
}

impl Refusal {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::NoToken | Self::InvalidToken(..) => 401,
            Self::InvalidRequest(_) => 400,
            Self::InsufficientScope => 403,
        }
    }

    /// The registered code, with a description for the app's developer.
    pub fn error(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::NoToken => None,
            Self::InvalidRequest(description) => Some(("invalid_request", description)),
            Self::InvalidToken(description, _) => Some(("invalid_token", description)),
            Self::InsufficientScope => {
                Some(("insufficient_scope", "the access token lacks the scope openid"))
            }
        }
    }

    /// The value of `WWW-Authenticate`.
    pub fn challenge(&self) -> String {
        let mut challenge = "Bearer realm=\"userinfo\"".to_owned();
        if let Some((code, description)) = self.error() {
            challenge.push_str(&format!(", error=\"{code}\", error_description=\"{description}\""));
        }
        if *self == Self::InsufficientScope {
            challenge.push_str(&format!(", scope=\"{OPENID}\""));
        }
        challenge
    }
}

/// A good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserInfo {
    /// The claims.
    Plain(Map<String, Value>),
    /// The claims in a JWT, signed as the client has registered.
    Signed(String),
}

/// What a token tells. A refusal is an `Ok`: the database has said its part.
///
/// # Errors
/// What storage says, and when there is no key to sign with.
pub fn userinfo(
    connection: &mut Connection,
    keyring: &Keyring,
    issuer: &str,
    token: &str,
    now: Timestamp,
) -> Result<std::result::Result<UserInfo, Refusal>> {
    let refused = |description, cause: String| Ok(Err(Refusal::InvalidToken(description, cause)));
    let Some(token) = access::decode(keyring, issuer, token) else {
        return refused("the access token is not one of this server", "not of our making".into());
    };
    let Some(family) = access::family(connection, &token, now)? else {
        let cause = format!("session {}", token.family);
        return refused("the access token has expired, or its session has ended", cause);
    };
    let Some((client, person)) = both(connection, &token, &family)? else {
        let cause = format!("session {}: its app or person is gone", family.id);
        return refused("the access token has expired, or its session has ended", cause);
    };
    if !is_for_us(&token, &client, issuer) {
        let cause = format!("session {}: for {}", family.id, token.audience.join(" "));
        return refused("the access token is for another resource server", cause);
    }
    if !token.scope.contains(OPENID) {
        return Ok(Err(Refusal::InsufficientScope));
    }
    let nothing = Asked::new();
    let asked = family.claims.as_ref().map_or(&nothing, |claims| &claims.userinfo);
    let mut told = claims::told(&person, &token.scope, asked, &client.metadata.scope);
    told.insert("sub".to_owned(), subject::of(keyring, &client, family.user_id).into());
    sign(keyring, issuer, &client, told).map(Ok)
}

/// The client and the person of a token; `None` unless both are there and the person is active.
fn both(
    connection: &mut Connection,
    token: &AccessToken,
    family: &Family,
) -> Result<Option<(Client, crate::domain::account::Account)>> {
    let Ok(id) = ClientId::parse(&token.client_id) else { return Ok(None) };
    let Some(client) = clients::find(connection, &id)? else { return Ok(None) };
    let person = users::find(connection, family.user_id)?.map(|stored| stored.account);
    Ok(person.filter(|person| person.is_active()).map(|person| (client, person)))
}

/// A token for a resource server that was asked for by name (RFC 8707) is that one's alone. One
/// that no resource was asked for is for whom the client's tokens always are, and for us.
fn is_for_us(token: &AccessToken, client: &Client, issuer: &str) -> bool {
    token.audience.iter().any(|one| one == issuer) || token.audience == client.metadata.audience
}

fn sign(
    keyring: &Keyring,
    issuer: &str,
    client: &Client,
    mut told: Map<String, Value>,
) -> Result<UserInfo> {
    let Some(algorithm) = client.metadata.details.userinfo_signed_response_alg else {
        return Ok(UserInfo::Plain(told));
    };
    told.insert("iss".to_owned(), issuer.into());
    told.insert("aud".to_owned(), client.id.as_str().into());
    let stored = keyring.stored();
    let signer = stored.signer(algorithm).ok_or_else(|| {
        StorageError::Unavailable(format!("there is no {} signing key yet", algorithm.name()))
    })?;
    let signed =
        signer.sign("JWT", &told).map_err(|error| StorageError::Corrupt(error.to_string()))?;
    Ok(UserInfo::Signed(signed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_names_the_error_and_none_where_no_token_was_sent() {
        assert_eq!(Refusal::NoToken.challenge(), "Bearer realm=\"userinfo\"");
        assert_eq!(
            Refusal::InvalidToken("it is over", "session x".into()).challenge(),
            "Bearer realm=\"userinfo\", error=\"invalid_token\", error_description=\"it is over\""
        );
        assert!(Refusal::InsufficientScope.challenge().ends_with(", scope=\"openid\""));
    }
}
