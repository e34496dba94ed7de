//! The specification: Raft as the thesis tells it (chapters 3, 4, 6), beside the real core and written without
//! looking at it. Each step of a member is explained as actions of the specification, or the run is broken.
//!
//! ```text
//!   before ──term rule──► ──input──► ──elections, appends, commit──► after      and what was said on the way
//! ```
//!
//! Where the specification has a choice (a timer, a lost message, a refused vote), what the member did decides; where
//! it has none, the member's state and words must be what the actions lead to. What no portrait shows (votes, matches,
//! rounds, answers that are owed) is kept here, from the messages alone. Nothing of the core's arithmetic is used.
//! Deviations are accepted by the names of `docs/safety.md`; see [`Action`].

mod action;
mod election;
mod membership;
mod reads;
mod replication;
mod speech;

#[cfg(test)]
mod tests;

pub use action::Action;

use crate::invariants::Broken;
use crate::name::Name;
use crate::portrait::Portrait;
use rafted_value_core::{
    Ballot, Config, EntryId, Input, LogIndex, MemberId, Membership, ReadId, Ready, RoleKind, Term, Time,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What the specification remembers of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Specification {
    members: BTreeMap<MemberId, Memory>,
    /// How often each action was taken.
    pub taken: BTreeMap<Action, u64>,
}

/// One step of one member: what happened to it, what became of it, what it wants done.
#[derive(Clone, Copy)]
pub struct Step<'a> {
    /// The member's own time.
    pub now: Time,
    /// What happened; nothing, if it has just started.
    pub input: Option<&'a Input>,
    /// What it was.
    pub before: &'a Portrait,
    /// What it is.
    pub after: &'a Portrait,
    /// Its settings.
    pub config: &'a Config,
    /// Whether it is silent for good.
    pub halted: bool,
    /// What it wants done.
    pub ready: &'a Ready,
}

/// What the specification knows of a member and no portrait shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Memory {
    /// Its present campaign, once it has spoken of it.
    campaign: Option<u64>,
    /// Whose votes, or pre-votes, arrived in it, and who refused.
    votes: BTreeSet<MemberId>,
    refusals: BTreeSet<MemberId>,
    /// The end of its log when it last asked for pre-votes, and when it began its term. What it asks may leave later.
    asks_with: EntryId,
    stands_with: EntryId,
    /// Until when it has told a leader that it will not vote.
    promised: Time,
    /// Requests that it may answer.
    owed: Vec<Owed>,
    leading: Leading,
}

/// What a leader has learned from answers in its present leadership.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Leading {
    matched: BTreeMap<MemberId, LogIndex>,
    /// The latest round that each answered.
    echoed: BTreeMap<MemberId, u64>,
    /// When the latest message was sent that each answered.
    answered: BTreeMap<MemberId, Time>,
    /// Until when each will not vote, on the leader's clock.
    promised: BTreeMap<MemberId, Time>,
    /// The latest round it has sent.
    round: u64,
    /// For each read: what was committed and what was the latest round when it began.
    reads: BTreeMap<ReadId, (LogIndex, u64)>,
    /// Whether it has asked another to take over.
    hands_over: bool,
}

/// A request that a member received and may answer, once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Owed {
    to: MemberId,
    term: Term,
    answer: Answer,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Answer {
    Vote {
        ballot: Ballot,
        campaign: u64,
        may_grant: bool,
    },
    /// `verified` is none if what precedes the entries is not there.
    Append {
        prev: LogIndex,
        verified: Option<LogIndex>,
        round: u64,
        sent: Time,
        received: Time,
    },
    Snapshot {
        upto: LogIndex,
    },
    /// The request is of an old term: the answer only says so.
    Stale,
}

/// The part of a member that the specification speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    role: RoleKind,
    term: Term,
    voted_for: Option<MemberId>,
    /// The end of its log, and the hash of everything up to it: equal ends mean equal logs.
    tip: (EntryId, u64),
    commit: LogIndex,
    membership: Arc<Membership>,
}

/// A step on its way from `before` to `after`.
struct Walk<'a> {
    step: &'a Step<'a>,
    memory: &'a mut Memory,
    state: State,
    taken: Vec<Action>,
}

