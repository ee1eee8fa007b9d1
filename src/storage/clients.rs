//! Registered clients.

use diesel::prelude::*;

use super::connection::Connection;
use super::either::either;
use super::error::{Result, StorageError};
use super::families::{from_duration, to_duration};
use super::schema::{clients as c, meta};
use crate::domain::access_token::AccessTokenFormat;
use crate::domain::client::{
    AuthMethod, Client, ClientId, ClientMetadata, GrantType, RefreshPolicy,
};
use crate::domain::client_standing::{Origin, Standing};
use crate::domain::secret::HashedSecret;
use crate::domain::time::Timestamp;
use crate::domain::token_family::Rotation;

#[derive(Queryable)]
struct Row {
    id: String,
    name: String,
    auth_method: String,
    secret_hash: Option<Vec<u8>>,
    redirect_uris: String,
    post_logout_redirect_uris: String,
    grants: String,
    scope: String,
    access_token_format: String,
    rotation: String,
    retry_window_ms: Option<i64>,
    refresh_policy: String,
    audience: String,
    may_introspect: bool,
    require_pkce: bool,
    skip_consent: bool,
    created_at: i64,
    details: String,
    secret_sealed: Option<Vec<u8>>,
    origin: String,
    reviewed_at: Option<i64>,
    last_used_at: Option<i64>,
    registration_token_hash: Option<Vec<u8>>,
    fresh_until: Option<i64>,
}

impl TryFrom<Row> for Client {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self> {
        let corrupt = |what: &str| StorageError::Corrupt(format!("client {}: {what}", row.id));
        let grants = list_from_json(&row.grants)?
            .iter()
            .map(|name| GrantType::from_name(name).ok_or_else(|| corrupt("grant")))
            .collect::<Result<_>>()?;
        Ok(Self {
            id: ClientId::parse(&row.id).map_err(|error| corrupt(&error))?,
            created_at: Timestamp::from_millis(row.created_at),
            secret: row
                .secret_hash
                .as_deref()
                .map(|hash| HashedSecret::from_slice(hash).ok_or_else(|| corrupt("secret")))
                .transpose()?,
            sealed_secret: row.secret_sealed,
            standing: Standing {
                origin: Origin::from_name(&row.origin).ok_or_else(|| corrupt("origin"))?,
                reviewed_at: row.reviewed_at.map(Timestamp::from_millis),
                last_used_at: row.last_used_at.map(Timestamp::from_millis),
                registration_token: row
                    .registration_token_hash
                    .as_deref()
                    .map(|hash| {
                        HashedSecret::from_slice(hash).ok_or_else(|| corrupt("registration token"))
                    })
                    .transpose()?,
                fresh_until: row.fresh_until.map(Timestamp::from_millis),
            },
            metadata: ClientMetadata {
                auth_method: AuthMethod::from_name(&row.auth_method)
                    .ok_or_else(|| corrupt("authentication method"))?,
                redirect_uris: list_from_json(&row.redirect_uris)?,
                post_logout_redirect_uris: list_from_json(&row.post_logout_redirect_uris)?,
                grants,
                scope: row.scope.parse().map_err(|error: String| corrupt(&error))?,
                access_token_format: AccessTokenFormat::from_name(&row.access_token_format)
                    .ok_or_else(|| corrupt("access token format"))?,
                rotation: Rotation::from_name(&row.rotation).ok_or_else(|| corrupt("rotation"))?,
                retry_window: row.retry_window_ms.map(to_duration),
                refresh_policy: RefreshPolicy::from_name(&row.refresh_policy)
                    .ok_or_else(|| corrupt("refresh policy"))?,
                audience: list_from_json(&row.audience)?,
                may_introspect: row.may_introspect,
                require_pkce: row.require_pkce,
                skip_consent: row.skip_consent,
                details: serde_json::from_str(&row.details)
                    .map_err(|error| corrupt(&format!("details: {error}")))?,
                name: row.name,
            },
        })
    }
}

#[derive(AsChangeset)]
#[diesel(table_name = super::schema::clients, treat_none_as_null = true)]
struct Changes {
    name: String,
    auth_method: String,
    redirect_uris: String,
    post_logout_redirect_uris: String,
    grants: String,
    scope: String,
    access_token_format: String,
    rotation: String,
    retry_window_ms: Option<i64>,
    refresh_policy: String,
    audience: String,
    may_introspect: bool,
    require_pkce: bool,
    skip_consent: bool,
    details: String,
}

