//! What is claimed, as properties of every reachable state.

use perennial::domain::token_family::{Decision, Given, MAX_LATE, Rotation};
use stateright::Property;

use super::Model;
use super::state::{Content, End, HOME, State, Token, Who};

/// Property 1: at most one live successor.
pub const ONE_SUCCESSOR: &str = "one live successor";
/// Property 3: honest clients alone never end a family.
pub const HONEST_LIVE_ON: &str = "honest clients alone end nothing";
/// Property 4: two holders end the family by the fourth turn; when strict, by the second.
pub const THEFT_ENDS: &str = "two holders end it by the fourth turn";
/// The rule behind the table.
pub const NO_EMPTY_REFUSAL: &str = "no refusal while the family lives";
/// What has ended answers no more.
pub const ENDED_IS_MUTE: &str = "an ended family never answers";
/// Whoever keeps asking, alone, is answered.
pub const ANSWER_COMES: &str = "who keeps asking is answered";
/// Nobody can have an app put off for ever, however often they rotate themselves.
pub const NOT_PUT_OFF: &str = "503 does not go on for ever";

/// All of them.
pub const ALL: &[&str] = &[
    ONE_SUCCESSOR,
    HONEST_LIVE_ON,
    THEFT_ENDS,
    NO_EMPTY_REFUSAL,
    ENDED_IS_MUTE,
    ANSWER_COMES,
    NOT_PUT_OFF,
];

type Claim = fn(&Model, &State) -> bool;

/// The named ones.
pub fn properties(claims: &[&str]) -> Vec<Property<Model>> {
    let all: [(&'static str, Claim); 7] = [
        (ONE_SUCCESSOR, one_successor),
        (HONEST_LIVE_ON, |model, state| {
            model.world.thief.is_some() || (state.row.end != End::Reuse && !told_off(model, state))
        }),
        (THEFT_ENDS, |model, state| {
            let strict = model.world.rotation == Rotation::Strict;
            let turns = if strict { 2 } else { 4 };
            state.row.end != End::Live || state.seen.turns < turns
        }),
        (NO_EMPTY_REFUSAL, |_, state| !state.seen.refused_alive),
        (ENDED_IS_MUTE, |_, state| !state.seen.answered_ended),
        (ANSWER_COMES, answer_comes),
        (NOT_PUT_OFF, |model, state| {
            let bound = (u8::try_from(MAX_LATE).unwrap() + 1) * model.world.window;
            state.seen.late.is_none_or(|(first, last)| last - first <= bound)
        }),
    ];
    all.into_iter()
        .filter(|(name, _)| claims.contains(name))
        .map(|(name, condition)| Property::always(name, condition))
        .collect()
}

/// Signed out without a revocation and before the idle end, by the row or by its own token.
fn told_off(model: &Model, state: &State) -> bool {
    let used = state.row.given.max(state.stored.issued);
    state.signed_out
        && state.row.end != End::Revoked
        && state.now < used.saturating_add(model.world.idle)
}

/// Every token that somebody holds or carries.
fn tokens(state: &State) -> impl Iterator<Item = Token> {
    let answers = state.answers.iter().filter_map(|answer| match answer.content {
        Content::Token(token) => Some(token),
        Content::Late | Content::Refused => None,
    });
    let requests = state.network.iter().map(|request| request.token);
    let stored = std::iter::once(state.stored);
    stored.chain(answers).chain(requests).chain(state.thief.iter().copied())
}

/// Of all tokens that are out, those that would go on without more ado are one and the same.
///
/// Where commits were lost, two of the same number count as one, since the rule takes them for
/// one; and once a request was carried out after the loss, no token of the lost branch is
/// adopted beside it.
fn one_successor(model: &Model, state: &State) -> bool {
    let mut newest: Option<Token> = None;
    for token in tokens(state) {
        let asked = model.ask(&state.row, state.key, token, HOME, Who::Tab(0), state.now);
        let Decision::Give { how, .. } = asked else { continue };
        match how {
            Given::Rotated { .. } => {
                let same = newest.is_none_or(|other| {
                    other == token
                        || (state.seen.lost_commits && other.generation == token.generation)
                });
                if !same {
                    return false;
                }
                newest = Some(token);
            }
            Given::Adopted if !state.seen.lost_commits || state.seen.written_since => return false,
            Given::Adopted | Given::Retried | Given::Reissued { .. } => {}
        }
    }
    true
}

/// From here on the app alone asks, once a tick: it gets a token or learns of the end before
/// the windows have passed.
fn answer_comes(model: &Model, state: &State) -> bool {
    if state.signed_out {
        return true;
    }
    let caller = model.world.tabs[0];
    (0..=model.world.window + 1).any(|wait| {
        let now = state.now + wait;
        let asked = model.ask(&state.row, state.key, state.stored, caller, Who::Tab(0), now);
        asked != Decision::Late
    })
}
