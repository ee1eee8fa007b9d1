//! Checks a request: who asks and where the answer goes first, then what is asked for, by
//! oxide-auth's machine over our registrar.

use std::borrow::Cow;
use std::collections::BTreeSet;

use oxide_auth::code_grant::authorization::{Authorization, Input, Output};
use oxide_auth::code_grant::extensions::Pkce;
use oxide_auth::primitives::grant::Extensions;
use oxide_auth::primitives::registrar::{ClientUrl, ExactUrl, Registrar};

use super::asked::Asked;
use super::{ErrorAnswer, Parameters, ResponseMode, Return};
use crate::crypto::keyring::Keyring;
use crate::domain::claims;
use crate::domain::client::{Client, ClientId, GrantType};
use crate::domain::resource::Resources;
use crate::domain::scope::{OFFLINE_ACCESS, OPENID, Scope};
use crate::domain::secret::HashedSecret;
use crate::protocol::oauth_error::Code;
use crate::protocol::oxide::{self, KnownClient};
use crate::storage::{Connection, Result, clients};

/// Why a request is sent back: the error's code, and a clause for the app's developer.
type Refusal = (Code, Cow<'static, str>);

const NOTHING: &str = "nothing of the scope may be asked for by this client";

/// A request that may be put before the person.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Who asks.
    pub client: Client,
    /// Where the answer goes, and how.
    pub to: Return,
    /// Whether the request named the redirect URI.
    pub redirect_uri_was_sent: bool,
    /// What is asked for, as far as this client may ask.
    pub scope: Scope,
    /// The encoded PKCE challenge.
    pub challenge: Option<String>,
    /// The OpenID Connect nonce.
    pub nonce: Option<String>,
    /// The resource servers that it names (RFC 8707); none: the client's own.
    pub resources: Vec<String>,
    /// What it says about the person and the sign-in.
    pub asked: Asked,
    /// The hash of the reference that the request was pushed under, if it was (RFC 9126).
    pub pushed: Option<HashedSecret>,
}

/// A request that is refused.
#[derive(Clone, Debug)]
pub enum Refused {
    /// On a page: the redirect URI can't be trusted, so nobody is sent there.
    Page(PageRefusal),
    /// By a redirect to the client.
    Redirect(ErrorAnswer),
}

/// Why nobody is sent back.
#[derive(Clone, Debug)]
pub struct PageRefusal {
    /// What is wrong.
    pub kind: PageKind,
    /// For the app's developer.
    pub description: String,
    /// The client that was named.
    pub client_id: Option<String>,
    /// The client's name, where it is known.
    pub app: Option<String>,
    /// The redirect URI that was sent.
    pub sent: Option<String>,
}

/// What is wrong with a request whose redirect URI can't be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageKind {
    /// The client isn't known, or not named.
    Client,
    /// The redirect URI isn't the client's.
    RedirectUri,
    /// What a request_uri stands for isn't there, or isn't there any more.
    RequestUri,
}

impl Checked {
    /// A refusal of this request, on its way back to the client.
    pub fn refusal(&self, code: Code, description: &'static str) -> ErrorAnswer {
        ErrorAnswer { to: self.to.clone(), code, description: description.into() }
    }

    /// The claims that it asks for one by one beyond its scope, as far as this client may: the
    /// person has to be asked about them too.
    pub fn claims(&self) -> BTreeSet<&'static str> {
        let asked = self.asked.claims.as_ref();
        asked.map_or_else(BTreeSet::new, |asked| {
            claims::beyond(asked, &self.scope, &self.client.metadata.scope)
        })
    }

    /// Whether it is an OpenID request (OpenID Connect Core section 3.1.2.1), and no plain OAuth.
    pub fn is_openid(&self) -> bool {
        self.scope.contains(OPENID)
    }
}

/// Checks a request: who asks and where the answer goes first, since until both are known
/// nobody may be sent anywhere. `of_all`: the resource servers that any client may ask for.
///
/// # Errors
/// What storage says.
pub fn check(
    connection: &mut Connection,
    keyring: &Keyring,
    issuer: &str,
    of_all: &[String],
    parameters: &Parameters,
) -> Result<std::result::Result<Box<Checked>, Refused>> {
    let (client, to, was_sent) = match locate(connection, parameters)? {
        Ok(found) => found,
        Err(refused) => return Ok(Err(refused)),
    };
    let desk = Desk { keyring, issuer, of_all };
    let checked = steps(parameters, client, to.clone(), was_sent, &desk);
    Ok(checked
        .map(Box::new)
        .map_err(|(code, description)| Refused::Redirect(ErrorAnswer { to, code, description })))
}

