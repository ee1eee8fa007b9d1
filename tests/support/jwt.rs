//! JWTs as any client verifies them: by the published keys and nothing else.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::Value;
use sha2::{Digest, Sha256, Sha512};

use super::http::Http;
use super::oauth::jwt_part;

/// The key set, as it is published now.
pub async fn key_set(http: &Http) -> JwkSet {
    serde_json::from_value(http.get("/oauth/jwks.json").await.expect(200).json()).unwrap()
}

/// The ids in the key set.
pub async fn kids(http: &Http) -> Vec<String> {
    let set = key_set(http).await;
    set.keys.into_iter().map(|key| key.common.key_id.unwrap()).collect()
}

/// The claims of a token that a key of this set signed, for this audience. Its times are by the
/// test's clock, and not looked at.
#[track_caller]
pub fn verified(set: &JwkSet, token: &str, issuer: &str, audience: &str) -> Value {
    verify(set, token, issuer, audience).unwrap_or_else(|error| panic!("{error}: {token}"))
}

/// The same, or why not.
pub fn verify(
    set: &JwkSet,
    token: &str,
    issuer: &str,
    audience: &str,
) -> Result<Value, jsonwebtoken::errors::Error> {
    let header = jsonwebtoken::decode_header(token)?;
    let kid = header.kid.expect("a kid");
    let key = set.find(&kid).ok_or(jsonwebtoken::errors::ErrorKind::InvalidKeyFormat)?;
    let named = serde_json::to_value(key.common.key_algorithm).unwrap();
    assert_eq!(jwt_part(token, 0)["alg"], named, "the key is for this algorithm");
    let mut validation = Validation::new(header.alg);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.validate_exp = false;
    let key = DecodingKey::from_jwk(key)?;
    Ok(jsonwebtoken::decode::<Value>(token, &key, &validation)?.claims)
}

/// What `at_hash` has to be (OpenID Connect Core section 3.1.3.6).
pub fn at_hash(algorithm: &str, access_token: &str) -> String {
    let hash = match algorithm {
        "EdDSA" => Sha512::digest(access_token).to_vec(),
        _ => Sha256::digest(access_token).to_vec(),
    };
    URL_SAFE_NO_PAD.encode(&hash[..hash.len() / 2])
}
