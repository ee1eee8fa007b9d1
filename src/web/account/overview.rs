//! `GET /account`

use actix_web::HttpResponse;

use super::alarms::Notices;
use crate::domain::profile::Field;
use crate::domain::scope::OFFLINE_ACCESS;
use crate::storage::families::{self, Filter, Sort, State};
use crate::storage::{browser_sessions, consents};
use crate::web::browser::SignedIn;
use crate::web::page::{Context, PageError};
use crate::web::views::{AccountView, Nav, Tease, When, count, words};

/// The overview.
pub async fn show(context: Context, who: SignedIn) -> Result<HttpResponse, PageError> {
    let (user, now) = (who.account.id, context.now);
    let (notices, latest, live, browsers, allowed) = context
        .state
        .db
        .read(move |connection| {
            let theirs =
                |state| Filter { users: Some(vec![user]), state: Some(state), ..Filter::default() };
            let notices = Notices::load(connection, user, now)?;
            let active = theirs(State::Active);
            let latest = families::list(connection, &active, Sort::LastUsedFirst, None, 1, now)?;
            let live = families::count(connection, &active, now)?;
            let browsers = browser_sessions::of_user(connection, user, now)?;
            let allowed = consents::of_user(connection, user)?;
            Ok((notices, latest, live, browsers, allowed))
        })
        .await?;

    let ms = now.as_millis();
    let sessions = u64::try_from(live).unwrap_or(0).saturating_add(browsers.len() as u64);
    let used = latest
        .first()
        .map(|family| family.chain.given_at)
        .into_iter()
        .chain(browsers.iter().map(|session| session.last_seen_at))
        .max();
    let away = allowed.iter().filter(|(_, consent)| consent.scope.contains(OFFLINE_ACCESS)).count();
    let account = &who.account;
    let view = AccountView {
        first_name: words::first_name(&account.display_name).to_owned(),
        alarms: notices.told(account.password_changed_at, now),
        sessions: Tease {
            heading: count(sessions, "session", "sessions"),
            text: used.map_or_else(String::new, |at| {
                format!("The latest was used {}.", When::on(ms, at.as_millis()).text)
            }),
        },
        apps: Tease {
            heading: count(allowed.len() as u64, "connected app", "connected apps"),
            text: match (allowed.len(), away) {
                (0, _) => "No app uses your account yet.".to_owned(),
                (_, 0) => "None of them keeps access while you are away.".to_owned(),
                (_, 1) => "1 of them keeps access while you are away.".to_owned(),
                (_, many) => format!("{many} of them keep access while you are away."),
            },
        },
        security: Tease {
            heading: "Password".to_owned(),
            text: format!(
                "Last changed on {}.",
                When::full_date(account.password_changed_at.as_millis()).text
            ),
        },
        name: account.display_name.clone(),
        email: account.email.clone(),
        email_verified: account.email_verified,
        phone: account.profile.get(Field::PhoneNumber).to_owned(),
        phone_verified: account.profile.phone_number_verified,
        username: account.username.clone(),
        member_since: When::full_date(account.created_at.as_millis()),
        page: context.page_for(Nav::Account, &who),
    };
    context.send(&view)
}
