//! The generation chain: what a presented refresh token means (RFC 9700 section 4.14.2).
//!
//! A family is one row. `c` is the newest generation given out, `p` the one that `c` was
//! given in exchange for. [`decide`] is the whole rule: a pure function of the chain, what
//! is presented, who presents it, the time and the client's policy. Storage carries out
//! what it says with one guarded update.

use std::time::Duration;

use super::caller::CallerId;
use super::time::Timestamp;

/// Which token secret a refresh token's MAC was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u32);

/// How many earlier callers a family remembers.
pub const MAX_KNOWN_CALLERS: usize = 8;

/// How many generations ahead of the database a token may be without an opened recovery:
/// a failover to a lagging replica loses that many of one client's refreshes at most.
pub const MAX_AHEAD: u64 = 2;

/// How many generations before the parent a token may be late rather than reuse. Without a
/// bound, whoever rotates every few seconds could put off the holder of an old token for ever.
pub const MAX_LATE: u64 = 8;

/// The state of a family that a refresh reads and changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// `c`: the newest generation given out. The first is 1.
    pub generation: u64,
    /// The key that `c` carries.
    pub key: KeyId,
    /// When `c` was first given out; it stands in the token.
    pub issued_at: Timestamp,
    /// When `c` was last given out.
    pub given_at: Timestamp,
    /// Whom `c` was given to.
    pub given_to: CallerId,
    /// `p`, unless `c` is the first.
    pub parent: Option<Parent>,
    /// Callers of earlier refreshes, oldest first, at most [`MAX_KNOWN_CALLERS`].
    pub known: Vec<CallerId>,
    /// When the row was last written.
    pub written_at: Timestamp,
}

/// `p`: the generation that the newest one was given in exchange for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its number.
    pub generation: u64,
    /// The key that it carries.
    pub key: KeyId,
    /// When it was last given out.
    pub given_at: Timestamp,
}

/// Whether a family may still be refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It may, until one of its ends.
    Live,
    /// It was ended.
    Ended {
        /// When.
        at: Timestamp,
        /// By what.
        cause: EndCause,
    },
}

/// What ended a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndCause {
    /// The person signed out of the browser session that it came from.
    SignedOut,
    /// The person ended it on their account page.
    Person,
    /// An administrator revoked it.
    Admin,
    /// The app revoked it (RFC 7009).
    Client,
    /// A refresh token was used by two holders.
    Reuse,
    /// Its authorization code was used twice.
    CodeReuse,
    /// The person's password was changed.
    PasswordChanged,
    /// The person's account was disabled.
    UserDisabled,
    /// The person's account was removed.
    UserRemoved,
    /// The app was removed.
    ClientRemoved,
    /// The person took back what they had allowed the app.
    ConsentWithdrawn,
}

impl EndCause {
    /// All of them, with the name that the database and JSON use.
    pub const ALL: [(Self, &'static str); 11] = [
        (Self::SignedOut, "signed_out"),
        (Self::Person, "person"),
        (Self::Admin, "admin"),
        (Self::Client, "client"),
        (Self::Reuse, "reuse"),
        (Self::CodeReuse, "code_reuse"),
        (Self::PasswordChanged, "password_changed"),
        (Self::UserDisabled, "user_disabled"),
        (Self::UserRemoved, "user_removed"),
        (Self::ClientRemoved, "client_removed"),
        (Self::ConsentWithdrawn, "consent_withdrawn"),
    ];

    /// Its name in the database and in JSON.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(cause, _)| *cause == self).map_or("", |(_, name)| name)
    }

    /// The cause with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, own)| *own == name).map(|(cause, _)| *cause)
    }

    /// What an app's developer is told: an `error_description`.
    pub fn description(self) -> &'static str {
        match self {
            Self::SignedOut => "the person signed out",
            Self::Person => "the session was ended by the person",
            Self::Admin => "the session was revoked by an administrator",
            Self::Client => "the session was ended by the client",
            Self::Reuse => "the session was ended because a refresh token was used by two holders",
            Self::CodeReuse => {
                "the session was ended because its authorization code was used twice"
            }
            Self::PasswordChanged => "the session was ended by a change of password",
            Self::UserDisabled => "the account was disabled",
            Self::UserRemoved => "the account was removed",
            Self::ClientRemoved => "the client was removed",
            Self::ConsentWithdrawn => "the person took back their consent",
        }
    }
}

/// When a family ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// How long it may go unused.
    pub idle: Duration,
    /// When it ends however much it is used. Rotation never moves it.
    pub ends_at: Option<Timestamp>,
}

impl Lifetime {
    /// The end that comes first for a family whose newest token was given out at `given_at`.
    pub fn next_end(&self, given_at: Timestamp) -> Timestamp {
        let idle_end = given_at.plus(self.idle);
        self.ends_at.map_or(idle_end, |end| end.min(idle_end))
    }

