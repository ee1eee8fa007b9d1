//! `GET /admin/audit`: the audit log in words.

use actix_web::{HttpRequest, HttpResponse};

use crate::domain::client::ClientId;
use crate::domain::id::{AuditId, UserId};
use crate::domain::time::Timestamp;
use crate::storage::audit::{self, AuditLine, Filter};
use crate::storage::{Connection, Result, clients, users};
use crate::web::audit_words;
use crate::web::browser::Admin;
use crate::web::cursor;
use crate::web::form::Fields;
use crate::web::names::Names;
use crate::web::page::{Context, PageError};
use crate::web::views::{AuditRow, AuditView, Caption, Nav, Pager, When, count, href, words};

/// The most people that one search finds.
const PEOPLE: i64 = 200;

/// What is asked for, as it stands in the address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Asked {
    q: String,
    event: String,
    from: String,
    to: String,
}

impl Asked {
    fn of(fields: &Fields) -> Self {
        let text = |name: &str| fields.text(name).to_owned();
        // A day that isn't one is left out, of the form too.
        let date = |name: &str| Some(text(name)).filter(|text| day(text).is_some());
        Self {
            q: text("q"),
            event: text("event"),
            from: date("from").unwrap_or_default(),
            to: date("to").unwrap_or_default(),
        }
    }

