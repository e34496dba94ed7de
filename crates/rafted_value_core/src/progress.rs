//! What a leader knows of one follower, and what may be sent to it next.

use crate::config::Config;
use crate::museum::{Mutant, broken};
use crate::types::{LogIndex, Time};
use alloc::collections::VecDeque;
use core::time::Duration;

/// One follower, as its leader sees it.
///
/// Invariants: `matched < next`; `matched` never decreases within a leadership.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Progress {
    /// The last entry known to be the same and durable there.
    pub matched: LogIndex,
    /// The next entry to send.
    pub next: LogIndex,
    /// How it is being sent to.
    pub sending: Sending,
    /// The latest read round that it answered.
    pub(crate) round: u64,
    /// When the latest message that it answered was sent: nothing newer is known of it.
    pub(crate) heard: Time,
    /// Until when it promised to refuse votes, on the leader's clock and counted from the sending.
    pub(crate) promised: Time,
    /// When `matched` last moved.
    pub(crate) moved: Time,
    /// Up to where its log is this leader's, durable or not, as it last told. A hint: it decides what is sent, never
    /// what is committed.
    pub(crate) verified: LogIndex,
    /// Measures whether a learner keeps up.
    pub(crate) catch_up: CatchUp,
}

/// How a follower is being sent to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sending {
    /// Looking for the last common entry: one message at a time.
    Probe {
        /// Whether the answer to the last one is awaited.
        waiting: bool,
    },
    /// A common entry is known: as many messages as the window allows.
    Replicate(Window),
    /// The log no longer has what it needs: the value is being sent.
    Snapshot {
        /// The value contains at least this.
        at: LogIndex,
        /// When the value had been sent in full; its answer is awaited.
        sent: Option<Time>,
    },
}

/// Messages with entries that are not answered yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Window {
    messages: VecDeque<InFlight>,
    bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct InFlight {
    last: LogIndex,
    bytes: u64,
    sent: Time,
}

/// Rounds of thesis §4.2.1: how long it takes a learner to get what the log had when the round began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CatchUp {
    goal: LogIndex,
    began: Time,
    caught_up: bool,
}

impl Window {
    fn is_full(&self, config: &Config) -> bool {
        self.messages.len() >= config.max_inflight_messages as usize || self.bytes >= config.max_inflight_bytes
    }

    fn push(&mut self, last: LogIndex, bytes: u64, sent: Time) {
        self.messages.push_back(InFlight { last, bytes, sent });
        self.bytes += bytes;
    }

    fn acknowledge(&mut self, matched: LogIndex) {
        while self.messages.front().is_some_and(|message| message.last <= matched) {
            if let Some(message) = self.messages.pop_front() {
                self.bytes -= if broken(Mutant::WindowLeaks) { 0 } else { message.bytes };
            }
        }
    }

    /// How many messages are unanswered.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// How many bytes of entries are unanswered.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Progress {
    /// Of a follower nothing is known: the search begins at the end of the leader's log.
    pub(crate) fn new(last: LogIndex, now: Time) -> Progress {
        Progress {
            matched: LogIndex::ZERO,
            next: last.next(),
            sending: Sending::Probe { waiting: false },
            round: 0,
            heard: now,
            promised: Time::default(),
            moved: now,
            verified: LogIndex::ZERO,
            catch_up: CatchUp { goal: last, began: now, caught_up: false },
        }
    }

    /// Whether entries may be sent now.
    pub(crate) fn may_send(&self, config: &Config) -> bool {
        match &self.sending {
            Sending::Probe { waiting } => !waiting,
            Sending::Replicate(window) => !window.is_full(config),
            Sending::Snapshot { .. } => false,
        }
    }

    /// Entries up to `last` were sent, or none (a probe).
    pub(crate) fn sent(&mut self, last: LogIndex, bytes: u64, now: Time) {
        match &mut self.sending {
            Sending::Probe { waiting } => *waiting = true,
            Sending::Replicate(window) => {
                if window.is_empty() {
                    // Whoever had nothing to acknowledge did not stand still.
                    self.moved = now;
                }
                window.push(last, bytes, now);
                self.next = last.next();
            }
            Sending::Snapshot { .. } => {}
        }
    }

