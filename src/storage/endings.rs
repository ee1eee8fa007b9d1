//! Endings of many families that aren't done yet: what each means, and how far it came.

use diesel::prelude::*;

use super::connection::Connection;
use super::error::{Result, StorageError};
use super::families::Cursor;
use super::schema::endings as e;
use crate::domain::client::ClientId;
use crate::domain::id::{EndingId, FamilyId};

/// An ending that goes on.
#[derive(Clone, Debug)]
pub struct Ending {
    /// Its id.
    pub id: EndingId,
    /// What is to be ended, in the words of whoever began it.
    pub plan: String,
    /// The last family that it came to, in the order in which they began.
    pub after: Cursor,
}

type Row = (Vec<u8>, String, i64, Vec<u8>);

impl TryFrom<Row> for Ending {
    type Error = StorageError;

    fn try_from((id, plan, at, family): Row) -> Result<Self> {
        let corrupt = |what: &str| StorageError::Corrupt(format!("ending: {what}"));
        Ok(Self {
            id: EndingId::from_slice(&id).ok_or_else(|| corrupt("id"))?,
            plan,
            after: (at, FamilyId::from_slice(&family).ok_or_else(|| corrupt("family"))?),
        })
    }
}

/// Notes what is left of an ending that has begun; `client` is the app whose sessions all end.
pub fn add(connection: &mut Connection, ending: &Ending, client: Option<&ClientId>) -> Result<()> {
    let (at, family) = ending.after;
    diesel::insert_into(e::table)
        .values((
            e::id.eq(ending.id.as_bytes().as_slice()),
            e::client_id.eq(client.map(ClientId::as_str)),
            e::plan.eq(&ending.plan),
            e::after_at.eq(at),
            e::after_id.eq(family.as_bytes().as_slice()),
        ))
        .execute(connection)?;
    Ok(())
}

/// Whether any goes on.
pub fn any(connection: &mut Connection) -> Result<bool> {
    Ok(e::table.select(e::id).first::<Vec<u8>>(connection).optional()?.is_some())
}

/// Whether all sessions of this app are being ended.
pub fn means_client(connection: &mut Connection, client: &ClientId) -> Result<bool> {
    let own = e::table.filter(e::client_id.eq(client.as_str()));
    Ok(own.select(e::id).first::<Vec<u8>>(connection).optional()?.is_some())
}

/// The oldest that goes on, held until the transaction ends: two who go on with it take turns.
pub fn hold_oldest(connection: &mut Connection) -> Result<Option<Ending>> {
    loop {
        let Some(id) =
            e::table.order(e::id).select(e::id).first::<Vec<u8>>(connection).optional()?
        else {
            return Ok(None);
        };
        let own = e::table.filter(e::id.eq(&id));
        diesel::update(own).set(e::after_at.eq(e::after_at)).execute(connection)?;
        // Read again: whoever held it before has moved it on, or done it.
        if let Some(row) = own
            .select((e::id, e::plan, e::after_at, e::after_id))
            .first::<Row>(connection)
            .optional()?
        {
            return Ending::try_from(row).map(Some);
        }
    }
}

/// Notes how far an ending came.
pub fn advance(connection: &mut Connection, id: EndingId, (at, family): Cursor) -> Result<()> {
    diesel::update(e::table.filter(e::id.eq(id.as_bytes().as_slice())))
        .set((e::after_at.eq(at), e::after_id.eq(family.as_bytes().as_slice())))
        .execute(connection)?;
    Ok(())
}

/// Forgets an ending that is done.
pub fn remove(connection: &mut Connection, id: EndingId) -> Result<()> {
    diesel::delete(e::table.filter(e::id.eq(id.as_bytes().as_slice()))).execute(connection)?;
    Ok(())
}
