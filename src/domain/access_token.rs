//! What an access token says, whatever its form (RFC 9068 section 2.2).

use super::scope::Scope;
use super::time::Timestamp;

/// What each opaque access token starts with.
pub const OPAQUE_PREFIX: &str = "pat_";

/// The form in which a client's access tokens are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessTokenFormat {
    /// An RFC 9068 JWT, verified by resource servers with the public keys.
    Jwt,
    /// Opaque; resource servers ask at the introspection endpoint.
    Opaque,
}

impl AccessTokenFormat {
    /// All of them, with the name that commands and the database use.
    pub const ALL: [(Self, &'static str); 2] = [(Self::Jwt, "jwt"), (Self::Opaque, "opaque")];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(own, _)| *own == self).map_or("", |(_, name)| name)
    }

    /// The form with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, own)| *own == name).map(|(format, _)| *format)
    }
}

/// The claims of an access token. A retry makes the very same ones again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// The family it belongs to, and by it the session.
    pub family: super::id::FamilyId,
    /// The generation of the refresh that it was given with.
    pub generation: u64,
    /// Its own id.
    pub jti: String,
    /// What the client calls the person: not always their id, which stands in the family's row.
    pub subject: String,
    /// The client.
    pub client_id: String,
    /// What it may be used for.
    pub scope: Scope,
    /// Whom it is for: resource servers' identifiers, at least one.
    pub audience: Vec<String>,
    /// When it was issued; whole seconds count.
    pub issued_at: Timestamp,
    /// When it ends; whole seconds count.
    pub expires_at: Timestamp,
    /// When the person signed in.
    pub auth_time: Timestamp,
}