impl From<&ClientMetadata> for Changes {
    fn from(metadata: &ClientMetadata) -> Self {
        let grants: Vec<String> =
            metadata.grants.iter().map(|grant| grant.name().to_owned()).collect();
        Self {
            name: metadata.name.clone(),
            auth_method: metadata.auth_method.name().into(),
            redirect_uris: list_to_json(&metadata.redirect_uris),
            post_logout_redirect_uris: list_to_json(&metadata.post_logout_redirect_uris),
            grants: list_to_json(&grants),
            scope: metadata.scope.to_string(),
            access_token_format: metadata.access_token_format.name().into(),
            rotation: metadata.rotation.name().into(),
            retry_window_ms: metadata.retry_window.map(from_duration),
            refresh_policy: metadata.refresh_policy.name().into(),
            audience: list_to_json(&metadata.audience),
            may_introspect: metadata.may_introspect,
            require_pkce: metadata.require_pkce,
            skip_consent: metadata.skip_consent,
            details: serde_json::to_string(&metadata.details).unwrap_or_else(|_| "{}".into()),
        }
    }
}

/// Under which name the count of changes stands.
pub(super) const EPOCH: &str = "clients_epoch";

/// How many changes there were to clients. What was read of one counts as long as this is what
/// it was then; every change here, in whichever process, moves it in the same transaction.
pub fn epoch(connection: &mut Connection) -> Result<i64> {
    let query = meta::table.filter(meta::name.eq(EPOCH)).select(meta::value);
    let text = either!(connection, |c| query.get_result::<String>(c)).optional()?;
    read_epoch(text)
}

pub(super) fn read_epoch(text: Option<String>) -> Result<i64> {
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| StorageError::Corrupt(format!("meta has no {EPOCH}")))
}

/// Counts a change. On Postgres this holds the count until the transaction ends, so that two
/// changes never make one.
fn changed(connection: &mut Connection) -> Result<()> {
    diesel::sql_query(
        "UPDATE meta SET value = CAST(CAST(value AS BIGINT) + 1 AS TEXT) \
         WHERE name = 'clients_epoch'",
    )
    .execute(connection)?;
    Ok(())
}

/// Adds a client; `Duplicate` when its id is taken.
pub fn add(connection: &mut Connection, client: &Client) -> Result<()> {
    let m = Changes::from(&client.metadata);
    diesel::insert_into(c::table)
        .values((
            c::id.eq(client.id.as_str()),
            c::name.eq(m.name),
            c::auth_method.eq(m.auth_method),
            c::secret_hash.eq(client.secret.map(|hash| hash.as_bytes().to_vec())),
            c::secret_sealed.eq(client.sealed_secret.as_ref()),
            c::redirect_uris.eq(m.redirect_uris),
            c::post_logout_redirect_uris.eq(m.post_logout_redirect_uris),
            c::grants.eq(m.grants),
            c::scope.eq(m.scope),
            c::access_token_format.eq(m.access_token_format),
            c::rotation.eq(m.rotation),
            c::retry_window_ms.eq(m.retry_window_ms),
            c::refresh_policy.eq(m.refresh_policy),
            c::audience.eq(m.audience),
            c::may_introspect.eq(m.may_introspect),
            c::require_pkce.eq(m.require_pkce),
            c::skip_consent.eq(m.skip_consent),
            c::details.eq(m.details),
            c::created_at.eq(client.created_at.as_millis()),
            c::origin.eq(client.standing.origin.name()),
            c::reviewed_at.eq(client.standing.reviewed_at.map(Timestamp::as_millis)),
            c::last_used_at.eq(client.standing.last_used_at.map(Timestamp::as_millis)),
            c::registration_token_hash
                .eq(client.standing.registration_token.map(|hash| hash.as_bytes().to_vec())),
            c::fresh_until.eq(client.standing.fresh_until.map(Timestamp::as_millis)),
        ))
        .execute(connection)?;
    changed(connection)
}

/// The client with this id.
pub fn find(connection: &mut Connection, id: &ClientId) -> Result<Option<Client>> {
    c::table
        .filter(c::id.eq(id.as_str()))
        .first::<Row>(connection)
        .optional()?
        .map(Client::try_from)
        .transpose()
}

