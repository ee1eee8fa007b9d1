//! Authorization codes, by their hash.

use diesel::prelude::*;

use super::connection::Connection;
use super::error::{Result, StorageError};
use super::schema::authorization_codes as a;
use crate::domain::authorization_code::{AuthorizationCode, CodeState};
use crate::domain::claims_request::ClaimsRequest;
use crate::domain::client::ClientId;
use crate::domain::id::{BrowserSessionId, FamilyId, UserId};
use crate::domain::secret::HashedSecret;
use crate::domain::time::Timestamp;

#[derive(Queryable)]
struct Row {
    hash: Vec<u8>,
    client_id: String,
    user_id: Vec<u8>,
    browser_session_id: Option<Vec<u8>>,
    redirect_uri: String,
    redirect_uri_was_sent: bool,
    scope: String,
    challenge: Option<String>,
    auth_time: i64,
    nonce: Option<String>,
    expires_at: i64,
    used_at: Option<i64>,
    family_id: Option<Vec<u8>>,
    verifier_hash: Option<Vec<u8>>,
    claims: Option<String>,
    resources: String,
}

impl TryFrom<Row> for AuthorizationCode {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self> {
        let corrupt = |what: &str| StorageError::Corrupt(format!("authorization code: {what}"));
        let state = match (row.used_at, row.family_id) {
            (Some(at), Some(family)) => CodeState::Used {
                at: Timestamp::from_millis(at),
                family: FamilyId::from_slice(&family).ok_or_else(|| corrupt("family"))?,
                verifier: row.verifier_hash.as_deref().and_then(HashedSecret::from_slice),
            },
            _ => CodeState::Unused,
        };
        Ok(Self {
            hash: HashedSecret::from_slice(&row.hash).ok_or_else(|| corrupt("hash"))?,
            client_id: ClientId::parse(&row.client_id).map_err(|error| corrupt(&error))?,
            user_id: UserId::from_slice(&row.user_id).ok_or_else(|| corrupt("user"))?,
            browser_session: row
                .browser_session_id
                .as_deref()
                .and_then(BrowserSessionId::from_slice),
            redirect_uri: row.redirect_uri,
            redirect_uri_was_sent: row.redirect_uri_was_sent,
            scope: row.scope.parse().map_err(|error: String| corrupt(&error))?,
            challenge: row.challenge,
            auth_time: Timestamp::from_millis(row.auth_time),
            nonce: row.nonce,
            claims: super::families::claims(row.claims.as_deref())?,
            resources: super::clients::list_from_json(&row.resources)?,
            expires_at: Timestamp::from_millis(row.expires_at),
            state,
        })
    }
}

/// Adds a code.
pub fn add(connection: &mut Connection, code: &AuthorizationCode) -> Result<()> {
    diesel::insert_into(a::table)
        .values((
            a::hash.eq(code.hash.as_bytes().as_slice()),
            a::client_id.eq(code.client_id.as_str()),
            a::user_id.eq(code.user_id.as_bytes().as_slice()),
            a::browser_session_id.eq(code.browser_session.map(|id| id.as_bytes().to_vec())),
            a::redirect_uri.eq(&code.redirect_uri),
            a::redirect_uri_was_sent.eq(code.redirect_uri_was_sent),
            a::scope.eq(code.scope.to_string()),
            a::challenge.eq(&code.challenge),
            a::auth_time.eq(code.auth_time.as_millis()),
            a::nonce.eq(&code.nonce),
            a::claims.eq(code.claims.as_ref().map(ClaimsRequest::to_json)),
            a::resources.eq(super::clients::list_to_json(&code.resources)),
            a::expires_at.eq(code.expires_at.as_millis()),
        ))
        .execute(connection)?;
    Ok(())
}

/// The code with this hash, used or not.
pub fn find(connection: &mut Connection, hash: HashedSecret) -> Result<Option<AuthorizationCode>> {
    a::table
        .filter(a::hash.eq(hash.as_bytes().as_slice()))
        .first::<Row>(connection)
        .optional()?
        .map(AuthorizationCode::try_from)
        .transpose()
}

/// Uses a code for this family. False when somebody else was first.
pub fn consume(
    connection: &mut Connection,
    hash: HashedSecret,
    family: FamilyId,
    verifier: Option<HashedSecret>,
    now: Timestamp,
) -> Result<bool> {
    let rows = diesel::update(
        a::table.filter(a::hash.eq(hash.as_bytes().as_slice()).and(a::used_at.is_null())),
    )
    .set((
        a::used_at.eq(now.as_millis()),
        a::family_id.eq(family.as_bytes().as_slice()),
        a::verifier_hash.eq(verifier.map(|hash| hash.as_bytes().to_vec())),
    ))
    .execute(connection)?;
    Ok(rows == 1)
}

/// Forgets the unused codes of a browser that signs out.
pub fn forget_browser(connection: &mut Connection, browser: BrowserSessionId) -> Result<()> {
    let unused = a::table
        .filter(a::browser_session_id.eq(browser.as_bytes().as_slice()))
        .filter(a::used_at.is_null());
    diesel::delete(unused).execute(connection)?;
    Ok(())
}

/// Forgets the unused codes of a person, whose sessions all end.
pub fn forget_user(connection: &mut Connection, user: UserId) -> Result<()> {
    diesel::delete(
        a::table.filter(a::user_id.eq(user.as_bytes().as_slice()).and(a::used_at.is_null())),
    )
    .execute(connection)?;
    Ok(())
}

/// Forgets the unused codes that a person gave an app.
pub fn forget_app(connection: &mut Connection, user: UserId, client: &ClientId) -> Result<()> {
    let own = a::user_id.eq(user.as_bytes().as_slice()).and(a::client_id.eq(client.as_str()));
    diesel::delete(a::table.filter(own.and(a::used_at.is_null()))).execute(connection)?;
    Ok(())
}

/// Forgets the unused codes of an app.
pub fn forget_client(connection: &mut Connection, client: &ClientId) -> Result<()> {
    diesel::delete(a::table.filter(a::client_id.eq(client.as_str()).and(a::used_at.is_null())))
        .execute(connection)?;
    Ok(())
}
