//! Facts about the database itself, by name.

use diesel::Connection as _;
use diesel::prelude::*;

use super::connection::Connection;
use super::error::{Result, StorageError};
use super::schema::meta as m;

/// The value under this name.
pub fn get(connection: &mut Connection, name: &str) -> Result<Option<String>> {
    Ok(m::table.filter(m::name.eq(name)).select(m::value).first(connection).optional()?)
}

/// Puts a value under this name. Of several nodes that do it at once the last one counts.
pub fn put(connection: &mut Connection, name: &str, value: &str) -> Result<()> {
    let update = |connection: &mut Connection| {
        diesel::update(m::table.filter(m::name.eq(name)))
            .set(m::value.eq(value))
            .execute(connection)
    };
    if update(connection)? == 1 {
        return Ok(());
    }
    let inserted = connection.transaction::<_, StorageError, _>(|connection| {
        diesel::insert_into(m::table)
            .values((m::name.eq(name), m::value.eq(value)))
            .execute(connection)?;
        Ok(())
    });
    match inserted {
        // Another node put one there since.
        Err(StorageError::Duplicate) => update(connection).map(|_| ()).map_err(Into::into),
        other => other,
    }
}

/// Removes what stands under this name. Whether there was something.
pub fn remove(connection: &mut Connection, name: &str) -> Result<bool> {
    Ok(diesel::delete(m::table.filter(m::name.eq(name))).execute(connection)? == 1)
}

/// Puts a value under this name if there is none, and returns the one that stands.
pub fn put_once(connection: &mut Connection, name: &str, value: &str) -> Result<String> {
    if let Some(own) = get(connection, name)? {
        return Ok(own);
    }
    let inserted = connection.transaction::<_, StorageError, _>(|connection| {
        diesel::insert_into(m::table)
            .values((m::name.eq(name), m::value.eq(value)))
            .execute(connection)?;
        Ok(())
    });
    match inserted {
        Ok(()) => Ok(value.to_owned()),
        // Another node was first.
        Err(StorageError::Duplicate) => get(connection, name)?
            .ok_or_else(|| StorageError::Corrupt(format!("{name} came and went"))),
        Err(error) => Err(error),
    }
}
