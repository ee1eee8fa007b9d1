//! How one key takes over from another: by age, by order, or at once because others may know it.
//! Several nodes may do it at the same time; each change is made once.

use std::sync::Arc;
use std::time::Duration;

use super::act::Act;
use super::endings::{self, Whose};
use super::keys::{self, FreshKey};
use crate::crypto::root_secret::{RootSecret, Sealer};
use crate::crypto::signing::Algorithm;
use crate::domain::key_life::{self, KeyLife, KeyState, PUBLISHED_FIRST, Step};
use crate::domain::time::Timestamp;
use crate::domain::token_family::{EndCause, KeyId};
use crate::storage::keys::{self as stored, StoredSigningKey, StoredTokenKey, in_state};
use crate::storage::{Connection, Database, Result, StorageError, clients, families};

/// After so long no node can still have begun a session with a secret that was given up.
const SETTLED: Duration = Duration::from_secs(120);

/// What sessions end with whose secret others may know.
const REASON: &str = "The secret of its tokens may be known to others";

/// What is to be done about keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// What age and earlier orders ask for.
    Upkeep,
    /// The next keys are to take over as soon as everybody knows them.
    Rotate(Which),
    /// The next keys take over at once; the ones before stay published.
    RotateNow(Which),
    /// Nothing that the keys of now have made counts any more.
    Compromised,
}

/// Which keys an order means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Signing keys and the token secret.
    All,
    /// The signing keys of all algorithms.
    Signing,
    /// The token secret.
    Secret,
}

/// What came of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotated {
    /// The keys that were made, by their names.
    pub made: Vec<String>,
    /// Those that took over.
    pub began: Vec<String>,
    /// Those that are gone.
    pub removed: Vec<String>,
    /// When the last of those that were ordered takes over, where that is yet to come.
    pub due_at: Option<Timestamp>,
    /// How many sessions ended.
    pub sessions: usize,
}

impl Order {
    fn means(self, which: Which) -> bool {
        match self {
            Self::Upkeep | Self::Compromised => true,
            Self::Rotate(own) | Self::RotateNow(own) => own == Which::All || own == which,
        }
    }
}

/// Carries out an order. `every`: how old a key gets before the next one takes over.
///
/// # Errors
/// When the database can't answer, or belongs to another root secret.
pub async fn carry_out(
    db: &Database,
    root: &Arc<RootSecret>,
    order: Order,
    every: Option<Duration>,
    act: Act,
) -> Result<Rotated> {
    let now = act.now;
    let Some(lacking) = db.read(move |connection| lacking(connection, order, every, now)).await?
    else {
        return Ok(Rotated::default());
    };
    // Not where others wait: neither on a worker nor on the thread that writes.
    let making = move || lacking.into_iter().map(FreshKey::make).collect::<Result<Vec<_>>>();
    let fresh = tokio::task::spawn_blocking(making)
        .await
        .map_err(|error| StorageError::Unavailable(format!("no key could be made: {error}")))??;
    let root = Arc::clone(root);
    let change = move |connection: &mut Connection| {
        let sealer = keys::sealer(&root);
        keys::check_root(connection, &root)?;
        Change { sealer, order, every, act, done: Rotated::default() }.run(connection, fresh)
    };
    let (mut done, rest) = endings::carry_out(db, change).await?;
    done.sessions += rest;
    Ok(done)
}

/// Removes the token secrets that no session has any more. Their names.
///
/// # Errors
/// When the database can't answer.
pub async fn forget(db: &Database, act: Act) -> Result<Vec<String>> {
    let now = act.now;
    let unused = db
        .read(move |connection| {
            let mut unused = Vec::new();
            for key in stored::token_keys(connection)? {
                let over = !key.life.is_published(now) && key.compromised_at.is_none();
                if over && !families::uses_secret(connection, key.id)? {
                    unused.push(key.id);
                }
            }
            Ok(unused)
        })
        .await?;
    if unused.is_empty() {
        return Ok(Vec::new());
    }
    db.write(move |connection| {
        let mut removed = Vec::new();
        for id in unused {
            if stored::remove_token_key(connection, id)? {
                record(connection, &act, "key.removed", &name(id), None)?;
                removed.push(name(id));
            }
        }
        Ok(removed)
    })
    .await
}

