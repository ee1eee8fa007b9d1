//! Token families: one row for each app on each device.

use std::time::Duration;

use diesel::prelude::*;

use super::clients::EPOCH;
use super::connection::Connection;
use super::either::either;
use super::error::{Result, StorageError};
use super::schema::{meta, token_families as t};
use crate::domain::caller::{Caller, CallerId};
use crate::domain::claims_request::ClaimsRequest;
use crate::domain::client::ClientId;
use crate::domain::history::{History, Kind};
use crate::domain::id::{BrowserSessionId, FamilyId, UserId};
use crate::domain::refresh_token::Nonce;
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::domain::token_family::{Chain, EndCause, KeyId, Lifetime, Parent, Status};

/// A family's row but for its timeline.
#[derive(Clone, Debug)]
pub struct Family {
    /// Its id, the `sid` of its tokens.
    pub id: FamilyId,
    /// What every MAC of it covers.
    pub nonce: Nonce,
    /// Whose it is.
    pub user_id: UserId,
    /// Which app's it is.
    pub client_id: ClientId,
    /// What was consented.
    pub scope: Scope,
    /// What was asked for beyond the scope.
    pub claims: Option<ClaimsRequest>,
    /// Whom its access tokens are for.
    pub audience: Vec<String>,
    /// The browser session that it came from.
    pub browser_session: Option<BrowserSessionId>,
    /// When the app signed in.
    pub created_at: Timestamp,
    /// When the person did.
    pub auth_time: Timestamp,
    /// Whether it has a refresh token at all.
    pub refreshable: bool,
    /// When it ends by itself.
    pub lifetime: Lifetime,
    /// What a refresh reads and changes.
    pub chain: Chain,
    /// The id of its last write.
    pub row_version: i64,
    /// Whether it was ended.
    pub status: Status,
    /// The address that the newest token went to.
    pub caller_ip: String,
    /// The program that the newest token went to.
    pub caller_agent: String,
    /// When it last raised an alarm.
    pub alarm_at: Option<Timestamp>,
    /// Who ended it, in words.
    pub ended_by: Option<String>,
    /// The administrator's reason.
    pub end_reason: Option<String>,
}

impl Family {
    /// Whether it may still be used at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.status == Status::Live && self.lifetime.passed(self.chain.given_at, now).is_none()
    }
}

/// What a new family begins with.
#[derive(Clone, Debug)]
pub struct NewFamily {
    /// Its id.
    pub id: FamilyId,
    /// Sixteen random bytes.
    pub nonce: Nonce,
    /// Whose it is.
    pub user_id: UserId,
    /// Which app's it is.
    pub client_id: ClientId,
    /// What was consented.
    pub scope: Scope,
    /// What was asked for beyond the scope.
    pub claims: Option<ClaimsRequest>,
    /// Whom its access tokens are for.
    pub audience: Vec<String>,
    /// The browser session that it comes from.
    pub browser_session: Option<BrowserSessionId>,
    /// When the person signed in.
    pub auth_time: Timestamp,
    /// Whether it has a refresh token.
    pub refreshable: bool,
    /// When it ends by itself.
    pub lifetime: Lifetime,
    /// The key of its first token.
    pub key: KeyId,
    /// Whom its first token goes to.
    pub caller: Caller,
    /// A random number that names this write.
    pub write_id: i64,
}

#[derive(Queryable)]
struct Row {
    id: Vec<u8>,
    nonce: Vec<u8>,
    user_id: Vec<u8>,
    client_id: String,
    scope: String,
    audience: String,
    browser_session_id: Option<Vec<u8>>,
    created_at: i64,
    auth_time: i64,
    refreshable: bool,
    idle_ms: i64,
    ends_at: Option<i64>,
    generation: i64,
    key_id: i64,
    issued_at: i64,
    given_at: i64,
    given_to: Vec<u8>,
    parent: Option<i64>,
    parent_key_id: Option<i64>,
    parent_given_at: Option<i64>,
    known_callers: Vec<u8>,
    written_at: i64,
    row_version: i64,
    caller_ip: String,
    caller_agent: String,
    alarm_at: Option<i64>,
    ended_at: Option<i64>,
    end_cause: Option<String>,
    ended_by: Option<String>,
    end_reason: Option<String>,
    claims: Option<String>,
}

