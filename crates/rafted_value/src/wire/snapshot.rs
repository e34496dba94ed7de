//! What stands in logs and before them: entries, memberships, configs, and the pieces of a value.
//!
//! A membership or config travels as bytes inside its entry, so that a message never nests deeper than an entry and
//! the number of members is checked before any is decoded.

use super::Malformed;
use super::fields::{self, detached, entry_id, id_bytes, member, nanos, term};
use super::frame::{Route, kind, routed};
use crate::packet::Chunk;
use bytes::Bytes;
use prost::Message as _;
use rafted_value_core::{Config, Entry, EntryId, Member, MemberId, Membership, Payload, Promotion, Seat, SnapshotMeta};
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct WireEntry {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(uint64, tag = "2")]
    index: u64,
    #[prost(uint64, tag = "3")]
    kind: u64,
    #[prost(bytes = "bytes", tag = "4")]
    data: Bytes,
}
const NOOP: u64 = 1;
const COMMANDS: u64 = 2;
const MEMBERSHIP: u64 = 3;
const CONFIG: u64 = 4;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct WireSnapshot {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(uint64, tag = "2")]
    index: u64,
    #[prost(bytes = "bytes", tag = "3")]
    membership: Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    config: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireMembership {
    #[prost(message, repeated, tag = "1")]
    members: Vec<WireMember>,
}
const MEMBERS: usize = 1;

#[derive(Clone, PartialEq, prost::Message)]
struct WireMember {
    #[prost(bytes = "bytes", tag = "1")]
    id: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    contact: Bytes,
    #[prost(uint64, tag = "3")]
    seat: u64,
    #[prost(bytes = "bytes", tag = "4")]
    replaces: Bytes,
}
const VOTER: u64 = 1;
const INCOMING: u64 = 2;
const OUTGOING: u64 = 3;
const LEARNER_FOR_EVER: u64 = 4;
const LEARNER: u64 = 5;
const LEARNER_REPLACING: u64 = 6;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WireConfig {
    #[prost(uint64, tag = "1")]
    heartbeat_interval_ns: u64,
    #[prost(uint64, tag = "2")]
    election_timeout_ns: u64,
    #[prost(uint64, tag = "3")]
    clock_drift_margin_ns: u64,
    #[prost(uint64, tag = "4")]
    max_retained_committed_logs: u64,
    #[prost(uint64, tag = "5")]
    max_retained_bytes: u64,
    #[prost(uint64, tag = "6")]
    max_uncommitted_bytes: u64,
    #[prost(uint64, tag = "7")]
    max_append_bytes: u64,
    #[prost(uint64, tag = "8")]
    max_inflight_messages: u64,
    #[prost(uint64, tag = "9")]
    max_inflight_bytes: u64,
    #[prost(uint64, tag = "10")]
    learner_timeout_ns: u64,
    #[prost(bytes = "bytes", tag = "11")]
    extra: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireChunk {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(message, optional, tag = "2")]
    snapshot: Option<WireSnapshot>,
    #[prost(uint64, tag = "3")]
    total: u64,
    #[prost(uint64, tag = "4")]
    offset: u64,
    #[prost(bytes = "bytes", tag = "5")]
    data: Bytes,
}

pub(super) fn encode_chunk(chunk: &Chunk, limit: u32) -> Result<Bytes, Malformed> {
    let route = Route { group: chunk.group, from: chunk.from, to: chunk.to };
    let body = WireChunk {
        term: chunk.term.0,
        snapshot: Some(WireSnapshot::of(&chunk.snapshot)),
        total: chunk.total,
        offset: chunk.offset,
        data: chunk.data.clone(),
    };
    routed(kind::CHUNK, &route, &body, limit)
}

/// Refuses a piece that is not within the whole, so that nobody has to think of it again.
pub(super) fn decode_chunk(route: &Route, bytes: Bytes) -> Result<Chunk, Malformed> {
    let WireChunk { term: term_of, snapshot, total, offset, data } = WireChunk::decode(bytes)?;
    if offset.checked_add(data.len() as u64).is_none_or(|end| end > total) {
        return Err(Malformed::Length { what: "a chunk" });
    }
    let Route { group, from, to } = *route;
    Ok(Chunk { group, from, to, term: term(term_of)?, snapshot: WireSnapshot::read(snapshot)?, total, offset, data })
}

impl WireEntry {
    pub(crate) fn of(entry: &Entry) -> WireEntry {
        let EntryId { term, index } = entry.id;
        let (kind, data) = match &entry.payload {
            Payload::Noop => (NOOP, Bytes::new()),
            Payload::Commands(commands) => (COMMANDS, commands.clone()),
            Payload::Membership(membership) => (MEMBERSHIP, encode_membership(membership)),
            Payload::Config(config) => (CONFIG, encode_config(config)),
        };
        WireEntry { term: term.0, index: index.0, kind, data }
    }

    pub(crate) fn read(self) -> Result<Entry, Malformed> {
        let payload = match self.kind {
            NOOP => Payload::Noop,
            COMMANDS => Payload::Commands(self.data),
            MEMBERSHIP => Payload::Membership(Arc::new(decode_membership(self.data)?)),
            CONFIG => Payload::Config(Arc::new(decode_config(self.data)?)),
            kind => return Err(Malformed::UnknownKind { what: "kind of entry", kind }),
        };
        Ok(Entry { id: entry_id(self.term, self.index)?, payload })
    }
}

