//! People's accounts.

use diesel::prelude::*;

use super::connection::Connection;
use super::error::{Result, StorageError};
use super::schema::users as u;
use crate::domain::account::{Account, AccountStatus, fold};
use crate::domain::id::UserId;
use crate::domain::profile::Profile;
use crate::domain::time::Timestamp;

/// An account with the hash of its password.
#[derive(Clone, Debug)]
pub struct StoredAccount {
    /// The account.
    pub account: Account,
    /// The PHC string of its password.
    pub password_hash: String,
}

#[derive(Queryable)]
struct Row {
    id: Vec<u8>,
    username: String,
    _username_key: String,
    email: String,
    _email_key: String,
    display_name: String,
    _search_text: String,
    password_hash: String,
    password_changed_at: i64,
    is_admin: bool,
    disabled_at: Option<i64>,
    created_at: i64,
    last_sign_in_at: Option<i64>,
    profile: String,
    email_verified: bool,
    profile_updated_at: Option<i64>,
}

impl TryFrom<Row> for StoredAccount {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            account: Account {
                id: UserId::from_slice(&row.id)
                    .ok_or_else(|| StorageError::Corrupt("user id".into()))?,
                username: row.username,
                email: row.email,
                display_name: row.display_name,
                is_admin: row.is_admin,
                status: row.disabled_at.map_or(AccountStatus::Active, |at| {
                    AccountStatus::Disabled { at: Timestamp::from_millis(at) }
                }),
                created_at: Timestamp::from_millis(row.created_at),
                last_sign_in_at: row.last_sign_in_at.map(Timestamp::from_millis),
                password_changed_at: Timestamp::from_millis(row.password_changed_at),
                email_verified: row.email_verified,
                profile: Profile::from_json(&row.profile).map_err(StorageError::Corrupt)?,
                profile_updated_at: row.profile_updated_at.map(Timestamp::from_millis),
            },
            password_hash: row.password_hash,
        })
    }
}

/// Adds an account; `Duplicate` when its username or email address is taken.
pub fn add(connection: &mut Connection, stored: &StoredAccount) -> Result<()> {
    let account = &stored.account;
    diesel::insert_into(u::table)
        .values((
            u::id.eq(account.id.as_bytes().as_slice()),
            u::username.eq(&account.username),
            u::username_key.eq(fold(&account.username)),
            u::email.eq(&account.email),
            u::email_key.eq(fold(&account.email)),
            u::display_name.eq(&account.display_name),
            u::search_text.eq(search_text(account)),
            u::password_hash.eq(&stored.password_hash),
            u::password_changed_at.eq(account.password_changed_at.as_millis()),
            u::is_admin.eq(account.is_admin),
            u::disabled_at.eq(match account.status {
                AccountStatus::Active => None,
                AccountStatus::Disabled { at } => Some(at.as_millis()),
            }),
            u::created_at.eq(account.created_at.as_millis()),
            u::profile.eq(account.profile.to_json()),
            u::email_verified.eq(account.email_verified),
            u::profile_updated_at.eq(account.profile_updated_at.map(Timestamp::as_millis)),
        ))
        .execute(connection)?;
    Ok(())
}

fn search_text(account: &Account) -> String {
    format!("{} {} {}", account.username, account.email, account.display_name).to_lowercase()
}

/// The account with this id.
pub fn find(connection: &mut Connection, id: UserId) -> Result<Option<StoredAccount>> {
    u::table
        .filter(u::id.eq(id.as_bytes().as_slice()))
        .first::<Row>(connection)
        .optional()?
        .map(StoredAccount::try_from)
        .transpose()
}

/// The account that a person means by what they type: a username, or an email address.
pub fn find_by_name(connection: &mut Connection, name: &str) -> Result<Option<StoredAccount>> {
    let key = fold(name);
    let row = if key.contains('@') {
        u::table.filter(u::email_key.eq(key)).first::<Row>(connection).optional()?
    } else {
        u::table.filter(u::username_key.eq(key)).first::<Row>(connection).optional()?
    };
    row.map(StoredAccount::try_from).transpose()
}

/// The accounts with these ids, in no order.
pub fn find_many(connection: &mut Connection, ids: &[UserId]) -> Result<Vec<Account>> {
    let ids: Vec<Vec<u8>> = ids.iter().map(|id| id.as_bytes().to_vec()).collect();
    accounts(u::table.filter(u::id.eq_any(ids)).load::<Row>(connection)?)
}

/// Which accounts are meant.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only those whose names or address hold this.
    pub query: Option<String>,
    /// Only those in this state.
    pub state: Option<State>,
}

/// An account's state as lists filter by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// May sign in.
    Active,
    /// May not.
    Disabled,
    /// Looks after the site.
    Administrator,
}

type Boxed<'a> = u::BoxedQuery<'a, super::connection::MultiBackend>;

fn filtered(filter: &Filter) -> Boxed<'static> {
    let mut rows = u::table.into_boxed();
    if let Some(query) = &filter.query {
        rows = rows.filter(u::search_text.like(pattern(query)).escape('\\'));
    }
    match filter.state {
        None => rows,
        Some(State::Active) => rows.filter(u::disabled_at.is_null()),
        Some(State::Disabled) => rows.filter(u::disabled_at.is_not_null()),
        Some(State::Administrator) => rows.filter(u::is_admin.eq(true)),
    }
}

