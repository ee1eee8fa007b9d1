//! The refresh token's form: `prt_` and base64url of version, key id, family id,
//! generation, time and MAC. Everything but the MAC is plain to read; only the MAC proves it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::id::FamilyId;
use super::time::Timestamp;
use super::token_family::{KeyId, Presented};

/// What each refresh token starts with, so that secret scanners find leaked ones.
pub const PREFIX: &str = "prt_";
/// The label that separates this kind of token's MACs from every other's.
pub const LABEL: &[u8] = b"perennial refresh token";

const VERSION: u8 = 1;
const BODY: usize = 1 + 4 + 16 + 8 + 8;
const TAG: usize = 32;

/// Random bytes of a family's row that every MAC of it covers, so that neither the
/// database nor the key file alone forges a token.
pub type Nonce = [u8; 16];

/// A refresh token, read but not yet proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    /// Its family.
    pub family: FamilyId,
    /// Its generation, key and time.
    pub presented: Presented,
    /// The MAC that it carries.
    pub tag: [u8; TAG],
}

/// Proves tokens. Implemented over the token secrets; given to storage with each rotation,
/// since the nonce stands in the family's row.
pub trait Authenticity: Send + Sync {
    /// Whether this server knows the key that the token names. A node that doesn't have a
    /// new key yet must ask the client to try again rather than refuse.
    fn knows(&self, key: KeyId) -> bool;

    /// Whether this server issued `token` to the family with this nonce. Constant time.
    fn proves(&self, token: &RefreshToken, nonce: &Nonce) -> bool;
}

impl RefreshToken {
    /// The bytes that the MAC covers, but for the label and the nonce: fixed widths, big-endian.
    pub fn body(family: FamilyId, presented: Presented) -> [u8; BODY] {
        let mut body = [0; BODY];
        let issued_at = u64::try_from(presented.issued_at.as_millis()).unwrap_or(0);
        let fields = [VERSION]
            .into_iter()
            .chain(presented.key.0.to_be_bytes())
            .chain(*family.as_bytes())
            .chain(presented.generation.to_be_bytes())
            .chain(issued_at.to_be_bytes());
        for (byte, field) in body.iter_mut().zip(fields) {
            *byte = field;
        }
        body
    }

    /// Reads a token. `None` unless it is one of this server's form to the letter: strict
    /// base64url, the exact length, the version, and a generation and time in range.
    pub fn parse(text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(PREFIX)?;
        if encoded.len() != (BODY + TAG) * 4 / 3 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(encoded).ok()?;
        let (version, rest) = bytes.split_first()?;
        let (key, rest) = rest.split_first_chunk::<4>()?;
        let (family, rest) = rest.split_first_chunk::<16>()?;
        let (generation, rest) = rest.split_first_chunk::<8>()?;
        let (issued_at, tag) = rest.split_first_chunk::<8>()?;
        let issued_at = i64::try_from(u64::from_be_bytes(*issued_at)).ok()?;
        let generation = u64::from_be_bytes(*generation);
        // The database counts in signed 64 bits.
        i64::try_from(generation).ok()?;
        (*version == VERSION).then_some(())?;
        Some(Self {
            family: FamilyId::from_bytes(*family),
            presented: Presented {
                generation,
                key: KeyId(u32::from_be_bytes(*key)),
                issued_at: Timestamp::from_millis(issued_at),
            },
            tag: tag.try_into().ok()?,
        })
    }

    /// The token's text, as the client gets it.
    pub fn encode(&self) -> String {
        let mut bytes = Self::body(self.family, self.presented).to_vec();
        bytes.extend(self.tag);
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_token() -> impl Strategy<Value = RefreshToken> {
        (any::<[u8; 16]>(), 0..=i64::MAX as u64, any::<u32>(), 0..i64::MAX, any::<[u8; 32]>())
            .prop_map(|(family, generation, key, issued_at, tag)| RefreshToken {
                family: FamilyId::from_bytes(family),
                presented: Presented {
                    generation,
                    key: KeyId(key),
                    issued_at: Timestamp::from_millis(issued_at),
                },
                tag,
            })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(token in any_token()) {
            prop_assert_eq!(RefreshToken::parse(&token.encode()), Some(token));
        }

        #[test]
        fn reading_never_panics(text in "\\PC*") {
            let _ = RefreshToken::parse(&text);
        }

        #[test]
        fn a_changed_letter_is_another_token_or_none(
            token in any_token(), place in 4usize..96, letter in "[A-Za-z0-9_-]",
        ) {
            let text = token.encode();
            let mut changed = text.clone();
            changed.replace_range(place..place + 1, &letter);
            prop_assume!(changed != text);
            prop_assert_ne!(RefreshToken::parse(&changed), Some(token));
        }
    }
}
