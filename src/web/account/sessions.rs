//! `/account/sessions`: where a person is signed in, and how they end it.

use std::time::Duration;

use actix_web::{HttpResponse, web};

use crate::domain::browser_session::BrowserSession;
use crate::domain::id::{BrowserSessionId, FamilyId};
use crate::domain::time::Timestamp;
use crate::domain::token_family::EndCause;
use crate::protocol::{endings, sessions};
use crate::storage::families::{self, Family, Filter, Sort, State};
use crate::storage::{browser_sessions, users};
use crate::web::browser::SignedIn;
use crate::web::form::SubmittedForm;
use crate::web::names::Names;
use crate::web::page::{Context, PageError};
use crate::web::session_words;
use crate::web::views::{
    AccountSessionsView, EndedThing, Nav, SessionThing, Tone, When, count, device,
};

/// How long an ended session is listed.
const LISTED: Duration = Duration::from_secs(30 * 86_400);

/// The most sessions of each list.
const MOST: i64 = 200;

/// The page.
pub async fn show(context: Context, who: SignedIn) -> Result<HttpResponse, PageError> {
    let (user, now) = (who.account.id, context.now);
    let (live, ended, browsers, names) = context
        .state
        .db
        .read(move |connection| {
            let theirs =
                |state| Filter { users: Some(vec![user]), state: Some(state), ..Filter::default() };
            let sort = Sort::LastUsedFirst;
            let live = families::list(connection, &theirs(State::Active), sort, None, MOST, now)?;
            let mut ended =
                families::list(connection, &theirs(State::Ended), sort, None, MOST, now)?;
            ended.retain(|family| {
                session_words::ended_at(family, now).is_some_and(|at| now.since(at) <= LISTED)
            });
            ended.sort_by_key(|family| std::cmp::Reverse(session_words::ended_at(family, now)));
            let browsers = browser_sessions::of_user(connection, user, now)?;
            let all: Vec<Family> = live.iter().chain(&ended).cloned().collect();
            let names = Names::of(connection, &all)?;
            Ok((live, ended, browsers, names))
        })
        .await?;

    let site = context.state.settings.site_name.clone();
    let (mut here, mut others) = (Vec::new(), Vec::new());
    for session in &browsers {
        if session.id == who.session {
            here.push(browser_thing(session, &site, true, now));
        } else {
            others.push(browser_thing(session, &site, false, now));
        }
    }
    for family in &live {
        let thing = app_thing(family, &names.app(family.client_id.as_str()), now);
        // The list of this device begins with this very browser.
        if family.browser_session == Some(who.session) && !here.is_empty() {
            here.push(thing);
        } else {
            others.push(thing);
        }
    }
    let ended = ended
        .iter()
        .map(|family| {
            let device = session_words::device_of(family);
            let (badge, why) = session_words::told_to_person(family, now);
            let at = session_words::ended_at(family, now).unwrap_or(now);
            EndedThing {
                icon: device.icon,
                title: session_words::title(&names.app(family.client_id.as_str()), &device),
                badge,
                when: When::on_capital(now.as_millis(), at.as_millis()),
                why: why.map(str::to_owned),
            }
        })
        .collect();
    let page = context.page_for(Nav::AccountSessions, &who);
    context.send(&AccountSessionsView { page, here, others, ended })
}

fn browser_thing(session: &BrowserSession, site: &str, here: bool, now: Timestamp) -> SessionThing {
    let device = device(Some(&session.agent));
    let ms = now.as_millis();
    let end = session.ends_at.min(session.last_seen_at.plus(session.idle));
    SessionThing {
        id: session.id.to_string(),
        icon: device.icon,
        title: device.label,
        badge: here.then(SessionThing::here),
        facts: vec![site.to_owned(), session.ip.clone()],
        active: When::on(ms, session.last_seen_at.as_millis()),
        began: When::on(ms, session.signed_in_at.as_millis()),
        ends: Some(When::date(ms, end.as_millis())),
    }
}

fn app_thing(family: &Family, app: &str, now: Timestamp) -> SessionThing {
    let device = session_words::device_of(family);
    let ms = now.as_millis();
    let end = family.lifetime.next_end(family.chain.given_at);
    SessionThing {
        id: family.id.to_string(),
        icon: device.icon,
        title: session_words::title(app, &device),
        badge: session_words::quiet(family, now),
        facts: vec![device.detail.unwrap_or(device.label), family.caller_ip.clone()],
        active: When::on(ms, family.chain.given_at.as_millis()),
        began: When::on(ms, family.created_at.as_millis()),
        ends: Some(When::date(ms, end.as_millis())),
    }
}

/// What an end reached.
enum Ended {
    App { name: String, was_live: bool },
    Browser { name: String },
}

/// `POST /account/sessions/{id}/end`: one app's session or one browser's, of this person only.
pub async fn end(
    context: Context,
    who: SignedIn,
    path: web::Path<String>,
    _form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let id = path.into_inner();
    let user = who.account.id;
    let act = context.act(&who);
    let (ended, _) = endings::carry_out(&context.state.db, move |connection| {
        if let Ok(family_id) = id.parse::<FamilyId>()
            && let Some(family) = families::find(connection, family_id)?
            && family.user_id == user
        {
            let name = Names::of(connection, std::slice::from_ref(&family))?
                .app(family.client_id.as_str());
            let live = family.is_live(act.now)
                && sessions::end_family(connection, family_id, EndCause::Person, None, &act)?;
            return Ok(Some(Ended::App { name, was_live: live }));
        }
        if let Ok(browser_id) = id.parse::<BrowserSessionId>()
            && let Some(stored) = browser_sessions::find_by_id(connection, browser_id)?
            && stored.session.user_id == user
        {
            sessions::sign_out(connection, browser_id, user, &act)?;
            return Ok(Some(Ended::Browser { name: device(Some(&stored.session.agent)).label }));
        }
        Ok(None)
    })
    .await?;
    let text = match ended.ok_or(PageError::NotFound)? {
        Ended::App { name, was_live: true } => format!("Signed out of {name}."),
        Ended::App { name, was_live: false } => {
            format!("That session of {name} had ended already.")
        }
        Ended::Browser { name } => format!("Signed out {name}, and the apps it had signed in to."),
    };
    Ok(context.done("/account/sessions", Tone::Good, &text))
}

/// `POST /account/sessions/end-others`: all but this browser and the apps that came from it.
pub async fn end_others(
    context: Context,
    who: SignedIn,
    _form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let (user, here) = (who.account.id, who.session);
    let act = context.act(&who);
    let (ended, rest) = endings::carry_out(&context.state.db, move |connection| {
        // An account that was removed meanwhile has nothing to end.
        if users::find(connection, user)?.is_none() {
            return Ok(0);
        }
        sessions::end_all_of_user(connection, user, Some(here), EndCause::Person, None, &act)
    })
    .await?;
    let text = match ended + rest {
        0 => "Signed out everywhere else.".to_owned(),
        some => format!(
            "Signed out everywhere else: {} of apps ended.",
            count(some as u64, "session", "sessions")
        ),
    };
    Ok(context.done("/account/sessions", Tone::Good, &text))
}
