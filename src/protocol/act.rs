//! Who acts, when and from where: what every change carries into the audit log.

use crate::crypto::random;
use crate::domain::audit::{Actor, AuditEvent};
use crate::domain::id::{AuditId, UserId};
use crate::domain::time::Timestamp;
use crate::storage::{self, Connection, Result};

/// The circumstances of a change.
#[derive(Clone, Debug)]
pub struct Act {
    /// When.
    pub now: Timestamp,
    /// Who.
    pub actor: Actor,
    /// The address that it comes from.
    pub ip: Option<String>,
    /// The request's name in the log.
    pub reference: Option<String>,
}

impl Act {
    /// The command line on the server's machine.
    pub fn operator(now: Timestamp) -> Self {
        Self { now, actor: Actor::Operator, ip: None, reference: None }
    }

    /// The server by itself.
    pub fn system(now: Timestamp) -> Self {
        Self { now, actor: Actor::System, ip: None, reference: None }
    }

    /// Writes a line of the audit log.
    pub fn record(
        &self,
        connection: &mut Connection,
        action: &'static str,
        target: Option<(&'static str, String)>,
        user_id: Option<UserId>,
        client_id: Option<String>,
        detail: Option<String>,
    ) -> Result<()> {
        let event = AuditEvent {
            at: self.now,
            actor: self.actor.clone(),
            action,
            target,
            user_id,
            client_id,
            ip: self.ip.clone(),
            detail,
            reference: self.reference.clone(),
        };
        storage::audit::record(connection, &event, AuditId::new(self.now, random::bytes()))
    }

    /// The actor in words, as a session's page shows who ended it.
    pub fn actor_name(&self) -> String {
        match &self.actor {
            Actor::User(id) => id.to_string(),
            Actor::Client(id) => id.clone(),
            Actor::Operator => "the command line".into(),
            Actor::System => "the server".into(),
            Actor::Anonymous => "somebody".into(),
        }
    }
}
