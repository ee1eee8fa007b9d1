//! `perennial demo`: a throw-away server, two people, two apps, and what to click; and what the
//! programs in `examples/` need.

mod examples;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use secrecy::SecretString;

use self::examples::Examples;
use super::answer::Answer;
use super::context;
use super::failure::Failure;
use crate::clock::Clock;
use crate::crypto::passwords;
use crate::demo::{self, AppConfig};
use crate::domain::account::Account;
use crate::domain::client::{AuthMethod, ClientId, ClientMetadata};
use crate::domain::profile::Field;
use crate::domain::scope::{Risk, ScopeDescription};
use crate::domain::secret::PlainSecret;
use crate::protocol::accounts::{self, NewAccount};
use crate::protocol::act::Act;
use crate::protocol::{clients, profiles, scopes};
use crate::server::Server;
use crate::settings::{Settings, SettingsFlags, Sources};
use crate::storage::StorageError;

#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    /// The server's port
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// The sample app's port
    #[arg(long, default_value_t = 8081)]
    app_port: u16,
    #[command(flatten)]
    examples: examples::Ports,
}

/// So short that a person sees the app refresh, and sees it learn of its revocation.
const ACCESS_TOKEN_SECONDS: u64 = 20;

/// Somebody to sign in as. The passwords are no secret: the server is thrown away, and
/// listens on this machine alone.
struct Person {
    username: &'static str,
    display_name: &'static str,
    email: &'static str,
    password: &'static str,
    is_admin: bool,
    says: &'static [(Field, &'static str)],
}

const ADA: Person = Person {
    username: "ada",
    display_name: "Ada Fern",
    email: "ada@northfield.example",
    password: "winter garden gate",
    is_admin: false,
    says: &[
        (Field::GivenName, "Ada"),
        (Field::MiddleName, "May"),
        (Field::FamilyName, "Fern"),
        (Field::Nickname, "Addie"),
        (Field::Gender, "female"),
        (Field::Birthdate, "1990-12-24"),
        (Field::Picture, "https://people.northfield.example/ada.png"),
        (Field::Profile, "https://people.northfield.example/ada"),
        (Field::Website, "https://ada.northfield.example/"),
        (Field::Zoneinfo, "Europe/London"),
        (Field::Locale, "en-GB"),
        // Of the numbers that are kept free for stories.
        (Field::PhoneNumber, "+442079460958"),
        (Field::StreetAddress, "2 Fern Walk\nFlat 3"),
        (Field::Locality, "Leeds"),
        (Field::Region, "West Yorkshire"),
        (Field::PostalCode, "LS1 4AP"),
        (Field::Country, "United Kingdom"),
        (Field::Formatted, "Ada Fern\n2 Fern Walk, Flat 3\nLeeds LS1 4AP\nUnited Kingdom"),
    ],
};

const LINDEN: Person = Person {
    username: "linden",
    display_name: "Linden Marsh",
    email: "linden@northfield.example",
    password: "seven slow herons",
    is_admin: true,
    says: &[
        (Field::GivenName, "Linden"),
        (Field::MiddleName, "Reed"),
        (Field::FamilyName, "Marsh"),
        (Field::Nickname, "Lin"),
        (Field::Gender, "male"),
        (Field::Birthdate, "0000-02-29"),
        (Field::Picture, "https://people.northfield.example/linden.png"),
        (Field::Profile, "https://people.northfield.example/linden"),
        (Field::Website, "https://linden.northfield.example/"),
        (Field::Zoneinfo, "Europe/Berlin"),
        (Field::Locale, "de-DE"),
        (Field::PhoneNumber, "+493023125001"),
        (Field::StreetAddress, "Lindenallee 4"),
        (Field::Locality, "Berlin"),
        (Field::Region, "Berlin"),
        (Field::PostalCode, "10115"),
        (Field::Country, "Germany"),
        (Field::Formatted, "Linden Marsh\nLindenallee 4\n10115 Berlin\nGermany"),
    ],
};

const APP_ID: &str = "meadow-notes";
const APP_SCOPE: &str = "openid profile email notes.read notes.write offline_access";
const CLI_ID: &str = "meadow-cli";
const CLI_SCOPE: &str = "openid profile email address phone notes.read offline_access";
const CLI_REDIRECT: &str = "http://127.0.0.1/callback";

