//! Alarms as administrators meet them: who has read one, and what its person says of it.

use actix_web::{HttpResponse, web};

use crate::domain::alarm::{Alarm, Answer};
use crate::domain::id::{FamilyId, UserId};
use crate::domain::time::Timestamp;
use crate::protocol::alarms;
use crate::web::browser::Admin;
use crate::web::form::SubmittedForm;
use crate::web::names::Names;
use crate::web::page::{Context, PageError};
use crate::web::views::{Reading, Tone, When};

/// Who read these alarms, for [`Names::load`].
pub fn readers(alarms: &[Alarm]) -> impl Iterator<Item = UserId> {
    alarms.iter().filter_map(|alarm| alarm.read.map(|read| read.by))
}

/// What has become of an alarm of this person, in words.
pub fn reading(alarm: &Alarm, person: UserId, names: &Names, now: Timestamp) -> Reading {
    Reading {
        unread: alarm.read.is_none().then(|| alarm.at.as_millis()),
        read: alarm
            .read
            .map(|read| (names.person(read.by), When::stamp(now.as_millis(), read.at.as_millis()))),
        said: alarm.answered.map(|answered| {
            let person = names.person(person);
            match answered.answer {
                Answer::Me => format!("{person} says: it was me."),
                Answer::NotMe => format!("{person} says: it wasn’t me."),
            }
        }),
    }
}

/// `POST /admin/sessions/{id}/read`
pub async fn read(
    context: Context,
    admin: Admin,
    path: web::Path<String>,
    form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let id: FamilyId = path.parse().map_err(|_| PageError::NotFound)?;
    let raised = form.0.text("raised").parse().map_err(|_| PageError::NotFound)?;
    let raised = Timestamp::from_millis(raised);
    let (by, act) = (admin.0.account.id, context.act(&admin.0));
    let read = context
        .state
        .db
        .write(move |connection| alarms::read(connection, id, raised, by, &act))
        .await?
        .ok_or(PageError::NotFound)?;
    let back = match form.0.text("back") {
        "overview" => "/admin".to_owned(),
        _ => format!("/admin/sessions/{id}"),
    };
    Ok(if read {
        context.done(&back, Tone::Good, "Marked as read.")
    } else {
        let text = "Somebody has read it already, or something new has happened since.";
        context.done(&back, Tone::Bad, text)
    })
}
