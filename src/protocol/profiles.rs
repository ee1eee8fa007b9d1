//! Changing what an account says of its person: name, email address, profile.

use super::act::Act;
use crate::domain::account::Account;
use crate::domain::id::UserId;
use crate::storage::{Connection, Result, users};

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The account as it is now.
    pub account: Account,
    /// The names of what changed; none: nothing did.
    pub names: Vec<&'static str>,
}

/// Changes an account by a rule that sees it as it is; `None` when it is gone, `Duplicate` when
/// the email address is another account's. The audit log is told the names of what changed,
/// never the values.
pub fn change(
    connection: &mut Connection,
    user: UserId,
    rule: impl FnOnce(&mut Account),
    act: &Act,
) -> Result<Option<Changed>> {
    let Some(before) = users::find(connection, user)?.map(|stored| stored.account) else {
        return Ok(None);
    };
    let mut account = before.clone();
    rule(&mut account);
    let names = account.changes(&before);
    if names.is_empty() {
        return Ok(Some(Changed { account: before, names }));
    }
    account.profile_updated_at = Some(act.now);
    if !users::set_profile(connection, &account)? {
        return Ok(None);
    }
    act.record(
        connection,
        "user.profile_changed",
        Some(("user", user.to_string())),
        Some(user),
        None,
        Some(names.join(", ")),
    )?;
    Ok(Some(Changed { account, names }))
}
