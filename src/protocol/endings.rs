//! Ending many sessions so that nobody waits for it. The change that orders it ends the first of
//! them and writes down what is left; the rest ends in short changes of its own, before whoever
//! ordered it is answered. What a crash breaks off, the next start or another node goes on with.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::act::Act;
use super::sessions;
use crate::crypto::random;
use crate::domain::audit::Actor;
use crate::domain::client::ClientId;
use crate::domain::id::{BrowserSessionId, EndingId, UserId};
use crate::domain::scope::OFFLINE_ACCESS;
use crate::domain::time::Timestamp;
use crate::domain::token_family::{EndCause, KeyId, Status};
use crate::storage::endings::{self, Ending};
use crate::storage::families::{self, Cursor, Filter, Sort};
use crate::storage::{Connection, Database, Result, StorageError};

/// How many sessions one change ends at most.
const STEP: usize = 100;
/// How many one change looks at.
const LOOK: i64 = 300;
/// How far the clocks of two nodes may differ. What begins later than that isn't meant.
const CLOCKS: Duration = Duration::from_secs(10);

/// Whose sessions are to be ended: those for which everything that is named holds.
#[derive(Clone, Debug, Default)]
pub struct Whose {
    /// This person's.
    pub user: Option<UserId>,
    /// This app's.
    pub client: Option<ClientId>,
    /// Those that came from this browser.
    pub browser: Option<BrowserSessionId>,
    /// Not those that came from this browser.
    pub except: Option<BrowserSessionId>,
    /// Those that began before.
    pub before: Option<Timestamp>,
    /// Those whose newest token is of this token secret or an older one.
    pub secrets_up_to: Option<KeyId>,
    /// Leave those alone that have ended by themselves.
    pub unexpired: bool,
    /// Leave those alone that were given offline access.
    pub but_offline: bool,
}

/// What is written down of an ending.
#[derive(Serialize, Deserialize)]
struct Plan {
    user: Option<String>,
    client: Option<String>,
    browser: Option<String>,
    except: Option<String>,
    before: i64,
    #[serde(default)]
    secrets_up_to: Option<u32>,
    unexpired: bool,
    #[serde(default)]
    but_offline: bool,
    cause: String,
    reason: Option<String>,
    at: i64,
    actor_kind: String,
    actor_id: Option<String>,
    ip: Option<String>,
    reference: Option<String>,
}

/// Ends the first of these sessions, and notes what is left for [`finish`]. How many it ended.
pub fn begin(
    connection: &mut Connection,
    whose: &Whose,
    cause: EndCause,
    reason: Option<&str>,
    act: &Act,
) -> Result<usize> {
    let (ended, left) = step(connection, whose, None, cause, reason, act)?;
    if let Some(after) = left {
        let plan = serde_json::to_string(&Plan::new(whose, cause, reason, act))
            .map_err(|error| StorageError::Corrupt(error.to_string()))?;
        let ending = Ending { id: EndingId::new(act.now, random::bytes()), plan, after };
        let all_of_client = whose.client.as_ref().filter(|_| whose.user.is_none());
        endings::add(connection, &ending, all_of_client)?;
    }
    Ok(ended)
}

/// Carries out a change that may begin endings, and ends the rest of them. What the change said,
/// and how many more sessions it was.
///
/// # Errors
/// What the change says, or that the database can't answer now: what has begun goes on later.
pub async fn carry_out<T, F>(db: &Database, change: F) -> Result<(T, usize)>
where
    F: FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    T: Send + 'static,
{
    let done = db.write(change).await?;
    let rest = finish(db).await?;
    // Whoever wants to be told of it is told at once.
    db.call_courier();
    Ok((done, rest))
}

/// Goes on with all endings that have begun, to their end. How many sessions it ended.
///
/// # Errors
/// When the database can't answer now.
pub async fn finish(db: &Database) -> Result<usize> {
    let mut ended = 0;
    while db.read(endings::any).await? {
        ended += db.write(go_on).await?;
    }
    Ok(ended)
}

/// One step of the oldest ending. How many sessions it ended.
fn go_on(connection: &mut Connection) -> Result<usize> {
    let Some(ending) = endings::hold_oldest(connection)? else { return Ok(0) };
    let plan: Plan = serde_json::from_str(&ending.plan)
        .map_err(|error| StorageError::Corrupt(format!("ending {}: {error}", ending.id)))?;
    let (whose, cause, act) = plan
        .read()
        .ok_or_else(|| StorageError::Corrupt(format!("ending {}: {}", ending.id, ending.plan)))?;
    let reason = plan.reason.as_deref();
    let (ended, left) = step(connection, &whose, Some(ending.after), cause, reason, &act)?;
    match left {
        Some(after) => endings::advance(connection, ending.id, after)?,
        None => endings::remove(connection, ending.id)?,
    }
    Ok(ended)
}