/// One page of the accounts that `filter` means, by username, after `after`.
pub fn page(
    connection: &mut Connection,
    filter: &Filter,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Account>> {
    let mut rows = filtered(filter);
    if let Some(after) = after {
        rows = rows.filter(u::username_key.gt(fold(after)));
    }
    accounts(rows.order(u::username_key.asc()).limit(limit).load::<Row>(connection)?)
}

/// How many accounts `filter` means.
pub fn count_of(connection: &mut Connection, filter: &Filter) -> Result<i64> {
    Ok(filtered(filter).count().get_result(connection)?)
}

/// One page of accounts by username, after `after`, those that `query` finds.
pub fn list(
    connection: &mut Connection,
    query: Option<&str>,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Account>> {
    let filter = Filter { query: query.map(str::to_owned), state: None };
    page(connection, &filter, after, limit)
}

/// The ids of the first people that `query` finds, at most `limit`.
pub fn search(connection: &mut Connection, query: &str, limit: i64) -> Result<Vec<UserId>> {
    u::table
        .filter(u::search_text.like(pattern(query)).escape('\\'))
        .select(u::id)
        .limit(limit)
        .load::<Vec<u8>>(connection)?
        .iter()
        .map(|id| UserId::from_slice(id).ok_or_else(|| StorageError::Corrupt("user id".into())))
        .collect()
}

/// How many accounts `query` finds.
pub fn count(connection: &mut Connection, query: Option<&str>) -> Result<i64> {
    count_of(connection, &Filter { query: query.map(str::to_owned), state: None })
}

/// Whether there is an administrator who may sign in.
pub fn has_admin(connection: &mut Connection) -> Result<bool> {
    let admins: i64 = u::table
        .filter(u::is_admin.eq(true))
        .filter(u::disabled_at.is_null())
        .count()
        .get_result(connection)?;
    Ok(admins > 0)
}

/// Stores a new password's hash. `changed_at` is none for a rehash of the same password.
pub fn set_password(
    connection: &mut Connection,
    id: UserId,
    hash: &str,
    changed_at: Option<Timestamp>,
) -> Result<bool> {
    let row = u::table.filter(u::id.eq(id.as_bytes().as_slice()));
    let rows = match changed_at {
        Some(at) => diesel::update(row)
            .set((u::password_hash.eq(hash), u::password_changed_at.eq(at.as_millis())))
            .execute(connection)?,
        None => diesel::update(row).set(u::password_hash.eq(hash)).execute(connection)?,
    };
    Ok(rows == 1)
}

/// Stores an account's name, email address and profile, and when they changed. Whether it is
/// there; `Duplicate` when the address is another account's.
pub fn set_profile(connection: &mut Connection, account: &Account) -> Result<bool> {
    let rows = diesel::update(u::table.filter(u::id.eq(account.id.as_bytes().as_slice())))
        .set((
            u::email.eq(&account.email),
            u::email_key.eq(fold(&account.email)),
            u::email_verified.eq(account.email_verified),
            u::display_name.eq(&account.display_name),
            u::search_text.eq(search_text(account)),
            u::profile.eq(account.profile.to_json()),
            u::profile_updated_at.eq(account.profile_updated_at.map(Timestamp::as_millis)),
        ))
        .execute(connection)?;
    Ok(rows == 1)
}

/// Takes the account's row until the transaction ends, if it may sign in and its password is no
/// younger than `since`.
pub fn hold_active(connection: &mut Connection, id: UserId, since: Timestamp) -> Result<bool> {
    let rows = diesel::update(
        u::table
            .filter(u::id.eq(id.as_bytes().as_slice()))
            .filter(u::disabled_at.is_null())
            .filter(u::password_changed_at.le(since.as_millis())),
    )
    .set(u::disabled_at.eq(None::<i64>))
    .execute(connection)?;
    Ok(rows == 1)
}

/// Notes that a person signed in.
pub fn signed_in(connection: &mut Connection, id: UserId, at: Timestamp) -> Result<()> {
    diesel::update(u::table.filter(u::id.eq(id.as_bytes().as_slice())))
        .set(u::last_sign_in_at.eq(at.as_millis()))
        .execute(connection)?;
    Ok(())
}

/// Disables an account (`Some`), or enables it again. Whether that changed it.
pub fn set_disabled(
    connection: &mut Connection,
    id: UserId,
    disabled_at: Option<Timestamp>,
) -> Result<bool> {
    let row = u::table.filter(u::id.eq(id.as_bytes().as_slice()));
    let rows = match disabled_at {
        Some(at) => diesel::update(row.filter(u::disabled_at.is_null()))
            .set(u::disabled_at.eq(at.as_millis()))
            .execute(connection)?,
        None => diesel::update(row.filter(u::disabled_at.is_not_null()))
            .set(u::disabled_at.eq(None::<i64>))
            .execute(connection)?,
    };
    Ok(rows == 1)
}

/// Removes an account. Whether it was there.
pub fn remove(connection: &mut Connection, id: UserId) -> Result<bool> {
    let rows =
        diesel::delete(u::table.filter(u::id.eq(id.as_bytes().as_slice()))).execute(connection)?;
    Ok(rows == 1)
}

fn accounts(rows: Vec<Row>) -> Result<Vec<Account>> {
    rows.into_iter().map(|row| StoredAccount::try_from(row).map(|stored| stored.account)).collect()
}

/// A LIKE pattern that finds `query` anywhere, to the letter.
fn pattern(query: &str) -> String {
    let mut pattern = String::from("%");
    for c in query.trim().to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
