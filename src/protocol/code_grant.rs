//! The authorization code grant at the token endpoint (RFC 6749 section 4.1.3): driven by
//! oxide-auth's machine; what a code is worth is judged here, by our own clock.

use std::borrow::Cow;
use std::cell::RefCell;
use std::time::Duration;

use oxide_auth::code_grant::accesstoken::{AccessToken, Authorization, Input, Output, Request};
use oxide_auth::code_grant::extensions::Pkce;
use oxide_auth::primitives::authorizer::Authorizer;
use oxide_auth::primitives::grant::{Extensions, GrantExtension, Value as MachineValue};
use oxide_auth::primitives::issuer::Issuer;
use oxide_auth::primitives::registrar::Registrar;
use serde_json::{Map, Value};

use super::access::{self, Issuing};
use super::act::Act;
use super::backchannel;
use super::id_token;
use super::oauth_error::{Code, OAuthError};
use super::oxide::{KnownClient, OneCode, OneFamily};
use super::refresh::{Lifetimes, TokenAnswer, not_granted};
use super::sessions;
use crate::crypto::keyring::Keyring;
use crate::crypto::random;
use crate::domain::authorization_code::{self, AuthorizationCode, CodeState, Replay};
use crate::domain::caller::Caller;
use crate::domain::client::{Client, GrantType, RefreshPolicy};
use crate::domain::id::FamilyId;
use crate::domain::resource::Resources;
use crate::domain::scope::OFFLINE_ACCESS;
use crate::domain::secret::{HashedSecret, PlainSecret};
use crate::domain::time::Timestamp;
use crate::domain::token_family::{EndCause, Lifetime};
use crate::storage::families::{self, Family, NewFamily};
use crate::storage::{Connection, Result, authorization_codes, browser_sessions, clients, users};

/// What a client sends.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The code.
    pub code: PlainSecret,
    /// The redirect URI of the authorization request, where that named one.
    pub redirect_uri: Option<String>,
    /// The PKCE verifier.
    pub verifier: Option<PlainSecret>,
    /// Fewer resource servers for the access token.
    pub resources: Option<Resources>,
}

/// What an exchange gave: a session, and what its first ID token says.
#[derive(Clone, Debug)]
pub struct Granted {
    family: Family,
    nonce: Option<String>,
    asked: Map<String, Value>,
    resources: Option<Resources>,
}

/// Everything that an exchange needs beside the database.
pub struct Server<'a> {
    /// The keys.
    pub keyring: &'a Keyring,
    /// How access tokens are made.
    pub issuing: &'a Issuing,
    /// How long sessions last.
    pub lifetimes: Lifetimes,
}

/// The answer to an exchange, to be made once it is written: signatures take their time, and
/// others wait to write.
///
/// # Errors
/// When a key isn't there.
pub fn answer(
    server: &Server<'_>,
    client: &Client,
    granted: &Granted,
    now: Timestamp,
) -> Result<TokenAnswer> {
    let family = &granted.family;
    let audience = granted.resources.as_ref().map(Resources::asked);
    let token =
        access::claims(server.keyring, server.issuing, client, family, &family.scope, audience);
    let answer = TokenAnswer::new(server.keyring, server.issuing, client, family, &token, now)?;
    let nonce = granted.nonce.as_deref();
    answer.with_id_token(
        server.keyring,
        server.issuing,
        client,
        family,
        &token,
        nonce,
        &granted.asked,
    )
}

