//! `GET /admin/sessions/{id}`: one session, and how it grew.

use actix_web::{HttpResponse, web};

use super::alarms::{readers, reading};
use super::timeline::{self, Told};
use crate::domain::client::Client;
use crate::domain::history::Kind;
use crate::domain::id::{FamilyId, UserId};
use crate::domain::time::Timestamp;
use crate::domain::token_family::{EndCause, Lifetime, Rotation, Status};
use crate::storage::families::{self, Family};
use crate::storage::{alarms, browser_sessions};
use crate::web::browser::Admin;
use crate::web::fork;
use crate::web::names::Names;
use crate::web::page::{Context, PageError};
use crate::web::session_words;
use crate::web::views::{
    AdminSessionView, AlarmBox, Link, Nav, Stem, When, device, href, thousands, words,
};

/// The page.
pub async fn show(
    context: Context,
    admin: Admin,
    path: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let id: FamilyId = path.parse().map_err(|_| PageError::NotFound)?;
    let (family, history, raised, names, browser) = context
        .state
        .db
        .read(move |connection| {
            let Some(family) = families::find(connection, id)? else { return Ok(None) };
            let history = families::history(connection, id)?;
            let raised = alarms::of(connection, &[id])?;
            let mut people = vec![family.user_id];
            people.extend(family.ended_by.as_deref().and_then(|by| by.parse::<UserId>().ok()));
            people.extend(readers(&raised));
            let names = Names::load(connection, people, vec![family.client_id.clone()])?;
            let browser = match family.browser_session {
                Some(browser) => browser_sessions::find_by_id(connection, browser)?,
                None => None,
            };
            Ok(Some((family, history, raised, names, browser)))
        })
        .await?
        .ok_or(PageError::NotFound)?;

    let now = context.now;
    let page = context.page_for(Nav::AdminSessions, &admin.0);
    let person = names.person(family.user_id);
    let app = names.app(family.client_id.as_str());
    let client = names.client(&family.client_id);
    let ended_by = match (&family.status, family.ended_by.as_deref()) {
        (Status::Ended { cause: EndCause::Reuse | EndCause::CodeReuse, .. }, _) | (_, None) => {
            "Perennial".to_owned()
        }
        (_, Some(by)) => names.ender(by),
    };
    let told = Told { family: &family, history: &history, ended_by: ended_by.clone(), now };
    let fork = fork::fork(&family, &history);
    let reading =
        raised.first().map(|alarm| reading(alarm, family.user_id, &names, now)).unwrap_or_default();
    let alarm = match &family.status {
        Status::Ended { cause: EndCause::Reuse, .. } => fork.as_ref().map(|fork| AlarmBox {
            heading: "Someone has a copy of this session’s token".to_owned(),
            text: format!(
                "Token {} was used twice. Perennial can’t know which caller is {person}, so it \
                 signed both out.",
                thousands(fork.generation)
            ),
            points: vec![format!("Ask {person} which of the two callers below they know.")],
            links: looks(&page.base, &[&fork.first.ip, &fork.second.ip]),
            reading,
        }),
        Status::Ended { cause: EndCause::CodeReuse, .. } => Some(AlarmBox {
            heading: "This session’s authorization code was used twice".to_owned(),
            text: "A code works once. Its second use may be a mistake of the app, or somebody \
                   who saw it: all that it gave was taken back."
                .to_owned(),
            points: Vec::new(),
            links: looks(&page.base, &[&family.caller_ip]),
            reading,
        }),
        _ if history.entries.iter().any(|entry| entry.kind == Kind::ReissueAlarm) => {
            Some(AlarmBox {
                heading: "An answer of this session may have gone to a stranger".to_owned(),
                text: format!(
                    "The app asked again with a spent token, and the answer between had gone to \
                     a caller that this session hadn’t met. {person} was told."
                ),
                points: vec![format!("Ask {person} whether they know the new caller below.")],
                links: looks(
                    &page.base,
                    &[fork::stranger(&history).map_or(&family.caller_ip, |who| &who.ip)],
                ),
                reading,
            })
        }
        _ => None,
    };
    let callers = fork.as_ref().map(|fork| timeline::callers(fork, &family, &history, now));
    let note = if family.scope.is_empty() {
        String::new()
    } else {
        format!("The app got: {}.", family.scope)
    };
    let stem = Stem::grow(timeline::knots(&told, &note));
    let (line, when) = headline(&family, &ended_by, now);
    let base = page.base.clone();
    let view = AdminSessionView {
        id: family.id.to_string(),
        title: format!("{person}, {app}"),
        badge: session_words::badge(&family, now),
        line,
        when: When::exact(when.as_millis()),
        live: family.is_live(now),
        alarm,
        callers,
        stem,
        person: Link { href: format!("{base}/admin/users/{}", family.user_id), text: person },
        email: names
            .account(family.user_id)
            .map_or_else(|| "no longer here".to_owned(), |account| account.email.clone()),
        app: Link { href: format!("{base}/admin/clients/{}", family.client_id), text: app },
        app_kind: kind(client).to_owned(),
        device: format!("{}, {}", session_words::device_of(&family).label, family.caller_ip),
        scope: family.scope.to_string(),
        lifetime: lifetime(&family.lifetime, family.created_at),
        ends: family
            .is_live(now)
            .then_some(family.lifetime.ends_at)
            .flatten()
            .map(|end| When::exact(end.as_millis())),
        rotation: rotation(client, &context),
        browser: family.browser_session.map(|_| match &browser {
            Some(stored) => {
                let session = &stored.session;
                format!("{}, {}", device(Some(&session.agent)).label, session.ip)
            }
            None => "a browser that has signed out since".to_owned(),
        }),
        page,
    };
    context.send(&view)
}

