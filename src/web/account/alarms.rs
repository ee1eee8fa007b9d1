//! Alarms as their person meets them: the notices on `/account`, what the person says of one, and
//! `/account/alarms/{id}`, which shuts everybody else out.

use std::time::Duration;

use actix_web::{HttpResponse, web};

use crate::domain::alarm::{Alarm, Answer, Answered};
use crate::domain::history::{History, SeenCaller};
use crate::domain::id::{FamilyId, UserId};
use crate::domain::time::Timestamp;
use crate::domain::token_family::{EndCause, Status};
use crate::protocol::{alarms as acts, endings};
use crate::storage::families::{self, Family, Filter, Sort, State};
use crate::storage::{Connection, StorageError, alarms};
use crate::web::browser::SignedIn;
use crate::web::fork;
use crate::web::form::SubmittedForm;
use crate::web::names::Names;
use crate::web::page::{Context, PageError};
use crate::web::session_words;
use crate::web::views::{Alarm as Notice, ConfirmView, Nav, Tone, When, count, program};

/// How long an alarm stands on the overview.
const TOLD: Duration = Duration::from_secs(30 * 86_400);
/// Sessions with an alarm that are looked at.
const LOOKED_AT: i64 = 50;
/// The most notices.
const MOST: usize = 10;

/// The alarms of a person, with all that is told of them.
pub struct Notices {
    all: Vec<(Family, Alarm, History)>,
    names: Names,
}

impl Notices {
    /// Those of this person.
    ///
    /// # Errors
    /// What storage says.
    pub fn load(
        connection: &mut Connection,
        user: UserId,
        now: Timestamp,
    ) -> Result<Self, StorageError> {
        let filter =
            Filter { users: Some(vec![user]), state: Some(State::Alarm), ..Filter::default() };
        let found = families::list(connection, &filter, Sort::default(), None, LOOKED_AT, now)?;
        let names = Names::of(connection, &found)?;
        let ids: Vec<FamilyId> = found.iter().map(|family| family.id).collect();
        let raised = alarms::of(connection, &ids)?;
        let mut all = Vec::new();
        for family in found {
            if let Some(alarm) = raised.iter().find(|alarm| alarm.family == family.id) {
                let history = families::history(connection, family.id)?;
                all.push((family, alarm.clone(), history));
            }
        }
        all.sort_by_key(|(_, alarm, _)| std::cmp::Reverse(alarm.at));
        Ok(Self { all, names })
    }

    /// Those that the person has still something to do about, the latest first.
    pub fn told(&self, password_changed: Timestamp, now: Timestamp) -> Vec<Notice> {
        self.all
            .iter()
            .filter(|(_, alarm, _)| {
                now.since(alarm.at) <= TOLD && alarm.concerns_person(password_changed)
            })
            .filter_map(|(family, alarm, history)| {
                notice(family, alarm, history, &self.names.app(family.client_id.as_str()), now)
            })
            .take(MOST)
            .collect()
    }
}

/// What the person should know of a session that raised an alarm.
fn notice(
    family: &Family,
    alarm: &Alarm,
    history: &History,
    app: &str,
    now: Timestamp,
) -> Option<Notice> {
    let title = session_words::title(app, &session_words::device_of(family));
    let place = |when: &str, caller: &SeenCaller| {
        format!("{when} {}, with {}", caller.ip, program(Some(&caller.agent)))
    };
    let (heading, text, question, places) = match family.status {
        Status::Ended { cause: EndCause::Reuse, .. } => (
            format!("We signed you out of {title}"),
            "its sign-in key was used from two places, and we couldn’t tell which one was you. \
             Signing in again is safe.",
            "Was it you both times?",
            fork::fork(family, history).map_or_else(Vec::new, |fork| {
                vec![place("First from", &fork.first), place("Then from", &fork.second)]
            }),
        ),
        Status::Ended { cause: EndCause::CodeReuse, .. } => (
            format!("We signed you out of {title}"),
            "the code that it signed in with was used twice, and once is all that it may be. \
             Signing in again is safe.",
            "Was it you who signed in?",
            Vec::new(),
        ),
        // It ended otherwise since: there is nothing left to do.
        Status::Ended { .. } => return None,
        Status::Live => (
            format!("Somebody else may have used {title}"),
            "an answer to the app went to a place that we hadn’t seen it at before, and the app \
             asked for it again.",
            "Was that you, too?",
            fork::stranger(history).map_or_else(Vec::new, |who| vec![place("From", who)]),
        ),
    };
    Some(Notice {
        id: family.id.to_string(),
        raised: alarm.at.as_millis(),
        heading,
        when: When::on_capital(now.as_millis(), alarm.at.as_millis()),
        text: text.to_owned(),
        places,
        question,
        disowned: matches!(alarm.answered, Some(Answered { answer: Answer::NotMe, .. })),
    })
}

