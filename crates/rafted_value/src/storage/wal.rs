//! The log: all groups of a node in one sequence of segments, and one sync for whatever waits.
//!
//! A segment is a file with room for many batches. Once nothing in the oldest is needed it is removed; what little an
//! idle group has there is written again at the end, so that it holds nothing up.

use super::disk::{Disk, is_full, write_all};
use super::error::{Damage, WriteFailure};
use super::identity::Identity;
use super::index::{GroupLog, Location};
use super::record::{self, ALIGNMENT, BATCH_HEADER, BatchHeader, Body, Checkpoint, RECORD_HEADER, RecordHeader};
use super::snapshot;
use crate::contact::GroupId;
use bytes::Bytes;
use rafted_value_core::{Append, Entry, EntryId, HardState, LogIndex, SnapshotMeta, Write, WriteNo};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

/// How the log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How large a segment is, unless a single batch needs more.
    pub segment_bytes: u64,
    /// A group's log may be so many times as large as its last snapshot before it needs another one.
    pub expansion_factor: u64,
    /// A log that is smaller needs no snapshot.
    pub small_log_bytes: u64,
    /// From how many segments on a group that holds up the oldest is moved.
    pub segments: u64,
}

impl Default for Options {
    fn default() -> Options {
        // Large enough that making one is rare, small enough that removing one gives back room soon.
        Options { segment_bytes: 64 << 20, expansion_factor: 10, small_log_bytes: 4 << 20, segments: 4 }
    }
}

/// Something to make durable.
#[derive(Clone, Debug)]
pub enum Change {
    /// There is a member now, in place of any other of its group. A snapshot that it begins with is in place already.
    Begin(GroupId, Checkpoint),
    /// What the core of the group's member wants written. A snapshot that arrived is in place already.
    Write(GroupId, Write),
    /// A snapshot is in place that contains everything up to there.
    Compact(GroupId, EntryId),
    /// There is no member any more.
    Remove(GroupId),
}

/// Changes on their way to the disk, in the bytes that they will have there.
pub struct Batch {
    bytes: Vec<u8>,
    staged: Vec<Staged>,
}

struct Staged {
    group: GroupId,
    body: Body,
    checksum: u32,
    offset: usize,
    length: u32,
}

/// What the records of a batch say of a group so far.
struct Head {
    checksum: u32,
    checkpoint: Checkpoint,
    hard_state: HardState,
}

/// Nothing for a group that has no member any more.
type Heads = HashMap<GroupId, Option<Head>>;

/// What a member starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Everything small.
    pub checkpoint: Checkpoint,
    /// Term and vote.
    pub hard_state: HardState,
    /// What the value contains.
    pub base: SnapshotMeta,
    /// The value, unless `base` is empty.
    pub value: Option<Bytes>,
    /// The log behind it.
    pub entries: Vec<Entry>,
}

/// The log of a node.
pub struct Wal {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) options: Options,
    pub(super) identity: Identity,
    /// The number of the next batch.
    pub(super) next: u64,
    /// The oldest segment, as the last batch says.
    pub(super) oldest: u64,
    /// The oldest segment that is needed, as the next batch will say.
    pub(super) floor: u64,
    /// The segment that is being written, where its next batch begins, and how large it is.
    pub(super) segment: u64,
    pub(super) end: u64,
    pub(super) room: u64,
    pub(super) groups: BTreeMap<GroupId, GroupLog>,
    pub(super) damaged: BTreeMap<GroupId, Damage>,
    pub(super) poisoned: Option<String>,
}

impl Wal {
    /// The groups that have a member, with its name and whether its part of the log is damaged.
    pub fn groups(&self) -> Vec<(GroupId, Option<Checkpoint>, Option<Damage>)> {
        let damage = |group| self.damaged.get(group).cloned();
        self.groups.iter().map(|(group, log)| (*group, log.checkpoint.clone(), damage(group))).collect()
    }

