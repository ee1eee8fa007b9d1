//! The alarms that families raised: which an administrator has read, and what their people say.

use diesel::prelude::*;

use super::connection::Connection;
use super::error::{Result, StorageError};
use super::families::{self, Family};
use super::schema::token_families as t;
use crate::domain::alarm::{Alarm, Answer, Answered, Read};
use crate::domain::id::{FamilyId, UserId};
use crate::domain::time::Timestamp;

type Row = (Vec<u8>, Option<i64>, Option<i64>, Option<Vec<u8>>, Option<String>, Option<i64>);

/// `None` for a family without an alarm.
fn alarm((id, at, read_at, read_by, answer, answered_at): Row) -> Result<Option<Alarm>> {
    let corrupt = |what: &str| StorageError::Corrupt(format!("alarm: {what}"));
    let Some(at) = at else { return Ok(None) };
    let read = match (read_at, read_by) {
        (Some(at), Some(by)) => Some(Read {
            at: Timestamp::from_millis(at),
            by: UserId::from_slice(&by).ok_or_else(|| corrupt("who read it"))?,
        }),
        _ => None,
    };
    let answered = match (answered_at, answer) {
        (Some(at), Some(name)) => Some(Answered {
            at: Timestamp::from_millis(at),
            answer: Answer::from_name(&name).ok_or_else(|| corrupt("its answer"))?,
        }),
        _ => None,
    };
    Ok(Some(Alarm {
        family: FamilyId::from_slice(&id).ok_or_else(|| corrupt("id"))?,
        at: Timestamp::from_millis(at),
        read,
        answered,
    }))
}

/// The alarms of these families, in no order.
pub fn of(connection: &mut Connection, families: &[FamilyId]) -> Result<Vec<Alarm>> {
    let ids: Vec<Vec<u8>> = families.iter().map(|id| id.as_bytes().to_vec()).collect();
    t::table
        .filter(t::id.eq_any(ids))
        .select((
            t::id,
            t::alarm_at,
            t::alarm_read_at,
            t::alarm_read_by,
            t::alarm_answer,
            t::alarm_answered_at,
        ))
        .load::<Row>(connection)?
        .into_iter()
        .filter_map(|row| alarm(row).transpose())
        .collect()
}

/// The families whose alarm nobody has read, the latest first, at most `limit`.
pub fn unread(connection: &mut Connection, limit: i64) -> Result<Vec<Family>> {
    let ids = t::table
        .filter(t::alarm_at.is_not_null().and(t::alarm_read_at.is_null()))
        .order((t::alarm_at.desc(), t::id.desc()))
        .limit(limit)
        .select(t::id)
        .load(connection)?;
    in_order(connection, ids)
}

/// How many families have an alarm that nobody has read.
pub fn count_unread(connection: &mut Connection) -> Result<i64> {
    Ok(t::table
        .filter(t::alarm_at.is_not_null().and(t::alarm_read_at.is_null()))
        .count()
        .get_result(connection)?)
}

/// The families whose alarm was read, of those raised since `since`, the latest first.
pub fn read_since(
    connection: &mut Connection,
    since: Timestamp,
    limit: i64,
) -> Result<Vec<Family>> {
    let ids = t::table
        .filter(t::alarm_at.ge(since.as_millis()).and(t::alarm_read_at.is_not_null()))
        .order((t::alarm_at.desc(), t::id.desc()))
        .limit(limit)
        .select(t::id)
        .load(connection)?;
    in_order(connection, ids)
}

fn in_order(connection: &mut Connection, ids: Vec<Vec<u8>>) -> Result<Vec<Family>> {
    let ids: Vec<FamilyId> = ids.iter().filter_map(|id| FamilyId::from_slice(id)).collect();
    let mut found = families::find_many(connection, &ids)?;
    found.sort_by_key(|family| ids.iter().position(|id| *id == family.id));
    Ok(found)
}

/// Marks the alarm of this time as read, if nobody has. Whether it did.
pub fn mark_read(
    connection: &mut Connection,
    family: FamilyId,
    raised: Timestamp,
    by: UserId,
    now: Timestamp,
) -> Result<bool> {
    let unread = t::table
        .filter(t::id.eq(family.as_bytes().as_slice()))
        .filter(t::alarm_at.eq(raised.as_millis()))
        .filter(t::alarm_read_at.is_null());
    let rows = diesel::update(unread)
        .set((t::alarm_read_at.eq(now.as_millis()), t::alarm_read_by.eq(by.as_bytes().as_slice())))
        .execute(connection)?;
    Ok(rows == 1)
}

/// Notes what the person says of the alarm of this time, if they haven't said it. Whether it did.
pub fn answer(
    connection: &mut Connection,
    family: FamilyId,
    raised: Timestamp,
    answer: Answer,
    now: Timestamp,
) -> Result<bool> {
    let unanswered = t::table
        .filter(t::id.eq(family.as_bytes().as_slice()))
        .filter(t::alarm_at.eq(raised.as_millis()))
        .filter(t::alarm_answer.is_null());
    let rows = diesel::update(unanswered)
        .set((t::alarm_answer.eq(answer.name()), t::alarm_answered_at.eq(now.as_millis())))
        .execute(connection)?;
    Ok(rows == 1)
}

/// Makes an alarm one that nobody has read.
pub fn mark_unread(connection: &mut Connection, family: FamilyId) -> Result<()> {
    diesel::update(t::table.filter(t::id.eq(family.as_bytes().as_slice())))
        .set((t::alarm_read_at.eq(None::<i64>), t::alarm_read_by.eq(None::<Vec<u8>>)))
        .execute(connection)?;
    Ok(())
}
