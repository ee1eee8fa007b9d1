//! A refresh as data, and how it is carried out: read the row, decide, one guarded update.

use std::sync::Arc;

use diesel::Connection as _;
use diesel::prelude::*;

use super::audit;
use super::connection::Connection;
use super::error::{Result, StorageError};
use super::families::{self, Family};
use super::recovery;
use super::schema::token_families as t;
use crate::domain::audit::{Actor, AuditEvent};
use crate::domain::caller::Caller;
use crate::domain::client::ClientId;
use crate::domain::history::Kind;
use crate::domain::refresh_token::{Authenticity, RefreshToken};
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::domain::token_family::{
    Chain, Decision, EndCause, Given, Policy, Presenter, Refusal, Status, decide,
};

/// How often a lost race is run again before the client is asked to.
const TRIES: usize = 64;

/// A refresh: everything that the decision needs but the row.
#[derive(Clone)]
pub struct RotateCommand {
    /// What was presented, not yet proven.
    pub token: RefreshToken,
    /// Who presents it, authenticated if it must be.
    pub client_id: ClientId,
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
    /// Another client's token; nothing changed.
    OtherClient(Box<Family>),
    /// Nothing that this server issued; nothing changed.
    NotAuthentic,
    /// The token names a key that this node doesn't have.
    UnknownKey,
}

/// Carries out a refresh. On SQLite within the writer's transaction, on Postgres by itself.
pub(super) fn rotate(
    connection: &mut Connection,
    command: &RotateCommand,
) -> Result<RotateOutcome> {
    if !command.authenticity.knows(command.token.presented.key) {
        return Ok(RotateOutcome::UnknownKey);
    }
    for _ in 0..TRIES {
        if let Some(outcome) = attempt(connection, command)? {
            return Ok(outcome);
        }
    }
    Err(StorageError::Unavailable("this session is refreshed from too many places at once".into()))
}

/// `None` when another write came between.
fn attempt(connection: &mut Connection, command: &RotateCommand) -> Result<Option<RotateOutcome>> {
    let Some(family) = families::find(connection, command.token.family)? else {
        return Ok(Some(RotateOutcome::NotAuthentic));
    };
    if !family.refreshable || !command.authenticity.proves(&command.token, &family.nonce) {
        return Ok(Some(RotateOutcome::NotAuthentic));
    }
    if family.client_id != command.client_id {
        audit_event(connection, command, &family, "session.other_clients_token")?;
        return Ok(Some(RotateOutcome::OtherClient(Box::new(family))));
    }
    if family.row_version == command.write_id {
        // This very write was committed before, and its answer got lost on the way to us.
        return Ok(Some(match family.status {
            Status::Live => {
                RotateOutcome::Given(Given::Rotated { new_caller: false }, Box::new(family))
            }
            Status::Ended { .. } => RotateOutcome::Reuse(Box::new(family)),
        }));
    }
    let presenter = Presenter { id: command.caller.id, proven: command.proven };
    let presented = command.token.presented;
    let judge = |policy: &Policy| {
        let (chain, at) = (&family.chain, command.arrived);
        decide(chain, family.status, family.lifetime, presented, presenter, at, policy)
    };
    let mut decision = judge(&command.policy);
    if decision == Decision::Reuse
        && presented.generation > family.chain.generation
        && let Some(policy) = recovery::policy(connection, &command.policy, command.arrived)?
    {
        decision = judge(&policy);
    }
    match decision {
        Decision::Give { how, chain } => {
            if let Some(scope) = &command.scope
                && !scope.is_subset_of(&family.scope)
            {
                return Ok(Some(RotateOutcome::ScopeExceeds(family.scope)));
            }
            give(connection, command, family, how, chain)
        }
        Decision::Late => {
            note_late(connection, command, &family)?;
            Ok(Some(RotateOutcome::Late(Box::new(family))))
        }
        Decision::Reuse => reuse(connection, command, family),
        Decision::Refuse(refusal) => Ok(Some(RotateOutcome::Refused(refusal, Box::new(family)))),
    }
}

fn give(
    connection: &mut Connection,
    command: &RotateCommand,
    mut family: Family,
    how: Given,
    chain: Chain,
) -> Result<Option<RotateOutcome>> {
    let kind = match how {
        Given::Rotated { new_caller: false } => None,
        Given::Rotated { new_caller: true } => Some(Kind::NewCaller),
        Given::Retried => Some(Kind::Retry),
        Given::Reissued { alarm: false } => Some(Kind::Reissue),
        Given::Reissued { alarm: true } => Some(Kind::ReissueAlarm),
        Given::Adopted => Some(Kind::Ahead),
    };
    let expected = family.row_version;
    let moved = chain.given_to != family.chain.given_to;
    let written = match kind {
        None if !moved => update_chain(connection, &family, expected, &chain, command.write_id)?,
        kind => connection.transaction::<_, StorageError, _>(|connection| {
            if !update_chain(connection, &family, expected, &chain, command.write_id)? {
                return Ok(false);
            }
            if moved {
                update_caller(connection, &family, &command.caller)?;
            }
            if let Some(kind) = kind {
                note(connection, command, &family, kind, chain.generation)?;
            }
            Ok(true)
        })?,
    };
    if !written {
        return Ok(None);
    }
    family.chain = chain;
    family.row_version = command.write_id;
    Ok(Some(RotateOutcome::Given(how, Box::new(family))))
}

