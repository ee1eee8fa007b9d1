//! Whether what many clients saw of one family, all at once, could have come of the same
//! refreshes one after the other: a search for such an order after Wing and Gong, which never
//! looks twice at the same refreshes done with the same row.
//!
//! What a refresh does to the row is not modelled here: it is [`decide`] itself. Each family is
//! searched by itself; a history is linearizable when it is so row by row (Herlihy and Wing).
//!
//! When a request arrived is known only to lie between its sending and its end. Where that
//! leaves open whether the retry window had passed, both are tried; where it doesn't, the
//! window is as strict as in production.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

use perennial::domain::time::Timestamp;
use perennial::domain::token_family::{
    Chain, Decision, EndCause, Given, Lifetime, Policy, Presented, Presenter, Refusal, Status,
    decide,
};

/// Rows and done refreshes that are looked at before the search says that it can't tell.
const LARGEST_SEARCH: usize = 300_000;

/// How far the clocks of servers and clients on one machine may be apart: on Postgres each
/// server goes by the database's, as it measured it.
const CLOCKS: Duration = Duration::from_millis(250);

/// One refresh as its client saw it.
#[derive(Clone, Debug)]
pub struct Operation {
    /// When it was sent, since the beginning of the run.
    pub sent: Duration,
    /// When its answer was there, or its client stopped waiting.
    pub over: Duration,
    /// The wall clock's time when it was sent.
    pub at: Timestamp,
    /// The token.
    pub presented: Presented,
    /// Who presented it.
    pub presenter: Presenter,
    /// What came back.
    pub answer: Seen,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A generation, with all of the answer that a retry must give again.
    Given(u64, String),
    /// It was overtaken: come again.
    Late,
    /// The family ended by reuse, now or before.
    Ended,
    /// No answer, or one that says nothing: it was done now, or later, or not at all.
    Nothing,
}

/// The rules and the row that a history began with.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The row's chain.
    pub chain: Chain,
    /// The row's ends.
    pub lifetime: Lifetime,
    /// The client's rules.
    pub policy: Policy,
}

/// The row that a history ended with, once nobody could write it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The newest generation.
    pub generation: u64,
    /// The one that it was given in exchange for.
    pub parent: Option<u64>,
    /// Whether the family lives.
    pub live: bool,
}

/// Why a history is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A generation was given out as two different answers.
    TwoAnswers(u64),
    /// No order explains it. In words: how far it goes, and what can't follow.
    NoOrder(String),
    /// The search was given up.
    TooLong,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TwoAnswers(n) => write!(f, "generation {n} was given out as two answers"),
            Self::NoOrder(words) => f.write_str(words),
            Self::TooLong => write!(f, "no order within {LARGEST_SEARCH} steps"),
        }
    }
}

/// Looks for an order that explains a family's history. How many steps that took.
///
/// # Errors
/// Why there is none.
pub fn check(rules: &Rules, history: &[Operation], end: Option<End>) -> Result<usize, Fault> {
    one_answer_for_each_generation(history)?;
    let mut operations = history.to_vec();
    operations.sort_by_key(|operation| operation.sent);
    Search::new(rules, &operations, end).run()
}

fn one_answer_for_each_generation(history: &[Operation]) -> Result<(), Fault> {
    let mut answers = BTreeMap::new();
    for operation in history {
        if let Seen::Given(generation, answer) = &operation.answer
            && *answers.entry(*generation).or_insert(answer) != answer
        {
            return Err(Fault::TwoAnswers(*generation));
        }
    }
    Ok(())
}

/// The row.
#[derive(Clone, Debug)]
struct Row {
    chain: Chain,
    status: Status,
}

/// Some refreshes done, in some order, and the row after them.
struct Step {
    done: Vec<bool>,
    row: Row,
}

struct Search<'a> {
    rules: &'a Rules,
    operations: &'a [Operation],
    end: Option<End>,
    /// The rules with a window that surely has passed where it may have, and one that hasn't.
    windows: [Policy; 2],
}

impl<'a> Search<'a> {
    fn new(rules: &'a Rules, operations: &'a [Operation], end: Option<End>) -> Self {
        let longest = operations.iter().map(|operation| operation.over - operation.sent).max();
        // Two times were taken, each with this error.
        let error = 2 * (longest.unwrap_or_default() + CLOCKS);
        let window = rules.policy.retry_window;
        let policy = |retry_window| Policy { retry_window, ..rules.policy };
        let windows = [policy(window.saturating_sub(error)), policy(window + error)];
        Self { rules, operations, end, windows }
    }

