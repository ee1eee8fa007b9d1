//! Which apps are to be told of the end of a browser's sign-in, and those that are being told.
//!
//! A row is written when an app that wants to be told signs somebody in, and waits. The end of
//! the sign-in makes it due, in the transaction of whatever ended it, so that no crash loses it.
//! Whoever makes rows due has locked the families before, and takes the rows by their ids.

use diesel::dsl::{exists, not};
use diesel::prelude::*;

use super::connection::Connection;
use super::error::{Result, StorageError};
use super::nested;
use super::schema::{
    browser_sessions as b, clients as c, logout_deliveries as d, token_families as t,
};
use crate::domain::client::ClientId;
use crate::domain::id::{BrowserSessionId, LogoutId, UserId};
use crate::domain::time::Timestamp;

/// An app in which a browser's sign-in signed somebody in.
#[derive(Clone, Debug)]
pub struct Reached {
    /// The id that the delivery will have.
    pub id: LogoutId,
    /// The sign-in.
    pub browser: BrowserSessionId,
    /// The app.
    pub client: ClientId,
    /// Who signed in.
    pub user: UserId,
    /// Whether the app has no refresh token, so that its session lasts as long as the sign-in.
    pub by_browser: bool,
}

/// A delivery that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its id.
    pub id: LogoutId,
    /// The sign-in that ended.
    pub browser: BrowserSessionId,
    /// The app.
    pub client: ClientId,
    /// Who had signed in.
    pub user: UserId,
    /// When they first did.
    pub since: Timestamp,
    /// When it is due.
    pub due_at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
}

type Row = (Vec<u8>, Vec<u8>, String, Vec<u8>, i64, Option<i64>, i64);

impl TryFrom<Row> for Delivery {
    type Error = StorageError;

    fn try_from((id, browser, client, user, since, due_at, attempts): Row) -> Result<Self> {
        let corrupt = |what: &str| StorageError::Corrupt(format!("logout delivery: {what}"));
        Ok(Self {
            id: LogoutId::from_slice(&id).ok_or_else(|| corrupt("id"))?,
            browser: BrowserSessionId::from_slice(&browser).ok_or_else(|| corrupt("browser"))?,
            client: ClientId::parse(&client).map_err(|error| corrupt(&error))?,
            user: UserId::from_slice(&user).ok_or_else(|| corrupt("user"))?,
            since: Timestamp::from_millis(since),
            due_at: Timestamp::from_millis(due_at.ok_or_else(|| corrupt("not due"))?),
            attempts: u32::try_from(attempts).map_err(|_| corrupt("attempts"))?,
        })
    }
}

/// Whether a family of this row's app and browser can still be used; with `$refreshable`, as
/// one that has a refresh token.
macro_rules! lives {
    ($now:expr) => {
        t::table
            .filter(t::browser_session_id.eq(d::browser_session_id.nullable()))
            .filter(t::client_id.eq(d::client_id))
            .filter(t::ended_at.is_null())
            .filter((t::given_at + t::idle_ms).gt($now))
            .filter(t::ends_at.is_null().or(t::ends_at.assume_not_null().gt($now)))
    };
}

/// Whether this row's session has ended by itself: no refresh token of it counts any more, and
/// where one app goes without, the browser's sign-in is over.
macro_rules! lapsed {
    ($now:expr) => {
        not(exists(lives!($now).filter(t::refreshable))).and(not(d::by_browser.and(exists(
            b::table
                .filter(b::id.eq(d::browser_session_id))
                .filter(b::ends_at.gt($now))
                .filter((b::last_seen_at + b::idle_ms).gt($now)),
        ))))
    };
}

/// Notes that an app signed somebody in by this browser, if that isn't known yet.
pub fn reached(connection: &mut Connection, new: &Reached, now: Timestamp) -> Result<()> {
    let own = || {
        d::table
            .filter(d::browser_session_id.eq(new.browser.as_bytes().to_vec()))
            .filter(d::client_id.eq(new.client.to_string()))
            .filter(d::due_at.is_null())
    };
    // Held, so that an ending which comes meanwhile is told of, and this sign-in of its own end.
    let known = if new.by_browser {
        diesel::update(own()).set(d::by_browser.eq(true)).execute(connection)?
    } else {
        diesel::update(own()).set(d::by_browser.eq(d::by_browser)).execute(connection)?
    };
    match known {
        0 => match nested(connection, |connection| insert(connection, new, now)) {
            // At the same moment in another tab.
            Err(StorageError::Duplicate) => Ok(()),
            other => other,
        },
        _ => Ok(()),
    }
}

