//! One refresh by itself: what SQLite's writer does with each of a batch, and Postgres with
//! those that have more to say than the next generation.

use diesel::Connection as _;
use diesel::prelude::*;

use super::super::audit;
use super::super::connection::Connection;
use super::super::error::{Result, StorageError};
use super::super::families::{self, Family};
use super::super::logout_deliveries;
use super::super::schema::token_families as t;
use super::update::update_chain;
use super::{RotateCommand, RotateOutcome, TRIES, Verdict, given, is_quiet, judge};
use crate::domain::audit::{Actor, AuditEvent};
use crate::domain::caller::Caller;
use crate::domain::history::Kind;
use crate::domain::token_family::{Chain, EndCause, Given};

/// Carries out a refresh. `clients_epoch` is what stands in the database now.
pub(in crate::storage) fn rotate(
    connection: &mut Connection,
    command: &RotateCommand,
    clients_epoch: i64,
) -> Result<RotateOutcome> {
    if command.clients_epoch != clients_epoch {
        return Ok(RotateOutcome::ClientsChanged);
    }
    if !command.authenticity.knows(command.token.presented.key) {
        return Ok(RotateOutcome::UnknownKey);
    }
    for _ in 0..TRIES {
        let family = families::find(connection, command.token.family)?;
        let verdict = judge(connection, command, family)?;
        if let Some(outcome) = carry_out(connection, command, verdict)? {
            return Ok(outcome);
        }
    }
    Err(StorageError::Unavailable("this session is refreshed from too many places at once".into()))
}

/// Writes what was decided; `None` when another write came between.
pub(super) fn carry_out(
    connection: &mut Connection,
    command: &RotateCommand,
    verdict: Verdict,
) -> Result<Option<RotateOutcome>> {
    match verdict {
        Verdict::Answer(outcome) => Ok(Some(outcome)),
        Verdict::Give { family, how, chain } => give(connection, command, family, how, chain),
        Verdict::Late(family) => {
            note_late(connection, command, &family)?;
            Ok(Some(RotateOutcome::Late(family)))
        }
        Verdict::Reuse(family) => reuse(connection, command, family),
        Verdict::OtherClient(family) => {
            audit_event(connection, command, &family, "session.other_clients_token")?;
            Ok(Some(RotateOutcome::OtherClient(family)))
        }
    }
}

fn give(
    connection: &mut Connection,
    command: &RotateCommand,
    family: Box<Family>,
    how: Given,
    chain: Chain,
) -> Result<Option<RotateOutcome>> {
    let written = if is_quiet(&family, how, &chain) {
        // One statement: its own transaction on Postgres, part of the batch's on SQLite.
        update_chain(connection, &family, &chain, command.write_id)?
    } else {
        connection.transaction::<_, StorageError, _>(|connection| {
            if !update_chain(connection, &family, &chain, command.write_id)? {
                return Ok(false);
            }
            if chain.given_to != family.chain.given_to {
                update_caller(connection, &family, &command.caller)?;
            }
            if let Some(kind) = entry(how) {
                note(connection, command, &family, kind, chain.generation)?;
            }
            Ok(true)
        })?
    };
    Ok(written.then(|| given(family, how, chain, command.write_id)))
}

/// What stands in the timeline about it; nothing where it is only counted.
fn entry(how: Given) -> Option<Kind> {
    match how {
        Given::Rotated { new_caller: false } => None,
        Given::Rotated { new_caller: true } => Some(Kind::NewCaller),
        Given::Retried => Some(Kind::Retry),
        Given::Reissued { alarm: false } => Some(Kind::Reissue),
        Given::Reissued { alarm: true } => Some(Kind::ReissueAlarm),
        Given::Adopted => Some(Kind::Ahead),
    }
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
    mut family: Box<Family>,
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
        if let Some(browser) = family.browser_session {
            let ended = [(browser, &family.client_id)];
            logout_deliveries::families_ended(connection, &ended, now)?;
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
    Ok(Some(RotateOutcome::Reuse(family)))
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
