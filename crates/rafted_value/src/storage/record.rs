//! The bytes of the log: batches of records. `docs/disk_format.md` draws them.
//!
//! A batch is what one sync makes durable, all of it or nothing. It is written only after the batch before was synced,
//! so a batch on the disk proves that every earlier one had been there in full: **what is damaged with a batch behind
//! it was lost by the disk; what is incomplete with nothing behind it was never confirmed.**
//!
//! A record names its group, and the checksum of the group's record before it. That checksum covers the one before in
//! turn, so that it speaks for the group's whole log, and a record that is missing is noticed by the group's next.

use crate::contact::GroupId;
use crate::wire::{WireEntry, member_id, optional_member_id};
use bytes::{Buf, BufMut, Bytes};
use prost::Message as _;
use rafted_value_core::{Append, Entry, EntryId, HardState, LogIndex, MemberId, NUMBER_LIMIT, Term};

/// Batches begin at multiples of this. Small, so that a lone command of 1 KiB costs little; a power of two, so that a
/// header never spans two sectors.
pub(super) const ALIGNMENT: usize = 64;

/// How long the header of a batch is.
pub(super) const BATCH_HEADER: usize = 44;

/// How long the header of a record is.
pub(super) const RECORD_HEADER: usize = 36;

/// Of a batch: what stands before its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchHeader {
    /// A random number of this directory's: what looks like a header and has another mark is part of somebody's
    /// command, or of another directory's log.
    pub(super) mark: u64,
    /// Counted from 1, without a gap, through all segments.
    pub(super) number: u64,
    /// The segment that it was written for.
    pub(super) segment: u64,
    /// No segment before this one is needed, nor was any that is missing.
    pub(super) oldest: u64,
    /// How many bytes of records follow.
    pub(super) length: u32,
}

impl BatchHeader {
    pub(super) fn encode(&self) -> [u8; BATCH_HEADER] {
        let mut bytes = [0; BATCH_HEADER];
        let mut rest = &mut bytes[4..];
        rest.put_u64_le(self.mark);
        rest.put_u64_le(self.number);
        rest.put_u64_le(self.segment);
        rest.put_u64_le(self.oldest);
        rest.put_u32_le(self.length);
        let checksum = crc32c::crc32c(&bytes[4..]);
        bytes[..4].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// What begins here, if a sound header of this directory and segment does, and its batch ends within `bytes`.
    pub(super) fn decode(bytes: &[u8], mark: u64, segment: u64) -> Option<BatchHeader> {
        let header = bytes.get(..BATCH_HEADER)?;
        let (mut checksum, mut rest) = header.split_at(4);
        let header = BatchHeader {
            mark: rest.get_u64_le(),
            number: rest.get_u64_le(),
            segment: rest.get_u64_le(),
            oldest: rest.get_u64_le(),
            length: rest.get_u32_le(),
        };
        let ours = (header.mark, header.segment) == (mark, segment);
        let sound = ours && header.length as usize <= bytes.len() - BATCH_HEADER;
        (sound && checksum.get_u32_le() == crc32c::crc32c(&bytes[4..BATCH_HEADER])).then_some(header)
    }

    /// How much room the batch takes, with what follows up to where the next may begin.
    pub(super) fn room(&self) -> u64 {
        (BATCH_HEADER as u64 + u64::from(self.length)).next_multiple_of(ALIGNMENT as u64)
    }
}

/// Of a record: what stands before its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    /// Of everything behind it in the header, and so of the body and of all earlier records of the group.
    pub(super) checksum: u32,
    pub(super) body_checksum: u32,
    pub(super) length: u32,
    pub(super) kind: u8,
    /// The checksum of the group's record before; zero before its first.
    pub(super) previous: u32,
    pub(super) group: GroupId,
}