fn insert(connection: &mut Connection, new: &Reached, now: Timestamp) -> Result<()> {
    diesel::insert_into(d::table)
        .values((
            d::id.eq(new.id.as_bytes().as_slice()),
            d::browser_session_id.eq(new.browser.as_bytes().as_slice()),
            d::client_id.eq(new.client.as_str()),
            d::user_id.eq(new.user.as_bytes().as_slice()),
            d::by_browser.eq(new.by_browser),
            d::since.eq(now.as_millis()),
            d::attempts.eq(0),
        ))
        .execute(connection)?;
    Ok(())
}

/// Makes due what is to be told of families that have just ended: of each app and browser that
/// has no other one left. One question, whether anybody wants to be told or not.
pub fn families_ended(
    connection: &mut Connection,
    ended: &[(BrowserSessionId, &ClientId)],
    now: Timestamp,
) -> Result<()> {
    let ids = waiting_of(connection, ended, now)?;
    make_due(connection, ids, now)
}

/// Forgets what would be told of families that ended with their app.
pub fn families_removed(
    connection: &mut Connection,
    ended: &[(BrowserSessionId, &ClientId)],
    now: Timestamp,
) -> Result<()> {
    for id in waiting_of(connection, ended, now)? {
        diesel::delete(d::table.filter(d::id.eq(id)).filter(d::due_at.is_null()))
            .execute(connection)?;
    }
    Ok(())
}

/// The rows of these pairs that wait and have no family left, in the order of their ids.
fn waiting_of(
    connection: &mut Connection,
    ended: &[(BrowserSessionId, &ClientId)],
    now: Timestamp,
) -> Result<Vec<Vec<u8>>> {
    let mut browsers: Vec<Vec<u8>> =
        ended.iter().map(|(browser, _)| browser.as_bytes().to_vec()).collect();
    browsers.sort_unstable();
    browsers.dedup();
    if browsers.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<(Vec<u8>, Vec<u8>, String, bool)> = d::table
        .filter(d::due_at.is_null())
        .filter(d::browser_session_id.eq_any(browsers))
        .order(d::id)
        .select((d::id, d::browser_session_id, d::client_id, exists(lives!(now.as_millis()))))
        .load(connection)?;
    let meant = |browser: &[u8], client: &str| {
        ended.iter().any(|(own, app)| own.as_bytes() == browser && app.as_str() == client)
    };
    Ok(rows
        .into_iter()
        .filter(|(_, browser, client, lives)| !lives && meant(browser, client))
        .map(|(id, ..)| id)
        .collect())
}

/// Makes due what is to be told of the end of a browser's sign-in: to all its apps.
pub fn browser_ended(
    connection: &mut Connection,
    browser: BrowserSessionId,
    now: Timestamp,
) -> Result<()> {
    let ids = d::table
        .filter(d::due_at.is_null())
        .filter(d::browser_session_id.eq(browser.as_bytes().to_vec()))
        .order(d::id)
        .select(d::id)
        .load(connection)?;
    make_due(connection, ids, now)
}

/// Makes due what is to be told of a person: but, where given, of this browser; or to one app
/// alone.
pub fn user_ended(
    connection: &mut Connection,
    user: UserId,
    except: Option<BrowserSessionId>,
    client: Option<&ClientId>,
    now: Timestamp,
) -> Result<()> {
    let rows: Vec<(Vec<u8>, Vec<u8>, String)> = d::table
        .filter(d::due_at.is_null())
        .filter(d::user_id.eq(user.as_bytes().to_vec()))
        .order(d::id)
        .select((d::id, d::browser_session_id, d::client_id))
        .load(connection)?;
    let ids = rows
        .into_iter()
        .filter(|(_, browser, own)| {
            except.is_none_or(|except| except.as_bytes().as_slice() != browser.as_slice())
                && client.is_none_or(|client| client.as_str() == own)
        })
        .map(|(id, ..)| id)
        .collect();
    make_due(connection, ids, now)
}

/// Forgets what an app that was removed would still have been told.
pub fn forget_due(connection: &mut Connection, client: &ClientId) -> Result<()> {
    let due = d::table.filter(d::client_id.eq(client.as_str())).filter(d::due_at.is_not_null());
    diesel::delete(due).execute(connection)?;
    Ok(())
}

/// One by one, in the order of ids: two that make the same rows due don't wait for each other.
fn make_due(connection: &mut Connection, ids: Vec<Vec<u8>>, now: Timestamp) -> Result<()> {
    for id in ids {
        diesel::update(d::table.filter(d::id.eq(id)).filter(d::due_at.is_null()))
            .set(d::due_at.eq(now.as_millis()))
            .execute(connection)?;
    }
    Ok(())
}

/// What a look at rows that wait found.
#[derive(Debug, Default)]
pub struct Look {
    /// Those whose session has ended by itself.
    pub lapsed: Vec<LogoutId>,
    /// Those whose app is gone.
    pub orphans: Vec<LogoutId>,
    /// Where it came to; nothing when there are no more.
    pub last: Option<LogoutId>,
}

