//! Signing keys and JWTs (RFC 7515 to 7519), by jsonwebtoken over aws-lc-rs.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaEncoding,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm as JwtAlgorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Serialize;
use zeroize::Zeroizing;

pub use crate::domain::algorithm::Algorithm;

pub(super) fn jwt(algorithm: Algorithm) -> JwtAlgorithm {
    match algorithm {
        Algorithm::Es256 => JwtAlgorithm::ES256,
        Algorithm::EdDsa => JwtAlgorithm::EdDSA,
        Algorithm::Rs256 => JwtAlgorithm::RS256,
        Algorithm::Ps256 => JwtAlgorithm::PS256,
    }
}

/// Why a key couldn't be made or used.
#[derive(Debug, thiserror::Error)]
#[error("{algorithm} signing key: {cause}", algorithm = .algorithm.name())]
pub struct SigningError {
    algorithm: Algorithm,
    cause: String,
}

/// A key that signs, with what others need to verify.
pub struct SigningKey {
    /// Its id: the RFC 7638 thumbprint of the public half.
    pub kid: String,
    /// How it signs.
    pub algorithm: Algorithm,
    /// The public half, as the key set shows it.
    pub public: serde_json::Value,
    pair: Pair,
    decoding: DecodingKey,
}

/// A private key, parsed and checked once: jsonwebtoken would do that for each signature, at
/// more than the price of the signature itself.
enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
}

impl Pair {
    fn from_pkcs8(algorithm: Algorithm, private: &[u8]) -> Result<Self, KeyRejected> {
        Ok(match algorithm {
            Algorithm::Es256 => {
                Self::Ecdsa(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private)?)
            }
            Algorithm::EdDsa => Self::Ed25519(Ed25519KeyPair::from_pkcs8(private)?),
            Algorithm::Rs256 => Self::Rsa(RsaKeyPair::from_pkcs8(private)?, &RSA_PKCS1_SHA256),
            Algorithm::Ps256 => Self::Rsa(RsaKeyPair::from_pkcs8(private)?, &RSA_PSS_SHA256),
        })
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let random = SystemRandom::new();
        match self {
            Self::Ecdsa(pair) => Ok(pair.sign(&random, message)?.as_ref().to_vec()),
            Self::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Self::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, message, &mut signature)?;
                Ok(signature)
            }
        }
    }
}

/// The private half in PKCS #8, to be sealed and stored.
pub type PrivateKey = Zeroizing<Vec<u8>>;

/// Makes a private key.
///
/// # Errors
/// When the library refuses, which it has no reason to.
pub fn generate(algorithm: Algorithm) -> Result<PrivateKey, SigningError> {
    let failed = |cause: &str| SigningError { algorithm, cause: cause.to_owned() };
    let bytes = match algorithm {
        Algorithm::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .and_then(|pair| pair.to_pkcs8v1().map(|document| document.as_ref().to_vec()))
            .map_err(|_| failed("the library couldn't make one"))?,
        Algorithm::EdDsa => {
            let random = aws_lc_rs::rand::SystemRandom::new();
            Ed25519KeyPair::generate_pkcs8v1(&random)
                .map(|document| document.as_ref().to_vec())
                .map_err(|_| failed("the library couldn't make one"))?
        }
        Algorithm::Rs256 | Algorithm::Ps256 => RsaKeyPair::generate(KeySize::Rsa2048)
            .and_then(|pair| pair.as_der())
            .map(|document| document.as_ref().to_vec())
            .map_err(|_| failed("the library couldn't make one"))?,
    };
    Ok(Zeroizing::new(bytes))
}

impl SigningKey {
    /// Reads a private key that [`generate`] made.
    ///
    /// # Errors
    /// When it isn't one.
    pub fn from_private(algorithm: Algorithm, private: &PrivateKey) -> Result<Self, SigningError> {
        let failed = |cause: String| SigningError { algorithm, cause };
        let encoding = match algorithm {
            Algorithm::Es256 => EncodingKey::from_ec_der(private),
            Algorithm::EdDsa => EncodingKey::from_ed_der(private),
            Algorithm::Rs256 | Algorithm::Ps256 => {
                // jsonwebtoken reads PKCS #8 of RSA as PEM alone.
                let pem = Zeroizing::new(format!(
                    "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
                    STANDARD.encode(private)
                ));
                EncodingKey::from_rsa_pem(pem.as_bytes()).map_err(|e| failed(e.to_string()))?
            }
        };
        let mut jwk =
            Jwk::from_encoding_key(&encoding, jwt(algorithm)).map_err(|e| failed(e.to_string()))?;
        let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|e| failed(e.to_string()))?;
        jwk.common.key_id = Some(kid.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let decoding = DecodingKey::from_jwk(&jwk).map_err(|e| failed(e.to_string()))?;
        let public = serde_json::to_value(&jwk).map_err(|e| failed(e.to_string()))?;
        let pair = Pair::from_pkcs8(algorithm, private).map_err(|e| failed(e.to_string()))?;
        Ok(Self { kid, algorithm, public, pair, decoding })
    }

    /// Signs claims; `kind` is the header's `typ`, such as `at+jwt`.
    ///
    /// # Errors
    /// When the claims can't be written as JSON.
    pub fn sign(&self, kind: &str, claims: &impl Serialize) -> Result<String, SigningError> {
        let failed = |cause: String| SigningError { algorithm: self.algorithm, cause };
        let mut header = Header::new(jwt(self.algorithm));
        header.typ = Some(kind.to_owned());
        header.kid = Some(self.kid.clone());
        let header = serde_json::to_vec(&header).map_err(|e| failed(e.to_string()))?;
        let claims = serde_json::to_vec(claims).map_err(|e| failed(e.to_string()))?;
        // The compact serialization of RFC 7515 section 7.1.
        let mut text = URL_SAFE_NO_PAD.encode(header);
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut text);
        let signature = self
            .pair
            .sign(text.as_bytes())
            .map_err(|_| failed("the library couldn't sign".to_owned()))?;
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut text);
        Ok(text)
    }

    /// The claims of a token that this key signed with this `typ`; `None` otherwise. Times
    /// aren't checked here, since they are the caller's clock's to judge.
    pub fn verify(&self, kind: &str, token: &str) -> Option<serde_json::Value> {
        let mut validation = Validation::new(jwt(self.algorithm));
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let data =
            jsonwebtoken::decode::<serde_json::Value>(token, &self.decoding, &validation).ok()?;
        (data.header.typ.as_deref() == Some(kind)).then_some(data.claims)
    }
}

/// The key that a JWT's header names.
pub fn kid(token: &str) -> Option<String> {
    jsonwebtoken::decode_header(token).ok()?.kid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_signs_what_its_public_half_verifies() {
        for (algorithm, name) in Algorithm::ALL {
            let private = generate(algorithm).unwrap();
            let key = SigningKey::from_private(algorithm, &private).unwrap();
            let claims = serde_json::json!({"sub": "ada", "exp": 1});
            let token = key.sign("at+jwt", &claims).unwrap();
            assert_eq!(key.verify("at+jwt", &token), Some(claims), "{name}");
            assert_eq!(key.verify("jwt", &token), None, "{name}: another kind of token");
            let again = SigningKey::from_private(algorithm, &private).unwrap();
            assert_eq!(again.kid, key.kid, "{name}: the id is the key's own");
            let public = key.public.to_string();
            assert!(!public.contains("\"d\""), "{name}: no private part in {public}");
            assert_eq!(key.public["alg"], name);
            assert_eq!(key.public["use"], "sig");
        }
    }
}