type Verdict = Result<(), String>;

impl Specification {
    /// Explains a step.
    ///
    /// # Errors
    ///
    /// The step is none that the specification knows.
    pub fn observe(&mut self, step: &Step<'_>) -> Result<Vec<Action>, Broken> {
        let memory = self.members.entry(step.after.id).or_default();
        let mut walk = Walk { step, memory, state: State::of(step.before), taken: Vec::new() };
        walk.go().map_err(|what| {
            let (id, taken) = (Name(step.after.id), &walk.taken);
            let what = format!("{id}: {what}\n  by {:?}\n  after {taken:?}", step.input);
            Broken { property: "specification", what }
        })?;
        let taken = walk.taken;
        for action in &taken {
            *self.taken.entry(*action).or_default() += 1;
        }
        Ok(taken)
    }

    /// A member's process ended. What it promised it must know when it starts again.
    pub fn crashed(&mut self, id: MemberId) {
        let memory = self.members.entry(id).or_default();
        *memory = Memory { promised: memory.promised, ..Memory::default() };
    }
}

impl State {
    fn of(portrait: &Portrait) -> State {
        State {
            role: portrait.role,
            term: portrait.term(),
            voted_for: portrait.hard_state.voted_for(),
            tip: (portrait.log.last(), portrait.log.hash()),
            commit: portrait.commit,
            membership: portrait.membership.clone(),
        }
    }
}

impl Walk<'_> {
    fn go(&mut self) -> Verdict {
        if self.step.halted {
            return self.halt();
        }
        self.enter_higher_term()?;
        match self.step.input {
            Some(Input::Message(message)) => self.hear(message)?,
            Some(Input::Timer) => self.fire()?,
            Some(Input::Read(id)) if self.state.role == RoleKind::Leader => {
                self.memory.leading.reads.insert(*id, (self.state.commit, self.memory.leading.round));
            }
            None => self.start()?,
            _ => {}
        }
        self.conclude_election()?;
        self.give_up();
        let old = self.state.membership.clone();
        self.advance_commit(&[])?;
        self.append()?;
        self.advance_commit(&[old])?;
        self.leave_office()?;
        self.speak()?;
        self.confirm_reads()?;
        self.judge_lease()?;
        self.arrive()
    }

    fn take(&mut self, action: Action) {
        self.taken.push(action);
    }

    /// §3.8: it starts from what its disk has, as a follower.
    fn start(&mut self) -> Verdict {
        let (state, durable) = (&self.state, &self.step.after.durable);
        let same = (state.term, state.voted_for) == (durable.hard_state.term(), durable.hard_state.voted_for());
        let starts = same && state.role == RoleKind::Follower && self.step.after.log == durable.log;
        require(starts, || "it does not start from its disk".to_owned())?;
        self.take(Action::Restart);
        Ok(())
    }

    /// A member that falls silent keeps what it has, and says nothing (*a contradiction halts*).
    fn halt(&mut self) -> Verdict {
        let (before, after) = (&self.step.before.commit, &self.step.after.commit);
        require(before == after && self.step.ready.messages.is_empty(), || "it halts and yet goes on".to_owned())?;
        self.take(Action::Halt);
        Ok(())
    }

    /// The actions lead where the member is.
    fn arrive(&mut self) -> Verdict {
        let (state, after) = (&self.state, State::of(self.step.after));
        require(state.role == after.role, || format!("it is {:?}, not {:?}", after.role, state.role))?;
        require(state.term == after.term, || format!("its term is {}, not {}", after.term, state.term))?;
        require(state.voted_for == after.voted_for, || {
            format!("its vote is {:?}, not {:?}", after.voted_for, state.voted_for)
        })?;
        require(state.tip == after.tip, || format!("its log ends with {}, not {}", after.tip.0, state.tip.0))?;
        require(state.commit == after.commit, || format!("its commit is {}, not {}", after.commit, state.commit))?;
        if self.taken.is_empty() {
            self.take(Action::Stutter);
        }
        Ok(())
    }
}

/// `Ok` if it holds.
fn require(holds: bool, what: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(what()) }
}
