//! `perennial key`: which keys there are; never the keys themselves.

use serde::Serialize;

use super::answer::{Answer, table};
use super::context::Context;
use super::failure::Failure;
use crate::domain::time::Timestamp;
use crate::settings::SettingsFlags;
use crate::storage::keys;

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
}

#[derive(Serialize)]
struct KeyView {
    kid: String,
    #[serde(rename = "use")]
    purpose: &'static str,
    alg: String,
    created_at: String,
    retired_at: Option<String>,
    state: &'static str,
}

impl KeyView {
    fn new(
        kid: String,
        purpose: &'static str,
        alg: String,
        created_at: Timestamp,
        retired_at: Option<Timestamp>,
    ) -> Self {
        Self {
            kid,
            purpose,
            alg,
            created_at: created_at.to_rfc3339(),
            retired_at: retired_at.map(Timestamp::to_rfc3339),
            state: if retired_at.is_some() { "retired" } else { "active" },
        }
    }
}

impl Key {
    pub(super) async fn run(self, flags: SettingsFlags) -> Result<Answer, Failure> {
        let Action::List = self.action;
        let context = Context::open(flags).await?;
        let (signing, tokens) = context
            .database
            .read(|connection| Ok((keys::signing_keys(connection)?, keys::token_keys(connection)?)))
            .await?;
        let signing = signing.into_iter().map(|key| {
            KeyView::new(key.kid, "signing", key.algorithm, key.created_at, key.retired_at)
        });
        let tokens = tokens.into_iter().map(|key| {
            let alg = "HS256".to_owned();
            KeyView::new(key.id.0.to_string(), "token_secret", alg, key.created_at, key.retired_at)
        });
        let views: Vec<KeyView> = signing.chain(tokens).collect();
        let rows = views.iter().map(|view| {
            [
                view.kid.clone(),
                view.purpose.replace('_', " "),
                view.alg.clone(),
                view.created_at.clone(),
                view.state.to_owned(),
            ]
        });
        let nothing = "There are no keys yet; the server makes them at its first start.";
        let text = table(["KID", "USE", "ALG", "CREATED", "STATE"], rows, nothing);
        Answer::new(&views, text)
    }
}
