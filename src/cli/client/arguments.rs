//! What a command says of a client: flags, and the metadata that they mean.

use std::time::Duration;

use clap::ArgGroup;

use super::details::Details;
use super::keys::ClientKeys;
use crate::cli::failure::Failure;
use crate::cli::one_of;
use crate::domain::access_token::AccessTokenFormat;
use crate::domain::client::{AuthMethod, ClientId, ClientMetadata, GrantType, RefreshPolicy};
use crate::domain::scope::Scope;
use crate::domain::token_family::Rotation;

/// What a client may ask for when nobody said.
const DEFAULT_SCOPE: &str = "openid profile email offline_access";

/// Whether a client can keep a secret (RFC 6749 section 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Public,
    Confidential,
}

impl Type {
    const ALL: [(Self, &'static str); 2] =
        [(Self::Public, "public"), (Self::Confidential, "confidential")];

    pub(super) fn of(metadata: &ClientMetadata) -> &'static str {
        if metadata.is_public() { "public" } else { "confidential" }
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct Add {
    /// Its client_id [default: a made-up one]
    #[arg(long, value_name = "ID", value_parser = ClientId::parse_plain)]
    id: Option<ClientId>,
    /// Its name, as people see it
    #[arg(long)]
    name: String,
    /// Whether it can keep a secret
    #[arg(long = "type", value_name = "TYPE", value_parser = one_of(Type::ALL))]
    kind: Type,
    #[command(flatten)]
    choices: Choices,
    /// Don't ask for a PKCE challenge; for a confidential client alone
    #[arg(long)]
    no_pkce: bool,
    /// Let it ask about tokens whose audience it is
    #[arg(long)]
    introspect: bool,
    /// Don't ask people for consent: for your own apps
    #[arg(long)]
    skip_consent: bool,
}

#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("pkce_choice").args(["no_pkce", "pkce"])))]
#[command(group(ArgGroup::new("introspect_choice").args(["introspect", "no_introspect"])))]
#[command(group(ArgGroup::new("consent_choice").args(["skip_consent", "ask_consent"])))]
pub(super) struct Update {
    /// The client's id
    #[arg(value_name = "ID", value_parser = ClientId::parse)]
    pub(super) id: ClientId,
    /// Its name, as people see it
    #[arg(long)]
    name: Option<String>,
    /// Whether it can keep a secret; one that becomes confidential gets one
    #[arg(long = "type", value_name = "TYPE", value_parser = one_of(Type::ALL))]
    kind: Option<Type>,
    #[command(flatten)]
    choices: Choices,
    /// Don't ask for a PKCE challenge; for a confidential client alone
    #[arg(long)]
    no_pkce: bool,
    /// Ask for a PKCE challenge
    #[arg(long)]
    pkce: bool,
    /// Let it ask about tokens whose audience it is
    #[arg(long)]
    introspect: bool,
    /// Don't let it ask about tokens
    #[arg(long)]
    no_introspect: bool,
    /// Don't ask people for consent: for your own apps
    #[arg(long)]
    skip_consent: bool,
    /// Ask people for consent
    #[arg(long)]
    ask_consent: bool,
}

/// What registering and changing have in common. A list replaces the one before it.
#[derive(Debug, Default, clap::Args)]
struct Choices {
    /// Where people may be sent back to; may be repeated
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// Where people may be sent after signing out; may be repeated; "" for nowhere
    #[arg(long = "post-logout-redirect-uri", value_name = "URI")]
    post_logout_redirect_uris: Vec<String>,
    /// A grant that it may use; may be repeated [default: authorization_code, refresh_token]
    #[arg(long = "grant", value_name = "GRANT", value_parser = one_of(GrantType::ALL))]
    grants: Vec<GrantType>,
    /// What it may ask for [default: openid profile email offline_access]
    #[arg(long)]
    scope: Option<Scope>,
    /// How it authenticates [default: client_secret_basic for confidential, none for public]
    #[arg(long, value_name = "METHOD", value_parser = one_of(AuthMethod::ALL))]
    auth_method: Option<AuthMethod>,
    /// The form of its access tokens [default: jwt]
    #[arg(long, value_name = "FORM", value_parser = one_of(AccessTokenFormat::ALL))]
    access_token: Option<AccessTokenFormat>,
    /// What the second use of a refresh token means [default: resumable]
    #[arg(long, value_name = "RULE", value_parser = one_of(Rotation::ALL))]
    rotation: Option<Rotation>,
    /// How long a lost answer may be asked for again, or "default" for the server's setting
    #[arg(long, value_name = "SECONDS", value_parser = retry_window)]
    retry_window: Option<RetryWindow>,
    /// When it gets refresh tokens [default: offline_access]
    #[arg(long, value_name = "WHEN", value_parser = one_of(RefreshPolicy::ALL))]
    refresh_tokens: Option<RefreshPolicy>,
    /// Whom its access tokens are for; may be repeated; "" for the issuer
    #[arg(long)]
    audience: Vec<String>,
    #[command(flatten)]
    details: Details,
    #[command(flatten)]
    keys: ClientKeys,
}

/// A client's own retry window, or the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RetryWindow(Option<Duration>);

fn retry_window(text: &str) -> Result<RetryWindow, String> {
    if text == "default" {
        return Ok(RetryWindow(None));
    }
    text.parse()
        .map(|seconds| RetryWindow(Some(Duration::from_secs(seconds))))
        .map_err(|_| "a number of seconds, or \"default\"".to_owned())
}

impl Choices {
    /// Puts what was given in place of what stands there.
    fn apply(self, metadata: &mut ClientMetadata) -> Result<(), Failure> {
        replace(&mut metadata.redirect_uris, self.redirect_uris);
        replace(&mut metadata.post_logout_redirect_uris, self.post_logout_redirect_uris);
        replace(&mut metadata.audience, self.audience);
        if !self.grants.is_empty() {
            metadata.grants.clear();
            for grant in self.grants {
                if !metadata.has_grant(grant) {
                    metadata.grants.push(grant);
                }
            }
        }
        set(&mut metadata.scope, self.scope);
        set(&mut metadata.auth_method, self.auth_method);
        set(&mut metadata.access_token_format, self.access_token);
        set(&mut metadata.rotation, self.rotation);
        set(&mut metadata.retry_window, self.retry_window.map(|RetryWindow(window)| window));
        set(&mut metadata.refresh_policy, self.refresh_tokens);
        self.details.apply(&mut metadata.details);
        self.keys.apply(&mut metadata.details)
    }
}

/// Puts a list that was given in place of the one that stands there; "" empties it.
pub(super) fn replace(list: &mut Vec<String>, given: Vec<String>) {
    if !given.is_empty() {
        *list = given.into_iter().filter(|item| !item.is_empty()).collect();
    }
}

/// Puts a value that was given in place of the one that stands there.
pub(super) fn set<T>(value: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *value = given;
    }
}

/// A type and an authentication method that contradict each other are a fault of their own,
/// since the metadata knows only the method.
fn agree(kind: Option<Type>, method: Option<AuthMethod>) -> Result<(), Failure> {
    match (kind, method) {
        (Some(Type::Public), Some(method)) if method != AuthMethod::None => {
            Err(Failure::Usage(format!(
                "--auth-method: A public client has no secret to use with {}; leave it out, or \
                 choose --type confidential.",
                method.name()
            )))
        }
        (Some(Type::Confidential), Some(AuthMethod::None)) => Err(Failure::Usage(
            "--auth-method: A confidential client authenticates; choose client_secret_basic, \
             client_secret_post, client_secret_jwt or private_key_jwt."
                .to_owned(),
        )),
        _ => Ok(()),
    }
}

/// The member's name on the command line.
fn flag(member: &str) -> &str {
    match member {
        "name" => "--name",
        "redirect_uris" => "--redirect-uri",
        "post_logout_redirect_uris" => "--post-logout-redirect-uri",
        "grants" => "--grant",
        "require_pkce" => "--no-pkce",
        "may_introspect" => "--introspect",
        "rotation" => "--rotation",
        "retry_window" => "--retry-window",
        "audience" => "--audience",
        other => super::details::flag(super::keys::flag(other)),
    }
}

pub(super) fn check(metadata: &ClientMetadata, access_token_life: Duration) -> Result<(), Failure> {
    let faults = metadata.faults(access_token_life);
    let named = faults.into_iter().map(|(member, fault)| (flag(member), fault));
    Failure::of_faults(named).map_or(Ok(()), Err)
}

impl Add {
    pub(super) fn metadata(self) -> Result<(Option<ClientId>, ClientMetadata), Failure> {
        agree(Some(self.kind), self.choices.auth_method)?;
        let auth_method = match self.kind {
            Type::Public => AuthMethod::None,
            Type::Confidential => AuthMethod::ClientSecretBasic,
        };
        let scope = DEFAULT_SCOPE.parse().map_err(Failure::Failed)?;
        let mut metadata = ClientMetadata {
            may_introspect: self.introspect,
            require_pkce: !self.no_pkce,
            skip_consent: self.skip_consent,
            ..ClientMetadata::new(&self.name, auth_method, scope)
        };
        self.choices.apply(&mut metadata)?;
        Ok((self.id, metadata))
    }
}

impl Update {
    /// What stands there, changed by what was given.
    pub(super) fn change(self, metadata: &mut ClientMetadata) -> Result<(), Failure> {
        agree(self.kind, self.choices.auth_method)?;
        if let Some(name) = self.name {
            metadata.name = name.trim().to_owned();
        }
        match self.kind {
            Some(Type::Public) => metadata.auth_method = AuthMethod::None,
            Some(Type::Confidential) if metadata.is_public() => {
                metadata.auth_method = AuthMethod::ClientSecretBasic;
            }
            _ => {}
        }
        self.choices.apply(metadata)?;
        let choose = |value: &mut bool, yes: bool, no: bool| *value = yes || (*value && !no);
        choose(&mut metadata.require_pkce, self.pkce, self.no_pkce);
        choose(&mut metadata.may_introspect, self.introspect, self.no_introspect);
        choose(&mut metadata.skip_consent, self.skip_consent, self.ask_consent);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::client::{Action, Clients};

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        clients: Clients,
    }

    fn action(arguments: &[&str]) -> Action {
        Line::try_parse_from([&["client"], arguments].concat()).unwrap().clients.action
    }

    fn added(arguments: &[&str]) -> Result<ClientMetadata, Failure> {
        let Action::Add(add) = action(&[&["add", "--name", " N "], arguments].concat()) else {
            panic!("not an add")
        };
        add.metadata().map(|(_, metadata)| metadata)
    }

    fn changed(mut metadata: ClientMetadata, arguments: &[&str]) -> ClientMetadata {
        let Action::Update(update) = action(&[&["update", "c"], arguments].concat()) else {
            panic!("not an update")
        };
        update.change(&mut metadata).unwrap();
        metadata
    }

    #[test]
    fn what_is_not_said_is_the_safe_choice() {
        let public = added(&["--type", "public"]).unwrap();
        assert_eq!(public.name, "N");
        assert_eq!(public.auth_method, AuthMethod::None);
        assert_eq!(public.grants, [GrantType::AuthorizationCode, GrantType::RefreshToken]);
        assert_eq!(public.scope.to_string(), DEFAULT_SCOPE);
        assert!(public.require_pkce && !public.may_introspect && !public.skip_consent);
        let confidential = added(&["--type", "confidential"]).unwrap();
        assert_eq!(confidential.auth_method, AuthMethod::ClientSecretBasic);
        assert!(confidential.require_pkce);
    }

    #[test]
    fn a_type_and_a_method_that_contradict_each_other_are_bad_usage() {
        for arguments in [
            ["--type", "public", "--auth-method", "client_secret_post"],
            ["--type", "confidential", "--auth-method", "none"],
        ] {
            assert!(matches!(added(&arguments), Err(Failure::Usage(_))), "{arguments:?}");
        }
    }

    #[test]
    fn an_update_changes_only_what_is_given() {
        let before = added(&[
            "--type",
            "confidential",
            "--redirect-uri",
            "https://a.example/cb",
            "--audience",
            "api",
            "--retry-window",
            "5",
            "--introspect",
        ])
        .unwrap();
        assert_eq!(changed(before.clone(), &[]), before);

        let after = changed(
            before.clone(),
            &["--audience", "", "--retry-window", "default", "--no-introspect", "--no-pkce"],
        );
        assert!(after.audience.is_empty() && after.retry_window.is_none());
        assert!(!after.may_introspect && !after.require_pkce);
        assert_eq!(after.redirect_uris, before.redirect_uris);
        assert!(changed(after, &["--pkce"]).require_pkce);

        let post = changed(before, &["--auth-method", "client_secret_post"]);
        let kept = changed(post.clone(), &["--type", "confidential"]);
        assert_eq!(kept.auth_method, AuthMethod::ClientSecretPost);
        assert!(changed(post, &["--type", "public"]).is_public());
    }

    #[test]
    fn opposite_switches_exclude_each_other() {
        for pair in [["--pkce", "--no-pkce"], ["--introspect", "--no-introspect"]] {
            assert!(Line::try_parse_from(["client", "update", "c", pair[0], pair[1]]).is_err());
        }
    }

    #[test]
    fn every_fault_names_its_flag() {
        let mut metadata = added(&["--type", "public"]).unwrap();
        metadata.name.clear();
        metadata.grants = vec![GrantType::AuthorizationCode];
        metadata.require_pkce = false;
        let Err(Failure::Usage(text)) = check(&metadata, Duration::from_secs(600)) else {
            panic!("it passed")
        };
        for flag in ["--name: ", "--redirect-uri: ", "--no-pkce: "] {
            assert!(text.contains(flag), "{text}");
        }
    }
}
