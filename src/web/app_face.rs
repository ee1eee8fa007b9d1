//! How people see an app where it signs them in: its logo, which this server fetches for them so
//! that signing in tells nobody else, and links to its own pages.

mod pictures;

use actix_web::http::header;
use actix_web::{HttpResponse, web};

use super::state::AppState;
use super::views::AppFace;
use crate::domain::client::{Client, ClientId};
use crate::fetch::Limits;
use crate::storage::clients;

pub use pictures::Pictures;
use pictures::{Kind, Picture};

/// The largest logo, in bytes.
const LARGEST: usize = 100_000;

/// The face of an app, with its logo and links.
pub fn face(state: &AppState, client: &Client) -> AppFace {
    let details = &client.metadata.details;
    let pages = [
        ("home page", &details.client_uri),
        ("privacy policy", &details.policy_uri),
        ("terms of service", &details.tos_uri),
    ];
    AppFace {
        logo: details.logo_uri.as_ref().map(|_| {
            let id = percent_encoding::utf8_percent_encode(
                client.id.as_str(),
                percent_encoding::NON_ALPHANUMERIC,
            );
            format!("{}/logos/{id}", state.base())
        }),
        pages: pages
            .into_iter()
            .filter_map(|(label, address)| Some((label, address.clone()?)))
            .collect(),
        ..AppFace::new(&client.metadata.name)
    }
}

/// `GET /logos/{client_id}`: the app's logo; a tile with its letter where it can't be had.
pub async fn logo(state: web::Data<AppState>, id: web::Path<String>) -> HttpResponse {
    let Ok(id) = ClientId::parse(&id) else { return nothing() };
    let found = state.db.read(move |connection| clients::find(connection, &id)).await;
    let Ok(Some(client)) = found else { return nothing() };
    let Some(uri) = client.metadata.details.logo_uri else { return nothing() };
    let now = state.now();
    let picture = match state.pictures.get(&uri, now) {
        Some(known) => known,
        None => {
            let limits = Limits { bytes: LARGEST, ..state.fetcher.limits() };
            let fetched = state.fetcher.get(&uri, limits).await;
            let picture = fetched
                .inspect_err(|error| {
                    tracing::info!(cause = %error, "a logo can't be fetched");
                })
                .ok()
                .and_then(|fetched| {
                    let is_svg = fetched.is("image/svg+xml");
                    Kind::of(&fetched.body, is_svg)
                        .map(|kind| Picture { kind, bytes: fetched.body })
                });
            state.pictures.put(uri, picture, now)
        }
    };
    match picture.as_ref() {
        Some(picture) => shown(picture.kind.media_type(), 3600, picture.bytes.clone()),
        None => {
            let letter = AppFace::new(&client.metadata.name).letter;
            shown(Kind::Svg.media_type(), 60, pictures::tile(&letter).into_bytes())
        }
    }
}

/// A picture, which may do nothing wherever it is opened.
fn shown(kind: &str, seconds: u32, bytes: Vec<u8>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, kind))
        .insert_header((header::CACHE_CONTROL, format!("private, max-age={seconds}")))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'",
        ))
        .insert_header(("cross-origin-resource-policy", "same-origin"))
        .body(bytes)
}

fn nothing() -> HttpResponse {
    HttpResponse::NotFound()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type("text/plain; charset=utf-8")
        .body("There is no such logo here.")
}