/// The guarded update: one row, if nobody wrote it since and nobody ended it.
fn update_chain(
    connection: &mut Connection,
    family: &Family,
    expected: i64,
    chain: &Chain,
    write_id: i64,
) -> Result<bool> {
    let known: Vec<u8> = chain.known.iter().flat_map(|caller| *caller.as_bytes()).collect();
    let rows = diesel::update(
        t::table
            .filter(t::id.eq(family.id.as_bytes().as_slice()))
            .filter(t::row_version.eq(expected))
            .filter(t::ended_at.is_null()),
    )
    .set((
        t::generation.eq(families::to_i64(chain.generation)?),
        t::key_id.eq(i64::from(chain.key.0)),
        t::issued_at.eq(chain.issued_at.as_millis()),
        t::given_at.eq(chain.given_at.as_millis()),
        t::given_to.eq(chain.given_to.as_bytes().as_slice()),
        t::parent.eq(chain.parent.map(|p| families::to_i64(p.generation)).transpose()?),
        t::parent_key_id.eq(chain.parent.map(|p| i64::from(p.key.0))),
        t::parent_given_at.eq(chain.parent.map(|p| p.given_at.as_millis())),
        t::known_callers.eq(known),
        t::written_at.eq(chain.written_at.as_millis()),
        t::row_version.eq(write_id),
    ))
    .execute(connection)?;
    Ok(rows == 1)
}

fn update_caller(connection: &mut Connection, family: &Family, caller: &Caller) -> Result<()> {
    diesel::update(t::table.filter(t::id.eq(family.id.as_bytes().as_slice())))
        .set((t::caller_ip.eq(&caller.ip), t::caller_agent.eq(&caller.agent)))
        .execute(connection)?;
    Ok(())
}

fn reuse(
    connection: &mut Connection,
    command: &RotateCommand,
    mut family: Family,
) -> Result<Option<RotateOutcome>> {
    let ended = connection.transaction::<_, StorageError, _>(|connection| {
        let now = command.arrived;
        if !families::end(
            connection,
            family.id,
            Some(family.row_version),
            EndCause::Reuse,
            None,
            None,
            now,
            command.write_id,
        )? {
            return Ok(false);
        }
        families::alarm(connection, family.id, now)?;
        note(connection, command, &family, Kind::Reuse, family.chain.generation)?;
        audit_event(connection, command, &family, "session.token_reuse")?;
        Ok(true)
    })?;
    if !ended {
        return Ok(None);
    }
    family.row_version = command.write_id;
    Ok(Some(RotateOutcome::Reuse(Box::new(family))))
}

fn note_late(connection: &mut Connection, command: &RotateCommand, family: &Family) -> Result<()> {
    connection.transaction::<_, StorageError, _>(|connection| {
        // Not over an entry that somebody else writes at this moment.
        if families::hold(connection, family.id, family.row_version)? {
            note(connection, command, family, Kind::Late, family.chain.generation)?;
        }
        Ok(())
    })
}

/// Adds to the timeline, and to the audit log where it is an alarm.
fn note(
    connection: &mut Connection,
    command: &RotateCommand,
    family: &Family,
    kind: Kind,
    generation: u64,
) -> Result<()> {
    let alarm = kind == Kind::ReissueAlarm;
    families::note(
        connection,
        family.id,
        command.arrived,
        kind,
        generation,
        Some(command.token.presented.generation),
        Some(&command.caller),
    )?;
    if alarm {
        families::alarm(connection, family.id, command.arrived)?;
        audit_event(connection, command, family, "session.reissued_after_stranger")?;
    }
    Ok(())
}

fn audit_event(
    connection: &mut Connection,
    command: &RotateCommand,
    family: &Family,
    action: &'static str,
) -> Result<()> {
    audit::record(
        connection,
        &AuditEvent {
            at: command.arrived,
            actor: Actor::Client(command.client_id.to_string()),
            action,
            target: Some(("session", family.id.to_string())),
            user_id: Some(family.user_id),
            client_id: Some(family.client_id.to_string()),
            ip: Some(command.caller.ip.clone()),
            detail: Some(format!(
                "generation {} was presented, {} is the newest",
                command.token.presented.generation, family.chain.generation
            )),
            reference: command.reference.clone(),
        },
        audit_id(command),
    )
}

/// The audit line's id from the write's random number: storage has no randomness of its own.
fn audit_id(command: &RotateCommand) -> crate::domain::id::AuditId {
    let mut random = [0; 10];
    for (byte, own) in random.iter_mut().zip(command.write_id.to_be_bytes()) {
        *byte = own;
    }
    crate::domain::id::AuditId::new(command.arrived, random)
}
