//! What can happen next, and what is so afterwards.

use perennial::domain::token_family::{Decision, Given, Refusal};
use stateright::Property;

use super::Model;
use super::claims;
use super::state::{
    Answer, Content, End, Holder, Request, Row, Seen, Stage, State, Tick, Token, Who, Work,
};

/// How long a node carries a request out: what waits longer is answered 503.
const AT_A_NODE: Tick = 1;

/// What comes of a commit, for the node that sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It answers.
    Answered,
    /// It crashes after the commit.
    Crashed,
    /// It doesn't learn that it was committed, and looks.
    Unknown,
}

/// One thing that happens. Numbers are places in the state's lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A tick passes; what took too long is lost.
    Tick,
    /// A tab reads the stored token and sends it.
    Send(u8),
    /// A tab waits no more; its request goes its way.
    GiveUp(u8),
    /// The network doubles a request; nobody waits for the second answer.
    Double(u8),
    /// The network loses a request or an answer.
    LoseRequest(u8),
    LoseAnswer(u8),
    /// A node takes a request, reads the row and decides.
    Take(u8),
    /// A node's guarded write.
    Commit(u8, Fate),
    /// A node's write failed in a way that it can't tell from success.
    FailUnknown(u8),
    /// A node that doesn't know what came of its write reads the row again.
    LookAgain(u8),
    /// A node crashes before its write.
    Crash(u8),
    /// A tab gets its answer.
    Receive(u8),
    /// The thief copies the stored token, or one on its way to or from the app.
    CopyStored,
    CopySent(u8),
    CopyAnswered(u8),
    /// The thief presents its nth token from here.
    Present(u8, u8),
    /// An administrator revokes the session.
    Revoke,
    /// A replica or a backup takes the row over.
    Replicate,
    /// The database falls back to that.
    FallBack,
    /// New tokens carry the next key.
    ChangeKey,
}

