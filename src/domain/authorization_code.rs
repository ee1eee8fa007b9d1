//! Authorization codes (RFC 6749 section 4.1): sixty seconds, once.

use std::time::Duration;

use super::claims_request::ClaimsRequest;
use super::client::ClientId;
use super::id::{BrowserSessionId, FamilyId, UserId};
use super::scope::Scope;
use super::secret::HashedSecret;
use super::time::Timestamp;

/// What each authorization code starts with.
pub const PREFIX: &str = "pac_";

/// How soon a second exchange with the same verifier counts as a doubled request.
pub const DOUBLED_REQUEST: Duration = Duration::from_secs(5);

/// What a code stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationCode {
    /// The hash of the code itself.
    pub hash: HashedSecret,
    /// Whom it was given to.
    pub client_id: ClientId,
    /// Who allowed it.
    pub user_id: UserId,
    /// The browser session it was allowed in.
    pub browser_session: Option<BrowserSessionId>,
    /// Where it was sent.
    pub redirect_uri: String,
    /// Whether the authorization request named that URI: then the exchange must too.
    pub redirect_uri_was_sent: bool,
    /// What was allowed.
    pub scope: Scope,
    /// The encoded PKCE challenge.
    pub challenge: Option<String>,
    /// When the person signed in.
    pub auth_time: Timestamp,
    /// The OpenID Connect nonce, for the ID token.
    pub nonce: Option<String>,
    /// What was asked for beyond the scope.
    pub claims: Option<ClaimsRequest>,
    /// The resource servers that were named (RFC 8707); none: the client's own.
    pub resources: Vec<String>,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Whether it was used.
    pub state: CodeState,
}

/// Whether a code was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeState {
    /// Not yet.
    Unused,
    /// It was exchanged.
    Used {
        /// When.
        at: Timestamp,
        /// The family that it gave.
        family: FamilyId,
        /// The hash of the verifier that it was exchanged with.
        verifier: Option<HashedSecret>,
    },
}

/// What the second use of a code with the right parameters means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// The same request sent twice: refuse it, and end nothing.
    Doubled,
    /// Two holders: refuse it, and end what the first use gave (RFC 9700 section 4.2.4).
    Reuse,
}

/// Tells a doubled request from a stolen code.
pub fn replay(used_at: Timestamp, same_verifier: bool, now: Timestamp) -> Replay {
    if same_verifier && now.since(used_at) <= DOUBLED_REQUEST {
        Replay::Doubled
    } else {
        Replay::Reuse
    }
}
