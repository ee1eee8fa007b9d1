//! `GET /admin`

use std::time::Duration;

use actix_web::HttpResponse;

use super::alarms::{readers, reading};
use crate::domain::alarm::Alarm;
use crate::domain::client::ClientId;
use crate::domain::id::FamilyId;
use crate::domain::key_life::KeyState;
use crate::domain::recovery::Recovery;
use crate::domain::time::Timestamp;
use crate::domain::token_family::{EndCause, Status};
use crate::storage::families::{self, Family};
use crate::storage::{Kind, alarms, audit, browser_sessions, keys, recovery, users};
use crate::web::browser::Admin;
use crate::web::names::Names;
use crate::web::page::{Context, PageError};
use crate::web::views::{
    AdminView, AlarmLine, Badge, BusyApp, Figure, HealthLine, Nav, RecoveryNotice, Tone, When,
    count, meter_widths, spark, thousands,
};

const DAY: Duration = Duration::from_secs(86_400);
/// Days that the line of sign-ins goes back.
const DAYS: u32 = 14;
/// How far back the listed alarms go that somebody has read.
const ALARMS_SINCE: u32 = 30;
/// How many alarms and apps are listed.
const LISTED: usize = 5;

/// The overview.
pub async fn show(context: Context, admin: Admin) -> Result<HttpResponse, PageError> {
    let now = context.now;
    let found = context.state.db.read(move |connection| {
        let unread = alarms::count_unread(connection)?;
        let mut alarmed = alarms::unread(connection, LISTED as i64)?;
        let since = now.minus(DAY * ALARMS_SINCE);
        alarmed.extend(alarms::read_since(connection, since, LISTED as i64)?);
        alarmed.truncate(LISTED);
        let ids: Vec<FamilyId> = alarmed.iter().map(|family| family.id).collect();
        let raised = alarms::of(connection, &ids)?;
        let mut busiest = families::live_of_clients(connection, now)?;
        busiest.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let sessions: i64 = busiest.iter().map(|(_, count)| count).sum();
        let apps = busiest.len();
        busiest.truncate(LISTED);
        let mut shown: Vec<ClientId> =
            busiest.iter().filter_map(|(id, _)| ClientId::parse(id).ok()).collect();
        shown.extend(alarmed.iter().map(|family| family.client_id.clone()));
        let people = alarmed.iter().map(|family| family.user_id).chain(readers(&raised)).collect();
        let names = Names::load(connection, people, shown)?;
        let mut sign_ins = Vec::new();
        for back in (0..DAYS).rev() {
            let filter = audit::Filter {
                actions: &["user.signed_in"],
                from: Some(now.minus(DAY * (back + 1))),
                until: Some(now.minus(DAY * back)),
                ..audit::Filter::default()
            };
            sign_ins.push(number(audit::count(connection, &filter)?));
        }
        let administrators =
            users::Filter { state: Some(users::State::Administrator), ..users::Filter::default() };
        Ok(Found {
            recovery: recovery::open_at(connection, now)?,
            unread: number(unread),
            alarmed,
            raised,
            names,
            sessions: number(sessions),
            apps: apps as u64,
            busiest: busiest.into_iter().map(|(id, count)| (id, number(count))).collect(),
            people: number(users::count(connection, None)?),
            administrators: number(users::count_of(connection, &administrators)?),
            browsers: number(browser_sessions::count(connection, now)?),
            sign_ins,
            signing: keys::signing_keys(connection)?
                .into_iter()
                .filter(|key| key.life.state() == KeyState::Current)
                .map(|key| (key.algorithm, key.life.created_at))
                .collect(),
        })
    });
    let found = found.await?;
    let database = match context.state.db.kind() {
        Kind::Sqlite => "SQLite",
        Kind::Postgres => "PostgreSQL",
    };
    let health = health(&found, database);
    let well = if health.iter().all(|line| line.badge.tone == Tone::Good) {
        Badge::new(Tone::Good, "check", "All well")
    } else {
        Badge::new(Tone::Warn, "alert", "Needs a look")
    };
    let widths = meter_widths(&found.busiest.iter().map(|(_, count)| *count).collect::<Vec<u64>>());
    let view = AdminView {
        page: context.page_for(Nav::Admin, &admin.0),
        as_of: When::clock_seconds(now.as_millis()),
        alarm: (found.unread > 0).then(|| {
            let sessions = count(found.unread, "session", "sessions");
            format!("{sessions} raised an alarm that nobody has read")
        }),
        recovery: found.recovery.as_ref().map(|open| recovery_notice(open, now)),
        figures: figures(&found),
        alarms: found.alarmed.iter().map(|family| alarm_line(family, &found, now)).collect(),
        well,
        health,
        busiest: found
            .busiest
            .iter()
            .zip(widths)
            .map(|((id, count), width)| BusyApp {
                name: found.names.app(id),
                sessions: thousands(*count),
                width,
            })
            .collect(),
    };
    context.send(&view)
}