impl stateright::Model for Model {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let world = &self.world;
        let row = Row::first();
        vec![State {
            now: 0,
            row,
            copy: world.failovers.map(|_| row),
            key: 0,
            stored: row.newest,
            signed_out: false,
            tabs: vec![None; world.tabs.len()],
            network: Vec::new(),
            nodes: Vec::new(),
            answers: Vec::new(),
            thief: Vec::new(),
            mishaps: world.mishaps,
            copies: world.thief.map_or(0, |thief| thief.copies),
            failovers: world.failovers.map_or(0, |failovers| failovers.count),
            seen: Seen::default(),
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        let world = &self.world;
        let mishap = state.mishaps > 0;
        let under_way = !state.network.is_empty()
            || !state.answers.is_empty()
            || state.nodes.iter().any(|work| work.request.who != Who::Thief);
        if state.now < world.until && !(world.reliable && under_way) {
            steps.push(Step::Tick);
        }
        for tab in 0..place(state.tabs.len()) {
            match state.tabs[usize::from(tab)] {
                None if !state.signed_out && self.may_send(state) => steps.push(Step::Send(tab)),
                Some(_) if mishap => steps.push(Step::GiveUp(tab)),
                _ => {}
            }
        }
        for (nth, request) in (0..).zip(&state.network) {
            if state.nodes.len() < world.nodes {
                steps.push(Step::Take(nth));
            }
            if mishap {
                if matches!(request.who, Who::Tab(_)) {
                    steps.push(Step::Double(nth));
                }
                steps.push(Step::LoseRequest(nth));
            }
        }
        for (nth, work) in (0..).zip(&state.nodes) {
            match work.stage {
                Stage::Decided(_) => {
                    steps.push(Step::Commit(nth, Fate::Answered));
                    if mishap {
                        steps.push(Step::Commit(nth, Fate::Crashed));
                        steps.push(Step::Commit(nth, Fate::Unknown));
                        steps.push(Step::FailUnknown(nth));
                        steps.push(Step::Crash(nth));
                    }
                }
                Stage::Unknown => steps.push(Step::LookAgain(nth)),
            }
        }
        for nth in 0..place(state.answers.len()) {
            steps.push(Step::Receive(nth));
            if mishap || world.thief.is_some_and(|thief| thief.drops_answers) {
                steps.push(Step::LoseAnswer(nth));
            }
        }
        self.thief_steps(state, steps);
        if world.revocation && state.row.end == End::Live {
            steps.push(Step::Revoke);
        }
        if let (Some(failovers), Some(copy)) = (world.failovers, state.copy)
            && state.failovers > 0
            && copy != state.row
        {
            steps.push(Step::Replicate);
            let lost = state.row.newest.generation.saturating_sub(copy.newest.generation);
            if lost <= failovers.lag && state.now < world.until {
                steps.push(Step::FallBack);
            }
        }
        if world.key_change && state.key == 0 {
            steps.push(Step::ChangeKey);
        }
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut state = last.clone();
        match step {
            Step::Tick => self.tick(&mut state),
            Step::Send(tab) => {
                state.tabs[usize::from(tab)] = Some(state.now);
                state.network.push(Request {
                    token: state.stored,
                    caller: self.world.tabs[usize::from(tab)],
                    who: Who::Tab(tab),
                    sent: state.now,
                });
            }
            Step::GiveUp(tab) => {
                state.mishaps -= 1;
                self.abandon(&mut state, tab);
            }
            Step::Double(nth) => {
                state.mishaps -= 1;
                let request = state.network[usize::from(nth)];
                state.network.push(Request { who: Who::Nobody, ..request });
            }
            Step::LoseRequest(nth) => {
                state.mishaps -= 1;
                let request = state.network.remove(usize::from(nth));
                leave(&mut state, request.who);
            }
            Step::LoseAnswer(nth) => {
                if !self.world.thief.is_some_and(|thief| thief.drops_answers) {
                    state.mishaps -= 1;
                }
                let answer = state.answers.remove(usize::from(nth));
                leave(&mut state, Who::Tab(answer.tab));
                self.count_anew(&mut state);
            }
            Step::Take(nth) => {
                let request = state.network.remove(usize::from(nth));
                self.take(&mut state, request);
            }
            Step::Commit(nth, fate) => self.commit(&mut state, nth, fate),
            Step::FailUnknown(nth) => {
                state.mishaps -= 1;
                let work = &mut state.nodes[usize::from(nth)];
                (work.stage, work.read) = (Stage::Unknown, None);
            }
            Step::LookAgain(nth) => {
                let work = state.nodes.remove(usize::from(nth));
                self.look(&mut state, work);
            }
            Step::Crash(nth) => {
                state.mishaps -= 1;
                let work = state.nodes.remove(usize::from(nth));
                leave(&mut state, work.request.who);
            }
            Step::Receive(nth) => {
                let answer = state.answers.remove(usize::from(nth));
                state.tabs[usize::from(answer.tab)] = None;
                receive(&mut state, answer.content);
            }
            Step::CopyStored => self.copy(&mut state, last.stored),
            Step::CopySent(nth) => self.copy(&mut state, last.network[usize::from(nth)].token),
            Step::CopyAnswered(nth) => {
                if let Content::Token(token) = last.answers[usize::from(nth)].content {
                    self.copy(&mut state, token);
                }
            }
            Step::Present(nth, caller) => {
                let token = state.thief[usize::from(nth)];
                self.take(&mut state, Request { token, caller, who: Who::Thief, sent: last.now });
            }
            Step::Revoke => {
                state.seen.revoked = true;
                state.row.version = fresh(&state);
                state.row.written = state.now;
                state.row.end = End::Revoked;
            }
            Step::Replicate => state.copy = Some(state.row),
            Step::FallBack => {
                // It takes a while.
                self.tick(&mut state);
                state.failovers -= 1;
                state.row = state.copy?;
                if self.world.failovers.is_some_and(|failovers| failovers.quiet) {
                    for tab in 0..place(state.tabs.len()) {
                        let asking = |who: Who| who == Who::Tab(tab);
                        if state.network.iter().any(|request| asking(request.who))
                            || state.nodes.iter().any(|work| asking(work.request.who))
                        {
                            state.tabs[usize::from(tab)] = None;
                        }
                    }
                    state.network.clear();
                    state.nodes.clear();
                }
                state.seen.lost_commits = true;
                state.seen.written_since = false;
                for work in &mut state.nodes {
                    (work.stage, work.read, work.before_loss) = (Stage::Unknown, None, true);
                }
            }
            Step::ChangeKey => state.key = 1,
        }
        settle(&mut state);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        claims::properties(self.world.claims)
    }

    fn within_boundary(&self, state: &State) -> bool {
        state.row.newest.generation <= self.world.generations
            && (!self.world.until_served || state.stored == Row::first().newest)
    }
}

impl Model {
    /// Whether the app sends now: when patient, only with a token that nothing older is
    /// under way beside.
    fn may_send(&self, state: &State) -> bool {
        if self.world.unhurried && state.now <= state.row.written {
            return false;
        }
        !self.world.patient || {
            let older = |token: Token| token.generation < state.stored.generation;
            let requests = state.network.iter().any(|request| older(request.token));
            let works = state
                .nodes
                .iter()
                .any(|work| work.request.who != Who::Thief && older(work.request.token));
            let answers = state.answers.iter().any(|answer| match answer.content {
                Content::Token(token) => older(token),
                Content::Late | Content::Refused => false,
            });
            !requests && !works && !answers
        }
    }

