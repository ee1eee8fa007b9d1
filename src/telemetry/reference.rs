//! The reference of a request: what a person reads to the help desk from an
//! error page, and what stands in every line of the log about that request.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Crockford's base32: no I, L, O or U, so that it can be read out loud.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Forty bits that tell a request from all others of some weeks: `7Q4K-2M9D`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reference([u8; 5]);

impl Reference {
    /// The reference that these bytes write.
    pub const fn from_bytes(bytes: [u8; 5]) -> Self {
        Self(bytes)
    }

    /// A new one at random.
    pub fn random() -> Self {
        let mut bytes = [0; 5];
        if aws_lc_rs::rand::fill(&mut bytes).is_err() {
            // It is a name and no secret; without randomness a count will do.
            static COUNT: AtomicU64 = AtomicU64::new(0);
            let [_, _, _, rest @ ..] = COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            bytes = rest;
        }
        Self(bytes)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0.iter().fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
        for place in 0..8_u32 {
            if place == 4 {
                f.write_str("-")?;
            }
            let digit = (bits >> (35 - 5 * place)) & 31;
            let letter = usize::try_from(digit)
                .ok()
                .and_then(|digit| ALPHABET.get(digit))
                .copied()
                .unwrap_or(b'0');
            write!(f, "{}", char::from(letter))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forty_bits_make_eight_letters() {
        assert_eq!(Reference::from_bytes([0; 5]).to_string(), "0000-0000");
        assert_eq!(Reference::from_bytes([255; 5]).to_string(), "ZZZZ-ZZZZ");
        assert_eq!(Reference::from_bytes([0x08, 0x86, 0x42, 0x98, 0xE8]).to_string(), "1234-5678");
    }

    #[test]
    fn two_of_them_differ() {
        assert_ne!(Reference::random(), Reference::random());
    }
}
