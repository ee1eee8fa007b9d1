//! Clients whose id is the address of their metadata (OAuth Client ID Metadata Document): what
//! was read there stands in a row like any other client's, so that consents and sessions hang on
//! it, and counts for a while without being read again.

use std::time::Duration;

use super::act::Act;
use super::clients;
use crate::domain::client::{Client, ClientId, ClientMetadata};
use crate::domain::client_standing::{Origin, Standing};
use crate::domain::time::Timestamp;
use crate::storage::{self, Connection, Result};

/// The longest document that is read, in bytes (section 6.6 of the draft).
pub const LARGEST: usize = 5 * 1024;

/// How long a document counts whose server says nothing.
const USUAL: Duration = Duration::from_secs(600);
/// The least and the most that its server may say.
const LEAST: Duration = Duration::from_secs(60);
const MOST: Duration = Duration::from_secs(24 * 3600);

/// How long people may still sign in by what was read before, while its server can't be reached.
pub const GRACE: Duration = Duration::from_secs(24 * 3600);

/// How long a document counts, by what its server says.
pub fn freshness(said: Option<Duration>) -> Duration {
    said.unwrap_or(USUAL).clamp(LEAST, MOST)
}

/// Whether what was read of this client still counts.
pub fn is_fresh(client: &Client, now: Timestamp) -> bool {
    client.standing.fresh_until.is_some_and(|until| until > now)
}

/// Whether it counted until not long ago.
pub fn is_in_grace(client: &Client, now: Timestamp) -> bool {
    client.standing.fresh_until.is_some_and(|until| until.plus(GRACE) > now)
}

/// Writes down what was read. A document that has changed has to be reviewed again, and people
/// are asked about it again.
///
/// # Errors
/// `Duplicate` when somebody else was faster, or its former sessions are still being ended;
/// what storage says.
pub fn store(
    connection: &mut Connection,
    id: &ClientId,
    mut metadata: ClientMetadata,
    fresh_until: Timestamp,
    act: &Act,
) -> Result<()> {
    let Some(before) = storage::clients::find(connection, id)? else {
        let standing = Standing {
            origin: Origin::Document,
            fresh_until: Some(fresh_until),
            ..Standing::default()
        };
        return clients::register_as(connection, None, id.clone(), metadata, standing, act)
            .map(|_| ());
    };
    if before.metadata != metadata {
        metadata.skip_consent = false;
        clients::update(connection, None, id, &metadata, act)?;
        storage::clients::set_reviewed(connection, id, None)?;
    }
    storage::clients::set_fresh_until(connection, id, fresh_until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_how_long_within_bounds() {
        let seconds = |said: Option<u64>| freshness(said.map(Duration::from_secs)).as_secs();
        assert_eq!(seconds(None), 600);
        assert_eq!(seconds(Some(0)), 60);
        assert_eq!(seconds(Some(300)), 300);
        assert_eq!(seconds(Some(u64::MAX)), 86_400);
    }
}
