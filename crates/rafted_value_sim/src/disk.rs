//! A member's disk. Writes are on their way until they are synced, and a crash loses those that are not. A member
//! in memory confirms at once, and a crash loses everything.

use crate::chain::Chain;
use crate::value::{Machine, Transfer};
use bytes::Bytes;
use rafted_value_core::{Entry, HardState, Restored, SnapshotMeta, Write, WriteNo};
use std::collections::VecDeque;

/// Whether a member survives its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Durability {
    /// Restarts from its disk as the member it was.
    Durable,
    /// Forgets everything; its node continues as a new member.
    Memory,
}

/// What is synced, and what is on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Disk {
    /// Whether it is one at all.
    pub durability: Durability,
    hard_state: HardState,
    base: SnapshotMeta,
    /// The value as of `base`, encoded.
    value: Bytes,
    entries: Vec<Entry>,
    /// The synced log as the checker sees it.
    chain: Chain,
    unsynced: VecDeque<Pending>,
}

/// Something on its way to the disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Pending {
    /// What the core wants written; the value that comes with its snapshot.
    Write(Write, Option<Transfer>),
    /// The member's own value, in place of the log up to it.
    Save(SnapshotMeta, Bytes, Chain),
}

impl Disk {
    /// A disk on which exactly this is synced.
    ///
    /// # Panics
    ///
    /// If the value cannot be encoded.
    pub fn holding(durability: Durability, restored: &Restored, machine: &Machine, chain: Chain) -> Disk {
        let (_, value) = machine.snapshot().expect("a value that can be encoded");
        Disk {
            durability,
            hard_state: restored.hard_state,
            base: restored.base.clone(),
            value,
            entries: restored.entries.clone(),
            chain,
            unsynced: VecDeque::new(),
        }
    }

    /// A write begins; `transfer` is the value that comes with its snapshot.
    pub fn submit(&mut self, write: Write, transfer: Option<Transfer>) {
        self.unsynced.push_back(Pending::Write(write, transfer));
    }

    /// The member's value begins to be written. It takes its turn: what it contains must not be ahead of term and vote.
    pub fn save(&mut self, base: SnapshotMeta, value: Bytes, chain: Chain) {
        self.unsynced.push_back(Pending::Save(base, value, chain));
    }

    /// What stands for the log before its first entry.
    pub fn base(&self) -> &SnapshotMeta {
        &self.base
    }

    /// How many writes are on their way.
    pub fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    /// Whether a write is on its way.
    pub fn is_busy(&self) -> bool {
        !self.unsynced.is_empty()
    }

    /// Syncs the oldest write; returns its number if the core waits for it.
    pub fn sync(&mut self) -> Option<WriteNo> {
        match self.unsynced.pop_front()? {
            Pending::Write(write, transfer) => Some(self.write(write, transfer)),
            Pending::Save(base, value, chain) => {
                self.keep(base, value, chain);
                None
            }
        }
    }

    /// The value takes the place of the log up to it.
    fn keep(&mut self, base: SnapshotMeta, value: Bytes, chain: Chain) {
        if base.index() <= self.base.index() {
            return;
        }
        if chain.begins(&self.chain) {
            let gone = (base.index().0 - self.base.index().0) as usize;
            self.entries.drain(..gone.min(self.entries.len()));
        } else {
            self.entries.clear();
            self.chain = chain;
        }
        self.base = base;
        self.value = value;
    }

    fn write(&mut self, write: Write, transfer: Option<Transfer>) -> WriteNo {
        if let Some(hard_state) = write.hard_state {
            self.hard_state = hard_state;
        }
        if let (Some(base), Some(transfer)) = (write.snapshot, transfer) {
            self.base = base;
            self.value = transfer.value;
            self.chain = transfer.chain;
            self.entries.clear();
        }
        if let Some(append) = write.append {
            self.chain.replace(append.from, &append.entries);
            self.entries.truncate(append.from.0.saturating_sub(self.base.index().0 + 1) as usize);
            self.entries.extend(append.entries);
        }
        write.no
    }

    /// Power is gone: what was not synced never was.
    pub fn crash(&mut self) {
        self.unsynced.clear();
    }

    /// What a restarted member starts from, and the value that belongs to its base.
    ///
    /// # Panics
    ///
    /// If the value cannot be read again.
    pub fn restore(&self) -> (Restored, Machine, Chain) {
        let Disk { hard_state, base, entries, .. } = self;
        let restored = Restored { hard_state: *hard_state, base: base.clone(), entries: entries.clone() };
        let machine = Machine::restore(base.clone(), self.value.clone()).expect("what was written can be read");
        (restored, machine, self.chain.clone())
    }

    /// The synced term and vote.
    pub fn hard_state(&self) -> HardState {
        self.hard_state
    }

    /// The synced log.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }
}
