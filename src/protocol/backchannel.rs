//! OpenID Connect Back-Channel Logout: which apps are told that a sign-in has ended, what they
//! are sent, and what becomes of each attempt.

use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::act::Act;
use super::{id_token, subject};
use crate::crypto::keyring::Keyring;
use crate::crypto::random;
use crate::domain::client::{Client, ClientId};
use crate::domain::id::LogoutId;
use crate::domain::logout::{Attempt, Patience, TOKEN_LIFE};
use crate::domain::time::Timestamp;
use crate::storage::families::Family;
use crate::storage::logout_deliveries::{self as deliveries, Delivery, Reached};
use crate::storage::{Connection, Result, StorageError, clients};

/// The header's `typ` (section 2.4).
const KIND: &str = "logout+jwt";
/// The one event (section 2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Notes that an app which wants to be told has signed somebody in.
pub(super) fn reached(
    connection: &mut Connection,
    client: &Client,
    family: &Family,
    now: Timestamp,
) -> Result<()> {
    let wants = client.metadata.details.backchannel_logout_uri.is_some();
    let (true, Some(browser)) = (wants, family.browser_session) else { return Ok(()) };
    let new = Reached {
        id: LogoutId::new(now, random::bytes()),
        browser,
        client: client.id.clone(),
        user: family.user_id,
        by_browser: !family.refreshable,
    };
    deliveries::reached(connection, &new, now)
}

/// A delivery that is ours to attempt.
#[derive(Clone, Debug)]
pub struct Claimed {
    delivery: Delivery,
    client: Client,
    uri: String,
}

impl Claimed {
    /// The app.
    pub fn client(&self) -> &ClientId {
        &self.client.id
    }

    /// Where it is told.
    pub fn uri(&self) -> &str {
        &self.uri
    }
}

/// Which deliveries may be taken.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// None to these apps.
    pub but: Vec<ClientId>,
    /// So many at most.
    pub room: usize,
    /// So many to one app at most.
    pub each: usize,
    /// For so long they are ours; after that anybody may try again.
    pub lease: Duration,
}

/// Those that are due, at most as many as are wanted.
pub fn due(connection: &mut Connection, wanted: &Wanted, now: Timestamp) -> Result<Vec<Delivery>> {
    let look = i64::try_from(wanted.room.saturating_mul(4)).unwrap_or(i64::MAX);
    let mut chosen: Vec<Delivery> = Vec::new();
    for delivery in deliveries::due(connection, &wanted.but, look, now)? {
        let same = chosen.iter().filter(|other| other.client == delivery.client).count();
        if chosen.len() < wanted.room && same < wanted.each {
            chosen.push(delivery);
        }
    }
    Ok(chosen)
}

/// Takes these deliveries, as far as no other node was first. What an app doesn't want to be
/// told any more is forgotten.
pub fn claim(
    connection: &mut Connection,
    due: Vec<Delivery>,
    lease: Duration,
    now: Timestamp,
) -> Result<Vec<Claimed>> {
    let ids: Vec<ClientId> = due.iter().map(|delivery| delivery.client.clone()).collect();
    let apps = clients::find_many(connection, &ids)?;
    let mut claimed = Vec::new();
    for mut delivery in due {
        if !deliveries::claim(connection, &mut delivery, now.plus(lease))? {
            continue;
        }
        // A new app under the id of a removed one has no part in what was before it.
        let app = apps.iter().find(|app| app.id == delivery.client);
        let app = app.filter(|app| app.created_at <= delivery.since);
        let uri = app.and_then(|app| app.metadata.details.backchannel_logout_uri.clone());
        match (app, uri) {
            (Some(app), Some(uri)) => claimed.push(Claimed { client: app.clone(), delivery, uri }),
            _ => {
                deliveries::remove(connection, &delivery)?;
            }
        }
    }
    Ok(claimed)
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: String,
    sub: String,
    sid: String,
    events: serde_json::Value,
}

/// The logout token of an attempt (section 2.4), signed as the app's ID tokens are.
///
/// # Errors
/// When no key of the app's algorithm is there.
pub fn token(keyring: &Keyring, issuer: &str, claimed: &Claimed, now: Timestamp) -> Result<String> {
    let (client, delivery) = (&claimed.client, &claimed.delivery);
    let algorithm = id_token::algorithm(&client.metadata);
    let stored = keyring.stored();
    let signer = stored.signer(algorithm).ok_or_else(|| {
        StorageError::Unavailable(format!("there is no {} signing key yet", algorithm.name()))
    })?;
    let claims = Claims {
        iss: issuer,
        aud: client.id.as_str(),
        iat: now.as_seconds(),
        exp: now.plus(TOKEN_LIFE).as_seconds(),
        jti: delivery.id.to_string(),
        sub: subject::of(keyring, client, delivery.user),
        sid: keyring.sid(delivery.browser, &client.id),
        events: json!({ EVENT: {} }),
    };
    signer.sign(KIND, &claims).map_err(|error| StorageError::Corrupt(error.to_string()))
}

/// Writes down what came of an attempt: for the audit log, and for the next one.
pub fn settle(
    connection: &mut Connection,
    claimed: &Claimed,
    attempt: &Attempt,
    patience: Patience,
    now: Timestamp,
) -> Result<()> {
    let delivery = &claimed.delivery;
    let number = delivery.attempts;
    let pause = match attempt {
        Attempt::Failed(_) => patience.pause_after(number, dice()),
        Attempt::Told | Attempt::Refused => None,
    };
    let ours = match pause {
        Some(pause) => deliveries::put_off(connection, delivery, now.plus(pause))?,
        None => deliveries::remove(connection, delivery)?,
    };
    if !ours {
        // It took so long that somebody else has tried since, or the app was removed.
        return Ok(());
    }
    let (action, detail) = match (attempt, pause) {
        (Attempt::Told, _) => ("logout.told", format!("attempt {number}")),
        (Attempt::Refused, _) => {
            ("logout.refused", format!("attempt {number}: it answered with status 400"))
        }
        (Attempt::Failed(why), Some(pause)) => {
            let again = now.plus(pause).to_rfc3339();
            ("logout.failed", format!("attempt {number}: {why}; again at {again}"))
        }
        (Attempt::Failed(why), None) => {
            ("logout.given_up", format!("attempt {number}, the last: {why}"))
        }
    };
    Act::system(now).record(
        connection,
        action,
        Some(("browser", delivery.browser.to_string())),
        Some(delivery.user),
        Some(delivery.client.to_string()),
        Some(detail),
    )
}

fn dice() -> u8 {
    let [dice] = random::bytes();
    dice
}
