//! Request objects (RFC 9101, OpenID Connect Core section 6): an authorization request that its
//! client signed.

use serde_json::Value;

use super::authorize::Parameters;
use super::client_assertion;
use super::oauth_error::Code;
use crate::crypto::jws::{Jws, Verdict};
use crate::domain::client::Client;
use crate::domain::client_keys::PublicKey;
use crate::domain::time::Timestamp;

/// Claims that say something of the object itself, and are no parameters.
const OWN: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];

/// Why an object isn't taken.
pub type Bad = (Code, String);

fn bad(why: &str) -> Bad {
    (Code::InvalidRequestObject, format!("the request object {why}"))
}

/// Takes an object apart.
///
/// # Errors
/// `invalid_request_object`; `request_not_supported` where nobody signed it.
pub fn parse(text: &str) -> Result<Jws<'_>, Bad> {
    let jws = Jws::parse(text).map_err(bad)?;
    if jws.algorithm.eq_ignore_ascii_case("none") {
        let text = "unsigned request objects are not supported; sign with ES256, EdDSA, RS256 or \
                    PS256";
        return Err((Code::RequestNotSupported, text.to_owned()));
    }
    // Of another kind, it was signed for something else (RFC 9101 section 10.8).
    if jws.kind.as_deref().is_some_and(|kind| kind != "oauth-authz-req+jwt" && kind != "jwt") {
        return Err(bad("has another typ than oauth-authz-req+jwt"));
    }
    Ok(jws)
}

/// Whether its client signed it. Until then, nothing in it may be used for anything.
///
/// # Errors
/// `invalid_request_object`.
pub fn verify(client: &Client, jws: &Jws<'_>, keys: &[PublicKey]) -> Result<(), Bad> {
    let registered = client.metadata.details.request_object_signing_alg.as_deref();
    let algorithm = client_assertion::algorithm(jws, registered).map_err(bad)?;
    match jws.verify(keys, algorithm) {
        Verdict::Good => Ok(()),
        Verdict::Bad => Err(bad("has a signature that is not by this client's key")),
        Verdict::NoKey => Err(bad("names a key (kid, alg) that is not among this client's keys")),
    }
}

/// The parameters of a request whose object was verified: those inside go before those beside
/// it. What stands beside is left out where `alone`.
///
/// # Errors
/// `invalid_request_object`.
pub fn merge(beside: &Parameters, jws: &Jws<'_>, alone: bool) -> Result<Parameters, Bad> {
    let mut pairs = Vec::new();
    for (name, value) in jws.claims.iter().filter(|(name, _)| !OWN.contains(&name.as_str())) {
        if matches!(name.as_str(), "request" | "request_uri") {
            return Err(bad("has a request or request_uri in it"));
        }
        match value {
            Value::Null => {}
            Value::Array(list) if name == "resource" => {
                pairs.extend(list.iter().map(|item| (name.clone(), text(item))));
            }
            other => pairs.push((name.clone(), text(other))),
        }
    }
    if pairs.iter().any(|(name, value)| name.contains('\0') || value.contains('\0')) {
        return Err(bad("has a NUL in it"));
    }
    for name in ["client_id", "response_type"] {
        let inside = pairs.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
        let outside = beside.get(name);
        if inside.is_some() && outside.is_some() && inside != outside {
            return Err(bad(&format!("has another {name} than the request around it")));
        }
    }
    let inside: Vec<String> = pairs.iter().map(|(name, _)| name.clone()).collect();
    let kept = beside.pairs().iter().filter(|(name, _)| {
        name != "request" && !inside.contains(name) && (!alone || name == "client_id")
    });
    pairs.extend(kept.cloned());
    Ok(Parameters::new(pairs))
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        // A number, a truth value, or the JSON of `claims`.
        other => other.to_string(),
    }
}

/// Whether an object that was verified is of this client, for this server, and for now.
///
/// # Errors
/// `invalid_request_object`.
pub fn judge(client: &Client, jws: &Jws<'_>, issuer: &str, now: Timestamp) -> Result<(), Bad> {
    let id = client.id.as_str();
    if jws.text("iss") != Some(id) {
        return Err(bad("needs an iss that is the client_id"));
    }
    if jws.text("sub") == Some(id) {
        return Err(bad("may not have the client_id as its sub"));
    }
    let for_us = match jws.claims.get("aud") {
        Some(Value::String(aud)) => aud == issuer,
        Some(Value::Array(list)) => list.iter().any(|aud| aud.as_str() == Some(issuer)),
        _ => false,
    };
    if !for_us {
        return Err(bad(&format!("needs the aud {issuer}")));
    }
    client_assertion::times(jws, now).map_err(bad)?;
    Ok(())
}