/// The algorithms that need a new key for this order; `None` when there is nothing to do at all.
fn lacking(
    connection: &mut Connection,
    order: Order,
    every: Option<Duration>,
    now: Timestamp,
) -> Result<Option<Vec<Algorithm>>> {
    let all = stored::signing_keys(connection)?;
    let mut lacking = Vec::new();
    let mut anything = order != Order::Upkeep;
    for algorithm in algorithms(&all).filter(|_| order.means(Which::Signing)) {
        let (current, next) = pair(&all, algorithm);
        let step = current.and_then(|current| {
            key_life::step(&current.life, next.map(|key| &key.life), every, now)
        });
        anything |= step.is_some();
        let needed = match order {
            Order::Upkeep => step == Some(Step::MakeNext),
            Order::Rotate(_) | Order::RotateNow(_) => next.is_none(),
            Order::Compromised => true,
        };
        if needed {
            lacking.push(algorithm);
        }
    }
    if order == Order::Upkeep {
        // What a client asked for is there before it is needed.
        for algorithm in clients::signing_algorithms(connection)? {
            if pair(&all, algorithm).0.is_none() {
                lacking.push(algorithm);
                anything = true;
            }
        }
    }
    anything |= all.iter().any(|key| key.life.is_over(now));
    let secrets = stored::token_keys(connection)?;
    let (current, next) = secret_pair(&secrets);
    anything |= current
        .and_then(|current| key_life::step(&current.life, next.map(|key| &key.life), every, now))
        .is_some();
    anything |= secrets.iter().any(|key| is_settled(key, now));
    Ok((anything && !secrets.is_empty()).then_some(lacking))
}

fn algorithms(keys: &[StoredSigningKey]) -> impl Iterator<Item = Algorithm> + '_ {
    let there = |algorithm: &Algorithm| keys.iter().any(|key| key.algorithm == algorithm.name());
    Algorithm::ALL.into_iter().map(|(algorithm, _)| algorithm).filter(there)
}

fn pair(
    keys: &[StoredSigningKey],
    algorithm: Algorithm,
) -> (Option<&StoredSigningKey>, Option<&StoredSigningKey>) {
    let own = || keys.iter().filter(|key| key.algorithm == algorithm.name());
    let one = |state| in_state(own(), |key| key.life, state);
    (one(KeyState::Current), one(KeyState::Next))
}

fn secret_pair(keys: &[StoredTokenKey]) -> (Option<&StoredTokenKey>, Option<&StoredTokenKey>) {
    let good = || keys.iter().filter(|key| key.compromised_at.is_none());
    let one = |state| in_state(good(), |key| key.life, state);
    (one(KeyState::Current), one(KeyState::Next))
}

fn is_settled(key: &StoredTokenKey, now: Timestamp) -> bool {
    key.compromised_at.is_some_and(|at| now >= at.plus(SETTLED))
}

fn name(id: KeyId) -> String {
    format!("token secret {}", id.0)
}

fn record(
    connection: &mut Connection,
    act: &Act,
    action: &'static str,
    key: &str,
    detail: Option<&str>,
) -> Result<()> {
    let target = Some(("key", key.to_owned()));
    act.record(connection, action, target, None, None, detail.map(str::to_owned))
}

/// One order on its way through the tables.
struct Change {
    sealer: Sealer,
    order: Order,
    every: Option<Duration>,
    act: Act,
    done: Rotated,
}

