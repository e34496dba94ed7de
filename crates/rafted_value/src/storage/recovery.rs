//! What a directory says after whatever happened: the log of each group as it was confirmed, or that it is damaged.
//!
//! Three things are told apart. What is whole counts. What is not whole and has nothing behind it was never confirmed,
//! and is cut off. What is not whole and has something behind it was lost by the disk: it is reported with its place,
//! and so is every group that cannot be shown to have lost nothing.

use super::disk::{ASIDE, Disk, write_all};
use super::error::{Damage, OpenFailure};
use super::identity::Identity;
use super::index::{GroupLog, Location};
use super::record::{self, ALIGNMENT, BATCH_HEADER, BatchHeader, Body, Checkpoint, RECORD_HEADER, RecordHeader};
use super::snapshot;
use super::wal::{Change, Options, Wal, segment_name, segment_number};
use crate::contact::{GroupId, NodeId};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

/// What was found, beside the groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Everything that the disk lost.
    pub damage: Vec<Damage>,
    /// Where an unconfirmed end was cut off, if there was one: the file and the offset.
    pub torn: Option<(String, u64)>,
}

impl Wal {
    /// Opens a directory. An empty one becomes that of `node`, with batches marked by `mark`: both are random.
    ///
    /// # Errors
    ///
    /// Why the directory as a whole cannot be used. Damage to single groups is in [`Found`] and met when they are
    /// [loaded](Wal::load).
    pub fn open(
        disk: Arc<dyn Disk>,
        options: Options,
        (node, mark): (NodeId, u64),
    ) -> Result<(Wal, Found), OpenFailure> {
        let in_directory = |error| OpenFailure::Io { file: "the directory".to_owned(), error };
        let names = disk.list().map_err(in_directory)?;
        match Identity::read(&*disk)? {
            Some(identity) => recover(disk, options, identity, &names),
            None => {
                let identity = Identity { node, cluster: None, mark };
                found(disk, options, identity, &names).map_err(in_directory)
            }
        }
    }
}

/// Looks at a node's directory, and changes nothing; the log that is returned is for looking only.
///
/// # Errors
///
/// As [`Wal::open`]; and if there is no node's directory.
pub fn look(disk: Arc<dyn Disk>) -> Result<(Wal, Found), OpenFailure> {
    let in_directory = |error| OpenFailure::Io { file: "the directory".to_owned(), error };
    let names = disk.list().map_err(in_directory)?;
    let identity = Identity::read(&*disk)?.ok_or(OpenFailure::NoNode)?;
    let (wal, mut found, torn) = read(disk, Options::default(), identity, &names)?;
    if torn > 0 {
        found.torn.get_or_insert((segment_name(wal.segment), wal.end));
    }
    Ok((wal, found))
}

/// A new directory gets its log before its identity: a directory with an identity and no log has lost it.
fn found(disk: Arc<dyn Disk>, options: Options, identity: Identity, names: &[String]) -> io::Result<(Wal, Found)> {
    if names.iter().any(|name| is_of_a_node(&*disk, name)) {
        return Err(io::Error::other("there is no identity, and a log or snapshots: it is not the whole of a node's"));
    }
    for name in names.iter().filter(|name| segment_number(name).is_some()) {
        disk.unlink(name)?;
    }
    disk.sync_dir()?;
    let mut wal = Wal {
        disk,
        options,
        identity,
        next: 1,
        oldest: 1,
        floor: 1,
        segment: 0,
        end: 0,
        room: 0,
        groups: BTreeMap::new(),
        damaged: BTreeMap::new(),
        poisoned: None,
    };
    // A removal of nothing: any record will do.
    let mut first = wal.prepare([Change::Remove(GroupId(0))]);
    wal.commit(&mut first).map_err(io::Error::other)?;
    wal.identity.write(&*wal.disk)?;
    Ok((wal, Found::default()))
}

/// Whether a file is more than what is left of a directory that was being made.
fn is_of_a_node(disk: &dyn Disk, name: &str) -> bool {
    let written = |bytes: Vec<u8>| bytes.iter().skip(FIRST_BATCH).any(|byte| *byte != 0);
    match segment_number(name) {
        Some(1) => disk.read(name).map_or(true, written),
        Some(_) => true,
        None => snapshot::parse(name).is_some(),
    }
}

/// The room that the first batch takes.
const FIRST_BATCH: usize = (BATCH_HEADER + RECORD_HEADER).next_multiple_of(ALIGNMENT);

