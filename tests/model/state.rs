//! One moment of the world: the row, its tokens, and who holds or carries them.

use std::time::Duration;

use perennial::domain::caller::CallerId;
use perennial::domain::time::Timestamp;
use perennial::domain::token_family::{Chain, KeyId, Parent, Presented};

/// Time moves in steps of this length; a window of 2 ticks is 30 seconds.
const TICK: Duration = Duration::from_secs(15);
const BEGIN: i64 = 1_000_000;

/// An instant, in ticks since the sign-in.
pub type Tick = u8;

/// A network and a program: where the app runs, another place of it, and where the thief is.
pub const HOME: u8 = 0;
pub const WORK: u8 = 1;
pub const ELSEWHERE: u8 = 2;

/// A refresh token. Nobody in this world can forge one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    pub generation: u8,
    pub issued: Tick,
    pub key: u8,
}

/// What ended the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    Live,
    Reuse,
    Revoked,
}

/// The family's row: a `Chain` in little, its version and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row {
    pub newest: Token,
    pub given: Tick,
    pub given_to: u8,
    /// `p`: generation, key, when it was last given out.
    pub parent: Option<(u8, u8, Tick)>,
    /// A set of callers, a bit each: fewer than the list's bound, so order tells nothing.
    pub known: u8,
    pub written: Tick,
    pub version: u8,
    pub end: End,
}

/// Who waits for the answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// A tab or machine of the app.
    Tab(u8),
    /// Nobody: a duplicate, or a request that was given up.
    Nobody,
    Thief,
}

/// A request on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Request {
    pub token: Token,
    pub caller: u8,
    pub who: Who,
    pub sent: Tick,
}

/// What a node knows of the request that it carries out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// It read this version and decided.
    Decided(u8),
    /// It doesn't know whether its write was committed.
    Unknown,
}

/// A request at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Work {
    pub request: Request,
    pub arrived: Tick,
    pub write: u8,
    pub stage: Stage,
    /// What it read. Only an unguarded write needs it: a guarded one finds the same row or none.
    pub read: Option<Row>,
    /// It came before the database lost commits.
    pub before_loss: bool,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Content {
    Token(Token),
    /// 503
    Late,
    /// `invalid_grant`
    Refused,
}

/// An answer on its way to a tab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Answer {
    pub tab: u8,
    pub content: Content,
    pub sent: Tick,
}

/// One of the two who hold tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    App,
    Thief,
}

/// What is observed for the claims and influences nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seen {
    /// Turns: runs of answers to one holder. See `World::turns_anew`.
    pub turns: u8,
    /// Whose turn it is.
    pub last: Option<Holder>,
    /// The app's unbroken run of 503: its first and its last.
    pub late: Option<(Tick, Tick)>,
    /// A token was refused, and the family lived on.
    pub refused_alive: bool,
    /// An administrator revoked it.
    pub revoked: bool,
    /// A family answered after its end.
    pub answered_ended: bool,
    /// Commits were lost at some time.
    pub lost_commits: bool,
    /// Since then, a request that came after the loss was committed.
    pub written_since: bool,
}

/// One moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub now: Tick,
    pub row: Row,
    /// What a failover or a restore falls back to.
    pub copy: Option<Row>,
    /// The key that new tokens carry.
    pub key: u8,
    /// The app's token, which all its tabs share.
    pub stored: Token,
    /// The app was told that its session is over.
    pub signed_out: bool,
    /// Since when a tab waits.
    pub tabs: Vec<Option<Tick>>,
    pub network: Vec<Request>,
    pub nodes: Vec<Work>,
    pub answers: Vec<Answer>,
    /// The tokens that the thief has seen.
    pub thief: Vec<Token>,
    /// How many more mishaps, copies and failovers there may be.
    pub mishaps: u8,
    pub copies: u8,
    pub failovers: u8,
    pub seen: Seen,
}

/// A tick as the product's time.
pub fn instant(tick: Tick) -> Timestamp {
    Timestamp::from_millis(BEGIN).plus(TICK * u32::from(tick))
}

/// A span of ticks as the product's duration.
pub fn span(ticks: Tick) -> Duration {
    TICK * u32::from(ticks)
}

fn tick(instant: Timestamp) -> Tick {
    let passed = instant.since(Timestamp::from_millis(BEGIN));
    u8::try_from(passed.as_millis() / TICK.as_millis()).unwrap()
}

pub fn caller(id: u8) -> CallerId {
    CallerId::from_bytes([id; 8])
}

impl Token {
    pub fn presented(self) -> Presented {
        Presented {
            generation: u64::from(self.generation),
            key: KeyId(u32::from(self.key)),
            issued_at: instant(self.issued),
        }
    }
}

impl Row {
    /// The row of a sign-in at HOME.
    pub fn first() -> Self {
        Self {
            newest: Token { generation: 1, issued: 0, key: 0 },
            given: 0,
            given_to: HOME,
            parent: None,
            known: 0,
            written: 0,
            version: 0,
            end: End::Live,
        }
    }

    pub fn chain(&self) -> Chain {
        let Presented { generation, key, issued_at } = self.newest.presented();
        Chain {
            generation,
            key,
            issued_at,
            given_at: instant(self.given),
            given_to: caller(self.given_to),
            parent: self.parent.map(|(generation, key, given)| Parent {
                generation: u64::from(generation),
                key: KeyId(u32::from(key)),
                given_at: instant(given),
            }),
            known: (0..8).filter(|id| self.known & (1 << id) != 0).map(caller).collect(),
            written_at: instant(self.written),
        }
    }

    /// This row with another chain, written as `version`. Its end stays what it is.
    pub fn with(&self, chain: &Chain, version: u8) -> Self {
        let id = |caller: CallerId| caller.as_bytes()[0];
        let key = |key: KeyId| u8::try_from(key.0).unwrap();
        let generation = |generation: u64| u8::try_from(generation).unwrap();
        Self {
            newest: Token {
                generation: generation(chain.generation),
                issued: tick(chain.issued_at),
                key: key(chain.key),
            },
            given: tick(chain.given_at),
            given_to: id(chain.given_to),
            parent: chain.parent.map(|parent| {
                (generation(parent.generation), key(parent.key), tick(parent.given_at))
            }),
            known: chain.known.iter().fold(0, |set, caller| set | 1 << id(*caller)),
            written: tick(chain.written_at),
            version,
            end: self.end,
        }
    }
}
