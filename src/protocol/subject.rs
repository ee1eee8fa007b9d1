//! The `sub` of a person: what every answer to a client calls them (OpenID Connect Core section 8).

use crate::crypto::keyring::Keyring;
use crate::domain::client::Client;
use crate::domain::client_details::SubjectType;
use crate::domain::id::UserId;
use crate::domain::sector;

/// What this client calls this person: their id, or a name that no client of another sector
/// has. A client without a sector is one of its own.
pub fn of(keyring: &Keyring, client: &Client, user: UserId) -> String {
    match client.metadata.details.subject_type {
        SubjectType::Public => user.to_string(),
        SubjectType::Pairwise => {
            keyring.pairwise(sector::of(&client.metadata).as_deref(), &client.id, user)
        }
    }
}
