//! The courier: tells apps that a sign-in has ended (OpenID Connect Back-Channel Logout), and
//! finds those that have ended by themselves.
//!
//! What is to be told stands in the database, so a stopped server or another one goes on with
//! it. A few are told at the same time, and of one app still fewer, so that an app that doesn't
//! answer keeps nobody else waiting.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::task::JoinSet;

use super::state::AppState;
use crate::domain::client::ClientId;
use crate::domain::id::LogoutId;
use crate::domain::logout::{Attempt, Patience};
use crate::protocol::backchannel::{self, Claimed, Wanted};
use crate::storage::{Result, StorageError, logout_deliveries};

/// How often to look for what another process has ended, or what is due again.
const LOOK: Duration = Duration::from_secs(2);
/// How many are told of one app at the same time; one, where its last answer wasn't good.
const EACH: usize = 4;
/// How much longer than an attempt may take a delivery is ours alone.
const SPARE: Duration = Duration::from_secs(10);
/// How many rows one look for ended sessions goes through.
const ROWS: i64 = 1_000;
/// The longest pause between two such looks.
const PAUSE: Duration = Duration::from_millis(100);

/// Tells apps for ever.
pub async fn deliver_for_ever(state: AppState) {
    let mut courier =
        Courier { under_way: JoinSet::new(), of: HashMap::new(), bad: HashSet::new() };
    loop {
        match courier.take(&state).await {
            // Perhaps there is more, to other apps.
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(cause = %error, "apps can't be told of sign-outs now"),
        }
        tokio::select! {
            Some(done) = courier.under_way.join_next() => courier.back(done),
            () = state.db.courier_called() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

struct Courier {
    under_way: JoinSet<(ClientId, bool)>,
    of: HashMap<ClientId, usize>,
    bad: HashSet<ClientId>,
}

impl Courier {
    /// Begins as many deliveries as there is room for. Whether it began any.
    async fn take(&mut self, state: &AppState) -> Result<bool> {
        let room = state.settings.logout.concurrent.saturating_sub(self.under_way.len());
        if room == 0 {
            return Ok(false);
        }
        let most = |client: &ClientId| if self.bad.contains(client) { 1 } else { EACH };
        let full = self.of.iter().filter(|(client, count)| **count >= most(client));
        let mut but: Vec<ClientId> = full.map(|(client, _)| client.clone()).collect();
        // What is under way goes on; an app that isn't answering well gets one at a time.
        but.extend(self.of.keys().filter(|client| self.bad.contains(*client)).cloned());
        let now = state.now();
        let lease = state.settings.fetch.time + SPARE;
        let wanted = Wanted { but, room, each: EACH, lease };
        let due =
            state.db.read(move |connection| backchannel::due(connection, &wanted, now)).await?;
        let mut due = self.modest(due);
        if due.is_empty() {
            return Ok(false);
        }
        due.truncate(room);
        let claim = move |connection: &mut _| backchannel::claim(connection, due, lease, now);
        for claimed in state.db.write(claim).await? {
            *self.of.entry(claimed.client().clone()).or_default() += 1;
            let state = state.clone();
            self.under_way.spawn_local(async move {
                let client = claimed.client().clone();
                (client, deliver(&state, claimed).await)
            });
        }
        Ok(true)
    }

    /// At most as many for each app as it may have under way.
    fn modest(&self, due: Vec<logout_deliveries::Delivery>) -> Vec<logout_deliveries::Delivery> {
        let mut count = self.of.clone();
        due.into_iter()
            .filter(|delivery| {
                let most = if self.bad.contains(&delivery.client) { 1 } else { EACH };
                let own = count.entry(delivery.client.clone()).or_default();
                *own += 1;
                *own <= most
            })
            .collect()
    }

    fn back(&mut self, done: std::result::Result<(ClientId, bool), tokio::task::JoinError>) {
        let (client, good) = match done {
            Ok(done) => done,
            Err(error) => {
                // A panic: which app it was isn't known any more, so count anew from here.
                tracing::error!(cause = %error, "a delivery broke off");
                if self.under_way.is_empty() {
                    self.of.clear();
                }
                return;
            }
        };
        if good {
            self.bad.remove(&client);
        } else {
            self.bad.insert(client.clone());
        }
        if let Some(count) = self.of.get_mut(&client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.of.remove(&client);
            }
        }
    }
}

/// One attempt, and what becomes of it. Whether the app answered well.
async fn deliver(state: &AppState, claimed: Claimed) -> bool {
    let token = backchannel::token(&state.keyring, state.issuer(), &claimed, state.now());
    let attempt = match token {
        Ok(token) => post(state, claimed.uri(), &token).await,
        Err(error) => Attempt::Failed(error.to_string()),
    };
    let client = claimed.client().clone();
    match &attempt {
        Attempt::Told => tracing::info!(%client, "told of a sign-out"),
        Attempt::Refused => tracing::warn!(%client, "refused to be told of a sign-out"),
        Attempt::Failed(cause) => tracing::warn!(%client, cause, "not told of a sign-out"),
    }
    let logout = &state.settings.logout;
    let patience = Patience { attempts: logout.attempts, pause: logout.pause };
    let (now, good) = (state.now(), !matches!(attempt, Attempt::Failed(_)));
    let settle = move |connection: &mut _| {
        backchannel::settle(connection, &claimed, &attempt, patience, now)
    };
    if let Err(error) = state.db.write(settle).await {
        // It is tried again when its lease has ended; the app knows the token's id.
        tracing::warn!(cause = %error, %client, "what came of a delivery can't be written");
    }
    good
}

async fn post(state: &AppState, uri: &str, token: &str) -> Attempt {
    match state.fetcher.post_form(uri, &[("logout_token", token)]).await {
        Ok(status) => Attempt::of_status(status.0),
        Err(error) => Attempt::Failed(error.to_string()),
    }
}

/// Finds sessions that have ended by themselves, for ever.
pub async fn watch_for_ever(state: AppState) {
    let mut before = HashSet::new();
    loop {
        tokio::time::sleep(state.settings.logout.look).await;
        match watch(&state, &before).await {
            Ok(seen) => before = seen,
            Err(error) => tracing::warn!(cause = %error, "ended sign-ins can't be looked for now"),
        }
    }
}

/// One walk through all that wait. What looks ended counts when it did so the last time too:
/// a sign-in that is being renewed is gone for a moment. What looks ended now for the first time.
async fn watch(
    state: &AppState,
    before: &HashSet<LogoutId>,
) -> std::result::Result<HashSet<LogoutId>, StorageError> {
    let (mut seen, mut after, mut due) = (HashSet::new(), None, 0);
    loop {
        let (begun, now) = (std::time::Instant::now(), state.now());
        let look = move |connection: &mut _| logout_deliveries::look(connection, after, ROWS, now);
        let found = state.db.read(look).await?;
        let (lapsed, new): (Vec<_>, Vec<_>) =
            found.lapsed.into_iter().partition(|id| before.contains(id));
        seen.extend(new);
        let orphans = found.orphans;
        if !lapsed.is_empty() || !orphans.is_empty() {
            let settle = move |connection: &mut _| {
                logout_deliveries::settle_look(connection, &lapsed, &orphans, now)
            };
            due += state.db.write(settle).await?;
        }
        after = match found.last {
            Some(last) => Some(last),
            None => break,
        };
        tokio::time::sleep(begun.elapsed().min(PAUSE)).await;
    }
    if due > 0 {
        tracing::info!(apps = due, "sessions ended by themselves; their apps are told");
        state.db.call_courier();
    }
    Ok(seen)
}
