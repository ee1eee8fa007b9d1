//! The tables that say how rotation answers, in the README and in docs/rotation.md, against
//! `decide` itself. A row is found by its first cell; what the other cells say is held against
//! what the rule answers, so a row that is changed or added fails here until it is true.

use std::collections::BTreeSet;
use std::time::Duration;

use perennial::domain::caller::CallerId;
use perennial::domain::time::Timestamp;
use perennial::domain::token_family::{
    Chain, Decision, EndCause, Given, KeyId, Lifetime, MAX_AHEAD, MAX_LATE, Parent, Policy,
    Presented, Presenter, Refusal, Rotation, Status, decide,
};

const README: &str = include_str!("../README.md");
const ROTATION: &str = include_str!("../docs/rotation.md");
/// Where the rows that never reach the rule are tried over HTTP.
const OVER_HTTP: &str = include_str!("rotation.rs");

const W: i64 = 30;
const HOME: CallerId = CallerId::from_bytes(*b"home....");
const OFFICE: CallerId = CallerId::from_bytes(*b"office..");
const STRANGER: CallerId = CallerId::from_bytes(*b"stranger");

/// c = 20 since 1000 s; p = 19, given out last at 900 s.
const C: u64 = 20;
const P: u64 = 19;
const C_GIVEN: i64 = 1_000;
const P_GIVEN: i64 = 900;

/// The row about tokens that the database has lost.
const AHEAD: &str = "g = c + 1 or c + 2, or in a recovery any g > c of its interval, issued \
     after the row was last written";

/// What is presented to the rule.
#[derive(Clone, Debug)]
struct Situation {
    chain: Chain,
    status: Status,
    presented: Presented,
    presenter: Presenter,
    now: i64,
    recovering: bool,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

/// Generation `g`, presented by HOME at `now` to the family above.
fn present(g: u64, now: i64) -> Situation {
    Situation {
        chain: Chain {
            generation: C,
            key: KeyId(1),
            issued_at: at(C_GIVEN),
            given_at: at(C_GIVEN),
            given_to: HOME,
            parent: Some(Parent { generation: P, key: KeyId(1), given_at: at(P_GIVEN) }),
            known: vec![HOME],
            written_at: at(C_GIVEN),
        },
        status: Status::Live,
        presented: Presented { generation: g, key: KeyId(1), issued_at: at(100) },
        presenter: Presenter { id: HOME, proven: false },
        now,
        recovering: false,
    }
}

impl Situation {
    fn by(mut self, id: CallerId) -> Self {
        self.presenter.id = id;
        self
    }

    fn proven(mut self) -> Self {
        self.presenter.proven = true;
        self
    }

    /// In a recovery of everything since p.
    fn recovering(mut self) -> Self {
        self.recovering = true;
        self
    }

    fn issued(mut self, seconds: i64) -> Self {
        self.presented.issued_at = at(seconds);
        self
    }

    /// c went to this caller.
    fn given_to(mut self, id: CallerId) -> Self {
        self.chain.given_to = id;
        self
    }

    fn known(mut self, callers: &[CallerId]) -> Self {
        self.chain.known = callers.to_vec();
        self
    }

    fn ended(mut self, cause: EndCause) -> Self {
        self.status = Status::Ended { at: at(C_GIVEN), cause };
        self
    }

