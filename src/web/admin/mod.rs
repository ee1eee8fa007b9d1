//! The administrators' pages: overview, sessions, people, apps, audit log and keys.

mod alarms;
mod audit;
mod client_details;
mod client_form;
mod client_secret;
mod clients;
mod keys;
mod overview;
mod revoke;
mod session;
mod sessions;
mod timeline;
mod user_profile;
mod users;

use actix_web::web::{ServiceConfig, get, post};

/// The routes, below the issuer's path.
pub fn routes(config: &mut ServiceConfig) {
    config
        .route("/admin", get().to(overview::show))
        .route("/admin/sessions", get().to(sessions::show))
        .route("/admin/sessions/revoke", get().to(revoke::ask))
        .route("/admin/sessions/revoke", post().to(revoke::revoke))
        .route("/admin/sessions/{id}", get().to(session::show))
        .route("/admin/sessions/{id}/read", post().to(alarms::read))
        .route("/admin/users", get().to(users::list))
        .route("/admin/users/{id}", get().to(users::show))
        .route("/admin/users/{id}/profile", get().to(user_profile::show))
        .route("/admin/users/{id}/profile", post().to(user_profile::change))
        .route("/admin/users/{id}/disable", get().to(users::ask_disable))
        .route("/admin/users/{id}/disable", post().to(users::disable))
        .route("/admin/users/{id}/enable", post().to(users::enable))
        .route("/admin/users/{id}/sign-out", post().to(users::sign_out))
        .route("/admin/clients", get().to(clients::list))
        .route("/admin/clients", post().to(clients::register))
        .route("/admin/clients/new", get().to(clients::new))
        .route("/admin/clients/{id}", get().to(clients::show))
        .route("/admin/clients/{id}", post().to(clients::update))
        .route("/admin/clients/{id}/new-secret", get().to(clients::ask_new_secret))
        .route("/admin/clients/{id}/new-secret", post().to(clients::new_secret))
        .route("/admin/clients/{id}/secret", get().to(client_secret::show))
        .route("/admin/clients/{id}/review", post().to(clients::review))
        .route("/admin/clients/{id}/remove", get().to(clients::ask_remove))
        .route("/admin/clients/{id}/remove", post().to(clients::remove))
        .route("/admin/audit", get().to(audit::show))
        .route("/admin/keys", get().to(keys::show))
        .route("/admin/keys/rotate", get().to(keys::ask_rotate))
        .route("/admin/keys/rotate", post().to(keys::rotate))
        .route("/admin/keys/secret/rotate", get().to(keys::ask_rotate_secret))
        .route("/admin/keys/secret/rotate", post().to(keys::rotate_secret));
}