/// The example pair of RFC 7636 appendix B, so that the guide can be pasted.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

impl Demo {
    pub(super) async fn run(self, flags: &SettingsFlags) -> Result<Answer, Failure> {
        refuse_settings(flags)?;
        // Both ports first: whoever can't have them hears it before anything is made.
        let (listener, port) = bind(self.port, "--port", "the server")?;
        let (app_listener, app_port) = bind(self.app_port, "--app-port", "the sample app")?;
        let folder = tempfile::Builder::new()
            .prefix("perennial-demo-")
            .tempdir()
            .map_err(|error| Failure::Failed(format!("no temporary folder: {error}")))?;

        let site = format!("http://localhost:{port}");
        let app = format!("http://localhost:{app_port}");
        let settings = settings(&site, folder.path())?;
        context::quiet_log(&settings.log)?;
        let clock = Clock::system();
        let examples = Examples::new(self.examples)?;
        let (secret, others) = plant(&settings, &clock, &app, examples).await?;
        let server = Server::bind_to(settings, clock, listener).await.map_err(Failure::because)?;
        let sample = demo::serve(
            app_listener,
            AppConfig {
                base_url: app.clone(),
                issuer: site.clone(),
                client_id: APP_ID.to_owned(),
                client_secret: Some(SecretString::from(secret.reveal())),
                scope: APP_SCOPE.to_owned(),
            },
        )
        .map_err(Failure::because)?;
        let sample_handle = sample.handle();
        let sample_end = actix_web::rt::spawn(sample);

        let others = examples::guide(&site, self.examples, &others);
        let guide = guide(&site, &app, secret.reveal(), &others);
        let mut out = io::stdout().lock();
        // Nobody may be reading it; the server is there all the same.
        let _ = out.write_all(guide.as_bytes()).and_then(|()| out.flush());
        drop(out);

        // It ends at Ctrl-C; the app, which minds no signals, ends with it.
        let end = server.run().await;
        sample_handle.stop(true).await;
        let _ = sample_end.await;
        end.map_err(Failure::because)?;
        folder
            .close()
            .map_err(|error| Failure::Failed(format!("the temporary folder is left: {error}")))?;
        Ok(Answer::text("\nThe demo has ended; everything that it stored is gone."))
    }
}

/// The demo has settings of its own; better to say so than to ignore what was given.
fn refuse_settings(flags: &SettingsFlags) -> Result<(), Failure> {
    let given = flags.config.is_some()
        || flags.database_url.is_some()
        || flags.issuer.is_some()
        || flags.listen.is_some()
        || flags.secret_key_file.is_some()
        || !flags.set.is_empty();
    if given {
        return Err(Failure::Usage(
            "the demo takes no settings but its ports; `perennial serve` takes all".to_owned(),
        ));
    }
    Ok(())
}

/// A port of this machine, and its number: 0 asks for any.
fn bind(port: u16, flag: &str, whose: &str) -> Result<(TcpListener, u16), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::AddrInUse => "another program has it".to_owned(),
            io::ErrorKind::PermissionDenied => "this user may not have it".to_owned(),
            _ => error.to_string(),
        };
        Failure::Failed(format!(
            "{whose} can't listen on port {port}: {why}; choose another with {flag}"
        ))
    })?;
    let port = listener.local_addr().map_err(Failure::because)?.port();
    Ok((listener, port))
}

fn settings(site: &str, folder: &Path) -> Result<Settings, Failure> {
    let database = format!("sqlite://{}", folder.join("perennial.db").display());
    let key_file = folder.join("perennial.key").display().to_string();
    let seconds = ACCESS_TOKEN_SECONDS.to_string();
    Ok(Settings::load(&Sources::only([
        ("issuer", site),
        ("database_url", database.as_str()),
        ("secret_key_file", key_file.as_str()),
        ("site_name", "Northfield ID"),
        ("tokens.access_token_seconds", seconds.as_str()),
        ("tokens.retry_window_seconds", seconds.as_str()),
        // The examples are told of sign-outs at addresses of this machine.
        ("fetch.allow_private_networks", "true"),
        ("shutdown_seconds", "1"),
    ]))?)
}

