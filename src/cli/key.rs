//! `perennial key`: which keys there are, and what becomes of them; never the keys themselves.

use std::sync::Arc;

use clap::ValueEnum;
use serde::Serialize;

use super::answer::{Answer, counted, table};
use super::context::Context;
use super::failure::Failure;
use crate::crypto::root_secret::RootSecret;
use crate::domain::key_life::{KeyLife, KeyState};
use crate::domain::time::Timestamp;
use crate::protocol::key_rotation::{self, Order, Rotated, Which};
use crate::settings::SettingsFlags;
use crate::storage::{Database, keys};

#[derive(Debug, clap::Args)]
pub(super) struct Key {
    /// Print JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List signing keys and token secrets
    List,
    Rotate(Rotate),
}

/// Let the next keys take over
///
/// New keys are published ten minutes before they are used, so that everybody has them by then;
/// the running server lets them take over. The old ones go on proving what they made, and
/// nobody is signed out. The server does all this by itself: keys.rotate_seconds.
#[derive(Debug, clap::Args)]
struct Rotate {
    /// Let them take over at once, however new they are; the old ones stay published
    #[arg(long)]
    now: bool,
    /// Others may know the keys: make new ones, take the old ones out of the key set at once,
    /// and end every session whose tokens are of the old secret
    #[arg(long, conflicts_with_all = ["now", "only"])]
    compromised: bool,
    /// Only these
    #[arg(long, value_name = "WHICH")]
    only: Option<Only>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Only {
    /// What ID tokens and JWT access tokens are signed with
    SigningKeys,
    /// What refresh tokens and opaque access tokens are proven with
    TokenSecret,
}

#[derive(Serialize)]
struct KeyView {
    kid: String,
    #[serde(rename = "use")]
    purpose: &'static str,
    alg: String,
    state: &'static str,
    created_at: String,
    due_at: Option<String>,
    current_since: Option<String>,
    retired_at: Option<String>,
    published_until: Option<String>,
}

impl KeyView {
    fn new(kid: String, purpose: &'static str, alg: String, life: &KeyLife) -> Self {
        let text = |at: Option<Timestamp>| at.map(Timestamp::to_rfc3339);
        Self {
            kid,
            purpose,
            alg,
            state: match life.state() {
                KeyState::Next => "next",
                KeyState::Current => "current",
                KeyState::Retired => "retired",
            },
            created_at: life.created_at.to_rfc3339(),
            due_at: text(life.due_at.filter(|_| life.current_since.is_none())),
            current_since: text(life.current_since),
            retired_at: text(life.retired_at),
            published_until: text(life.published_until()),
        }
    }

    fn row(&self) -> [String; 6] {
        let since = match (&self.retired_at, &self.current_since, &self.due_at) {
            (Some(at), _, _) | (None, Some(at), _) => at.clone(),
            (None, None, Some(at)) => format!("due {at}"),
            (None, None, None) => String::new(),
        };
        [
            self.kid.clone(),
            self.purpose.replace('_', " "),
            self.alg.clone(),
            self.created_at.clone(),
            self.state.to_owned(),
            since,
        ]
    }
}

#[derive(Serialize)]
struct RotatedView {
    made: Vec<String>,
    in_use: Vec<String>,
    removed: Vec<String>,
    due_at: Option<String>,
    sessions_ended: usize,
    keys: Vec<KeyView>,
}

impl Key {
    pub(super) async fn run(self, flags: SettingsFlags) -> Result<Answer, Failure> {
        let context = Context::open(flags).await?;
        match self.action {
            Action::List => {
                let views = list(&context.database).await?;
                let text = listed(&views);
                Answer::new(&views, text)
            }
            Action::Rotate(rotate) => rotate.run(context).await,
        }
    }
}

impl Rotate {
    async fn run(self, context: Context) -> Result<Answer, Failure> {
        let Context { settings, database, act } = context;
        if list(&database).await?.is_empty() {
            return Err(Failure::Failed(NOTHING.to_owned()));
        }
        let root = RootSecret::load(&settings.secret_key_file).map_err(Failure::because)?;
        let which = match self.only {
            None => Which::All,
            Some(Only::SigningKeys) => Which::Signing,
            Some(Only::TokenSecret) => Which::Secret,
        };
        let order = match (self.compromised, self.now) {
            (true, _) => Order::Compromised,
            (false, true) => Order::RotateNow(which),
            (false, false) => Order::Rotate(which),
        };
        let (root, every) = (Arc::new(root), settings.keys.rotate);
        let done = key_rotation::carry_out(&database, &root, order, every, act).await?;
        let keys = list(&database).await?;
        let text = format!("{}\n\n{}", told(&done), listed(&keys));
        let view = RotatedView {
            made: done.made,
            in_use: done.began,
            removed: done.removed,
            due_at: done.due_at.map(Timestamp::to_rfc3339),
            sessions_ended: done.sessions,
            keys,
        };
        Answer::new(&view, text)
    }
}

/// What was done, in sentences.
fn told(done: &Rotated) -> String {
    let mut said = Vec::new();
    if !done.began.is_empty() {
        said.push(format!("In use now: {}.", done.began.join(", ")));
    }
    if let Some(due) = done.due_at {
        said.push(format!(
            "The next keys are published, and the server takes them into use at {}.",
            due.to_rfc3339()
        ));
    }
    if !done.removed.is_empty() {
        said.push(format!("Nothing of these counts any more: {}.", done.removed.join(", ")));
        let sessions = counted(done.sessions, "session", "sessions");
        said.push(format!("{sessions} ended. Whoever keeps the key set may believe the old keys for five more minutes."));
    }
    said.join("\n")
}

const NOTHING: &str = "There are no keys yet; the server makes them at its first start.";

async fn list(database: &Database) -> Result<Vec<KeyView>, Failure> {
    let (signing, tokens) = database
        .read(|connection| Ok((keys::signing_keys(connection)?, keys::token_keys(connection)?)))
        .await?;
    let signing =
        signing.into_iter().map(|key| KeyView::new(key.kid, "signing", key.algorithm, &key.life));
    let tokens = tokens.into_iter().filter(|key| key.compromised_at.is_none()).map(|key| {
        KeyView::new(key.id.0.to_string(), "token_secret", "HS256".to_owned(), &key.life)
    });
    Ok(signing.chain(tokens).collect())
}

fn listed(views: &[KeyView]) -> String {
    table(
        ["KID", "USE", "ALG", "CREATED", "STATE", "SINCE"],
        views.iter().map(KeyView::row),
        NOTHING,
    )
}