fn recover(
    disk: Arc<dyn Disk>,
    options: Options,
    identity: Identity,
    names: &[String],
) -> Result<(Wal, Found), OpenFailure> {
    let (wal, mut found, torn) = read(disk, options, identity, names)?;
    let newest = segment_name(wal.segment);
    let in_file = |error| OpenFailure::Io { file: newest.clone(), error };
    if torn > 0 {
        // Not even the header may stay: a batch of the same number will stand somewhere else.
        write_all(&*wal.disk, &newest, wal.end, &[0; BATCH_HEADER][..torn]).map_err(in_file)?;
        found.torn.get_or_insert((newest.clone(), wal.end));
    }
    // What was read may be in a cache only.
    wal.disk.sync(&newest).and_then(|()| wal.disk.sync_dir()).map_err(in_file)?;
    tidy(&wal, names, found.damage.is_empty());
    Ok((wal, found))
}

/// What the directory says; nothing in it is changed. How much of a header stands where the next batch will be.
fn read(
    disk: Arc<dyn Disk>,
    options: Options,
    identity: Identity,
    names: &[String],
) -> Result<(Wal, Found, usize), OpenFailure> {
    let mut segments: Vec<u64> = names.iter().filter_map(|name| segment_number(name)).collect();
    segments.sort_unstable();
    let newest = *segments.last().ok_or(OpenFailure::NoLog)?;
    let read = |number| {
        let file = segment_name(number);
        disk.read(&file).map(Bytes::from).map_err(|error| OpenFailure::Io { file, error })
    };
    let mut oldest = 1;
    for number in segments.iter().rev() {
        if let Some(last) = last_header(&read(*number)?, identity.mark, *number) {
            oldest = last.oldest;
            break;
        }
    }
    let mut replay = Replay::default();
    if segments.iter().all(|number| *number > oldest) {
        replay.next = 1;
    }
    for number in segments.iter().copied().filter(|number| *number >= oldest) {
        replay.segment(read(number)?, identity.mark, number, number == newest);
    }
    let Replay { groups, found, damaged, next, end, newest: room, .. } = replay.finish();
    let behind = room.get(end as usize..).unwrap_or_default();
    let header = &behind[..behind.len().min(BATCH_HEADER)];
    let torn = if header.iter().any(|byte| *byte != 0) { header.len() } else { 0 };
    let wal = Wal {
        options,
        identity,
        next: next.max(1),
        oldest,
        floor: oldest,
        segment: newest,
        end,
        room: room.len() as u64,
        groups,
        damaged,
        poisoned: None,
        disk,
    };
    Ok((wal, found, torn))
}

/// Removes files that were not finished, and snapshots that nobody refers to; not while anything is damaged.
fn tidy(wal: &Wal, names: &[String], sound: bool) {
    for name in names {
        let useless = match snapshot::parse(name) {
            Some((group, base)) => {
                let used = |log: &GroupLog| log.bases().any(|used| used == base);
                sound && !wal.groups.get(&group).is_some_and(used)
            }
            None => name.ends_with(ASIDE) || segment_number(name).is_some_and(|number| number < wal.oldest),
        };
        if useless {
            // It costs room and nothing else.
            let _ = wal.disk.unlink(name);
        }
    }
}

/// The last sound header in a segment.
fn last_header(bytes: &[u8], mark: u64, number: u64) -> Option<BatchHeader> {
    let (mut offset, mut last) = (0, None);
    while offset + BATCH_HEADER <= bytes.len() {
        last = BatchHeader::decode(&bytes[offset..], mark, number).or(last);
        offset += ALIGNMENT;
    }
    last
}

/// Reads batches in their order.
#[derive(Default)]
struct Replay {
    groups: BTreeMap<GroupId, GroupLog>,
    damaged: BTreeMap<GroupId, Damage>,
    found: Found,
    /// Groups that may have lost a record, until their next one shows that they have not; and where it was lost.
    suspects: BTreeMap<GroupId, Damage>,
    /// Where whole batches were lost, if any were.
    lost: Option<Damage>,
    /// The number of the next batch; zero before the first.
    next: u64,
    /// The latest batch: whether it must be whole is known when there is another, or another segment.
    held: Option<Held>,
    /// Where the next batch begins in the latest segment, and the bytes of that.
    end: u64,
    newest: Bytes,
}

struct Held {
    segment: u64,
    offset: u64,
    records: Bytes,
    header: BatchHeader,
}

impl Held {
    /// Whether every record is there, unchanged.
    fn is_whole(&self) -> bool {
        let mut rest = &self.records[..];
        while let Some(header) = RecordHeader::decode(rest) {
            let end = RECORD_HEADER + header.length as usize;
            if crc32c::crc32c(&rest[RECORD_HEADER..end]) != header.body_checksum {
                return false;
            }
            rest = &rest[end..];
        }
        rest.is_empty()
    }
}

