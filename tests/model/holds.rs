//! What holds, in which world. `PERENNIAL_MODEL=large` follows each of them further.

use std::sync::atomic::Ordering;

use perennial::domain::token_family::Rotation;

use super::assert_holds;
use super::claims;
use super::limits::ELSEWHERE_ONCE;
use super::state::{ELSEWHERE, HOME, WORK};
use super::world::{Failovers, Thief, World};

/// A thief that does all it can, from the app's network and from its own.
const ANYWHERE: Thief = Thief {
    callers: &[HOME, ELSEWHERE],
    copies: 2,
    drops_answers: true,
    steady: false,
    proven: false,
};

/// All claims but that of the fourth turn.
const BUT_THEFT: &[&str] = &[
    claims::ONE_SUCCESSOR,
    claims::NO_EMPTY_REFUSAL,
    claims::ENDED_IS_MUTE,
    claims::ANSWER_COMES,
    claims::NOT_PUT_OFF,
];

/// Makes sure that these answers were given at all.
macro_rules! assert_seen {
    ($counts:expr, $($answer:ident),+) => {
        $(assert!($counts.$answer.load(Ordering::Relaxed) > 0, stringify!($answer));)+
    };
}

/// A thief that rotates as often as it likes, and an app that goes on asking.
pub fn put_off(name: &'static str) -> World {
    World {
        window: 1,
        delay: 0,
        thief: Some(Thief { steady: true, ..ELSEWHERE_ONCE }),
        until_served: true,
        until: 11,
        generations: 13,
        ..World::quiet(name)
    }
}

#[test]
fn two_tabs_at_two_nodes_live_on() {
    let counts = assert_holds(World {
        tabs: &[HOME, HOME],
        nodes: 2,
        mishaps: 2,
        until: 2,
        generations: 3,
        ..World::quiet("two tabs at two nodes")
    });
    assert_seen!(counts, rotated, retried);
}

#[test]
fn one_tab_lives_on_through_every_window() {
    let counts = assert_holds(World {
        nodes: 2,
        mishaps: 2,
        until: 5,
        generations: 4,
        ..World::quiet("one tab, every window")
    });
    assert_seen!(counts, rotated, retried, reissued);
}

#[test]
fn two_machines_in_two_networks_live_on() {
    let world = World { mishaps: 1, until: 3, generations: 3, ..World::quiet("two machines") };
    let counts = assert_holds(world.two_machines());
    assert_seen!(counts, rotated, retried);
}

#[test]
fn a_sender_constrained_client_lives_on() {
    let world = World {
        rotation: Rotation::SenderConstrained,
        mishaps: 2,
        until: 4,
        generations: 3,
        ..World::quiet("sender-constrained")
    };
    let counts = assert_holds(World { confidential: true, nodes: 2, ..world });
    assert_seen!(counts, rotated, retried, reissued);
}

#[test]
fn a_strict_client_that_loses_nothing_lives_on() {
    let counts = assert_holds(World {
        rotation: Rotation::Strict,
        reliable: true,
        until: 6,
        generations: 8,
        ..World::quiet("strict, nothing is lost")
    });
    assert_seen!(counts, rotated);
}

#[test]
fn an_app_that_waits_for_nothing_is_never_refused_while_its_family_lives() {
    let counts = assert_holds(World {
        tabs: &[HOME, HOME],
        patient: false,
        mishaps: 1,
        until: 2,
        generations: 4,
        claims: BUT_THEFT,
        ..World::quiet("two impatient tabs")
    });
    assert_seen!(counts, rotated, retried, late);
}

#[test]
fn a_theft_is_found_out_by_the_fourth_turn() {
    let counts = assert_holds(World {
        thief: Some(ELSEWHERE_ONCE),
        until: 3,
        generations: 5,
        ..World::quiet("a thief elsewhere")
    });
    assert_seen!(counts, rotated, retried, reissued, reuse);
}

#[test]
fn a_theft_is_found_out_at_two_nodes() {
    let counts = assert_holds(World {
        thief: Some(ELSEWHERE_ONCE),
        nodes: 2,
        window: 1,
        until: 1,
        generations: 5,
        ..World::quiet("a thief elsewhere, two nodes")
    });
    assert_seen!(counts, rotated, retried, reissued, late, reuse);
}

