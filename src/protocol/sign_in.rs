//! Signing in with a password: who is meant, whether to wait, and what failures cost.
//!
//! The password itself is judged between [`begin`] and [`succeed`] or [`fail`], outside of
//! any transaction, on the password pool.

use std::net::IpAddr;
use std::time::Duration;

use super::act::Act;
use crate::crypto::tokens::CallerHasher;
use crate::domain::account::{Account, fold};
use crate::domain::caller::network_prefix;
use crate::domain::throttle::{Failures, Limit};
use crate::domain::time::Timestamp;
use crate::storage::throttle::{self, Key};
use crate::storage::{Connection, Result, users};

/// How patient the server is.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For one account from one network.
    pub account: Limit,
    /// For one network.
    pub network: Limit,
}

impl Limits {
    /// For one account from everywhere: twenty times as much, so that a guesser with many
    /// networks is slowed down and the person hardly notices.
    fn everywhere(&self) -> Limit {
        Limit {
            tries: self.account.tries.saturating_mul(20),
            window: self.account.window,
            longest_pause: self.account.longest_pause.min(Duration::from_secs(60)),
        }
    }
}

/// The counters that one try goes under.
#[derive(Clone, Debug)]
pub struct Keys {
    account_here: Key,
    network: Key,
    account: Key,
    /// Not a counter: stands where this account signed in from this network before.
    known_here: Key,
}

/// How long a network stays known to an account after its last sign-in from there.
const KNOWN: Duration = Duration::from_secs(90 * 24 * 3600);

impl Keys {
    /// For this name from this address. The name is what was typed: an account that doesn't
    /// exist is counted too, so that a pause doesn't tell which ones do.
    pub fn new(hasher: &CallerHasher, name: &str, ip: IpAddr) -> Self {
        let (name, network) = (fold(name), network_prefix(ip));
        Self {
            account_here: hasher.key("throttle account here", &[name.as_bytes(), &network]),
            network: hasher.key("throttle network", &[&network]),
            account: hasher.key("throttle account", &[name.as_bytes()]),
            known_here: hasher.key("signed in here", &[name.as_bytes(), &network]),
        }
    }
}

/// What is known before the password is judged.
pub enum Begun {
    /// Too many tries: until then.
    Wait(Timestamp),
    /// Judge the password against this account's, if there is one that may sign in.
    Judge(Option<Box<users::StoredAccount>>),
}

/// Looks the account up, unless the try must wait.
pub fn begin(
    connection: &mut Connection,
    name: &str,
    keys: &Keys,
    now: Timestamp,
) -> Result<Begun> {
    for key in [&keys.account_here, &keys.network] {
        if let Some(until) = throttle::find(connection, key)?.pause(now) {
            return Ok(Begun::Wait(until));
        }
    }
    // Guessers elsewhere don't keep the person out of where they have been before.
    if !throttle::is_known(connection, &keys.known_here, now)?
        && let Some(until) = throttle::find(connection, &keys.account)?.pause(now)
    {
        return Ok(Begun::Wait(until));
    }
    let account = users::find_by_name(connection, name)?;
    Ok(Begun::Judge(account.filter(|stored| stored.account.is_active()).map(Box::new)))
}

/// What a failure leaves.
#[derive(Clone, Copy, Debug)]
pub struct Failed {
    /// Tries left before a pause.
    pub left: u32,
    /// A pause that began with this one.
    pub wait: Option<Timestamp>,
}

/// Counts a failure.
pub fn fail(
    connection: &mut Connection,
    name: &str,
    keys: &Keys,
    limits: &Limits,
    act: &Act,
) -> Result<Failed> {
    let here = throttle::add(connection, &keys.account_here, act.now, &limits.account)?;
    let network = throttle::add(connection, &keys.network, act.now, &limits.network)?;
    let everywhere = throttle::add(connection, &keys.account, act.now, &limits.everywhere())?;
    let known_here = throttle::is_known(connection, &keys.known_here, act.now)?;
    let counted = if known_here { vec![here, network] } else { vec![here, network, everywhere] };
    let wait = counted.iter().filter_map(|failures: &Failures| failures.pause(act.now)).max();
    let known = users::find_by_name(connection, name)?.map(|stored| stored.account.id);
    act.record(
        connection,
        "user.sign_in_failed",
        known.map(|id| ("user", id.to_string())),
        known,
        None,
        wait.map(|until| format!("tries wait until {}", until.to_rfc3339())),
    )?;
    Ok(Failed { left: here.left(&limits.account), wait })
}

/// What a right password leads to.
pub enum Succeeded {
    /// The person is in.
    In(Box<Account>),
    /// Others tried at the same time, and too often: until then. Guesses that run side by side
    /// must not get around the pause that they cause.
    Wait(Timestamp),
    /// The account was disabled or its password changed while this one was judged.
    Gone,
}

/// Forgets the failures, stores a rehash, and notes the sign-in.
pub fn succeed(
    connection: &mut Connection,
    judged: &users::StoredAccount,
    rehashed: Option<&str>,
    keys: &Keys,
    act: &Act,
) -> Result<Succeeded> {
    let id = judged.account.id;
    if let Some(until) = throttle::find(connection, &keys.account_here)?.pause(act.now) {
        return Ok(Succeeded::Wait(until));
    }
    let Some(now) = users::find(connection, id)? else { return Ok(Succeeded::Gone) };
    if !now.account.is_active() || now.password_hash != judged.password_hash {
        return Ok(Succeeded::Gone);
    }
    throttle::forget(connection, &keys.account_here)?;
    throttle::forget(connection, &keys.account)?;
    throttle::make_known(connection, &keys.known_here, act.now.plus(KNOWN))?;
    if let Some(hash) = rehashed {
        users::set_password(connection, id, hash, None)?;
    }
    users::signed_in(connection, id, act.now)?;
    act.record(connection, "user.signed_in", Some(("user", id.to_string())), Some(id), None, None)?;
    Ok(Succeeded::In(Box::new(now.account)))
}
