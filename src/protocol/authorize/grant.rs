//! The code for a request that the person allowed.

use std::cell::RefCell;
use std::time::Duration;

use oxide_auth::primitives::authorizer::Authorizer;
use oxide_auth::primitives::grant::{Extensions, Grant};

use super::{Answer, Checked};
use crate::crypto::random;
use crate::domain::authorization_code::{AuthorizationCode, CodeState, PREFIX};
use crate::domain::id::{BrowserSessionId, UserId};
use crate::domain::secret::PlainSecret;
use crate::domain::time::Timestamp;
use crate::protocol::oauth_error::Code;
use crate::protocol::oxide::{self, OneCode};
use crate::storage::{Connection, Result, StorageError, authorization_codes, pushed_requests};

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

/// Makes the code for a request that the person allowed, and gives the answer with it. This uses
/// up a request that was pushed.
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
) -> Result<Answer> {
    if let Some(reference) = &checked.pushed
        && !pushed_requests::spend(connection, reference)?
    {
        let text = "request_uri was used before; push a new request";
        return Ok(checked.refusal(Code::InvalidRequest, text).answer(issuer));
    }
    let made = || random::secret(PREFIX).reveal().to_owned();
    let mut authorizer = OneCode { found: None, make: &made, made: RefCell::new(None) };
    let grant = Grant {
        owner_id: owner.user.to_string(),
        client_id: checked.client.id.to_string(),
        scope: oxide::scope(&checked.scope)
            .ok_or_else(|| StorageError::Corrupt("an empty scope was allowed".into()))?,
        redirect_uri: checked
            .to
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
            redirect_uri: checked.to.redirect_uri.clone(),
            redirect_uri_was_sent: checked.redirect_uri_was_sent,
            scope: checked.scope.clone(),
            challenge: checked.challenge.clone(),
            auth_time: owner.auth_time,
            nonce: checked.nonce.clone(),
            claims: checked.asked.claims.clone(),
            resources: checked.resources.clone(),
            expires_at: now.plus(life),
            state: CodeState::Unused,
        },
    )?;
    Ok(Answer::code(checked.to.clone(), code.reveal(), issuer))
}
