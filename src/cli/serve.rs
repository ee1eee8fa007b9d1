//! `perennial serve`: the server itself.

use super::answer::Answer;
use super::context;
use super::failure::Failure;
use crate::clock::Clock;
use crate::server::Server;
use crate::settings::SettingsFlags;
use crate::telemetry;

pub(super) async fn run(flags: SettingsFlags) -> Result<Answer, Failure> {
    let settings = context::settings(flags)?;
    telemetry::init(&settings.log).map_err(|error| Failure::Usage(error.to_string()))?;
    let issuer = settings.issuer.clone();
    let server = Server::bind(settings, Clock::system()).await.map_err(Failure::because)?;
    // Not by the log: the link is a secret, for whoever started the server.
    eprintln!("Perennial answers at {issuer} (it listens on {}).", server.address());
    if let Some(link) = server.setup_link() {
        eprintln!("There is no administrator yet. This link makes one, once:\n\n    {link}\n");
    }
    server.run().await.map_err(Failure::because)?;
    Ok(Answer::text(""))
}
