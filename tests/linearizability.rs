//! The search for an order: what it accepts, and forged histories that it must refuse.

use std::time::Duration;

use perennial::domain::caller::CallerId;
use perennial::domain::time::Timestamp;
use perennial::domain::token_family::{
    Chain, KeyId, Lifetime, Policy, Presented, Presenter, Rotation,
};

use crate::support::linearizability::{End, Fault, Operation, Rules, Seen, check};

const OWNER: CallerId = CallerId::from_bytes([1; 8]);
const THIEF: CallerId = CallerId::from_bytes([2; 8]);

fn rules() -> Rules {
    let begun = Timestamp::from_millis(1_000_000);
    Rules {
        chain: Chain {
            generation: 1,
            key: KeyId(1),
            issued_at: begun,
            given_at: begun,
            given_to: OWNER,
            parent: None,
            known: Vec::new(),
            written_at: begun,
        },
        lifetime: Lifetime { idle: Duration::from_secs(86_400), ends_at: None },
        policy: Policy {
            rotation: Rotation::Resumable,
            retry_window: Duration::from_secs(30),
            current_key: KeyId(1),
            recovery: None,
        },
    }
}

/// A generation that somebody presented between two milliseconds, and what came back.
fn refresh((sent, over): (u64, u64), caller: CallerId, generation: u64, answer: Seen) -> Operation {
    let at = Timestamp::from_millis(1_000_000 + i64::try_from(sent).unwrap());
    Operation {
        sent: Duration::from_millis(sent),
        over: Duration::from_millis(over),
        at,
        presented: Presented { generation, key: KeyId(1), issued_at: at },
        presenter: Presenter { id: caller, proven: false },
        answer,
    }
}

fn given(generation: u64) -> Seen {
    Seen::Given(generation, format!("token {generation}"))
}

#[track_caller]
fn accepted(history: &[Operation], end: Option<End>) {
    if let Err(fault) = check(&rules(), history, end) {
        panic!("{fault}");
    }
}

#[track_caller]
fn refused(history: &[Operation], end: Option<End>) {
    let fault = check(&rules(), history, end).expect_err("a forged history");
    assert!(matches!(fault, Fault::NoOrder(_)), "{fault}");
}

#[test]
fn rotations_doubles_and_lost_answers_have_an_order() {
    let history = [
        refresh((0, 10), OWNER, 1, given(2)),
        // Two at once, of which either may be the first.
        refresh((20, 40), OWNER, 2, given(3)),
        refresh((21, 35), OWNER, 2, given(3)),
        // Lost, and asked for again.
        refresh((50, 51), OWNER, 3, Seen::Nothing),
        refresh((52, 60), OWNER, 3, given(4)),
        // Lost and never asked for: it happened, or it didn't.
        refresh((70, 71), OWNER, 4, Seen::Nothing),
    ];
    accepted(&history, None);
    accepted(&history, Some(End { generation: 5, parent: Some(4), live: true }));
    accepted(&history, Some(End { generation: 4, parent: Some(3), live: true }));
    refused(&history, Some(End { generation: 6, parent: Some(5), live: true }));
}

#[test]
fn a_theft_has_an_order_and_its_end() {
    let mut history = vec![
        refresh((0, 10), OWNER, 1, given(2)),
        // Copied on its way, and used after it.
        refresh((20, 30), THIEF, 1, given(3)),
        refresh((40, 50), OWNER, 2, Seen::Ended),
        refresh((60, 70), THIEF, 3, Seen::Ended),
    ];
    accepted(&history, Some(End { generation: 3, parent: Some(1), live: false }));
    refused(&history, Some(End { generation: 3, parent: Some(1), live: true }));
    // A family that ended answers nobody again.
    history.push(refresh((80, 90), THIEF, 3, given(4)));
    refused(&history, None);
}

#[test]
fn a_generation_that_could_never_be_reached_is_refused() {
    refused(&[refresh((0, 10), OWNER, 1, given(5))], None);
}

#[test]
fn two_successors_of_one_generation_are_refused() {
    let two_numbers = [refresh((0, 20), OWNER, 1, given(2)), refresh((1, 21), OWNER, 1, given(3))];
    refused(&two_numbers, None);
    let two_texts = [
        refresh((0, 20), OWNER, 1, given(2)),
        refresh((1, 21), OWNER, 1, Seen::Given(2, "another token 2".into())),
    ];
    assert_eq!(check(&rules(), &two_texts, None), Err(Fault::TwoAnswers(2)));
}

#[test]
fn an_answered_generation_that_vanishes_is_refused() {
    let mut history =
        vec![refresh((0, 10), OWNER, 1, given(2)), refresh((20, 30), OWNER, 2, given(3))];
    refused(&history, Some(End { generation: 2, parent: Some(1), live: true }));
    // The row fell back: what was spent twice over is taken for a retry.
    history.push(refresh((40, 50), OWNER, 1, given(2)));
    refused(&history, None);
}

#[test]
fn an_answer_from_before_its_time_is_refused() {
    // 2 is presented and answered before anybody was given it.
    let history = [refresh((0, 10), OWNER, 2, given(3)), refresh((20, 30), OWNER, 1, given(2))];
    refused(&history, None);
    // The same two, overlapping, are no better: 2 was not there to be sent.
    let history = [refresh((0, 30), OWNER, 2, given(3)), refresh((20, 31), OWNER, 1, given(3))];
    refused(&history, None);
}

#[test]
fn an_end_without_a_reason_is_refused() {
    let history = [refresh((0, 10), OWNER, 1, given(2)), refresh((20, 30), OWNER, 1, Seen::Ended)];
    refused(&history, None);
}

#[test]
fn the_window_counts_where_the_times_leave_no_doubt() {
    let at = |second: u64, answer| {
        let (sent, over) = (second * 1_000, second * 1_000 + 10);
        [refresh((0, 10), OWNER, 1, given(2)), refresh((sent, over), OWNER, 1, answer)]
    };
    accepted(&at(29, given(2)), None);
    refused(&at(29, given(3)), None);
    refused(&at(31, given(2)), None);
    accepted(&at(31, given(3)), None);
    // At the edge nobody knows.
    accepted(&at(30, given(2)), None);
    accepted(&at(30, given(3)), None);
}