/// A refusal of a request that isn't checked any further: to the client, where these parameters
/// name it and an address of its own; else on a page.
///
/// # Errors
/// What storage says.
pub fn refusal(
    connection: &mut Connection,
    parameters: &Parameters,
    code: Code,
    description: String,
) -> Result<Refused> {
    Ok(match locate(connection, parameters)? {
        Ok((_, to, _)) => {
            Refused::Redirect(ErrorAnswer { to, code, description: description.into() })
        }
        Err(refused) => refused,
    })
}

/// Who asks, where the answer goes, and whether the request said so.
fn locate(
    connection: &mut Connection,
    parameters: &Parameters,
) -> Result<std::result::Result<(Client, Return, bool), Refused>> {
    let page = |kind, description: &str, client: Option<&Client>| {
        Ok(Err(Refused::Page(PageRefusal {
            kind,
            description: description.to_owned(),
            client_id: parameters.get("client_id").map(str::to_owned),
            app: client.map(|client| client.metadata.name.clone()),
            sent: parameters.get("redirect_uri").map(str::to_owned),
        })))
    };
    if parameters.repeated("client_id") {
        return page(PageKind::Client, "client_id stands more than once", None);
    }
    let Some(id) = parameters.get("client_id") else {
        return page(PageKind::Client, "client_id is missing", None);
    };
    let client = match ClientId::parse(id) {
        Ok(id) => clients::find(connection, &id)?,
        Err(_) => None,
    };
    let Some(client) = client else {
        return page(PageKind::Client, "client_id is not known here", None);
    };
    if parameters.repeated("redirect_uri") {
        return page(PageKind::RedirectUri, "redirect_uri stands more than once", Some(&client));
    }
    let sent = parameters.get("redirect_uri");
    let Some(redirect_uri) = client.metadata.redirect_uri(sent) else {
        let description = match sent {
            Some(_) => "redirect_uri is not one of this client's",
            None => "redirect_uri is missing, and this client has registered several or none",
        };
        return page(PageKind::RedirectUri, description, Some(&client));
    };

    let was_sent = sent.is_some();
    let once = |name| parameters.get(name).filter(|_| !parameters.repeated(name));
    let mode = once("response_mode").and_then(ResponseMode::from_name);
    let to = Return {
        mode: mode.filter(|mode| may_answer(*mode, &redirect_uri)).unwrap_or_default(),
        redirect_uri,
        app: client.metadata.name.clone(),
        // Of two states neither is the one.
        state: once("state").map(str::to_owned),
    };
    Ok(Ok((client, to, was_sent)))
}

/// What hints and resources are held against.
struct Desk<'a> {
    keyring: &'a Keyring,
    issuer: &'a str,
    of_all: &'a [String],
}

/// Whether an answer can travel this way to this URI: only a web address takes a POST.
fn may_answer(mode: ResponseMode, redirect_uri: &str) -> bool {
    mode != ResponseMode::FormPost
        || ["https://", "http://"].iter().any(|web| redirect_uri.starts_with(web))
}

