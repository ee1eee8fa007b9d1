//! What becomes of an alarm: an administrator reads it, its person says whether it was them, and,
//! where it wasn't, shuts everybody else out.

use super::act::Act;
use super::endings::{self, Whose};
use super::sessions;
use crate::domain::alarm::Answer;
use crate::domain::id::{BrowserSessionId, FamilyId, UserId};
use crate::domain::time::Timestamp;
use crate::domain::token_family::EndCause;
use crate::storage::families::{self, Family};
use crate::storage::{Connection, Result, alarms};

/// An administrator has read the alarm that this session raised at `raised`. Whether it was
/// unread until then; `None` where there is no such session.
pub fn read(
    connection: &mut Connection,
    session: FamilyId,
    raised: Timestamp,
    by: UserId,
    act: &Act,
) -> Result<Option<bool>> {
    let Some(family) = families::find(connection, session)? else { return Ok(None) };
    let read = alarms::mark_read(connection, session, raised, by, act.now)?;
    if read {
        record(connection, "session.alarm_read", &family, act)?;
    }
    Ok(Some(read))
}

/// The person says whether the alarm that this session of theirs raised at `raised` was about
/// themselves. Where it wasn't, it is unread again. Whether they hadn't said so before; `None`
/// where there is no such session of theirs.
pub fn answer(
    connection: &mut Connection,
    user: UserId,
    session: FamilyId,
    raised: Timestamp,
    answer: Answer,
    act: &Act,
) -> Result<Option<bool>> {
    let Some(family) = alarmed(connection, user, session)? else { return Ok(None) };
    let said = alarms::answer(connection, session, raised, answer, act.now)?;
    if said {
        let action = match answer {
            Answer::Me => "session.was_me",
            Answer::NotMe => {
                alarms::mark_unread(connection, session)?;
                "session.was_not_me"
            }
        };
        record(connection, action, &family, act)?;
    }
    Ok(Some(said))
}

/// Ends what somebody else may hold of a person: all sessions of the app whose session raised an
/// alarm, and everything that didn't come from the browser that they act from. How many sessions
/// of apps it ended here; `None` where there is no such session of theirs.
pub fn shut_out(
    connection: &mut Connection,
    user: UserId,
    session: FamilyId,
    here: BrowserSessionId,
    act: &Act,
) -> Result<Option<usize>> {
    let Some(family) = alarmed(connection, user, session)? else { return Ok(None) };
    let app = Whose { user: Some(user), client: Some(family.client_id), ..Whose::default() };
    let ended = endings::begin(connection, &app, EndCause::Person, None, act)?;
    let except = Some(here);
    let others = sessions::end_all_of_user(connection, user, except, EndCause::Person, None, act)?;
    Ok(Some(ended + others))
}

/// This session, if it is this person's and raised an alarm.
pub fn alarmed(
    connection: &mut Connection,
    user: UserId,
    session: FamilyId,
) -> Result<Option<Family>> {
    let family = families::find(connection, session)?;
    Ok(family.filter(|family| family.user_id == user && family.alarm_at.is_some()))
}

fn record(
    connection: &mut Connection,
    action: &'static str,
    family: &Family,
    act: &Act,
) -> Result<()> {
    act.record(
        connection,
        action,
        Some(("session", family.id.to_string())),
        Some(family.user_id),
        Some(family.client_id.to_string()),
        None,
    )
}
