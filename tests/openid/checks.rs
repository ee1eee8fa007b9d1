//! What is checked of every sign-in, whatever the module is about.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, JwkSet};
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::Value;
use sha2::{Digest, Sha256, Sha512};

use super::suite::parameter;
use crate::support::http::Answer;
use crate::support::local::LocalServer;
use crate::support::oauth::{App, Request, jwt_part};

/// RFC 6749 section 5.1 and OpenID Connect Core section 3.1.3.3.
#[track_caller]
pub fn token_answer(answer: Answer) -> Value {
    let answer = answer.expect(200);
    assert!(answer.header("content-type").starts_with("application/json"));
    assert!(answer.header("cache-control").contains("no-store"));
    let json = answer.json();
    assert!(json["access_token"].is_string() && json["token_type"] == "Bearer", "{json}");
    if let Some(seconds) = json.get("expires_in") {
        assert!(seconds.as_i64().is_some_and(|seconds| seconds > 0), "{json}");
    }
    if let Some(token) = json["refresh_token"].as_str() {
        assert!(token.len() >= 16 && token.bytes().all(|b| (0x20..=0x7e).contains(&b)));
    }
    json
}

/// An ID token whose signature, key and claims are right; its claims.
#[track_caller]
pub fn id_token(
    jwks: &Value,
    token: &str,
    server: &LocalServer,
    app: &App,
    request: &Request,
    answer: &Value,
) -> Value {
    let claims = signed(jwks, token);
    assert_eq!(claims["iss"], server.issuer);
    match &claims["aud"] {
        Value::String(only) => assert_eq!(*only, app.id),
        several => assert!(several.as_array().unwrap().iter().any(|one| *one == app.id)),
    }
    let now = server.now().as_seconds();
    let seconds = |name: &str| claims[name].as_i64().unwrap_or_else(|| panic!("{name}: {claims}"));
    assert!(seconds("exp") > now && seconds("exp") < now + 50 * 365 * 86_400, "{claims}");
    assert!((now - seconds("iat")).abs() <= 300, "{claims}");
    assert!(seconds("auth_time") <= now && seconds("auth_time") > now - 86_400, "{claims}");
    let subject = claims["sub"].as_str().unwrap();
    assert!(!subject.is_empty() && subject.len() <= 255 && subject.is_ascii());
    let nonce = claims.get("nonce").and_then(Value::as_str);
    assert_eq!(nonce, parameter(request, "nonce"), "the nonce exactly, or none");
    if let Some(acr) = claims.get("acr") {
        assert!(acr.as_str().is_some_and(|acr| !acr.is_empty()), "{claims}");
    }
    if let Some(azp) = claims.get("azp") {
        assert_eq!(*azp, app.id);
    }
    if let Some(half) = claims.get("at_hash") {
        let access = answer["access_token"].as_str().unwrap();
        // By the hash of the signature's algorithm: Ed25519's is SHA-512.
        let hash = match jwt_part(token, 0)["alg"].as_str() {
            Some("EdDSA") => Sha512::digest(access).to_vec(),
            _ => Sha256::digest(access).to_vec(),
        };
        assert_eq!(*half, URL_SAFE_NO_PAD.encode(&hash[..hash.len() / 2]), "at_hash");
    }
    assert!(claims.get("c_hash").is_none(), "no code came beside it");
    standard_claims(&claims);
    claims
}

/// The claims of a JWT that one of these keys signed.
#[track_caller]
pub fn signed(jwks: &Value, token: &str) -> Value {
    let header = jwt_part(token, 0);
    let kid = header["kid"].as_str().unwrap_or_else(|| panic!("no kid: {header}"));
    let set: JwkSet = serde_json::from_value(jwks.clone()).unwrap();
    let key = set.find(kid).unwrap_or_else(|| panic!("no key {kid} in {jwks}"));
    let algorithm = header["alg"].as_str().unwrap().parse().unwrap();
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let decoding = DecodingKey::from_jwk(key).unwrap();
    jsonwebtoken::decode::<Value>(token, &decoding, &validation).unwrap().claims
}