impl WireSnapshot {
    pub(crate) fn of(snapshot: &SnapshotMeta) -> WireSnapshot {
        WireSnapshot {
            term: snapshot.last_included.term.0,
            index: snapshot.last_included.index.0,
            membership: encode_membership(&snapshot.membership),
            config: encode_config(&snapshot.config),
        }
    }

    pub(crate) fn read(snapshot: Option<WireSnapshot>) -> Result<SnapshotMeta, Malformed> {
        let snapshot = snapshot.ok_or(Malformed::Length { what: "a snapshot" })?;
        Ok(SnapshotMeta {
            last_included: entry_id(snapshot.term, snapshot.index)?,
            membership: Arc::new(decode_membership(snapshot.membership)?),
            config: Arc::new(decode_config(snapshot.config)?),
        })
    }
}

fn encode_membership(membership: &Membership) -> Bytes {
    let members = membership.members().iter().map(|(id, member)| WireMember::of(*id, member)).collect();
    WireMembership { members }.encode_to_vec().into()
}

fn decode_membership(bytes: Bytes) -> Result<Membership, Malformed> {
    fields::check_count("members", MEMBERS, &bytes)?;
    let members = WireMembership::decode(bytes)?.members;
    let count = members.len();
    let members = members.into_iter().map(WireMember::read).collect::<Result<Vec<_>, _>>()?;
    let membership = Membership::new(members);
    if membership.members().len() < count {
        return Err(Malformed::Repeated { what: "member" });
    }
    Ok(membership)
}

impl WireMember {
    fn of(id: MemberId, member: &Member) -> WireMember {
        let (seat, replaces) = seat_number(member.seat);
        WireMember { id: id_bytes(id.0), contact: member.contact.clone(), seat, replaces }
    }

    fn read(self) -> Result<(MemberId, Member), Malformed> {
        let seat = read_seat(self.seat, &self.replaces)?;
        Ok((member(&self.id)?, Member { contact: detached(&self.contact), seat }))
    }
}

/// The number of a seat, and the member whose place it takes.
pub(super) fn seat_number(seat: Seat) -> (u64, Bytes) {
    let (number, replaces) = match seat {
        Seat::Voter => (VOTER, None),
        Seat::Incoming => (INCOMING, None),
        Seat::Outgoing => (OUTGOING, None),
        Seat::Learner(Promotion::Never) => (LEARNER_FOR_EVER, None),
        Seat::Learner(Promotion::WhenCaughtUp) => (LEARNER, None),
        Seat::Learner(Promotion::Replacing(old)) => (LEARNER_REPLACING, Some(old)),
    };
    (number, replaces.map_or_else(Bytes::new, |old: MemberId| id_bytes(old.0)))
}

pub(super) fn read_seat(number: u64, replaces: &Bytes) -> Result<Seat, Malformed> {
    Ok(match number {
        VOTER => Seat::Voter,
        INCOMING => Seat::Incoming,
        OUTGOING => Seat::Outgoing,
        LEARNER_FOR_EVER => Seat::Learner(Promotion::Never),
        LEARNER => Seat::Learner(Promotion::WhenCaughtUp),
        LEARNER_REPLACING => Seat::Learner(Promotion::Replacing(member(replaces)?)),
        kind => return Err(Malformed::UnknownKind { what: "seat", kind }),
    })
}

fn encode_config(config: &Config) -> Bytes {
    WireConfig::of(config).encode_to_vec().into()
}

fn decode_config(bytes: Bytes) -> Result<Config, Malformed> {
    WireConfig::decode(bytes)?.read()
}

impl WireConfig {
    pub(super) fn of(config: &Config) -> WireConfig {
        WireConfig {
            heartbeat_interval_ns: nanos(config.heartbeat_interval),
            election_timeout_ns: nanos(config.election_timeout),
            clock_drift_margin_ns: nanos(config.clock_drift_margin),
            max_retained_committed_logs: config.max_retained_committed_logs,
            max_retained_bytes: config.max_retained_bytes,
            max_uncommitted_bytes: config.max_uncommitted_bytes,
            max_append_bytes: config.max_append_bytes,
            max_inflight_messages: config.max_inflight_messages.into(),
            max_inflight_bytes: config.max_inflight_bytes,
            learner_timeout_ns: nanos(config.learner_timeout),
            extra: config.extra.clone(),
        }
    }

    pub(super) fn read(self) -> Result<Config, Malformed> {
        let messages = self.max_inflight_messages;
        let too_large = |_| Malformed::NumberTooLarge { what: "max_inflight_messages", number: messages };
        Ok(Config {
            heartbeat_interval: Duration::from_nanos(self.heartbeat_interval_ns),
            election_timeout: Duration::from_nanos(self.election_timeout_ns),
            clock_drift_margin: Duration::from_nanos(self.clock_drift_margin_ns),
            max_retained_committed_logs: self.max_retained_committed_logs,
            max_retained_bytes: self.max_retained_bytes,
            max_uncommitted_bytes: self.max_uncommitted_bytes,
            max_append_bytes: self.max_append_bytes,
            max_inflight_messages: u32::try_from(messages).map_err(too_large)?,
            max_inflight_bytes: self.max_inflight_bytes,
            learner_timeout: Duration::from_nanos(self.learner_timeout_ns),
            extra: detached(&self.extra),
        })
    }
}
