//! `perennial client`: the apps that people sign in to.

mod arguments;
mod details;
mod keys;
mod registration_token;
mod view;

use serde::Serialize;

use super::answer::{Answer, facts, table};
use super::context::Context;
use super::failure::Failure;
use crate::domain::client::{Client, ClientId};
use crate::protocol::{clients, endings};
use crate::settings::SettingsFlags;
use crate::storage::{self, StorageError};
use arguments::{Add, Update, check};
use registration_token::RegistrationToken;
use view::ClientView;

#[derive(Debug, clap::Args)]
pub(super) struct Clients {
    /// Print JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Register a client; a confidential one's secret is shown this once
    Add(Box<Add>),
    /// List all clients
    List,
    /// Show one client
    Show(Which),
    /// Change a client; what isn't given stays
    Update(Box<Update>),
    /// Give a confidential client a new secret, shown this once; the old one ends at once
    RotateSecret(Which),
    /// Note that you have looked at a client that came by itself: people aren't warned of it any
    /// more, and it stays when nobody uses it
    Review(Which),
    /// Remove a client, what people allowed it, and its sessions
    Remove(Which),
    /// Who may register clients: initial access tokens
    #[command(subcommand)]
    RegistrationToken(RegistrationToken),
}

#[derive(Debug, clap::Args)]
struct Which {
    /// The client's id
    #[arg(value_name = "ID", value_parser = ClientId::parse)]
    id: ClientId,
}

#[derive(Serialize)]
struct SecretView {
    client_id: String,
    client_secret: String,
}

#[derive(Serialize)]
struct RemovedView {
    client_id: String,
    removed: bool,
}

impl Clients {
    pub(super) async fn run(self, flags: SettingsFlags) -> Result<Answer, Failure> {
        let context = Context::open(flags).await?;
        match self.action {
            Action::Add(add) => add_client(context, *add).await,
            Action::List => list(context).await,
            Action::Show(which) => {
                let client = found(&context, &which.id).await?;
                let view = ClientView::new(&client, None);
                Answer::new(&view, view.lines())
            }
            Action::Update(update) => update_client(context, *update).await,
            Action::RotateSecret(which) => rotate_secret(context, which).await,
            Action::Review(which) => review(context, which).await,
            Action::Remove(which) => remove(context, which.id).await,
            Action::RegistrationToken(action) => action.run(context).await,
        }
    }
}

async fn add_client(context: Context, add: Add) -> Result<Answer, Failure> {
    let (id, metadata) = add.metadata()?;
    check(&metadata, context.settings.tokens.access_token)?;
    let sealer = context.sealer(metadata.auth_method).await?;
    let Context { database, act, .. } = context;
    let id = match id {
        Some(id) => id,
        None => ClientId::parse(&clients::made_up_id()).map_err(Failure::Failed)?,
    };
    let wanted = id.clone();
    let (client, secret) = database
        .write(move |connection| {
            clients::register(connection, sealer.as_ref(), wanted, metadata, &act)
        })
        .await
        .map_err(|error| match error {
            StorageError::Duplicate => Failure::Failed(format!("there is a client {id} already")),
            other => other.into(),
        })?;
    ClientView::new(&client, secret.as_ref()).answer("Registered")
}

async fn list(context: Context) -> Result<Answer, Failure> {
    let all = context.database.read(storage::clients::list).await?;
    let views: Vec<ClientView> = all.iter().map(|client| ClientView::new(client, None)).collect();
    let rows = views.iter().map(|view| {
        [
            view.client_id.clone(),
            view.client_name.clone(),
            view.client_type.to_owned(),
            view.grant_types.join(" "),
            match view.reviewed {
                None | Some(true) => view.origin.to_owned(),
                Some(false) => format!("{}, unreviewed", view.origin),
            },
            view.redirect_uris.join(" "),
        ]
    });
    let heads = ["CLIENT ID", "NAME", "TYPE", "GRANTS", "REGISTERED BY", "REDIRECT URIS"];
    let text = table(heads, rows, "There are no clients; `perennial client add` registers one.");
    Answer::new(&views, text)
}

async fn update_client(context: Context, update: Update) -> Result<Answer, Failure> {
    let before = found(&context, &update.id).await?;
    let (id, mut metadata) = (before.id, before.metadata);
    update.change(&mut metadata)?;
    check(&metadata, context.settings.tokens.access_token)?;
    let sealer = context.sealer(metadata.auth_method).await?;
    let Context { database, act, .. } = context;
    let wanted = id.clone();
    let (client, secret) = database
        .write(move |connection| {
            clients::update(connection, sealer.as_ref(), &wanted, &metadata, &act)
        })
        .await?
        .ok_or_else(|| unknown(&id))?;
    ClientView::new(&client, secret.as_ref()).answer("Changed")
}

async fn rotate_secret(context: Context, which: Which) -> Result<Answer, Failure> {
    let client = found(&context, &which.id).await?;
    let sealer = context.sealer(client.metadata.auth_method).await?;
    let (id, act) = (client.id.clone(), context.act);
    let secret = context
        .database
        .write(move |connection| clients::rotate_secret(connection, sealer.as_ref(), &id, &act))
        .await?
        .ok_or_else(|| {
            Failure::Failed(format!(
                "{} has no secret: it authenticates by {}",
                client.id,
                client.metadata.auth_method.name()
            ))
        })?;
    let view =
        SecretView { client_id: client.id.to_string(), client_secret: secret.reveal().to_owned() };
    let lines = facts([
        ("client id", view.client_id.clone()),
        ("client secret", view.client_secret.clone()),
    ]);
    let text = format!(
        "{} has a new secret; the old one has ended.\n{lines}\nKeep it now: it isn't stored, and \
         isn't shown again.",
        client.metadata.name
    );
    Answer::new(&view, text)
}

async fn review(context: Context, which: Which) -> Result<Answer, Failure> {
    let client = found(&context, &which.id).await?;
    let (id, act) = (client.id.clone(), context.act.clone());
    context.database.write(move |connection| clients::review(connection, &id, &act)).await?;
    let client = found(&context, &which.id).await?;
    ClientView::new(&client, None).answer("Reviewed")
}

async fn remove(context: Context, id: ClientId) -> Result<Answer, Failure> {
    let (wanted, act) = (id.clone(), context.act);
    let remove = move |connection: &mut _| clients::remove(connection, &wanted, &act);
    let (removed, _) = endings::carry_out(&context.database, remove).await?;
    if !removed {
        return Err(unknown(&id));
    }
    let text = format!("Removed {id} and all its sessions.");
    Answer::new(&RemovedView { client_id: id.to_string(), removed }, text)
}

/// The client with this id.
async fn found(context: &Context, id: &ClientId) -> Result<Client, Failure> {
    let wanted = id.clone();
    let found = context
        .database
        .read(move |connection| storage::clients::find(connection, &wanted))
        .await?;
    found.ok_or_else(|| unknown(id))
}

/// What to say of a client that isn't there.
pub(super) fn unknown(id: &ClientId) -> Failure {
    Failure::Failed(format!("there is no client {id}; `perennial client list` lists them"))
}
