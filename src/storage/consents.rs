//! What people allowed apps.

use std::collections::BTreeSet;

use diesel::Connection as _;
use diesel::prelude::*;

use super::clients::{list_from_json, list_to_json};
use super::connection::Connection;
use super::error::{Result, StorageError};
use super::schema::consents as c;
use crate::domain::client::ClientId;
use crate::domain::consent::Consent;
use crate::domain::id::UserId;
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;

type Row = (String, i64, i64, String);

fn consent((scope, granted_at, updated_at, claims): Row) -> Result<Consent> {
    Ok(Consent {
        scope: scope.parse().map_err(StorageError::Corrupt)?,
        claims: list_from_json(&claims)?.into_iter().collect(),
        granted_at: Timestamp::from_millis(granted_at),
        updated_at: Timestamp::from_millis(updated_at),
    })
}

/// What this person allowed this app.
pub fn find(
    connection: &mut Connection,
    user: UserId,
    client: &ClientId,
) -> Result<Option<Consent>> {
    c::table
        .filter(c::user_id.eq(user.as_bytes().as_slice()).and(c::client_id.eq(client.as_str())))
        .select((c::scope, c::granted_at, c::updated_at, c::claims))
        .first::<Row>(connection)
        .optional()?
        .map(consent)
        .transpose()
}

/// Remembers that this person allows this app this scope, and these claims beside it, beside what
/// they allowed before.
pub fn allow(
    connection: &mut Connection,
    user: UserId,
    client: &ClientId,
    scope: &Scope,
    claims: &BTreeSet<&str>,
    now: Timestamp,
) -> Result<()> {
    let row = c::table
        .filter(c::user_id.eq(user.as_bytes().to_vec()).and(c::client_id.eq(client.to_string())));
    let mut claims: BTreeSet<String> = claims.iter().map(|claim| (*claim).to_owned()).collect();
    let all = match find(connection, user, client)? {
        Some(before) => {
            claims.extend(before.claims);
            before.scope.union(scope)
        }
        None => scope.clone(),
    };
    let claims = list_to_json(&claims.into_iter().collect::<Vec<_>>());
    let rows = diesel::update(row)
        .set((
            c::scope.eq(all.to_string()),
            c::claims.eq(&claims),
            c::updated_at.eq(now.as_millis()),
        ))
        .execute(connection)?;
    if rows == 0 {
        let inserted = connection.transaction::<_, StorageError, _>(|connection| {
            diesel::insert_into(c::table)
                .values((
                    c::user_id.eq(user.as_bytes().as_slice()),
                    c::client_id.eq(client.as_str()),
                    c::scope.eq(scope.to_string()),
                    c::claims.eq(&claims),
                    c::granted_at.eq(now.as_millis()),
                    c::updated_at.eq(now.as_millis()),
                ))
                .execute(connection)?;
            Ok(())
        });
        if let Err(error) = inserted
            && !matches!(error, StorageError::Duplicate)
        {
            return Err(error);
        }
    }
    Ok(())
}

/// All that this person allowed, the latest first.
pub fn of_user(connection: &mut Connection, user: UserId) -> Result<Vec<(ClientId, Consent)>> {
    c::table
        .filter(c::user_id.eq(user.as_bytes().as_slice()))
        .order(c::updated_at.desc())
        .select((c::client_id, c::scope, c::granted_at, c::updated_at, c::claims))
        .load::<(String, String, i64, i64, String)>(connection)?
        .into_iter()
        .map(|(client, scope, granted_at, updated_at, claims)| {
            let client = ClientId::parse(&client).map_err(StorageError::Corrupt)?;
            Ok((client, consent((scope, granted_at, updated_at, claims))?))
        })
        .collect()
}

/// Takes back what this person allowed this app. Whether there was something.
pub fn withdraw(connection: &mut Connection, user: UserId, client: &ClientId) -> Result<bool> {
    let rows =
        diesel::delete(c::table.filter(
            c::user_id.eq(user.as_bytes().as_slice()).and(c::client_id.eq(client.as_str())),
        ))
        .execute(connection)?;
    Ok(rows == 1)
}

/// Forgets all consents of a person who is removed.
pub fn forget_user(connection: &mut Connection, user: UserId) -> Result<()> {
    diesel::delete(c::table.filter(c::user_id.eq(user.as_bytes().as_slice())))
        .execute(connection)?;
    Ok(())
}

/// Forgets all consents to a client that is removed.
pub fn forget_client(connection: &mut Connection, client: &ClientId) -> Result<()> {
    diesel::delete(c::table.filter(c::client_id.eq(client.as_str()))).execute(connection)?;
    Ok(())
}