/// Exchanges a code. A refusal is an `Ok`, since what it ends must be written.
///
/// # Errors
/// What storage says.
pub fn exchange(
    connection: &mut Connection,
    server: &Server<'_>,
    client: &Client,
    exchange: &Exchange,
    caller: &Caller,
    act: &Act,
) -> Result<std::result::Result<Granted, OAuthError>> {
    if !client.metadata.has_grant(GrantType::AuthorizationCode) {
        let description = "this client may not use the authorization code grant";
        return Ok(Err(OAuthError::new(Code::UnauthorizedClient, description)));
    }
    let Some(code) = authorization_codes::find(connection, exchange.code.hash())? else {
        return Ok(Err(OAuthError::invalid_grant("the authorization code is unknown")));
    };
    if let Err(error) = holds(&code, client, exchange) {
        return Ok(Err(error));
    }
    let verifier = exchange.verifier.as_ref().map(PlainSecret::hash);
    if let CodeState::Used { at, family, verifier: first } = &code.state {
        let same = first.is_some() && *first == verifier;
        return replayed(connection, *at, *family, same, act).map(Err);
    }
    let granted = granted_audience(client, &code);
    if exchange.resources.as_ref().is_some_and(|asked| !asked.are_within(granted)) {
        return Ok(Err(not_granted()));
    }
    if act.now >= code.expires_at {
        return Ok(Err(OAuthError::invalid_grant("the authorization code has expired")));
    }
    if !still_signed_in(connection, &code)? {
        return Ok(Err(OAuthError::invalid_grant("the person has signed out since")));
    }
    issue(connection, server, client, exchange, &code, verifier, caller, act)
}

/// Whether the parameters are those of the code. Wrong ones prove nothing, and end nothing.
fn holds(
    code: &AuthorizationCode,
    client: &Client,
    exchange: &Exchange,
) -> std::result::Result<(), OAuthError> {
    if code.client_id != client.id {
        return Err(OAuthError::invalid_grant("the authorization code is unknown")
            .because(format!("{} presented a code of {}", client.id, code.client_id)));
    }
    match &exchange.redirect_uri {
        Some(uri) if *uri != code.redirect_uri => {
            return Err(OAuthError::invalid_grant(
                "redirect_uri is not the one of the authorization request",
            ));
        }
        None if code.redirect_uri_was_sent => {
            return Err(OAuthError::invalid_grant(
                "redirect_uri is missing; send the one of the authorization request",
            ));
        }
        _ => {}
    }
    match (&code.challenge, &exchange.verifier) {
        (Some(_), None) => Err(OAuthError::invalid_grant("code_verifier is missing")),
        // A stolen code of a request without PKCE must not look like one with it.
        (None, Some(_)) => Err(OAuthError::invalid_grant(
            "code_verifier was sent, but the authorization request had no code_challenge",
        )),
        (Some(challenge), Some(verifier)) => {
            // By its hash and length, not its alphabet: some clients send standard base64.
            let length = verifier.reveal().len();
            let value = MachineValue::private(Some(challenge.clone()));
            let good = (43..=128).contains(&length)
                && Pkce::required()
                    .verify(Some(value), Some(Cow::Borrowed(verifier.reveal())))
                    .is_ok();
            if good { Ok(()) } else { Err(OAuthError::invalid_grant("code_verifier is wrong")) }
        }
        (None, None) => Ok(()),
    }
}

/// The second use of a code, by somebody who has all of it.
fn replayed(
    connection: &mut Connection,
    used_at: Timestamp,
    family: FamilyId,
    same_verifier: bool,
    act: &Act,
) -> Result<OAuthError> {
    let description = "the authorization code was used before";
    match authorization_code::replay(used_at, same_verifier, act.now) {
        Replay::Doubled => Ok(OAuthError::invalid_grant(description).because("a doubled request")),
        Replay::Reuse => {
            let ended = sessions::end_family(connection, family, EndCause::CodeReuse, None, act)?;
            if ended && let Some(family) = families::find(connection, family)? {
                act.record(
                    connection,
                    "session.code_reuse",
                    Some(("session", family.id.to_string())),
                    Some(family.user_id),
                    Some(family.client_id.to_string()),
                    None,
                )?;
            }
            let cause =
                if ended { "a code was used twice; its session was ended" } else { description };
            Ok(OAuthError::invalid_grant(description).because(cause))
        }
    }
}

