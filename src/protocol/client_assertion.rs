//! Client authentication by signed assertions: `private_key_jwt` and `client_secret_jwt`
//! (RFC 7523 section 3, OpenID Connect Core section 9).
//!
//! Checking one takes the client's keys, which may have to be fetched; so it goes in steps:
//! [`source`] says where they are, [`check`] judges, and [`Use::spend`] makes sure that no
//! assertion counts twice.

use std::time::Duration;

use serde_json::Value;

use super::oauth_error::{Code, OAuthError};
use crate::crypto::jws::{Jws, Verdict};
use crate::crypto::root_secret::Sealer;
use crate::domain::algorithm::Algorithm;
use crate::domain::client::{AuthMethod, Client, ClientId};
use crate::domain::client_keys::{self, PublicKey};
use crate::domain::secret::{HashedSecret, PlainSecret};
use crate::domain::time::Timestamp;
use crate::storage::{Connection, Result, assertion_jtis};

/// The one type of assertion (RFC 7523 section 2.2).
pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How far a client's clock may be off.
pub const LEEWAY: Duration = Duration::from_secs(30);

/// The longest that an assertion may be good for: so long its `jti` is remembered.
const LONGEST_LIFE: Duration = Duration::from_secs(3600);

/// The longest `jti`, in bytes.
const LONGEST_JTI: usize = 512;

/// Where the keys are that an assertion must be signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// In the client's metadata, as a set.
    Here(&'a Value),
    /// At an address.
    At(&'a str),
    /// It is the client's secret.
    Secret,
}

/// What an assertion is verified with.
pub enum Keys<'a> {
    /// The client's public keys.
    Public(&'a [PublicKey]),
    /// The secret that it shares with us.
    Secret(&'a PlainSecret),
}

/// Whom an assertion may be meant for.
#[derive(Clone, Copy, Debug)]
pub struct Audience<'a> {
    /// The issuer.
    pub issuer: &'a str,
    /// The path of the endpoint that was called.
    pub path: &'a str,
}

/// A good assertion, not used yet.
#[derive(Clone, Copy, Debug)]
pub struct Use {
    hash: HashedSecret,
    until: Timestamp,
}

impl Use {
    /// Uses it. Whether this was the first time, on whichever node.
    pub fn spend(&self, connection: &mut Connection) -> Result<bool> {
        assertion_jtis::spend(connection, &self.hash, self.until)
    }

    /// What to say of a second time.
    pub fn refusal() -> OAuthError {
        refused("the client assertion was used before; make a new one, with another jti")
    }
}

/// A refusal that says why: whoever signs assertions is a program, and nobody learns from this
/// what would help to forge one.
pub fn refused(why: impl Into<String>) -> OAuthError {
    OAuthError::new(Code::InvalidClient, why)
}

/// The client that an assertion is from, by its own word.
///
/// # Errors
/// `invalid_client` where it isn't a JWT, or names none.
pub fn subject(assertion: &str) -> std::result::Result<ClientId, OAuthError> {
    let jws = parse(assertion)?;
    let subject = jws.text("sub").ok_or_else(|| refused("the client assertion has no sub"))?;
    ClientId::parse(subject)
        .map_err(|_| refused("the sub of the client assertion is not a client_id"))
}

/// Takes an assertion apart.
///
/// # Errors
/// `invalid_client` where it isn't a JWT.
pub fn parse(assertion: &str) -> std::result::Result<Jws<'_>, OAuthError> {
    Jws::parse(assertion).map_err(|why| refused(format!("the client assertion {why}")))
}

/// Where the keys are for an assertion of this client.
///
/// # Errors
/// `invalid_client` where the client doesn't authenticate so, or has no keys.
pub fn source(client: &Client) -> std::result::Result<Source<'_>, OAuthError> {
    let details = &client.metadata.details;
    match client.metadata.auth_method {
        AuthMethod::ClientSecretJwt => Ok(Source::Secret),
        AuthMethod::PrivateKeyJwt => match (&details.jwks, &details.jwks_uri) {
            (Some(set), _) => Ok(Source::Here(set)),
            (None, Some(url)) => Ok(Source::At(url)),
            (None, None) => Err(refused("this client has registered no keys")),
        },
        other => Err(OAuthError::invalid_client(
            format!("{}: an assertion from a client that is for {}", client.id, other.name()),
            false,
        )),
    }
}

/// The secret of a client that signs with it.
pub fn secret(client: &Client, sealer: &Sealer) -> Option<PlainSecret> {
    let plain = sealer.open(client.id.as_str().as_bytes(), client.sealed_secret.as_deref()?)?;
    std::str::from_utf8(&plain).ok().map(PlainSecret::new)
}

