//! ID tokens (OpenID Connect Core section 2): made at the exchange of a code and at each
//! refresh, and read again as a hint.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256, Sha512};

use super::subject;
use crate::crypto::keyring::Keyring;
use crate::crypto::signing::Algorithm;
use crate::domain::access_token::AccessToken;
use crate::domain::authentication::{PASSWORD_ACR, PASSWORD_AMR};
use crate::domain::claims;
use crate::domain::client::{Client, ClientMetadata};
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::storage::families::Family;
use crate::storage::{Connection, Result, StorageError, clients, users};

/// The header's `typ`.
const KIND: &str = "JWT";

/// What an ID token is about.
pub struct IdToken<'a> {
    /// The issuer.
    pub issuer: &'a str,
    /// Whom it is for.
    pub client: &'a Client,
    /// The session that it belongs to.
    pub family: &'a Family,
    /// The access token that it goes with: both are issued and end at the same time, so that a
    /// retry tells the same again.
    pub access: &'a AccessToken,
    /// That one's text.
    pub access_text: &'a str,
    /// The nonce of the authorization request; none at a refresh (section 12.2).
    pub nonce: Option<&'a str>,
    /// The claims that were asked for one by one, from [`asked`].
    pub asked: &'a Map<String, Value>,
}

/// The claims. No `azp`: it is for a token whose audience is not the one client it was given to.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: String,
    aud: &'a str,
    exp: i64,
    iat: i64,
    auth_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    acr: &'static str,
    amr: [&'static str; 1],
    at_hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    #[serde(flatten)]
    asked: &'a Map<String, Value>,
}

/// How this client's ID tokens are signed.
pub fn algorithm(metadata: &ClientMetadata) -> Algorithm {
    metadata.details.id_token_signed_response_alg.unwrap_or(Algorithm::Rs256)
}

/// The token's text.
///
/// # Errors
/// When no key of the client's algorithm is there.
pub fn issue(keyring: &Keyring, token: &IdToken<'_>) -> Result<String> {
    let (client, family) = (token.client, token.family);
    let algorithm = algorithm(&client.metadata);
    let stored = keyring.stored();
    let signer = stored.signer(algorithm).ok_or_else(|| {
        StorageError::Unavailable(format!("there is no {} signing key yet", algorithm.name()))
    })?;
    let claims = Claims {
        iss: token.issuer,
        sub: subject::of(keyring, client, family.user_id),
        aud: client.id.as_str(),
        exp: token.access.expires_at.as_seconds(),
        iat: token.access.issued_at.as_seconds(),
        auth_time: family.auth_time.as_seconds(),
        nonce: token.nonce,
        acr: PASSWORD_ACR,
        amr: [PASSWORD_AMR],
        at_hash: at_hash(algorithm, token.access_text),
        sid: family.browser_session.map(|session| keyring.sid(session, &client.id)),
        asked: token.asked,
    };
    signer.sign(KIND, &claims).map_err(|error| StorageError::Corrupt(error.to_string()))
}

/// The left half of the access token's hash (section 3.1.3.6), by the hash of the signature's
/// algorithm: Ed25519's is SHA-512.
fn at_hash(algorithm: Algorithm, access_token: &str) -> String {
    let (short, long);
    let half = match algorithm {
        Algorithm::Es256 | Algorithm::Rs256 | Algorithm::Ps256 => {
            short = Sha256::digest(access_token);
            short.split_at(16).0
        }
        Algorithm::EdDsa => {
            long = Sha512::digest(access_token);
            long.split_at(32).0
        }
    };
    URL_SAFE_NO_PAD.encode(half)
}

/// The values of the claims that the session's authorization request asked for in the ID token,
/// as far as we have them (section 5.5). What the scope gives stands at the UserInfo endpoint
/// (section 5.4).
pub fn asked(connection: &mut Connection, family: &Family) -> Result<Map<String, Value>> {
    let Some(request) = family.claims.as_ref().filter(|claims| !claims.id_token.is_empty()) else {
        return Ok(Map::new());
    };
    let person = users::find(connection, family.user_id)?;
    let client = clients::find(connection, &family.client_id)?;
    let (Some(person), Some(client)) = (person, client) else { return Ok(Map::new()) };
    let (by_scope, allowed) = (Scope::empty(), &client.metadata.scope);
    Ok(claims::told(&person.account, &by_scope, &request.id_token, allowed))
}

/// What a genuine ID token of ours says to whoever gets it as a hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// Its `sub`.
    pub subject: String,
    /// The clients that it is for.
    pub audience: Vec<String>,
    /// Its `sid`.
    pub sid: Option<String>,
    /// When the person had signed in.
    pub auth_time: Option<Timestamp>,
}

/// Reads an `id_token_hint`: an ID token of this issuer, by a key that we have or had, however
/// long ago it ended. `None` for anything else.
pub fn read_hint(keyring: &Keyring, issuer: &str, text: &str) -> Option<Hint> {
    let claims = keyring.stored().verify(KIND, text)?;
    let text_of = |name: &str| claims.get(name).and_then(Value::as_str);
    // Other JWTs of ours may have the same `typ`; these two only ID tokens have.
    if text_of("iss") != Some(issuer) || claims.get("exp").is_none() || text_of("acr").is_none() {
        return None;
    }
    let audience = match claims.get("aud")? {
        Value::String(one) => vec![one.clone()],
        Value::Array(several) => {
            several.iter().map(|one| one.as_str().map(str::to_owned)).collect::<Option<_>>()?
        }
        _ => return None,
    };
    Some(Hint {
        subject: text_of("sub")?.to_owned(),
        audience,
        sid: text_of("sid").map(str::to_owned),
        auth_time: claims
            .get("auth_time")
            .and_then(Value::as_i64)
            .map(|seconds| Timestamp::from_millis(seconds.saturating_mul(1000))),
    })
}