/// Every column but the timeline, which is the only long one.
macro_rules! columns {
    () => {
        (
            t::id,
            t::nonce,
            t::user_id,
            t::client_id,
            t::scope,
            t::audience,
            t::browser_session_id,
            t::created_at,
            t::auth_time,
            t::refreshable,
            t::idle_ms,
            t::ends_at,
            t::generation,
            t::key_id,
            t::issued_at,
            t::given_at,
            t::given_to,
            t::parent,
            t::parent_key_id,
            t::parent_given_at,
            t::known_callers,
            t::written_at,
            t::row_version,
            t::caller_ip,
            t::caller_agent,
            t::alarm_at,
            t::ended_at,
            t::end_cause,
            t::ended_by,
            t::end_reason,
            t::claims,
        )
    };
}

impl TryFrom<Row> for Family {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self> {
        let corrupt = |what: &str| StorageError::Corrupt(format!("token family: {what}"));
        let parent = match (row.parent, row.parent_key_id, row.parent_given_at) {
            (Some(generation), Some(key), Some(given_at)) => Some(Parent {
                generation: to_u64(generation)?,
                key: to_key(key)?,
                given_at: Timestamp::from_millis(given_at),
            }),
            _ => None,
        };
        let status = match (row.ended_at, row.end_cause) {
            (Some(at), cause) => Status::Ended {
                at: Timestamp::from_millis(at),
                cause: cause
                    .as_deref()
                    .and_then(EndCause::from_name)
                    .ok_or_else(|| corrupt("its end has no known cause"))?,
            },
            (None, _) => Status::Live,
        };
        Ok(Self {
            id: FamilyId::from_slice(&row.id).ok_or_else(|| corrupt("id"))?,
            nonce: row.nonce.try_into().map_err(|_| corrupt("nonce"))?,
            user_id: UserId::from_slice(&row.user_id).ok_or_else(|| corrupt("user id"))?,
            client_id: ClientId::parse(&row.client_id).map_err(|error| corrupt(&error))?,
            scope: row.scope.parse().map_err(|error: String| corrupt(&error))?,
            claims: claims(row.claims.as_deref())?,
            audience: super::clients::list_from_json(&row.audience)?,
            browser_session: row
                .browser_session_id
                .map(|id| {
                    BrowserSessionId::from_slice(&id).ok_or_else(|| corrupt("browser session"))
                })
                .transpose()?,
            created_at: Timestamp::from_millis(row.created_at),
            auth_time: Timestamp::from_millis(row.auth_time),
            refreshable: row.refreshable,
            lifetime: Lifetime {
                idle: to_duration(row.idle_ms),
                ends_at: row.ends_at.map(Timestamp::from_millis),
            },
            chain: Chain {
                generation: to_u64(row.generation)?,
                key: to_key(row.key_id)?,
                issued_at: Timestamp::from_millis(row.issued_at),
                given_at: Timestamp::from_millis(row.given_at),
                given_to: CallerId::from_slice(&row.given_to).ok_or_else(|| corrupt("caller"))?,
                parent,
                known: row.known_callers.chunks_exact(8).filter_map(CallerId::from_slice).collect(),
                written_at: Timestamp::from_millis(row.written_at),
            },
            row_version: row.row_version,
            status,
            caller_ip: row.caller_ip,
            caller_agent: row.caller_agent,
            alarm_at: row.alarm_at.map(Timestamp::from_millis),
            ended_by: row.ended_by,
            end_reason: row.end_reason,
        })
    }
}

/// Reads what was asked for beyond the scope.
pub(super) fn claims(text: Option<&str>) -> Result<Option<ClaimsRequest>> {
    let parsed = text.map(ClaimsRequest::parse).transpose();
    parsed.map_err(|error| StorageError::Corrupt(format!("claims: {error}")))
}

/// The family with this id.
pub fn find(connection: &mut Connection, id: FamilyId) -> Result<Option<Family>> {
    let query = t::table.filter(t::id.eq(id.as_bytes().as_slice())).select(columns!());
    // Not `first`: SQLite plans a query anew for each value that its LIMIT is bound to.
    either!(connection, |c| query.get_result::<Row>(c))
        .optional()?
        .map(Family::try_from)
        .transpose()
}

