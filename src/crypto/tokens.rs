//! MACs of tokens, and keyed hashes of callers (HMAC-SHA-256).

use std::collections::BTreeMap;
use std::net::IpAddr;

use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::domain::access_token::{AccessToken, OPAQUE_PREFIX};
use crate::domain::caller::{self, CallerId};
use crate::domain::id::FamilyId;
use crate::domain::refresh_token::{self, Authenticity, Nonce, RefreshToken};
use crate::domain::time::Timestamp;
use crate::domain::token_family::{KeyId, Presented};

const OPAQUE_LABEL: &[u8] = b"perennial opaque access token";
const CALLER_LABEL: &[u8] = b"perennial caller";

/// The token secrets that this node knows, newest last.
#[derive(Clone)]
pub struct TokenKeys {
    keys: BTreeMap<KeyId, Key>,
    current: KeyId,
}

impl TokenKeys {
    /// From secrets with their ids; new tokens carry `current`. `None` without that one.
    pub fn new(
        secrets: impl IntoIterator<Item = (KeyId, Vec<u8>)>,
        current: KeyId,
    ) -> Option<Self> {
        let keys: BTreeMap<_, _> =
            secrets.into_iter().map(|(id, secret)| (id, Key::new(HMAC_SHA256, &secret))).collect();
        keys.contains_key(&current).then_some(Self { keys, current })
    }

    /// The key that new tokens carry.
    pub fn current(&self) -> KeyId {
        self.current
    }

    /// Makes a refresh token's text. `None` when the key isn't known here.
    pub fn refresh_token(
        &self,
        family: FamilyId,
        presented: Presented,
        nonce: &Nonce,
    ) -> Option<String> {
        let key = self.keys.get(&presented.key)?;
        let body = RefreshToken::body(family, presented);
        let tag = mac(key, refresh_token::LABEL, &[&body, nonce]);
        let tag = tag.as_ref().try_into().ok()?;
        Some(RefreshToken { family, presented, tag }.encode())
    }

    /// Makes an opaque access token's text.
    pub fn opaque(&self, token: &AccessToken) -> Option<String> {
        let key = self.keys.get(&self.current)?;
        let claims = serde_json::to_vec(&OpaqueClaims::from(token)).ok()?;
        let mut bytes = self.current.0.to_be_bytes().to_vec();
        bytes.extend(&claims);
        let tag = mac(key, OPAQUE_LABEL, &[&bytes]);
        bytes.extend(tag.as_ref());
        Some(format!("{OPAQUE_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Whether an opaque access token or a refresh token names a secret newer than all of these.
    pub fn may_lack_key_of(&self, text: &str) -> bool {
        let named = match RefreshToken::parse(text) {
            Some(token) => Some(token.presented.key),
            None => text
                .strip_prefix(OPAQUE_PREFIX)
                .and_then(|encoded| URL_SAFE_NO_PAD.decode(encoded).ok())
                .and_then(|bytes| bytes.first_chunk::<4>().copied())
                .map(|id| KeyId(u32::from_be_bytes(id))),
        };
        named.is_some_and(|key| !self.knows(key))
    }

    /// Reads an opaque access token; `None` unless this server made it.
    pub fn read_opaque(&self, text: &str) -> Option<AccessToken> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(OPAQUE_PREFIX)?).ok()?;
        let (signed, tag) = bytes.split_at_checked(bytes.len().checked_sub(32)?)?;
        let (key, claims) = signed.split_first_chunk::<4>()?;
        let key = self.keys.get(&KeyId(u32::from_be_bytes(*key)))?;
        verify(key, OPAQUE_LABEL, &[signed], tag).then_some(())?;
        serde_json::from_slice::<OpaqueClaims>(claims).ok()?.try_into().ok()
    }
}

impl Authenticity for TokenKeys {
    fn knows(&self, key: KeyId) -> bool {
        // Ids go up: one below the newest is of a secret that is gone, not of one to come.
        self.keys.last_key_value().is_some_and(|(newest, _)| key <= *newest)
    }

