//! Signature algorithms (RFC 7518 section 3.1, RFC 8037).

use serde::{Deserialize, Serialize};

/// How this server signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256, 2048 bits.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSASSA-PSS with SHA-256, 2048 bits.
    #[serde(rename = "PS256")]
    Ps256,
}

impl Algorithm {
    /// All of them, with their registered names.
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::Es256, "ES256"),
        (Self::EdDsa, "EdDSA"),
        (Self::Rs256, "RS256"),
        (Self::Ps256, "PS256"),
    ];

    /// Its registered name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(own, _)| *own == self).map_or("", |(_, name)| name)
    }

    /// The algorithm with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, own)| *own == name).map(|(algorithm, _)| *algorithm)
    }
}
