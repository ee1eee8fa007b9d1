//! The reference of a request: what a person reads to the help desk from an
//! error page, and what stands in every line of the log about that request.

use std::fmt;
use std::sync::LazyLock;
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

    /// A new one: one of a random sequence of this process. It is a name and no secret.
    pub fn next() -> Self {
        static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| {
            let mut start = [0; 8];
            // Without randomness a count from zero will do.
            let _ = aws_lc_rs::rand::fill(&mut start);
            AtomicU64::new(u64::from_be_bytes(start))
        });
        // An odd step reaches every number before it comes back to the first; neighbours
        // don't look alike.
        let next = NEXT.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let [_, _, _, bytes @ ..] = (next >> 24).to_be_bytes();
        Self(bytes)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0.iter().fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
        let mut text = String::with_capacity(9);
        for place in 0..8_u32 {
            if place == 4 {
                text.push('-');
            }
            let digit = usize::try_from((bits >> (35 - 5 * place)) & 31).unwrap_or(0);
            text.push(ALPHABET.get(digit).copied().map_or('0', char::from));
        }
        f.pad(&text)
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
        assert_ne!(Reference::next(), Reference::next());
    }
}
