//! Registering, changing and removing clients.

use super::act::Act;
use super::endings::{self, Whose};
use crate::crypto::random;
use crate::domain::client::{Client, ClientId, ClientMetadata};
use crate::domain::client_standing::{Origin, Standing};
use crate::domain::secret::PlainSecret;
use crate::domain::token_family::EndCause;
use crate::storage::{
    Connection, Result, StorageError, authorization_codes, clients, consents, endings as stored,
    logout_deliveries,
};

/// What each client secret starts with.
pub const SECRET_PREFIX: &str = "pcs_";

/// A made-up id for a client that was given none: `client-` and 16 letters.
pub fn made_up_id() -> String {
    random::bytes::<8>().iter().fold("client-".to_owned(), |id, byte| format!("{id}{byte:02x}"))
}

/// Registers a client whose metadata was checked; `Duplicate` when the id is taken. With it
/// comes the secret of a confidential client, to be shown this once. An id counts as taken until
/// the last session of its former client has ended, since it would be the new one's.
pub fn register(
    connection: &mut Connection,
    id: ClientId,
    metadata: ClientMetadata,
    act: &Act,
) -> Result<(Client, Option<PlainSecret>)> {
    register_as(connection, id, metadata, Standing::default(), act)
}

/// The same for a client from elsewhere.
pub fn register_as(
    connection: &mut Connection,
    id: ClientId,
    metadata: ClientMetadata,
    standing: Standing,
    act: &Act,
) -> Result<(Client, Option<PlainSecret>)> {
    if stored::means_client(connection, &id)? {
        return Err(StorageError::Duplicate);
    }
    let secret = (!metadata.is_public()).then(|| random::secret(SECRET_PREFIX));
    let client = Client {
        id,
        created_at: act.now,
        secret: secret.as_ref().map(PlainSecret::hash),
        metadata,
        standing,
    };
    clients::add(connection, &client)?;
    let action = match client.standing.origin {
        Origin::Administrator => "client.added",
        Origin::Registration => "client.registered",
        Origin::Document => "client.document_read",
    };
    record(connection, action, &client.id, Some(&client.metadata.name), act)?;
    Ok((client, secret))
}

/// Changes a client. A client that becomes confidential gets a secret, shown this once; one that
/// becomes public loses its own. `None` when it isn't there.
pub fn update(
    connection: &mut Connection,
    id: &ClientId,
    metadata: &ClientMetadata,
    act: &Act,
) -> Result<Option<(Client, Option<PlainSecret>)>> {
    let Some(before) = clients::find(connection, id)? else { return Ok(None) };
    clients::update(connection, id, metadata)?;
    let mut shown = None;
    if metadata.is_public() && before.secret.is_some() {
        clients::set_secret(connection, id, None)?;
    } else if !metadata.is_public() && before.secret.is_none() {
        let secret = random::secret(SECRET_PREFIX);
        clients::set_secret(connection, id, Some(secret.hash()))?;
        shown = Some(secret);
    }
    record(connection, "client.updated", id, None, act)?;
    Ok(clients::find(connection, id)?.map(|client| (client, shown)))
}

/// Gives a confidential client a new secret, shown this once; the old one ends at once. `None`
/// when there is no such client, or it is public.
pub fn rotate_secret(
    connection: &mut Connection,
    id: &ClientId,
    act: &Act,
) -> Result<Option<PlainSecret>> {
    match clients::find(connection, id)? {
        Some(client) if !client.metadata.is_public() => {
            let secret = random::secret(SECRET_PREFIX);
            clients::set_secret(connection, id, Some(secret.hash()))?;
            record(connection, "client.secret_rotated", id, None, act)?;
            Ok(Some(secret))
        }
        _ => Ok(None),
    }
}

/// Removes a client, what people allowed it, and its sessions. Whether it was there.
pub fn remove(connection: &mut Connection, id: &ClientId, act: &Act) -> Result<bool> {
    let removed = clients::remove(connection, id)?;
    // Codes before sessions: an exchange that is under way is waited for, and its session seen.
    authorization_codes::forget_client(connection, id)?;
    let whose = Whose { client: Some(id.clone()), ..Whose::default() };
    endings::begin(connection, &whose, EndCause::ClientRemoved, None, act)?;
    logout_deliveries::forget_due(connection, id)?;
    consents::forget_client(connection, id)?;
    if removed {
        record(connection, "client.removed", id, None, act)?;
    }
    Ok(removed)
}

/// Notes that an administrator looked at a client that came by itself. Whether there is such a
/// client that nobody had looked at.
pub fn review(connection: &mut Connection, id: &ClientId, act: &Act) -> Result<bool> {
    match clients::find(connection, id)? {
        Some(client) if client.standing.is_unreviewed() => {
            clients::set_reviewed(connection, id, Some(act.now))?;
            record(connection, "client.reviewed", id, Some(&client.metadata.name), act)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

pub(super) fn record(
    connection: &mut Connection,
    action: &'static str,
    id: &ClientId,
    detail: Option<&str>,
    act: &Act,
) -> Result<()> {
    act.record(
        connection,
        action,
        Some(("client", id.to_string())),
        None,
        Some(id.to_string()),
        detail.map(str::to_owned),
    )
}
