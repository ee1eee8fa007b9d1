//! The authorization request (RFC 6749 section 4.1.1 with PKCE, RFC 7636): checked by
//! oxide-auth's machine over our registrar, answered with a code or an error and always with
//! `iss` (RFC 9207).

mod parameters;

use std::borrow::Cow;
use std::cell::RefCell;
use std::time::Duration;

use oxide_auth::code_grant::authorization::{Authorization, Input, Output};
use oxide_auth::code_grant::extensions::Pkce;
use oxide_auth::primitives::authorizer::Authorizer;
use oxide_auth::primitives::grant::{Extensions, Grant};
use oxide_auth::primitives::registrar::{ClientUrl, ExactUrl, Registrar};

pub use parameters::Parameters;

use super::oauth_error::Code;
use super::oxide::{self, KnownClient, OneCode};
use crate::crypto::random;
use crate::domain::authorization_code::{AuthorizationCode, CodeState, PREFIX};
use crate::domain::client::{Client, ClientId, GrantType};
use crate::domain::id::{BrowserSessionId, UserId};
use crate::domain::scope::{OFFLINE_ACCESS, Scope};
use crate::domain::secret::PlainSecret;
use crate::domain::time::Timestamp;
use crate::storage::{Connection, Result, StorageError, authorization_codes, clients};

/// A request that may be put before the person.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Who asks.
    pub client: Client,
    /// Where the answer goes.
    pub redirect_uri: String,
    /// Whether the request named that URI.
    pub redirect_uri_was_sent: bool,
    /// What the answer must repeat.
    pub state: Option<String>,
    /// What is asked for, as far as this client may ask.
    pub scope: Scope,
    /// The encoded PKCE challenge.
    pub challenge: Option<String>,
    /// The OpenID Connect nonce.
    pub nonce: Option<String>,
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
}

/// An error on its way back to the client.
#[derive(Clone, Debug)]
pub struct ErrorAnswer {
    /// Where it goes.
    pub redirect_uri: String,
    /// What it must repeat.
    pub state: Option<String>,
    /// The registered code.
    pub code: Code,
    /// For the app's developer.
    pub description: String,
}

impl ErrorAnswer {
    /// The whole address to send the browser to.
    pub fn location(&self, issuer: &str) -> String {
        let mut pairs =
            vec![("error", self.code.name()), ("error_description", self.description.as_str())];
        if let Some(state) = &self.state {
            pairs.push(("state", state));
        }
        pairs.push(("iss", issuer));
        with_query(&self.redirect_uri, &pairs)
    }
}

impl Checked {
    /// A refusal of this request, on its way back to the client.
    pub fn refusal(&self, code: Code, description: &str) -> ErrorAnswer {
        ErrorAnswer {
            redirect_uri: self.redirect_uri.clone(),
            state: self.state.clone(),
            code,
            description: description.to_owned(),
        }
    }
}

/// Checks a request: who asks and where the answer goes first, since until both are known
/// nobody may be sent anywhere.
///
/// # Errors
/// What storage says.
pub fn check(
    connection: &mut Connection,
    parameters: &Parameters,
) -> Result<std::result::Result<Box<Checked>, Refused>> {
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
    Ok(steps(parameters, client, &redirect_uri, was_sent).map(Box::new).map_err(
        |(code, description)| {
            Refused::Redirect(ErrorAnswer {
                redirect_uri,
                state: (!parameters.repeated("state"))
                    .then(|| parameters.get("state").map(str::to_owned))
                    .flatten(),
                code,
                description: description.to_owned(),
            })
        },
    ))
}