impl RecordHeader {
    fn encode(&self) -> [u8; RECORD_HEADER] {
        let mut bytes = [0; RECORD_HEADER];
        let mut rest = &mut bytes[4..];
        rest.put_u32_le(self.body_checksum);
        rest.put_u32_le(self.length);
        rest.put_u8(self.kind);
        rest.put_slice(&[0; 3]);
        rest.put_u32_le(self.previous);
        rest.put_u128(self.group.0);
        let checksum = crc32c::crc32c(&bytes[4..]);
        bytes[..4].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header at the beginning of `bytes`, if it is sound and its body ends within them.
    pub(super) fn decode(bytes: &[u8]) -> Option<RecordHeader> {
        let mut rest = bytes.get(..RECORD_HEADER)?;
        let checksum = rest.get_u32_le();
        let (body_checksum, length, kind) = (rest.get_u32_le(), rest.get_u32_le(), rest.get_u8());
        rest.advance(3);
        let (previous, group) = (rest.get_u32_le(), GroupId(rest.get_u128()));
        let sound = checksum == crc32c::crc32c(&bytes[4..RECORD_HEADER]);
        let whole = length as usize <= bytes.len() - RECORD_HEADER;
        (sound && whole).then_some(RecordHeader { checksum, body_checksum, length, kind, previous, group })
    }
}

/// What a record says about its group.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Body {
    /// Everything small about the member, as of now; nothing that was said before is needed except entries.
    Checkpoint(Checkpoint),
    /// What the core wanted written.
    Write {
        /// Term and vote, if they changed.
        hard_state: Option<HardState>,
        /// The log from some index on.
        append: Option<Append>,
    },
    /// There is no member of the group here any more.
    Removed,
}

/// Everything small about a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which member.
    pub member: MemberId,
    /// The group's name.
    pub name: String,
    /// The name of the value's type.
    pub value: String,
    /// Term and vote.
    pub hard_state: HardState,
    /// Up to where the value is in a snapshot file; there is none at zero.
    pub base: EntryId,
    /// How large that file is.
    pub base_bytes: u64,
    /// Whether the log before `base` is this one: not if the value came from elsewhere.
    pub continues: bool,
}

const CHECKPOINT: u8 = 1;
const WRITE: u8 = 2;
const REMOVED: u8 = 3;

