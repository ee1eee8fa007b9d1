//! A person's own pages: overview, details, sessions, connected apps and security.

mod alarms;
mod apps;
mod overview;
mod profile;
mod security;
mod sessions;

use actix_web::web::{ServiceConfig, get, post};

/// The routes, below the issuer's path.
pub fn routes(config: &mut ServiceConfig) {
    config
        .route("/account", get().to(overview::show))
        .route("/account/profile", get().to(profile::show))
        .route("/account/profile", post().to(profile::change))
        .route("/account/sessions", get().to(sessions::show))
        .route("/account/sessions/end-others", post().to(sessions::end_others))
        .route("/account/sessions/{id}/end", post().to(sessions::end))
        .route("/account/alarms/{id}", get().to(alarms::ask_to_shut_out))
        .route("/account/alarms/{id}/me", post().to(alarms::was_me))
        .route("/account/alarms/{id}/not-me", post().to(alarms::was_not_me))
        .route("/account/alarms/{id}/shut-out", post().to(alarms::shut_out))
        .route("/account/apps", get().to(apps::show))
        .route("/account/apps/{client_id}/remove", post().to(apps::remove))
        .route("/account/security", get().to(security::show))
        .route("/account/security/password", post().to(security::change_password));
}
