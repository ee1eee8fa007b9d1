//! `GET /admin/sessions`: all sessions, searched, filtered, sorted, in pages.

use actix_web::{HttpRequest, HttpResponse};

use crate::domain::client::{Client, ClientId};
use crate::domain::id::FamilyId;
use crate::domain::time::Timestamp;
use crate::storage::families::{self, Family, Filter, Sort, State};
use crate::storage::{Connection, Result, clients, users};
use crate::web::browser::Admin;
use crate::web::cursor;
use crate::web::form::Fields;
use crate::web::names::Names;
use crate::web::page::{Context, PageError};
use crate::web::session_words;
use crate::web::views::{
    AdminSessionsView, Caption, Choice, Empty, Nav, Pager, SessionRow, When, count, heads, href,
    thousands,
};

/// The most people whose sessions one search finds.
const PEOPLE: i64 = 1_000;

/// What is asked for, as it stands in the address, and in the form that revokes what matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// A name, an address, an app or a session.
    pub q: String,
    /// A username.
    pub user: String,
    /// A client id.
    pub client: String,
    /// One of [`AdminSessionsView::STATES`].
    pub state: String,
}

impl Asked {
    /// As the fields say.
    pub fn of(fields: &Fields) -> Self {
        let text = |name: &str| fields.text(name).to_owned();
        Self { q: text("q"), user: text("user"), client: text("client"), state: text("state") }
    }

    /// Whether any of it is on.
    pub fn is_filtered(&self) -> bool {
        *self != Self::default()
    }

