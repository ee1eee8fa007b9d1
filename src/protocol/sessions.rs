//! Every way to end a session. A session here is a token family, one app on one device, or
//! a browser's sign-in; each function names what it reaches. Where that may be many, it ends the
//! first of them, and [`super::endings::carry_out`] around it the rest.

use super::act::Act;
use super::endings::{self, Whose};
use crate::crypto::random;
use crate::domain::client::ClientId;
use crate::domain::id::{BrowserSessionId, FamilyId, UserId};
use crate::domain::time::Timestamp;
use crate::domain::token_family::EndCause;
use crate::storage::families::{Family, Filter};
use crate::storage::{
    Connection, Result, authorization_codes, browser_sessions, consents, families,
    logout_deliveries,
};

/// Ends one family. Whether it was live.
pub fn end_family(
    connection: &mut Connection,
    id: FamilyId,
    cause: EndCause,
    reason: Option<&str>,
    act: &Act,
) -> Result<bool> {
    let Some(family) = families::find(connection, id)? else { return Ok(false) };
    let ended = end_these(connection, std::slice::from_ref(&family), cause, reason, act)?;
    Ok(!ended.is_empty())
}

/// Ends these families, and has their apps told. Those of them that were live.
pub(super) fn end_these<'a>(
    connection: &mut Connection,
    meant: &'a [Family],
    cause: EndCause,
    reason: Option<&str>,
    act: &Act,
) -> Result<Vec<&'a Family>> {
    let mut ended = Vec::new();
    for family in meant {
        if end_one(connection, family, cause, reason, act)? {
            ended.push(family);
        }
    }
    let reached: Vec<_> = ended
        .iter()
        .filter_map(|family| Some((family.browser_session?, &family.client_id)))
        .collect();
    if cause == EndCause::ClientRemoved {
        logout_deliveries::families_removed(connection, &reached, act.now)?;
    } else {
        logout_deliveries::families_ended(connection, &reached, act.now)?;
    }
    Ok(ended)
}

fn end_one(
    connection: &mut Connection,
    family: &Family,
    cause: EndCause,
    reason: Option<&str>,
    act: &Act,
) -> Result<bool> {
    let (by, id) = (act.actor_name(), family.id);
    let ended =
        families::end(connection, id, None, cause, Some(&by), reason, act.now, random::write_id())?;
    if ended {
        if cause == EndCause::CodeReuse {
            families::alarm(connection, id, act.now)?;
        }
        record(connection, family, cause, reason, act)?;
    }
    Ok(ended)
}

/// What an administrator's revocation reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revoked {
    /// Sessions of apps.
    pub sessions: usize,
    /// Sign-ins of browsers.
    pub browsers: usize,
}

/// Revokes at most `limit` of the live families that `filter` means, for an administrator, and
/// with `browsers` the browser sign-ins that they came from. `None` when there is none left.
/// In steps, so that a change of thousands doesn't make everyone wait.
pub fn revoke_some(
    connection: &mut Connection,
    filter: &Filter,
    browsers: bool,
    limit: i64,
    reason: &str,
    act: &Act,
) -> Result<Option<Revoked>> {
    let sort = families::Sort::default();
    let mut meant = families::list(connection, filter, sort, None, limit, act.now)?;
    // In the order of ids, as everywhere: two that end the same rows don't wait for each other.
    meant.sort_by_key(|family| family.id);
    if meant.is_empty() {
        return Ok(None);
    }
    let ended = end_these(connection, &meant, EndCause::Admin, Some(reason), act)?;
    let mut revoked = Revoked { sessions: ended.len(), ..Revoked::default() };
    if browsers {
        for family in &meant {
            let Some(browser) = family.browser_session else { continue };
            if browser_sessions::find_by_id(connection, browser)?.is_some() {
                revoked.sessions += sign_out(connection, browser, family.user_id, act)?;
                revoked.browsers += 1;
            }
        }
    }
    Ok(Some(revoked))
}

/// What became of the sessions of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Ended now, those included that came from a browser which was signed out.
    pub ended: usize,
    /// Had ended before.
    pub ended_before: usize,
    /// Aren't in this database.
    pub unknown: usize,
    /// Sign-ins of browsers.
    pub browsers: usize,
}

/// Ends the families with these ids for an administrator, and with `browsers` the browser
/// sign-ins that they came from. One that had ended by itself is ended too: after a restore the
/// app may hold a token that the database has lost, and use it again.
pub fn end_listed(
    connection: &mut Connection,
    ids: &[FamilyId],
    browsers: bool,
    reason: Option<&str>,
    act: &Act,
) -> Result<Listed> {
    let mut meant = families::find_many(connection, ids)?;
    // In the order of ids, as everywhere: two that end the same rows don't wait for each other.
    meant.sort_by_key(|family| family.id);
    let ended = end_these(connection, &meant, EndCause::Admin, reason, act)?.len();
    let mut listed = Listed {
        ended,
        ended_before: meant.len() - ended,
        unknown: ids.len() - meant.len(),
        ..Listed::default()
    };
    if browsers {
        for family in &meant {
            let Some(browser) = family.browser_session else { continue };
            if browser_sessions::find_by_id(connection, browser)?.is_some() {
                listed.ended += sign_out(connection, browser, family.user_id, act)?;
                listed.browsers += 1;
            }
        }
    }
    Ok(listed)
}