/// The families with these ids, in no order, and what [`super::clients::epoch`] was as they
/// were read. One statement: one round trip, one moment.
pub(super) fn find_for_rotation(
    connection: &mut Connection,
    ids: &[FamilyId],
) -> Result<Vec<(Family, i64)>> {
    let ids: Vec<&[u8]> = ids.iter().map(|id| id.as_bytes().as_slice()).collect();
    let epoch = meta::table.filter(meta::name.eq(EPOCH)).select(meta::value).single_value();
    let query = t::table.filter(t::id.eq_any(ids)).select((columns!(), epoch));
    either!(connection, |c| query.load::<(Row, Option<String>)>(c))?
        .into_iter()
        .map(|(row, epoch)| Ok((Family::try_from(row)?, super::clients::read_epoch(epoch)?)))
        .collect()
}

/// Begins a family at generation 1.
pub fn begin(connection: &mut Connection, new: &NewFamily, now: Timestamp) -> Result<Family> {
    let mut history = History::default();
    history.note(now, Kind::SignedIn, 1, None, Some(&new.caller));
    let at = now.as_millis();
    diesel::insert_into(t::table)
        .values((
            (
                t::id.eq(new.id.as_bytes().as_slice()),
                t::nonce.eq(new.nonce.as_slice()),
                t::user_id.eq(new.user_id.as_bytes().as_slice()),
                t::client_id.eq(new.client_id.as_str()),
                t::scope.eq(new.scope.to_string()),
                t::claims.eq(new.claims.as_ref().map(ClaimsRequest::to_json)),
                t::audience.eq(super::clients::list_to_json(&new.audience)),
                t::browser_session_id
                    .eq(new.browser_session.map(|session| session.as_bytes().to_vec())),
                t::created_at.eq(at),
                t::auth_time.eq(new.auth_time.as_millis()),
                t::refreshable.eq(new.refreshable),
                t::idle_ms.eq(from_duration(new.lifetime.idle)),
                t::ends_at.eq(new.lifetime.ends_at.map(Timestamp::as_millis)),
            ),
            (
                t::generation.eq(1),
                t::key_id.eq(i64::from(new.key.0)),
                t::issued_at.eq(at),
                t::given_at.eq(at),
                t::given_to.eq(new.caller.id.as_bytes().as_slice()),
                t::known_callers.eq(Vec::<u8>::new()),
                t::written_at.eq(at),
                t::row_version.eq(new.write_id),
                t::caller_ip.eq(&new.caller.ip),
                t::caller_agent.eq(&new.caller.agent),
                t::history.eq(history.to_json()),
            ),
        ))
        .execute(connection)?;
    find(connection, new.id)?
        .ok_or_else(|| StorageError::Corrupt("a new token family isn't there".into()))
}

/// Ends a family, if it is live and, where `expected` is given, not written since. Whether it did.
#[expect(clippy::too_many_arguments, reason = "one statement's values, each named at the call")]
pub fn end(
    connection: &mut Connection,
    id: FamilyId,
    expected: Option<i64>,
    cause: EndCause,
    by: Option<&str>,
    reason: Option<&str>,
    now: Timestamp,
    write_id: i64,
) -> Result<bool> {
    let values = (
        t::ended_at.eq(now.as_millis()),
        t::end_cause.eq(cause.name()),
        t::ended_by.eq(by),
        t::end_reason.eq(reason),
        t::row_version.eq(write_id),
        t::written_at.eq(now.as_millis()),
    );
    let live = t::table.filter(t::id.eq(id.as_bytes().as_slice())).filter(t::ended_at.is_null());
    let rows = match expected {
        Some(version) => diesel::update(live.filter(t::row_version.eq(version)))
            .set(values)
            .execute(connection)?,
        None => diesel::update(live).set(values).execute(connection)?,
    };
    if rows == 1 {
        let generation = t::table
            .filter(t::id.eq(id.as_bytes().as_slice()))
            .select(t::generation)
            .first::<i64>(connection)?;
        note(connection, id, now, Kind::ended(cause), to_u64(generation)?, None, None)?;
    }
    Ok(rows == 1)
}

/// Takes the row until the transaction ends, if nobody wrote it since.
pub fn hold(connection: &mut Connection, id: FamilyId, expected: i64) -> Result<bool> {
    let rows = diesel::update(
        t::table.filter(t::id.eq(id.as_bytes().as_slice())).filter(t::row_version.eq(expected)),
    )
    .set(t::row_version.eq(expected))
    .execute(connection)?;
    Ok(rows == 1)
}