fn still_signed_in(connection: &mut Connection, code: &AuthorizationCode) -> Result<bool> {
    let person = users::find(connection, code.user_id)?;
    if !person.is_some_and(|stored| stored.account.is_active()) {
        return Ok(false);
    }
    match code.browser_session {
        Some(id) => Ok(browser_sessions::find_by_id(connection, id)?.is_some()),
        None => Ok(true),
    }
}

#[expect(clippy::too_many_arguments, reason = "the parts of one exchange, each named at the call")]
fn issue(
    connection: &mut Connection,
    server: &Server<'_>,
    client: &Client,
    exchange: &Exchange,
    code: &AuthorizationCode,
    verifier: Option<HashedSecret>,
    caller: &Caller,
    act: &Act,
) -> Result<std::result::Result<Granted, OAuthError>> {
    let mut begun: Result<Option<Family>> = Ok(None);
    let mut begin = || -> std::result::Result<(), OAuthError> {
        begun = begin_family(connection, server, client, code, verifier, caller, act);
        match &begun {
            Ok(Some(_)) => Ok(()),
            _ => Err(OAuthError::invalid_grant("the authorization code was used before")),
        }
    };
    let mut issuer = OneFamily { issue: &mut begin, failed: None };
    let refused = drive(client, exchange, code, &mut issuer);
    let failed = issuer.failed.take();
    // A fault of the database rolls back; it is no verdict.
    let family = match begun? {
        Some(family) => family,
        None if failed.is_some() => return lost_race(connection, code, verifier, act).map(Err),
        None => {
            let none = OAuthError::new(Code::ServerError, "no session was begun");
            return Ok(Err(refused.err().unwrap_or(none)));
        }
    };
    act.record(
        connection,
        "session.started",
        Some(("session", family.id.to_string())),
        Some(family.user_id),
        Some(family.client_id.to_string()),
        None,
    )?;
    if client.standing.use_is_news(act.now) {
        clients::note_use(connection, &client.id, act.now)?;
    }
    let asked = id_token::asked(connection, &family)?;
    let (nonce, resources) = (code.nonce.clone(), exchange.resources.clone());
    Ok(Ok(Granted { family, nonce, asked, resources }))
}

/// Uses the code and begins its family; `None` when somebody else used it first. One statement
/// decides.
fn begin_family(
    connection: &mut Connection,
    server: &Server<'_>,
    client: &Client,
    code: &AuthorizationCode,
    verifier: Option<HashedSecret>,
    caller: &Caller,
    act: &Act,
) -> Result<Option<Family>> {
    let new = new_family(server, client, code, caller, act);
    if !authorization_codes::consume(connection, code.hash, new.id, verifier, act.now)? {
        return Ok(None);
    }
    let family = families::begin(connection, &new, act.now)?;
    backchannel::reached(connection, client, &family, act.now)?;
    Ok(Some(family))
}

/// Somebody used the code, or a sign-out took it away, between our look and our use.
fn lost_race(
    connection: &mut Connection,
    code: &AuthorizationCode,
    verifier: Option<HashedSecret>,
    act: &Act,
) -> Result<OAuthError> {
    match authorization_codes::find(connection, code.hash)?.map(|code| code.state) {
        Some(CodeState::Used { at, family, verifier: first }) => {
            let same = first.is_some() && first == verifier;
            replayed(connection, at, family, same, act)
        }
        _ => Ok(OAuthError::invalid_grant("the person has signed out since")),
    }
}

