//! Removing clients that came by themselves and that nobody has used for long.

use std::time::Duration;

use super::act::Act;
use super::{clients, endings};
use crate::domain::client::{Client, ClientId};
use crate::domain::client_standing::USE_STEP;
use crate::domain::time::Timestamp;
use crate::storage::{self, Connection, Database, Result, allowances, families};

/// How many clients one look goes through.
const LOOK: i64 = 100;

/// Removes all that nobody has used for so long, and forgets allowances that are whole again.
/// Whoever is signed in by a client uses it, which is noted here rather than at each refresh: so
/// it doesn't go the moment the last of them signs out. How many clients went.
///
/// # Errors
/// When the database can't answer; what went before is gone.
pub async fn prune(db: &Database, unused: Duration, now: Timestamp) -> Result<usize> {
    db.write(move |connection| allowances::prune(connection, now)).await?;
    let (mut gone, mut after) = (0, String::new());
    loop {
        let from = after.clone();
        let look = db.read(move |connection| look(connection, &from, now)).await?;
        let Some((last, _)) = look.last() else { return Ok(gone) };
        after = last.id.to_string();
        for (client, live) in look {
            if live {
                let id = client.id;
                db.write(move |connection| storage::clients::note_use(connection, &id, now))
                    .await?;
            } else if client.standing.is_unused(client.created_at, unused, now) {
                let id = client.id;
                let remove =
                    move |connection: &mut Connection| remove(connection, &id, unused, now);
                let (removed, _) = endings::carry_out(db, remove).await?;
                gone += usize::from(removed);
            }
        }
    }
}

/// The next clients whose last use is worth a look, and whether somebody is signed in by them.
fn look(connection: &mut Connection, after: &str, now: Timestamp) -> Result<Vec<(Client, bool)>> {
    storage::clients::unused_since(connection, now.minus(USE_STEP), after, LOOK)?
        .into_iter()
        .map(|client| {
            let live = families::any_live_of_client(connection, &client.id, now)?;
            Ok((client, live))
        })
        .collect()
}

/// Removes a client, unless an administrator or a sign-in was faster.
fn remove(
    connection: &mut Connection,
    id: &ClientId,
    unused: Duration,
    now: Timestamp,
) -> Result<bool> {
    let Some(client) = storage::clients::find(connection, id)? else { return Ok(false) };
    if !client.standing.is_unused(client.created_at, unused, now)
        || families::any_live_of_client(connection, id, now)?
    {
        return Ok(false);
    }
    let act = Act::system(now);
    clients::record(connection, "client.expired", id, Some(&client.metadata.name), &act)?;
    clients::remove(connection, id, &act)
}