    fn ask(&self) -> Decision {
        let policy = Policy {
            rotation: Rotation::Resumable,
            retry_window: Duration::from_secs(W as u64),
            current_key: KeyId(1),
            recovery: self.recovering.then(|| (at(P_GIVEN), at(C_GIVEN + 100))),
        };
        let lifetime =
            Lifetime { idle: Duration::from_secs(100_000), ends_at: Some(at(1_000_000)) };
        let Self { chain, status, presented, presenter, now, .. } = self;
        decide(chain, *status, lifetime, *presented, *presenter, at(*now), &policy)
    }
}

/// How a row is tried.
enum Trial {
    /// Each of these, by the rule.
    Rule(Vec<Situation>),
    /// Never reaches the rule: over HTTP, by this test.
    Http(&'static str),
}

/// Every first cell of docs/rotation.md, and what it means.
fn exact_rows() -> Vec<(&'static str, Trial)> {
    let late_from = P - MAX_LATE;
    let overtaken = |g, now| {
        let mut situation = present(g, now);
        if let Some(parent) = &mut situation.chain.parent {
            parent.given_at = at(C_GIVEN - 10);
        }
        situation
    };
    let window_over = C_GIVEN - 10 + W + 1;
    vec![
        (
            "g = c",
            Trial::Rule(vec![
                present(C, C_GIVEN),
                present(C, C_GIVEN + 99_000),
                present(C, C_GIVEN + 5).by(STRANGER),
            ]),
        ),
        (
            "g = p, within W after c was last given out, by a caller that may retry",
            Trial::Rule(vec![
                present(P, C_GIVEN),
                present(P, C_GIVEN + W),
                present(P, C_GIVEN + W).by(STRANGER).proven(),
                present(P, C_GIVEN + W).by(STRANGER).given_to(STRANGER),
                present(P, C_GIVEN + W).given_to(OFFICE).known(&[HOME, OFFICE]),
            ]),
        ),
        (
            "g = p otherwise",
            Trial::Rule(vec![
                present(P, C_GIVEN + W + 1),
                present(P, C_GIVEN + W + 1).proven(),
                present(P, C_GIVEN + 1).by(STRANGER),
                // HOME is known, and c went to somebody who isn't: an alarm.
                present(P, C_GIVEN + 1).given_to(STRANGER),
            ]),
        ),
        (
            "g < p by at most 8, within W after p was last given out",
            Trial::Rule(vec![
                overtaken(P - 1, C_GIVEN),
                overtaken(P - 1, window_over - 1),
                overtaken(late_from, window_over - 1),
                overtaken(late_from, C_GIVEN).by(STRANGER),
            ]),
        ),
        (
            "any other g < c",
            Trial::Rule(vec![
                present(P - 1, C_GIVEN),
                overtaken(P - 1, window_over),
                overtaken(late_from - 1, C_GIVEN),
                present(1, C_GIVEN),
                {
                    // Left behind by a reissue: between p and c.
                    let mut situation = present(P, C_GIVEN);
                    situation.chain.parent =
                        Some(Parent { generation: P - 1, key: KeyId(1), given_at: at(C_GIVEN) });
                    situation
                },
            ]),
        ),
        (
            AHEAD,
            Trial::Rule(vec![
                present(C + 1, C_GIVEN + 100).issued(C_GIVEN + 1),
                present(C + MAX_AHEAD, C_GIVEN + 100).issued(C_GIVEN + 1).by(STRANGER),
                present(C + 1_000, C_GIVEN + 100).issued(C_GIVEN + 1).recovering(),
            ]),
        ),
        (
            "any other g > c",
            Trial::Rule(vec![
                present(C + 1, C_GIVEN + 100).issued(C_GIVEN),
                present(C + MAX_AHEAD + 1, C_GIVEN + 100).issued(C_GIVEN + 1),
                present(C + 1_000, C_GIVEN + 100).issued(C_GIVEN).recovering(),
            ]),
        ),
        (
            "not authentic: forged, truncated, altered, of a family that is gone",
            Trial::Http("what_is_not_authentic_changes_nothing"),
        ),
        (
            "a key that this node doesn't have yet",
            Trial::Http("an_unknown_key_is_asked_to_come_again"),
        ),
        (
            "another client's token",
            Trial::Http("another_clients_token_is_refused_and_does_no_harm"),
        ),
        ("ended or expired", Trial::Rule(over())),
        (
            "the database is busy or gone",
            Trial::Http("a_busy_database_is_asked_again_and_then_the_client"),
        ),
    ]
}

/// The newest, the spent and an old token of a family that is over, in every way.
fn over() -> Vec<Situation> {
    let mut all = Vec::new();
    for g in [C, P, 1, C + 1] {
        for (cause, _) in EndCause::ALL {
            all.push(present(g, C_GIVEN).ended(cause));
        }
        all.push(present(g, C_GIVEN + 100_000));
        all.push(present(g, 1_000_000));
    }
    all
}

/// Every first cell of the README, and the rows of docs/rotation.md that it sums up.
const IN_SHORT: [(&str, &[&str]); 8] = [
    ("c", &["g = c"]),
    (
        "p again, within W, from the same caller",
        &["g = p, within W after c was last given out, by a caller that may retry"],
    ),
    ("p again, later or from elsewhere", &["g = p otherwise"]),
    (
        "one before p, overtaken by its own retry",
        &["g < p by at most 8, within W after p was last given out"],
    ),
    ("any older one", &["any other g < c"]),
    ("one that the database has lost in a failover, or, in a recovery, in a restore", &[AHEAD]),
    (
        "forged, altered, another app's",
        &[
            "not authentic: forged, truncated, altered, of a family that is gone",
            "another client's token",
        ],
    ),
    ("one of an ended session", &["ended or expired"]),
];

/// The cells of each row of the first table below the line that begins with `heading`.
fn table<'a>(text: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    text.lines()
        .skip_while(|line| !line.starts_with(heading))
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

/// What a cell says by its first bold word, or as a whole.
fn word(cell: &str) -> &str {
    cell.split("**").nth(1).unwrap_or(cell)
}

/// Holds a decision against the answer's cell and the row's cell of docs/rotation.md.
fn assert_exact(situation: &Situation, answer: &str, row: &str) {
    let decision = situation.ask();
    let told = match &decision {
        Decision::Give { how: Given::Rotated { .. }, .. } => "rotate",
        Decision::Give { how: Given::Retried, .. } => "retry",
        Decision::Give { how: Given::Reissued { .. }, .. } => "reissue",
        Decision::Give { how: Given::Adopted, .. } => "ahead",
        Decision::Late => "late",
        Decision::Reuse => "reuse",
        Decision::Refuse(_) => "`invalid_grant`",
    };
    assert!(word(answer).starts_with(told), "\"{answer}\", but {decision:?} for {situation:?}");
    if let Decision::Give { how: Given::Reissued { alarm }, .. } = decision {
        let stranger = !situation.chain.known.contains(&situation.chain.given_to)
            && situation.chain.given_to != situation.presenter.id;
        assert!(
            answer.contains("An alarm when it had gone to a caller that the family didn't know")
        );
        assert_eq!(alarm, stranger, "{situation:?}");
    }
    match row {
        "unchanged" => assert!(matches!(decision, Decision::Late | Decision::Refuse(_))),
        "ended" => assert_eq!(decision, Decision::Reuse),
        "the window starts anew" => {
            let Decision::Give { chain, .. } = decision else { panic!("{decision:?}") };
            let now = at(situation.now);
            let anew = Chain { given_at: now, written_at: now, ..situation.chain.clone() };
            assert_eq!(chain, anew);
        }
        assignments => {
            let Decision::Give { chain, .. } = decision else { panic!("{decision:?}") };
            assert_eq!(
                (chain.parent.map(|parent| parent.generation), chain.generation),
                assigned(assignments, situation.presented.generation),
                "\"{assignments}\" for {situation:?}"
            );
        }
    }
}

/// p and c after "p := c, c := c + 1" and its like.
fn assigned(assignments: &str, g: u64) -> (Option<u64>, u64) {
    let (mut p, mut c) = (P, C);
    for part in assignments.split(", ") {
        let value = |name: &str| match name {
            "c" => C,
            "c + 1" => C + 1,
            "g" => g,
            "g + 1" => g + 1,
            other => panic!("\"{other}\" in \"{assignments}\""),
        };
        match part.split_once(" := ") {
            Some(("p", name)) => p = value(name),
            Some(("c", name)) => c = value(name),
            _ => assert_eq!(part, "p stays", "in \"{assignments}\""),
        }
    }
    (Some(p), c)
}

/// Holds a decision against the cells of the README.
fn assert_in_short(situation: &Situation, gets: &str, session: &str) {
    let decision = situation.ask();
    let c = situation.chain.generation.max(situation.presented.generation);
    match (gets, &decision) {
        ("the next token", Decision::Give { chain, .. })
        | ("the next token; the one between is dead", Decision::Give { chain, .. }) => {
            assert_eq!(chain.generation, c + 1);
            if gets.contains("dead") {
                let between = Situation {
                    presented: Presented { generation: c, ..situation.presented },
                    chain: chain.clone(),
                    ..situation.clone()
                };
                assert_eq!(between.ask(), Decision::Reuse);
            }
        }
        ("the same answer again", Decision::Give { chain, .. }) => {
            assert_eq!((chain.generation, chain.issued_at), (C, situation.chain.issued_at));
        }
        ("`503`, `Retry-After`", Decision::Late) | ("`invalid_grant`", Decision::Reuse) => {}
        ("`invalid_grant` with the reason", Decision::Refuse(refusal)) => {
            assert!(matches!(refusal, Refusal::Ended(..) | Refusal::Expired(_)), "{refusal:?}");
        }
        _ => panic!("\"{gets}\", but {decision:?} for {situation:?}"),
    }
    let event =
        matches!(decision, Decision::Give { how: Given::Reissued { .. } | Given::Adopted, .. });
    match session {
        "goes on" => assert!(
            !event && matches!(decision, Decision::Give { .. } | Decision::Late),
            "{decision:?}"
        ),
        "goes on, with an event" | "goes on, with an event, or an alarm" => assert!(event),
        "**ends**: two holders" => assert_eq!(decision, Decision::Reuse),
        "has ended" => assert!(matches!(decision, Decision::Refuse(_))),
        other => panic!("nobody knows what \"{other}\" means"),
    }
}

/// A row that never reaches the rule has its test over HTTP, which asks for what the cell says.
fn assert_over_http(name: &str, answer: &str, row: &str) {
    let test = OVER_HTTP
        .split(&format!("async fn {name}("))
        .nth(1)
        .unwrap_or_else(|| panic!("tests/rotation.rs has no {name}"));
    let test = test.split("async fn ").next().unwrap();
    let asked = if answer.contains("503") { "503" } else { "refused(400, \"invalid_grant\")" };
    assert!(test.contains(asked), "{name} does not ask for \"{answer}\"");
    assert!(["unchanged", "untouched"].contains(&row), "{row}");
}

#[test]
fn the_exact_table_is_what_the_rule_does() {
    let rows = table(ROTATION, "| presented |");
    let known = exact_rows();
    let written: Vec<&str> = rows.iter().map(|cells| cells[0]).collect();
    assert_eq!(written, known.iter().map(|(cell, _)| *cell).collect::<Vec<_>>());
    for (cells, (_, trial)) in rows.iter().zip(&known) {
        match trial {
            Trial::Rule(situations) => {
                for situation in situations {
                    assert_exact(situation, cells[1], cells[2]);
                }
            }
            Trial::Http(name) => assert_over_http(name, cells[1], cells[2]),
        }
    }
}

#[test]
fn the_readmes_table_is_what_the_rule_does() {
    let rows = table(README, "## How rotation answers each case");
    let exact = exact_rows();
    let written: Vec<&str> = rows.iter().map(|cells| cells[0]).collect();
    assert_eq!(written, IN_SHORT.iter().map(|(cell, _)| *cell).collect::<Vec<_>>());
    for (cells, (_, sums_up)) in rows.iter().zip(IN_SHORT) {
        for exact_cell in sums_up {
            let (_, trial) = exact.iter().find(|(cell, _)| cell == exact_cell).unwrap();
            match trial {
                Trial::Rule(situations) => {
                    for situation in situations {
                        assert_in_short(situation, cells[1], cells[2]);
                    }
                }
                Trial::Http(name) => assert_over_http(name, cells[1], cells[2]),
            }
        }
    }
}

/// The numbers in the prose are the rule's.
#[test]
fn the_numbers_beside_the_table_are_the_rules() {
    let exact: BTreeSet<&str> = exact_rows().into_iter().map(|(cell, _)| cell).collect();
    assert!(exact.iter().any(|cell| cell.contains(&format!("by at most {MAX_LATE},"))));
    assert!(exact.iter().any(|cell| cell.contains(&format!("c + {MAX_AHEAD},"))));
    assert!(ROTATION.contains(&format!("**W** is the retry window, {W} seconds")));
    assert!(README.contains(&format!("**W** {W} seconds")));
    assert_eq!(perennial::settings::Settings::default().tokens.retry_window.as_secs(), W as u64);
}
