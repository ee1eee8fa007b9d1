//! Where each claim ends: the very runs that docs/threat-model.md admits, found by the check.

use perennial::domain::token_family::Rotation;

use super::assert_refuted;
use super::claims;
use super::state::{ELSEWHERE, HOME, WORK};
use super::world::{Failovers, Thief, World};

/// A thief in another network that copies once.
pub const ELSEWHERE_ONCE: Thief =
    Thief { callers: &[ELSEWHERE], copies: 1, drops_answers: false, steady: false, proven: false };

fn theft(name: &'static str, thief: Thief) -> World {
    World { thief: Some(thief), generations: 6, ..World::quiet(name) }
}

#[test]
fn a_thief_at_the_same_network_and_agent_shares_unseen() {
    let thief = Thief { callers: &[HOME], ..ELSEWHERE_ONCE };
    assert_refuted(theft("the thief is at home", thief), claims::THEFT_ENDS);
}

#[test]
fn a_thief_at_a_place_that_the_family_knows_shares_unseen() {
    let thief = Thief { callers: &[WORK], ..ELSEWHERE_ONCE };
    let world = World { tabs: &[HOME, WORK], until: 2, ..theft("the thief is at work", thief) };
    assert_refuted(world, claims::THEFT_ENDS);
}

#[test]
fn a_thief_with_the_clients_secret_shares_unseen() {
    let thief = Thief { proven: true, ..ELSEWHERE_ONCE };
    let world = World { confidential: true, ..theft("the thief has the secret", thief) };
    assert_refuted(world, claims::THEFT_ENDS);
}

#[test]
fn a_thief_that_copies_after_every_answer_stays() {
    let thief = Thief { copies: 3, steady: true, ..ELSEWHERE_ONCE };
    let world = World {
        turns_anew: false,
        until: 6,
        generations: 7,
        ..theft("the thief copies again and again", thief)
    };
    assert_refuted(world, claims::THEFT_ENDS);
}

#[test]
fn a_thief_that_drops_every_answer_to_the_app_stays() {
    let thief = Thief { drops_answers: true, ..ELSEWHERE_ONCE };
    let world =
        World { turns_anew: false, until: 1, ..theft("the thief drops every answer", thief) };
    assert_refuted(world, claims::THEFT_ENDS);
}

#[test]
fn a_new_token_that_overtakes_its_own_duplicates_may_end_the_family() {
    let world = World {
        patient: false,
        tabs: &[HOME, HOME],
        mishaps: 1,
        ..World::quiet("an impatient app")
    };
    assert_refuted(world, claims::HONEST_LIVE_ON);
}

#[test]
fn an_exchange_longer_than_half_the_window_may_end_the_family() {
    let world = World {
        window: 3,
        delay: 2,
        tabs: &[HOME, HOME],
        mishaps: 1,
        generations: 3,
        ..World::quiet("an exchange of two thirds of the window")
    };
    assert_refuted(world, claims::HONEST_LIVE_ON);
}

#[test]
fn strict_ends_an_honest_family_over_one_lost_answer() {
    let world = World { rotation: Rotation::Strict, mishaps: 1, ..World::quiet("strict, a loss") };
    assert_refuted(world, claims::HONEST_LIVE_ON);
}

#[test]
fn a_failover_that_loses_a_revocation_brings_the_session_back() {
    let world = World {
        revocation: true,
        failovers: Some(Failovers { count: 1, lag: 2, quiet: true, recovery: false }),
        ..World::quiet("a lost revocation")
    };
    assert_refuted(world, claims::ENDED_IS_MUTE);
}

#[test]
fn three_lost_refreshes_need_an_opened_recovery() {
    let world = World {
        failovers: Some(Failovers { count: 1, lag: 3, quiet: true, recovery: false }),
        unhurried: true,
        until: 5,
        generations: 5,
        ..World::quiet("three lost refreshes")
    };
    assert_refuted(world, claims::HONEST_LIVE_ON);
}

#[test]
fn a_duplicate_between_a_failover_and_the_next_refresh_may_end_the_family() {
    let world = World {
        failovers: Some(Failovers { count: 1, lag: 2, quiet: false, recovery: false }),
        unhurried: true,
        mishaps: 1,
        until: 6,
        generations: 3,
        ..World::quiet("a duplicate straddles a failover")
    };
    assert_refuted(world, claims::HONEST_LIVE_ON);
}

#[test]
fn a_key_that_changes_while_requests_straddle_a_failover_may_refuse_a_lost_token() {
    let world = World {
        failovers: Some(Failovers { count: 1, lag: 2, quiet: false, recovery: false }),
        unhurried: true,
        key_change: true,
        mishaps: 1,
        generations: 3,
        ..World::quiet("a change of key straddles a failover")
    };
    assert_refuted(world, claims::NO_EMPTY_REFUSAL);
}

#[test]
fn sender_constrained_ends_a_family_whose_app_cannot_prove_itself_over_one_lost_answer() {
    let world = World {
        rotation: Rotation::SenderConstrained,
        mishaps: 1,
        ..World::quiet("sender-constrained, a loss")
    };
    assert_refuted(world, claims::HONEST_LIVE_ON);
}

#[test]
fn requests_that_overlap_at_the_idle_end_are_answered_differently() {
    let world = World {
        idle: 3,
        tabs: &[HOME, HOME],
        nodes: 2,
        generations: 2,
        ..World::quiet("two tabs at the idle end")
    };
    assert_refuted(world, claims::HONEST_LIVE_ON);
}

#[test]
fn a_lost_refresh_in_the_instant_of_the_write_before_is_not_adopted() {
    let world = World {
        failovers: Some(Failovers { count: 1, lag: 2, quiet: true, recovery: false }),
        unhurried: false,
        generations: 2,
        ..World::quiet("two writes in one instant")
    };
    assert_refuted(world, claims::HONEST_LIVE_ON);
}

#[test]
fn two_holders_across_a_failover_may_take_more_turns() {
    let world = World {
        failovers: Some(Failovers { count: 1, lag: 2, quiet: true, recovery: false }),
        unhurried: true,
        until: 3,
        generations: 5,
        ..theft("a failover and a thief", ELSEWHERE_ONCE)
    };
    assert_refuted(world, claims::THEFT_ENDS);
}
