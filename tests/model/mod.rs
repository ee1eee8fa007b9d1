//! A model check of rotation: every schedule of a small world, over the very `decide` that the
//! server runs.
//!
//! A world has one family; an app with tabs that share its token; a network that delays, loses,
//! doubles and reorders; nodes that read, decide and write under a guard as separate steps; a
//! database that may fall back to an earlier state; a clock; and perhaps a thief. `holds` says
//! what is true of which world, `faults` that a broken rule is found, `limits` where a claim ends.

mod claims;
mod faults;
mod holds;
mod limits;
mod state;
mod steps;
mod world;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use perennial::domain::token_family::{
    Decision, EndCause, Given, KeyId, Lifetime, Policy, Presenter, Status,
};
use stateright::{Checker, HasDiscoveries, Model as _, Path};

use state::{End, Row, State, Tick, Token, Who, caller, instant, span};
use world::{World, is_large};

/// A walk that takes more steps fails: it would show only a part.
const MOST_STEPS: usize = 400_000_000;

/// A world that stateright can walk through.
pub struct Model {
    world: World,
    counts: Arc<Counts>,
}

/// How often each answer was decided on: a world in which nothing happens proves nothing.
#[derive(Debug, Default)]
pub struct Counts {
    rotated: AtomicU64,
    retried: AtomicU64,
    reissued: AtomicU64,
    adopted: AtomicU64,
    late: AtomicU64,
    reuse: AtomicU64,
    refused: AtomicU64,
}

impl Counts {
    fn count(&self, decision: &Decision) {
        let counter = match decision {
            Decision::Give { how: Given::Rotated { .. }, .. } => &self.rotated,
            Decision::Give { how: Given::Retried, .. } => &self.retried,
            Decision::Give { how: Given::Reissued { .. }, .. } => &self.reissued,
            Decision::Give { how: Given::Adopted, .. } => &self.adopted,
            Decision::Late => &self.late,
            Decision::Reuse => &self.reuse,
            Decision::Refuse(_) => &self.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Model {
    /// What the rule says of a token, as storage asks it.
    fn ask(&self, row: &Row, key: u8, token: Token, from: u8, who: Who, now: Tick) -> Decision {
        let world = &self.world;
        let status = match row.end {
            End::Live => Status::Live,
            End::Reuse => Status::Ended { at: instant(0), cause: EndCause::Reuse },
            End::Revoked => Status::Ended { at: instant(0), cause: EndCause::Admin },
        };
        let recovering = world.failovers.is_some_and(|failovers| failovers.recovery);
        let policy = Policy {
            rotation: world.rotation,
            retry_window: span(world.window),
            current_key: KeyId(u32::from(key)),
            recovery: recovering.then(|| (instant(0), instant(u8::MAX))),
        };
        let proven = match who {
            Who::Thief => world.thief.is_some_and(|thief| thief.proven),
            Who::Tab(_) | Who::Nobody => world.confidential,
        };
        world.rule.decide(
            &row.chain(),
            status,
            Lifetime { idle: span(world.idle), ends_at: None },
            token.presented(),
            Presenter { id: caller(from), proven },
            instant(now),
            &policy,
        )
    }
}

/// What came of a walk through a world.
struct Walk {
    size: String,
    /// Every state was seen.
    complete: bool,
    found: Vec<(&'static str, Path<State, steps::Step>)>,
}

/// Walks through every state of a world, or until one of these claims is refuted.
fn walk(world: World, until: &[&'static str]) -> (Walk, Arc<Counts>) {
    let counts = Arc::new(Counts::default());
    let name = world.name;
    let begin = Instant::now();
    let finish = match until {
        [] => HasDiscoveries::AnyFailures,
        claims => HasDiscoveries::AllOf(claims.iter().copied().collect::<BTreeSet<_>>()),
    };
    let model = Model { world, counts: counts.clone() };
    let builder = model.checker().finish_when(finish).target_state_count(MOST_STEPS);
    // Breadth first finds the shortest run; depth first takes less memory.
    let walk = if is_large() {
        Walk::of(&builder.spawn_dfs().join())
    } else {
        Walk::of(&builder.spawn_bfs().join())
    };
    println!("{name}: {}, {:.1} s", walk.size, begin.elapsed().as_secs_f64());
    (walk, counts)
}

impl Walk {
    fn of(checker: &impl Checker<Model>) -> Self {
        let (states, steps) = (checker.unique_state_count(), checker.state_count());
        Self {
            size: format!("{states} states, {steps} steps, depth {}", checker.max_depth()),
            complete: steps < MOST_STEPS,
            found: checker.discoveries().into_iter().collect(),
        }
    }
}

/// Walks through a world in which all that it claims must hold.
#[track_caller]
fn assert_holds(world: World) -> Arc<Counts> {
    let name = world.name;
    let (walk, counts) = walk(world.of_asked_size(), &[]);
    if let Some((claim, path)) = walk.found.first() {
        panic!("{name}: \"{claim}\" does not hold:\n{}", story(path));
    }
    assert!(walk.complete, "{name}: more than {MOST_STEPS} steps; nothing is shown");
    println!("    {counts:?}");
    counts
}

/// Walks through a world in which this claim must be refuted, and tells how.
#[track_caller]
fn assert_refuted(world: World, claim: &'static str) -> Vec<steps::Step> {
    let name = world.name;
    let world = World { claims: Box::leak(Box::new([claim])), ..world };
    let (mut walk, _) = walk(world, &[claim]);
    let Some((_, path)) = walk.found.pop() else {
        panic!("{name}: no run breaks \"{claim}\"");
    };
    println!("{name} breaks \"{claim}\":\n{}", story(&path));
    path.into_actions()
}

/// The run, step by step, with the row after each.
fn story(path: &Path<State, steps::Step>) -> String {
    let mut lines = Vec::new();
    let mut cause: Option<String> = None;
    for (state, step) in path.clone().into_vec() {
        let row = &state.row;
        lines.push(format!(
            "  {:>3} {:<60} c={} given {} to {} p={:?} known {:b} {:?}; app holds {}",
            state.now,
            cause.unwrap_or_default(),
            row.newest.generation,
            row.given,
            row.given_to,
            row.parent.map(|(generation, _, given)| (generation, given)),
            row.known,
            row.end,
            state.stored.generation,
        ));
        cause = step.map(|step| format!("{step:?}"));
    }
    lines.join("\n")
}