    /// The groups of this name.
    pub(super) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = GroupId> + 'a {
        let is_named = move |log: &GroupLog| log.checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.name == name);
        self.groups.iter().filter(move |(_, log)| is_named(log)).map(|(group, _)| *group)
    }

    /// Whose directory it is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// What a member starts from.
    ///
    /// # Errors
    ///
    /// The damage that makes it impossible to say.
    pub fn load(&self, group: GroupId) -> Result<Option<Stored>, Damage> {
        if let Some(damage) = self.damaged.get(&group) {
            return Err(damage.clone());
        }
        let Some(log) = self.groups.get(&group) else { return Ok(None) };
        let Some(checkpoint) = log.checkpoint.clone() else { return Ok(None) };
        let mut damage = None;
        for base in log.bases() {
            match self.load_from(group, log, base) {
                Ok((base, value, entries)) => {
                    let hard_state = log.hard_state;
                    return Ok(Some(Stored { checkpoint, hard_state, base, value, entries }));
                }
                // The one before, with the log behind it, says the same.
                Err(found) => damage = damage.or(Some(found)),
            }
        }
        Err(damage.unwrap_or_else(|| self.missing(group)))
    }

    fn load_from(
        &self,
        group: GroupId,
        log: &GroupLog,
        base: EntryId,
    ) -> Result<(SnapshotMeta, Option<Bytes>, Vec<Entry>), Damage> {
        let (meta, value) = match base == EntryId::ZERO {
            true => (SnapshotMeta::empty(), None),
            false => snapshot::read(&*self.disk, group, base).map(|(meta, value)| (meta, Some(value)))?,
        };
        let places = log.after(base.index).ok_or_else(|| self.missing(group))?;
        let mut entries = Vec::new();
        for place in places {
            let Append { entries: all, .. } = self.read_append(group, place.at)?;
            entries.extend(all.into_iter().filter(|entry| (place.first..place.end).contains(&entry.id.index)));
        }
        let terms = entries.iter().map(|entry| entry.id.term);
        if !terms.clone().is_sorted() || terms.chain([base.term]).any(|term| term > log.hard_state.term()) {
            return Err(self.missing(group));
        }
        Ok((meta, value, entries))
    }

    fn read_append(&self, group: GroupId, at: Location) -> Result<Append, Damage> {
        let file = segment_name(at.segment);
        let damaged = |what: String| Damage { file: file.clone(), offset: at.offset, what, group: Some(group) };
        let bytes =
            self.disk.read_at(&file, at.offset, at.length as usize).map_err(|error| damaged(error.to_string()))?;
        let header = RecordHeader::decode(&bytes).filter(|header| header.group == group);
        let header = header.ok_or_else(|| damaged("a record's header".to_owned()))?;
        let body = Bytes::from(bytes).slice(RECORD_HEADER..);
        if crc32c::crc32c(&body) != header.body_checksum {
            return Err(damaged("a record's body".to_owned()));
        }
        match record::decode(header.kind, body) {
            Ok(Body::Write { append: Some(append), .. }) => Ok(append),
            Ok(_) => Err(damaged("a record is another than was written".to_owned())),
            Err(error) => Err(damaged(error.to_string())),
        }
    }

    fn missing(&self, group: GroupId) -> Damage {
        let what = format!("records of group {group:?} are missing");
        Damage { file: segment_name(self.oldest), offset: 0, what, group: Some(group) }
    }

    /// The bytes of some changes.
    pub fn prepare(&self, changes: impl IntoIterator<Item = Change>) -> Batch {
        let mut batch = Batch { bytes: vec![0; BATCH_HEADER], staged: Vec::new() };
        let mut heads = Heads::new();
        for change in changes {
            match change {
                Change::Begin(group, checkpoint) => {
                    let checkpoint = Checkpoint { continues: false, ..self.sized(group, checkpoint) };
                    let hard_state = checkpoint.hard_state;
                    heads.insert(group, Some(Head { checksum: 0, checkpoint: checkpoint.clone(), hard_state }));
                    batch.put(&mut heads, group, Body::Checkpoint(checkpoint));
                }
                Change::Write(group, write) => self.put_write(&mut batch, &mut heads, group, write),
                Change::Compact(group, base) => {
                    if let Some(checkpoint) = self.restated(&mut heads, group, base, true) {
                        batch.put(&mut heads, group, Body::Checkpoint(checkpoint));
                    }
                }
                Change::Remove(group) => {
                    batch.put(&mut heads, group, Body::Removed);
                    heads.insert(group, None);
                }
            }
        }
        batch
    }

    fn put_write(&self, batch: &mut Batch, heads: &mut Heads, group: GroupId, write: Write) {
        let Some(head) = self.head(heads, group) else { return };
        let Write { mut hard_state, snapshot, append, .. } = write;
        if let Some(snapshot) = snapshot {
            head.hard_state = hard_state.take().unwrap_or(head.hard_state);
            if let Some(checkpoint) = self.restated(heads, group, snapshot.last_included, false) {
                batch.put(heads, group, Body::Checkpoint(checkpoint));
            }
        } else if let Some(hard_state) = hard_state {
            head.hard_state = hard_state;
        }
        if hard_state.is_some() || append.is_some() {
            batch.put(heads, group, Body::Write { hard_state, append });
        }
    }

    /// The group's checkpoint as of now, on another base.
    fn restated(&self, heads: &mut Heads, group: GroupId, base: EntryId, continues: bool) -> Option<Checkpoint> {
        let head = self.head(heads, group)?;
        if continues && base.index <= head.checkpoint.base.index {
            return None;
        }
        let checkpoint = Checkpoint { hard_state: head.hard_state, base, continues, ..head.checkpoint.clone() };
        head.checkpoint = self.sized(group, checkpoint);
        Some(head.checkpoint.clone())
    }

    fn sized(&self, group: GroupId, checkpoint: Checkpoint) -> Checkpoint {
        let base_bytes = self.disk.size(&snapshot::name(group, checkpoint.base)).unwrap_or(0);
        Checkpoint { base_bytes, ..checkpoint }
    }

    fn head<'a>(&self, heads: &'a mut Heads, group: GroupId) -> Option<&'a mut Head> {
        let stored = || {
            let log = self.groups.get(&group).filter(|_| !self.damaged.contains_key(&group))?;
            let checkpoint = log.checkpoint.clone()?;
            Some(Head { checksum: log.checksum, checkpoint, hard_state: log.hard_state })
        };
        heads.entry(group).or_insert_with(stored).as_mut()
    }

    /// Makes a batch durable, all of it or nothing.
    ///
    /// # Errors
    ///
    /// See [`WriteFailure`]. After [`WriteFailure::Full`] the same batch can be committed again.
    pub fn commit(&mut self, batch: &mut Batch) -> Result<(), WriteFailure> {
        if let Some(why) = &self.poisoned {
            return Err(WriteFailure::Poisoned(why.clone()));
        }
        if batch.staged.is_empty() {
            return Ok(());
        }
        self.write(&mut batch.bytes).map_err(|error| self.failed(error))?;
        let mut dropped = Vec::new();
        let start = self.end - room(batch.bytes.len());
        for Staged { group, body, checksum, offset, length } in batch.staged.drain(..) {
            let at = Location { segment: self.segment, offset: start + offset as u64, length };
            let log = self.groups.entry(group).or_insert_with(GroupLog::new);
            dropped.extend(log.apply(&body, checksum, at).into_iter().map(|base| snapshot::name(group, base)));
            match body {
                Body::Removed => drop(self.groups.remove(&group)),
                Body::Checkpoint(Checkpoint { continues: false, .. }) => drop(self.damaged.remove(&group)),
                _ => {}
            }
        }
        for name in dropped {
            // Nothing needs it: if this fails, the next start tries again.
            let _ = self.disk.unlink(&name);
        }
        Ok(())
    }

    fn write(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        let need = room(bytes.len());
        let new = self.end + need > self.room;
        if new {
            let size = need.max(self.options.segment_bytes);
            self.disk.create(&segment_name(self.segment + 1), size)?;
            self.disk.close(&segment_name(self.segment));
            (self.segment, self.end, self.room) = (self.segment + 1, 0, size);
        }
        let header = BatchHeader {
            mark: self.identity.mark,
            number: self.next,
            segment: self.segment,
            oldest: self.floor,
            length: (bytes.len() - BATCH_HEADER) as u32,
        };
        bytes[..BATCH_HEADER].copy_from_slice(&header.encode());
        let name = segment_name(self.segment);
        write_all(&*self.disk, &name, self.end, bytes)?;
        self.disk.sync(&name).map_err(Sync::failed)?;
        if self.end == 0 {
            self.disk.sync_dir().map_err(Sync::failed)?;
        }
        self.end += need;
        self.next += 1;
        for unneeded in std::mem::replace(&mut self.oldest, self.floor)..self.floor {
            // It costs room and nothing else; the next start will do.
            let _ = self.disk.unlink(&segment_name(unneeded));
        }
        Ok(())
    }

    /// Whatever may have left the disk in doubt ends all writing.
    fn failed(&mut self, error: io::Error) -> WriteFailure {
        let synced = error.get_ref().is_some_and(|inner| inner.is::<Sync>());
        if is_full(&error) && !synced {
            return WriteFailure::Full;
        }
        let why = error.to_string();
        self.poisoned = Some(why.clone());
        WriteFailure::Poisoned(why)
    }

    /// Why nothing is written any more, if so.
    pub fn poisoned(&self) -> Option<&str> {
        self.poisoned.as_deref()
    }

    /// Writes a snapshot; when it is in place, [`Change::Compact`] or the write that it came with refers to it.
    ///
    /// # Errors
    ///
    /// What the disk said; there is no snapshot then.
    pub fn write_snapshot(disk: &dyn Disk, group: GroupId, meta: &SnapshotMeta, value: &[u8]) -> io::Result<()> {
        snapshot::write(disk, group, meta, value)
    }

    /// Whether the group's log has grown so far beyond its snapshot that another one pays.
    pub fn wants_snapshot(&self, group: GroupId) -> bool {
        let Some(log) = self.groups.get(&group) else { return false };
        let snapshot = log.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.base_bytes);
        let limit = snapshot.saturating_mul(self.options.expansion_factor).max(self.options.small_log_bytes);
        log.bytes_after_base > limit
    }

    /// How many bytes of log the group has behind its snapshot.
    pub(super) fn log_bytes(&self, group: GroupId) -> u64 {
        self.groups.get(&group).map_or(0, |log| log.bytes_after_base)
    }

    /// From how many bytes of log on a snapshot that failed is tried again.
    pub(super) fn again(&self, group: GroupId) -> u64 {
        self.log_bytes(group) + self.options.small_log_bytes
    }

    /// Whether there is a sound member of the group, once these are done.
    pub(super) fn has(&self, group: GroupId, changes: &[Change]) -> bool {
        let latest = changes.iter().rev().find_map(|change| match change {
            Change::Begin(begun, _) if *begun == group => Some(true),
            Change::Remove(removed) if *removed == group => Some(false),
            _ => None,
        });
        latest.unwrap_or_else(|| self.groups.contains_key(&group) && !self.damaged.contains_key(&group))
    }

    /// Lets go of segments that nobody needs, and moves what is little; to be called after a new segment was begun.
    /// Groups that hold up the oldest segment with much are returned: they need a snapshot.
    ///
    /// # Errors
    ///
    /// See [`WriteFailure`].
    pub fn purge(&mut self) -> Result<Vec<GroupId>, WriteFailure> {
        self.raise_floor();
        if self.segment - self.floor < self.options.segments {
            return Ok(Vec::new());
        }
        let holding = |(_, log): &(&GroupId, &GroupLog)| log.floor() == self.floor;
        let pinning: Vec<GroupId> = self.groups.iter().filter(holding).map(|(group, _)| *group).collect();
        let (mut large, mut changes) = (Vec::new(), Vec::new());
        for group in pinning {
            match self.restatement(group) {
                Some((checkpoint, append)) => {
                    changes.push(Change::Begin(group, checkpoint));
                    let write = Write { no: WriteNo(0), hard_state: None, snapshot: None, append };
                    changes.push(Change::Write(group, write));
                }
                None => large.push(group),
            }
        }
        let mut batch = self.prepare(changes);
        self.commit(&mut batch)?;
        self.raise_floor();
        Ok(large)
    }

    fn raise_floor(&mut self) {
        let floors = self.groups.values().map(GroupLog::floor);
        // What is damaged stays, whatever of it can still be read.
        let floor = if self.damaged.is_empty() { floors.min().unwrap_or(u64::MAX) } else { 0 };
        self.floor = floor.min(self.segment).max(self.floor);
    }

    /// The segment that is being written.
    pub fn segment(&self) -> u64 {
        self.segment
    }

    /// All of a group in few bytes, if it is sound and few bytes are enough.
    fn restatement(&self, group: GroupId) -> Option<(Checkpoint, Option<Append>)> {
        let log = self.groups.get(&group)?;
        if self.damaged.contains_key(&group) || log.bytes_after_base > self.options.segment_bytes / 8 {
            return None;
        }
        let base = log.bases().next()?;
        // What stands before the newest snapshot goes, so that this one must be sound.
        let (_, _, entries) = self.load_from(group, log, base).ok()?;
        let checkpoint = Checkpoint { hard_state: log.hard_state, base, continues: false, ..log.checkpoint.clone()? };
        let from = base.index.next();
        Some((checkpoint, (!entries.is_empty()).then_some(Append { from, entries })))
    }

    /// The node's cluster, for ever.
    ///
    /// # Errors
    ///
    /// What the disk said.
    pub fn set_cluster(&mut self, cluster: crate::contact::ClusterId) -> io::Result<()> {
        let identity = Identity { cluster: Some(cluster), ..self.identity };
        identity.write(&*self.disk)?;
        self.identity = identity;
        Ok(())
    }

    /// The last entry of a group that is durable.
    pub fn last(&self, group: GroupId) -> Option<LogIndex> {
        self.groups.get(&group).map(GroupLog::last)
    }
}