impl Replay {
    /// The next segment.
    fn segment(&mut self, bytes: Bytes, mark: u64, number: u64, newest: bool) {
        let mut offset = 0;
        self.end = 0;
        while offset + BATCH_HEADER <= bytes.len() {
            let Some(header) = BatchHeader::decode(&bytes[offset..], mark, number) else {
                offset += ALIGNMENT;
                continue;
            };
            self.release(true);
            if self.next != 0 && header.number != self.next {
                let what = format!("batches {} to {} are missing", self.next, header.number.saturating_sub(1));
                self.lose(Damage { file: segment_name(number), offset: self.end, what, group: None });
            }
            let start = offset + BATCH_HEADER;
            let records = bytes.slice(start..start + header.length as usize);
            self.held = Some(Held { segment: number, offset: offset as u64, records, header });
            self.next = header.number + 1;
            self.end = offset as u64 + header.room();
            offset = self.end as usize;
        }
        if newest {
            self.newest = bytes;
        } else {
            // The next segment was made after the last batch of this one was synced.
            self.release(true);
        }
    }

    /// Takes in the batch that was held back.
    fn release(&mut self, confirmed: bool) {
        let Some(held) = self.held.take() else { return };
        if !confirmed && !held.is_whole() {
            self.found.torn = Some((segment_name(held.segment), held.offset));
            self.end = held.offset;
            self.next = held.header.number;
            return;
        }
        let mut at = 0;
        while at < held.records.len() {
            let offset = held.offset + (BATCH_HEADER + at) as u64;
            let damage =
                |what: &str, group| Damage { file: segment_name(held.segment), offset, what: what.to_owned(), group };
            let Some(header) = RecordHeader::decode(&held.records[at..]) else {
                // Whose it is, and where the next begins, nobody knows.
                return self.lose(damage("the header of a record", None));
            };
            let body = held.records.slice(at + RECORD_HEADER..at + RECORD_HEADER + header.length as usize);
            let length = (RECORD_HEADER + body.len()) as u32;
            let location = Location { segment: held.segment, offset, length };
            match (crc32c::crc32c(&body) == header.body_checksum, record::decode(header.kind, body)) {
                (true, Ok(body)) => self.record(&header, &body, location),
                (true, Err(error)) => {
                    self.damage(header.group, damage(&error.to_string(), Some(header.group)));
                }
                (false, _) => self.damage(header.group, damage("the body of a record", Some(header.group))),
            }
            at += length as usize;
        }
    }

    fn record(&mut self, header: &RecordHeader, body: &Body, at: Location) {
        let group = header.group;
        let suspected = self.suspects.remove(&group);
        let known = self.groups.get(&group);
        let begins = matches!(body, Body::Checkpoint(Checkpoint { continues: false, .. }) | Body::Removed);
        let follows = known.map_or(self.lost.is_none() || header.previous == 0, |log| log.checksum == header.previous);
        if begins {
            // All that the group has follows here.
            self.damaged.remove(&group);
        } else if !follows {
            let missing = Damage {
                file: segment_name(at.segment),
                offset: at.offset,
                what: "the record before this one of its group is missing".to_owned(),
                group: Some(group),
            };
            self.damage(group, suspected.or(self.lost.clone()).unwrap_or(missing));
        }
        let log = self.groups.entry(group).or_insert_with(GroupLog::new);
        log.apply(body, header.checksum, at);
        if *body == Body::Removed {
            self.groups.remove(&group);
        }
    }

    /// A group's own record is damaged.
    fn damage(&mut self, group: GroupId, damage: Damage) {
        if self.damaged.contains_key(&group) {
            return;
        }
        let damage = Damage { group: Some(group), ..damage };
        self.groups.entry(group).or_insert_with(GroupLog::new);
        self.suspects.remove(&group);
        self.damaged.insert(group, damage.clone());
        self.found.damage.push(damage);
    }

    /// Somebody's records are lost.
    fn lose(&mut self, damage: Damage) {
        for group in self.groups.keys() {
            self.suspects.entry(*group).or_insert_with(|| damage.clone());
        }
        self.lost.get_or_insert(damage.clone());
        self.found.damage.push(damage);
    }

    fn finish(mut self) -> Replay {
        self.release(false);
        for (group, damage) in std::mem::take(&mut self.suspects) {
            self.damage(group, damage);
        }
        let incomplete = |log: &GroupLog| log.bases().last().is_none_or(|base| log.after(base.index).is_none());
        let incomplete: BTreeSet<GroupId> =
            self.groups.iter().filter(|(_, log)| incomplete(log)).map(|(group, _)| *group).collect();
        for group in incomplete.into_iter().filter(|group| !self.damaged.contains_key(group)).collect::<Vec<_>>() {
            let what = "its first records are missing".to_owned();
            self.damage(group, Damage { file: "the log".to_owned(), offset: 0, what, group: Some(group) });
        }
        self
    }
}