    fn proves(&self, token: &RefreshToken, nonce: &Nonce) -> bool {
        let body = RefreshToken::body(token.family, token.presented);
        self.keys
            .get(&token.presented.key)
            .is_some_and(|key| verify(key, refresh_token::LABEL, &[&body, nonce], &token.tag))
    }
}

/// Hashes callers under a key of their own, so that the database alone doesn't tell which
/// networks people use.
#[derive(Clone)]
pub struct CallerHasher(Key);

impl CallerHasher {
    /// With this key.
    pub fn new(secret: &[u8]) -> Self {
        Self(Key::new(HMAC_SHA256, secret))
    }

    /// The id of a caller.
    pub fn id(&self, ip: IpAddr, agent: &str) -> CallerId {
        let tag = mac(&self.0, CALLER_LABEL, &[&caller::network_prefix(ip), agent.as_bytes()]);
        let mut id = [0; 8];
        for (byte, hashed) in id.iter_mut().zip(tag.as_ref()) {
            *byte = *hashed;
        }
        CallerId::from_bytes(id)
    }

    /// A keyed hash of anything else that the database should not tell, under its own label.
    pub fn key(&self, label: &str, parts: &[&[u8]]) -> [u8; 32] {
        let tag = mac(&self.0, label.as_bytes(), parts);
        let mut key = [0; 32];
        for (byte, hashed) in key.iter_mut().zip(tag.as_ref()) {
            *byte = *hashed;
        }
        key
    }
}

/// A MAC over a label and parts, each led by its length, so that no two lists look alike.
fn mac(key: &Key, label: &[u8], parts: &[&[u8]]) -> hmac::Tag {
    hmac::sign(key, &framed(label, parts))
}

fn verify(key: &Key, label: &[u8], parts: &[&[u8]], tag: &[u8]) -> bool {
    hmac::verify(key, &framed(label, parts), tag).is_ok()
}

fn framed(label: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut message = Vec::with_capacity(128);
    for part in std::iter::once(&label).chain(parts) {
        message.extend((part.len() as u64).to_be_bytes());
        message.extend(*part);
    }
    message
}

#[derive(Serialize, Deserialize)]
struct OpaqueClaims {
    f: String,
    g: u64,
    j: String,
    u: String,
    c: String,
    s: String,
    a: Vec<String>,
    i: i64,
    e: i64,
    t: i64,
}

impl From<&AccessToken> for OpaqueClaims {
    fn from(token: &AccessToken) -> Self {
        Self {
            f: token.family.to_string(),
            g: token.generation,
            j: token.jti.clone(),
            u: token.subject.clone(),
            c: token.client_id.clone(),
            s: token.scope.to_string(),
            a: token.audience.clone(),
            i: token.issued_at.as_seconds(),
            e: token.expires_at.as_seconds(),
            t: token.auth_time.as_seconds(),
        }
    }
}

impl TryFrom<OpaqueClaims> for AccessToken {
    type Error = String;

