//! The only place that asks for randomness.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::secret::PlainSecret;

/// `N` random bytes from the operating system's seeded generator.
///
/// # Panics
/// Never in practice: aws-lc aborts the process itself where the system has no entropy. A
/// server that went on without randomness would be worse than one that stopped.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if rand::fill(&mut bytes).is_err() {
        // Nothing that needs randomness may go on without it.
        std::process::abort();
    }
    bytes
}

/// A number for a row's write id: one of a random sequence of this process, so that no other
/// process meets it and none of its own comes twice. It is a name and no secret. Never zero,
/// which stands for "never written".
pub fn write_id() -> i64 {
    static NEXT: LazyLock<AtomicU64> =
        LazyLock::new(|| AtomicU64::new(u64::from_be_bytes(bytes::<8>())));
    // An odd step reaches every number before it comes back to the first.
    let id = NEXT.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
    i64::from_be_bytes(id.to_be_bytes()) | i64::from(id == 0)
}

/// A secret of 256 bits after a recognisable prefix.
pub fn secret(prefix: &str) -> PlainSecret {
    PlainSecret::new(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes::<32>())))
}

/// A short name for a request in logs and on error pages: eight letters and digits without
/// those that are easily mixed up (Crockford's base 32), as `7Q4K-2M9D`.
pub fn reference() -> String {
    const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let mut text = String::with_capacity(9);
    for (place, byte) in bytes::<8>().into_iter().enumerate() {
        if place == 4 {
            text.push('-');
        }
        text.extend(LETTERS.get(usize::from(byte % 32)).map(|letter| char::from(*letter)));
    }
    text
}
