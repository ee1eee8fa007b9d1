//! The commands: one file for each. A command parses, calls what the pages call too, and
//! hands back an [`Answer`], which is printed for people or as JSON.

mod answer;
mod client;
mod context;
mod demo;
mod failure;
mod healthcheck;
mod key;
mod migrate;
mod prune;
mod recover;
mod scope;
mod serve;
mod session;
mod user;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand};

use crate::settings::SettingsFlags;
use answer::{Answer, Form};
use failure::Failure;

/// OAuth 2.1 authorization server whose sessions renew themselves.
#[derive(Debug, Parser)]
#[command(name = "perennial", version, subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    settings: SettingsFlags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try everything out: a throw-away server, people, apps, and what to click
    Demo(demo::Demo),
    /// Run the server
    #[command(after_help = "--help lists every setting with its default.")]
    #[command(after_long_help = crate::settings::help_text())]
    Serve,
    /// Apply the migrations that wait
    Migrate(migrate::Migrate),
    /// People's accounts
    User(user::User),
    /// The apps that people sign in to
    Client(client::Clients),
    /// Who is signed in to what
    Session(session::Session),
    /// What the consent page says about scopes
    Scope(scope::Scopes),
    /// Signing keys and token secrets
    Key(key::Key),
    /// Remove what is past its time, as the server does every hour
    Prune(prune::Prune),
    /// Let apps go on after a restored backup
    Recover(recover::Recover),
    /// Exit with 0 when the local server is ready, for containers
    Healthcheck,
}

/// Runs the command that this process was started with.
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

/// Runs a command, prints its answer or what went wrong, and says how it ended.
fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and the version come this way too; clap knows where each belongs.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let form = cli.command.form();
    let outcome = context::block_on(cli.command.run(cli.settings));
    match outcome.and_then(|answer| answer.print(form)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}

impl Command {
    fn form(&self) -> Form {
        let json = match self {
            Self::Demo(_) | Self::Serve | Self::Healthcheck => false,
            Self::Migrate(command) => command.json,
            Self::User(command) => command.json,
            Self::Client(command) => command.json,
            Self::Session(command) => command.json,
            Self::Scope(command) => command.json,
            Self::Key(command) => command.json,
            Self::Prune(command) => command.json,
            Self::Recover(command) => command.json,
        };
        if json { Form::Json } else { Form::Text }
    }

    async fn run(self, flags: SettingsFlags) -> Result<Answer, Failure> {
        match self {
            Self::Demo(command) => command.run(&flags).await,
            Self::Serve => serve::run(flags).await,
            Self::Migrate(command) => command.run(flags).await,
            Self::User(command) => command.run(flags).await,
            Self::Client(command) => command.run(flags).await,
            Self::Session(command) => command.run(flags).await,
            Self::Scope(command) => command.run(flags).await,
            Self::Key(command) => command.run(flags).await,
            Self::Prune(command) => command.run(flags).await,
            Self::Recover(command) => command.run(flags).await,
            Self::Healthcheck => healthcheck::run(flags).await,
        }
    }
}

/// Takes one of these words.
fn one_of<T, const N: usize>(all: [(T, &'static str); N]) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + 'static,
{
    PossibleValuesParser::new(all.map(|(_, name)| name)).try_map(move |text| {
        all.iter()
            .find(|(_, name)| *name == text)
            .map(|(value, _)| *value)
            .ok_or_else(|| format!("there is no {text}"))
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_definitions_agree_with_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn settings_flags_go_with_every_command_wherever_they_stand() {
        for line in [
            "perennial user list --config p.toml --database-url sqlite://a.db --set workers=1",
            "perennial --config p.toml --database-url sqlite://a.db --set workers=1 user list",
            "perennial key --config p.toml list --database-url sqlite://a.db --set workers=1",
        ] {
            let flags = parse(line).unwrap().settings;
            assert_eq!(flags.config, Some("p.toml".into()), "{line}");
            assert_eq!(flags.database_url.as_deref(), Some("sqlite://a.db"), "{line}");
            assert_eq!(flags.set, ["workers=1"], "{line}");
        }
    }

    #[test]
    fn json_may_stand_anywhere_after_the_noun() {
        for line in
            ["perennial user --json list", "perennial user list --json", "perennial prune --json"]
        {
            assert_eq!(parse(line).unwrap().command.form(), Form::Json, "{line}");
        }
        assert_eq!(parse("perennial user list").unwrap().command.form(), Form::Text);
    }

    #[test]
    fn bad_usage_is_told_apart_from_failure() {
        for line in [
            "perennial",
            "perennial frobnicate",
            "perennial user add ada",
            "perennial session revoke",
            "perennial session revoke --before yesterday",
            "perennial session revoke nonsense",
            "perennial client add --name N --type secretive",
            "perennial client add --name N --type public --grant password",
            "perennial demo --port 70000",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn the_help_of_serve_lists_every_setting() {
        let help = parse("perennial serve --help").unwrap_err().to_string();
        for key in crate::settings::keys() {
            assert!(help.contains(key.name), "{} is missing", key.name);
        }
    }
}
