//! The accounts of one browser.

use actix_session::SessionExt;
use actix_web::HttpRequest;

use super::cookies::kept_keys;
use super::{ACTS_FOR, SignedIn, cookies, current, entry, state};
use crate::crypto::random;
use crate::domain::account::Account;
use crate::domain::audit::Actor;
use crate::domain::browser_session::BrowserSession;
use crate::domain::id::{BrowserSessionId, UserId};
use crate::protocol::act::Act;
use crate::protocol::browsers::{self, Holds, Kept};
use crate::protocol::endings;
use crate::protocol::sessions::{self, Apps};
use crate::storage::users;
use crate::web::client_address;
use crate::web::page::PageError;
use crate::web::state::AppState;

/// Everybody who is signed in, in this browser.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// For whom it acts.
    pub active: Option<SignedIn>,
    /// The others, the latest first.
    pub others: Vec<SignedIn>,
}

impl Accounts {
    /// All of them, for whom it acts first.
    pub fn all(&self) -> impl Iterator<Item = &SignedIn> {
        self.active.iter().chain(&self.others)
    }

    /// This person, if they are signed in here.
    pub fn find(&self, user: UserId) -> Option<&SignedIn> {
        self.all().find(|who| who.account.id == user)
    }

    /// Whether there is room for one more.
    pub fn has_room(&self) -> bool {
        self.all().count() < browsers::MOST
    }
}

/// Everybody who is signed in, in this browser.
///
/// # Errors
/// When the database can't answer.
pub async fn accounts(request: &HttpRequest) -> Result<Accounts, PageError> {
    let state = state(request)?;
    let active = current(request).await?;
    let keys = kept_keys(request, &state);
    if keys.is_empty() {
        return Ok(Accounts { active, others: Vec::new() });
    }
    let (here, now) = (active.as_ref().map(|who| who.session), state.now());
    let found = state
        .db
        .read(move |connection| {
            let mut found = Vec::new();
            for kept in browsers::kept(connection, &keys, here, now)? {
                let stored = users::find(connection, kept.session.user_id)?;
                let account = stored.map(|stored| stored.account).filter(Account::is_active);
                found.extend(account.map(|account| (account, kept)));
            }
            Ok(found)
        })
        .await?;
    let others = found.into_iter().map(|(account, kept)| SignedIn {
        account,
        session: kept.session.id,
        signed_in_at: kept.session.signed_in_at,
    });
    Ok(Accounts { active, others: others.collect() })
}

/// Signs a person in, and has the browser act for them. Whoever else is signed in here stays so,
/// beside them. The same person's session begins anew under another key, and keeps its public
/// id, and so its apps and codes.
///
/// # Errors
/// When the session's map can't be written, or the database can't answer.
pub async fn sign_in(
    request: &HttpRequest,
    state: &AppState,
    account: &Account,
    stay: bool,
    act: &Act,
) -> Result<(), PageError> {
    let (now, sessions) = (act.now, &state.settings.sessions);
    let (idle, absolute) =
        if stay { (sessions.stay, sessions.stay) } else { (sessions.idle, sessions.absolute) };
    let caller = client_address::caller(request, state);
    let new = BrowserSession {
        id: BrowserSessionId::new(now, random::bytes()),
        user_id: account.id,
        signed_in_at: now,
        last_seen_at: now,
        idle,
        ends_at: now.plus(absolute),
        ip: caller.ip,
        agent: caller.agent,
    };
    let (active, keys) = (active(request), kept_keys(request, state));
    let act = act.clone();
    let (holds, _) = endings::carry_out(&state.db, move |connection| {
        browsers::sign_in(connection, new, stay, active, &keys, &act)
    })
    .await?;
    match holds {
        Some(holds) => hold(request, state, &holds),
        None => Ok(()),
    }
}

/// Has the browser act for another of its accounts. Whether it is signed in there.
///
/// # Errors
/// When the session's map can't be written, or the database can't answer.
pub async fn change_over(
    request: &HttpRequest,
    state: &AppState,
    to: BrowserSessionId,
) -> Result<bool, PageError> {
    let (active, keys, now) = (active(request), kept_keys(request, state), state.now());
    if active == Some(to) {
        return Ok(true);
    }
    let holds = state
        .db
        .write(move |connection| browsers::change_over(connection, to, active, &keys, now))
        .await?;
    match holds {
        Some(holds) => hold(request, state, &holds).map(|()| true),
        None => Ok(false),
    }
}

/// Signs out of one of the browser's accounts, and these of its apps.
///
/// # Errors
/// When the database can't answer.
pub async fn leave(
    request: &HttpRequest,
    state: &AppState,
    who: &SignedIn,
    apps: Apps,
    act: &Act,
) -> Result<(), PageError> {
    let (session, user) = (who.session, who.account.id);
    let act = Act { actor: Actor::User(user), ..act.clone() };
    let end =
        move |connection: &mut _| sessions::sign_out_of(connection, session, user, &apps, &act);
    endings::carry_out(&state.db, end).await?;
    if active(request) == Some(session) {
        super::forget(request);
    }
    let (keys, now) = (kept_keys(request, state), state.now());
    if !keys.is_empty() {
        let left: Vec<Kept> =
            state.db.read(move |connection| browsers::kept(connection, &keys, None, now)).await?;
        cookies::keep_others(request, state, &left, now);
    }
    Ok(())
}

/// Signs out of all the browser's accounts, apps and all. How many there were.
///
/// # Errors
/// When the database can't answer.
pub async fn leave_all(
    request: &HttpRequest,
    state: &AppState,
    act: &Act,
) -> Result<usize, PageError> {
    let all = accounts(request).await?;
    for who in all.all() {
        leave(request, state, who, Apps::All, act).await?;
    }
    Ok(all.all().count())
}

/// The session that the browser acts for.
fn active(request: &HttpRequest) -> Option<BrowserSessionId> {
    entry(&request.get_session())?.id.parse().ok()
}

/// Gives the browser its keys.
fn hold(request: &HttpRequest, state: &AppState, holds: &Holds) -> Result<(), PageError> {
    let session = request.get_session();
    session.clear();
    session.renew();
    session
        .insert(ACTS_FOR, holds.key.reveal())
        .map_err(|error| PageError::internal(error.to_string()))?;
    let now = state.now();
    if holds.stays {
        cookies::keep_session(request, holds.session.ends_at, now);
    }
    cookies::keep_others(request, state, &holds.kept, now);
    Ok(())
}