    /// Which end has passed at `now`, if one has. An absolute end is named before an idle one.
    pub fn passed(&self, given_at: Timestamp, now: Timestamp) -> Option<Expiry> {
        if self.ends_at.is_some_and(|end| now >= end) {
            Some(Expiry::ReachedEnd)
        } else if now >= given_at.plus(self.idle) {
            Some(Expiry::Unused)
        } else {
            None
        }
    }
}

/// How a family ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It went unused for too long.
    Unused,
    /// It reached its absolute end.
    ReachedEnd,
}

/// A client's choice of what an early return of a spent token means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// A lost answer is given again.
    Resumable,
    /// Any second use is reuse.
    Strict,
    /// As resumable, but only for a caller that proves it is the same client instance.
    SenderConstrained,
}

impl Rotation {
    /// All of them, with the name that commands and the database use.
    pub const ALL: [(Self, &'static str); 3] = [
        (Self::Resumable, "resumable"),
        (Self::Strict, "strict"),
        (Self::SenderConstrained, "sender-constrained"),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(own, _)| *own == self).map_or("", |(_, name)| name)
    }

    /// The choice with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, own)| *own == name).map(|(rotation, _)| *rotation)
    }
}

/// The client's rules for a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What an early return means.
    pub rotation: Rotation,
    /// W: how long an answer may be asked for again. Not used when strict.
    pub retry_window: Duration,
    /// The key that new tokens carry.
    pub current_key: KeyId,
    /// Tokens issued in this interval may be any number ahead of the database: an
    /// administrator opened a recovery after a restore.
    pub recovery: Option<(Timestamp, Timestamp)>,
}

impl Policy {
    fn window(&self) -> Duration {
        match self.rotation {
            Rotation::Strict => Duration::ZERO,
            Rotation::Resumable | Rotation::SenderConstrained => self.retry_window,
        }
    }
}

/// An authentic token, as presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presented {
    /// Its generation.
    pub generation: u64,
    /// The key its MAC was made with.
    pub key: KeyId,
    /// When it was issued.
    pub issued_at: Timestamp,
}

/// Who presents it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presenter {
    /// The caller.
    pub id: CallerId,
    /// Whether it proved to be the same client instance: by the authentication of a
    /// confidential client, or a public client's key.
    pub proven: bool,
}

/// What a presented token means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Answer with the generation of `chain`, once `chain` is written.
    Give {
        /// Why.
        how: Given,
        /// The row's new state.
        chain: Chain,
    },
    /// It was overtaken by its own retry: ask again in a moment. Nothing changes.
    Late,
    /// Two holders: end the family.
    Reuse,
    /// Refuse, and change nothing.
    Refuse(Refusal),
}

/// Why a generation is given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// The newest token was exchanged for the next one.
    Rotated {
        /// The caller wasn't seen in this family before.
        new_caller: bool,
    },
    /// The same answer again.
    Retried,
    /// The answer with the newest token got lost, or went elsewhere: it is left behind.
    Reissued {
        /// The generation left behind had gone to a caller that the family didn't know.
        alarm: bool,
    },
    /// The token was newer than the database, which had lost commits.
    Adopted,
}

/// Why an authentic token of this client is refused without any change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The family was ended.
    Ended(Timestamp, EndCause),
    /// The family ended by itself.
    Expired(Expiry),
    /// The row names another key for this generation: a token of a key that was replaced.
    WrongKey,
}

/// What `presented`, an authentic token of this family and of the client that presents it,
/// means at `now`, the request's arrival. The table in `docs/rotation.md`, row by row.
pub fn decide(
    chain: &Chain,
    status: Status,
    lifetime: Lifetime,
    presented: Presented,
    presenter: Presenter,
    now: Timestamp,
    policy: &Policy,
) -> Decision {
    if let Status::Ended { at, cause } = status {
        return Decision::Refuse(Refusal::Ended(at, cause));
    }
    let generation = presented.generation;
    // A token that the row knows nothing of proves that the family was used since.
    let used_at = if generation > chain.generation {
        chain.given_at.max(presented.issued_at)
    } else {
        chain.given_at
    };
    if let Some(expiry) = lifetime.passed(used_at, now) {
        return Decision::Refuse(Refusal::Expired(expiry));
    }

    if generation == chain.generation {
        return if presented.key == chain.key {
            rotate(chain, presented, presenter, now, policy)
        } else {
            Decision::Refuse(Refusal::WrongKey)
        };
    }
    if generation > chain.generation {
        return ahead(chain, presented, presenter, now, policy);
    }
    match chain.parent {
        Some(parent) if generation == parent.generation => {
            if presented.key == parent.key {
                spent(chain, presenter, now, policy)
            } else {
                Decision::Refuse(Refusal::WrongKey)
            }
        }
        Some(parent)
            if generation < parent.generation
                && parent.generation - generation <= MAX_LATE
                && policy.rotation != Rotation::Strict
                && within(parent.given_at, now, policy.window()) =>
        {
            Decision::Late
        }
        _ => Decision::Reuse,
    }
}