/// Links to what else came from these addresses.
fn looks(base: &str, ips: &[&str]) -> Vec<Link> {
    let mut seen: Vec<&str> = Vec::new();
    for ip in ips {
        if !ip.is_empty() && !seen.contains(ip) {
            seen.push(ip);
        }
    }
    seen.into_iter()
        .map(|ip| Link {
            href: href(&format!("{base}/admin/audit"), &[("q", ip)]),
            text: format!("See what else {ip} did"),
        })
        .collect()
}

/// What the time under the title is of.
fn headline(family: &Family, ended_by: &str, now: Timestamp) -> (String, Timestamp) {
    match family.status {
        Status::Ended { at, .. } => (format!("Ended by {ended_by} on"), at),
        Status::Live => match session_words::ended_at(family, now) {
            Some(at) => ("Ended by itself on".to_owned(), at),
            None => ("Last refreshed on".to_owned(), family.chain.given_at),
        },
    }
}

fn kind(client: Option<&Client>) -> &'static str {
    match client {
        Some(client) if client.metadata.is_public() => "public client",
        Some(_) => "confidential client",
        None => "removed since",
    }
}

/// "30 days without use, 365 days in all".
fn lifetime(lifetime: &Lifetime, began: Timestamp) -> String {
    let idle = format!("{} without use", words::span(lifetime.idle.as_secs()));
    match lifetime.ends_at {
        Some(end) => format!("{idle}, {} in all", words::span(end.since(began).as_secs())),
        None => idle,
    }
}

/// "resumable, retry window 30 seconds".
fn rotation(client: Option<&Client>, context: &Context) -> String {
    match client {
        Some(client) if client.metadata.rotation == Rotation::Strict => {
            "strict: each token works once".to_owned()
        }
        Some(client) => {
            let usual = context.state.settings.tokens.retry_window;
            let window = client.metadata.retry_window.unwrap_or(usual);
            let window = words::span(window.as_secs());
            format!("{}, retry window {window}", client.metadata.rotation.name())
        }
        None => "–".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn lifetimes_are_said_in_whole_units() {
        let began = Timestamp::from_millis(5);
        let day = Duration::from_secs(86_400);
        let bounded = Lifetime { idle: day * 30, ends_at: Some(began.plus(day * 365)) };
        assert_eq!(lifetime(&bounded, began), "30 days without use, 365 days in all");
        assert_eq!(lifetime(&Lifetime { ends_at: None, ..bounded }, began), "30 days without use");
    }

    #[test]
    fn each_address_is_linked_once() {
        let links = looks("/id", &["192.0.2.1", "192.0.2.1", ""]);
        assert_eq!(links.len(), 1);
        assert_eq!(links[0].href, "/id/admin/audit?q=192.0.2.1");
    }
}