/// Makes the database and puts people, apps and scopes there. Returns the sample app's secret,
/// and those of the examples.
async fn plant(
    settings: &Settings,
    clock: &Clock,
    app: &str,
    examples: Examples,
) -> Result<(PlainSecret, examples::Secrets), Failure> {
    let database = context::database(settings)?;
    database.migrate()?;
    let cost = context::cost(&settings.passwords);
    let mut people = Vec::new();
    for person in [ADA, LINDEN] {
        let hash = passwords::hash(cost, person.password).map_err(Failure::because)?;
        let account = NewAccount {
            username: person.username.to_owned(),
            email: person.email.to_owned(),
            display_name: person.display_name.to_owned(),
            is_admin: person.is_admin,
        };
        people.push((account, hash, person.says));
    }
    let described = [
        scope("notes.read", "Read your notes and notebooks", Risk::Read),
        scope("notes.write", "Write, change and delete your notes", Risk::Write),
    ];
    let app_id = ClientId::parse(APP_ID).map_err(Failure::Failed)?;
    let cli_id = ClientId::parse(CLI_ID).map_err(Failure::Failed)?;
    let callback = format!("{app}/callback");
    let app_client = client("Meadow Notes", AuthMethod::ClientSecretBasic, &callback, APP_SCOPE)?;
    let cli_client =
        client("Meadow on the command line", AuthMethod::None, CLI_REDIRECT, CLI_SCOPE)?;
    let act = Act::operator(clock.now());
    let secrets = database
        .write(move |connection| {
            for (account, hash, says) in people {
                let id = accounts::add(connection, &account, hash, &act)?.id;
                profiles::change(connection, id, |account| fill_in(account, says), &act)?;
            }
            for scope in &described {
                scopes::add(connection, scope, &act)?;
            }
            clients::register(connection, None, cli_id, cli_client, &act)?;
            let (_, secret) = clients::register(connection, None, app_id, app_client, &act)?;
            let secret = secret
                .ok_or_else(|| StorageError::Corrupt("the sample app got no secret".into()))?;
            Ok((secret, examples.register(connection, &act)?))
        })
        .await?;
    Ok(secrets)
}

/// What somebody says of themselves, all of it confirmed.
fn fill_in(account: &mut Account, says: &[(Field, &str)]) {
    account.email_verified = true;
    for (field, text) in says {
        // The tests find them without fault.
        let _ = account.profile.set(*field, text);
    }
    account.profile.phone_number_verified = true;
}

fn scope(name: &str, description: &str, risk: Risk) -> ScopeDescription {
    ScopeDescription { name: name.to_owned(), description: description.to_owned(), risk }
}

fn client(
    name: &str,
    auth_method: AuthMethod,
    redirect_uri: &str,
    scope: &str,
) -> Result<ClientMetadata, Failure> {
    let scope = scope.parse().map_err(Failure::Failed)?;
    Ok(ClientMetadata {
        redirect_uris: vec![redirect_uri.to_owned()],
        ..ClientMetadata::new(name, auth_method, scope)
    })
}