/// oxide-auth's machine from the request to the issue.
fn drive(
    client: &Client,
    exchange: &Exchange,
    code: &AuthorizationCode,
    issuer: &mut OneFamily<'_>,
) -> std::result::Result<(), OAuthError> {
    let request = MachineRequest { client, exchange, code };
    let registrar = KnownClient { client };
    let never = String::new;
    let mut authorizer = OneCode { found: Some(code), make: &never, made: RefCell::new(None) };
    let mut machine = AccessToken::new(&request);
    let refused = || OAuthError::invalid_grant("the authorization code doesn't count");
    let mut input = Input::None;
    loop {
        input = match machine.advance(input) {
            Output::Authenticate { client, passdata } => {
                registrar
                    .check(client, passdata)
                    .map_err(|_| OAuthError::invalid_client("the machine's check", false))?;
                Input::Authenticated
            }
            Output::Recover { code } => {
                let grant = authorizer.extract(code).map_err(|()| refused())?;
                Input::Recovered(grant.map(Box::new))
            }
            Output::Extend { extensions } => {
                Input::Extended { access_extensions: pkce(client, exchange, extensions)? }
            }
            Output::Issue { grant } => {
                Input::Issued(issuer.issue(grant.clone()).map_err(|()| refused())?)
            }
            Output::Ok(_) => return Ok(()),
            Output::Err(_) => return Err(refused()),
        };
    }
}

fn pkce(
    client: &Client,
    exchange: &Exchange,
    extensions: &mut Extensions,
) -> std::result::Result<Extensions, OAuthError> {
    let pkce = if client.metadata.require_pkce { Pkce::required() } else { Pkce::optional() };
    let _ = pkce.identifier();
    let challenge = extensions.remove(&pkce);
    let verifier = exchange.verifier.as_ref().map(|verifier| Cow::Borrowed(verifier.reveal()));
    pkce.verify(challenge, verifier)
        .map_err(|()| OAuthError::invalid_grant("code_verifier is wrong"))?;
    Ok(Extensions::new())
}

/// Whom the access tokens are for: the resources of the authorization request (RFC 8707), or else
/// the client's own.
fn granted_audience<'a>(client: &'a Client, code: &'a AuthorizationCode) -> &'a [String] {
    if code.resources.is_empty() { &client.metadata.audience } else { &code.resources }
}

fn new_family(
    server: &Server<'_>,
    client: &Client,
    code: &AuthorizationCode,
    caller: &Caller,
    act: &Act,
) -> NewFamily {
    let refreshable = client.metadata.has_grant(GrantType::RefreshToken)
        && (client.metadata.refresh_policy == RefreshPolicy::Always
            || code.scope.contains(OFFLINE_ACCESS));
    let lifetime = if refreshable {
        Lifetime {
            idle: server.lifetimes.idle,
            ends_at: server.lifetimes.absolute.map(|span| act.now.plus(span)),
        }
    } else {
        // Without a refresh token it ends with its one access token.
        let life = server.issuing.life;
        Lifetime { idle: life.max(Duration::from_secs(1)), ends_at: Some(act.now.plus(life)) }
    };
    NewFamily {
        id: FamilyId::new(act.now, random::bytes()),
        nonce: random::bytes(),
        user_id: code.user_id,
        client_id: client.id.clone(),
        scope: code.scope.clone(),
        claims: code.claims.clone(),
        audience: granted_audience(client, code).to_vec(),
        browser_session: code.browser_session,
        auth_time: code.auth_time,
        refreshable,
        lifetime,
        key: server.keyring.stored().tokens.current(),
        caller: caller.clone(),
        write_id: random::write_id(),
    }
}

/// What the machine reads: the client proved itself before, and the redirect URI, which OAuth
/// 2.1 has dropped here, is the code's own where it wasn't sent.
struct MachineRequest<'a> {
    client: &'a Client,
    exchange: &'a Exchange,
    code: &'a AuthorizationCode,
}

impl Request for MachineRequest<'_> {
    fn valid(&self) -> bool {
        true
    }
    fn code(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(self.exchange.code.reveal()))
    }
    fn authorization(&self) -> Authorization<'_> {
        Authorization::Username(Cow::Borrowed(self.client.id.as_str()))
    }
    fn client_id(&self) -> Option<Cow<'_, str>> {
        None
    }
    fn redirect_uri(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(&self.code.redirect_uri))
    }
    fn grant_type(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed("authorization_code"))
    }
    fn extension(&self, _: &str) -> Option<Cow<'_, str>> {
        None
    }
}
