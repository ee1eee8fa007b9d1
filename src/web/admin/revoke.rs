//! `/admin/sessions/revoke`: says what it will end, asks why, and does it.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};

use super::sessions::{Asked, live_only};
use crate::domain::id::FamilyId;
use crate::protocol::endings;
use crate::protocol::sessions::{Revoked, revoke_some};
use crate::storage::families::{self, Family, Filter, Sort, State};
use crate::storage::{Connection, Result};
use crate::web::browser::Admin;
use crate::web::form::{Fields, SubmittedForm};
use crate::web::names::Names;
use crate::web::page::{Context, PageError};
use crate::web::session_words;
use crate::web::views::{AdminRevokeView, Faults, Nav, RevokeThing, Tone, count, href, words};

/// The most sessions that are listed one by one; of more, only their number.
const LISTED: i64 = 50;
/// How many are ended in one change.
const STEP: i64 = 100;
/// The longest note.
const NOTE_CHARS: usize = 500;

/// What is to be revoked: some sessions, or all that match.
#[derive(Clone, Debug)]
struct Chosen {
    ids: Vec<FamilyId>,
    all: bool,
    asked: Asked,
}

impl Chosen {
    fn of(fields: &Fields) -> Self {
        let ids = fields.all("id").filter_map(|id| id.parse().ok()).collect();
        Self { ids, all: fields.ticked("all"), asked: Asked::of(fields) }
    }

    /// The live sessions that are meant; `None` where none can be.
    fn filter(&self, connection: &mut Connection) -> Result<Option<Filter>> {
        if self.all {
            // Never everything there is: only what a filter found.
            if !self.asked.is_filtered() {
                return Ok(None);
            }
            return Ok(live_only(self.asked.filter(connection)?));
        }
        Ok((!self.ids.is_empty()).then(|| Filter {
            ids: Some(self.ids.clone()),
            state: Some(State::Active),
            ..Filter::default()
        }))
    }

    /// The list that it was chosen from.
    fn back(&self, base: &str) -> String {
        href(&format!("{base}/admin/sessions"), &self.asked.pairs())
    }
}

/// What was typed so far.
#[derive(Clone, Debug)]
struct Typed {
    reason: String,
    note: String,
    browsers: bool,
    faults: Faults,
}

/// `GET /admin/sessions/revoke`
pub async fn ask(
    context: Context,
    admin: Admin,
    request: HttpRequest,
) -> std::result::Result<HttpResponse, PageError> {
    let chosen = Chosen::of(&Fields::of_query(&request));
    let typed = Typed {
        reason: String::new(),
        note: String::new(),
        browsers: true,
        faults: Faults::new(Faults::REVOKE),
    };
    draw(&context, &admin, chosen, typed).await
}

async fn draw(
    context: &Context,
    admin: &Admin,
    chosen: Chosen,
    typed: Typed,
) -> std::result::Result<HttpResponse, PageError> {
    let now = context.now;
    let wanted = chosen.clone();
    let (listed, total, names) = context
        .state
        .db
        .read(move |connection| {
            let Some(filter) = wanted.filter(connection)? else {
                return Ok((Vec::new(), 0, Names::default()));
            };
            // Those chosen one by one are all sent back one by one.
            let most = LISTED.max(i64::try_from(wanted.ids.len()).unwrap_or(LISTED));
            let listed = families::list(connection, &filter, Sort::default(), None, most, now)?;
            let total = families::count(connection, &filter, now)?;
            let names = Names::of(connection, &listed)?;
            Ok((listed, total, names))
        })
        .await?;
    let total = u64::try_from(total).unwrap_or(0);
    if total == 0 {
        let text = "Nothing to revoke: choose a session that hasn’t ended.";
        return Ok(context.done(&chosen.back(""), Tone::Bad, text));
    }
    let mut carried = Vec::new();
    if chosen.all {
        carried.push(("all", "1".to_owned()));
        let pairs = chosen.asked.pairs();
        carried.extend(pairs.map(|(name, value)| (name, value.to_owned())));
    }
    let access_token = context.state.settings.tokens.access_token;
    let page = context.page_for(Nav::AdminSessions, &admin.0);
    let listed_count = listed.len() as u64;
    let status =
        if typed.faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let view = AdminRevokeView {
        count: count(total, "session", "sessions"),
        within: words::span(access_token.as_secs()),
        offer_browsers: listed.iter().any(|family| family.browser_session.is_some()),
        things: listed.iter().map(|family| thing(family, &names, chosen.all)).collect(),
        more: (total > listed_count)
            .then(|| format!("and {} more", words::thousands(total - listed_count))),
        carried,
        reasons: AdminRevokeView::reasons(&typed.reason),
        note: typed.note,
        browsers: typed.browsers,
        faults: typed.faults,
        back: chosen.back(&page.base),
        page,
    };
    context.send_as(status, None, &view)
}