/// g = c: the newest token, used for the first time.
fn rotate(
    chain: &Chain,
    presented: Presented,
    presenter: Presenter,
    now: Timestamp,
    policy: &Policy,
) -> Decision {
    let new_caller = presenter.id != chain.given_to && !chain.known.contains(&presenter.id);
    let spent = Parent { generation: chain.generation, key: chain.key, given_at: chain.given_at };
    // Whom `c` was given to used this family before the next generation, whoever returns it.
    // One of the same number but another time was given out before commits were lost: it says
    // nothing of whoever the row's own went to.
    let known = if presented.issued_at == chain.issued_at {
        remember(&chain.known, chain.given_to)
    } else {
        chain.known.clone()
    };
    Decision::Give {
        how: Given::Rotated { new_caller },
        chain: next(chain, chain.generation, Some(spent), known, presenter, now, policy),
    }
}

/// g = p: the token that the newest one was given for, again.
fn spent(chain: &Chain, presenter: Presenter, now: Timestamp, policy: &Policy) -> Decision {
    if policy.rotation == Rotation::Strict {
        return Decision::Reuse;
    }
    if policy.rotation == Rotation::SenderConstrained && !presenter.proven {
        return Decision::Reuse;
    }
    if within(chain.given_at, now, policy.window()) && may_retry(chain, presenter) {
        let mut again = chain.clone();
        again.given_at = chain.given_at.max(now);
        again.written_at = chain.written_at.max(now);
        return Decision::Give { how: Given::Retried, chain: again };
    }
    // The caller that asks again is the one that the answer went to: nobody else was seen.
    let alarm = chain.given_to != presenter.id && !chain.known.contains(&chain.given_to);
    Decision::Give {
        how: Given::Reissued { alarm },
        chain: next(
            chain,
            chain.generation,
            chain.parent,
            chain.known.clone(),
            presenter,
            now,
            policy,
        ),
    }
}

/// g > c: a token that the row knows nothing of.
fn ahead(
    chain: &Chain,
    presented: Presented,
    presenter: Presenter,
    now: Timestamp,
    policy: &Policy,
) -> Decision {
    let distance = presented.generation - chain.generation;
    let recovering = policy
        .recovery
        .is_some_and(|(since, until)| (since..=until).contains(&presented.issued_at));
    let newer_than_row = presented.issued_at > chain.written_at;
    if !newer_than_row || (distance > MAX_AHEAD && !recovering) {
        return Decision::Reuse;
    }
    // The key may have changed with the commits that were lost.
    if presented.key != chain.key && presented.key != policy.current_key {
        return Decision::Refuse(Refusal::WrongKey);
    }
    let adopted = Parent {
        generation: presented.generation,
        key: presented.key,
        given_at: presented.issued_at,
    };
    Decision::Give {
        how: Given::Adopted,
        chain: next(
            chain,
            presented.generation,
            Some(adopted),
            remember(&chain.known, chain.given_to),
            presenter,
            // Where the clock is behind the one that it was issued by, the row still becomes
            // newer than the token: nothing as old is adopted after it.
            now.max(presented.issued_at),
            policy,
        ),
    }
}

/// The chain whose newest generation follows `newest`, given to `presenter` now.
fn next(
    chain: &Chain,
    newest: u64,
    parent: Option<Parent>,
    known: Vec<CallerId>,
    presenter: Presenter,
    now: Timestamp,
    policy: &Policy,
) -> Chain {
    let at = now.max(chain.issued_at);
    Chain {
        generation: newest.saturating_add(1),
        key: policy.current_key,
        issued_at: at,
        given_at: at,
        given_to: presenter.id,
        parent,
        known,
        written_at: at.max(chain.written_at),
    }
}

/// Whether this caller may have the answer that went to `chain.given_to` again.
fn may_retry(chain: &Chain, presenter: Presenter) -> bool {
    presenter.proven
        || presenter.id == chain.given_to
        || (chain.known.contains(&presenter.id) && chain.known.contains(&chain.given_to))
}

fn within(start: Timestamp, now: Timestamp, window: Duration) -> bool {
    now.since(start) <= window
}

fn remember(known: &[CallerId], caller: CallerId) -> Vec<CallerId> {
    let mut all: Vec<CallerId> = known.iter().copied().filter(|own| *own != caller).collect();
    all.push(caller);
    let surplus = all.len().saturating_sub(MAX_KNOWN_CALLERS);
    all.split_off(surplus)
}

#[cfg(test)]
mod tests;
