//! Where on the disk a group's log is: what recovery finds out, and what every write keeps up to date.

use super::record::{Body, Checkpoint};
use rafted_value_core::{EntryId, HardState, LogIndex};

/// One group's part of the log.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct GroupLog {
    /// The latest; nothing before the first one was met in recovery.
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) hard_state: HardState,
    /// Snapshots from which the log goes on without a gap, oldest first: two, once there were two. A value that came
    /// from elsewhere stands alone.
    bases: Vec<Base>,
    /// Where entries are, in order and without overlap.
    places: Vec<Place>,
    /// Of the group's last record.
    pub(super) checksum: u32,
    /// How many bytes of records with entries there are behind the newest snapshot.
    pub(super) bytes_after_base: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Base {
    last_included: EntryId,
    /// Where its checkpoint is.
    segment: u64,
}

/// A record with entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) first: LogIndex,
    /// Before this one; entries of the record from here on were overwritten.
    pub(super) end: LogIndex,
    pub(super) at: Location,
}

/// Where a record is, its header included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) segment: u64,
    pub(super) offset: u64,
    pub(super) length: u32,
}

impl GroupLog {
    pub(super) fn new() -> GroupLog {
        GroupLog {
            checkpoint: None,
            hard_state: HardState::default(),
            bases: Vec::new(),
            places: Vec::new(),
            checksum: 0,
            bytes_after_base: 0,
        }
    }

    /// Takes in a record that stands at `at`. Snapshots that are not needed any more are returned.
    pub(super) fn apply(&mut self, body: &Body, checksum: u32, at: Location) -> Vec<EntryId> {
        self.checksum = checksum;
        match body {
            Body::Checkpoint(checkpoint) => self.apply_checkpoint(checkpoint, at.segment),
            Body::Write { hard_state, append } => {
                if let Some(hard_state) = hard_state {
                    self.hard_state = *hard_state;
                }
                if let Some(append) = append {
                    self.cut(append.from);
                    let end = LogIndex(append.from.0 + append.entries.len() as u64);
                    if end > append.from {
                        self.bytes_after_base += u64::from(at.length);
                        self.places.push(Place { first: append.from, end, at });
                    }
                }
                Vec::new()
            }
            Body::Removed => self.bases.iter().map(|base| base.last_included).collect(),
        }
    }

    fn apply_checkpoint(&mut self, checkpoint: &Checkpoint, segment: u64) -> Vec<EntryId> {
        self.hard_state = checkpoint.hard_state;
        self.checkpoint = Some(checkpoint.clone());
        let base = Base { last_included: checkpoint.base, segment };
        let mut dropped = Vec::new();
        if !checkpoint.continues {
            dropped.append(&mut self.bases);
            self.places.clear();
        }
        self.bases.push(base);
        if self.bases.len() > 2 {
            dropped.push(self.bases.remove(0));
        }
        let first = self.bases[0].last_included.index;
        self.places.retain(|place| place.end.previous() > first);
        let behind = self.places.iter().filter(|place| place.end.previous() > checkpoint.base.index);
        self.bytes_after_base = behind.map(|place| u64::from(place.at.length)).sum();
        let kept = |id: &EntryId| self.bases.iter().all(|base| base.last_included != *id);
        dropped.into_iter().map(|base| base.last_included).filter(kept).collect()
    }

    fn cut(&mut self, from: LogIndex) {
        while self.places.last().is_some_and(|place| place.first >= from) {
            let cut = self.places.pop().map_or(0, |place| u64::from(place.at.length));
            self.bytes_after_base = self.bytes_after_base.saturating_sub(cut);
        }
        if let Some(last) = self.places.last_mut() {
            last.end = last.end.min(from);
        }
    }

    /// Nothing of the group is needed before this segment.
    pub(super) fn floor(&self) -> u64 {
        let entries = self.places.first().map(|place| place.at.segment);
        let base = self.bases.first().map(|base| base.segment);
        entries.into_iter().chain(base).min().unwrap_or(u64::MAX)
    }

    /// The snapshots, newest first.
    pub(super) fn bases(&self) -> impl Iterator<Item = EntryId> + '_ {
        self.bases.iter().rev().map(|base| base.last_included)
    }

    /// Where the entries after `base` are; nothing if some are missing.
    pub(super) fn after(&self, base: LogIndex) -> Option<Vec<Place>> {
        let mut next = base.next();
        let mut places = Vec::new();
        for place in &self.places {
            if place.end <= next {
                continue;
            }
            if place.first > next {
                return None;
            }
            places.push(Place { first: next, ..*place });
            next = place.end;
        }
        Some(places)
    }

    /// The last entry.
    pub(super) fn last(&self) -> LogIndex {
        let base = self.bases.last().map_or(LogIndex::ZERO, |base| base.last_included.index);
        self.places.last().map_or(base, |place| place.end.previous())
    }
}
