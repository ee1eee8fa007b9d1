//! Removing clients that came by themselves and that nobody has used for long.

use std::time::Duration;

use super::act::Act;
use super::{clients, endings};
use crate::domain::client::Client;
use crate::domain::time::Timestamp;
use crate::storage::{self, Connection, Database, Result, allowances, families};

/// How many clients one look goes through.
const LOOK: i64 = 100;

/// Removes all that nobody has used for so long, and forgets allowances that are whole again.
/// How many clients went.
///
/// # Errors
/// When the database can't answer; what went before is gone.
pub async fn prune(db: &Database, unused: Duration, now: Timestamp) -> Result<usize> {
    db.write(move |connection| allowances::prune(connection, now)).await?;
    let (mut gone, mut after) = (0, String::new());
    loop {
        let from = after.clone();
        let since = now.minus(unused);
        let look = db
            .read(move |connection| storage::clients::unused_since(connection, since, &from, LOOK))
            .await?;
        let Some(last) = look.last() else { return Ok(gone) };
        after = last.id.to_string();
        for client in look {
            let remove = move |connection: &mut Connection| judge(connection, &client, unused, now);
            let (removed, _) = endings::carry_out(db, remove).await?;
            gone += usize::from(removed);
        }
    }
}

/// Removes a client, unless somebody is signed in by it: then it is used, which is noted, so
/// that it doesn't go the moment they sign out.
fn judge(
    connection: &mut Connection,
    seen: &Client,
    unused: Duration,
    now: Timestamp,
) -> Result<bool> {
    // Another node, an administrator or a sign-in may have been faster.
    let Some(client) = storage::clients::find(connection, &seen.id)? else { return Ok(false) };
    if !client.standing.is_unused(client.created_at, unused, now) {
        return Ok(false);
    }
    if families::any_live_of_client(connection, &client.id, now)? {
        storage::clients::note_use(connection, &client.id, now)?;
        return Ok(false);
    }
    let act = Act::system(now);
    clients::record(connection, "client.expired", &client.id, Some(&client.metadata.name), &act)?;
    clients::remove(connection, &client.id, &act)
}
