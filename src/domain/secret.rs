//! Values that must not be shown, and the hashes that may be stored in their place.

use std::fmt;

use sha2::{Digest, Sha256};

/// A secret as its holder presents it. `Debug` shows nothing; there is no `Display`.
#[derive(Clone, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
pub struct PlainSecret(String);

impl PlainSecret {
    /// Takes the secret over.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself: for the answer that shows it once, or a hash function.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What may be stored of it. Only for secrets that this server made with full entropy:
    /// passwords people chose go through Argon2 instead.
    pub fn hash(&self) -> HashedSecret {
        HashedSecret::of(self.0.as_bytes())
    }
}

impl fmt::Debug for PlainSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// SHA-256 of a secret with full entropy: an authorization code, a client secret, a cookie.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HashedSecret([u8; 32]);

impl HashedSecret {
    /// The hash of these bytes.
    pub fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// Reads what was stored; `None` when it isn't 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The 32 bytes to store.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether both are hashes of one secret. Both sides are hashes, so how long the
    /// comparison takes tells nothing that helps to find the secret.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0.iter()).fold(0u8, |differing, (a, b)| differing | (a ^ b)) == 0
    }
}

impl fmt::Debug for HashedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashedSecret(…)")
    }
}
