//! The refresh token grant (RFC 6749 section 6): from the request to a rotation, and from what
//! came of it to the answer.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use super::access::{self, Issuing};
use super::id_token::{self, IdToken};
use super::known_clients::Known;
use super::oauth_error::{Code, OAuthError};
use crate::crypto::keyring::Keyring;
use crate::crypto::random;
use crate::domain::access_token::AccessToken;
use crate::domain::caller::Caller;
use crate::domain::client::{Client, GrantType};
use crate::domain::refresh_token::RefreshToken;
use crate::domain::resource::Resources;
use crate::domain::scope::{OPENID, Scope};
use crate::domain::time::Timestamp;
use crate::domain::token_family::{Expiry, Given, Policy, Presented, Refusal};
use crate::storage::families::Family;
use crate::storage::rotation::{RotateCommand, RotateOutcome};
use crate::storage::{Result, StorageError};

/// How long sessions last.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// How long one may go unused.
    pub idle: Duration,
    /// How long one lasts at most.
    pub absolute: Option<Duration>,
    /// W: how long an answer may be asked for again, unless the client has its own.
    pub retry_window: Duration,
}

/// A request that waited longer than this for its turn is answered "try again": its caller has
/// given up by now, and its answer would be late.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The token endpoint's answer (RFC 6749 section 5.1).
#[derive(Clone, Debug, Serialize)]
pub struct TokenAnswer {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
    scope: String,
    /// Seconds until the refresh token ends unless it is used
    /// (draft-ietf-oauth-refresh-token-expiration).
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token_timeout: Option<i64>,
    /// Seconds until the session ends however much it is used (the same draft).
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_expires_in: Option<i64>,
}

impl TokenAnswer {
    /// The answer with the newest generation of a family.
    ///
    /// # Errors
    /// When a key isn't there.
    pub fn new(
        keyring: &Keyring,
        issuing: &Issuing,
        client: &Client,
        family: &Family,
        token: &AccessToken,
        now: Timestamp,
    ) -> Result<Self> {
        let access_token =
            access::encode(keyring, issuing, client.metadata.access_token_format, token)?;
        let chain = &family.chain;
        let refresh_token = if family.refreshable {
            let presented = Presented {
                generation: chain.generation,
                key: chain.key,
                issued_at: chain.issued_at,
            };
            let text = keyring.stored().tokens.refresh_token(family.id, presented, &family.nonce);
            Some(text.ok_or_else(|| StorageError::Corrupt("a token secret is missing".into()))?)
        } else {
            None
        };
        let seconds = |end: Timestamp| (end.as_seconds() - now.as_seconds()).max(0);
        Ok(Self {
            access_token,
            token_type: "Bearer",
            expires_in: seconds(token.expires_at),
            id_token: None,
            scope: token.scope.to_string(),
            refresh_token_timeout: refresh_token
                .is_some()
                .then(|| seconds(family.lifetime.next_end(chain.given_at))),
            authorization_expires_in: family
                .lifetime
                .ends_at
                .filter(|_| refresh_token.is_some())
                .map(seconds),
            refresh_token,
        })
    }

    /// The same with an ID token, where the access token's scope asks for one.
    ///
    /// # Errors
    /// When the key isn't there.
    #[expect(clippy::too_many_arguments, reason = "the parts of an ID token, each named")]
    pub fn with_id_token(
        mut self,
        keyring: &Keyring,
        issuing: &Issuing,
        client: &Client,
        family: &Family,
        access: &AccessToken,
        nonce: Option<&str>,
        asked: &Map<String, Value>,
    ) -> Result<Self> {
        if access.scope.contains(OPENID) {
            let (issuer, access_text) = (&issuing.issuer, &self.access_token);
            let token = IdToken { issuer, client, family, access, access_text, nonce, asked };
            self.id_token = Some(id_token::issue(keyring, &token)?);
        }
        Ok(self)
    }
}

/// What a client sends.
#[derive(Clone, Debug)]
pub struct RefreshRequest {
    /// The token's text.
    pub token: String,
    /// A narrower scope for the access token.
    pub scope: Option<String>,
    /// Fewer resource servers for the access token.
    pub resources: Option<Resources>,
}

