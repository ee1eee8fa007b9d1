//! The first administrator: made by a one-time link that is printed while there is none.

use super::accounts::{self, NewAccount};
use super::act::Act;
use crate::crypto::random;
use crate::domain::account::Account;
use crate::domain::secret::{HashedSecret, PlainSecret};
use crate::storage::{Connection, Result, meta, users};

const LINK: &str = "setup_link_hash";
const LINK_PREFIX: &str = "setup_";

/// A new one-time link's secret, while there is no administrator; the one before it ends.
pub fn new_link(connection: &mut Connection) -> Result<Option<PlainSecret>> {
    if users::has_admin(connection)? {
        meta::remove(connection, LINK)?;
        return Ok(None);
    }
    let secret = random::secret(LINK_PREFIX);
    meta::put(connection, LINK, &hex(&secret.hash()))?;
    Ok(Some(secret))
}

/// Whether this is the link that counts.
pub fn link_is_good(connection: &mut Connection, link: &PlainSecret) -> Result<bool> {
    if users::has_admin(connection)? {
        return Ok(false);
    }
    Ok(meta::get(connection, LINK)?.is_some_and(|known| known == hex(&link.hash())))
}

/// Makes the first administrator and ends the link. `None` when the link doesn't count.
pub fn create_admin(
    connection: &mut Connection,
    link: &PlainSecret,
    new: &NewAccount,
    password_hash: String,
    act: &Act,
) -> Result<Option<Account>> {
    // The removal decides: of two that come at once, one finds it gone.
    if !link_is_good(connection, link)? || !meta::remove(connection, LINK)? {
        return Ok(None);
    }
    accounts::add(connection, new, password_hash, act).map(Some)
}

/// Two hashes of secrets with full entropy; comparing their text tells nothing of use.
fn hex(hash: &HashedSecret) -> String {
    hash.as_bytes().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