    fn run(&self) -> Result<usize, Fault> {
        let row = Row { chain: self.rules.chain.clone(), status: Status::Live };
        let mut open = vec![Step { done: vec![false; self.operations.len()], row }];
        let mut seen = HashSet::new();
        let mut furthest: (usize, String) = (0, String::new());
        while let Some(step) = open.pop() {
            let waiting = self.waiting(&step);
            if !waiting.iter().any(|n| self.operations[*n].answer != Seen::Nothing)
                && self.is_end(&step.row)
            {
                return Ok(seen.len());
            }
            let count = step.done.iter().filter(|done| **done).count();
            if count >= furthest.0 {
                furthest = (count, self.words(&step, &waiting));
            }
            // The last one pushed is looked at first: those without an answer come last.
            let (answered, unanswered): (Vec<usize>, Vec<usize>) =
                waiting.iter().partition(|n| self.operations[**n].answer != Seen::Nothing);
            for n in unanswered.into_iter().chain(answered.into_iter().rev()) {
                for row in self.after(&step.row, &self.operations[n]) {
                    let mut done = step.done.clone();
                    done[n] = true;
                    if seen.insert((done.clone(), format!("{row:?}"))) {
                        open.push(Step { done, row });
                    }
                }
            }
            if seen.len() > LARGEST_SEARCH {
                return Err(Fault::TooLong);
            }
        }
        Err(Fault::NoOrder(furthest.1))
    }

    /// Those that may be next: sent before any other that isn't done was answered.
    fn waiting(&self, step: &Step) -> Vec<usize> {
        let left = || self.operations.iter().enumerate().filter(|(n, _)| !step.done[*n]);
        let first_answer = left()
            .filter(|(_, operation)| operation.answer != Seen::Nothing)
            .map(|(_, operation)| operation.over)
            .min();
        left()
            .filter(|(_, operation)| first_answer.is_none_or(|over| operation.sent <= over))
            .map(|(n, _)| n)
            .collect()
    }

    /// The rows that a refresh may leave, if its answer is one that it may give.
    fn after(&self, row: &Row, operation: &Operation) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for policy in &self.windows {
            let decision = decide(
                &row.chain,
                row.status,
                self.rules.lifetime,
                operation.presented,
                operation.presenter,
                operation.at,
                policy,
            );
            let Some(after) = follow(row, operation, decision) else { continue };
            if !rows.iter().any(|known| known.chain == after.chain && known.status == after.status)
            {
                rows.push(after);
            }
        }
        rows
    }

    fn is_end(&self, row: &Row) -> bool {
        self.end.is_none_or(|end| end == end_of(row))
    }

    fn words(&self, step: &Step, waiting: &[usize]) -> String {
        let next: Vec<&Operation> = waiting.iter().map(|n| &self.operations[*n]).collect();
        let count = step.done.iter().filter(|done| **done).count();
        format!(
            "{count} of {} refreshes have an order; after them the row is {:?}, {:?}; it ended \
             as {:?}, and none of these can be next: {next:#?}",
            self.operations.len(),
            step.row.chain,
            step.row.status,
            self.end,
        )
    }
}

fn end_of(row: &Row) -> End {
    End {
        generation: row.chain.generation,
        parent: row.chain.parent.map(|parent| parent.generation),
        live: row.status == Status::Live,
    }
}

/// The row after a decision, where the client saw what it says. A refresh whose answer nobody
/// saw counts only where it changes the row.
fn follow(row: &Row, operation: &Operation, decision: Decision) -> Option<Row> {
    let unseen = operation.answer == Seen::Nothing;
    match decision {
        // This database loses nothing, so that no token is ahead of it.
        Decision::Give { how: Given::Adopted, .. } => None,
        Decision::Give { chain, .. } => {
            let matches = matches!(operation.answer, Seen::Given(n, _) if n == chain.generation);
            (unseen || matches).then_some(Row { chain, status: row.status })
        }
        Decision::Reuse => {
            let status = Status::Ended { at: operation.at, cause: EndCause::Reuse };
            (unseen || operation.answer == Seen::Ended)
                .then(|| Row { chain: row.chain.clone(), status })
        }
        Decision::Late => (operation.answer == Seen::Late).then(|| row.clone()),
        Decision::Refuse(Refusal::Ended(_, EndCause::Reuse)) => {
            (operation.answer == Seen::Ended).then(|| row.clone())
        }
        Decision::Refuse(_) => None,
    }
}
