//! The audit log: only added to, and pruned by age.

use diesel::prelude::*;

use super::connection::Connection;
use super::error::{Result, StorageError};
use super::schema::audit_events as a;
use crate::domain::audit::AuditEvent;
use crate::domain::id::{AuditId, UserId};
use crate::domain::time::Timestamp;

/// A line of the log as it is read back.
#[derive(Clone, Debug, Queryable)]
struct Row {
    id: Vec<u8>,
    at: i64,
    actor_kind: String,
    actor_id: Option<String>,
    action: String,
    target_kind: Option<String>,
    target_id: Option<String>,
    user_id: Option<Vec<u8>>,
    client_id: Option<String>,
    ip: Option<String>,
    detail: Option<String>,
    reference: Option<String>,
}

/// A line of the log as it is read back.
#[derive(Clone, Debug)]
pub struct AuditLine {
    /// Its id.
    pub id: AuditId,
    /// When.
    pub at: Timestamp,
    /// The kind of actor: user, client, operator, system, anonymous.
    pub actor_kind: String,
    /// The actor's id.
    pub actor_id: Option<String>,
    /// What was done.
    pub action: String,
    /// To what kind of thing.
    pub target_kind: Option<String>,
    /// To which.
    pub target_id: Option<String>,
    /// The person that it concerns.
    pub user_id: Option<UserId>,
    /// The client that it concerns.
    pub client_id: Option<String>,
    /// Where it came from.
    pub ip: Option<String>,
    /// A sentence or a reason.
    pub detail: Option<String>,
    /// The request's reference.
    pub reference: Option<String>,
}

/// Adds a line, and puts the same into the log, where it outlives the database: what was done
/// since a backup can be repeated from there. It is logged just before its commit. Addresses and
/// free text stay out of the log.
pub fn record(connection: &mut Connection, event: &AuditEvent, id: AuditId) -> Result<()> {
    diesel::insert_into(a::table)
        .values((
            a::id.eq(id.as_bytes().as_slice()),
            a::at.eq(event.at.as_millis()),
            a::actor_kind.eq(event.actor.kind()),
            a::actor_id.eq(event.actor.id()),
            a::action.eq(event.action),
            a::target_kind.eq(event.target.as_ref().map(|(kind, _)| *kind)),
            a::target_id.eq(event.target.as_ref().map(|(_, id)| id.clone())),
            a::user_id.eq(event.user_id.map(|id| id.as_bytes().to_vec())),
            a::client_id.eq(&event.client_id),
            a::ip.eq(&event.ip),
            a::detail.eq(&event.detail),
            a::reference.eq(&event.reference),
        ))
        .execute(connection)?;
    let (of, target) = event.target.as_ref().map_or(("", ""), |(kind, id)| (kind, id.as_str()));
    tracing::info!(
        action = event.action,
        of,
        id = target,
        by = event.actor.kind(),
        by_id = event.actor.id().unwrap_or_default(),
        person = event.user_id.map(|id| id.to_string()).unwrap_or_default(),
        app = event.client_id.as_deref().unwrap_or_default(),
        reference = event.reference.as_deref().unwrap_or_default(),
        "audit"
    );
    Ok(())
}

/// Which lines are meant.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only those that concern this person.
    pub user: Option<UserId>,
    /// Only those that concern this client.
    pub client: Option<String>,
    /// Only those about this target id.
    pub target: Option<String>,
    /// Only actions that begin so, such as `session.`.
    pub action: Option<String>,
    /// Only exactly these actions, where there are some.
    pub actions: &'static [&'static str],
    /// Only those that concern one of these people.
    pub users: Option<Vec<UserId>>,
    /// Only those from this address.
    pub ip: Option<String>,
    /// Only those of this request.
    pub reference: Option<String>,
    /// Only those at this time or later.
    pub from: Option<Timestamp>,
    /// Only those before this time.
    pub until: Option<Timestamp>,
}

type Boxed<'a> = a::BoxedQuery<'a, super::connection::MultiBackend>;

fn filtered(filter: &Filter) -> Boxed<'static> {
    let mut query = a::table.into_boxed();
    if let Some(user) = filter.user {
        query = query.filter(a::user_id.eq(user.as_bytes().to_vec()));
    }
    if let Some(users) = &filter.users {
        let ids: Vec<Vec<u8>> = users.iter().map(|id| id.as_bytes().to_vec()).collect();
        query = query.filter(a::user_id.eq_any(ids));
    }
    if let Some(client) = &filter.client {
        query = query.filter(a::client_id.eq(client.clone()));
    }
    if let Some(target) = &filter.target {
        query = query.filter(a::target_id.eq(target.clone()));
    }
    if let Some(action) = &filter.action {
        let plain: String =
            action.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '.').collect();
        query = query.filter(a::action.like(format!("{plain}%")));
    }
    if !filter.actions.is_empty() {
        query = query.filter(a::action.eq_any(filter.actions.to_vec()));
    }
    if let Some(ip) = &filter.ip {
        query = query.filter(a::ip.eq(ip.clone()));
    }
    if let Some(reference) = &filter.reference {
        query = query.filter(a::reference.eq(reference.clone()));
    }
    if let Some(from) = filter.from {
        query = query.filter(a::at.ge(from.as_millis()));
    }
    if let Some(until) = filter.until {
        query = query.filter(a::at.lt(until.as_millis()));
    }
    query
}

/// How many lines `filter` means.
pub fn count(connection: &mut Connection, filter: &Filter) -> Result<i64> {
    Ok(filtered(filter).count().get_result(connection)?)
}

/// One page of the log, the latest first, at most `limit` lines, before `cursor`.
pub fn list(
    connection: &mut Connection,
    filter: &Filter,
    cursor: Option<(i64, AuditId)>,
    limit: i64,
) -> Result<Vec<AuditLine>> {
    let mut query = filtered(filter);
    if let Some((at, id)) = cursor {
        let id = id.as_bytes().to_vec();
        query = query.filter(a::at.lt(at).or(a::at.eq(at).and(a::id.lt(id))));
    }
    query
        .order((a::at.desc(), a::id.desc()))
        .limit(limit)
        .load::<Row>(connection)?
        .into_iter()
        .map(|row| {
            let corrupt = || StorageError::Corrupt("audit line".into());
            Ok(AuditLine {
                id: AuditId::from_slice(&row.id).ok_or_else(corrupt)?,
                at: Timestamp::from_millis(row.at),
                actor_kind: row.actor_kind,
                actor_id: row.actor_id,
                action: row.action,
                target_kind: row.target_kind,
                target_id: row.target_id,
                user_id: row.user_id.as_deref().and_then(UserId::from_slice),
                client_id: row.client_id,
                ip: row.ip,
                detail: row.detail,
                reference: row.reference,
            })
        })
        .collect()
}
