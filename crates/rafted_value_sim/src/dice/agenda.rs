//! What will happen when, as far as it is decided.

use crate::network::PacketNo;
use rafted_value_core::{MemberId, Timer};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

/// Something that will happen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deed {
    /// A packet arrives.
    Arrive(PacketNo),
    /// A packet arrives that was taken down earlier: it is repeated.
    Repeat(PacketNo),
    /// A timer fires, if it is still the one that was set.
    Fire(MemberId, u64),
    /// A disk has written.
    Write(MemberId),
    /// A client does something.
    Client(u8),
    /// Something goes wrong.
    Trouble,
    /// An operator looks after the group.
    Operate,
    /// A member that ended begins again.
    Begin(MemberId),
    /// All links pass again.
    Mend,
}

/// Deeds in the order of their time, those of the same time in the order in which they were decided.
#[derive(Default)]
pub(super) struct Agenda {
    deeds: BinaryHeap<Reverse<(Duration, u64, Deed)>>,
    issued: u64,
    /// The timer that each member was last seen to have, and its number.
    timers: BTreeMap<MemberId, (Timer, u64)>,
}

impl Agenda {
    pub(super) fn add(&mut self, at: Duration, deed: Deed) {
        self.issued += 1;
        self.deeds.push(Reverse((at, self.issued, deed)));
    }

    pub(super) fn next(&mut self) -> Option<(Duration, Deed)> {
        self.deeds.pop().map(|Reverse((at, _, deed))| (at, deed))
    }

    /// The number under which a new timer is to be fired; nothing if it is the known one.
    pub(super) fn set_timer(&mut self, id: MemberId, timer: Option<Timer>) -> Option<u64> {
        let Some(timer) = timer else {
            self.timers.remove(&id);
            return None;
        };
        if self.timers.get(&id).is_some_and(|(known, _)| *known == timer) {
            return None;
        }
        self.timers.insert(id, (timer, self.issued + 1));
        Some(self.issued + 1)
    }

    /// Whether a timer is still the one with this number.
    pub(super) fn is_set(&self, id: MemberId, number: u64) -> bool {
        self.timers.get(&id).is_some_and(|(_, known)| *known == number)
    }
}
