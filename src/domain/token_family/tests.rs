use proptest::prelude::*;

use super::*;

const W: Duration = Duration::from_secs(30);
const HOME: CallerId = CallerId::from_bytes(*b"home....");
const WORK: CallerId = CallerId::from_bytes(*b"work....");
const STRANGER: CallerId = CallerId::from_bytes(*b"stranger");

fn policy() -> Policy {
    Policy { rotation: Rotation::Resumable, retry_window: W, current_key: KeyId(1), recovery: None }
}

fn lifetime() -> Lifetime {
    Lifetime { idle: Duration::from_secs(3600), ends_at: Some(at(100_000)) }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn first() -> Chain {
    Chain {
        generation: 1,
        key: KeyId(1),
        issued_at: at(0),
        given_at: at(0),
        given_to: HOME,
        parent: None,
        known: vec![],
        written_at: at(0),
    }
}

fn token(chain: &Chain) -> Presented {
    Presented { generation: chain.generation, key: chain.key, issued_at: chain.issued_at }
}

fn old(generation: u64) -> Presented {
    Presented { generation, key: KeyId(1), issued_at: at(0) }
}

fn from(id: CallerId) -> Presenter {
    Presenter { id, proven: false }
}

fn ask(chain: &Chain, presented: Presented, presenter: Presenter, seconds: i64) -> Decision {
    decide(chain, Status::Live, lifetime(), presented, presenter, at(seconds), &policy())
}

fn given(decision: Decision) -> (Given, Chain) {
    match decision {
        Decision::Give { how, chain } => (how, chain),
        other => panic!("expected an answer, got {other:?}"),
    }
}

/// A chain at generation `n`, refreshed by HOME once a minute.
fn at_generation(n: u64) -> Chain {
    let mut chain = first();
    while chain.generation < n {
        let seconds = i64::try_from(chain.generation).unwrap() * 60;
        chain = given(ask(&chain, token(&chain), from(HOME), seconds)).1;
    }
    chain
}

#[test]
fn the_newest_token_rotates() {
    let (how, chain) = given(ask(&first(), token(&first()), from(HOME), 60));
    assert_eq!(how, Given::Rotated { new_caller: false });
    assert_eq!(chain.generation, 2);
    assert_eq!(chain.parent.map(|p| p.generation), Some(1));
    assert_eq!(chain.issued_at, at(60));
}

#[test]
fn the_same_caller_gets_the_same_answer_again_within_the_window() {
    let chain = at_generation(3);
    let (how, again) = given(ask(&chain, old(2), from(HOME), 150));
    assert_eq!(how, Given::Retried);
    assert_eq!((again.generation, again.issued_at), (chain.generation, chain.issued_at));
    assert_eq!(again.given_at, at(150), "and the window starts anew");
}

#[test]
fn after_the_window_the_answer_is_reissued_and_the_one_between_is_dead() {
    let chain = at_generation(3);
    let (how, reissued) = given(ask(&chain, old(2), from(HOME), 151));
    assert_eq!(how, Given::Reissued { alarm: false });
    assert_eq!((reissued.generation, reissued.parent), (4, chain.parent));
    assert_eq!(ask(&reissued, old(3), from(HOME), 152), Decision::Reuse);
}

#[test]
fn a_stranger_inside_the_window_splits_from_the_holder_and_raises_the_alarm() {
    // The stranger was first: it spent the token, and the holder comes after.
    let chain = at_generation(3);
    let (_, stolen) = given(ask(&chain, token(&chain), from(STRANGER), 200));
    let (how, split) = given(ask(&stolen, old(3), from(HOME), 205));
    assert_eq!(how, Given::Reissued { alarm: true });
    assert_eq!(ask(&split, token(&stolen), from(STRANGER), 210), Decision::Reuse);
}

#[test]
fn two_known_callers_may_retry_for_each_other() {
    let chain = at_generation(3);
    let (_, chain) = given(ask(&chain, token(&chain), from(WORK), 200));
    let (_, chain) = given(ask(&chain, token(&chain), from(HOME), 260));
    let (_, chain) = given(ask(&chain, token(&chain), from(WORK), 320));
    let (how, _) = given(ask(&chain, old(5), from(HOME), 325));
    assert_eq!(how, Given::Retried);
}

#[test]
fn an_authenticated_client_may_retry_from_anywhere() {
    let chain = at_generation(3);
    let anywhere = Presenter { id: STRANGER, proven: true };
    assert_eq!(given(ask(&chain, old(2), anywhere, 130)).0, Given::Retried);
}

#[test]
fn one_before_the_parent_is_late_within_the_window_and_reuse_after() {
    let chain = at_generation(3);
    // Generation 2 was last given out at 60 s.
    assert_eq!(ask(&chain, old(1), from(HOME), 90), Decision::Late);
    assert_eq!(ask(&chain, old(1), from(HOME), 121), Decision::Reuse);
}

#[test]
fn a_token_that_many_others_came_after_is_not_late() {
    // All at once: the window alone would let a quick thief put off an old token for ever.
    let mut chain = first();
    while chain.generation < 20 {
        chain = given(ask(&chain, token(&chain), from(STRANGER), 1)).1;
    }
    let parent = chain.parent.unwrap().generation;
    assert_eq!(ask(&chain, old(parent - MAX_LATE), from(HOME), 2), Decision::Late);
    assert_eq!(ask(&chain, old(parent - MAX_LATE - 1), from(HOME), 2), Decision::Reuse);
}

#[test]
fn strict_takes_every_second_use_for_reuse() {
    let chain = at_generation(3);
    let strict = Policy { rotation: Rotation::Strict, ..policy() };
    for generation in [1, 2] {
        let answer = decide(
            &chain,
            Status::Live,
            lifetime(),
            old(generation),
            from(HOME),
            chain.given_at,
            &strict,
        );
        assert_eq!(answer, Decision::Reuse, "generation {generation}");
    }
}

#[test]
fn sender_constrained_answers_a_spent_token_only_with_proof() {
    let chain = at_generation(3);
    let bound = Policy { rotation: Rotation::SenderConstrained, ..policy() };
    let answer =
        |presenter| decide(&chain, Status::Live, lifetime(), old(2), presenter, at(130), &bound);
    assert_eq!(answer(from(HOME)), Decision::Reuse);
    assert_eq!(given(answer(Presenter { id: HOME, proven: true })).0, Given::Retried);
}

#[test]
fn a_token_ahead_of_the_row_is_adopted_when_it_is_newer_than_the_row() {
    let chain = at_generation(3);
    for distance in [1, 2] {
        let newer = Presented { generation: 3 + distance, key: KeyId(1), issued_at: at(300) };
        let (how, adopted) = given(ask(&chain, newer, from(HOME), 400));
        assert_eq!(how, Given::Adopted);
        assert_eq!(adopted.generation, 4 + distance);
        assert_eq!(adopted.parent.map(|p| p.generation), Some(3 + distance));
    }
    let older = Presented { generation: 4, key: KeyId(1), issued_at: chain.written_at };
    assert_eq!(ask(&chain, older, from(HOME), 400), Decision::Reuse);
    let far = Presented { generation: 6, key: KeyId(1), issued_at: at(300) };
    assert_eq!(ask(&chain, far, from(HOME), 400), Decision::Reuse);
    let recovery = Policy { recovery: Some((at(250), at(350))), ..policy() };
    let recovered = decide(&chain, Status::Live, lifetime(), far, from(HOME), at(400), &recovery);
    assert_eq!(given(recovered).0, Given::Adopted);
}

#[test]
fn a_token_of_a_lost_branch_makes_nobody_known() {
    // Commits were lost, a thief got 4 again from 3, and the holder still has the lost 4.
    let chain = at_generation(3);
    let (_, stolen) = given(ask(&chain, token(&chain), from(STRANGER), 400));
    let lost = Presented { generation: 4, key: KeyId(1), issued_at: at(300) };
    let (how, chain) = given(ask(&stolen, lost, from(HOME), 410));
    assert_eq!(how, Given::Rotated { new_caller: false });
    assert!(!chain.known.contains(&STRANGER));
    // So the two part at once, and the next use of what was left behind ends it.
    let (how, parted) = given(ask(&chain, token(&stolen), from(STRANGER), 415));
    assert_eq!(how, Given::Reissued { alarm: false });
    assert_eq!(ask(&parted, token(&chain), from(HOME), 420), Decision::Reuse);
}

/// A limit that docs/threat-model.md admits: the row doesn't know when p was issued.
#[test]
fn a_thief_that_refreshes_twice_after_lost_commits_is_known_to_the_holder_of_a_lost_token() {
    let chain = at_generation(3);
    let (_, stolen) = given(ask(&chain, token(&chain), from(STRANGER), 400));
    let (_, stolen) = given(ask(&stolen, token(&stolen), from(STRANGER), 401));
    let lost = Presented { generation: 4, key: KeyId(1), issued_at: at(300) };
    let (how, shared) = given(ask(&stolen, lost, from(HOME), 410));
    assert_eq!((how, token(&shared)), (Given::Retried, token(&stolen)));
}

#[test]
fn a_token_ahead_may_carry_the_key_of_the_row_or_the_current_one() {
    let chain = at_generation(3);
    let policy = Policy { current_key: KeyId(2), ..policy() };
    let answer = |key| {
        let newer = Presented { generation: 4, key: KeyId(key), issued_at: at(300) };
        decide(&chain, Status::Live, lifetime(), newer, from(HOME), at(400), &policy)
    };
    for key in [1, 2] {
        let (how, adopted) = given(answer(key));
        assert_eq!((how, adopted.key), (Given::Adopted, KeyId(2)));
        assert_eq!(adopted.parent.map(|parent| parent.key), Some(KeyId(key)));
    }
    assert_eq!(answer(3), Decision::Refuse(Refusal::WrongKey));
}

#[test]
fn a_token_under_a_replaced_key_changes_nothing() {
    let chain = at_generation(3);
    for generation in [2, 3] {
        let forged = Presented { generation, key: KeyId(9), issued_at: at(300) };
        assert_eq!(ask(&chain, forged, from(HOME), 130), Decision::Refuse(Refusal::WrongKey));
    }
    let forged = Presented { generation: 4, key: KeyId(9), issued_at: at(300) };
    assert_eq!(ask(&chain, forged, from(HOME), 400), Decision::Refuse(Refusal::WrongKey));
}

#[test]
fn an_ended_family_says_what_ended_it() {
    let chain = at_generation(3);
    let ended = Status::Ended { at: at(125), cause: EndCause::Admin };
    let answer = decide(&chain, ended, lifetime(), token(&chain), from(HOME), at(130), &policy());
    assert_eq!(answer, Decision::Refuse(Refusal::Ended(at(125), EndCause::Admin)));
}

#[test]
fn both_ends_come_by_themselves_and_rotation_moves_only_the_idle_one() {
    let chain = at_generation(3);
    assert_eq!(
        ask(&chain, token(&chain), from(HOME), 120 + 3600),
        Decision::Refuse(Refusal::Expired(Expiry::Unused))
    );
    assert_eq!(
        ask(&chain, token(&chain), from(HOME), 100_000),
        Decision::Refuse(Refusal::Expired(Expiry::ReachedEnd))
    );
    assert_eq!(lifetime().next_end(at(99_000)), at(100_000));
}

#[test]
fn the_list_of_known_callers_stays_short() {
    let mut chain = first();
    for n in 0..40u8 {
        let caller = CallerId::from_bytes([n; 8]);
        chain = given(ask(&chain, token(&chain), from(caller), 60 * i64::from(n))).1;
    }
    assert_eq!(chain.known.len(), MAX_KNOWN_CALLERS);
}

fn any_caller() -> impl Strategy<Value = CallerId> {
    prop_oneof![Just(HOME), Just(WORK), Just(STRANGER)]
}

fn any_instant() -> impl Strategy<Value = Timestamp> {
    prop_oneof![any::<i64>(), -200_000i64..200_000].prop_map(Timestamp::from_millis)
}

fn any_number() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..8, any::<u64>(), Just(u64::MAX)]
}