/// The rotation that a request asks for.
///
/// # Errors
/// Where it can be refused without a look at the family.
pub fn command(
    keyring: &Keyring,
    lifetimes: &Lifetimes,
    known: &Known,
    request: &RefreshRequest,
    caller: Caller,
    arrived: Timestamp,
    reference: &str,
) -> std::result::Result<RotateCommand, OAuthError> {
    let client = &known.client;
    if !client.metadata.has_grant(GrantType::RefreshToken) {
        let description = "this client may not use the refresh_token grant";
        return Err(OAuthError::new(Code::UnauthorizedClient, description));
    }
    let scope = match request.scope.as_deref() {
        None | Some("") => None,
        Some(text) => Some(
            text.parse::<Scope>().map_err(|error| OAuthError::new(Code::InvalidScope, error))?,
        ),
    };
    let token = RefreshToken::parse(&request.token)
        .ok_or_else(|| not_issued_here("its form is not that of a refresh token of this server"))?;
    let tokens = Arc::clone(&keyring.stored().tokens);
    Ok(RotateCommand {
        token,
        client_id: client.id.clone(),
        clients_epoch: known.epoch,
        caller,
        // A confidential client has just said who it is.
        proven: !client.metadata.is_public(),
        arrived,
        policy: Policy {
            rotation: client.metadata.rotation,
            retry_window: client.metadata.retry_window.unwrap_or(lifetimes.retry_window),
            current_key: tokens.current(),
            // Storage reads it for a token that is ahead of its row.
            recovery: None,
        },
        scope,
        resources: request.resources.clone(),
        authenticity: tokens,
        write_id: random::write_id(),
        reference: Some(reference.to_owned()),
    })
}

/// The answer to what came of a rotation, and the word for it in log and metrics. `asked`: what
/// [`id_token::asked`] found for the family that was given.
///
/// # Errors
/// The refusal that the client is told.
pub fn answer(
    keyring: &Keyring,
    issuing: &Issuing,
    client: &Client,
    command: &RotateCommand,
    outcome: RotateOutcome,
    asked: &Map<String, Value>,
    now: Timestamp,
) -> std::result::Result<(TokenAnswer, &'static str), OAuthError> {
    match outcome {
        RotateOutcome::Given(how, family) => {
            let scope = command.scope.as_ref().unwrap_or(&family.scope);
            let audience = command.resources.as_ref().map(Resources::asked);
            let token = access::claims(keyring, issuing, client, &family, scope, audience);
            let answer = TokenAnswer::new(keyring, issuing, client, &family, &token, now)?
                .with_id_token(keyring, issuing, client, &family, &token, None, asked)?;
            Ok((answer, given_name(how)))
        }
        RotateOutcome::Late(family) => Err(OAuthError::new(
            Code::TemporarilyUnavailable,
            "this token was overtaken by its own retry; try again with the newest token",
        )
        .because(format!("late: session {}", family.id))
        .retry_after(Duration::from_secs(1))),
        RotateOutcome::Reuse(family) => {
            Err(ended(&family, crate::domain::token_family::EndCause::Reuse.description(), command))
        }
        RotateOutcome::Refused(refusal, family) => Err(match refusal {
            Refusal::Ended(_, cause) => ended(&family, cause.description(), command),
            Refusal::Expired(Expiry::Unused) => {
                ended(&family, "the session expired because it was not used", command)
            }
            Refusal::Expired(Expiry::ReachedEnd) => {
                ended(&family, "the session reached its end", command)
            }
            Refusal::WrongKey => not_issued_here("its key is not the one that the session names"),
        }),
        RotateOutcome::ScopeExceeds(granted) => Err(OAuthError::new(
            Code::InvalidScope,
            format!("scope goes beyond what was granted: {granted}"),
        )),
        RotateOutcome::ResourceExceeds => Err(not_granted()),
        RotateOutcome::OtherClient(family) => Err(not_issued_here(&format!(
            "{} presented a token of {}, session {}",
            client.id, family.client_id, family.id
        ))),
        RotateOutcome::NotAuthentic => {
            Err(not_issued_here("its MAC is not ours, or its session is gone"))
        }
        RotateOutcome::UnknownKey => Err(OAuthError::new(
            Code::TemporarilyUnavailable,
            "this server does not have the token's key yet; try again in a moment",
        )
        .retry_after(Duration::from_secs(1))),
        RotateOutcome::ClientsChanged => Err(OAuthError::new(
            Code::TemporarilyUnavailable,
            "the registered clients are being changed; try again in a moment",
        )
        .retry_after(Duration::from_secs(1))),
    }
}

/// The word for the usual outcome.
pub const ROTATED: &str = "rotated";

fn given_name(how: Given) -> &'static str {
    match how {
        Given::Rotated { .. } => ROTATED,
        Given::Retried => "retried",
        Given::Reissued { alarm: false } => "reissued",
        Given::Reissued { alarm: true } => "reissued after a stranger",
        Given::Adopted => "adopted",
    }
}

/// RFC 8707 section 2: a token may be narrowed to what was granted, and no further.
pub(super) fn not_granted() -> OAuthError {
    OAuthError::new(Code::InvalidTarget, "resource names one that was not granted")
}

/// One answer for all that this server didn't issue to this client, so that guessing teaches nothing.
fn not_issued_here(cause: &str) -> OAuthError {
    OAuthError::invalid_grant("the refresh token is not valid").because(cause.to_owned())
}

/// The token was authentic, so its holder may know why it doesn't count any more.
fn ended(family: &Family, why: &str, command: &RotateCommand) -> OAuthError {
    let reference = command.reference.as_deref().unwrap_or("none");
    let mut error = OAuthError::invalid_grant(format!("{why} (reference {reference})"))
        .because(format!("session {}: {why}", family.id));
    error.session_ended = true;
    error
}
