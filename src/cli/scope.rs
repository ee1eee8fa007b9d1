//! `perennial scope`: what the consent page says about scopes.

use serde::Serialize;

use super::answer::{Answer, facts, table};
use super::context::Context;
use super::failure::Failure;
use super::one_of;
use crate::domain::scope::{Risk, Scope, ScopeDescription};
use crate::protocol::scopes;
use crate::settings::SettingsFlags;
use crate::storage::{self, StorageError};

/// The longest sentence that the consent page shows well.
const MAX_DESCRIPTION_CHARS: usize = 200;

const RISKS: [(Risk, &str); 2] = [(Risk::Read, "read"), (Risk::Write, "write")];

#[derive(Debug, clap::Args)]
pub(super) struct Scopes {
    /// Print JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Describe a scope
    Add {
        /// The scope, such as notes.read
        #[arg(value_parser = name)]
        name: String,
        /// A sentence that starts with a verb: "Read your notes and notebooks"
        #[arg(long, value_name = "SENTENCE", value_parser = description)]
        description: String,
        /// Whether it only reads
        #[arg(long, default_value = "read", value_parser = one_of(RISKS))]
        risk: Risk,
    },
    /// List the scopes that are described
    List,
    /// Describe a scope anew; what isn't given stays
    #[command(group(clap::ArgGroup::new("change").required(true).multiple(true)))]
    Update {
        /// The scope
        #[arg(value_parser = name)]
        name: String,
        /// A sentence that starts with a verb
        #[arg(long, value_name = "SENTENCE", value_parser = description, group = "change")]
        description: Option<String>,
        /// Whether it only reads
        #[arg(long, value_parser = one_of(RISKS), group = "change")]
        risk: Option<Risk>,
    },
    /// Remove a scope's description
    Remove {
        /// The scope
        #[arg(value_parser = name)]
        name: String,
    },
}

#[derive(Serialize)]
struct ScopeView {
    name: String,
    description: String,
    risk: &'static str,
}

impl From<ScopeDescription> for ScopeView {
    fn from(scope: ScopeDescription) -> Self {
        let risk = RISKS.iter().find(|(own, _)| *own == scope.risk).map_or("", |(_, name)| name);
        Self { name: scope.name, description: scope.description, risk }
    }
}

#[derive(Serialize)]
struct RemovedView {
    name: String,
    removed: bool,
}

impl Scopes {
    pub(super) async fn run(self, flags: SettingsFlags) -> Result<Answer, Failure> {
        let Context { database, act, .. } = Context::open(flags).await?;
        match self.action {
            Action::Add { name, description, risk } => {
                let scope = ScopeDescription { name, description, risk };
                let added = scope.clone();
                database
                    .write(move |connection| scopes::add(connection, &added, &act))
                    .await
                    .map_err(|error| match error {
                        StorageError::Duplicate => Failure::Failed(format!(
                            "{} is described already; change it with `perennial scope update`",
                            scope.name
                        )),
                        other => other.into(),
                    })?;
                shown("Described", scope)
            }
            Action::List => {
                let views: Vec<ScopeView> = database
                    .read(storage::scopes::list)
                    .await?
                    .into_iter()
                    .map(ScopeView::from)
                    .collect();
                let rows = views.iter().map(|view| {
                    [view.name.clone(), view.risk.to_owned(), view.description.clone()]
                });
                let nothing = "No scope is described; consent shows their names alone.";
                let text = table(["SCOPE", "RISK", "DESCRIPTION"], rows, nothing);
                Answer::new(&views, text)
            }
            Action::Update { name, description, risk } => {
                let wanted = name.clone();
                let updated = database
                    .write(move |connection| {
                        let known = storage::scopes::list(connection)?;
                        let Some(before) = known.into_iter().find(|own| own.name == wanted) else {
                            return Ok(None);
                        };
                        let scope = ScopeDescription {
                            description: description.unwrap_or(before.description),
                            risk: risk.unwrap_or(before.risk),
                            name: before.name,
                        };
                        Ok(scopes::update(connection, &scope, &act)?.then_some(scope))
                    })
                    .await?;
                shown("Described anew", updated.ok_or_else(|| unknown(&name))?)
            }
            Action::Remove { name } => {
                let wanted = name.clone();
                let removed = database
                    .write(move |connection| scopes::remove(connection, &wanted, &act))
                    .await?;
                if !removed {
                    return Err(unknown(&name));
                }
                let text = format!("Removed the description of {name}.");
                Answer::new(&RemovedView { name, removed }, text)
            }
        }
    }
}

fn shown(what: &str, scope: ScopeDescription) -> Result<Answer, Failure> {
    let view = ScopeView::from(scope);
    let lines = facts([
        ("scope", view.name.clone()),
        ("risk", view.risk.to_owned()),
        ("description", view.description.clone()),
    ]);
    Answer::new(&view, format!("{what}:\n{lines}"))
}

fn unknown(name: &str) -> Failure {
    Failure::Failed(format!("{name} is not described; `perennial scope list` lists those that are"))
}

fn name(text: &str) -> Result<String, String> {
    let scope: Scope = text.parse()?;
    let mut tokens = scope.iter();
    match (tokens.next(), tokens.next()) {
        (Some(one), None) => Ok(one.to_owned()),
        _ => Err("one scope, without spaces".to_owned()),
    }
}

fn description(text: &str) -> Result<String, String> {
    let text = text.trim();
    let length = text.chars().count();
    if length == 0 || length > MAX_DESCRIPTION_CHARS || text.chars().any(char::is_control) {
        return Err(format!("a sentence of 1 to {MAX_DESCRIPTION_CHARS} characters"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_scope_and_a_sentence_for_it() {
        assert_eq!(name("notes.read").as_deref(), Ok("notes.read"));
        for bad in ["", " ", "a b", "a\"b"] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
        assert_eq!(description(" Read notes ").as_deref(), Ok("Read notes"));
        assert!(description("a\nb").is_err() && description(&"x".repeat(201)).is_err());
    }
}