/// Drives oxide-auth's machine over a client and redirect URI that are known to be good.
fn steps(
    parameters: &Parameters,
    client: Client,
    redirect_uri: &str,
    redirect_uri_was_sent: bool,
) -> std::result::Result<Checked, (Code, &'static str)> {
    let invalid = |description| (Code::InvalidRequest, description);
    if parameters.duplicate().is_some() {
        return Err(invalid("a parameter stands more than once"));
    }
    if !client.metadata.has_grant(GrantType::AuthorizationCode) {
        return Err((
            Code::UnauthorizedClient,
            "this client may not use the authorization code grant",
        ));
    }
    if parameters.get("response_mode").is_some_and(|mode| mode != "query") {
        return Err(invalid("response_mode is not supported; leave it out or send query"));
    }
    match parameters.get("response_type") {
        Some("code") => {}
        None => return Err(invalid("response_type is missing; send code")),
        Some(_) => {
            return Err((
                Code::UnsupportedResponseType,
                "response_type is not supported; send code",
            ));
        }
    }
    let registrar = KnownClient { client: &client };
    let mut machine = Authorization::new(parameters);
    let mut input = Input::None;
    let (pre_grant, extensions) = loop {
        input = match machine.advance(input) {
            Output::Bind { client_id, redirect_uri: _ } => {
                let exact = redirect_uri
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
                let pre_grant = registrar.negotiate(bound_client.clone(), scope).map_err(|_| {
                    (Code::InvalidScope, "nothing of the scope may be asked for by this client")
                })?;
                Input::Negotiated { pre_grant, state: None }
            }
            Output::Ok { pre_grant, extensions, .. } => break (pre_grant, extensions),
            Output::Err(_) => {
                let bad_scope =
                    parameters.get("scope").is_some_and(|s| s.parse::<Scope>().is_err());
                return Err(if bad_scope {
                    (Code::InvalidScope, "scope is malformed")
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
        .map_err(|_| (Code::InvalidScope, "scope is malformed"))?;
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
        return Err((Code::InvalidScope, "nothing of the scope may be asked for by this client"));
    }
    Ok(Checked {
        redirect_uri: redirect_uri.to_owned(),
        redirect_uri_was_sent,
        state: parameters.get("state").map(str::to_owned),
        scope,
        challenge: oxide::challenge_of(&extensions),
        nonce: parameters.get("nonce").map(str::to_owned),
        client,
    })
}

/// RFC 7636 section 4.3, S256 alone.
fn pkce_challenge(
    parameters: &Parameters,
    client: &Client,
) -> std::result::Result<Extensions, (Code, &'static str)> {
    let invalid = |description| (Code::InvalidRequest, description);
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

/// Who allowed a request, and in which sign-in.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    /// The person.
    pub user: UserId,
    /// Their browser session.
    pub browser: BrowserSessionId,
    /// When they signed in.
    pub auth_time: Timestamp,
}

/// Makes the code for a request that the person allowed, and gives the whole address to send
/// the browser to.
///
/// # Errors
/// What storage says.
pub fn grant(
    connection: &mut Connection,
    checked: &Checked,
    owner: Owner,
    life: Duration,
    issuer: &str,
    now: Timestamp,
) -> Result<String> {
    let made = || random::secret(PREFIX).reveal().to_owned();
    let mut authorizer = OneCode { found: None, make: &made, made: RefCell::new(None) };
    let grant = Grant {
        owner_id: owner.user.to_string(),
        client_id: checked.client.id.to_string(),
        scope: oxide::scope(&checked.scope)
            .ok_or_else(|| StorageError::Corrupt("an empty scope was allowed".into()))?,
        redirect_uri: checked
            .redirect_uri
            .parse()
            .map_err(|_| StorageError::Corrupt("redirect URI".into()))?,
        until: oxide::never(),
        extensions: Extensions::new(),
    };
    let code = authorizer
        .authorize(grant)
        .map(PlainSecret::new)
        .map_err(|()| StorageError::Corrupt("no code was made".into()))?;
    authorization_codes::add(
        connection,
        &AuthorizationCode {
            hash: code.hash(),
            client_id: checked.client.id.clone(),
            user_id: owner.user,
            browser_session: Some(owner.browser),
            redirect_uri: checked.redirect_uri.clone(),
            redirect_uri_was_sent: checked.redirect_uri_was_sent,
            scope: checked.scope.clone(),
            challenge: checked.challenge.clone(),
            auth_time: owner.auth_time,
            nonce: checked.nonce.clone(),
            claims: None,
            resources: Vec::new(),
            expires_at: now.plus(life),
            state: CodeState::Unused,
        },
    )?;
    let mut pairs = vec![("code", code.reveal())];
    if let Some(state) = &checked.state {
        pairs.push(("state", state));
    }
    pairs.push(("iss", issuer));
    Ok(with_query(&checked.redirect_uri, &pairs))
}

/// Adds parameters to a URI; what it has stays to the letter (RFC 6749 section 3.1.2).
fn with_query(uri: &str, pairs: &[(&str, &str)]) -> String {
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs.iter().copied())
        .finish();
    let joint = match uri.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    format!("{uri}{joint}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_keeps_its_own_query() {
        assert_eq!(
            with_query("https://a.example/cb", &[("code", "x y")]),
            "https://a.example/cb?code=x+y"
        );
        assert_eq!(
            with_query("https://a.example/cb?t=1", &[("a", "b")]),
            "https://a.example/cb?t=1&a=b"
        );
        assert_eq!(with_query("com.example.app:/cb", &[("a", "b")]), "com.example.app:/cb?a=b");
    }
}
