//! What the operator sees: the log, and the reference of each request in it.

mod reference;
mod request;

use std::io::{self, IsTerminal as _};

use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry};

use crate::settings::{LogFormat, LogSettings};

pub use reference::Reference;
pub use request::{Routine, follow};

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `RUST_LOG` or `log.filter` is none.
    #[error(
        "{source_name} = {text:?} is not a filter of `tracing`, such as info or warn,perennial=debug"
    )]
    Filter {
        /// Which of the two.
        source_name: &'static str,
        /// What it says.
        text: String,
    },
    /// This process writes a log already.
    #[error("the log was set up twice")]
    Twice,
}

/// Begins to log to standard error. `RUST_LOG`, where it is set, goes before
/// the filter of the settings.
pub fn init(settings: &LogSettings) -> Result<(), TelemetryError> {
    let (source_name, text) = match std::env::var("RUST_LOG") {
        Ok(text) if !text.is_empty() => ("RUST_LOG", text),
        _ => ("log.filter", settings.filter.clone()),
    };
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::ERROR.into())
        .parse(&text)
        .map_err(|_| TelemetryError::Filter { source_name, text })?;
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    subscriber(settings.format, filter, colours, io::stderr)
        .try_init()
        .map_err(|_| TelemetryError::Twice)
}

/// The log as [`init`] sets it up, onto any writer: for tests.
pub fn subscriber<W>(
    format: LogFormat,
    filter: EnvFilter,
    colours: bool,
    writer: W,
) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = match format {
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_writer(writer)
            .boxed(),
        LogFormat::Pretty => {
            tracing_subscriber::fmt::layer().with_ansi(colours).with_writer(writer).boxed()
        }
    };
    Registry::default().with(lines.with_filter(filter_fn(harmless)).with_filter(filter))
}

/// At `trace` the HTTP libraries may write out whole requests, tokens and
/// cookies in them; no filter an operator sets brings that into our log.
fn harmless(metadata: &tracing::Metadata<'_>) -> bool {
    let ours = metadata.target() == "perennial" || metadata.target().starts_with("perennial::");
    ours || *metadata.level() < Level::TRACE
}

#[cfg(test)]
mod tests;