/// The clients with these ids, in no order.
pub fn find_many(connection: &mut Connection, ids: &[ClientId]) -> Result<Vec<Client>> {
    let ids: Vec<&str> = ids.iter().map(ClientId::as_str).collect();
    clients(c::table.filter(c::id.eq_any(ids)).load::<Row>(connection)?)
}

/// All clients by name.
pub fn list(connection: &mut Connection) -> Result<Vec<Client>> {
    clients(c::table.order((c::name.asc(), c::id.asc())).load::<Row>(connection)?)
}

/// Changes what an administrator chose about a client. Whether it is there.
pub fn update(
    connection: &mut Connection,
    id: &ClientId,
    metadata: &ClientMetadata,
) -> Result<bool> {
    let rows = diesel::update(c::table.filter(c::id.eq(id.as_str())))
        .set(Changes::from(metadata))
        .execute(connection)?;
    changed(connection)?;
    Ok(rows == 1)
}

/// Replaces a client's secret; none for one without. `sealed` is the secret itself, for a client
/// that signs with it. Whether it is there.
pub fn set_secret(
    connection: &mut Connection,
    id: &ClientId,
    secret: Option<HashedSecret>,
    sealed: Option<Vec<u8>>,
) -> Result<bool> {
    let rows = diesel::update(c::table.filter(c::id.eq(id.as_str())))
        .set((
            c::secret_hash.eq(secret.map(|hash| hash.as_bytes().to_vec())),
            c::secret_sealed.eq(sealed),
        ))
        .execute(connection)?;
    changed(connection)?;
    Ok(rows == 1)
}

/// Notes when an administrator looked at a client; `None`: it has changed since. Whether it is
/// there.
pub fn set_reviewed(
    connection: &mut Connection,
    id: &ClientId,
    at: Option<Timestamp>,
) -> Result<bool> {
    let rows = diesel::update(c::table.filter(c::id.eq(id.as_str())))
        .set(c::reviewed_at.eq(at.map(Timestamp::as_millis)))
        .execute(connection)?;
    Ok(rows == 1)
}

/// Notes that somebody used a client.
pub fn note_use(connection: &mut Connection, id: &ClientId, at: Timestamp) -> Result<()> {
    diesel::update(c::table.filter(c::id.eq(id.as_str())))
        .set(c::last_used_at.eq(at.as_millis()))
        .execute(connection)?;
    Ok(())
}

/// Notes until when a client's metadata document counts.
pub fn set_fresh_until(connection: &mut Connection, id: &ClientId, at: Timestamp) -> Result<()> {
    diesel::update(c::table.filter(c::id.eq(id.as_str())))
        .set(c::fresh_until.eq(at.as_millis()))
        .execute(connection)?;
    Ok(())
}

/// Some of the clients that came by themselves, that nobody has looked at, and that weren't used
/// since then; in the order of their ids, after this one.
pub fn unused_since(
    connection: &mut Connection,
    since: Timestamp,
    after: &str,
    most: i64,
) -> Result<Vec<Client>> {
    let at = since.as_millis();
    clients(
        c::table
            .filter(c::origin.ne(Origin::Administrator.name()))
            .filter(c::reviewed_at.is_null())
            .filter(c::created_at.le(at))
            .filter(c::last_used_at.is_null().or(c::last_used_at.assume_not_null().le(at)))
            .filter(c::id.gt(after))
            .order(c::id.asc())
            .limit(most)
            .load::<Row>(connection)?,
    )
}

/// Removes a client. Whether it was there.
pub fn remove(connection: &mut Connection, id: &ClientId) -> Result<bool> {
    let rows = diesel::delete(c::table.filter(c::id.eq(id.as_str()))).execute(connection)?;
    changed(connection)?;
    Ok(rows == 1)
}

fn clients(rows: Vec<Row>) -> Result<Vec<Client>> {
    rows.into_iter().map(Client::try_from).collect()
}

pub(super) fn list_to_json(list: &[String]) -> String {
    serde_json::to_string(list).unwrap_or_else(|_| "[]".into())
}

pub(super) fn list_from_json(text: &str) -> Result<Vec<String>> {
    serde_json::from_str(text).map_err(|error| StorageError::Corrupt(format!("a list: {error}")))
}
