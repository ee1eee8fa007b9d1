//! `perennial client registration-token`: who may register clients.

use std::time::Duration;

use serde::Serialize;

use crate::cli::answer::{Answer, facts, table};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::domain::secret::PlainSecret;
use crate::domain::time::Timestamp;
use crate::protocol::registration::initial_tokens;
use crate::storage::registration_tokens;

#[derive(Debug, clap::Subcommand)]
pub(super) enum RegistrationToken {
    /// Make one, shown this once; it counts unless `registration.mode` is off
    Add {
        /// What it is for
        #[arg(long, default_value = "for registration")]
        name: String,
        /// How many clients it may register [default: any number]
        #[arg(long, value_name = "N")]
        uses: Option<u32>,
        /// When it ends [default: never]
        #[arg(long, value_name = "SECONDS")]
        expires_in: Option<u64>,
    },
    /// List them; the tokens themselves aren't stored
    List,
    /// Remove one; clients that it registered stay
    Remove {
        /// Its id
        #[arg(value_name = "ID")]
        id: String,
    },
}

#[derive(Serialize)]
struct TokenView {
    id: String,
    /// Only right after it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    name: String,
    created_at: String,
    uses_left: Option<u32>,
    expires_at: Option<String>,
    last_used_at: Option<String>,
    works: bool,
}

impl TokenView {
    fn new(
        token: registration_tokens::RegistrationToken,
        secret: Option<&PlainSecret>,
        now: Timestamp,
    ) -> Self {
        Self {
            works: token.works(now),
            id: token.id,
            token: secret.map(|secret| secret.reveal().to_owned()),
            name: token.name,
            created_at: token.created_at.to_rfc3339(),
            uses_left: token.uses_left,
            expires_at: token.expires_at.map(Timestamp::to_rfc3339),
            last_used_at: token.last_used_at.map(Timestamp::to_rfc3339),
        }
    }
}

#[derive(Serialize)]
struct RemovedView {
    id: String,
    removed: bool,
}

impl RegistrationToken {
    pub(super) async fn run(self, context: Context) -> Result<Answer, Failure> {
        match self {
            Self::Add { name, uses, expires_in } => {
                add(context, name, uses, expires_in.map(Duration::from_secs)).await
            }
            Self::List => list(context).await,
            Self::Remove { id } => remove(context, id).await,
        }
    }
}

async fn add(
    context: Context,
    name: String,
    uses: Option<u32>,
    life: Option<Duration>,
) -> Result<Answer, Failure> {
    let flag = |member| match member {
        "name" => "--name",
        "uses" => "--uses",
        _ => "--expires-in",
    };
    let faults = initial_tokens::faults(&name, uses, life);
    Failure::of_faults(faults.into_iter().map(|(member, fault)| (flag(member), fault)))
        .map_or(Ok(()), Err)?;
    let Context { database, act, .. } = context;
    let now = act.now;
    let (token, secret) = database
        .write(move |connection| initial_tokens::add(connection, &name, uses, life, &act))
        .await?;
    let view = TokenView::new(token, Some(&secret), now);
    let lines = facts([
        ("id", view.id.clone()),
        ("token", secret.reveal().to_owned()),
        ("uses", view.uses_left.map_or_else(|| "any number".into(), |uses| uses.to_string())),
        ("ends", view.expires_at.clone().unwrap_or_else(|| "never".into())),
    ]);
    let text = format!(
        "Who holds this token may register clients:\n{lines}\nKeep it now: it isn't stored, and \
         isn't shown again."
    );
    Answer::new(&view, text)
}

async fn list(context: Context) -> Result<Answer, Failure> {
    let now = context.act.now;
    let all = context.database.read(registration_tokens::list).await?;
    let views: Vec<TokenView> =
        all.into_iter().map(|token| TokenView::new(token, None, now)).collect();
    let rows = views.iter().map(|view| {
        [
            view.id.clone(),
            view.name.clone(),
            view.uses_left.map_or_else(|| "any".into(), |uses| uses.to_string()),
            view.expires_at.clone().unwrap_or_else(|| "never".into()),
            view.last_used_at.clone().unwrap_or_else(|| "never".into()),
        ]
    });
    let heads = ["ID", "NAME", "USES LEFT", "ENDS", "LAST USED"];
    let nothing = "There are no initial access tokens; `perennial client registration-token add` \
                   makes one.";
    let text = table(heads, rows, nothing);
    Answer::new(&views, text)
}

async fn remove(context: Context, id: String) -> Result<Answer, Failure> {
    let Context { database, act, .. } = context;
    let wanted = id.clone();
    let removed =
        database.write(move |connection| initial_tokens::remove(connection, &wanted, &act)).await?;
    if !removed {
        return Err(Failure::Failed(format!(
            "there is no initial access token {id}; `perennial client registration-token list` \
             lists them"
        )));
    }
    let text = format!("Removed {id}. Clients that it registered stay.");
    Answer::new(&RemovedView { id, removed }, text)
}
