//! `perennial serve`: the server itself.

use std::io::Write as _;

use super::answer::Answer;
use super::context;
use super::failure::Failure;
use crate::clock::Clock;
use crate::domain::time::Timestamp;
use crate::server::Server;
use crate::settings::{Issuer, LogFormat, SettingsFlags};
use crate::telemetry;

pub(super) async fn run(flags: SettingsFlags) -> Result<Answer, Failure> {
    let settings = context::settings(flags)?;
    telemetry::init(&settings.log).map_err(|error| Failure::Usage(error.to_string()))?;
    let issuer = settings.issuer.clone();
    let (format, clock) = (settings.log.format, Clock::system());
    let server = Server::bind(settings, clock.clone()).await.map_err(Failure::because)?;
    announce(&issuer, format, clock.now(), &server);
    server.run().await.map_err(Failure::because)?;
    Ok(Answer::text(""))
}

/// Says where it is, on standard error. The set-up link is a secret for whoever started the
/// server, so it doesn't go through the log's own path; where the log is JSON, so are these lines.
fn announce(issuer: &Issuer, format: LogFormat, now: Timestamp, server: &Server) {
    let here = format!("Perennial answers at {issuer} (it listens on {}).", server.address());
    let link = server.setup_link();
    let text = match format {
        LogFormat::Pretty => {
            let invitation = link.map(|link| {
                format!(
                    "There is no administrator yet. This link makes one, once:\n\n    {link}\n\n"
                )
            });
            format!("{here}\n{}", invitation.unwrap_or_default())
        }
        LogFormat::Json => {
            let mut line = serde_json::json!({
                "timestamp": now.to_rfc3339(),
                "level": "INFO",
                "target": module_path!(),
                "message": here,
            });
            if let (Some(link), Some(line)) = (link, line.as_object_mut()) {
                line.insert("setup_link".into(), link.into());
            }
            format!("{line}\n")
        }
    };
    // Whoever closed it doesn't want to know.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
