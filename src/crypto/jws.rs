//! Signed JWTs from clients (RFC 7515, compact): taken apart without believing anything, then
//! verified by the client's keys or its secret.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm as JwtAlgorithm, DecodingKey};
use serde_json::{Map, Value};

use super::signing::jwt;
use crate::domain::algorithm::Algorithm;
use crate::domain::client_keys::{Material, PublicKey};
use crate::domain::secret::PlainSecret;

/// The longest that is read, in bytes.
const LONGEST: usize = 16 * 1024;

/// A signed JWT, not verified yet.
#[derive(Clone, Debug)]
pub struct Jws<'a> {
    /// The header's `alg`.
    pub algorithm: String,
    /// The header's `kid`.
    pub kid: Option<String>,
    /// The header's `typ`, in lower case, without `application/`.
    pub kind: Option<String>,
    /// The claims. Nobody said so yet.
    pub claims: Map<String, Value>,
    signed: &'a str,
    signature: &'a str,
}

/// What came of a verification by keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// One of the keys signed it.
    Good,
    /// The key that it names, or any that it could mean, didn't.
    Bad,
    /// None of the keys is the one that it names, or for its algorithm.
    NoKey,
}

/// A claim that should be a time and isn't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotATime;

impl<'a> Jws<'a> {
    /// Takes it apart.
    ///
    /// # Errors
    /// What it isn't, to follow "it".
    pub fn parse(text: &'a str) -> Result<Self, &'static str> {
        if text.len() > LONGEST {
            return Err("is longer than 16384 bytes");
        }
        let (signed, signature) = text.rsplit_once('.').ok_or("isn't a signed JWT")?;
        let (header, claims) = signed.split_once('.').ok_or("isn't a signed JWT")?;
        let object = |part: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
            match serde_json::from_slice(&bytes).ok()? {
                Value::Object(object) => Some(object),
                _ => None,
            }
        };
        let header = object(header).ok_or("has a header that isn't a JSON object in base64url")?;
        let claims = object(claims).ok_or("has claims that aren't a JSON object in base64url")?;
        let text_of = |name: &str| header.get(name).and_then(Value::as_str);
        if header.contains_key("crit") || header.contains_key("b64") {
            return Err("has a header with critical extensions, which aren't known here");
        }
        Ok(Self {
            algorithm: text_of("alg").ok_or("has no alg in its header")?.to_owned(),
            kid: text_of("kid").map(str::to_owned),
            kind: text_of("typ").map(|kind| {
                let kind = kind.to_ascii_lowercase();
                kind.strip_prefix("application/").map(str::to_owned).unwrap_or(kind)
            }),
            claims,
            signed,
            signature,
        })
    }

    /// A claim that is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }

    /// A claim that is a time, in whole seconds since 1970.
    ///
    /// # Errors
    /// When it is something else.
    pub fn seconds(&self, name: &str) -> Result<Option<i64>, NotATime> {
        match self.claims.get(name) {
            None => Ok(None),
            #[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
            Some(value) => value
                .as_i64()
                .or_else(|| value.as_f64().map(|seconds| seconds as i64))
                .map(Some)
                .ok_or(NotATime),
        }
    }

    /// Whether one of these keys could have signed it: the one that it names.
    pub fn means_one_of(&self, keys: &[PublicKey], algorithm: Algorithm) -> bool {
        keys.iter().any(|key| self.means(key, algorithm))
    }

    fn means(&self, key: &PublicKey, algorithm: Algorithm) -> bool {
        key.fits(algorithm) && (self.kid.is_none() || self.kid == key.kid || key.kid.is_none())
    }

    /// Verifies it by a client's keys.
    pub fn verify(&self, keys: &[PublicKey], algorithm: Algorithm) -> Verdict {
        let mut verdict = Verdict::NoKey;
        for key in keys.iter().filter(|key| self.means(key, algorithm)) {
            verdict = Verdict::Bad;
            if decoding(key).is_some_and(|key| self.is_signed_by(&key, jwt(algorithm))) {
                return Verdict::Good;
            }
        }
        verdict
    }

