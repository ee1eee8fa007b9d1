//! Registering, changing and removing clients.

use super::act::Act;
use super::endings::{self, Whose};
use crate::crypto::random;
use crate::crypto::root_secret::Sealer;
use crate::domain::client::{AuthMethod, Client, ClientId, ClientMetadata};
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
/// comes the secret of a client that has one, to be shown this once; `sealer` is for a secret
/// that is kept, because the client signs with it. An id counts as taken until
/// the last session of its former client has ended, since it would be the new one's.
pub fn register(
    connection: &mut Connection,
    sealer: Option<&Sealer>,
    id: ClientId,
    metadata: ClientMetadata,
    act: &Act,
) -> Result<(Client, Option<PlainSecret>)> {
    register_as(connection, sealer, id, metadata, Standing::default(), act)
}

/// The same for a client from elsewhere.
pub fn register_as(
    connection: &mut Connection,
    sealer: Option<&Sealer>,
    id: ClientId,
    metadata: ClientMetadata,
    standing: Standing,
    act: &Act,
) -> Result<(Client, Option<PlainSecret>)> {
    if stored::means_client(connection, &id)? {
        return Err(StorageError::Duplicate);
    }
    let method = metadata.auth_method;
    let secret = method.has_secret().then(|| random::secret(SECRET_PREFIX));
    let client = Client {
        created_at: act.now,
        secret: secret.as_ref().map(PlainSecret::hash),
        sealed_secret: match &secret {
            Some(secret) => sealed(sealer, &id, method, secret)?,
            None => None,
        },
        id,
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

/// Changes a client. A client that comes to need a secret gets one, shown this once, and so does
/// one that comes to sign with it, since only a hash was kept of the one before; a client that
/// needs none any more loses its own. `None` when it isn't there.
pub fn update(
    connection: &mut Connection,
    sealer: Option<&Sealer>,
    id: &ClientId,
    metadata: &ClientMetadata,
    act: &Act,
) -> Result<Option<(Client, Option<PlainSecret>)>> {
    let Some(before) = clients::find(connection, id)? else { return Ok(None) };
    clients::update(connection, id, metadata)?;
    let mut shown = None;
    let method = metadata.auth_method;
    let signs = method == AuthMethod::ClientSecretJwt;
    if !method.has_secret() && before.secret.is_some() {
        clients::set_secret(connection, id, None, None)?;
    } else if method.has_secret()
        && (before.secret.is_none() || (signs && before.sealed_secret.is_none()))
    {
        shown = Some(new_secret(connection, sealer, id, method)?);
    } else if !signs && before.sealed_secret.is_some() {
        clients::set_secret(connection, id, before.secret, None)?;
    }
    record(connection, "client.updated", id, None, act)?;
    Ok(clients::find(connection, id)?.map(|client| (client, shown)))
}

/// Gives a client that has a secret a new one, shown this once; the old one ends at once. `None`
/// when there is no such client, or it has none.
pub fn rotate_secret(
    connection: &mut Connection,
    sealer: Option<&Sealer>,
    id: &ClientId,
    act: &Act,
) -> Result<Option<PlainSecret>> {
    match clients::find(connection, id)? {
        Some(client) if client.metadata.auth_method.has_secret() => {
            let secret = new_secret(connection, sealer, id, client.metadata.auth_method)?;
            record(connection, "client.secret_rotated", id, None, act)?;
            Ok(Some(secret))
        }
        _ => Ok(None),
    }
}

fn new_secret(
    connection: &mut Connection,
    sealer: Option<&Sealer>,
    id: &ClientId,
    method: AuthMethod,
) -> Result<PlainSecret> {
    let secret = random::secret(SECRET_PREFIX);
    let kept = sealed(sealer, id, method, &secret)?;
    clients::set_secret(connection, id, Some(secret.hash()), kept)?;
    Ok(secret)
}

/// The secret as it is kept, where its client signs with it.
fn sealed(
    sealer: Option<&Sealer>,
    id: &ClientId,
    method: AuthMethod,
    secret: &PlainSecret,
) -> Result<Option<Vec<u8>>> {
    match (method, sealer) {
        (AuthMethod::ClientSecretJwt, Some(sealer)) => {
            Ok(Some(sealer.seal(id.as_str().as_bytes(), secret.reveal().as_bytes())))
        }
        (AuthMethod::ClientSecretJwt, None) => Err(StorageError::Unsealed),
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
