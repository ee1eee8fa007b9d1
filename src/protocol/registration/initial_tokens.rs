//! Initial access tokens: who holds one may register clients (RFC 7591 section 3).

use std::time::Duration;

use crate::crypto::random;
use crate::domain::secret::PlainSecret;
use crate::protocol::act::Act;
use crate::storage::registration_tokens::{self, RegistrationToken};
use crate::storage::{Connection, Result};

/// What each of them starts with.
pub const PREFIX: &str = "pit_";

/// What is wrong with a token that somebody wants to make, each fault under its member.
pub fn faults(
    name: &str,
    uses: Option<u32>,
    life: Option<Duration>,
) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    if name.trim().is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        faults.push(("name", "Say in 1 to 100 characters what it is for.".to_owned()));
    }
    if uses == Some(0) || uses.is_some_and(|uses| uses > 1_000_000) {
        faults.push(("uses", "Write a number from 1 to 1,000,000.".to_owned()));
    }
    let ten_years = Duration::from_secs(10 * 365 * 24 * 3600);
    if life.is_some_and(|life| life.is_zero() || life > ten_years) {
        faults.push(("expires_in", "Let it end within ten years.".to_owned()));
    }
    faults
}

/// Makes one, shown this once.
pub fn add(
    connection: &mut Connection,
    name: &str,
    uses: Option<u32>,
    life: Option<Duration>,
    act: &Act,
) -> Result<(RegistrationToken, PlainSecret)> {
    let secret = random::secret(PREFIX);
    let id = random::bytes::<6>()
        .iter()
        .fold("initial-".to_owned(), |id, byte| format!("{id}{byte:02x}"));
    let token = RegistrationToken {
        id,
        name: name.trim().to_owned(),
        created_at: act.now,
        uses_left: uses,
        expires_at: life.map(|life| act.now.plus(life)),
        last_used_at: None,
    };
    registration_tokens::add(connection, &token, secret.hash())?;
    record(connection, "registration_token.added", &token.id, &token.name, act)?;
    Ok((token, secret))
}

/// Removes one. Whether it was there; clients that it registered stay.
pub fn remove(connection: &mut Connection, id: &str, act: &Act) -> Result<bool> {
    let Some(name) = registration_tokens::remove(connection, id)? else { return Ok(false) };
    record(connection, "registration_token.removed", id, &name, act)?;
    Ok(true)
}

fn record(
    connection: &mut Connection,
    action: &'static str,
    id: &str,
    name: &str,
    act: &Act,
) -> Result<()> {
    let target = Some(("registration_token", id.to_owned()));
    act.record(connection, action, target, None, None, Some(name.to_owned()))
}
