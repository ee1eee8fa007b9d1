//! `GET /admin/keys`: the signing keys and token secrets, to look at.

use actix_web::HttpResponse;

use crate::domain::time::Timestamp;
use crate::protocol::keys::fingerprint;
use crate::storage::keys;
use crate::web::browser::Admin;
use crate::web::page::{Context, PageError};
use crate::web::views::{AdminKeysView, Badge, KeyRow, Nav, SecretLine, Tone, When};

/// The page.
pub async fn show(context: Context, admin: Admin) -> Result<HttpResponse, PageError> {
    let (signing, secrets, fingerprint) = context
        .state
        .db
        .read(|connection| {
            let signing = keys::signing_keys(connection)?;
            let secrets = keys::token_keys(connection)?;
            Ok((signing, secrets, fingerprint(connection)?))
        })
        .await?;
    // The newest one that isn't retired gives new tokens.
    let current = secrets.iter().rev().find(|key| key.retired_at.is_none()).map(|key| key.id);
    let view = AdminKeysView {
        page: context.page_for(Nav::AdminKeys, &admin.0),
        keys: signing
            .into_iter()
            .map(|key| KeyRow {
                badge: badge(key.retired_at.is_none()),
                id: key.kid,
                algorithm: key.algorithm,
                made: When::full_date(key.created_at.as_millis()),
            })
            .collect(),
        secrets: secrets
            .iter()
            .rev()
            .map(|key| SecretLine {
                name: format!("Secret {}", key.id.0),
                badge: badge(current == Some(key.id)),
                text: lifetime(key.created_at, key.retired_at),
            })
            .collect(),
        fingerprint,
    };
    context.send(&view)
}

fn badge(in_use: bool) -> Badge {
    if in_use {
        Badge::new(Tone::Good, "check", "In use")
    } else {
        Badge::new(Tone::Plain, "clock", "Retired")
    }
}

fn lifetime(made: Timestamp, retired: Option<Timestamp>) -> String {
    let date = |at: Timestamp| When::full_date(at.as_millis()).text;
    match retired {
        Some(retired) => format!("{} to {}", date(made), date(retired)),
        None => format!("since {}", date(made)),
    }
}