/// The algorithm of a client's signature, if it may sign with it. `registered` is the one that
/// the client said it would use.
///
/// # Errors
/// What to say, to follow the name of what was signed.
pub fn algorithm(
    jws: &Jws<'_>,
    registered: Option<&str>,
) -> std::result::Result<Algorithm, &'static str> {
    let algorithm = client_keys::algorithm(&jws.algorithm)
        .ok_or("is not signed with ES256, EdDSA, RS256 or PS256")?;
    if registered.is_some_and(|name| client_keys::algorithm(name) != Some(algorithm)) {
        return Err("is not signed with the algorithm that this client registered");
    }
    Ok(algorithm)
}

/// Judges an assertion of this client.
///
/// # Errors
/// `invalid_client`, with what is wrong.
pub fn check(
    client: &Client,
    jws: &Jws<'_>,
    keys: &Keys<'_>,
    audience: Audience<'_>,
    now: Timestamp,
) -> std::result::Result<Use, OAuthError> {
    let refuse = |why: &str| Err(refused(format!("the client assertion {why}")));
    // A signature tells nothing of what it is for (RFC 8725 section 3.11).
    if jws.kind.as_deref().is_some_and(|kind| kind != "jwt" && kind != "client-authentication+jwt")
    {
        return refuse("has another typ than JWT or client-authentication+jwt");
    }
    let registered = client.metadata.details.token_endpoint_auth_signing_alg.as_deref();
    match keys {
        Keys::Public(keys) => {
            let algorithm = algorithm(jws, registered)
                .map_err(|why| refused(format!("the client assertion {why}")))?;
            match jws.verify(keys, algorithm) {
                Verdict::Good => {}
                Verdict::Bad => return refuse("has a signature that is not by this client's key"),
                Verdict::NoKey => {
                    return refuse("names a key (kid, alg) that is not among this client's keys");
                }
            }
        }
        Keys::Secret(secret) => {
            if !client_keys::BY_SECRET.contains(&jws.algorithm.as_str())
                || registered.is_some_and(|name| name != jws.algorithm)
            {
                return refuse("is not signed with the algorithm for this client's secret");
            }
            if !jws.verify_by_secret(secret) {
                return refuse("has a signature that is not by this client's secret");
            }
        }
    }
    let id = client.id.as_str();
    if jws.text("iss") != Some(id) || jws.text("sub") != Some(id) {
        return refuse("needs iss and sub that are both the client_id");
    }
    if !is_meant_for(jws, audience, client.metadata.details.assertion_audience_is_issuer) {
        return Err(refused(if client.metadata.details.assertion_audience_is_issuer {
            format!("the aud of the client assertion must be the text {}", audience.issuer)
        } else {
            format!(
                "the aud of the client assertion must be {} or {}/oauth/token",
                audience.issuer, audience.issuer
            )
        }));
    }
    let ends = times(jws, now).map_err(|why| refused(format!("the client assertion {why}")))?;
    let Some(ends) = ends else { return refuse("has no exp") };
    if ends.since(now) > LONGEST_LIFE + LEEWAY {
        return refuse("has an exp more than an hour away");
    }
    match jws.text("jti") {
        Some(jti) if !jti.is_empty() && jti.len() <= LONGEST_JTI => Ok(Use {
            hash: HashedSecret::of(format!("{id}\0{jti}").as_bytes()),
            until: ends.plus(LEEWAY + LEEWAY),
        }),
        _ => refuse("needs a jti of 1 to 512 bytes"),
    }
}

/// Judges the times that a JWT has; its end, if it has one.
///
/// # Errors
/// What is wrong, to follow the name of what has them.
pub fn times(
    jws: &Jws<'_>,
    now: Timestamp,
) -> std::result::Result<Option<Timestamp>, &'static str> {
    let time = |name| {
        let seconds = jws.seconds(name).map_err(|_| "has a time that is not a number")?;
        Ok::<_, &'static str>(
            seconds.map(|seconds| Timestamp::from_millis(seconds.saturating_mul(1000))),
        )
    };
    let ends = time("exp")?;
    if ends.is_some_and(|ends| ends.plus(LEEWAY) <= now) {
        return Err("has expired");
    }
    if time("nbf")?.is_some_and(|begins| begins > now.plus(LEEWAY)) {
        return Err("is not good yet: its nbf is in the future");
    }
    if time("iat")?.is_some_and(|made| made > now.plus(LEEWAY)) {
        return Err("was made in the future, by its iat");
    }
    Ok(ends)
}

fn is_meant_for(jws: &Jws<'_>, audience: Audience<'_>, strictly: bool) -> bool {
    let Audience { issuer, path } = audience;
    let good = |aud: &str| {
        aud == issuer
            || aud.strip_prefix(issuer).is_some_and(|rest| rest == "/oauth/token" || rest == path)
    };
    match jws.claims.get("aud") {
        Some(Value::String(aud)) if strictly => aud == issuer,
        Some(Value::String(aud)) => good(aud),
        Some(Value::Array(list)) if !strictly => {
            list.iter().any(|aud| aud.as_str().is_some_and(good))
        }
        _ => false,
    }
}