fn thing(family: &Family, names: &Names, all: bool) -> RevokeThing {
    let device = session_words::device_of(family);
    RevokeThing {
        // With a filter it is the filter that counts.
        id: if all { String::new() } else { family.id.to_string() },
        app: names.face(&family.client_id),
        title: format!(
            "{}, {}",
            names.person(family.user_id),
            names.app(family.client_id.as_str())
        ),
        facts: vec![device.label, family.caller_ip.clone()],
    }
}

/// How long one request goes on revoking: well within the time that any request may take.
const BUDGET: std::time::Duration = std::time::Duration::from_secs(4);

/// The reason as it is kept: its words, then the note.
fn reason_text(reason: &str, note: &str) -> Option<String> {
    let (_, label) = AdminRevokeView::REASONS.iter().find(|(value, _)| *value == reason)?;
    Some(if note.is_empty() { (*label).to_owned() } else { format!("{label}: {note}") })
}

/// `POST /admin/sessions/revoke`
pub async fn revoke(
    context: Context,
    admin: Admin,
    form: SubmittedForm,
) -> std::result::Result<HttpResponse, PageError> {
    let fields = form.0;
    let chosen = Chosen::of(&fields);
    let mut typed = Typed {
        reason: fields.text("reason").to_owned(),
        note: fields.text("note").to_owned(),
        browsers: fields.ticked("browsers"),
        faults: Faults::new(Faults::REVOKE),
    };
    let reason = reason_text(&typed.reason, &typed.note);
    if typed.note.chars().count() > NOTE_CHARS {
        typed.faults.add("note", format!("Use at most {NOTE_CHARS} characters."));
    }
    let (Some(reason), true) = (reason, typed.faults.is_empty()) else {
        if reason_text(&typed.reason, "").is_none() {
            typed.faults.add("reason-lost", "Choose a reason.");
        }
        return draw(&context, &admin, chosen, typed).await;
    };

    let act = context.act(&admin.0);
    let mut done = Revoked::default();
    let begun = std::time::Instant::now();
    // A step at a time, so that nobody waits for thousands. What begins meanwhile isn't meant.
    loop {
        let (wanted, reason, act) = (chosen.clone(), reason.clone(), act.clone());
        let browsers = typed.browsers;
        let (step, rest) = endings::carry_out(&context.state.db, move |connection| {
            match wanted.filter(connection)? {
                Some(mut filter) => {
                    filter.before = Some(act.now.plus(std::time::Duration::from_millis(1)));
                    revoke_some(connection, &filter, browsers, STEP, &reason, &act)
                }
                None => Ok(None),
            }
        })
        .await?;
        let Some(step) = step else { break };
        done.sessions += step.sessions + rest;
        done.browsers += step.browsers;
        if begun.elapsed() > BUDGET {
            let text =
                format!("{} There are more: revoke the rest in the same way.", receipt(done));
            return Ok(context.done(&chosen.back(""), Tone::Bad, &text));
        }
    }
    let back = chosen.back("");
    if done == Revoked::default() {
        return Ok(context.done(&back, Tone::Bad, "Nothing was revoked: it had ended already."));
    }
    Ok(context.done(&back, Tone::Good, &receipt(done)))
}

/// "2 sessions revoked. 1 browser signed out."
fn receipt(done: Revoked) -> String {
    let mut text = format!("{} revoked.", count(done.sessions as u64, "session", "sessions"));
    if done.browsers > 0 {
        let browsers = count(done.browsers as u64, "browser", "browsers");
        text.push_str(&format!(" {browsers} signed out."));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_receipt_counts_what_was_done() {
        assert_eq!(receipt(Revoked { sessions: 2, browsers: 0 }), "2 sessions revoked.");
        assert_eq!(
            receipt(Revoked { sessions: 1, browsers: 1 }),
            "1 session revoked. 1 browser signed out."
        );
    }

    #[test]
    fn a_reason_is_one_of_those_offered() {
        assert_eq!(reason_text("lost", "").as_deref(), Some("Device lost or stolen"));
        assert_eq!(reason_text("other", "asked by Ada").as_deref(), Some("Other: asked by Ada"));
        assert_eq!(reason_text("", "note"), None);
    }
}
