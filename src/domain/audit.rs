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

    /// The actor of this kind with this id, as stored; `None` where there is no such actor.
    pub fn from_parts(kind: &str, id: Option<&str>) -> Option<Self> {
        Some(match (kind, id) {
            ("user", Some(id)) => Self::User(id.parse().ok()?),
            ("client", Some(id)) => Self::Client(id.to_owned()),
            ("operator", _) => Self::Operator,
            ("system", _) => Self::System,
            ("anonymous", _) => Self::Anonymous,
            _ => return None,
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_is_read_back_as_it_is_stored() {
        let person = Actor::User(UserId::from_bytes([7; 16]));
        for actor in [
            person,
            Actor::Client("meadow".into()),
            Actor::Operator,
            Actor::System,
            Actor::Anonymous,
        ] {
            assert_eq!(Actor::from_parts(actor.kind(), actor.id().as_deref()), Some(actor));
        }
        assert_eq!(Actor::from_parts("user", Some("nobody")), None);
        assert_eq!(Actor::from_parts("client", None), None);
    }
}