impl Batch {
    fn put(&mut self, heads: &mut Heads, group: GroupId, body: Body) {
        let offset = self.bytes.len();
        let head = heads.get_mut(&group).and_then(Option::as_mut);
        let checksum = record::encode(&mut self.bytes, group, head.as_ref().map_or(0, |head| head.checksum), &body);
        if let Some(head) = head {
            head.checksum = checksum;
        }
        let length = (self.bytes.len() - offset) as u32;
        self.staged.push(Staged { group, body, checksum, offset, length });
    }

    /// How many bytes it takes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.staged.is_empty()
    }
}

/// A sync that failed, whatever it says: even a full disk, said by a sync, leaves in doubt what is durable.
#[derive(Debug, thiserror::Error)]
#[error("a sync failed: {0}")]
struct Sync(io::Error);

impl Sync {
    fn failed(error: io::Error) -> io::Error {
        io::Error::other(Sync(error))
    }
}

/// How much room a batch of so many bytes takes.
fn room(bytes: usize) -> u64 {
    (bytes as u64).next_multiple_of(ALIGNMENT as u64)
}

/// The name of a segment.
pub(super) fn segment_name(number: u64) -> String {
    format!("log-{number:016x}")
}

/// The number of the segment of that name.
pub(super) fn segment_number(name: &str) -> Option<u64> {
    let number = u64::from_str_radix(name.strip_prefix("log-")?, 16).ok()?;
    (segment_name(number) == name).then_some(number)
}
