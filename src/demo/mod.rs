//! Meadow Notes: a small third-party app for trying the server out.
//!
//! It knows what any such app knows (an issuer, a client id, its own address)
//! and talks to the server over its public endpoints alone, so nothing of this
//! crate is used here. What it holds it holds in memory: it is a demonstration
//! of a client, whose sign-ins end with its process.

mod issuer;
mod keeper;
mod pages;
mod session;

use std::io;
use std::net::TcpListener;

use actix_web::dev::Server;
use actix_web::{App, HttpServer, web};
use secrecy::SecretString;

/// What the app has to be told.
#[derive(Clone, Debug)]
pub struct AppConfig {
    /// Its own address as browsers see it, without a slash at its end:
    /// `http://localhost:8081`. Its redirect URI is `/callback` below it.
    pub base_url: String,
    /// The issuer, letter by letter.
    pub issuer: String,
    /// Its client id there.
    pub client_id: String,
    /// Its client secret, if it is a confidential client.
    pub client_secret: Option<SecretString>,
    /// The scopes it asks for, with spaces between.
    pub scope: String,
}

/// The app on a port that is bound already. Await the [`Server`] to run it, and
/// stop it by its handle; it minds no signals, since it isn't alone.
pub fn serve(listener: TcpListener, config: AppConfig) -> io::Result<Server> {
    let state = web::Data::new(pages::Meadow::new(config).map_err(io::Error::other)?);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .wrap(actix_web::middleware::from_fn(pages::headers))
            .configure(pages::routes)
    })
    .workers(1)
    .disable_signals()
    .shutdown_timeout(1)
    .listen(listener)?
    .run();
    Ok(server)
}

#[cfg(test)]
mod tests;
