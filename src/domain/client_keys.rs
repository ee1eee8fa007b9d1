//! A client's public keys (RFC 7517): what may stand in a set, and which of them count.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::algorithm::Algorithm;
use super::client::{AuthMethod, ClientMetadata};

/// The most keys of a set.
const MOST: usize = 20;

/// The longest set, in bytes.
const LONGEST: usize = 20_000;

/// The shortest RSA modulus in bits, and the longest that is verified with.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;

/// Members that only a private or secret key has.
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// What `client_secret_jwt` signs with.
pub const BY_SECRET: [&str; 3] = ["HS256", "HS384", "HS512"];

/// A key that a client signs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Its id.
    pub kid: Option<String>,
    /// The one algorithm that it is for, where it says so.
    pub algorithm: Option<Algorithm>,
    /// The key itself; each part in base64url.
    pub material: Material,
}

/// The parts of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Material {
    Rsa { n: String, e: String },
    P256 { x: String, y: String },
    Ed25519 { x: String },
}

impl PublicKey {
    /// Whether a signature of this algorithm may be this key's.
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        let kind = match self.material {
            Material::Rsa { .. } => matches!(algorithm, Algorithm::Rs256 | Algorithm::Ps256),
            Material::P256 { .. } => algorithm == Algorithm::Es256,
            Material::Ed25519 { .. } => algorithm == Algorithm::EdDsa,
        };
        kind && self.algorithm.is_none_or(|own| own == algorithm)
    }
}

/// The algorithm with this name; RFC 9864's name for EdDSA with Ed25519 is one more.
pub fn algorithm(name: &str) -> Option<Algorithm> {
    if name == "Ed25519" { Some(Algorithm::EdDsa) } else { Algorithm::from_name(name) }
}

/// The keys of a set that signatures can be checked with. Others in it, for encryption or of
/// kinds that aren't known here, are passed over (RFC 7517 section 5).
///
/// # Errors
/// A sentence that says what is wrong.
pub fn parse(set: &Value) -> Result<Vec<PublicKey>, String> {
    let keys = set
        .get("keys")
        .and_then(Value::as_array)
        .ok_or("A key set is a JSON object with a list “keys” (RFC 7517).")?;
    if keys.is_empty() || keys.len() > MOST {
        return Err(format!("A key set has 1 to {MOST} keys."));
    }
    if set.to_string().len() > LONGEST {
        return Err(format!("A key set has {LONGEST} bytes at most."));
    }
    let mut found: Vec<PublicKey> = Vec::new();
    for key in keys {
        if PRIVATE.iter().any(|part| key.get(part).is_some()) {
            return Err("A key has private parts, which nobody else may know: make a new pair, \
                        and give its public half."
                .to_owned());
        }
        let Some(key) = one(key)? else { continue };
        if key.kid.is_some() && found.iter().any(|other| other.kid == key.kid) {
            return Err("Two keys have the same kid.".to_owned());
        }
        found.push(key);
    }
    if found.is_empty() {
        return Err(
            "None of the keys is one for signatures by RS256, PS256, ES256 or EdDSA.".to_owned()
        );
    }
    if found.len() > 1 && found.iter().any(|key| key.kid.is_none()) {
        return Err("Where there are several keys, each needs a kid.".to_owned());
    }
    Ok(found)
}

fn one(key: &Value) -> Result<Option<PublicKey>, String> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    let verifies = key.get("key_ops").and_then(Value::as_array).is_none_or(|operations| {
        operations.iter().any(|operation| operation.as_str() == Some("verify"))
    });
    if text("use").is_some_and(|purpose| purpose != "sig") || !verifies {
        return Ok(None);
    }
    let named = text("alg").map(algorithm);
    if named == Some(None) {
        return Ok(None);
    }
    let part = |name: &str| {
        let value = text(name).ok_or_else(|| format!("A key lacks its “{name}”."))?;
        let bytes = URL_SAFE_NO_PAD
            .decode(value)
            .map_err(|_| format!("A key's “{name}” isn't base64url without padding."))?;
        Ok::<_, String>((value.to_owned(), bytes))
    };
    let of_32 = |name: &str| match part(name)? {
        (value, bytes) if bytes.len() == 32 => Ok(value),
        _ => Err(format!("A key's “{name}” hasn't the 32 bytes that its curve needs.")),
    };
    let material = match (text("kty"), text("crv")) {
        (Some("RSA"), _) => {
            let ((n, modulus), (e, _)) = (part("n")?, part("e")?);
            if !RSA_BITS.contains(&bits(&modulus)) {
                return Err(format!(
                    "An RSA key has {} bits; it needs {} to {}.",
                    bits(&modulus),
                    RSA_BITS.start(),
                    RSA_BITS.end()
                ));
            }
            Material::Rsa { n, e }
        }
        (Some("EC"), Some("P-256")) => Material::P256 { x: of_32("x")?, y: of_32("y")? },
        (Some("OKP"), Some("Ed25519")) => Material::Ed25519 { x: of_32("x")? },
        (Some(_), _) => return Ok(None),
        (None, _) => return Err("A key lacks its “kty”.".to_owned()),
    };
    let kid = text("kid").map(str::to_owned);
    Ok(Some(PublicKey { kid, algorithm: named.flatten(), material }))
}

fn bits(modulus: &[u8]) -> usize {
    let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    let first = modulus.get(zeros).map_or(8, |byte| byte.leading_zeros() as usize);
    ((modulus.len() - zeros) * 8).saturating_sub(first)
}