impl Change {
    fn run(mut self, connection: &mut Connection, mut fresh: Vec<FreshKey>) -> Result<Rotated> {
        // From here on nobody else changes keys until this is written.
        stored::changed(connection)?;
        let all = stored::signing_keys(connection)?;
        let order = self.order;
        for algorithm in algorithms(&all).filter(|_| order.means(Which::Signing)) {
            let place = fresh.iter().position(|key| key.algorithm == algorithm);
            let fresh = place.map(|place| fresh.swap_remove(place));
            self.signing(connection, &all, algorithm, fresh)?;
        }
        if order == Order::Upkeep {
            let now = self.act.now;
            for fresh in fresh.iter().filter(|fresh| pair(&all, fresh.algorithm).0.is_none()) {
                let key = fresh.sealed(&self.sealer, KeyLife::first(now));
                keys::add(connection, |connection| stored::add_signing_key(connection, &key))?;
                self.began(connection, key.kid, Some(fresh.algorithm.name()))?;
            }
            for key in all.iter().filter(|key| key.life.is_over(now)) {
                self.remove_signing(connection, &key.kid)?;
            }
        }
        if self.order.means(Which::Secret) {
            self.secret(connection)?;
        }
        Ok(self.done)
    }

    fn signing(
        &mut self,
        connection: &mut Connection,
        all: &[StoredSigningKey],
        algorithm: Algorithm,
        fresh: Option<FreshKey>,
    ) -> Result<()> {
        let now = self.act.now;
        let (current, next) = pair(all, algorithm);
        if self.order == Order::Compromised {
            let fresh = fresh.map_or_else(|| FreshKey::make(algorithm), Ok)?;
            for key in all.iter().filter(|key| key.algorithm == algorithm.name()) {
                record(connection, &self.act, "key.compromised", &key.kid, Some(&key.algorithm))?;
                stored::remove_signing_key(connection, &key.kid)?;
                self.done.removed.push(key.kid.clone());
            }
            let key = fresh.sealed(&self.sealer, KeyLife::first(now));
            stored::add_signing_key(connection, &key)?;
            return self.began(connection, key.kid, Some(algorithm.name()));
        }
        let Some(current) = current else { return Ok(()) };
        match (self.wanted(&current.life, next.map(|key| &key.life)), next, fresh) {
            (Wanted::Make(due_at), None, Some(fresh)) => {
                let key = fresh.sealed(&self.sealer, KeyLife::next(now, due_at));
                stored::add_signing_key(connection, &key)?;
                self.made(connection, key.kid.clone(), Some(algorithm.name()))?;
                match due_at {
                    Some(at) if at <= now => {
                        self.promote(connection, &current.kid, &key.kid, algorithm)
                    }
                    _ => Ok(()),
                }
            }
            (Wanted::Await(due_at), Some(next), _) => {
                self.done.due_at = self.done.due_at.max(Some(due_at));
                stored::order_signing_key(connection, &next.kid, due_at)
            }
            (Wanted::Promote, Some(next), _) => {
                self.promote(connection, &current.kid, &next.kid, algorithm)
            }
            _ => Ok(()),
        }
    }

    fn promote(
        &mut self,
        connection: &mut Connection,
        current: &str,
        next: &str,
        algorithm: Algorithm,
    ) -> Result<()> {
        if stored::promote_signing_key(connection, current, next, self.act.now)? {
            self.began(connection, next.to_owned(), Some(algorithm.name()))?;
        }
        Ok(())
    }