struct Found {
    recovery: Option<Recovery>,
    unread: u64,
    /// Those that nobody has read first.
    alarmed: Vec<Family>,
    raised: Vec<Alarm>,
    names: Names,
    sessions: u64,
    apps: u64,
    busiest: Vec<(String, u64)>,
    people: u64,
    administrators: u64,
    browsers: u64,
    /// A day each, oldest first; the last one ends now.
    sign_ins: Vec<u64>,
    signing: Vec<(String, Timestamp)>,
}

fn recovery_notice(open: &Recovery, now: Timestamp) -> RecoveryNotice {
    let event = |at: Timestamp| When::event(now.as_millis(), at.as_millis());
    RecoveryNotice {
        closes: event(open.closes_at),
        by: open.opened_by.clone(),
        opened: event(open.opened_at),
        since: When::exact(open.since.as_millis()),
        until: When::exact(open.until.as_millis()),
    }
}

fn number(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

fn figures(found: &Found) -> Vec<Figure> {
    let today = found.sign_ins.last().copied().unwrap_or(0);
    let before: u64 = found.sign_ins.iter().rev().skip(1).sum();
    // A line with nothing before today would only say that the server is new.
    let course = if before > 0 {
        let values: Vec<f64> = found.sign_ins.iter().map(|count| *count as f64).collect();
        spark(&values, format!("Sign-ins a day over the last {DAYS} days, now {today}"))
    } else {
        None
    };
    vec![
        Figure {
            title: "Sessions".to_owned(),
            big: thousands(found.sessions),
            spark: None,
            note: format!("in {}", count(found.apps, "app", "apps")),
        },
        Figure {
            title: "People".to_owned(),
            big: thousands(found.people),
            spark: None,
            note: format!(
                "{}, {} signed in",
                count(found.administrators, "administrator", "administrators"),
                count(found.browsers, "browser", "browsers")
            ),
        },
        Figure {
            title: "Sign-ins".to_owned(),
            big: thousands(today),
            spark: course,
            note: "in the last 24 hours".to_owned(),
        },
    ]
}

fn health(found: &Found, database: &str) -> Vec<HealthLine> {
    let good = |text: &str| Badge::new(Tone::Good, "check", text);
    let keys = match found.signing.first() {
        Some((algorithm, since)) => HealthLine {
            name: "Signing key".to_owned(),
            badge: good("In use"),
            text: format!("{algorithm}, since {}", When::full_date(since.as_millis()).text),
        },
        None => HealthLine {
            name: "Signing key".to_owned(),
            badge: Badge::new(Tone::Bad, "alert", "Missing"),
            text: "No key signs access tokens.".to_owned(),
        },
    };
    vec![
        HealthLine {
            name: "Database".to_owned(),
            badge: good("Reachable"),
            text: database.to_owned(),
        },
        keys,
    ]
}

fn alarm_line(family: &Family, found: &Found, now: Timestamp) -> AlarmLine {
    let names = &found.names;
    let alarm = found.raised.iter().find(|alarm| alarm.family == family.id);
    let detail = match family.status {
        Status::Ended { cause: EndCause::Reuse, .. } => {
            format!("a token used twice, at generation {}", thousands(family.chain.generation))
        }
        Status::Ended { cause: EndCause::CodeReuse, .. } => {
            "its authorization code used twice".to_owned()
        }
        _ => "a token asked again after a stranger had its answer".to_owned(),
    };
    let at = family.alarm_at.unwrap_or(now);
    AlarmLine {
        id: family.id.to_string(),
        title: format!(
            "{}, {}",
            names.person(family.user_id),
            names.app(family.client_id.as_str())
        ),
        when: When::stamp(now.as_millis(), at.as_millis()),
        detail,
        reading: alarm.map(|alarm| reading(alarm, family.user_id, names, now)).unwrap_or_default(),
    }
}