    /// For links and hidden fields.
    pub fn pairs(&self) -> [(&'static str, &str); 4] {
        [("q", &self.q), ("user", &self.user), ("client", &self.client), ("state", &self.state)]
    }

    /// The families that are meant. Whoever nobody is called finds none.
    pub fn filter(&self, connection: &mut Connection) -> Result<Filter> {
        let mut filter = Filter { state: state(&self.state), ..Filter::default() };
        if !self.client.is_empty() {
            match ClientId::parse(&self.client) {
                Ok(client) => filter.client = Some(client),
                Err(_) => filter.ids = Some(Vec::new()),
            }
        }
        if !self.user.is_empty() {
            let found = users::find_by_name(connection, &self.user)?;
            filter.users = Some(found.map(|stored| stored.account.id).into_iter().collect());
        }
        if !self.q.is_empty() {
            self.search(connection, &mut filter)?;
        }
        Ok(filter)
    }

    fn search(&self, connection: &mut Connection, filter: &mut Filter) -> Result<()> {
        if let Ok(id) = self.q.parse::<FamilyId>() {
            filter.ids = Some(vec![id]);
            return Ok(());
        }
        if let Ok(ip) = self.q.parse::<std::net::IpAddr>() {
            filter.ip = Some(ip.to_canonical().to_string());
            return Ok(());
        }
        let people = users::search(connection, &self.q, PEOPLE)?;
        if people.is_empty()
            && let Some(client) = named(&clients::list(connection)?, &self.q)
            && filter.client.as_ref().is_none_or(|own| *own == client)
        {
            filter.client = Some(client);
            return Ok(());
        }
        filter.users = Some(match filter.users.take() {
            Some(named) => named.into_iter().filter(|id| people.contains(id)).collect(),
            None => people,
        });
        Ok(())
    }
}

/// The app of exactly this name, but for its case.
fn named(all: &[Client], name: &str) -> Option<ClientId> {
    let folded = name.to_lowercase();
    all.iter()
        .find(|client| client.metadata.name.to_lowercase() == folded)
        .map(|client| client.id.clone())
}

/// The state of this name.
pub fn state(name: &str) -> Option<State> {
    match name {
        "active" => Some(State::Active),
        "quiet" => Some(State::Quiet),
        "alarm" => Some(State::Alarm),
        "reuse" => Some(State::Reuse),
        "revoked" => Some(State::Revoked),
        "signed_out" => Some(State::SignedOut),
        "expired" => Some(State::Expired),
        _ => None,
    }
}

/// The sort of this name, its name, and how the caption says it.
fn sort(name: &str) -> (Sort, &'static str, &'static str) {
    match name {
        "created" => (Sort::OldestFirst, "created", "earliest sign-in first"),
        "rotated" => (Sort::LongestUnusedFirst, "rotated", "longest unused first"),
        "-rotated" => (Sort::LastUsedFirst, "-rotated", "last refreshed first"),
        _ => (Sort::NewestFirst, "-created", "latest sign-in first"),
    }
}

/// The list.
pub async fn show(
    context: Context,
    admin: Admin,
    request: HttpRequest,
) -> std::result::Result<HttpResponse, PageError> {
    let fields = Fields::of_query(&request);
    let asked = Asked::of(&fields);
    let (order, sort_name, sort_words) = sort(fields.text("sort"));
    let after = cursor::decode::<FamilyId>(fields.text("after"));
    let now = context.now;
    let wanted = asked.clone();
    let (rows, total, revocable, names, apps) = context
        .state
        .db
        .read(move |connection| {
            let filter = wanted.filter(connection)?;
            let rows = families::list(connection, &filter, order, after, cursor::ASKED, now)?;
            let total = families::count(connection, &filter, now)?;
            let revocable = match live_only(filter) {
                Some(filter) if wanted.is_filtered() => families::count(connection, &filter, now)?,
                _ => 0,
            };
            let names = Names::of(connection, &rows)?;
            let apps = clients::list(connection)?;
            Ok((rows, total, revocable, names, apps))
        })
        .await?;
    let total = u64::try_from(total).unwrap_or(0);
    let (rows, last) = cursor::cut(rows);

    let page = context.page_for(Nav::AdminSessions, &admin.0);
    let path = format!("{}/admin/sessions", page.base);
    let sort_kept = if sort_name == "-created" { "" } else { sort_name };
    let mut query: Vec<(&str, &str)> = asked.pairs().to_vec();
    query.push(("sort", sort_kept));
    let next = last.map(|family| {
        let (value, id) = families::cursor(&family, order);
        let after = cursor::encode(value, id);
        let mut query = query.clone();
        query.push(("after", &after));
        href(&path, &query)
    });
    let mut choices = vec![(String::new(), "All apps".to_owned())];
    choices.extend(apps.iter().map(|app| (app.id.to_string(), app.metadata.name.clone())));
    let view = AdminSessionsView {
        heads: heads(&AdminSessionsView::COLUMNS, sort_name, &path, &query),
        clients: Choice::list(&choices, &asked.client),
        states: AdminSessionsView::states(&asked.state),
        sort: sort_kept.to_owned(),
        filtered: asked.is_filtered(),
        caption: Caption {
            count: count(total, "session", "sessions"),
            rest: format!("{sort_words}, times in UTC"),
        },
        pager: Pager {
            shown: cursor::shown(rows.len(), total, after.is_none()),
            first: after.map(|_| href(&path, &query)),
            next,
        },
        all: (revocable > 0).then(|| {
            format!("Revoke all {} that match…", thousands(u64::try_from(revocable).unwrap_or(0)))
        }),
        rows: rows.iter().map(|family| row(family, &names, now)).collect(),
        empty: empty(&asked),
        q: asked.q,
        user: asked.user,
        page,
    };
    context.send(&view)
}

/// The live ones among those that a filter means; `None` where it means ended ones.
pub fn live_only(mut filter: Filter) -> Option<Filter> {
    filter.state = Some(match filter.state {
        None | Some(State::Active) => State::Active,
        Some(State::Quiet) => State::Quiet,
        Some(_) => return None,
    });
    Some(filter)
}

fn row(family: &Family, names: &Names, now: Timestamp) -> SessionRow {
    let device = session_words::device_of(family);
    SessionRow {
        id: family.id.to_string(),
        name: names.person(family.user_id),
        username: names
            .account(family.user_id)
            .map(|account| account.username.clone())
            .unwrap_or_default(),
        app: names.face(&family.client_id),
        device: device.head,
        device_detail: device.detail,
        ip: family.caller_ip.clone(),
        began: When::stamp(now.as_millis(), family.created_at.as_millis()),
        refreshed: When::stamp(now.as_millis(), family.chain.given_at.as_millis()),
        generation: thousands(family.chain.generation),
        badge: session_words::badge(family, now),
        live: family.is_live(now),
    }
}

fn empty(asked: &Asked) -> Empty {
    let (heading, text) = if !asked.q.is_empty() {
        (
            format!("No session matches “{}”", asked.q),
            "Search looks at names, emails, session numbers, the latest IP address and the exact \
             names of apps.",
        )
    } else if asked.is_filtered() {
        ("No session matches".to_owned(), "Try fewer filters.")
    } else {
        (
            "No session yet".to_owned(),
            "Each app that a person signs in to is listed here, for each device.",
        )
    };
    Empty { heading, text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_that_is_offered_is_known() {
        for (name, _) in AdminSessionsView::STATES {
            assert_eq!(state(name).is_some(), !name.is_empty(), "{name}");
        }
    }

    #[test]
    fn only_sortable_columns_are_offered_and_each_way_is_known() {
        for column in AdminSessionsView::COLUMNS {
            let Some(key) = column.key else { continue };
            for name in [key.to_owned(), format!("-{key}")] {
                assert_eq!(sort(&name).1, name);
            }
        }
        assert_eq!(sort("-user").1, "-created");
    }

    #[test]
    fn what_ended_can_not_be_revoked() {
        let of = |state| live_only(Filter { state, ..Filter::default() }).and_then(|it| it.state);
        assert_eq!(of(None), Some(State::Active));
        assert_eq!(of(Some(State::Quiet)), Some(State::Quiet));
        assert_eq!(of(Some(State::Revoked)), None);
    }
}