/// Ends the next sessions after `after`, in the order in which they began. How many, and where
/// to go on; nothing where there are no more.
fn step(
    connection: &mut Connection,
    whose: &Whose,
    after: Option<Cursor>,
    cause: EndCause,
    reason: Option<&str>,
    act: &Act,
) -> Result<(usize, Option<Cursor>)> {
    let filter = Filter {
        users: whose.user.map(|user| vec![user]),
        client: whose.client.clone(),
        browser: whose.browser,
        before: whose.before,
        secrets_up_to: whose.secrets_up_to,
        ..Filter::default()
    };
    let sort = Sort::OldestFirst;
    let page = families::list(connection, &filter, sort, after, LOOK, act.now)?;
    let looked_at_all = i64::try_from(page.len()).is_ok_and(|found| found < LOOK);
    let (mut meant, mut last, mut whole) = (Vec::new(), after, looked_at_all);
    for family in page {
        if meant.len() == STEP {
            whole = false;
            break;
        }
        last = Some(families::cursor(&family, sort));
        let spared = whose.except.is_some() && family.browser_session == whose.except
            || whose.but_offline && family.scope.contains(OFFLINE_ACCESS);
        let over = family.status != Status::Live || whose.unexpired && !family.is_live(act.now);
        if !spared && !over {
            meant.push(family);
        }
    }
    // In the order of ids: two that end the same rows don't wait for each other.
    meant.sort_by_key(|family| family.id);
    let ended = sessions::end_these(connection, &meant, cause, reason, act)?;
    // One that had ended by itself is none that anybody still had.
    let ended = ended.iter().filter(|family| family.is_live(act.now)).count();
    Ok((ended, if whole { None } else { last }))
}

impl Plan {
    fn new(whose: &Whose, cause: EndCause, reason: Option<&str>, act: &Act) -> Self {
        let until = act.now.plus(CLOCKS);
        Self {
            user: whose.user.map(|id| id.to_string()),
            client: whose.client.as_ref().map(ToString::to_string),
            browser: whose.browser.map(|id| id.to_string()),
            except: whose.except.map(|id| id.to_string()),
            before: whose.before.unwrap_or(until).as_millis(),
            secrets_up_to: whose.secrets_up_to.map(|secret| secret.0),
            unexpired: whose.unexpired,
            but_offline: whose.but_offline,
            cause: cause.name().to_owned(),
            reason: reason.map(str::to_owned),
            at: act.now.as_millis(),
            actor_kind: act.actor.kind().to_owned(),
            actor_id: act.actor.id(),
            ip: act.ip.clone(),
            reference: act.reference.clone(),
        }
    }

    /// What it means; nothing where a part of it can't be read.
    fn read(&self) -> Option<(Whose, EndCause, Act)> {
        fn id<T: std::str::FromStr>(text: Option<&String>) -> Option<Option<T>> {
            text.map(|text| text.parse().ok()).map_or(Some(None), |id| id.map(Some))
        }
        let client = match &self.client {
            Some(client) => Some(ClientId::parse(client).ok()?),
            None => None,
        };
        let whose = Whose {
            user: id(self.user.as_ref())?,
            client,
            browser: id(self.browser.as_ref())?,
            except: id(self.except.as_ref())?,
            before: Some(Timestamp::from_millis(self.before)),
            secrets_up_to: self.secrets_up_to.map(KeyId),
            unexpired: self.unexpired,
            but_offline: self.but_offline,
        };
        let act = Act {
            now: Timestamp::from_millis(self.at),
            actor: Actor::from_parts(&self.actor_kind, self.actor_id.as_deref())?,
            ip: self.ip.clone(),
            reference: self.reference.clone(),
        };
        Some((whose, EndCause::from_name(&self.cause)?, act))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_back_as_it_was_written() {
        let now = Timestamp::from_millis(1_000_000);
        let act = Act {
            now,
            actor: Actor::Client("meadow".into()),
            ip: Some("192.0.2.1".into()),
            reference: Some("r".into()),
        };
        let whose = Whose {
            user: Some(UserId::from_bytes([1; 16])),
            client: ClientId::parse("meadow").ok(),
            browser: None,
            except: Some(BrowserSessionId::from_bytes([2; 16])),
            before: None,
            secrets_up_to: Some(KeyId(3)),
            unexpired: true,
            but_offline: true,
        };
        let plan = Plan::new(&whose, EndCause::Admin, Some("why"), &act);
        let text = serde_json::to_string(&plan).unwrap();
        let (read, cause, by) = serde_json::from_str::<Plan>(&text).unwrap().read().unwrap();
        assert_eq!(
            (read.user, read.client, read.browser, read.except, read.unexpired, read.but_offline),
            (whose.user, whose.client, whose.browser, whose.except, true, true)
        );
        assert_eq!(read.secrets_up_to, Some(KeyId(3)));
        assert_eq!(read.before, Some(now.plus(CLOCKS)), "what begins later isn't meant");
        assert_eq!((cause, by.now, by.actor), (EndCause::Admin, now, act.actor));
        assert_eq!((by.ip, by.reference), (act.ip, act.reference));
    }
}