/// Drives oxide-auth's machine over a client and redirect URI that are known to be good.
fn steps(
    parameters: &Parameters,
    client: Client,
    to: Return,
    redirect_uri_was_sent: bool,
    desk: &Desk<'_>,
) -> std::result::Result<Checked, Refusal> {
    let invalid = |description: &'static str| (Code::InvalidRequest, Cow::Borrowed(description));
    if let Some(name) = parameters.duplicate() {
        return Err((Code::InvalidRequest, format!("{name} stands more than once").into()));
    }
    if !client.metadata.has_grant(GrantType::AuthorizationCode) {
        return Err((
            Code::UnauthorizedClient,
            "this client may not use the authorization code grant".into(),
        ));
    }
    if client.metadata.details.require_pushed_authorization_requests
        && parameters.pushed().is_none()
    {
        return Err(invalid("this client must push its authorization requests to /oauth/par"));
    }
    match parameters.get("response_mode").map(ResponseMode::from_name) {
        Some(None) => {
            return Err(invalid(
                "response_mode is not supported; leave it out, or send query, fragment or form_post",
            ));
        }
        Some(Some(mode)) if !may_answer(mode, &to.redirect_uri) => {
            return Err(invalid("response_mode form_post needs a redirect_uri of http or https"));
        }
        _ => {}
    }
    match parameters.get("response_type") {
        Some("code") => {}
        None => return Err(invalid("response_type is missing; send code")),
        Some(_) => {
            return Err((
                Code::UnsupportedResponseType,
                "response_type is not supported; send code".into(),
            ));
        }
    }
    let registrar = KnownClient { client: &client };
    let mut machine = Authorization::new(parameters);
    let mut input = Input::None;
    let (pre_grant, extensions) = loop {
        input = match machine.advance(input) {
            Output::Bind { client_id, redirect_uri: _ } => {
                let exact = to
                    .redirect_uri
                    .parse::<ExactUrl>()
                    .map_err(|_| invalid("redirect_uri is not a URI"))?;
                let bound = registrar
                    .bound_redirect(ClientUrl {
                        client_id: Cow::Owned(client_id),
                        redirect_uri: Some(Cow::Owned(exact)),
                    })
                    .map_err(|_| invalid("redirect_uri is not one of this client's"))?;
                Input::Bound { request: parameters, bound_client: bound }
            }
            Output::Extend => Input::Extended(pkce_challenge(parameters, &client)?),
            Output::Negotiate { bound_client, scope } => {
                let pre_grant = registrar
                    .negotiate(bound_client.clone(), scope)
                    .map_err(|_| (Code::InvalidScope, NOTHING.into()))?;
                Input::Negotiated { pre_grant, state: None }
            }
            Output::Ok { pre_grant, extensions, .. } => break (pre_grant, extensions),
            Output::Err(_) => {
                let bad_scope =
                    parameters.get("scope").is_some_and(|s| s.parse::<Scope>().is_err());
                return Err(if bad_scope {
                    (Code::InvalidScope, "scope is malformed".into())
                } else {
                    invalid("the request is malformed")
                });
            }
        };
    };
    let mut scope: Scope = pre_grant
        .scope
        .to_string()
        .parse()
        .map_err(|_| (Code::InvalidScope, "scope is malformed".into()))?;
    // The machine's scope is a set; the order that was asked for reads better to people.
    if let Some(asked) = parameters.get("scope").and_then(|asked| asked.parse::<Scope>().ok()) {
        scope = asked.restricted_to(&scope);
    } else {
        scope = client.metadata.scope.restricted_to(&scope);
    }
    if !client.metadata.has_grant(GrantType::RefreshToken)
        && let Ok(offline) = OFFLINE_ACCESS.parse::<Scope>()
    {
        scope = scope.without(&offline);
    }
    if scope.is_empty() {
        return Err((Code::InvalidScope, NOTHING.into()));
    }
    let openid = scope.contains(OPENID);
    let asked = Asked::read(parameters, &client, openid, desk.keyring, desk.issuer)
        .map_err(|(code, description)| (code, description.into()))?;
    Ok(Checked {
        to,
        redirect_uri_was_sent,
        scope,
        challenge: oxide::challenge_of(&extensions),
        nonce: parameters.get("nonce").map(str::to_owned),
        resources: resources(parameters, &client, desk)?,
        asked,
        pushed: parameters.pushed(),
        client,
    })
}

/// RFC 8707 section 2.1.
fn resources(
    parameters: &Parameters,
    client: &Client,
    desk: &Desk<'_>,
) -> std::result::Result<Vec<String>, Refusal> {
    let target = |description: String| (Code::InvalidTarget, Cow::Owned(description));
    match Resources::parse(parameters.all("resource"), desk.issuer).map_err(target)? {
        None => Ok(Vec::new()),
        Some(asked) if asked.may_be_asked(&client.metadata.audience, desk.of_all) => {
            Ok(asked.asked().to_vec())
        }
        Some(_) => {
            Err((Code::InvalidTarget, "resource names one that this client may not ask for".into()))
        }
    }
}

/// RFC 7636 section 4.3, S256 alone.
fn pkce_challenge(
    parameters: &Parameters,
    client: &Client,
) -> std::result::Result<Extensions, Refusal> {
    let invalid = |description: &'static str| (Code::InvalidRequest, Cow::Borrowed(description));
    let challenge = parameters.get("code_challenge");
    let method = parameters.get("code_challenge_method");
    match (challenge, method) {
        (None, _) if client.metadata.require_pkce => {
            return Err(invalid("code_challenge is missing; this client must use PKCE with S256"));
        }
        (Some(_), None) => {
            return Err(invalid(
                "code_challenge_method is missing; send S256 (plain is not supported)",
            ));
        }
        (Some(_), Some(method)) if method != "S256" => {
            return Err(invalid("code_challenge_method is not supported; send S256"));
        }
        (Some(challenge), Some(_)) if !is_sha256(challenge) => {
            return Err(invalid("code_challenge is not the base64url of a SHA-256 hash"));
        }
        _ => {}
    }
    let pkce = if client.metadata.require_pkce { Pkce::required() } else { Pkce::optional() };
    let encoded = pkce
        .challenge(method.map(Cow::Borrowed), challenge.map(Cow::Borrowed))
        .map_err(|()| invalid("code_challenge is not acceptable"))?;
    let mut extensions = Extensions::new();
    if let Some(encoded) = encoded {
        extensions.set(&pkce, encoded);
    }
    Ok(extensions)
}

fn is_sha256(challenge: &str) -> bool {
    challenge.len() == 43
        && challenge.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}
