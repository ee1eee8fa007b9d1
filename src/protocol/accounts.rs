//! What happens to accounts, from the command line, the pages and set-up alike.

use super::act::Act;
use super::sessions;
use crate::crypto::random;
use crate::domain::account::{
    Account, AccountStatus, check_display_name, check_email, check_username,
};
use crate::domain::id::{BrowserSessionId, UserId};
use crate::domain::password_policy;
use crate::domain::profile::Profile;
use crate::domain::token_family::EndCause;
use crate::storage::users::{self, StoredAccount};
use crate::storage::{Connection, Result, StorageError, consents};

/// What somebody typed for a new account. The password is judged apart, before it is hashed.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// What they will sign in with.
    pub username: String,
    /// Their email address.
    pub email: String,
    /// Their name.
    pub display_name: String,
    /// Whether they may use the admin pages.
    pub is_admin: bool,
}

impl NewAccount {
    /// What is wrong with it, each fault under its field's name.
    pub fn faults(&self, password: &str, minimum_length: usize) -> Vec<(&'static str, String)> {
        let names = [self.username.as_str(), self.email.as_str(), self.display_name.as_str()];
        let checks = [
            ("display_name", check_display_name(&self.display_name)),
            ("email", check_email(self.email.trim())),
            ("username", check_username(self.username.trim())),
            ("password", password_policy::check(password, minimum_length, &names)),
        ];
        checks.into_iter().filter_map(|(field, check)| Some((field, check.err()?))).collect()
    }
}

/// Adds an account whose fields were checked; `Duplicate` when the name or address is taken.
pub fn add(
    connection: &mut Connection,
    new: &NewAccount,
    password_hash: String,
    act: &Act,
) -> Result<Account> {
    let account = Account {
        id: UserId::new(act.now, random::bytes()),
        username: new.username.trim().to_owned(),
        email: new.email.trim().to_owned(),
        display_name: new.display_name.trim().to_owned(),
        is_admin: new.is_admin,
        status: AccountStatus::Active,
        created_at: act.now,
        last_sign_in_at: None,
        password_changed_at: act.now,
        email_verified: false,
        profile: Profile::default(),
        profile_updated_at: None,
    };
    users::add(connection, &StoredAccount { account: account.clone(), password_hash })?;
    let detail = if new.is_admin { "administrator" } else { "person" };
    record(connection, "user.added", account.id, Some(detail), act)?;
    Ok(account)
}

/// Stores a new password's hash and ends every session but, where given, the one it was changed in.
pub fn change_password(
    connection: &mut Connection,
    user: UserId,
    hash: &str,
    except: Option<BrowserSessionId>,
    act: &Act,
) -> Result<usize> {
    if !users::set_password(connection, user, hash, Some(act.now))? {
        return Err(StorageError::Corrupt("the account is gone".into()));
    }
    record(connection, "user.password_changed", user, None, act)?;
    sessions::end_all_of_user(connection, user, except, EndCause::PasswordChanged, None, act)
}

/// Stores a new password's hash and leaves all sessions as they are: for a person who chose so.
/// Whether the account still had the password that was judged.
pub fn replace_password(
    connection: &mut Connection,
    judged: &StoredAccount,
    hash: &str,
    act: &Act,
) -> Result<bool> {
    let user = judged.account.id;
    if !still_has(connection, judged)?
        || !users::set_password(connection, user, hash, Some(act.now))?
    {
        return Ok(false);
    }
    record(connection, "user.password_changed", user, None, act)?;
    Ok(true)
}

/// Whether an account is active and has the password that was judged.
pub fn still_has(connection: &mut Connection, judged: &StoredAccount) -> Result<bool> {
    Ok(users::find(connection, judged.account.id)?
        .is_some_and(|now| now.account.is_active() && now.password_hash == judged.password_hash))
}

/// Disables an account and ends all its sessions. Whether it was active.
pub fn disable(connection: &mut Connection, user: UserId, act: &Act) -> Result<bool> {
    let changed = users::set_disabled(connection, user, Some(act.now))?;
    if changed {
        record(connection, "user.disabled", user, None, act)?;
    }
    sessions::end_all_of_user(connection, user, None, EndCause::UserDisabled, None, act)?;
    Ok(changed)
}

/// Lets a disabled account sign in again. Whether it was disabled.
pub fn enable(connection: &mut Connection, user: UserId, act: &Act) -> Result<bool> {
    let changed = users::set_disabled(connection, user, None)?;
    if changed {
        record(connection, "user.enabled", user, None, act)?;
    }
    Ok(changed)
}

/// Removes an account, its consents and its sessions. Whether it was there.
pub fn remove(connection: &mut Connection, user: UserId, act: &Act) -> Result<bool> {
    sessions::end_all_of_user(connection, user, None, EndCause::UserRemoved, None, act)?;
    consents::forget_user(connection, user)?;
    let removed = users::remove(connection, user)?;
    if removed {
        record(connection, "user.removed", user, None, act)?;
    }
    Ok(removed)
}

fn record(
    connection: &mut Connection,
    action: &'static str,
    user: UserId,
    detail: Option<&str>,
    act: &Act,
) -> Result<()> {
    act.record(
        connection,
        action,
        Some(("user", user.to_string())),
        Some(user),
        None,
        detail.map(str::to_owned),
    )
}
