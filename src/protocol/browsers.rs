//! The accounts that one browser is signed in to: the one that it acts for, and those that it
//! keeps beside it. Each is a session of its own with a key of its own. A key changes whenever
//! what it is for does, so that nobody who planted or read one before can use it after.

use super::act::Act;
use super::sessions;
use crate::crypto::random;
use crate::domain::audit::Actor;
use crate::domain::browser_session::BrowserSession;
use crate::domain::id::BrowserSessionId;
use crate::domain::secret::PlainSecret;
use crate::domain::time::Timestamp;
use crate::storage::browser_sessions::{self, StoredSession};
use crate::storage::{Connection, Result, users};

/// The most accounts in one browser, the one that it acts for among them.
pub const MOST: usize = 8;

/// A session that a browser keeps beside the one that it acts for.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its key, as the browser's cookie holds it.
    pub key: PlainSecret,
    /// The session.
    pub session: BrowserSession,
    /// Whether it outlives the browser's window.
    pub stays: bool,
}

/// What a browser holds after a change.
#[derive(Clone, Debug)]
pub struct Holds {
    /// The key of the session that it acts for.
    pub key: PlainSecret,
    /// That session.
    pub session: BrowserSession,
    /// Whether it outlives the browser's window.
    pub stays: bool,
    /// The others, the latest first.
    pub kept: Vec<Kept>,
}

const STAYS: &str = r#"{"stays":"true"}"#;
const BRIEF: &str = "{}";

fn stays(stored: &StoredSession) -> bool {
    stored.state == STAYS
}

/// Whether this session outlives its browser's window.
pub fn outlives_the_window(connection: &mut Connection, id: BrowserSessionId) -> Result<bool> {
    Ok(browser_sessions::find_by_id(connection, id)?.is_some_and(|stored| stays(&stored)))
}

/// The sessions behind these keys that still count, in their order, one for each person and none
/// for whoever the browser acts for.
pub fn kept(
    connection: &mut Connection,
    keys: &[PlainSecret],
    active: Option<BrowserSessionId>,
    now: Timestamp,
) -> Result<Vec<Kept>> {
    let active = match active {
        Some(id) => browser_sessions::find_by_id(connection, id)?.map(|own| own.session.user_id),
        None => None,
    };
    let mut found: Vec<Kept> = Vec::new();
    for key in keys.iter().take(MOST) {
        let Some(stored) = browser_sessions::find(connection, key.hash())? else { continue };
        let user = stored.session.user_id;
        let known = Some(user) == active || found.iter().any(|kept| kept.session.user_id == user);
        if stored.session.is_live(now) && !known {
            let stays = stays(&stored);
            found.push(Kept { key: key.clone(), session: stored.session, stays });
        }
    }
    Ok(found)
}

/// Signs a person in beside whoever is signed in already. Where it is the same person, their
/// session begins anew and stays what it is to apps. `None` when the password was changed or the
/// account disabled while this sign-in was on its way.
pub fn sign_in(
    connection: &mut Connection,
    new: BrowserSession,
    stays: bool,
    active: Option<BrowserSessionId>,
    keys: &[PlainSecret],
    act: &Act,
) -> Result<Option<Holds>> {
    if !users::hold_active(connection, new.user_id, new.signed_in_at)? {
        return Ok(None);
    }
    let mut others = kept(connection, keys, None, act.now)?;
    if let Some(before) = set_aside(connection, active, act.now)? {
        others.retain(|kept| kept.session.user_id != before.session.user_id);
        others.insert(0, before);
    }
    let same = others.iter().position(|kept| kept.session.user_id == new.user_id);
    let before = same.map(|place| others.remove(place).session.id);
    let key = random::secret("");
    let state = if stays { STAYS } else { BRIEF };
    let mut stored = StoredSession { key_hash: key.hash(), session: new, state: state.to_owned() };
    let fresh = stored.session.id;
    stored.session.id = before.unwrap_or(fresh);
    if before.is_none() || !browser_sessions::renew(connection, &stored)? {
        // What was ended meanwhile stays ended.
        stored.session.id = fresh;
        browser_sessions::add(connection, &stored)?;
    }
    while others.len() >= MOST {
        let Some(last) = others.pop() else { break };
        let (id, user) = (last.session.id, last.session.user_id);
        sessions::sign_out(connection, id, user, &Act { actor: Actor::User(user), ..act.clone() })?;
    }
    Ok(Some(Holds { key, session: stored.session, stays, kept: others }))
}

/// Has the browser act for another of its accounts. `None` when it isn't signed in there any
/// more.
pub fn change_over(
    connection: &mut Connection,
    to: BrowserSessionId,
    active: Option<BrowserSessionId>,
    keys: &[PlainSecret],
    now: Timestamp,
) -> Result<Option<Holds>> {
    let mut others = kept(connection, keys, active, now)?;
    let Some(place) = others.iter().position(|kept| kept.session.id == to) else {
        return Ok(None);
    };
    let chosen = others.remove(place);
    let key = random::secret("");
    if !browser_sessions::change_key(connection, to, chosen.key.hash(), key.hash())? {
        return Ok(None);
    }
    if let Some(before) = set_aside(connection, active, now)? {
        others.insert(0, before);
    }
    Ok(Some(Holds { key, session: chosen.session, stays: chosen.stays, kept: others }))
}

/// Gives the session that a browser acts for a key to be kept by.
fn set_aside(
    connection: &mut Connection,
    active: Option<BrowserSessionId>,
    now: Timestamp,
) -> Result<Option<Kept>> {
    let Some(id) = active else { return Ok(None) };
    let Some(stored) = browser_sessions::find_by_id(connection, id)? else { return Ok(None) };
    let key = random::secret("");
    let changed = stored.session.is_live(now)
        && browser_sessions::change_key(connection, id, stored.key_hash, key.hash())?;
    let stays = stays(&stored);
    Ok(changed.then(|| Kept { key, session: stored.session, stays }))
}