fn any_span() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::MAX),
        (0u64..200_000).prop_map(Duration::from_millis),
        any::<Duration>(),
    ]
}

fn any_key() -> impl Strategy<Value = KeyId> {
    (0u32..3).prop_map(KeyId)
}

prop_compose! {
    fn any_parent()(
        generation in any_number(), key in any_key(), given_at in any_instant(),
    ) -> Parent {
        Parent { generation, key, given_at }
    }
}

prop_compose! {
    /// Any row that could be read, a corrupt one too.
    fn any_chain()(
        generation in any_number(),
        key in any_key(),
        near in prop::option::of(0u64..12),
        parent in prop::option::of(any_parent()),
        instants in [any_instant(), any_instant(), any_instant()],
        given_to in any_caller(),
        known in prop::collection::vec(any_caller(), 0..=MAX_KNOWN_CALLERS),
    ) -> Chain {
        let parent = parent.map(|parent| match near {
            Some(back) => Parent { generation: generation.saturating_sub(back), ..parent },
            None => parent,
        });
        Chain {
            generation,
            key,
            issued_at: instants[0],
            given_at: instants[1],
            given_to,
            parent,
            known,
            written_at: instants[2],
        }
    }
}

prop_compose! {
    fn any_policy()(
        rotation in 0usize..3,
        retry_window in any_span(),
        current_key in any_key(),
        recovery in prop::option::of((any_instant(), any_instant())),
    ) -> Policy {
        Policy { rotation: Rotation::ALL[rotation].0, retry_window, current_key, recovery }
    }
}