    fn secret(&mut self, connection: &mut Connection) -> Result<()> {
        let now = self.act.now;
        let all = stored::token_keys(connection)?;
        let Some(newest) = all.last().map(|key| key.id) else { return Ok(()) };
        let following = KeyId(newest.0.saturating_add(1));
        let (current, next) = secret_pair(&all);
        if self.order == Order::Compromised {
            stored::compromise_token_keys(connection, now)?;
            for key in all.iter().filter(|key| key.compromised_at.is_none()) {
                record(connection, &self.act, "key.compromised", &name(key.id), None)?;
                self.done.removed.push(name(key.id));
            }
            let key = keys::fresh_secret(&self.sealer, following, KeyLife::first(now));
            stored::add_token_key(connection, &key)?;
            self.began(connection, name(following), None)?;
            return self.end_sessions(connection, newest);
        }
        if self.order == Order::Upkeep {
            for key in all.iter().filter(|key| is_settled(key, now)) {
                self.end_sessions(connection, key.id)?;
                stored::remove_token_key(connection, key.id)?;
            }
        }
        let Some(current) = current else { return Ok(()) };
        let next_id = next.map_or(following, |key| key.id);
        match (self.wanted(&current.life, next.map(|key| &key.life)), next) {
            (Wanted::Make(due_at), None) => {
                let life = KeyLife::next(now, due_at);
                let key = keys::fresh_secret(&self.sealer, following, life);
                stored::add_token_key(connection, &key)?;
                self.made(connection, name(following), None)?;
                if due_at.is_some_and(|at| at <= now) {
                    self.promote_secret(connection, current.id, following)?;
                }
                Ok(())
            }
            (Wanted::Await(due_at), Some(_)) => {
                self.done.due_at = self.done.due_at.max(Some(due_at));
                stored::order_token_key(connection, next_id, due_at)
            }
            (Wanted::Promote, Some(_)) => self.promote_secret(connection, current.id, next_id),
            _ => Ok(()),
        }
    }

    fn promote_secret(
        &mut self,
        connection: &mut Connection,
        current: KeyId,
        next: KeyId,
    ) -> Result<()> {
        if stored::promote_token_key(connection, current, next, self.act.now)? {
            self.began(connection, name(next), None)?;
        }
        Ok(())
    }

    /// What the order asks for, where these two keys are there.
    fn wanted(&mut self, current: &KeyLife, next: Option<&KeyLife>) -> Wanted {
        let now = self.act.now;
        match (self.order, next) {
            (Order::Upkeep, _) => match key_life::step(current, next, self.every, now) {
                Some(Step::MakeNext) => Wanted::Make(None),
                Some(Step::Promote) => Wanted::Promote,
                None => Wanted::Nothing,
            },
            (Order::Rotate(_), None) => {
                let due_at = now.plus(PUBLISHED_FIRST);
                self.done.due_at = self.done.due_at.max(Some(due_at));
                Wanted::Make(Some(due_at))
            }
            (Order::Rotate(_), Some(next)) if now < next.known_at() => {
                Wanted::Await(next.known_at())
            }
            (Order::RotateNow(_), None) => Wanted::Make(Some(now)),
            (Order::Rotate(_) | Order::RotateNow(_), Some(_)) => Wanted::Promote,
            (Order::Compromised, _) => Wanted::Nothing,
        }
    }

    /// Ends the sessions whose newest token is of this secret or an older one.
    fn end_sessions(&mut self, connection: &mut Connection, newest: KeyId) -> Result<()> {
        let whose = Whose { secrets_up_to: Some(newest), ..Whose::default() };
        let cause = EndCause::Admin;
        let ended = endings::begin(connection, &whose, cause, Some(REASON), &self.act)?;
        self.done.sessions += ended;
        Ok(())
    }

    fn made(&mut self, connection: &mut Connection, key: String, alg: Option<&str>) -> Result<()> {
        record(connection, &self.act, "key.made", &key, alg)?;
        self.done.made.push(key);
        Ok(())
    }

    fn began(&mut self, connection: &mut Connection, key: String, alg: Option<&str>) -> Result<()> {
        record(connection, &self.act, "key.rotated", &key, alg)?;
        self.done.began.push(key);
        Ok(())
    }

    fn remove_signing(&mut self, connection: &mut Connection, kid: &str) -> Result<()> {
        if stored::remove_signing_key(connection, kid)? {
            record(connection, &self.act, "key.removed", kid, None)?;
            self.done.removed.push(kid.to_owned());
        }
        Ok(())
    }
}

/// What an order asks for.
enum Wanted {
    Nothing,
    /// The next key, to begin then.
    Make(Option<Timestamp>),
    /// That the next key begins then.
    Await(Timestamp),
    /// That the next key begins now.
    Promote,
}