/// RFC 7517: unique ids, public halves alone, long enough.
#[track_caller]
pub fn jwks(jwks: &Value) {
    let keys = jwks["keys"].as_array().unwrap();
    assert!(!keys.is_empty());
    let mut ids = BTreeSet::new();
    for key in keys {
        let kid = key["kid"].as_str().unwrap();
        assert!(ids.insert(kid), "{kid} stands twice");
        for private in ["d", "p", "q", "dp", "dq", "qi", "k", "oth"] {
            assert!(key.get(private).is_none(), "{private} of {kid}");
        }
        assert_eq!(key["use"], "sig");
        assert!(key["alg"].is_string());
    }
    let set: JwkSet = serde_json::from_value(jwks.clone()).unwrap();
    for key in &set.keys {
        if let AlgorithmParameters::RSA(rsa) = &key.algorithm {
            let modulus = URL_SAFE_NO_PAD.decode(&rsa.n).unwrap();
            assert!(modulus.len() * 8 >= 2048);
        }
    }
}

/// OpenID Connect Core section 5.1: each standard claim that is there has its type, and none is
/// empty.
#[track_caller]
pub fn standard_claims(claims: &Value) {
    for (name, value) in claims.as_object().unwrap() {
        let right = match name.as_str() {
            "email_verified" | "phone_number_verified" => value.is_boolean(),
            "updated_at" => value.as_i64().is_some_and(|at| at > 0 && at < 10_000_000_000),
            "address" => value.as_object().is_some_and(|address| {
                !address.is_empty() && address.values().all(Value::is_string)
            }),
            "sub" | "name" | "given_name" | "family_name" | "middle_name" | "nickname"
            | "preferred_username" | "profile" | "picture" | "website" | "email" | "gender"
            | "birthdate" | "zoneinfo" | "locale" | "phone_number" => {
                value.as_str().is_some_and(|text| !text.is_empty())
            }
            _ => !value.is_null(),
        };
        assert!(right, "{name} is {value}");
    }
}

/// RFC 6749 section 4.1.2.1: nothing beside what the standard names.
#[track_caller]
pub fn error_callback(parameters: &BTreeMap<String, String>) {
    for name in parameters.keys() {
        let known = ["error", "error_description", "error_uri", "state", "iss"];
        assert!(known.contains(&name.as_str()), "{name} in {parameters:?}");
    }
    parameters.get("error_description").into_iter().for_each(|text| description(text));
}

/// An error as JSON.
#[track_caller]
pub fn error_answer(answer: Answer, errors: &[&str]) {
    let json = answer.json();
    let error = json["error"].as_str().unwrap_or_else(|| panic!("no error: {json}"));
    assert!(errors.contains(&error), "{json}");
    let status = answer.status.as_u16();
    assert!(status == 400 || status == 401 && error == "invalid_client", "{status}: {json}");
    assert!(answer.header("content-type").starts_with("application/json"));
    json["error_description"].as_str().into_iter().for_each(description);
}

#[track_caller]
fn description(text: &str) {
    let good = |b: u8| (0x20..=0x7e).contains(&b) && b != b'"' && b != b'\\';
    assert!(text.bytes().all(good), "{text}");
}

/// Shannon's entropy times the length, as the suite measures it: over 96 bits, and over the 128
/// that others ask for.
#[track_caller]
pub fn entropy(what: &str, secret: &str) {
    let mut counts = BTreeMap::new();
    secret.bytes().for_each(|byte| *counts.entry(byte).or_insert(0_u32) += 1);
    let length = secret.len() as f64;
    let bits: f64 = counts
        .values()
        .map(|count| {
            let share = f64::from(*count) / length;
            -share * share.log2()
        })
        .sum::<f64>()
        * length;
    assert!(bits > 128.0, "{what} has {bits} bits");
}