    fn pairs(&self) -> [(&'static str, &str); 4] {
        [("q", &self.q), ("event", &self.event), ("from", &self.from), ("to", &self.to)]
    }

    fn filter(&self, connection: &mut Connection) -> Result<Filter> {
        let mut filter = Filter {
            from: day(&self.from),
            until: day(&self.to).map(|day| day.plus(std::time::Duration::from_secs(86_400))),
            ..events(&self.event)
        };
        if !self.q.is_empty() {
            self.search(connection, &mut filter)?;
        }
        Ok(filter)
    }

    /// A person, a session, an app, an address, or the reference of a request.
    fn search(&self, connection: &mut Connection, filter: &mut Filter) -> Result<()> {
        let q = self.q.as_str();
        if let Ok(id) = q.parse::<UserId>() {
            match users::find(connection, id)? {
                Some(_) => filter.user = Some(id),
                None => filter.target = Some(id.to_string()),
            }
            return Ok(());
        }
        if let Ok(ip) = q.parse::<std::net::IpAddr>() {
            filter.ip = Some(ip.to_canonical().to_string());
            return Ok(());
        }
        if let Some(stored) = users::find_by_name(connection, q)? {
            filter.user = Some(stored.account.id);
            return Ok(());
        }
        let folded = q.to_lowercase();
        let app = clients::list(connection)?.into_iter().find(|client| {
            client.id.as_str() == q || client.metadata.name.to_lowercase() == folded
        });
        if let Some(app) = app {
            filter.client = Some(app.id.to_string());
            return Ok(());
        }
        let people = users::search(connection, q, PEOPLE)?;
        if people.is_empty() {
            filter.reference = Some(q.to_uppercase());
        } else {
            filter.users = Some(people);
        }
        Ok(())
    }
}

/// The lines of one kind.
fn events(name: &str) -> Filter {
    let prefix = |text: &str| Filter { action: Some(text.to_owned()), ..Filter::default() };
    let of = |actions| Filter { actions, ..Filter::default() };
    match name {
        "sign_in" => of(&["user.signed_in", "user.signed_out", "user.sign_in_failed"]),
        "session" => prefix("session."),
        "reuse" => of(&[
            "session.token_reuse",
            "session.code_reuse",
            "session.reissued_after_stranger",
            "session.alarm_read",
            "session.was_me",
            "session.was_not_me",
        ]),
        "client" => prefix("client."),
        "user" => of(&[
            "user.added",
            "user.removed",
            "user.disabled",
            "user.enabled",
            "user.password_changed",
            "consent.granted",
            "consent.withdrawn",
        ]),
        "key" => prefix("key."),
        _ => Filter::default(),
    }
}

/// The beginning of a day written `YYYY-MM-DD`, in UTC.
fn day(text: &str) -> Option<Timestamp> {
    Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")).ok()
}

/// The log.
pub async fn show(
    context: Context,
    admin: Admin,
    request: HttpRequest,
) -> std::result::Result<HttpResponse, PageError> {
    let fields = Fields::of_query(&request);
    let asked = Asked::of(&fields);
    let before = cursor::decode::<AuditId>(fields.text("after"));
    let wanted = asked.clone();
    let (lines, total, names) = context
        .state
        .db
        .read(move |connection| {
            let filter = wanted.filter(connection)?;
            let lines = audit::list(connection, &filter, before, cursor::ASKED)?;
            let total = audit::count(connection, &filter)?;
            let names = names(connection, &lines)?;
            Ok((lines, total, names))
        })
        .await?;
    let total = u64::try_from(total).unwrap_or(0);
    let (lines, last) = cursor::cut(lines);
    let page = context.page_for(Nav::AdminAudit, &admin.0);
    let path = format!("{}/admin/audit", page.base);
    let next = last.map(|line| {
        let after = cursor::encode(line.at.as_millis(), line.id);
        let mut query = asked.pairs().to_vec();
        query.push(("after", &after));
        href(&path, &query)
    });
    let view = AuditView {
        events: AuditView::events(&asked.event),
        filtered: asked != Asked::default(),
        kept: words::span(context.state.settings.retention.audit.as_secs()),
        caption: Caption {
            count: count(total, "event", "events"),
            rest: "latest first, times in UTC".to_owned(),
        },
        rows: lines.iter().map(|line| row(line, &names, context.now)).collect(),
        pager: Pager {
            shown: cursor::shown(lines.len(), total, before.is_none()),
            first: before.map(|_| href(&path, &asked.pairs())),
            next,
        },
        q: asked.q,
        from: asked.from,
        to: asked.to,
        page,
    };
    context.send(&view)
}

/// The people and apps that these lines name.
fn names(connection: &mut Connection, lines: &[AuditLine]) -> Result<Names> {
    let mut people: Vec<UserId> = lines.iter().filter_map(|line| line.user_id).collect();
    let mut apps: Vec<ClientId> = Vec::new();
    for line in lines {
        let ids = [
            line.client_id.as_deref(),
            line.actor_id.as_deref(),
            line.target_id.as_deref().filter(|_| line.target_kind.as_deref() == Some("client")),
        ];
        for id in ids.into_iter().flatten() {
            match id.parse() {
                Ok(person) => people.push(person),
                Err(_) => apps.extend(ClientId::parse(id)),
            }
        }
    }
    Names::load(connection, people, apps)
}

fn row(line: &AuditLine, names: &Names, now: Timestamp) -> AuditRow {
    let reference = line.reference.as_deref().map(|reference| format!("reference {reference}"));
    let details: Vec<String> = line.detail.clone().into_iter().chain(reference).collect();
    AuditRow {
        when: When::stamp(now.as_millis(), line.at.as_millis()),
        badge: audit_words::badge(&line.action),
        by: audit_words::actor(line, names),
        on: audit_words::target(line, names),
        from: line.ip.clone(),
        details: (!details.is_empty()).then(|| details.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_that_is_offered_filters_something() {
        for (name, _) in AuditView::EVENTS {
            let filter = events(name);
            let filters = filter.action.is_some() || !filter.actions.is_empty();
            assert_eq!(filters, !name.is_empty(), "{name}");
        }
    }

    #[test]
    fn days_are_days_or_left_out() {
        assert_eq!(day("1970-01-02").map(Timestamp::as_millis), Some(86_400_000));
        let asked = Asked::of(&Fields::parse(b"from=2026-13-01&to=2026-11-23").unwrap());
        assert_eq!((asked.from.as_str(), asked.to.as_str()), ("", "2026-11-23"));
    }
}
