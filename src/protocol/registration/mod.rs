//! Clients that register themselves (RFC 7591, OpenID Connect Dynamic Client Registration) and
//! manage their registration (RFC 7592).

mod information;
pub mod initial_tokens;
mod members;
mod refusal;

use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;

use super::act::Act;
use super::clients;
use crate::crypto::random;
use crate::crypto::root_secret::Sealer;
use crate::crypto::tokens::CallerHasher;
use crate::domain::allowance::Allowance;
use crate::domain::caller::network_prefix;
use crate::domain::client::{Client, ClientId, ClientMetadata};
use crate::domain::client_standing::{Origin, Standing};
use crate::domain::scope::Scope;
use crate::domain::secret::PlainSecret;
use crate::domain::time::Timestamp;
use crate::storage::throttle::Key;
use crate::storage::{self, Connection, Result, StorageError, allowances};

pub use information::information;
pub use members::{read, read_document};
pub use refusal::Refusal;

/// What each registration access token starts with.
pub const TOKEN_PREFIX: &str = "pra_";

/// What a client that comes by itself may have.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The scope that it may ask for.
    pub scopes: Scope,
    /// How long access tokens live.
    pub access_token_life: Duration,
}

/// How many clients may come by themselves, and whose counters a request goes under.
#[derive(Clone, Debug)]
pub struct Rates {
    network: (Key, Allowance),
    everybody: (Key, Allowance),
}

impl Rates {
    /// For a request from this address. `what` keeps the counters of different things apart.
    pub fn new(
        hasher: &CallerHasher,
        what: &'static str,
        ip: IpAddr,
        per_network: u32,
        everybody: u32,
    ) -> Self {
        let hourly = |count| Allowance { count, within: Duration::from_secs(3600) };
        let network = network_prefix(ip);
        Self {
            network: (
                hasher.key("allowance network", &[what.as_bytes(), &network]),
                hourly(per_network),
            ),
            everybody: (hasher.key("allowance everybody", &[what.as_bytes()]), hourly(everybody)),
        }
    }

    /// Counts one; how long to wait where there were too many.
    ///
    /// # Errors
    /// What storage says.
    pub fn take(
        &self,
        connection: &mut Connection,
        now: Timestamp,
    ) -> Result<std::result::Result<(), Duration>> {
        for (key, allowance) in [&self.network, &self.everybody] {
            if let Err(wait) = allowances::take(connection, key, allowance, now)? {
                return Ok(Err(wait));
            }
        }
        Ok(Ok(()))
    }
}

/// A client that has just registered, with what it is told this once.
#[derive(Debug)]
pub struct Registered {
    /// The client.
    pub client: Client,
    /// Its secret, if it is confidential by one.
    pub secret: Option<PlainSecret>,
    /// The token that it manages its registration with.
    pub token: PlainSecret,
}

/// Registers a client whose metadata was read by [`read`]. With an initial access token, that is
/// spent; a refusal is an `Ok`.
///
/// # Errors
/// What storage says.
pub fn register(
    connection: &mut Connection,
    sealer: &Sealer,
    metadata: ClientMetadata,
    initial: Option<&PlainSecret>,
    act: &Act,
) -> Result<std::result::Result<Registered, Refusal>> {
    if let Some(initial) = initial
        && !storage::registration_tokens::spend(connection, initial.hash(), act.now)?
    {
        return Ok(Err(Refusal::invalid_token("the initial access token is not valid any more")));
    }
    let id = ClientId::parse(&clients::made_up_id()).map_err(StorageError::Corrupt)?;
    let token = random::secret(TOKEN_PREFIX);
    let standing = Standing {
        origin: Origin::Registration,
        registration_token: Some(token.hash()),
        ..Standing::default()
    };
    let (client, secret) =
        clients::register_as(connection, Some(sealer), id, metadata, standing, act)?;
    Ok(Ok(Registered { client, secret, token }))
}

/// The client with this id, if this is its registration access token. A client that isn't there
/// is refused like a wrong token (RFC 7592 section 2.1).
///
/// # Errors
/// What storage says.
pub fn authenticate(
    connection: &mut Connection,
    id: &str,
    token: &PlainSecret,
) -> Result<std::result::Result<Client, Refusal>> {
    let found = match ClientId::parse(id) {
        Ok(id) => storage::clients::find(connection, &id)?,
        Err(_) => None,
    };
    let held = |client: &Client| {
        client.standing.registration_token.is_some_and(|known| known.matches(&token.hash()))
    };
    let refused = || Refusal::invalid_token("the registration access token is not this client's");
    Ok(found.filter(held).ok_or_else(refused))
}

/// What an update says of the client that it is for (RFC 7592 section 2.2).
///
/// # Errors
/// When it is for another client, or has another secret.
pub fn check_update(body: &Value, client: &Client) -> std::result::Result<(), Refusal> {
    match body.get("client_id").and_then(Value::as_str) {
        Some(id) if id == client.id.as_str() => {}
        Some(_) => return Err(Refusal::metadata("client_id: it is not the one of this address")),
        None => return Err(Refusal::metadata("client_id is missing; an update names its client")),
    }
    match body.get("client_secret") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(sent))
            if client
                .secret
                .is_some_and(|known| known.matches(&PlainSecret::new(sent.as_str()).hash())) =>
        {
            Ok(())
        }
        Some(_) => Err(Refusal::metadata(
            "client_secret: it is not the one in use; leave it out, since a client does not \
             choose its own",
        )),
    }
}

/// Puts new metadata in place of a client's. What changes about one that an administrator
/// reviewed makes it unreviewed again, and no longer one that nobody is asked about.
///
/// # Errors
/// What storage says.
pub fn replace(
    connection: &mut Connection,
    sealer: &Sealer,
    before: &Client,
    mut metadata: ClientMetadata,
    act: &Act,
) -> Result<std::result::Result<(Client, Option<PlainSecret>), Refusal>> {
    if metadata != before.metadata {
        metadata.skip_consent = false;
        storage::clients::set_reviewed(connection, &before.id, None)?;
    }
    let updated = clients::update(connection, Some(sealer), &before.id, &metadata, act)?;
    Ok(updated.ok_or_else(|| Refusal::invalid_token("the client is gone")))
}