    /// The follower has the leader's log up to `matched`.
    pub(crate) fn accepted(&mut self, matched: LogIndex, now: Time) {
        if matched > self.matched {
            self.matched = matched;
            self.moved = now;
        }
        self.next = self.next.max(self.matched.next());
        match &mut self.sending {
            Sending::Probe { .. } => {
                self.next = self.matched.next();
                self.sending = Sending::Replicate(Window::default());
            }
            Sending::Replicate(window) => window.acknowledge(self.matched),
            Sending::Snapshot { at, .. } if self.matched >= *at => {
                self.next = self.matched.next();
                self.sending = Sending::Replicate(Window::default());
            }
            Sending::Snapshot { .. } => {}
        }
    }

    /// Whether a rejection of `prev` is an answer to the present search, not to one that is over.
    pub(crate) fn is_current_rejection(&self, prev: LogIndex) -> bool {
        match &self.sending {
            Sending::Probe { .. } => prev == self.next.previous(),
            Sending::Replicate(_) => prev > self.matched && prev < self.next,
            Sending::Snapshot { .. } => false,
        }
    }

    /// Searches on from `next`; nothing that is in flight is sent again before an answer.
    pub(crate) fn probe(&mut self, next: LogIndex) {
        self.next = next.max(self.matched.next());
        self.sending = Sending::Probe { waiting: false };
    }

    pub(crate) fn needs_snapshot(&mut self, at: LogIndex) {
        self.sending = Sending::Snapshot { at, sent: None };
    }

    /// What a sign of life may claim to be there: what the follower said it has, so that its durable part is
    /// acknowledged again if an answer was lost.
    pub(crate) fn claim(&self) -> LogIndex {
        match self.sending {
            Sending::Replicate(_) if !broken(Mutant::ClaimsOnlyMatched) => {
                self.verified.min(self.next.previous()).max(self.matched)
            }
            _ => self.matched,
        }
    }

    /// Called at each heartbeat. A lost message is sent again: a probe at once; what was replicated when nothing was
    /// acknowledged for `patience` and the oldest has not even arrived, or cannot be asked for any more: the log begins
    /// at `base`. Returns whether entries are sent again.
    pub(crate) fn heartbeat(&mut self, now: Time, patience: Duration, base: LogIndex) -> bool {
        let is_known = self.claim() >= base;
        match &mut self.sending {
            Sending::Probe { waiting } => {
                *waiting &= broken(Mutant::ProbeIsStuck);
                false
            }
            Sending::Replicate(window) => {
                let Some(oldest) = window.messages.front() else { return false };
                let overdue = now.since(oldest.sent.max(self.moved)) >= patience;
                let lost = overdue && (self.verified < oldest.last || !is_known);
                if lost {
                    self.probe(self.matched.next());
                }
                lost
            }
            Sending::Snapshot { at, sent: Some(sent) } => {
                // Its answer may be lost, and its log already stand there.
                let arrived = self.verified >= *at;
                let overdue = now.since(*sent) >= patience.saturating_mul(8);
                if arrived || overdue {
                    let next = at.next();
                    self.probe(next);
                }
                false
            }
            Sending::Snapshot { sent: None, .. } => false,
        }
    }

    /// Measures the learner's rounds; once one took no longer than `limit` it has caught up.
    pub(crate) fn measure(&mut self, last: LogIndex, limit: Duration, now: Time) {
        if self.matched < self.catch_up.goal || self.matched == LogIndex::ZERO {
            return;
        }
        let quick = now.since(self.catch_up.began) <= limit;
        self.catch_up = CatchUp { goal: last, began: now, caught_up: quick };
    }

    /// Whether the last round was quick, and the present one may still be.
    pub(crate) fn has_caught_up(&self, limit: Duration, now: Time) -> bool {
        self.catch_up.caught_up && now.since(self.catch_up.began) <= limit
    }
}