fn family_id(path: &web::Path<String>) -> Result<FamilyId, PageError> {
    path.parse().map_err(|_| PageError::NotFound)
}

/// Notes what the person says. Whether it was the first time.
async fn say(
    context: &Context,
    who: &SignedIn,
    id: FamilyId,
    form: &SubmittedForm,
    answer: Answer,
) -> Result<bool, PageError> {
    let raised = form.0.text("raised").parse().map_err(|_| PageError::NotFound)?;
    let raised = Timestamp::from_millis(raised);
    let (user, act) = (who.account.id, context.act(who));
    context
        .state
        .db
        .write(move |connection| acts::answer(connection, user, id, raised, answer, &act))
        .await?
        .ok_or(PageError::NotFound)
}

/// `POST /account/alarms/{id}/me`
pub async fn was_me(
    context: Context,
    who: SignedIn,
    path: web::Path<String>,
    form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let said = say(&context, &who, family_id(&path)?, &form, Answer::Me).await?;
    let text = if said {
        "Thank you. We won’t ask about it again."
    } else {
        "You had answered that already, or something new has happened since."
    };
    Ok(context.done("/account", Tone::Good, text))
}

/// `POST /account/alarms/{id}/not-me`: on to the page that shuts everybody else out.
pub async fn was_not_me(
    context: Context,
    who: SignedIn,
    path: web::Path<String>,
    form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let id = family_id(&path)?;
    say(&context, &who, id, &form, Answer::NotMe).await?;
    Ok(context.see_other(&format!("/account/alarms/{id}")))
}

/// `GET /account/alarms/{id}`
pub async fn ask_to_shut_out(
    context: Context,
    who: SignedIn,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let (id, user) = (family_id(&path)?, who.account.id);
    let app = context
        .state
        .db
        .read(move |connection| {
            let Some(family) = acts::alarmed(connection, user, id)? else { return Ok(None) };
            let names = Names::of(connection, std::slice::from_ref(&family))?;
            Ok(Some(names.app(family.client_id.as_str())))
        })
        .await?
        .ok_or(PageError::NotFound)?;
    let page = context.page_for(Nav::Account, &who);
    context.send(&ConfirmView::shut_out(page, &id.to_string(), &app))
}

/// `POST /account/alarms/{id}/shut-out`: on to the page that changes the password.
pub async fn shut_out(
    context: Context,
    who: SignedIn,
    path: web::Path<String>,
    _form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let (id, user, here) = (family_id(&path)?, who.account.id, who.session);
    let act = context.act(&who);
    let (ended, rest) = endings::carry_out(&context.state.db, move |connection| {
        acts::shut_out(connection, user, id, here, &act)
    })
    .await?;
    let ended = ended.ok_or(PageError::NotFound)? + rest;
    let text = match ended {
        0 => "Signed out everywhere else. Now choose a new password.".to_owned(),
        some => format!(
            "Signed out everywhere else: {} of apps ended. Now choose a new password.",
            count(some as u64, "session", "sessions")
        ),
    };
    Ok(context.done("/account/security", Tone::Good, &text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::session_words::tests::family;

    #[test]
    fn alarms_are_told_for_a_month_and_until_nothing_is_left_to_do() {
        let start = Timestamp::from_millis(1_795_444_327_000);
        let told = |status, answered, now| {
            let family = Family { status, ..family(start, 4) };
            let alarm = Alarm { family: family.id, at: start, read: None, answered };
            let notices =
                Notices { all: vec![(family, alarm, History::default())], names: Names::default() };
            notices.told(start, now).pop()
        };
        let ended = |cause| Status::Ended { at: start, cause };
        let heading = |status| told(status, None, start).map(|notice| notice.heading);
        assert_eq!(heading(Status::Live).unwrap(), "Somebody else may have used meadow-notes");
        let reuse = ended(EndCause::Reuse);
        assert_eq!(heading(reuse).unwrap(), "We signed you out of meadow-notes");
        assert!(heading(ended(EndCause::Person)).is_none(), "nothing is left to do");
        assert!(told(reuse, None, start.plus(TOLD * 2)).is_none());
        let said = |answer| Some(Answered { at: start.plus(TOLD / 30), answer });
        assert!(told(reuse, said(Answer::Me), start).is_none());
        assert!(told(reuse, said(Answer::NotMe), start).unwrap().disowned);
    }
}