    fn thief_steps(&self, state: &State, steps: &mut Vec<Step>) {
        let Some(thief) = self.world.thief else { return };
        if state.copies > 0 {
            let unseen = |token: &Token| !state.thief.contains(token);
            if unseen(&state.stored) {
                steps.push(Step::CopyStored);
            }
            for (nth, request) in (0..).zip(&state.network) {
                if unseen(&request.token) && request.token != state.stored {
                    steps.push(Step::CopySent(nth));
                }
            }
            for (nth, answer) in (0..).zip(&state.answers) {
                if let Content::Token(token) = answer.content
                    && unseen(&token)
                {
                    steps.push(Step::CopyAnswered(nth));
                }
            }
        }
        if state.nodes.len() < self.world.nodes {
            for (nth, token) in (0..).zip(&state.thief) {
                if thief.steady && token.issued == state.now {
                    continue;
                }
                for caller in thief.callers {
                    steps.push(Step::Present(nth, *caller));
                }
            }
        }
    }

    fn tick(&self, state: &mut State) {
        state.now += 1;
        let now = state.now;
        let delay = self.world.delay;
        for tab in 0..place(state.tabs.len()) {
            if state.tabs[usize::from(tab)].is_some_and(|sent| now - sent > delay) {
                self.abandon(state, tab);
            }
        }
        state.network.retain(|request| now - request.sent <= delay);
        state.nodes.retain(|work| now - work.arrived <= AT_A_NODE);
    }

    /// A node takes a request.
    fn take(&self, state: &mut State, request: Request) {
        let work = Work {
            request,
            arrived: state.now,
            write: fresh(state),
            stage: Stage::Unknown,
            read: None,
            before_loss: false,
        };
        self.look(state, work);
    }

    fn decide(&self, row: &Row, key: u8, work: &Work) -> Decision {
        let Request { token, caller, who, .. } = work.request;
        self.ask(row, key, token, caller, who, work.arrived)
    }

    /// Reads the row and decides. What needs no write is answered; the rest waits for its commit.
    fn look(&self, state: &mut State, mut work: Work) {
        if state.row.version == work.write {
            // This very write was committed.
            match state.row.end {
                End::Live => {
                    let how = Given::Rotated { new_caller: false };
                    self.count_turn(state, work.request.who, how, Fate::Answered);
                    self.answer(state, &work, Content::Token(state.row.newest));
                }
                _ => self.answer(state, &work, Content::Refused),
            }
            return;
        }
        let decision = self.decide(&state.row, state.key, &work);
        self.counts.count(&decision);
        match decision {
            Decision::Give { .. } | Decision::Reuse => {
                work.stage = Stage::Decided(state.row.version);
                work.read = (!self.world.rule.is_guarded()).then_some(state.row);
                state.nodes.push(work);
            }
            Decision::Late => self.answer(state, &work, Content::Late),
            Decision::Refuse(refusal) => {
                let over = matches!(refusal, Refusal::Ended(..) | Refusal::Expired(_));
                state.seen.refused_alive |= !over;
                self.answer(state, &work, Content::Refused);
            }
        }
    }

    fn commit(&self, state: &mut State, nth: u8, fate: Fate) {
        if fate != Fate::Answered {
            state.mishaps -= 1;
        }
        let mut work = state.nodes.remove(usize::from(nth));
        let unchanged = work.stage == Stage::Decided(state.row.version);
        if self.world.rule.is_guarded() && !(unchanged && state.row.end == End::Live) {
            self.look(state, work);
            return;
        }
        let read = work.read.unwrap_or(state.row);
        let content = match self.decide(&read, state.key, &work) {
            Decision::Give { how, chain } => {
                state.seen.answered_ended |= state.row.end != End::Live || state.seen.revoked;
                self.count_turn(state, work.request.who, how, fate);
                let end = state.row.end;
                state.row = Row { end, ..read.with(&chain, work.write) };
                Content::Token(state.row.newest)
            }
            Decision::Reuse => {
                (state.row.end, state.row.written) = (End::Reuse, work.arrived);
                state.row.version = work.write;
                Content::Refused
            }
            Decision::Late | Decision::Refuse(_) => unreachable!("the row is as it was read"),
        };
        state.seen.written_since |= state.seen.lost_commits && !work.before_loss;
        match fate {
            Fate::Answered => self.answer(state, &work, content),
            Fate::Crashed => leave(state, work.request.who),
            Fate::Unknown => {
                (work.stage, work.read) = (Stage::Unknown, None);
                state.nodes.push(work);
            }
        }
    }

