//! Rules that are broken on purpose, around `decide`: the check must find each of them.

use std::time::Duration;

use perennial::domain::caller::CallerId;
use perennial::domain::time::Timestamp;
use perennial::domain::token_family::{
    Chain, Decision, Given, Lifetime, Policy, Presented, Presenter, Refusal, Status, decide,
};

use super::assert_refuted;
use super::claims;
use super::holds::put_off;
use super::limits::ELSEWHERE_ONCE;
use super::state::HOME;
use super::world::{Failovers, World};

/// The rule of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The product's.
    Product,
    /// A write doesn't ask whether the row is still as it was read.
    Unguarded,
    /// The spent token is answered for ever with the same successor, which is never left behind.
    SpentForEver,
    /// Anybody may retry.
    RetryForAnybody,
    /// A known caller may retry even after a stranger.
    RetryAfterStranger,
    /// The window counts from when an answer was first given.
    FixedWindow,
    /// A token ahead of the row is adopted even where the row was written since.
    AdoptOverNewer,
    /// A request that was overtaken is refused instead of put off.
    LateIsRefused,
    /// However old a token is, it is late while others rotate often enough.
    LateHoweverOld,
    /// Whatever is old is late, for ever.
    LateForEver,
}

impl Rule {
    /// Whether a write asks for the version that was read.
    pub fn is_guarded(self) -> bool {
        self != Self::Unguarded
    }

    /// `decide`, or what this fault makes of it.
    #[allow(clippy::too_many_arguments, reason = "decide and the fault")]
    pub fn decide(
        self,
        chain: &Chain,
        status: Status,
        lifetime: Lifetime,
        mut presented: Presented,
        mut presenter: Presenter,
        now: Timestamp,
        policy: &Policy,
    ) -> Decision {
        let issued_at = presented.issued_at;
        let parent = chain.parent.map_or(0, |parent| parent.generation);
        let is_old = presented.generation < parent;
        let known = |id: &CallerId| chain.known.contains(id);
        match self {
            Self::RetryForAnybody => presenter.proven = true,
            Self::RetryAfterStranger if known(&presenter.id) => presenter.id = chain.given_to,
            Self::AdoptOverNewer if presented.generation > chain.generation => {
                presented.issued_at = chain.written_at.plus(Duration::from_millis(1));
            }
            Self::LateHoweverOld if is_old => presented.generation = parent - 1,
            _ => {}
        }
        let decision = decide(chain, status, lifetime, presented, presenter, now, policy);
        match (self, decision) {
            (Self::AdoptOverNewer, Decision::Give { how: Given::Adopted, chain: mut new }) => {
                if let Some(parent) = &mut new.parent {
                    parent.given_at = issued_at;
                }
                new.issued_at = now.max(chain.issued_at);
                new.given_at = new.issued_at;
                new.written_at = now.max(chain.written_at);
                Decision::Give { how: Given::Adopted, chain: new }
            }
            (Self::SpentForEver, Decision::Give { how: Given::Reissued { .. }, .. }) => {
                Decision::Give { how: Given::Retried, chain: chain.clone() }
            }
            (Self::FixedWindow, Decision::Give { how: Given::Retried, chain: mut again }) => {
                again.given_at = chain.given_at;
                Decision::Give { how: Given::Retried, chain: again }
            }
            (Self::LateIsRefused, Decision::Late) => Decision::Refuse(Refusal::WrongKey),
            (Self::LateForEver, Decision::Reuse) if is_old => Decision::Late,
            (_, decision) => decision,
        }
    }
}

/// A world with this fault, and what must be found in it.
#[track_caller]
fn find(rule: Rule, world: World, claim: &'static str) {
    assert_refuted(World { rule, ..world }, claim);
}

fn theft(name: &'static str) -> World {
    World { thief: Some(ELSEWHERE_ONCE), generations: 6, ..World::quiet(name) }
}

#[test]
fn an_unguarded_write_gives_two_successors() {
    let world = World { tabs: &[HOME, HOME], nodes: 2, ..World::quiet("no guard") };
    find(Rule::Unguarded, world, claims::ONE_SUCCESSOR);
}

#[test]
fn an_unguarded_write_ends_honest_families() {
    let world = World { tabs: &[HOME, HOME], nodes: 2, ..World::quiet("no guard, honest") };
    find(Rule::Unguarded, world, claims::HONEST_LIVE_ON);
}

#[test]
fn an_unguarded_write_answers_after_the_end() {
    let world = World { revocation: true, ..World::quiet("no guard, revocation") };
    find(Rule::Unguarded, world, claims::ENDED_IS_MUTE);
}

#[test]
fn a_successor_that_is_never_left_behind_hides_a_thief() {
    find(Rule::SpentForEver, theft("p for ever"), claims::THEFT_ENDS);
}

#[test]
fn a_retry_for_anybody_hides_a_thief() {
    find(Rule::RetryForAnybody, theft("retry for anybody"), claims::THEFT_ENDS);
}

#[test]
fn a_retry_after_a_stranger_hides_a_thief() {
    let world = World { generations: 7, ..theft("retry after a stranger") };
    find(Rule::RetryAfterStranger, world, claims::THEFT_ENDS);
}

#[test]
fn a_fixed_window_ends_honest_families() {
    let world = World { tabs: &[HOME, HOME], mishaps: 2, until: 4, ..World::quiet("fixed window") };
    find(Rule::FixedWindow, world, claims::HONEST_LIVE_ON);
}

#[test]
fn adoption_over_a_newer_write_gives_two_successors() {
    let world = World {
        failovers: Some(Failovers { count: 1, lag: 2, quiet: true, recovery: false }),
        ..theft("adoption over a newer write")
    };
    find(Rule::AdoptOverNewer, world, claims::ONE_SUCCESSOR);
}

#[test]
fn a_late_request_that_is_refused_signs_an_honest_app_out() {
    let world = World { patient: false, mishaps: 1, ..World::quiet("late is refused") };
    find(Rule::LateIsRefused, world, claims::NO_EMPTY_REFUSAL);
}

#[test]
fn a_thief_that_rotates_often_enough_would_put_the_app_off_for_ever() {
    let world = put_off("late however old");
    find(Rule::LateHoweverOld, world, claims::NOT_PUT_OFF);
}

#[test]
fn late_for_ever_answers_nobody() {
    find(Rule::LateForEver, theft("late for ever"), claims::ANSWER_COMES);
}
