//! `load http-floor`: the same form read, the same JSON written, nothing in between.

use actix_web::{App, HttpResponse, HttpServer, web};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, clap::Args)]
pub struct HttpFloor {
    /// Where it listens, at 127.0.0.1
    #[arg(long, default_value_t = 8089)]
    port: u16,
    /// Worker threads
    #[arg(long, default_value_t = 2)]
    workers: usize,
}

#[derive(Deserialize)]
struct Form {
    grant_type: String,
    refresh_token: String,
    client_id: String,
}

#[derive(Serialize)]
struct Answer {
    access_token: String,
    token_type: &'static str,
    expires_in: u32,
    refresh_token: String,
    scope: &'static str,
    refresh_token_timeout: u32,
    authorization_expires_in: u32,
}

/// Tells one answer from the next, as the load tool wants it.
static COUNT: AtomicU64 = AtomicU64::new(0);

async fn token(form: web::Form<Form>) -> HttpResponse {
    if form.grant_type != "refresh_token" || form.client_id.is_empty() {
        return HttpResponse::BadRequest().finish();
    }
    let count = COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let mut bytes = [7; 240];
    let longest = form.refresh_token.len().min(69);
    for (byte, own) in bytes.iter_mut().zip(count) {
        *byte = own;
    }
    HttpResponse::Ok()
        .insert_header(("cache-control", "no-store"))
        .insert_header(("pragma", "no-cache"))
        .json(Answer {
            access_token: format!("pat_{}", URL_SAFE_NO_PAD.encode(bytes)),
            token_type: "Bearer",
            expires_in: 600,
            refresh_token: format!(
                "prt_{}",
                URL_SAFE_NO_PAD.encode(bytes.get(..longest).unwrap_or_default())
            ),
            scope: "openid profile email offline_access",
            refresh_token_timeout: 2_592_000,
            authorization_expires_in: 31_536_000,
        })
}

impl HttpFloor {
    pub fn run(self) -> anyhow::Result<()> {
        actix_web::rt::System::new().block_on(async move {
            HttpServer::new(|| App::new().route("/oauth/token", web::post().to(token)))
                .workers(self.workers)
                .bind(("127.0.0.1", self.port))?
                .run()
                .await
        })?;
        Ok(())
    }
}