/// Signs out the browsers in which somebody signed in before this time: these people, or
/// everybody. How many.
pub fn sign_out_before(
    connection: &mut Connection,
    before: Timestamp,
    users: Option<&[UserId]>,
    act: &Act,
) -> Result<usize> {
    let browsers = browser_sessions::remove_before(connection, before, users)?;
    if browsers > 0 {
        let detail = format!("{browsers} signed in before {}", before.to_rfc3339());
        act.record(connection, "browsers.signed_out", None, None, None, Some(detail))?;
    }
    Ok(browsers)
}

/// Which apps' sessions a sign-out ends beside the browser's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Apps {
    /// All that came from the browser.
    All,
    /// Those of the app that asks, and those that weren't given offline access: an app may not
    /// take from another what its person allowed it while they are away (OpenID Connect
    /// Back-Channel Logout section 2.7).
    AskedBy(Option<ClientId>),
}

/// Signs a browser out, and the apps that signed in through it. How many sessions of apps it
/// ended here.
pub fn sign_out(
    connection: &mut Connection,
    browser: BrowserSessionId,
    user: UserId,
    act: &Act,
) -> Result<usize> {
    sign_out_of(connection, browser, user, &Apps::All, act)
}

/// Signs a browser out, and these of the apps that signed in through it; whichever those are,
/// all that want to be told are. How many sessions of apps it ended here.
pub fn sign_out_of(
    connection: &mut Connection,
    browser: BrowserSessionId,
    user: UserId,
    apps: &Apps,
    act: &Act,
) -> Result<usize> {
    browser_sessions::remove_by_id(connection, browser)?;
    // Codes first: an exchange that is under way is waited for, and its session seen below.
    authorization_codes::forget_browser(connection, browser)?;
    let all = Whose { browser: Some(browser), ..Whose::default() };
    let cause = EndCause::SignedOut;
    let ended = match apps {
        Apps::All => endings::begin(connection, &all, cause, None, act)?,
        Apps::AskedBy(app) => {
            let mut ended = 0;
            if app.is_some() {
                let own = Whose { client: app.clone(), ..all.clone() };
                ended += endings::begin(connection, &own, cause, None, act)?;
            }
            let others = Whose { but_offline: true, ..all };
            ended + endings::begin(connection, &others, cause, None, act)?
        }
    };
    logout_deliveries::browser_ended(connection, browser, act.now)?;
    let app = match apps {
        Apps::AskedBy(Some(app)) => Some(app.to_string()),
        _ => None,
    };
    act.record(
        connection,
        "user.signed_out",
        Some(("browser", browser.to_string())),
        Some(user),
        app,
        None,
    )?;
    Ok(ended)
}

/// Ends everything of a person but, where given, the browser that they act from (with the apps
/// that came from it). How many sessions of apps it ended here.
pub fn end_all_of_user(
    connection: &mut Connection,
    user: UserId,
    except: Option<BrowserSessionId>,
    cause: EndCause,
    reason: Option<&str>,
    act: &Act,
) -> Result<usize> {
    browser_sessions::remove_all(connection, user, except)?;
    authorization_codes::forget_user(connection, user)?;
    let whose = Whose { user: Some(user), except, ..Whose::default() };
    let ended = endings::begin(connection, &whose, cause, reason, act)?;
    logout_deliveries::user_ended(connection, user, except, None, act.now)?;
    Ok(ended)
}

/// Takes back what a person allowed an app, and ends the app's sessions of that person. How many
/// it ended here.
pub fn remove_app(
    connection: &mut Connection,
    user: UserId,
    client: &ClientId,
    act: &Act,
) -> Result<usize> {
    let withdrawn = consents::withdraw(connection, user, client)?;
    // A code that is on its way would begin a session after this.
    authorization_codes::forget_app(connection, user, client)?;
    let whose = Whose { user: Some(user), client: Some(client.clone()), ..Whose::default() };
    let ended = endings::begin(connection, &whose, EndCause::ConsentWithdrawn, None, act)?;
    logout_deliveries::user_ended(connection, user, None, Some(client), act.now)?;
    if withdrawn {
        act.record(
            connection,
            "consent.withdrawn",
            Some(("client", client.to_string())),
            Some(user),
            Some(client.to_string()),
            None,
        )?;
    }
    Ok(ended)
}

fn record(
    connection: &mut Connection,
    family: &Family,
    cause: EndCause,
    reason: Option<&str>,
    act: &Act,
) -> Result<()> {
    let detail =
        reason.map_or_else(|| cause.name().to_owned(), |why| format!("{}: {why}", cause.name()));
    act.record(
        connection,
        "session.ended",
        Some(("session", family.id.to_string())),
        Some(family.user_id),
        Some(family.client_id.to_string()),
        Some(detail),
    )
}