fn any_status() -> impl Strategy<Value = Status> {
    prop_oneof![
        4 => Just(Status::Live),
        1 => (any_instant(), 0..EndCause::ALL.len())
            .prop_map(|(at, cause)| Status::Ended { at, cause: EndCause::ALL[cause].0 }),
    ]
}

prop_compose! {
    fn any_lifetime()(
        idle in any_span(), ends_at in prop::option::of(any_instant()),
    ) -> Lifetime {
        Lifetime { idle, ends_at }
    }
}

prop_compose! {
    /// A token near the chain's generations, or any at all.
    fn any_presented()(
        near in prop::option::of(0u64..14),
        generation in any_number(),
        key in any_key(),
        issued_at in any_instant(),
    ) -> (Option<u64>, Presented) {
        (near, Presented { generation, key, issued_at })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// No row, token, clock or policy makes the rule panic, and every answer has its shape.
    #[test]
    fn decide_is_total_and_its_answers_keep_their_shape(
        chain in any_chain(),
        status in any_status(),
        lifetime in any_lifetime(),
        (near, presented) in any_presented(),
        id in any_caller(),
        proven in any::<bool>(),
        now in any_instant(),
        policy in any_policy(),
    ) {
        let generation = near.map_or(presented.generation, |near| {
            chain.generation.saturating_sub(10).saturating_add(near)
        });
        let presented = Presented { generation, ..presented };
        let presenter = Presenter { id, proven };
        let ask = || decide(&chain, status, lifetime, presented, presenter, now, &policy);
        let answer = ask();
        prop_assert_eq!(&answer, &ask(), "the same question, the same answer");
        if let Status::Ended { at, cause } = status {
            prop_assert_eq!(answer, Decision::Refuse(Refusal::Ended(at, cause)));
            return Ok(());
        }
        let (how, new) = match answer {
            Decision::Give { how, chain } => (how, chain),
            Decision::Reuse => {
                prop_assert_ne!(generation, chain.generation, "the newest is never reuse");
                return Ok(());
            }
            Decision::Late => {
                prop_assert!(generation < chain.parent.map_or(0, |parent| parent.generation));
                prop_assert_ne!(policy.rotation, Rotation::Strict);
                return Ok(());
            }
            Decision::Refuse(refusal) => {
                // A token ahead of its row proves that the family was used since.
                let ahead = generation > chain.generation;
                let used_at = if ahead { chain.given_at.max(presented.issued_at) } else { chain.given_at };
                let expired = lifetime.passed(used_at, now);
                prop_assert_eq!(
                    refusal, expired.map_or(Refusal::WrongKey, Refusal::Expired)
                );
                return Ok(());
            }
        };
        // Nothing goes back, whatever the clock does, and nothing grows without end.
        prop_assert!(new.generation >= chain.generation);
        prop_assert!(new.issued_at >= chain.issued_at);
        prop_assert!(new.written_at >= chain.written_at);
        prop_assert!(new.given_at >= new.issued_at || how == Given::Retried);
        prop_assert!(new.known.len() <= MAX_KNOWN_CALLERS);
        let second_use = matches!(how, Given::Retried | Given::Reissued { .. });
        if second_use {
            prop_assert_eq!(Some(generation), chain.parent.map(|parent| parent.generation));
            prop_assert_ne!(policy.rotation, Rotation::Strict);
            prop_assert!(proven || policy.rotation != Rotation::SenderConstrained);
        }
        if how == Given::Retried {
            prop_assert!(new.given_at >= chain.given_at);
            let same =
                Chain { given_at: chain.given_at, written_at: chain.written_at, ..new.clone() };
            prop_assert_eq!(same, chain);
            return Ok(());
        }
        prop_assert_eq!((new.key, new.given_to, new.given_at), (policy.current_key, id, new.issued_at));
        let spent =
            Parent { generation: chain.generation, key: chain.key, given_at: chain.given_at };
        let adopted =
            Parent { generation, key: presented.key, given_at: presented.issued_at };
        let (newest, parent) = match how {
            Given::Rotated { .. } => (chain.generation, Some(spent)),
            Given::Reissued { .. } => (chain.generation, chain.parent),
            _ => (generation, Some(adopted)),
        };
        prop_assert_eq!((new.generation, new.parent), (newest.saturating_add(1), parent));
    }

    /// Whatever comes in which order at whichever clock: a family made by the rule keeps its
    /// parent below its newest, and no generation is given out twice.
    #[test]
    fn no_run_gives_a_generation_twice(
        steps in prop::collection::vec(
            (0u64..6, any_caller(), any::<bool>(), -60_000i64..120_000), 1..60,
        ),
        policy in any_policy(),
    ) {
        let lifetime = Lifetime { idle: Duration::MAX, ends_at: None };
        let (mut chain, mut now) = (first(), 0i64);
        for (back, id, proven, passed) in steps {
            now += passed;
            let generation = chain.generation.saturating_sub(back);
            let presented = Presented { generation, key: chain.key, issued_at: at(0) };
            let policy = Policy { current_key: chain.key, ..policy };
            let answer = decide(
                &chain, Status::Live, lifetime, presented, Presenter { id, proven },
                Timestamp::from_millis(now), &policy,
            );
            if let Decision::Give { how, chain: new } = answer {
                prop_assert_eq!(new.generation, chain.generation + u64::from(how != Given::Retried));
                prop_assert!(new.parent.is_some_and(|parent| parent.generation < new.generation));
                chain = new;
            }
        }
    }
}

proptest! {
    /// A row that was written after a token was issued is never gone over: not by one that is a
    /// single generation ahead, and not in the widest recovery.
    #[test]
    fn what_is_older_than_the_row_is_never_adopted(
        chain in any_chain(),
        ahead in prop_oneof![1u64..4, any::<u64>()],
        age in prop_oneof![0i64..3, 0..i64::MAX],
        id in any_caller(),
        proven in any::<bool>(),
        now in any_instant(),
        rotation in 0usize..3,
    ) {
        let generation = chain.generation.saturating_add(ahead);
        prop_assume!(generation > chain.generation);
        let always = Some((Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX)));
        let policy = Policy { rotation: Rotation::ALL[rotation].0, recovery: always, ..policy() };
        let issued_at = Timestamp::from_millis(chain.written_at.as_millis().saturating_sub(age));
        let presented = Presented { generation, key: chain.key, issued_at };
        let lifetime = Lifetime { idle: Duration::MAX, ends_at: None };
        if lifetime.passed(chain.given_at.max(issued_at), now).is_some() {
            return Ok(());
        }
        let judge = |presented| decide(
            &chain, Status::Live, lifetime, presented, Presenter { id, proven }, now, &policy,
        );
        prop_assert_eq!(judge(presented), Decision::Reuse);

        // The same token, issued after the row was written, is adopted from any distance.
        prop_assume!(chain.written_at < Timestamp::from_millis(i64::MAX));
        let newer = Timestamp::from_millis(chain.written_at.as_millis() + 1);
        let (how, adopted) = given(judge(Presented { issued_at: newer, ..presented }));
        prop_assert_eq!(how, Given::Adopted);
        prop_assert_eq!(adopted.parent.map(|parent| parent.generation), Some(generation));
        // And then never again.
        let again = decide(
            &adopted, Status::Live, lifetime,
            Presented { generation: adopted.generation.saturating_add(1), issued_at: newer, ..presented },
            Presenter { id, proven }, now, &policy,
        );
        prop_assert!(adopted.generation == u64::MAX || again == Decision::Reuse);
    }
}

#[test]
fn a_token_ahead_tells_that_the_session_was_used_since() {
    let chain = at_generation(3);
    let idle_end = 120 + 3600;
    let ahead = Presented { generation: 4, key: KeyId(1), issued_at: at(idle_end - 60) };
    assert_eq!(given(ask(&chain, ahead, from(HOME), idle_end + 60)).0, Given::Adopted);
    // By its own time it may have expired as well; the absolute end stays what it was.
    let much_later = idle_end - 60 + 3600;
    assert_eq!(
        ask(&chain, ahead, from(HOME), much_later),
        Decision::Refuse(Refusal::Expired(Expiry::Unused))
    );
    assert_eq!(
        ask(&chain, Presented { issued_at: at(99_999), ..ahead }, from(HOME), 100_000),
        Decision::Refuse(Refusal::Expired(Expiry::ReachedEnd))
    );
}