    fn try_from(claims: OpaqueClaims) -> Result<Self, String> {
        let seconds = |s: i64| Timestamp::from_millis(s.saturating_mul(1000));
        Ok(Self {
            family: claims.f.parse::<FamilyId>()?,
            generation: claims.g,
            jti: claims.j,
            subject: claims.u,
            client_id: claims.c,
            scope: claims.s.parse()?,
            audience: claims.a,
            issued_at: seconds(claims.i),
            expires_at: seconds(claims.e),
            auth_time: seconds(claims.t),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys() -> TokenKeys {
        TokenKeys::new([(KeyId(1), vec![7; 32])], KeyId(1)).unwrap()
    }

    fn presented(generation: u64) -> Presented {
        Presented { generation, key: KeyId(1), issued_at: Timestamp::from_millis(1_000) }
    }

    /// The same token text with one byte changed by `mask`.
    fn with_byte(text: &str, place: usize, mask: u8) -> String {
        let mut bytes = URL_SAFE_NO_PAD.decode(&text[4..]).unwrap();
        bytes[place] ^= mask;
        format!("prt_{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    fn passes(keys: &TokenKeys, text: &str, nonce: &Nonce) -> bool {
        RefreshToken::parse(text).is_some_and(|token| keys.proves(&token, nonce))
    }

    #[test]
    fn no_bit_of_a_token_can_be_turned_and_no_letter_be_missing() {
        let keys = keys();
        let text =
            keys.refresh_token(FamilyId::from_bytes([5; 16]), presented(3), &[8; 16]).unwrap();
        assert!(passes(&keys, &text, &[8; 16]));
        for place in 0..69 {
            for bit in 0..8 {
                let turned = with_byte(&text, place, 1 << bit);
                assert!(!passes(&keys, &turned, &[8; 16]), "byte {place}, bit {bit}");
            }
        }
        for length in 0..text.len() {
            assert!(RefreshToken::parse(&text[..length]).is_none(), "the first {length} letters");
            assert!(RefreshToken::parse(&text[text.len() - length..]).is_none());
        }
        for longer in ["A", "=", "\0", " ", "AAAA"] {
            assert!(RefreshToken::parse(&format!("{text}{longer}")).is_none());
            assert!(RefreshToken::parse(&format!("{longer}{text}")).is_none());
        }
    }

    proptest! {
        #[test]
        fn a_token_proves_itself_and_any_altered_byte_fails_closed(
            family in any::<[u8; 16]>(), nonce in any::<[u8; 16]>(),
            generation in 1u64..1_000_000, place in 0usize..69, mask in 1u8..,
        ) {
            let keys = keys();
            let text =
                keys.refresh_token(FamilyId::from_bytes(family), presented(generation), &nonce).unwrap();
            prop_assert!(passes(&keys, &text, &nonce));
            prop_assert!(!passes(&keys, &with_byte(&text, place, mask), &nonce));
        }

        #[test]
        fn a_tag_counts_for_its_own_family_nonce_key_and_generation_alone(
            families in any::<[[u8; 16]; 2]>(), nonces in any::<[Nonce; 2]>(),
            generations in [1u64..100, 1u64..100], instants in [0i64..100, 0i64..100],
        ) {
            let secrets = [(KeyId(1), vec![7; 32]), (KeyId(2), vec![9; 32])];
            let keys = TokenKeys::new(secrets, KeyId(1)).unwrap();
            let issued = Presented {
                generation: generations[0], key: KeyId(1),
                issued_at: Timestamp::from_millis(instants[0]),
            };
            let family = FamilyId::from_bytes(families[0]);
            let text = keys.refresh_token(family, issued, &nonces[0]).unwrap();
            let own = RefreshToken::parse(&text).unwrap();
            prop_assert_eq!((own.family, own.presented), (family, issued));
            prop_assert!(keys.proves(&own, &nonces[0]));
            prop_assert_eq!(keys.proves(&own, &nonces[1]), nonces[0] == nonces[1]);

            let other = |presented, family| RefreshToken { family, presented, tag: own.tag };
            let claims = [
                other(Presented { generation: generations[1], ..issued }, family),
                other(
                    Presented { issued_at: Timestamp::from_millis(instants[1]), ..issued }, family,
                ),
                other(Presented { key: KeyId(2), ..issued }, family),
                other(issued, FamilyId::from_bytes(families[1])),
            ];
            for claim in claims {
                prop_assert_eq!(keys.proves(&claim, &nonces[0]), claim == own);
            }
            // Nor do the same bytes under another kind's prefix.
            prop_assert_eq!(keys.read_opaque(&text.replacen("prt_", OPAQUE_PREFIX, 1)), None);
        }
    }

    #[test]
    fn an_opaque_token_comes_back_as_it_was_and_no_other_kind_passes_for_it() {
        let keys = keys();
        let mut token = AccessToken {
            family: FamilyId::from_bytes([1; 16]),
            generation: 3,
            jti: String::new(),
            subject: "ada".into(),
            client_id: "meadow".into(),
            scope: "openid email".parse().unwrap(),
            audience: vec!["https://api.example".into()],
            issued_at: Timestamp::from_millis(5_000),
            expires_at: Timestamp::from_millis(9_000),
            auth_time: Timestamp::from_millis(4_000),
        };
        token.jti = "a-jti".into();
        let text = keys.opaque(&token).unwrap();
        assert_eq!(keys.read_opaque(&text), Some(token));
        let altered = format!("{}A{}", &text[..20], &text[21..]);
        assert!(altered == text || keys.read_opaque(&altered).is_none());
        assert_eq!(keys.read_opaque("pat_"), None);
    }

    #[test]
    fn lists_that_join_to_the_same_bytes_have_different_macs() {
        assert_ne!(framed(b"x", &[b"ab", b"c"]), framed(b"x", &[b"a", b"bc"]));
    }
}
