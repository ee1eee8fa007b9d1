//! `GET /account`

use std::time::Duration;

use actix_web::HttpResponse;

use crate::domain::scope::OFFLINE_ACCESS;
use crate::domain::time::Timestamp;
use crate::domain::token_family::{EndCause, Status};
use crate::storage::families::{self, Family, Filter, Sort, State};
use crate::storage::{browser_sessions, consents};
use crate::web::browser::SignedIn;
use crate::web::names::Names;
use crate::web::page::{Context, PageError};
use crate::web::session_words;
use crate::web::views::{AccountView, Alarm, Nav, Tease, When, count, words};

/// How long an alarm stands on the overview.
const TOLD: Duration = Duration::from_secs(30 * 86_400);

/// Sessions with an alarm that are looked at.
const LOOKED_AT: i64 = 50;

/// The overview.
pub async fn show(context: Context, who: SignedIn) -> Result<HttpResponse, PageError> {
    let (user, now) = (who.account.id, context.now);
    let (alarmed, names, latest, live, browsers, allowed) = context
        .state
        .db
        .read(move |connection| {
            let theirs =
                |state| Filter { users: Some(vec![user]), state: Some(state), ..Filter::default() };
            let alarms = theirs(State::Alarm);
            let alarmed =
                families::list(connection, &alarms, Sort::default(), None, LOOKED_AT, now)?;
            let names = Names::of(connection, &alarmed)?;
            let active = theirs(State::Active);
            let latest = families::list(connection, &active, Sort::LastUsedFirst, None, 1, now)?;
            let live = families::count(connection, &active, now)?;
            let browsers = browser_sessions::of_user(connection, user, now)?;
            let allowed = consents::of_user(connection, user)?;
            Ok((alarmed, names, latest, live, browsers, allowed))
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
        alarms: alarmed
            .iter()
            .filter_map(|family| alarm(family, &names.app(family.client_id.as_str()), now))
            .collect(),
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
        username: account.username.clone(),
        member_since: When::full_date(account.created_at.as_millis()),
        page: context.page_for(Nav::Account, &who),
    };
    context.send(&view)
}

/// What the person should know of a session that raised an alarm lately.
fn alarm(family: &Family, app: &str, now: Timestamp) -> Option<Alarm> {
    let at = family.alarm_at.filter(|at| now.since(*at) <= TOLD)?;
    let title = session_words::title(app, &session_words::device_of(family));
    let (heading, text) = match family.status {
        Status::Ended { cause: EndCause::Reuse, .. } => (
            format!("We signed you out of {title}"),
            "its sign-in key was used from two places, and we couldn’t tell which one was you. \
             Signing in again is safe. If you didn’t use it from elsewhere, change your password.",
        ),
        Status::Ended { cause: EndCause::CodeReuse, .. } => (
            format!("We signed you out of {title}"),
            "the code that it signed in with was used twice, and once is all that it may be. \
             Signing in again is safe.",
        ),
        // It ended otherwise since: there is nothing left to do.
        Status::Ended { .. } => return None,
        Status::Live => (
            format!("Somebody else may have used {title}"),
            "an answer to the app went to a place that we hadn’t seen it at before, and the app \
             asked for it again. If you don’t know that place, sign this session out and change \
             your password.",
        ),
    };
    let when = When::on_capital(now.as_millis(), at.as_millis());
    Some(Alarm { heading, when, text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::session_words::tests::family;

    #[test]
    fn alarms_are_told_for_a_month_and_until_nothing_is_left_to_do() {
        let start = Timestamp::from_millis(1_795_444_327_000);
        let mut own = family(start, 4);
        assert!(alarm(&own, "Meadow Notes", start).is_none());
        own.alarm_at = Some(start);
        let told = alarm(&own, "Meadow Notes", start).unwrap();
        assert_eq!(told.heading, "Somebody else may have used Meadow Notes");
        own.status = Status::Ended { at: start, cause: EndCause::Reuse };
        let told = alarm(&own, "Meadow Notes", start).unwrap();
        assert_eq!(told.heading, "We signed you out of Meadow Notes");
        assert!(alarm(&own, "Meadow Notes", start.plus(TOLD * 2)).is_none());
        own.status = Status::Ended { at: start, cause: EndCause::Person };
        assert!(alarm(&own, "Meadow Notes", start).is_none());
    }
}
