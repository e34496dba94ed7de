//! One member with everything around it: its clock, its disk, its value and the callers that wait for it.

use crate::chain::Chain;
use crate::clients::CallId;
use crate::clock::Clock;
use crate::disk::{Disk, Durability};
use crate::value::{Machine, Transfer};
use rafted_value_core::{EntryId, Lease, LogIndex, MemberId, Raft, ReadId, RequestId, Restored, Term, Time, Timer};
use std::collections::BTreeMap;
use std::time::Duration;

/// One member. `raft` is `None` while its process is down.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// Which.
    pub id: MemberId,
    /// Of which incarnation of the group.
    pub incarnation: u32,
    /// The real thing.
    pub raft: Option<Raft>,
    /// What time it believes it is.
    pub clock: Clock,
    /// What it would survive with.
    pub disk: Disk,
    /// What it has applied.
    pub machine: Machine,
    /// Its log, for the checker.
    pub chain: Chain,
    /// When it wants to be woken.
    pub timer: Option<Timer>,
    /// What its readers see.
    pub lease: Option<Lease>,
    /// Callers that wait for an entry.
    pub waiting: BTreeMap<EntryId, String>,
    /// Readers that wait for an entry to be applied.
    pub readers: BTreeMap<String, LogIndex>,
    /// Calls that go into the next entry.
    pub queue: Vec<CallId>,
    /// Calls of batches that the core has not answered yet.
    pub batches: BTreeMap<RequestId, Vec<CallId>>,
    /// Calls that wait for an entry.
    pub awaiting: BTreeMap<EntryId, Vec<CallId>>,
    /// Reads of clients that the core has not answered yet, and what each must see at least.
    pub asking: BTreeMap<ReadId, (CallId, LogIndex)>,
    /// Reads of clients that wait for an entry to be applied.
    pub reading: Vec<(LogIndex, CallId)>,
    /// When it last told its followers how much time had passed.
    pub stamped: Option<Time>,
    /// A value that arrived and that the member was just told about.
    pub arrived: Option<Transfer>,
}

impl Member {
    /// A member that starts at `real` from `restored`, which is on its disk.
    pub fn start(
        id: MemberId,
        durability: Durability,
        real: Duration,
        restored: Restored,
        machine: Machine,
        chain: Chain,
    ) -> Member {
        let clock = Clock::default();
        let disk = Disk::holding(durability, &restored, &machine, chain.clone());
        Member {
            id,
            incarnation: 0,
            raft: Some(Raft::new(id, clock.shows(real), restored)),
            clock,
            disk,
            machine,
            chain,
            timer: None,
            lease: None,
            waiting: BTreeMap::new(),
            readers: BTreeMap::new(),
            arrived: None,
            queue: Vec::new(),
            batches: BTreeMap::new(),
            awaiting: BTreeMap::new(),
            asking: BTreeMap::new(),
            reading: Vec::new(),
            stamped: None,
        }
    }

    /// The process ends. Returns the callers that are left without an answer.
    pub fn crash(&mut self) -> Vec<String> {
        self.raft = None;
        self.disk.crash();
        self.timer = None;
        self.lease = None;
        self.arrived = None;
        self.readers.clear();
        self.queue.clear();
        self.batches.clear();
        self.awaiting.clear();
        self.asking.clear();
        self.reading.clear();
        self.stamped = None;
        std::mem::take(&mut self.waiting).into_values().collect()
    }

    /// The process begins again, from its disk.
    pub fn restart(&mut self, real: Duration) {
        let (restored, machine, chain) = self.disk.restore();
        self.raft = Some(Raft::new(self.id, self.clock.shows(real), restored));
        self.machine = machine;
        self.chain = chain;
    }

    /// Its term; that of its disk while it is down.
    pub fn term(&self) -> Term {
        self.raft.as_ref().map_or(self.disk.hard_state().term(), Raft::term)
    }

    /// How many milliseconds since the last stamp of this leadership; what is left of one counts next time.
    pub fn stamp(&mut self, real: Duration) -> u64 {
        let now = self.now(real);
        let last = *self.stamped.get_or_insert(now);
        let elapsed = now.since(last).as_millis() as u64;
        self.stamped = Some(last.after(Duration::from_millis(elapsed)));
        elapsed
    }

    /// What its value holds in notes.
    pub fn notes(&self) -> Vec<String> {
        self.machine.value().map_or(Vec::new(), |ledger| ledger.notes.clone())
    }

    /// What it believes the time to be.
    pub fn now(&self, real: Duration) -> Time {
        self.clock.shows(real)
    }

    /// The simulation's time at which its timer may fire first, and last.
    pub fn timer_window(&self) -> Option<(Duration, Duration)> {
        let timer = self.timer?;
        Some((self.clock.when(timer.earliest), self.clock.when(timer.latest)))
    }
}