/// Adds to a family's timeline. The row must be held or written in this transaction.
pub fn note(
    connection: &mut Connection,
    id: FamilyId,
    at: Timestamp,
    kind: Kind,
    generation: u64,
    presented: Option<u64>,
    caller: Option<&Caller>,
) -> Result<()> {
    let mut history = history(connection, id)?;
    history.note(at, kind, generation, presented, caller);
    diesel::update(t::table.filter(t::id.eq(id.as_bytes().as_slice())))
        .set(t::history.eq(history.to_json()))
        .execute(connection)?;
    Ok(())
}

/// Marks that a family raised an alarm, which nobody has read and its person hasn't answered.
pub fn alarm(connection: &mut Connection, id: FamilyId, at: Timestamp) -> Result<()> {
    diesel::update(t::table.filter(t::id.eq(id.as_bytes().as_slice())))
        .set((
            t::alarm_at.eq(at.as_millis()),
            t::alarm_read_at.eq(None::<i64>),
            t::alarm_read_by.eq(None::<Vec<u8>>),
            t::alarm_answer.eq(None::<String>),
            t::alarm_answered_at.eq(None::<i64>),
        ))
        .execute(connection)?;
    Ok(())
}

/// A family's timeline.
pub fn history(connection: &mut Connection, id: FamilyId) -> Result<History> {
    let text = t::table
        .filter(t::id.eq(id.as_bytes().as_slice()))
        .select(t::history)
        .first::<String>(connection)
        .optional()?;
    Ok(text.map(|text| History::from_json(&text)).unwrap_or_default())
}

/// Which families are meant.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only these people's.
    pub users: Option<Vec<UserId>>,
    /// Only this app's.
    pub client: Option<ClientId>,
    /// Only those from this browser session.
    pub browser: Option<BrowserSessionId>,
    /// Only those in this state.
    pub state: Option<State>,
    /// Only those that signed in before this.
    pub before: Option<Timestamp>,
    /// Only those that somebody ended at this time or later.
    pub ended_since: Option<Timestamp>,
    /// Only those seen at this address.
    pub ip: Option<String>,
    /// Only these.
    pub ids: Option<Vec<FamilyId>>,
    /// Only those whose newest token is of this secret or an older one.
    pub secrets_up_to: Option<KeyId>,
}

/// A family's state as lists filter by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Live.
    Active,
    /// Live, and not used for a week.
    Quiet,
    /// Ended by somebody, or by itself.
    Ended,
    /// Raised an alarm.
    Alarm,
    /// Ended because a token or a code was used by two holders.
    Reuse,
    /// Ended by an administrator, by its app, or with its account or app.
    Revoked,
    /// Ended by its person.
    SignedOut,
    /// Ended by itself.
    Expired,
}

impl State {
    /// The causes that families in this state ended by, where causes tell it.
    fn causes(self) -> &'static [EndCause] {
        match self {
            Self::Active | Self::Quiet | Self::Ended | Self::Alarm | Self::Expired => &[],
            Self::Reuse => &[EndCause::Reuse, EndCause::CodeReuse],
            Self::Revoked => &[
                EndCause::Admin,
                EndCause::Client,
                EndCause::UserDisabled,
                EndCause::UserRemoved,
                EndCause::ClientRemoved,
            ],
            Self::SignedOut => &[
                EndCause::SignedOut,
                EndCause::Person,
                EndCause::PasswordChanged,
                EndCause::ConsentWithdrawn,
            ],
        }
    }
}

/// How a list is sorted. Always with the id as the last word, so that pages don't overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// By sign-in, the latest first.
    #[default]
    NewestFirst,
    /// By sign-in, the earliest first.
    OldestFirst,
    /// By last refresh, the latest first.
    LastUsedFirst,
    /// By last refresh, the longest unused first.
    LongestUnusedFirst,
}

/// Unused for so long counts as quiet.
pub const QUIET: Duration = Duration::from_secs(7 * 24 * 3600);

/// Where a page begins: after this value of the sorted column, and this id.
pub type Cursor = (i64, FamilyId);

type Boxed<'a> = t::BoxedQuery<'a, super::connection::MultiBackend>;

