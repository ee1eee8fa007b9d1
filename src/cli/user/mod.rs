//! `perennial user`: people's accounts.

mod update;
mod view;

use std::io::{self, IsTerminal as _, Read as _};

use serde::Serialize;

use super::answer::{Answer, counted, table, yes_no};
use super::context::{self, Context};
use super::failure::Failure;
use crate::crypto::passwords;
use crate::domain::account::Account;
use crate::domain::id::UserId;
use crate::domain::password_policy;
use crate::domain::secret::PlainSecret;
use crate::protocol::accounts::{self, NewAccount};
use crate::protocol::endings;
use crate::settings::{PasswordSettings, SettingsFlags};
use crate::storage::{Connection, Result as Stored, StorageError, users};
use update::Update;
use view::UserView;

#[derive(Debug, clap::Args)]
pub(super) struct User {
    /// Print JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Add an account
    Add(Add),
    /// List all accounts
    List,
    /// Show one account
    Show(Which),
    /// Change what an account says of its person; what isn't given stays
    Update(Box<Update>),
    /// Keep a person from signing in, and end all their sessions
    Disable(Which),
    /// Let a disabled person sign in again
    Enable(Which),
    /// Set a person's password, and end all their sessions
    Password {
        #[command(flatten)]
        which: Which,
        /// Read the password from standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// Remove an account, what it allowed to apps, and its sessions
    Remove(Which),
}

#[derive(Debug, clap::Args)]
struct Add {
    /// What they sign in with
    #[arg(value_name = "NAME")]
    username: String,
    /// Their email address
    #[arg(long)]
    email: String,
    /// Their name, as apps and pages show it [default: NAME]
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// Let them use the admin pages
    #[arg(long)]
    admin: bool,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Username, email address or id
    #[arg(value_name = "USER")]
    user: String,
}

/// A change, and how many sessions it ended.
#[derive(Serialize)]
struct PasswordView {
    #[serde(flatten)]
    user: UserView,
    sessions_ended: usize,
}

#[derive(Serialize)]
struct RemovedView {
    id: String,
    username: String,
    removed: bool,
}

impl User {
    pub(super) async fn run(self, flags: SettingsFlags) -> Result<Answer, Failure> {
        let context = Context::open(flags).await?;
        match self.action {
            Action::Add(add) => add.run(context).await,
            Action::List => list(context).await,
            Action::Show(which) => {
                let account = which.find(&context).await?;
                let view = UserView::from(&account);
                Answer::new(&view, view.lines())
            }
            Action::Update(update) => update.run(context).await,
            Action::Disable(which) => disable(context, &which).await,
            Action::Enable(which) => enable(context, &which).await,
            Action::Password { which, password_stdin } => {
                password(context, &which, password_stdin).await
            }
            Action::Remove(which) => remove(context, &which).await,
        }
    }
}

impl Add {
    async fn run(self, context: Context) -> Result<Answer, Failure> {
        let Context { settings, database, act } = context;
        let new = NewAccount {
            display_name: self.display_name.unwrap_or_else(|| self.username.clone()),
            username: self.username,
            email: self.email,
            is_admin: self.admin,
        };
        let password = read_password(self.password_stdin)?;
        let faults = new.faults(password.reveal(), settings.passwords.minimum_length);
        let named: Vec<(String, String)> =
            faults.into_iter().map(|(field, fault)| (label(field), fault)).collect();
        let named = named.iter().map(|(flag, fault)| (flag.as_str(), fault.clone()));
        if let Some(failure) = Failure::of_faults(named) {
            return Err(failure);
        }
        let hash = hash(&settings.passwords, &password)?;
        let (username, email) = (new.username.clone(), new.email.clone());
        let account = database
            .write(move |connection| accounts::add(connection, &new, hash, &act))
            .await
            .map_err(|error| match error {
                StorageError::Duplicate => Failure::Failed(format!(
                    "there is an account with the name {username} or the address {email} already"
                )),
                other => other.into(),
            })?;
        let view = UserView::from(&account);
        Answer::new(&view, format!("Added {}:\n{}", view.username, view.lines()))
    }
}

async fn list(context: Context) -> Result<Answer, Failure> {
    let accounts =
        context.database.read(|connection| users::list(connection, None, None, i64::MAX)).await?;
    let views: Vec<UserView> = accounts.iter().map(UserView::from).collect();
    let rows = views.iter().map(|view| {
        [
            view.username.clone(),
            view.display_name.clone(),
            view.email.clone(),
            yes_no(view.admin),
            view.state.to_owned(),
            view.last_sign_in_at.clone().unwrap_or_else(|| "never".into()),
        ]
    });
    let heads = ["USERNAME", "NAME", "EMAIL", "ADMIN", "STATE", "LAST SIGN-IN"];
    let text = table(heads, rows, "There are no accounts; `perennial user add` makes one.");
    Answer::new(&views, text)
}

async fn disable(context: Context, which: &Which) -> Result<Answer, Failure> {
    let Context { database, act, .. } = &context;
    let (id, act) = (which.find(&context).await?.id, act.clone());
    let disable = move |connection: &mut _| accounts::disable(connection, id, &act);
    let (changed, _) = endings::carry_out(database, disable).await?;
    let view = UserView::from(&which.find(&context).await?);
    let text = if changed {
        format!("{} can't sign in any more, and is signed out everywhere.", view.username)
    } else {
        format!("{} was disabled already.", view.username)
    };
    Answer::new(&view, text)
}

async fn enable(context: Context, which: &Which) -> Result<Answer, Failure> {
    let Context { database, act, .. } = &context;
    let (id, act) = (which.find(&context).await?.id, act.clone());
    let changed = database.write(move |connection| accounts::enable(connection, id, &act)).await?;
    let view = UserView::from(&which.find(&context).await?);
    let text = if changed {
        format!("{} can sign in again.", view.username)
    } else {
        format!("{} wasn't disabled.", view.username)
    };
    Answer::new(&view, text)
}

async fn password(context: Context, which: &Which, from_stdin: bool) -> Result<Answer, Failure> {
    let account = which.find(&context).await?;
    let password = read_password(from_stdin)?;
    let settings = &context.settings.passwords;
    let names = [account.username.as_str(), &account.email, &account.display_name];
    password_policy::check(password.reveal(), settings.minimum_length, &names)
        .map_err(|fault| Failure::Usage(format!("{}: {fault}", label("password"))))?;
    let hash = hash(settings, &password)?;
    let (id, act) = (account.id, context.act.clone());
    let (ended, rest) = endings::carry_out(&context.database, move |connection| {
        accounts::change_password(connection, id, &hash, None, &act)
    })
    .await?;
    let sessions_ended = ended + rest;
    let view = PasswordView { user: UserView::from(&which.find(&context).await?), sessions_ended };
    let text = format!(
        "{} has a new password; this ended {}.",
        view.user.username,
        counted(sessions_ended, "session", "sessions")
    );
    Answer::new(&view, text)
}

async fn remove(context: Context, which: &Which) -> Result<Answer, Failure> {
    let account = which.find(&context).await?;
    let (id, act) = (account.id, context.act);
    let remove = move |connection: &mut _| accounts::remove(connection, id, &act);
    let (removed, _) = endings::carry_out(&context.database, remove).await?;
    if !removed {
        return Err(unknown(&which.user));
    }
    let text = format!("Removed {} and all their sessions.", account.username);
    Answer::new(&RemovedView { id: id.to_string(), username: account.username, removed }, text)
}

impl Which {
    async fn find(&self, context: &Context) -> Result<Account, Failure> {
        let text = self.user.clone();
        let found = context.database.read(move |connection| find(connection, &text)).await?;
        found.ok_or_else(|| unknown(&self.user))
    }
}

/// The account that an operator means by an id, a username or an email address.
pub(super) fn find(connection: &mut Connection, text: &str) -> Stored<Option<Account>> {
    // An id first: a username may look like one, and must not stand in its place.
    if let Ok(id) = text.parse::<UserId>()
        && let Some(stored) = users::find(connection, id)?
    {
        return Ok(Some(stored.account));
    }
    Ok(users::find_by_name(connection, text)?.map(|stored| stored.account))
}

/// What to say when [`find`] found nobody.
pub(super) fn unknown(text: &str) -> Failure {
    Failure::Failed(format!("there is no account with the name, address or id {text}"))
}

/// A field by the name that it has on the command line.
fn label(field: &str) -> String {
    match field {
        "username" => "NAME".to_owned(),
        "password" => "the password".to_owned(),
        other => format!("--{}", other.replace('_', "-")),
    }
}

fn hash(settings: &PasswordSettings, password: &PlainSecret) -> Result<String, Failure> {
    passwords::hash(context::cost(settings), password.reveal()).map_err(Failure::because)
}

/// Reads a new password: from standard input, or twice from the terminal without showing it.
fn read_password(from_stdin: bool) -> Result<PlainSecret, Failure> {
    if from_stdin {
        return password_of(io::stdin().lock());
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage(
            "there is no terminal to ask for the password on; give it on standard input, with \
             --password-stdin"
                .to_owned(),
        ));
    }
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt)
            .map(PlainSecret::new)
            .map_err(|error| Failure::Failed(format!("the password can't be read: {error}")))
    };
    let password = ask("Password: ")?;
    if ask("The same again: ")?.reveal() != password.reveal() {
        return Err(Failure::Usage("the two passwords differ; nothing was changed".to_owned()));
    }
    Ok(password)
}