/// What to click, in order, with every address and credential.
fn guide(site: &str, app: &str, app_secret: &str, examples: &str) -> String {
    let mut text = String::new();
    let scope = CLI_SCOPE.replace(' ', "+");
    // Writing to a String can't fail.
    let _ = write!(
        text,
        "
Perennial is running, with data that is thrown away at the end.

  1. Open the sample app, Meadow Notes, and choose \"Sign in\":
         {app}
  2. Sign in as {ada}, and allow what the app asks for:
         username  {ada_name}
         password  {ada_password}
     The app shows its tokens. They live {ACCESS_TOKEN_SECONDS} seconds; watch it refresh them.
  3. In another browser (or a private window), sign in as {linden}, the administrator:
         {site}/admin/sessions
         username  {linden_name}
         password  {linden_password}
  4. Revoke {ada}'s session there, and look at Meadow Notes again: within
     {ACCESS_TOKEN_SECONDS} seconds it is signed out, and says why.

Also there:
     {site}/account
         {ada}'s own sessions and apps (the same username and password)
     {site}/.well-known/oauth-authorization-server
         what clients discover

By hand: the public client {CLI_ID} ({CLI_REDIRECT}). Open this, sign in, and take
the code out of the address that the browser ends at (nothing listens there):
     {site}/oauth/authorize?response_type=code&client_id={CLI_ID}&redirect_uri={CLI_REDIRECT}&scope={scope}&state=x&code_challenge={CHALLENGE}&code_challenge_method=S256
Within a minute:
     curl {site}/oauth/token -d grant_type=authorization_code -d client_id={CLI_ID} \\
       -d redirect_uri={CLI_REDIRECT} -d code_verifier={VERIFIER} -d code=CODE
Who signed in, as far as they allowed it:
     curl {site}/oauth/userinfo -H \"Authorization: Bearer ACCESS_TOKEN\"
And as often as you like:
     curl {site}/oauth/token -d grant_type=refresh_token -d client_id={CLI_ID} -d refresh_token=TOKEN

Meadow Notes itself is {APP_ID}, with the secret {app_secret}.

{examples}
Ctrl-C ends the demo.
",
        ada = ADA.display_name,
        ada_name = ADA.username,
        ada_password = ADA.password,
        linden = LINDEN.display_name,
        linden_name = LINDEN.username,
        linden_password = LINDEN.password,
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::password_policy;

    #[test]
    fn the_passwords_pass_the_policy() {
        let minimum = Settings::default().passwords.minimum_length;
        for person in [ADA, LINDEN] {
            let names = [person.username, person.email, person.display_name];
            assert_eq!(password_policy::check(person.password, minimum, &names), Ok(()));
        }
    }

    #[test]
    fn the_people_say_everything_that_can_be_said_without_fault() {
        for person in [ADA, LINDEN] {
            for (field, name) in Field::ALL {
                let (_, text) = person.says.iter().find(|(own, _)| *own == field).unwrap();
                assert_eq!(field.read(text).as_deref(), Ok(*text), "{name}");
            }
        }
    }

    #[test]
    fn the_clients_are_without_fault() {
        let life = std::time::Duration::from_secs(ACCESS_TOKEN_SECONDS);
        for client in [
            client("A", AuthMethod::ClientSecretBasic, "http://localhost:8081/callback", APP_SCOPE),
            client("B", AuthMethod::None, CLI_REDIRECT, CLI_SCOPE),
        ] {
            assert_eq!(client.unwrap().faults(life), []);
        }
    }

    #[test]
    fn a_taken_port_names_itself_and_the_way_out() {
        let (_taken, port) = bind(0, "--port", "the server").unwrap();
        let Err(Failure::Failed(text)) = bind(port, "--app-port", "the sample app") else {
            panic!("it was given twice")
        };
        assert!(text.contains(&port.to_string()) && text.contains("--app-port"), "{text}");
    }

    #[test]
    fn the_settings_are_right_and_read_nothing_else() {
        let settings = settings("http://localhost:8080", Path::new("/tmp/x")).unwrap();
        assert_eq!(settings.tokens.access_token.as_secs(), ACCESS_TOKEN_SECONDS);
        assert_eq!(settings.tokens.retry_window.as_secs(), ACCESS_TOKEN_SECONDS);
    }

    #[test]
    fn the_guide_has_every_address_and_credential() {
        let text = guide("http://localhost:1", "http://localhost:2", "pcs_x", "cd examples/x\n");
        for part in [
            "http://localhost:2\n",
            "http://localhost:1/admin/sessions",
            ADA.password,
            LINDEN.password,
            CLI_ID,
            "pcs_x",
            "cd examples/x\n",
        ] {
            assert!(text.contains(part), "{part}");
        }
    }

    #[test]
    fn settings_given_to_the_demo_are_refused() {
        let flags = SettingsFlags { set: vec!["workers=1".into()], ..SettingsFlags::default() };
        assert!(matches!(refuse_settings(&flags), Err(Failure::Usage(_))));
        assert_eq!(refuse_settings(&SettingsFlags::default()), Ok(()));
    }
}
