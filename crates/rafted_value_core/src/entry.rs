//! What stands in the log.

use crate::config::Config;
use crate::membership::Membership;
use crate::types::{EntryId, LogIndex};
use alloc::sync::Arc;
use bytes::Bytes;

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Its term and index.
    pub id: EntryId,
    /// What it says.
    pub payload: Payload,
}

/// What an entry says. Members and config are shared, not copied, on their way to followers and storage.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Payload {
    /// Nothing: a new leader's first entry, which commits what earlier terms left behind (thesis §3.6.2).
    Noop,
    /// Commands of callers, as many as were waiting: the bytes are the driver's.
    Commands(Bytes),
    /// Who votes from here on, whether committed or not (thesis §4.1).
    Membership(Arc<Membership>),
    /// Settings in force from the commit of this entry on.
    Config(Arc<Config>),
}

impl Payload {
    /// How many bytes the payload counts against limits: its own, and a little for the entry around it, so that
    /// a million empty entries are not free.
    pub fn size(&self) -> u64 {
        const ENTRY: u64 = 32;
        match self {
            Payload::Noop => ENTRY,
            Payload::Commands(bytes) => ENTRY + bytes.len() as u64,
            Payload::Membership(membership) => ENTRY + 64 * membership.members().len() as u64,
            Payload::Config(config) => ENTRY + 128 + config.extra.len() as u64,
        }
    }
}

/// Never prints the bytes of a command: they are the user's.
impl core::fmt::Debug for Payload {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Payload::Noop => write!(f, "Noop"),
            Payload::Commands(bytes) => write!(f, "Commands({} bytes)", bytes.len()),
            Payload::Membership(membership) => write!(f, "Membership({membership:?})"),
            Payload::Config(_) => write!(f, "Config"),
        }
    }
}

/// What replaces a prefix of the log: everything about it but the value itself, which only the driver knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SnapshotMeta {
    /// The last entry that the snapshot contains.
    pub last_included: EntryId,
    /// The membership in force at that entry.
    pub membership: Arc<Membership>,
    /// The config in force at that entry.
    pub config: Arc<Config>,
}

impl SnapshotMeta {
    /// What every log starts from: nothing, nobody, default settings.
    pub fn empty() -> SnapshotMeta {
        SnapshotMeta { last_included: EntryId::ZERO, membership: Arc::default(), config: Arc::default() }
    }

    /// The index of the last entry that the snapshot contains.
    pub fn index(&self) -> LogIndex {
        self.last_included.index
    }
}
