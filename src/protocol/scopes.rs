//! Describing scopes for the consent page.

use super::act::Act;
use crate::domain::scope::ScopeDescription;
use crate::storage::{Connection, Result, scopes};

/// Describes a scope; `Duplicate` when it is described already.
pub fn add(connection: &mut Connection, scope: &ScopeDescription, act: &Act) -> Result<()> {
    scopes::add(connection, scope)?;
    record(connection, "scope.added", &scope.name, act)
}

/// Describes a scope anew. Whether it was described.
pub fn update(connection: &mut Connection, scope: &ScopeDescription, act: &Act) -> Result<bool> {
    let changed = scopes::update(connection, scope)?;
    if changed {
        record(connection, "scope.updated", &scope.name, act)?;
    }
    Ok(changed)
}

/// Removes a scope's description. Whether it was there.
pub fn remove(connection: &mut Connection, name: &str, act: &Act) -> Result<bool> {
    let removed = scopes::remove(connection, name)?;
    if removed {
        record(connection, "scope.removed", name, act)?;
    }
    Ok(removed)
}

fn record(connection: &mut Connection, action: &'static str, name: &str, act: &Act) -> Result<()> {
    act.record(connection, action, Some(("scope", name.to_owned())), None, None, None)
}
