//! `perennial recover`: after a restored backup, lets apps go on from tokens that the database
//! has lost.

use std::time::Duration;

use clap::ArgGroup;
use serde::Serialize;

use super::answer::{Answer, facts};
use super::context::Context;
use super::failure::Failure;
use crate::domain::recovery::{Recovery, USUAL_TIME, parse_time};
use crate::domain::time::Timestamp;
use crate::protocol::recovery;
use crate::settings::SettingsFlags;
use crate::storage;

/// Let apps go on after a restored backup
///
/// A restored database is older than what apps hold. Without a recovery an app that refreshed
/// more than twice since the backup is taken for a thief, and its session ends. In a recovery
/// the tokens that were issued in the lost time are taken, once for each session.
///
/// Before you open one, end again what was ended since the backup: docs/restore.md.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("what").required(true).args(["since", "status", "close"])))]
pub(super) struct Recover {
    /// When the backup was made, such as 2026-11-23T02:00:00Z
    #[arg(long, value_name = "TIME", requires = "until", value_parser = Timestamp::parse_rfc3339)]
    since: Option<Timestamp>,
    /// When the server that ran after it stopped
    #[arg(long, value_name = "TIME", requires = "since", value_parser = Timestamp::parse_rfc3339)]
    until: Option<Timestamp>,
    /// How long the recovery stays open, 1m to 30d; 7d unless given
    #[arg(long = "for", value_name = "TIME", requires = "since", value_parser = parse_time)]
    time: Option<Duration>,
    /// Say whether one is open, and how many sessions haven't come back
    #[arg(long)]
    status: bool,
    /// Close it now
    #[arg(long)]
    close: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Default, Serialize)]
struct View {
    open: bool,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    recovery: Option<RecoveryView>,
    /// Whether one was open before this command.
    #[serde(skip_serializing_if = "Option::is_none")]
    was_open: Option<bool>,
}

#[derive(Serialize)]
struct RecoveryView {
    since: String,
    until: String,
    opened_at: String,
    opened_by: String,
    closes_at: String,
    sessions_not_back: i64,
}

impl RecoveryView {
    fn new(recovery: &Recovery, sessions_not_back: i64) -> Self {
        Self {
            since: recovery.since.to_rfc3339(),
            until: recovery.until.to_rfc3339(),
            opened_at: recovery.opened_at.to_rfc3339(),
            opened_by: recovery.opened_by.clone(),
            closes_at: recovery.closes_at.to_rfc3339(),
            sessions_not_back,
        }
    }

    fn text(&self) -> String {
        facts([
            ("Tokens issued", format!("{} to {}", self.since, self.until)),
            ("Opened", format!("{} by {}", self.opened_at, self.opened_by)),
            ("Closes", self.closes_at.clone()),
            ("Sessions not back yet", self.sessions_not_back.to_string()),
        ])
    }
}

impl Recover {
    pub(super) async fn run(self, flags: SettingsFlags) -> Result<Answer, Failure> {
        if let (Some(since), Some(until)) = (self.since, self.until) {
            return open(since, until, self.time.unwrap_or(USUAL_TIME), flags).await;
        }
        if self.close { close(flags).await } else { status(flags).await }
    }
}

async fn open(
    since: Timestamp,
    until: Timestamp,
    time: Duration,
    flags: SettingsFlags,
) -> Result<Answer, Failure> {
    let Context { database, act, .. } = Context::open(flags).await?;
    let new = Recovery::new(since, until, time, act.actor_name(), act.now)
        .map_err(|fault| Failure::Usage(format!("{}: {fault}", fault.flag())))?;
    let (before, view) = database
        .write(move |connection| {
            let before = recovery::open(connection, &new, &act)?;
            let not_back = storage::recovery::not_back_yet(connection, &new, act.now)?;
            Ok((before, RecoveryView::new(&new, not_back)))
        })
        .await?;
    let head = match &before {
        Some(before) => format!(
            "A recovery is open, in place of the one from {} to {}.",
            before.since.to_rfc3339(),
            before.until.to_rfc3339()
        ),
        None => "A recovery is open.".to_owned(),
    };
    let text = format!("{head}\n\n{}", view.text());
    Answer::new(&View { open: true, recovery: Some(view), was_open: Some(before.is_some()) }, text)
}

async fn close(flags: SettingsFlags) -> Result<Answer, Failure> {
    let Context { database, act, .. } = Context::open(flags).await?;
    let was_open = database
        .write(move |connection| recovery::close(connection, &act).map(|open| open.is_some()))
        .await?;
    let text = if was_open { "The recovery is closed." } else { "No recovery was open." };
    Answer::new(&View { was_open: Some(was_open), ..View::default() }, text)
}

async fn status(flags: SettingsFlags) -> Result<Answer, Failure> {
    let Context { database, act, .. } = Context::open(flags).await?;
    let found = database
        .read(move |connection| {
            let Some(open) = storage::recovery::open_at(connection, act.now)? else {
                return Ok(None);
            };
            let not_back = storage::recovery::not_back_yet(connection, &open, act.now)?;
            Ok(Some(RecoveryView::new(&open, not_back)))
        })
        .await?;
    match found {
        Some(view) => {
            let text = format!("A recovery is open.\n\n{}", view.text());
            Answer::new(&View { open: true, recovery: Some(view), was_open: None }, text)
        }
        None => Answer::new(&View::default(), "No recovery is open."),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        _recover: Recover,
    }

    #[test]
    fn it_opens_with_both_times_tells_or_closes() {
        let parse = |line: &str| Line::try_parse_from(line.split(' '));
        let both = "recover --since 2026-11-23T02:00:00Z --until 2026-11-23T09:30:00Z";
        for good in [both.to_owned(), format!("{both} --for 24h --json")] {
            assert!(parse(&good).is_ok(), "{good}");
        }
        assert!(parse("recover --status --json").is_ok());
        assert!(parse("recover --close").is_ok());
        for bad in [
            "recover".to_owned(),
            "recover --since 2026-11-23T02:00:00Z".into(),
            "recover --until 2026-11-23T02:00:00Z".into(),
            "recover --since yesterday --until 2026-11-23T02:00:00Z".into(),
            "recover --close --for 24h".into(),
            "recover --close --status".into(),
            format!("{both} --close"),
            format!("{both} --for 24"),
        ] {
            assert!(parse(&bad).is_err(), "{bad}");
        }
    }
}
