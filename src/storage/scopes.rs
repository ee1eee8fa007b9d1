//! What consent says about scopes.

use diesel::prelude::*;

use super::connection::Connection;
use super::error::{Result, StorageError};
use super::schema::scopes as s;
use crate::domain::scope::{Risk, ScopeDescription};

/// All described scopes by name.
pub fn list(connection: &mut Connection) -> Result<Vec<ScopeDescription>> {
    s::table
        .order(s::name.asc())
        .load::<(String, String, String)>(connection)?
        .into_iter()
        .map(|(name, description, risk)| {
            let risk = match risk.as_str() {
                "read" => Risk::Read,
                "write" => Risk::Write,
                other => return Err(StorageError::Corrupt(format!("scope risk {other}"))),
            };
            Ok(ScopeDescription { name, description, risk })
        })
        .collect()
}

fn risk_name(risk: Risk) -> &'static str {
    match risk {
        Risk::Read => "read",
        Risk::Write => "write",
    }
}

/// Describes a scope; `Duplicate` when it is described already.
pub fn add(connection: &mut Connection, scope: &ScopeDescription) -> Result<()> {
    diesel::insert_into(s::table)
        .values((
            s::name.eq(&scope.name),
            s::description.eq(&scope.description),
            s::risk.eq(risk_name(scope.risk)),
        ))
        .execute(connection)?;
    Ok(())
}

/// Describes a scope anew. Whether it was described.
pub fn update(connection: &mut Connection, scope: &ScopeDescription) -> Result<bool> {
    let rows = diesel::update(s::table.filter(s::name.eq(&scope.name)))
        .set((s::description.eq(&scope.description), s::risk.eq(risk_name(scope.risk))))
        .execute(connection)?;
    Ok(rows == 1)
}

/// Removes a scope's description. Whether it was there.
pub fn remove(connection: &mut Connection, name: &str) -> Result<bool> {
    Ok(diesel::delete(s::table.filter(s::name.eq(name))).execute(connection)? == 1)
}
