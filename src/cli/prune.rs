//! `perennial prune`: what the server does by itself every hour.

use std::collections::BTreeMap;

use super::answer::{Answer, table};
use super::context::Context;
use super::failure::Failure;
use crate::protocol::unused_clients;
use crate::settings::SettingsFlags;
use crate::storage::prune::{self, Retention};

#[derive(Debug, clap::Args)]
pub(super) struct Prune {
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Prune {
    pub(super) async fn run(self, flags: SettingsFlags) -> Result<Answer, Failure> {
        let context = Context::open(flags).await?;
        let (settings, now) = (&context.settings.retention, context.act.now);
        let retention =
            Retention { ended_sessions: settings.ended_sessions, audit: settings.audit };
        let mut removed: BTreeMap<&str, usize> =
            prune::all(&context.database, &retention, now).await?.into_iter().collect();
        let unused = context.settings.registration.unused;
        removed
            .insert("unused_clients", unused_clients::prune(&context.database, unused, now).await?);
        let rows = removed.iter().map(|(name, count)| [name.replace('_', " "), count.to_string()]);
        let text = table(["WHAT", "REMOVED"], rows, "");
        Answer::new(&removed, text)
    }
}
