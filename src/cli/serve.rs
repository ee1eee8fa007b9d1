//! `perennial serve`: the server itself.

use std::io::Write as _;

use super::answer::Answer;
use super::context;
use super::failure::Failure;
use crate::clock::Clock;
use crate::server::Server;
use crate::settings::{Issuer, SettingsFlags};
use crate::telemetry;

pub(super) async fn run(flags: SettingsFlags) -> Result<Answer, Failure> {
    let settings = context::settings(flags)?;
    telemetry::init(&settings.log).map_err(|error| Failure::Usage(error.to_string()))?;
    let issuer = settings.issuer.clone();
    let server = Server::bind(settings, Clock::system()).await.map_err(Failure::because)?;
    announce(&issuer, &server);
    server.run().await.map_err(Failure::because)?;
    Ok(Answer::text(""))
}

/// Says where it is, on standard output: the set-up link is a secret for whoever started the
/// server and belongs in no log, and on standard error every line is the log's.
fn announce(issuer: &Issuer, server: &Server) {
    let mut text = format!("Perennial answers at {issuer} (it listens on {}).\n", server.address());
    if let Some(link) = server.setup_link() {
        text +=
            &format!("There is no administrator yet. This link makes one, once:\n\n    {link}\n\n");
    }
    // Whoever closed it doesn't want to know.
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