/// Why the body of a sound record means nothing to this build.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("a record of unknown kind {0}")]
    Kind(u8),
    #[error(transparent)]
    Malformed(#[from] crate::wire::Malformed),
    #[error("fields that cannot be read: {0}")]
    Fields(#[from] prost::DecodeError),
    #[error("{0} out of bounds")]
    Bounds(&'static str),
}

/// Appends a record to a batch; returns its checksum.
pub(super) fn encode(batch: &mut Vec<u8>, group: GroupId, previous: u32, body: &Body) -> u32 {
    let start = batch.len();
    batch.resize(start + RECORD_HEADER, 0);
    let kind = match body {
        Body::Checkpoint(checkpoint) => put(batch, CHECKPOINT, &WireCheckpoint::of(checkpoint)),
        Body::Write { hard_state, append } => put(batch, WRITE, &WireWrite::of(hard_state.as_ref(), append.as_ref())),
        Body::Removed => REMOVED,
    };
    let body = &batch[start + RECORD_HEADER..];
    let header = RecordHeader {
        checksum: 0,
        body_checksum: crc32c::crc32c(body),
        length: body.len() as u32,
        kind,
        previous,
        group,
    };
    let header = header.encode();
    batch[start..start + RECORD_HEADER].copy_from_slice(&header);
    u32::from_le_bytes([header[0], header[1], header[2], header[3]])
}

fn put(batch: &mut Vec<u8>, kind: u8, fields: &impl prost::Message) -> u8 {
    batch.reserve(fields.encoded_len());
    fields.encode_raw(batch);
    kind
}

/// What the body of a record says; payloads of entries are slices of it.
pub(super) fn decode(kind: u8, body: Bytes) -> Result<Body, Unreadable> {
    match kind {
        CHECKPOINT => Ok(Body::Checkpoint(WireCheckpoint::decode(body)?.read()?)),
        WRITE => WireWrite::decode(body)?.read(),
        REMOVED => Ok(Body::Removed),
        kind => Err(Unreadable::Kind(kind)),
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireCheckpoint {
    #[prost(bytes = "bytes", tag = "1")]
    member: Bytes,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    value: String,
    #[prost(message, optional, tag = "4")]
    hard_state: Option<WireHardState>,
    #[prost(uint64, tag = "5")]
    base_term: u64,
    #[prost(uint64, tag = "6")]
    base_index: u64,
    #[prost(bool, tag = "7")]
    continues: bool,
    #[prost(uint64, tag = "8")]
    base_bytes: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireHardState {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(bytes = "bytes", tag = "2")]
    voted_for: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireWrite {
    #[prost(message, optional, tag = "1")]
    hard_state: Option<WireHardState>,
    /// Zero if the log is not written.
    #[prost(uint64, tag = "2")]
    from: u64,
    #[prost(message, repeated, tag = "3")]
    entries: Vec<WireEntry>,
}

impl WireCheckpoint {
    fn of(checkpoint: &Checkpoint) -> WireCheckpoint {
        WireCheckpoint {
            member: member_id(checkpoint.member),
            name: checkpoint.name.clone(),
            value: checkpoint.value.clone(),
            hard_state: Some(WireHardState::of(&checkpoint.hard_state)),
            base_term: checkpoint.base.term.0,
            base_index: checkpoint.base.index.0,
            continues: checkpoint.continues,
            base_bytes: checkpoint.base_bytes,
        }
    }

    fn read(self) -> Result<Checkpoint, Unreadable> {
        Ok(Checkpoint {
            member: optional_member_id(&self.member)?.ok_or(Unreadable::Bounds("the member's id"))?,
            name: self.name,
            value: self.value,
            hard_state: self.hard_state.ok_or(Unreadable::Bounds("term and vote"))?.read()?,
            base: EntryId { term: Term(bounded(self.base_term)?), index: LogIndex(bounded(self.base_index)?) },
            continues: self.continues,
            base_bytes: self.base_bytes,
        })
    }
}

impl WireHardState {
    fn of(hard_state: &HardState) -> WireHardState {
        let voted_for = hard_state.voted_for().map_or_else(Bytes::new, member_id);
        WireHardState { term: hard_state.term().0, voted_for }
    }

    fn read(self) -> Result<HardState, Unreadable> {
        Ok(HardState::new(Term(bounded(self.term)?), optional_member_id(&self.voted_for)?))
    }
}

impl WireWrite {
    fn of(hard_state: Option<&HardState>, append: Option<&Append>) -> WireWrite {
        WireWrite {
            hard_state: hard_state.map(WireHardState::of),
            from: append.map_or(0, |append| append.from.0),
            entries: append.iter().flat_map(|append| append.entries.iter().map(WireEntry::of)).collect(),
        }
    }

    fn read(self) -> Result<Body, Unreadable> {
        let hard_state = self.hard_state.map(WireHardState::read).transpose()?;
        let entries = self.entries.into_iter().map(WireEntry::read).collect::<Result<Vec<Entry>, _>>()?;
        let in_sequence = (bounded(self.from)?..).zip(&entries).all(|(index, entry)| entry.id.index.0 == index);
        if !in_sequence || (self.from == 0 && !entries.is_empty()) {
            return Err(Unreadable::Bounds("indexes of entries"));
        }
        let append = (self.from > 0).then_some(Append { from: LogIndex(self.from), entries });
        Ok(Body::Write { hard_state, append })
    }
}

fn bounded(number: u64) -> Result<u64, Unreadable> {
    if number < NUMBER_LIMIT { Ok(number) } else { Err(Unreadable::Bounds("a term or an index")) }
}
