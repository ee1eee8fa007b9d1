//! Opening and closing a recovery, with its lines in the audit log.

use super::act::Act;
use crate::domain::recovery::Recovery;
use crate::storage::{Connection, Result, recovery};

/// Opens a recovery, and returns the one that it takes the place of.
pub fn open(connection: &mut Connection, new: &Recovery, act: &Act) -> Result<Option<Recovery>> {
    let before = recovery::open_at(connection, act.now)?;
    recovery::put(connection, new)?;
    let detail = format!(
        "tokens issued from {} to {} are taken until {}",
        new.since.to_rfc3339(),
        new.until.to_rfc3339(),
        new.closes_at.to_rfc3339()
    );
    act.record(connection, "recovery.opened", None, None, None, Some(detail))?;
    Ok(before)
}

/// Closes the recovery that is open, and returns it.
pub fn close(connection: &mut Connection, act: &Act) -> Result<Option<Recovery>> {
    let open = recovery::open_at(connection, act.now)?;
    recovery::remove(connection)?;
    if open.is_some() {
        act.record(connection, "recovery.closed", None, None, None, None)?;
    }
    Ok(open)
}
