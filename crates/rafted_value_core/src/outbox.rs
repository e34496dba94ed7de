//! Numbers writes, and holds back each message that reveals something not yet durable.

use crate::entry::SnapshotMeta;
use crate::hard_state::HardState;
use crate::log::Log;
use crate::message::Message;
use crate::museum::{Mutant, broken};
use crate::ready::{Append, Write};
use crate::types::{LogIndex, WriteNo};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Writes on their way to storage and messages that wait for them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Outbox {
    /// What changed since the last write was handed out.
    unwritten: Changes,
    /// Handed out, not yet confirmed, in order.
    in_flight: VecDeque<(WriteNo, Changes)>,
    issued: WriteNo,
    /// Messages that wait for a write to be confirmed.
    withheld: VecDeque<(WriteNo, Message)>,
    /// Messages that may go.
    messages: Vec<Message>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Changes {
    hard_state: bool,
    snapshot: Option<SnapshotMeta>,
    /// The first index whose entry is new.
    log: Option<LogIndex>,
}

impl Changes {
    fn any(&self) -> bool {
        self.hard_state || self.snapshot.is_some() || self.log.is_some()
    }
}

/// What must be durable before a message may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// Term and vote: everything a member says reveals its term.
    HardState,
    /// Everything so far.
    Everything,
}

impl Outbox {
    pub(crate) fn hard_state_changed(&mut self) {
        self.unwritten.hard_state = !broken(Mutant::HardStateUnwritten);
    }

    pub(crate) fn log_changed(&mut self, from: LogIndex) {
        let first = self.unwritten.log.map_or(from, |earlier| earlier.min(from));
        self.unwritten.log = Some(first);
    }

    /// The snapshot replaces the log; what is kept of the log is written again behind it.
    pub(crate) fn snapshot_installed(&mut self, snapshot: SnapshotMeta) {
        self.unwritten.log = Some(snapshot.index().next());
        self.unwritten.snapshot = Some(snapshot);
    }

    /// Sends `message` as soon as what it reveals is durable.
    pub(crate) fn send(&mut self, message: Message, after: After) {
        match self.blocker(after) {
            Some(no) => self.withheld.push_back((no, message)),
            None => self.messages.push(message),
        }
    }

    /// The last write that must be confirmed first; the one being collected will have the next number.
    fn blocker(&self, after: After) -> Option<WriteNo> {
        let blocks = |changes: &Changes| match after {
            After::HardState => changes.hard_state && !broken(Mutant::VoteBeforeDurable),
            After::Everything => changes.any() && !broken(Mutant::AckBeforeDurable),
        };
        if blocks(&self.unwritten) {
            return Some(WriteNo(self.issued.0 + 1));
        }
        self.in_flight.iter().rev().find(|(_, changes)| blocks(changes)).map(|(no, _)| *no)
    }

    /// Whether term and vote are durable.
    pub(crate) fn hard_state_is_durable(&self) -> bool {
        self.blocker(After::HardState).is_none()
    }

    /// Up to where the present log is durable: just before the earliest entry of any write not confirmed yet. A
    /// confirmation of what has since been overwritten thus proves nothing about what stands there now.
    pub(crate) fn durable_index(&self, last: LogIndex) -> LogIndex {
        let unwritten = Some(&self.unwritten).filter(|_| !broken(Mutant::UnwrittenIsDurable));
        let pending = self.in_flight.iter().map(|(_, changes)| changes).chain(unwritten);
        let snapshot_pending = pending.clone().any(|changes| changes.snapshot.is_some());
        if snapshot_pending {
            return LogIndex::ZERO;
        }
        pending.filter_map(|changes| changes.log).map(LogIndex::previous).min().map_or(last, |at| at.min(last))
    }

    /// Messages of a term that is over prove nothing to anyone.
    pub(crate) fn term_ended(&mut self) {
        self.withheld.retain(|_| broken(Mutant::OldAcksLeave));
    }

    /// Collects what changed into one write.
    pub(crate) fn take_write(&mut self, mut hard_state: HardState, log: &Log) -> Option<Write> {
        if !self.unwritten.any() {
            return None;
        }
        if broken(Mutant::VoteLeftOutOfWrite) {
            hard_state = HardState::new(hard_state.term(), None);
        }
        let changes = core::mem::take(&mut self.unwritten);
        self.issued = WriteNo(self.issued.0 + 1);
        let write = Write {
            no: self.issued,
            hard_state: changes.hard_state.then_some(hard_state),
            snapshot: changes.snapshot.clone(),
            append: changes.log.map(|from| Append { from, entries: log.copy(from, log.last_index(), u64::MAX) }),
        };
        self.in_flight.push_back((self.issued, changes));
        Some(write)
    }

    pub(crate) fn take_messages(&mut self, into: &mut Vec<Message>) {
        into.append(&mut self.messages);
    }

    /// Every write up to `no` is durable: lets go of what waited for them.
    pub(crate) fn persisted(&mut self, no: WriteNo) {
        assert!(no <= self.issued, "only what was handed out is confirmed");
        while self.in_flight.front().is_some_and(|(pending, _)| *pending <= no) {
            let confirmed = self.in_flight.pop_front();
            if let Some((_, Changes { log: Some(from), .. })) = confirmed.filter(|_| broken(Mutant::DurableByIndex)) {
                self.in_flight.iter_mut().for_each(|(_, changes)| changes.log = changes.log.filter(|at| *at > from));
            }
        }
        // Not only from the front: what waits for term and vote may stand behind what waits for the log.
        let mut waiting = VecDeque::new();
        for (blocker, message) in self.withheld.drain(..) {
            if blocker <= no {
                self.messages.push(message);
            } else {
                waiting.push_back((blocker, message));
            }
        }
        self.withheld = waiting;
    }

    /// Nothing leaves any more.
    pub(crate) fn silence(&mut self) {
        self.withheld.clear();
        self.messages.clear();
        self.unwritten = Changes::default();
    }
}