fn filtered(filter: &Filter, now: Timestamp) -> Boxed<'static> {
    let mut query = t::table.into_boxed();
    if let Some(users) = &filter.users {
        let users: Vec<Vec<u8>> = users.iter().map(|id| id.as_bytes().to_vec()).collect();
        query = query.filter(t::user_id.eq_any(users));
    }
    if let Some(client) = &filter.client {
        query = query.filter(t::client_id.eq(client.to_string()));
    }
    if let Some(browser) = filter.browser {
        query = query.filter(t::browser_session_id.eq(browser.as_bytes().to_vec()));
    }
    if let Some(before) = filter.before {
        query = query.filter(t::created_at.lt(before.as_millis()));
    }
    if let Some(since) = filter.ended_since {
        query = query.filter(t::ended_at.ge(since.as_millis()));
    }
    if let Some(ip) = &filter.ip {
        query = query.filter(t::caller_ip.eq(ip.clone()));
    }
    if let Some(ids) = &filter.ids {
        let ids: Vec<Vec<u8>> = ids.iter().map(|id| id.as_bytes().to_vec()).collect();
        query = query.filter(t::id.eq_any(ids));
    }
    if let Some(secret) = filter.secrets_up_to {
        query = query.filter(t::key_id.le(i64::from(secret.0)));
    }
    let at = now.as_millis();
    let expired = || {
        (t::given_at + t::idle_ms)
            .le(at)
            .or(t::ends_at.is_not_null().and(t::ends_at.assume_not_null().le(at)))
    };
    match filter.state {
        Some(State::Active) => {
            query.filter(t::ended_at.is_null()).filter(diesel::dsl::not(expired()))
        }
        Some(State::Quiet) => query
            .filter(t::ended_at.is_null())
            .filter(diesel::dsl::not(expired()))
            .filter(t::given_at.le(now.minus(QUIET).as_millis())),
        Some(State::Ended) => query.filter(t::ended_at.is_not_null().or(expired())),
        Some(State::Alarm) => query.filter(t::alarm_at.is_not_null()),
        Some(State::Expired) => query.filter(t::ended_at.is_null()).filter(expired()),
        Some(state @ (State::Reuse | State::Revoked | State::SignedOut)) => {
            let causes: Vec<&str> = state.causes().iter().map(|cause| cause.name()).collect();
            query.filter(t::ended_at.is_not_null()).filter(t::end_cause.eq_any(causes))
        }
        None => query,
    }
}

/// One page of the families that `filter` means, at most `limit` of them, after `cursor`.
pub fn list(
    connection: &mut Connection,
    filter: &Filter,
    sort: Sort,
    cursor: Option<Cursor>,
    limit: i64,
    now: Timestamp,
) -> Result<Vec<Family>> {
    let mut query = filtered(filter, now);
    if let Some((value, id)) = cursor {
        let id = id.as_bytes().to_vec();
        // In this form an index by the sign-in begins at the cursor, not at its own beginning.
        query = match sort {
            Sort::NewestFirst => query
                .filter(t::created_at.le(value))
                .filter(t::created_at.lt(value).or(t::id.lt(id))),
            Sort::OldestFirst => query
                .filter(t::created_at.ge(value))
                .filter(t::created_at.gt(value).or(t::id.gt(id))),
            Sort::LastUsedFirst => {
                query.filter(t::given_at.le(value)).filter(t::given_at.lt(value).or(t::id.lt(id)))
            }
            Sort::LongestUnusedFirst => {
                query.filter(t::given_at.ge(value)).filter(t::given_at.gt(value).or(t::id.gt(id)))
            }
        };
    }
    let query = match sort {
        Sort::NewestFirst => query.order((t::created_at.desc(), t::id.desc())),
        Sort::OldestFirst => query.order((t::created_at.asc(), t::id.asc())),
        Sort::LastUsedFirst => query.order((t::given_at.desc(), t::id.desc())),
        Sort::LongestUnusedFirst => query.order((t::given_at.asc(), t::id.asc())),
    };
    query
        .limit(limit)
        .select(columns!())
        .load::<Row>(connection)?
        .into_iter()
        .map(Family::try_from)
        .collect()
}

/// Where the page after this family begins.
pub fn cursor(family: &Family, sort: Sort) -> Cursor {
    let value = match sort {
        Sort::NewestFirst | Sort::OldestFirst => family.created_at,
        Sort::LastUsedFirst | Sort::LongestUnusedFirst => family.chain.given_at,
    };
    (value.as_millis(), family.id)
}

/// How many families `filter` means.
pub fn count(connection: &mut Connection, filter: &Filter, now: Timestamp) -> Result<i64> {
    Ok(filtered(filter, now).count().get_result(connection)?)
}

