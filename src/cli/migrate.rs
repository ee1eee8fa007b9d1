//! `perennial migrate`: brings the database up to this program.

use serde::Serialize;

use super::answer::{Answer, counted, table};
use super::context;
use super::failure::Failure;
use crate::settings::SettingsFlags;

#[derive(Debug, clap::Args)]
pub(super) struct Migrate {
    /// Only list the migrations, and which of them were applied
    #[arg(long)]
    status: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Serialize)]
struct MigrationView {
    name: String,
    applied: bool,
}

#[derive(Serialize)]
struct AppliedView {
    applied: Vec<String>,
}

impl Migrate {
    pub(super) async fn run(self, flags: SettingsFlags) -> Result<Answer, Failure> {
        let settings = context::settings(flags)?;
        context::quiet_log(&settings.log)?;
        let database = context::database(&settings)?;
        if !self.status {
            let applied = database.migrate()?;
            let text = match applied.as_slice() {
                [] => "The database is up to date.".to_owned(),
                names => format!(
                    "Applied {}:\n  {}",
                    counted(names.len(), "migration", "migrations"),
                    names.join("\n  ")
                ),
            };
            return Answer::new(&AppliedView { applied }, text);
        }
        let views: Vec<MigrationView> = database
            .migrations()?
            .into_iter()
            .map(|migration| MigrationView { name: migration.name, applied: migration.applied })
            .collect();
        let rows = views.iter().map(|view| {
            let state = if view.applied { "applied" } else { "waits" };
            [view.name.clone(), state.to_owned()]
        });
        let text = table(["MIGRATION", "STATE"], rows, "There are no migrations.");
        Answer::new(&views, text)
    }
}