    /// Verifies it by a client's secret, with HS256, HS384 or HS512 alone.
    pub fn verify_by_secret(&self, secret: &PlainSecret) -> bool {
        let algorithm = match self.algorithm.as_str() {
            "HS256" => JwtAlgorithm::HS256,
            "HS384" => JwtAlgorithm::HS384,
            "HS512" => JwtAlgorithm::HS512,
            _ => return false,
        };
        self.is_signed_by(&DecodingKey::from_secret(secret.reveal().as_bytes()), algorithm)
    }

    fn is_signed_by(&self, key: &DecodingKey, algorithm: JwtAlgorithm) -> bool {
        let message = self.signed.as_bytes();
        jsonwebtoken::crypto::verify(self.signature, message, key, algorithm).unwrap_or(false)
    }
}

fn decoding(key: &PublicKey) -> Option<DecodingKey> {
    match &key.material {
        Material::Rsa { n, e } => DecodingKey::from_rsa_components(n, e),
        Material::P256 { x, y } => DecodingKey::from_ec_components(x, y),
        Material::Ed25519 { x } => DecodingKey::from_ed_components(x),
    }
    .ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::crypto::signing::{SigningKey, generate};
    use crate::domain::client_keys;

    fn pair(algorithm: Algorithm) -> (SigningKey, Vec<PublicKey>) {
        let key = SigningKey::from_private(algorithm, &generate(algorithm).unwrap()).unwrap();
        let keys = client_keys::parse(&json!({"keys": [key.public]})).unwrap();
        (key, keys)
    }

    #[test]
    fn what_a_key_signed_is_good_by_that_key_alone() {
        for (algorithm, name) in Algorithm::ALL {
            let ((key, keys), (_, others)) = (pair(algorithm), pair(algorithm));
            let token = key.sign("jwt", &json!({"iss": "app", "exp": 5.9})).unwrap();
            let jws = Jws::parse(&token).unwrap();
            assert_eq!(jws.algorithm, name);
            assert_eq!(jws.kid.as_deref(), Some(key.kid.as_str()));
            assert_eq!((jws.text("iss"), jws.seconds("exp")), (Some("app"), Ok(Some(5))));
            assert_eq!(jws.verify(&keys, algorithm), Verdict::Good, "{name}");
            assert_eq!(jws.verify(&others, algorithm), Verdict::NoKey, "{name}: another kid");
            let nameless = others.into_iter().map(|key| PublicKey { kid: None, ..key });
            assert_eq!(jws.verify(&nameless.collect::<Vec<_>>(), algorithm), Verdict::Bad);

            let (signed, signature) = token.rsplit_once('.').unwrap();
            let (header, _) = signed.split_once('.').unwrap();
            let other = URL_SAFE_NO_PAD.encode("{\"iss\":\"other\"}");
            let forged = format!("{header}.{other}.{signature}");
            let forged = Jws::parse(&forged).unwrap();
            assert_eq!(forged.verify(&keys, algorithm), Verdict::Bad, "{name}");
        }
    }

    #[test]
    fn a_public_key_is_no_secret() {
        let (key, _) = pair(Algorithm::Es256);
        let public = PlainSecret::new(key.public.to_string());
        let token = key.sign("jwt", &json!({})).unwrap();
        assert!(!Jws::parse(&token).unwrap().verify_by_secret(&public), "the algorithm isn't HS");
    }

    #[test]
    fn what_is_no_signed_jwt_is_said() {
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let whole = |header: Value, claims: Value| format!("{}.{}.", part(header), part(claims));
        for (text, why) in [
            (String::new(), "isn't a signed JWT"),
            ("a.b".to_owned(), "isn't a signed JWT"),
            ("a.b.c.d.e".to_owned(), "header"),
            (whole(json!([]), json!({})), "header"),
            (whole(json!({"alg": "RS256"}), json!("x")), "claims"),
            (whole(json!({}), json!({})), "no alg"),
            (whole(json!({"alg": "RS256", "crit": ["exp"]}), json!({})), "critical"),
            ("a".repeat(20_000), "longer"),
        ] {
            let error = Jws::parse(&text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert_eq!(
            Jws::parse(&whole(json!({"alg": "none"}), json!({"exp": "x"}))).unwrap().seconds("exp"),
            Err(NotATime)
        );
    }
}