/// How many live families each of these people has; those with none are left out.
pub fn live_of_users(
    connection: &mut Connection,
    users: &[UserId],
    now: Timestamp,
) -> Result<Vec<(UserId, i64)>> {
    let ids: Vec<Vec<u8>> = users.iter().map(|id| id.as_bytes().to_vec()).collect();
    let at = now.as_millis();
    t::table
        .filter(t::user_id.eq_any(ids))
        .filter(t::ended_at.is_null())
        .filter((t::given_at + t::idle_ms).gt(at))
        .filter(t::ends_at.is_null().or(t::ends_at.assume_not_null().gt(at)))
        .group_by(t::user_id)
        .select((t::user_id, diesel::dsl::count_star()))
        .load::<(Vec<u8>, i64)>(connection)?
        .into_iter()
        .map(|(id, count)| {
            let id = UserId::from_slice(&id)
                .ok_or_else(|| StorageError::Corrupt("token family: user id".into()))?;
            Ok((id, count))
        })
        .collect()
}

/// How many live families each app has; those with none are left out.
pub fn live_of_clients(connection: &mut Connection, now: Timestamp) -> Result<Vec<(String, i64)>> {
    let at = now.as_millis();
    Ok(t::table
        .filter(t::ended_at.is_null())
        .filter((t::given_at + t::idle_ms).gt(at))
        .filter(t::ends_at.is_null().or(t::ends_at.assume_not_null().gt(at)))
        .group_by(t::client_id)
        .select((t::client_id, diesel::dsl::count_star()))
        .load::<(String, i64)>(connection)?)
}

/// Whether any session of this app goes on.
pub fn any_live_of_client(
    connection: &mut Connection,
    client: &ClientId,
    now: Timestamp,
) -> Result<bool> {
    let at = now.as_millis();
    let live = t::table
        .filter(t::client_id.eq(client.as_str()))
        .filter(t::ended_at.is_null())
        .filter((t::given_at + t::idle_ms).gt(at))
        .filter(t::ends_at.is_null().or(t::ends_at.assume_not_null().gt(at)));
    Ok(live.select(t::id).first::<Vec<u8>>(connection).optional()?.is_some())
}

/// How many families that nobody ended each token secret has, by their newest tokens.
pub fn of_secrets(connection: &mut Connection) -> Result<Vec<(KeyId, i64)>> {
    t::table
        .filter(t::ended_at.is_null())
        .group_by(t::key_id)
        .select((t::key_id, diesel::dsl::count_star()))
        .load::<(i64, i64)>(connection)?
        .into_iter()
        .map(|(key, count)| Ok((to_key(key)?, count)))
        .collect()
}

/// Whether a family that nobody ended still has a token of this secret that counts.
pub fn uses_secret(connection: &mut Connection, secret: KeyId) -> Result<bool> {
    let id = i64::from(secret.0);
    let query = t::table
        .filter(t::ended_at.is_null())
        .filter(t::key_id.eq(id).or(t::parent_key_id.eq(id).assume_not_null()))
        .select(t::id)
        .limit(1);
    Ok(query.get_result::<Vec<u8>>(connection).optional()?.is_some())
}

/// The families with these ids, in no order.
pub fn find_many(connection: &mut Connection, ids: &[FamilyId]) -> Result<Vec<Family>> {
    let ids: Vec<Vec<u8>> = ids.iter().map(|id| id.as_bytes().to_vec()).collect();
    t::table
        .filter(t::id.eq_any(ids))
        .select(columns!())
        .load::<Row>(connection)?
        .into_iter()
        .map(Family::try_from)
        .collect()
}

pub(super) fn callers_to_bytes(callers: &[CallerId]) -> Vec<u8> {
    callers.iter().flat_map(|caller| *caller.as_bytes()).collect()
}

pub(super) fn to_i64(generation: u64) -> Result<i64> {
    i64::try_from(generation).map_err(|_| StorageError::Corrupt("generation out of range".into()))
}

fn to_u64(generation: i64) -> Result<u64> {
    u64::try_from(generation).map_err(|_| StorageError::Corrupt("generation out of range".into()))
}

fn to_key(key: i64) -> Result<KeyId> {
    u32::try_from(key).map(KeyId).map_err(|_| StorageError::Corrupt("key id out of range".into()))
}

pub(super) fn to_duration(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

pub(super) fn from_duration(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
