//! `/admin/keys`: the signing keys and token secrets, and the buttons that replace them.

use std::collections::HashMap;
use std::time::Duration;

use actix_web::HttpResponse;

use crate::domain::key_life::{KeyLife, KeyState};
use crate::domain::time::Timestamp;
use crate::domain::token_family::KeyId;
use crate::protocol::key_rotation::{Order, Rotated, Which};
use crate::protocol::keys::fingerprint;
use crate::storage::families;
use crate::storage::keys::{self, StoredTokenKey};
use crate::web::browser::Admin;
use crate::web::form::SubmittedForm;
use crate::web::page::{Context, PageError};
use crate::web::views::{
    AdminKeysView, Badge, ConfirmView, KeyRow, Nav, SecretLine, Tone, When, count,
};

/// The page's path.
const PATH: &str = "/admin/keys";

/// `GET /admin/keys`
pub async fn show(context: Context, admin: Admin) -> Result<HttpResponse, PageError> {
    let (signing, secrets, sessions, fingerprint) = context
        .state
        .db
        .read(|connection| {
            let signing = keys::signing_keys(connection)?;
            let secrets = keys::token_keys(connection)?;
            let sessions = families::of_secrets(connection)?;
            Ok((signing, secrets, sessions, fingerprint(connection)?))
        })
        .await?;
    let (now, every) = (context.now, context.state.settings.keys.rotate);
    let sessions: HashMap<KeyId, i64> = sessions.into_iter().collect();
    let view = AdminKeysView {
        page: context.page_for(Nav::AdminKeys, &admin.0),
        by_itself: every.is_some(),
        keys: signing
            .into_iter()
            .map(|key| KeyRow {
                badge: badge(&key.life, now),
                id: key.kid,
                algorithm: key.algorithm,
                made: date(key.life.created_at),
                rotates: rotates(&key.life, every),
            })
            .collect(),
        secrets: secrets
            .iter()
            .rev()
            .map(|key| secret(key, sessions.get(&key.id).copied().unwrap_or(0)))
            .collect(),
        fingerprint,
    };
    context.send(&view)
}

fn date(at: Timestamp) -> When {
    When::full_date(at.as_millis())
}

fn badge(life: &KeyLife, now: Timestamp) -> Badge {
    match life.state() {
        KeyState::Current => Badge::new(Tone::Good, "pencil", "Signing now"),
        KeyState::Next => Badge::new(Tone::Note, "clock", "Next, published"),
        KeyState::Retired if life.is_published(now) => {
            Badge::new(Tone::Plain, "eye", "Checking only")
        }
        KeyState::Retired => Badge::new(Tone::Plain, "x", "Not published"),
    }
}

fn rotates(life: &KeyLife, every: Option<Duration>) -> String {
    match life.state() {
        KeyState::Current => match life.rotates_at(every) {
            Some(at) => date(at).text,
            None => "by hand".to_owned(),
        },
        KeyState::Next => match life.due_at {
            Some(at) => format!("takes over at {}", When::clock(at.as_millis()).text),
            None => "–".to_owned(),
        },
        KeyState::Retired => {
            life.retired_at.map(|at| format!("retired {}", date(at).text)).unwrap_or_default()
        }
    }
}

fn secret(key: &StoredTokenKey, sessions: i64) -> SecretLine {
    let sessions = count(u64::try_from(sessions).unwrap_or(0), "session", "sessions");
    let since = |at: Option<Timestamp>| at.map(|at| date(at).text).unwrap_or_default();
    let (badge, text) = match (key.compromised_at, key.life.state()) {
        (Some(at), _) => {
            (Badge::new(Tone::Bad, "x", "Given up"), format!("on {}", since(Some(at))))
        }
        (None, KeyState::Current) => (
            Badge::new(Tone::Good, "check", "In use"),
            format!("since {}, {sessions}", since(key.life.current_since)),
        ),
        (None, KeyState::Next) => (
            Badge::new(Tone::Note, "clock", "Next"),
            format!("made {}", since(Some(key.life.created_at))),
        ),
        (None, KeyState::Retired) => (
            Badge::new(Tone::Plain, "clock", "Fading"),
            format!(
                "since {}, {sessions} to move on at their next refresh",
                since(key.life.retired_at)
            ),
        ),
    };
    SecretLine { name: format!("Secret {}", key.id.0), badge, text }
}

/// `GET /admin/keys/rotate`
pub async fn ask_rotate(context: Context, admin: Admin) -> Result<HttpResponse, PageError> {
    context.send(&ConfirmView::rotate_keys(context.page_for(Nav::AdminKeys, &admin.0)))
}

/// `POST /admin/keys/rotate`
pub async fn rotate(
    context: Context,
    admin: Admin,
    _form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let done = order(&context, &admin, Which::Signing).await?;
    let text = match done.due_at {
        Some(at) => format!(
            "The next keys are published. They sign from {} on, when everybody has them.",
            When::clock(at.as_millis()).text
        ),
        None => "The next keys sign now. Those before them stay published for a day.".to_owned(),
    };
    Ok(context.done(PATH, Tone::Good, &text))
}

/// `GET /admin/keys/secret/rotate`
pub async fn ask_rotate_secret(context: Context, admin: Admin) -> Result<HttpResponse, PageError> {
    context.send(&ConfirmView::rotate_secret(context.page_for(Nav::AdminKeys, &admin.0)))
}

/// `POST /admin/keys/secret/rotate`
pub async fn rotate_secret(
    context: Context,
    admin: Admin,
    _form: SubmittedForm,
) -> Result<HttpResponse, PageError> {
    let done = order(&context, &admin, Which::Secret).await?;
    let text = match done.due_at {
        Some(at) => format!(
            "The next secret is there. It comes into use at {}, when every node has it.",
            When::clock(at.as_millis()).text
        ),
        None => "The next secret is in use. Sessions move to it at their next refresh.".to_owned(),
    };
    Ok(context.done(PATH, Tone::Good, &text))
}

async fn order(context: &Context, admin: &Admin, which: Which) -> Result<Rotated, PageError> {
    let (every, act) = (context.state.settings.keys.rotate, context.act(&admin.0));
    Ok(context.state.keys.carry_out(Order::Rotate(which), every, act).await?)
}