/// The password that a stream holds, without the line end that `echo` adds.
fn password_of(stream: impl io::Read) -> Result<PlainSecret, Failure> {
    // Room for one byte too many and a line end, so that the policy refuses it.
    let most = u64::try_from(password_policy::MAX_BYTES + 3).unwrap_or(u64::MAX);
    let mut text = String::new();
    stream.take(most).read_to_string(&mut text).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => {
            Failure::Usage("the password on standard input isn't UTF-8".to_owned())
        }
        _ => Failure::Failed(format!("the password can't be read: {error}")),
    })?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let password = PlainSecret::new(line.strip_suffix('\r').unwrap_or(line));
    zeroize::Zeroize::zeroize(&mut text);
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::account::AccountStatus;
    use crate::domain::profile::Profile;
    use crate::domain::time::Timestamp;

    #[test]
    fn one_line_end_is_not_part_of_a_password() {
        for (text, password) in [
            ("garden gate", "garden gate"),
            ("garden gate\n", "garden gate"),
            ("garden gate\r\n", "garden gate"),
            (" garden gate \n\n", " garden gate \n"),
        ] {
            assert_eq!(password_of(text.as_bytes()).unwrap().reveal(), password);
        }
        assert!(matches!(password_of(&b"\xff"[..]), Err(Failure::Usage(_))));
        let long = password_of(vec![b'x'; 5000].as_slice()).unwrap();
        assert!(password_policy::check(long.reveal(), 12, &[]).is_err());
    }

    #[test]
    fn json_has_the_names_that_scripts_rely_on() {
        let account = Account {
            id: UserId::from_bytes([1; 16]),
            username: "ada".into(),
            email: "ada@northfield.example".into(),
            display_name: "Ada Fern".into(),
            is_admin: false,
            status: AccountStatus::Disabled { at: Timestamp::from_millis(0) },
            created_at: Timestamp::from_millis(0),
            last_sign_in_at: None,
            password_changed_at: Timestamp::from_millis(0),
            email_verified: false,
            profile: Profile::default(),
            profile_updated_at: None,
        };
        let view = PasswordView { user: UserView::from(&account), sessions_ended: 2 };
        assert_eq!(
            serde_json::to_value(&view).unwrap(),
            serde_json::json!({
                "id": "01010101-0101-0101-0101-010101010101",
                "username": "ada",
                "email": "ada@northfield.example",
                "email_verified": false,
                "profile": {},
                "profile_updated_at": null,
                "display_name": "Ada Fern",
                "admin": false,
                "state": "disabled",
                "created_at": "1970-01-01T00:00:00Z",
                "last_sign_in_at": null,
                "password_changed_at": "1970-01-01T00:00:00Z",
                "disabled_at": "1970-01-01T00:00:00Z",
                "sessions_ended": 2,
            })
        );
    }
}
