//! A refresh as data, and what it comes to: read the row, decide, one guarded update.

mod alone;
mod together;
mod update;

use std::sync::Arc;

use super::connection::Connection;
use super::error::Result;
use super::families::Family;
use super::recovery;
use crate::domain::caller::Caller;
use crate::domain::client::ClientId;
use crate::domain::refresh_token::{Authenticity, RefreshToken};
use crate::domain::resource::Resources;
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::domain::token_family::{
    Chain, Decision, Given, Policy, Presenter, Refusal, Status, decide,
};

pub(super) use alone::rotate;
pub(super) use together::rotate_together;

/// How often a lost race is run again before the client is asked to.
const TRIES: usize = 64;

/// A refresh: everything that the decision needs but the row.
#[derive(Clone)]
pub struct RotateCommand {
    /// What was presented, not yet proven.
    pub token: RefreshToken,
    /// Who presents it, authenticated if it must be.
    pub client_id: ClientId,
    /// What [`super::clients::epoch`] was when the client was read.
    pub clients_epoch: i64,
    /// From where.
    pub caller: Caller,
    /// Whether it proved to be the same client instance.
    pub proven: bool,
    /// When the request arrived.
    pub arrived: Timestamp,
    /// The client's rules.
    pub policy: Policy,
    /// A narrower scope for the access token.
    pub scope: Option<Scope>,
    /// Fewer resource servers for the access token (RFC 8707).
    pub resources: Option<Resources>,
    /// Proves the token, once the row's nonce is known.
    pub authenticity: Arc<dyn Authenticity>,
    /// A random number that names this write.
    pub write_id: i64,
    /// The request's name in the log.
    pub reference: Option<String>,
}

/// What came of a refresh.
#[derive(Debug)]
pub enum RotateOutcome {
    /// Answer with the newest generation of this family.
    Given(Given, Box<Family>),
    /// Ask again in a moment.
    Late(Box<Family>),
    /// It was used by two holders; the family was ended just now.
    Reuse(Box<Family>),
    /// The family is no more; nothing changed.
    Refused(Refusal, Box<Family>),
    /// The scope asked for goes beyond what was granted; nothing changed.
    ScopeExceeds(Scope),
    /// A resource that wasn't granted; nothing changed.
    ResourceExceeds,
    /// Another client's token; nothing changed.
    OtherClient(Box<Family>),
    /// Nothing that this server issued; nothing changed.
    NotAuthentic,
    /// The token names a key that this node doesn't have.
    UnknownKey,
    /// A client was changed since this one was read: read it again; nothing changed.
    ClientsChanged,
}

/// What a refresh comes to, before anything is written.
enum Verdict {
    /// Nothing is to be written.
    Answer(RotateOutcome),
    /// The row is to become this, if nobody wrote it since.
    Give { family: Box<Family>, how: Given, chain: Chain },
    /// To be noted; nothing else changes.
    Late(Box<Family>),
    /// The family is to be ended, if nobody wrote it since.
    Reuse(Box<Family>),
    /// To be recorded; nothing else changes.
    OtherClient(Box<Family>),
}

/// What this refresh of this row comes to.
fn judge(
    connection: &mut Connection,
    command: &RotateCommand,
    family: Option<Family>,
) -> Result<Verdict> {
    let Some(family) = family.map(Box::new) else {
        return Ok(Verdict::Answer(RotateOutcome::NotAuthentic));
    };
    if !family.refreshable || !command.authenticity.proves(&command.token, &family.nonce) {
        return Ok(Verdict::Answer(RotateOutcome::NotAuthentic));
    }
    if family.client_id != command.client_id {
        return Ok(Verdict::OtherClient(family));
    }
    if family.row_version == command.write_id {
        // This very write was committed before, and its answer got lost on the way to us.
        return Ok(Verdict::Answer(match family.status {
            Status::Live => RotateOutcome::Given(Given::Rotated { new_caller: false }, family),
            Status::Ended { .. } => RotateOutcome::Reuse(family),
        }));
    }
    let presented = command.token.presented;
    let by = |policy: &Policy| {
        let presenter = Presenter { id: command.caller.id, proven: command.proven };
        let (chain, at) = (&family.chain, command.arrived);
        decide(chain, family.status, family.lifetime, presented, presenter, at, policy)
    };
    let mut decision = by(&command.policy);
    if decision == Decision::Reuse
        && presented.generation > family.chain.generation
        && let Some(policy) = recovery::policy(connection, &command.policy, command.arrived)?
    {
        decision = by(&policy);
    }
    Ok(match decision {
        Decision::Give { how, chain } => match (&command.scope, &command.resources) {
            (Some(scope), _) if !scope.is_subset_of(&family.scope) => {
                Verdict::Answer(RotateOutcome::ScopeExceeds(family.scope.clone()))
            }
            (_, Some(resources)) if !resources.are_within(&family.audience) => {
                Verdict::Answer(RotateOutcome::ResourceExceeds)
            }
            _ => Verdict::Give { family, how, chain },
        },
        Decision::Late => Verdict::Late(family),
        Decision::Reuse => Verdict::Reuse(family),
        Decision::Refuse(refusal) => Verdict::Answer(RotateOutcome::Refused(refusal, family)),
    })
}

/// Whether nothing but the chain changes: no entry in the timeline, no other caller.
fn is_quiet(family: &Family, how: Given, chain: &Chain) -> bool {
    how == (Given::Rotated { new_caller: false }) && chain.given_to == family.chain.given_to
}

/// The answer, once the row has become what was decided.
fn given(mut family: Box<Family>, how: Given, chain: Chain, write_id: i64) -> RotateOutcome {
    family.chain = chain;
    family.row_version = write_id;
    RotateOutcome::Given(how, family)
}
