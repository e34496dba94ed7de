//! The log: a base that stands for everything dropped, and the entries after it.

use crate::config::Config;
use crate::entry::{Entry, Payload, SnapshotMeta};
use crate::membership::Membership;
use crate::museum::{Mutant, broken};
use crate::types::{EntryId, LogIndex, Term};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Entries in sequence, from just after `base` to the last.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Log {
    base: SnapshotMeta,
    tail: VecDeque<Slot>,
    /// Where in the tail memberships and configs stand, so that finding the latest needs no search.
    settings: VecDeque<LogIndex>,
}

/// An entry, and how many bytes the log had from its beginning to the end of this entry. Differences of these give
/// the bytes between any two indexes, so that no counter can drift.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Slot {
    entry: Entry,
    end: u64,
}

impl Log {
    /// A log that continues `base` with `entries`.
    ///
    /// # Panics
    ///
    /// If the entries do not follow the base in sequence: the driver restored something it never stored.
    pub fn new(base: SnapshotMeta, entries: Vec<Entry>) -> Log {
        let mut log = Log { base, tail: VecDeque::new(), settings: VecDeque::new() };
        for entry in entries {
            log.append(entry);
        }
        if broken(Mutant::SettingsNotRestored) {
            log.settings.clear();
        }
        log
    }

    /// What stands for everything before the first entry.
    pub fn base(&self) -> &SnapshotMeta {
        &self.base
    }

    /// The last entry, or what the base ends with.
    pub fn last(&self) -> EntryId {
        self.tail.back().map_or(self.base.last_included, |slot| slot.entry.id)
    }

    /// The index of the last entry.
    pub fn last_index(&self) -> LogIndex {
        self.last().index
    }

    /// Which entry stands at `index`; `None` before the base and after the end.
    pub fn id_at(&self, index: LogIndex) -> Option<EntryId> {
        if index == self.base.index() {
            return Some(self.base.last_included);
        }
        self.entry(index).map(|entry| entry.id)
    }

    /// The entry at `index`, if the log still has it.
    pub fn entry(&self, index: LogIndex) -> Option<&Entry> {
        self.slot(index).map(|slot| &slot.entry)
    }