/// Looks at the next rows that wait, at most `limit`, in the order of their ids.
pub fn look(
    connection: &mut Connection,
    after: Option<LogoutId>,
    limit: i64,
    now: Timestamp,
) -> Result<Look> {
    let from = after.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
    let app = c::table.filter(c::id.eq(d::client_id));
    let rows: Vec<(Vec<u8>, bool, bool)> = d::table
        .filter(d::due_at.is_null())
        .filter(d::id.gt(from))
        .order(d::id)
        .select((d::id, exists(app), lapsed!(now.as_millis())))
        .limit(limit)
        .load(connection)?;
    let mut found = Look::default();
    for (id, has_app, lapsed) in rows {
        let id = LogoutId::from_slice(&id)
            .ok_or_else(|| StorageError::Corrupt("logout delivery: id".into()))?;
        found.last = Some(id);
        if !has_app {
            found.orphans.push(id);
        } else if lapsed {
            found.lapsed.push(id);
        }
    }
    Ok(found)
}

/// Makes these due, where their sessions are still over, and forgets those whose app is gone.
/// How many are due now.
pub fn settle_look(
    connection: &mut Connection,
    lapsed: &[LogoutId],
    orphans: &[LogoutId],
    now: Timestamp,
) -> Result<usize> {
    for id in orphans {
        let own = d::table.filter(d::id.eq(id.as_bytes().to_vec())).filter(d::due_at.is_null());
        let app = c::table.filter(c::id.eq(d::client_id));
        diesel::delete(own.filter(not(exists(app)))).execute(connection)?;
    }
    let mut due = 0;
    for id in lapsed {
        let own = d::table.filter(d::id.eq(id.as_bytes().to_vec())).filter(d::due_at.is_null());
        due += diesel::update(own.filter(lapsed!(now.as_millis())))
            .set(d::due_at.eq(now.as_millis()))
            .execute(connection)?;
    }
    Ok(due)
}

/// The next deliveries that are due, the oldest first, but to these apps.
pub fn due(
    connection: &mut Connection,
    but: &[ClientId],
    limit: i64,
    now: Timestamp,
) -> Result<Vec<Delivery>> {
    let but: Vec<&str> = but.iter().map(ClientId::as_str).collect();
    d::table
        .filter(d::due_at.le(now.as_millis()))
        .filter(d::client_id.ne_all(but))
        .order((d::due_at, d::id))
        .select((
            d::id,
            d::browser_session_id,
            d::client_id,
            d::user_id,
            d::since,
            d::due_at,
            d::attempts,
        ))
        .limit(limit)
        .load::<Row>(connection)?
        .into_iter()
        .map(Delivery::try_from)
        .collect()
}

/// Takes a delivery for one more attempt until `until`, when somebody else may. Whether nobody
/// else was first.
pub fn claim(
    connection: &mut Connection,
    delivery: &mut Delivery,
    until: Timestamp,
) -> Result<bool> {
    let attempts = delivery.attempts.saturating_add(1);
    let rows = diesel::update(
        d::table
            .filter(d::id.eq(delivery.id.as_bytes().to_vec()))
            .filter(d::due_at.eq(delivery.due_at.as_millis()))
            .filter(d::attempts.eq(i64::from(delivery.attempts))),
    )
    .set((d::due_at.eq(until.as_millis()), d::attempts.eq(i64::from(attempts))))
    .execute(connection)?;
    if rows == 1 {
        delivery.attempts = attempts;
        delivery.due_at = until;
    }
    Ok(rows == 1)
}

/// Puts a delivery that was claimed off until then. Whether it was still ours.
pub fn put_off(connection: &mut Connection, delivery: &Delivery, until: Timestamp) -> Result<bool> {
    let rows = diesel::update(
        d::table
            .filter(d::id.eq(delivery.id.as_bytes().to_vec()))
            .filter(d::due_at.eq(delivery.due_at.as_millis()))
            .filter(d::attempts.eq(i64::from(delivery.attempts))),
    )
    .set(d::due_at.eq(until.as_millis()))
    .execute(connection)?;
    Ok(rows == 1)
}

/// Forgets a delivery that was claimed and is done. Whether it was still ours.
pub fn remove(connection: &mut Connection, delivery: &Delivery) -> Result<bool> {
    let own = d::table
        .filter(d::id.eq(delivery.id.as_bytes().to_vec()))
        .filter(d::due_at.eq(delivery.due_at.as_millis()))
        .filter(d::attempts.eq(i64::from(delivery.attempts)));
    Ok(diesel::delete(own).execute(connection)? == 1)
}
