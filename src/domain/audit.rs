//! What is written to the audit log: who did what to what, and from where.

use super::id::UserId;
use super::time::Timestamp;

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What: `noun.verb`, such as `session.revoked`.
    pub action: &'static str,
    /// What it was done to: a kind (`session`, `user`, `client`) and its id.
    pub target: Option<(&'static str, String)>,
    /// The person that it concerns.
    pub user_id: Option<UserId>,
    /// The client that it concerns.
    pub client_id: Option<String>,
    /// The address that it came from.
    pub ip: Option<String>,
    /// A sentence or a reason. Never a secret.
    pub detail: Option<String>,
    /// The request's reference, as the log and the error pages show it.
    pub reference: Option<String>,
}

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A person in a browser.
    User(UserId),
    /// An app, by its `client_id`.
    Client(String),
    /// The command line on the server's machine.
    Operator,
    /// The server by itself.
    System,
    /// Somebody who isn't signed in.
    Anonymous,
}

impl Actor {
    /// The kind of actor, as stored.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Client(_) => "client",
            Self::Operator => "operator",
            Self::System => "system",
            Self::Anonymous => "anonymous",
        }
    }

    /// Its id, where it has one.
    pub fn id(&self) -> Option<String> {
        match self {
            Self::User(id) => Some(id.to_string()),
            Self::Client(id) => Some(id.clone()),
            Self::Operator | Self::System | Self::Anonymous => None,
        }
    }
}