/// What is wrong with a client's keys and with how it signs, each fault under the name of its
/// member.
pub fn faults(client: &ClientMetadata) -> Vec<(&'static str, String)> {
    let details = &client.details;
    let mut faults = Vec::new();
    let keys = details.jwks.as_ref().map(parse);
    if let Some(Err(fault)) = &keys {
        faults.push(("jwks", fault.clone()));
    }
    let method = client.auth_method;
    if method == AuthMethod::PrivateKeyJwt && details.jwks.is_none() && details.jwks_uri.is_none() {
        faults.push((
            "jwks",
            "With private_key_jwt the app needs its public keys (jwks), or their address \
             (jwks_uri)."
                .to_owned(),
        ));
    }
    let Some(name) = details.token_endpoint_auth_signing_alg.as_deref() else { return faults };
    let wrong = match method {
        AuthMethod::PrivateKeyJwt => match (algorithm(name), &keys) {
            (None, _) => Some("With private_key_jwt, choose ES256, EdDSA, RS256 or PS256."),
            (Some(chosen), Some(Ok(keys))) if !keys.iter().any(|key| key.fits(chosen)) => {
                Some("None of the keys is for this algorithm.")
            }
            _ => None,
        },
        AuthMethod::ClientSecretJwt if !BY_SECRET.contains(&name) => {
            Some("With client_secret_jwt, choose HS256, HS384 or HS512.")
        }
        _ if algorithm(name).is_none() && !BY_SECRET.contains(&name) => {
            Some("Choose ES256, EdDSA, RS256, PS256, HS256, HS384 or HS512.")
        }
        _ => None,
    };
    if let Some(wrong) = wrong {
        faults.push(("token_endpoint_auth_signing_alg", wrong.to_owned()));
    }
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::client_details::ClientDetails;
    use crate::domain::scope::Scope;

    fn rsa(bytes: usize) -> Value {
        json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(vec![0xc5; bytes]), "e": "AQAB"})
    }

    fn p256() -> Value {
        let part = URL_SAFE_NO_PAD.encode([7; 32]);
        json!({"kty": "EC", "crv": "P-256", "x": part, "y": part})
    }

    fn with(mut key: Value, name: &str, value: &str) -> Value {
        key[name] = value.into();
        key
    }

    fn fault(keys: Value) -> String {
        parse(&json!({ "keys": keys })).unwrap_err()
    }

    #[test]
    fn keys_for_signatures_count_and_others_are_passed_over() {
        let set = json!({"keys": [
            with(rsa(256), "kid", "a"),
            with(with(p256(), "kid", "b"), "alg", "ES256"),
            with(with(p256(), "kid", "c"), "use", "enc"),
            with(with(rsa(256), "kid", "d"), "alg", "RSA-OAEP-256"),
            {"kty": "EC", "crv": "P-521", "kid": "e"},
            {"kty": "EC", "crv": "P-256", "kid": "f", "key_ops": ["deriveKey"]},
        ]});
        let keys = parse(&set).unwrap();
        let kids: Vec<_> = keys.iter().filter_map(|key| key.kid.as_deref()).collect();
        assert_eq!(kids, ["a", "b"]);
        assert!(keys[0].fits(Algorithm::Rs256) && keys[0].fits(Algorithm::Ps256));
        assert!(!keys[0].fits(Algorithm::Es256) && !keys[1].fits(Algorithm::Rs256));
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(parse(&json!([])).unwrap_err().contains("list “keys”"));
        assert!(fault(json!([])).contains("1 to 20"));
        assert!(fault(json!(vec![p256(); 21])).contains("1 to 20"));
        for part in PRIVATE {
            assert!(fault(json!([with(p256(), part, "AQAB")])).contains("private"), "{part}");
        }
        assert!(fault(json!([{"kty": "oct", "k": "AQAB"}])).contains("private"));
        assert!(fault(json!([rsa(128)])).contains("1024 bits; it needs 2048"));
        assert!(fault(json!([rsa(2048)])).contains("16384 bits"));
        assert!(fault(json!([with(p256(), "x", "AQAB")])).contains("32 bytes"));
        assert!(fault(json!([with(p256(), "x", "+/==")])).contains("base64url"));
        assert!(fault(json!([{"kty": "EC", "crv": "P-256"}])).contains("lacks its “x”"));
        assert!(fault(json!([{}])).contains("kty"));
        assert!(fault(json!([with(p256(), "use", "enc")])).contains("None of the keys"));
        assert!(fault(json!([p256(), rsa(256)])).contains("each needs a kid"));
        let twice = json!([with(p256(), "kid", "a"), with(rsa(256), "kid", "a")]);
        assert!(fault(twice).contains("same kid"));
    }

    #[test]
    fn a_method_has_what_it_signs_with() {
        let wrong = |method, details: Value| {
            let details: ClientDetails = serde_json::from_value(details).unwrap();
            let client =
                ClientMetadata { details, ..ClientMetadata::new("N", method, Scope::empty()) };
            faults(&client).into_iter().map(|(member, _)| member).collect::<Vec<_>>()
        };
        let by_key = AuthMethod::PrivateKeyJwt;
        assert_eq!(wrong(by_key, json!({})), ["jwks"]);
        assert!(wrong(by_key, json!({"jwks_uri": "https://app.example/k"})).is_empty());
        let set = json!({"keys": [p256()]});
        assert!(wrong(by_key, json!({"jwks": set})).is_empty());
        let member = "token_endpoint_auth_signing_alg";
        for name in ["HS256", "none", "RS256"] {
            assert_eq!(wrong(by_key, json!({"jwks": set, member: name})), [member], "{name}");
        }
        let by_secret = AuthMethod::ClientSecretJwt;
        assert!(wrong(by_secret, json!({member: "HS512"})).is_empty());
        assert_eq!(wrong(by_secret, json!({member: "ES256"})), [member]);
    }
}
