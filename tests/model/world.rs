//! What may happen in a world, how much of it, and how far it is followed.

use perennial::domain::token_family::Rotation;

use super::faults::Rule;
use super::state::{HOME, Tick, WORK};

/// The thief's means.
#[derive(Clone, Copy, Debug)]
pub struct Thief {
    /// Where it can present tokens from.
    pub callers: &'static [u8],
    /// How often it copies what the app holds or is sent.
    pub copies: u8,
    /// Whether it can drop answers to the app.
    pub drops_answers: bool,
    /// Whether it keeps only its newest token, and uses it at most once in one instant.
    pub steady: bool,
    /// Whether it can prove that it is the app (a stolen client secret).
    pub proven: bool,
}

/// How the database may lose commits.
#[derive(Clone, Copy, Debug)]
pub struct Failovers {
    /// How often.
    pub count: u8,
    /// How many generations at once.
    pub lag: u8,
    /// Whether no request is under way at that moment.
    pub quiet: bool,
    /// Whether an administrator opened a recovery over all of it.
    pub recovery: bool,
}

/// A world.
#[derive(Clone, Debug)]
pub struct World {
    /// Its name in what is printed.
    pub name: &'static str,
    /// The rule: the product's own, or one that is broken on purpose.
    pub rule: Rule,
    pub rotation: Rotation,
    /// W, in ticks.
    pub window: Tick,
    /// The idle end, in ticks.
    pub idle: Tick,
    /// Whether the client authenticates.
    pub confidential: bool,
    /// Where each tab or machine of the app is; all share one stored token.
    pub tabs: &'static [u8],
    /// The longest that an exchange takes, from sending to the answer, before it is given up
    /// or lost, in ticks.
    pub delay: Tick,
    /// Whether nothing is ever lost by taking too long.
    pub reliable: bool,
    /// The app uses a new token only when no request with an older one, nor an answer, is
    /// still under way: one round trip.
    pub patient: bool,
    /// The app refreshes in a later instant than the row was last written.
    pub unhurried: bool,
    /// Turns are counted anew when the thief copies again, and when an answer to the app is
    /// lost. Without it they are counted from the first copy on.
    pub turns_anew: bool,
    /// How many nodes there are.
    pub nodes: usize,
    /// How many answers and requests are lost, doubled or given up, nodes crash before or after
    /// the commit, and commits have an unknown outcome, all together. What takes longer than
    /// `delay` is lost beside that, as often as it may be.
    pub mishaps: u8,
    pub thief: Option<Thief>,
    pub failovers: Option<Failovers>,
    /// Whether an administrator may revoke the session.
    pub revocation: bool,
    /// Whether new tokens may begin to carry another key.
    pub key_change: bool,
    /// Whether it is followed only until the app gets its first new token.
    pub until_served: bool,
    /// The last instant.
    pub until: Tick,
    /// The newest generation.
    pub generations: u8,
    /// What is claimed of this world.
    pub claims: &'static [&'static str],
}

impl World {
    /// A public client in one tab, one node, no mishap and no thief.
    pub fn quiet(name: &'static str) -> Self {
        Self {
            name,
            rule: Rule::Product,
            rotation: Rotation::Resumable,
            window: 2,
            idle: 100,
            confidential: false,
            tabs: &[HOME],
            delay: 1,
            reliable: false,
            patient: true,
            unhurried: false,
            turns_anew: true,
            nodes: 1,
            mishaps: 0,
            thief: None,
            failovers: None,
            revocation: false,
            key_change: false,
            until_served: false,
            until: 4,
            generations: 4,
            claims: super::claims::ALL,
        }
    }

    /// Two machines of a confidential client, in two networks, with one token store.
    pub fn two_machines(self) -> Self {
        Self { confidential: true, tabs: &[HOME, WORK], ..self }
    }

    /// One more tick, generation and mishap in a large check.
    pub fn of_asked_size(mut self) -> Self {
        if is_large() {
            self.until += 1;
            self.generations += 1;
            if self.mishaps > 0 {
                self.mishaps += 1;
            }
        }
        self
    }
}

/// Whether `PERENNIAL_MODEL=large` asks for more than every run of the tests can take.
pub fn is_large() -> bool {
    std::env::var("PERENNIAL_MODEL").is_ok_and(|size| size == "large")
}