    /// Every entry after the base.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.tail.iter().map(|slot| &slot.entry)
    }

    fn slot(&self, index: LogIndex) -> Option<&Slot> {
        let offset = index.0.checked_sub(self.base.index().0 + 1)?;
        self.tail.get(usize::try_from(offset).ok()?)
    }

    /// Whether the log has exactly this entry, as far as it can know.
    pub fn contains(&self, id: EntryId) -> bool {
        self.id_at(id.index) == Some(id)
    }

    /// Copies of the entries `from..=to` (payloads are shared), as many as fit into `max_bytes` but at least one.
    pub fn copy(&self, from: LogIndex, to: LogIndex, max_bytes: u64) -> Vec<Entry> {
        let Some(first) = self.slot(from) else { return Vec::new() };
        let limit = first.end.saturating_add(max_bytes.saturating_sub(first.entry.payload.size()));
        let skip = (from.0 - self.base.index().0 - 1) as usize;
        self.tail
            .iter()
            .skip(skip)
            .take_while(|slot| slot.entry.id.index <= to && slot.end <= limit.max(first.end))
            .map(|slot| slot.entry.clone())
            .collect()
    }

    /// How many bytes stand in `from+1..=to`.
    pub fn bytes_between(&self, from: LogIndex, to: LogIndex) -> u64 {
        self.end_of(to).saturating_sub(self.end_of(from))
    }

    /// For an index outside the tail, the nearest edge.
    fn end_of(&self, index: LogIndex) -> u64 {
        match self.slot(index) {
            Some(slot) => slot.end,
            None if index <= self.base.index() => self.base_end(),
            None => self.tail.back().map_or(0, |slot| slot.end),
        }
    }

    fn base_end(&self) -> u64 {
        self.tail.front().map_or(0, |slot| slot.end - slot.entry.payload.size())
    }

    /// The last entry at or before `at` whose term is at most `term`: where a common entry may be, skipping
    /// whole terms (thesis §3.5; both sides do it, so that one rejection usually suffices).
    pub fn last_not_after(&self, at: LogIndex, term: Term) -> EntryId {
        // Terms never decrease, so that a whole term is skipped at once.
        let upto_term = self.tail.partition_point(|slot| slot.entry.id.term <= term) as u64;
        let index = at.min(LogIndex(self.base.index().0 + upto_term));
        self.id_at(index).unwrap_or(self.base.last_included)
    }

    pub(crate) fn append(&mut self, entry: Entry) {
        let last = self.last();
        assert!(entry.id.index == last.index.next(), "entries are in sequence");
        assert!(entry.id.term >= last.term || broken(Mutant::StaleTailStays), "terms in a log never decrease");
        if matches!(entry.payload, Payload::Membership(_) | Payload::Config(_)) {
            self.settings.push_back(entry.id.index);
        }
        let end = self.tail.back().map_or(0, |slot| slot.end) + entry.payload.size();
        self.tail.push_back(Slot { entry, end });
    }

    /// Drops `from` and everything after it.
    pub(crate) fn truncate(&mut self, from: LogIndex) {
        assert!(from > self.base.index(), "the base is never truncated");
        if broken(Mutant::MembershipOutlivesEntry) {
            self.base.membership = self.membership().clone();
        }
        self.tail.truncate((from.0 - self.base.index().0 - 1) as usize);
        while self.settings.back().is_some_and(|at| *at >= from) {
            self.settings.pop_back();
        }
    }

    /// Lets go of every entry up to `to`; the base takes their place.
    pub(crate) fn compact(&mut self, to: LogIndex) {
        let Some(last_included) = self.id_at(to) else { return };
        let mut membership = self.membership_at(to).clone();
        if broken(Mutant::JointIsCompacted) {
            membership = Arc::new(membership.after_joint());
        }
        let config = self.config_at(to).clone();
        self.tail.drain(..(to.0 - self.base.index().0) as usize);
        while self.settings.front().is_some_and(|at| *at <= to) {
            self.settings.pop_front();
        }
        self.base = SnapshotMeta { last_included, membership, config };
    }

    /// Continues a snapshot instead: keeps what follows the snapshot's last entry if the log has that entry, else
    /// nothing. Returns whether it was kept.
    pub(crate) fn restore(&mut self, mut snapshot: SnapshotMeta) -> bool {
        if broken(Mutant::SnapshotKeepsMembership) {
            snapshot.membership = self.membership().clone();
        }
        let known = self.contains(snapshot.last_included);
        let conflicts = self.last_index() > snapshot.index() && broken(Mutant::ConflictSurvivesInstall);
        let keeps = snapshot.index() >= self.base.index() && (known || conflicts) && !broken(Mutant::InstallDropsTail);
        if keeps {
            self.compact(snapshot.index());
            self.base = snapshot;
        } else {
            *self = Log::new(snapshot, Vec::new());
        }
        keeps
    }

    /// The membership in force: the latest in the log, committed or not (thesis §4.1).
    pub fn membership(&self) -> &Arc<Membership> {
        self.membership_at(self.last_index())
    }

    /// The entry that carries the membership in force; the base's index if it is there.
    pub fn membership_index(&self) -> LogIndex {
        self.latest_setting(self.last_index(), |payload| match payload {
            Payload::Membership(_) => Some(()),
            _ => None,
        })
        .map_or(self.base.index(), |(at, ())| at)
    }

    /// The membership in force at `index`.
    pub fn membership_at(&self, index: LogIndex) -> &Arc<Membership> {
        self.latest_setting(index, |payload| match payload {
            Payload::Membership(membership) => Some(membership),
            _ => None,
        })
        .map_or(&self.base.membership, |(_, membership)| membership)
    }

    /// The config that stands last at or before `index`.
    pub fn config_at(&self, index: LogIndex) -> &Arc<Config> {
        self.latest_setting(index, |payload| match payload {
            Payload::Config(config) => Some(config),
            _ => None,
        })
        .map_or(&self.base.config, |(_, config)| config)
    }

    /// The entry that carries the config in force at `index`; the base's index if it is there.
    pub fn config_index_at(&self, index: LogIndex) -> LogIndex {
        self.latest_setting(index, |payload| match payload {
            Payload::Config(_) => Some(()),
            _ => None,
        })
        .map_or(self.base.index(), |(at, ())| at)
    }

    fn latest_setting<'log, T>(
        &'log self,
        upto: LogIndex,
        pick: impl Fn(&'log Payload) -> Option<T>,
    ) -> Option<(LogIndex, T)> {
        self.settings
            .iter()
            .rev()
            .filter(|at| **at <= upto)
            .find_map(|at| Some((*at, pick(&self.entry(*at)?.payload)?)))
    }
}