    /// Counts the turn of whoever is answered. What nobody will hear of counts for nobody; of
    /// an unknown outcome, the node hears later.
    fn count_turn(&self, state: &mut State, who: Who, how: Given, fate: Fate) {
        let retried = how == Given::Retried;
        match (who, fate) {
            (_, Fate::Unknown) => {}
            (Who::Thief, _) => turn(state, Holder::Thief, retried),
            (Who::Tab(_), Fate::Answered) => turn(state, Holder::App, retried),
            (Who::Nobody, _) if retried => {}
            (Who::Nobody | Who::Tab(_), _) => self.count_anew(state),
        }
    }

    fn answer(&self, state: &mut State, work: &Work, content: Content) {
        match work.request.who {
            Who::Tab(tab) => {
                state.answers.push(Answer { tab, content, sent: work.request.sent });
            }
            Who::Nobody => {}
            Who::Thief => {
                if let Content::Token(token) = content {
                    self.learn(state, token);
                }
            }
        }
    }

    fn copy(&self, state: &mut State, token: Token) {
        state.copies -= 1;
        self.learn(state, token);
        self.count_anew(state);
    }

    fn learn(&self, state: &mut State, token: Token) {
        if self.world.thief.is_some_and(|thief| thief.steady) {
            state.thief.clear();
        }
        if !state.thief.contains(&token) {
            state.thief.push(token);
        }
    }

    fn count_anew(&self, state: &mut State) {
        if self.world.turns_anew {
            (state.seen.turns, state.seen.last) = (0, None);
        }
    }

    /// A tab stops waiting: what is under way for it goes on for nobody.
    fn abandon(&self, state: &mut State, tab: u8) {
        state.tabs[usize::from(tab)] = None;
        let before = state.answers.len();
        state.answers.retain(|answer| answer.tab != tab);
        if state.answers.len() < before {
            self.count_anew(state);
        }
        let requests = state.network.iter_mut();
        for request in requests.chain(state.nodes.iter_mut().map(|work| &mut work.request)) {
            if request.who == Who::Tab(tab) {
                request.who = Who::Nobody;
            }
        }
    }
}

fn receive(state: &mut State, content: Content) {
    match content {
        Content::Token(token) => {
            state.stored = token;
            state.seen.late = None;
        }
        Content::Late if !state.thief.is_empty() => {
            let first = match state.seen.late {
                Some((first, last)) if state.now - last <= 1 => first,
                _ => state.now,
            };
            state.seen.late = Some((first, state.now));
        }
        Content::Late => {}
        Content::Refused => state.signed_out = true,
    }
}

/// One more answer to this holder, once there are two. The same answer again is no turn
/// before the two have parted.
fn turn(state: &mut State, holder: Holder, retried: bool) {
    let parted = state.seen.last.is_some() || !retried;
    if parted && !state.thief.is_empty() && state.seen.last != Some(holder) {
        state.seen.last = Some(holder);
        state.seen.turns = (state.seen.turns + 1).min(4);
    }
}

/// Nothing will come for whoever waited for this.
fn leave(state: &mut State, who: Who) {
    if let Who::Tab(tab) = who {
        state.tabs[usize::from(tab)] = None;
    }
}

/// A write's id that nothing in this state has.
fn fresh(state: &State) -> u8 {
    let taken = |id: &u8| {
        state.row.version == *id
            || state.copy.is_some_and(|copy| copy.version == *id)
            || state.nodes.iter().any(|work| work.write == *id || work.stage == Stage::Decided(*id))
    };
    (0..).find(|id| !taken(id)).unwrap()
}

/// One form for all states that differ in nothing but the order of lists and the names of writes.
fn settle(state: &mut State) {
    state.network.sort_unstable();
    state.answers.sort_unstable();
    state.thief.sort_unstable();
    let mut names: Vec<u8> = Vec::with_capacity(8);
    let mut name = |id: &mut u8| {
        let place = names.iter().position(|own| own == id).unwrap_or_else(|| {
            names.push(*id);
            names.len() - 1
        });
        *id = u8::try_from(place).unwrap();
    };
    name(&mut state.row.version);
    if let Some(copy) = &mut state.copy {
        name(&mut copy.version);
    }
    state.nodes.sort_unstable();
    for work in &mut state.nodes {
        name(&mut work.write);
        if let Stage::Decided(version) = &mut work.stage {
            name(version);
        }
        if let Some(read) = &mut work.read {
            name(&mut read.version);
        }
    }
    // What is over influences nothing.
    if state.failovers == 0 {
        state.copy = None;
    }
}

fn place(length: usize) -> u8 {
    u8::try_from(length).unwrap()
}
