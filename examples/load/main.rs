//! A load tool for token endpoints, and the floors to hold its figures against.
//!
//! `load run` drives any OAuth server: N clients, each on a connection of its own, rotate
//! refresh tokens from a file and check every answer. `load seed` fills a database of
//! Perennial with sessions and writes such a file. `load http-floor` and `load sqlite-floor`
//! are what the machine could do at best: the same answers without a database, and the same
//! guarded updates without a server. `docs/performance.md` has the commands.
#![allow(clippy::print_stdout, reason = "a tool that prints its figures")]

mod client;
mod figures;
mod http_floor;
mod logins;
mod run;
mod seed;
mod sqlite_floor;

use clap::{Parser, Subcommand};

/// Load for token endpoints, and floors to compare with.
#[derive(Debug, Parser)]
#[command(name = "load")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Rotate refresh tokens at a token endpoint, and check every answer
    Run(run::Run),
    /// Fill a database of Perennial with sessions, before its server starts
    Seed(seed::Seed),
    /// Parse the same form and give the same answer, without a database
    HttpFloor(http_floor::HttpFloor),
    /// Sign in with wrong passwords, each of which costs a hash
    Logins(logins::Logins),
    /// The same guarded update by the bare driver: one thread, in batches
    SqliteFloor(sqlite_floor::SqliteFloor),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Run(run) => run.run(),
        Command::Seed(seed) => seed.run(),
        Command::HttpFloor(floor) => floor.run(),
        Command::Logins(logins) => logins.run(),
        Command::SqliteFloor(floor) => floor.run(),
    }
}