#[test]
fn a_theft_from_a_strict_client_is_found_out_by_the_second_turn() {
    let counts = assert_holds(World {
        rotation: Rotation::Strict,
        thief: Some(ELSEWHERE_ONCE),
        reliable: true,
        nodes: 2,
        until: 3,
        generations: 5,
        ..World::quiet("strict, a thief")
    });
    assert_seen!(counts, rotated, reuse);
}

#[test]
fn a_theft_from_an_app_that_cannot_prove_itself_is_found_out() {
    let counts = assert_holds(World {
        rotation: Rotation::SenderConstrained,
        reliable: true,
        thief: Some(ELSEWHERE_ONCE),
        until: 3,
        generations: 5,
        ..World::quiet("sender-constrained, a thief")
    });
    assert_seen!(counts, rotated, late, reuse);
}

#[test]
fn whatever_a_thief_does_the_other_claims_hold() {
    let counts = assert_holds(World {
        thief: Some(ANYWHERE),
        revocation: true,
        window: 1,
        until: 2,
        generations: 3,
        claims: BUT_THEFT,
        ..World::quiet("a thief anywhere, and a revocation")
    });
    assert_seen!(counts, rotated, retried, reissued, late, reuse, refused);
}

#[test]
fn a_revoked_family_is_mute_at_both_nodes() {
    let counts = assert_holds(World {
        tabs: &[HOME, HOME],
        nodes: 2,
        mishaps: 2,
        revocation: true,
        until: 1,
        generations: 3,
        ..World::quiet("a revocation at two nodes")
    });
    assert_seen!(counts, rotated, retried, refused);
}

#[test]
fn nobody_is_put_off_for_ever() {
    let counts = assert_holds(put_off("a thief that rotates and rotates"));
    assert_seen!(counts, rotated, late, reuse);
}

#[test]
fn sessions_survive_two_lossy_failovers() {
    let counts = assert_holds(World {
        failovers: Some(Failovers { count: 2, lag: 2, quiet: true, recovery: false }),
        unhurried: true,
        nodes: 2,
        mishaps: 1,
        until: 5,
        generations: 6,
        ..World::quiet("two failovers")
    });
    assert_seen!(counts, rotated, retried, reissued, adopted);
}

#[test]
fn two_machines_survive_a_lossy_failover() {
    let world = World {
        failovers: Some(Failovers { count: 1, lag: 2, quiet: true, recovery: false }),
        unhurried: true,
        until: 4,
        generations: 4,
        ..World::quiet("two machines and a failover")
    };
    let counts = assert_holds(world.two_machines());
    assert_seen!(counts, rotated, retried, adopted);
}

#[test]
fn sessions_survive_a_lossy_failover_and_a_change_of_key() {
    let counts = assert_holds(World {
        failovers: Some(Failovers { count: 1, lag: 2, quiet: true, recovery: false }),
        unhurried: true,
        key_change: true,
        until: 5,
        generations: 5,
        ..World::quiet("a failover and a change of key")
    });
    assert_seen!(counts, rotated, retried, adopted);
}

#[test]
fn sessions_survive_a_restored_backup_in_an_opened_recovery() {
    let counts = assert_holds(World {
        failovers: Some(Failovers { count: 1, lag: 6, quiet: true, recovery: true }),
        unhurried: true,
        until: 7,
        generations: 8,
        ..World::quiet("a restored backup")
    });
    assert_seen!(counts, rotated, retried, adopted);
}

#[test]
fn the_other_claims_hold_while_requests_straddle_a_failover() {
    let counts = assert_holds(World {
        failovers: Some(Failovers { count: 1, lag: 2, quiet: false, recovery: false }),
        thief: Some(ELSEWHERE_ONCE),
        until: 2,
        generations: 3,
        claims: BUT_THEFT,
        ..World::quiet("requests that straddle a failover")
    });
    assert_seen!(counts, rotated, retried, adopted, reuse);
}

#[test]
fn an_idle_family_ends_by_itself_and_tells() {
    let counts = assert_holds(World {
        idle: 3,
        tabs: &[HOME, WORK],
        until: 4,
        generations: 3,
        claims: BUT_THEFT,
        ..World::quiet("an idle end")
    });
    assert_seen!(counts, rotated, retried, reissued, refused);
}

#[test]
fn a_lost_refresh_moves_the_idle_end_all_the_same() {
    let counts = assert_holds(World {
        idle: 3,
        failovers: Some(Failovers { count: 1, lag: 2, quiet: true, recovery: false }),
        unhurried: true,
        until: 5,
        ..World::quiet("a failover and an idle end")
    });
    assert_seen!(counts, rotated, retried, adopted);
}
