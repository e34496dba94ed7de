//! Everything between the log and the value, for a simulator that runs it as it is: synchronous, without a runtime,
//! a clock or dice. No part of the promised interface.

pub use crate::packet::{Envelope, Refused, Response, Session, SessionId};

use crate::batch::Batch;
use crate::config::Config;
use crate::state_machine::StateMachine;
use crate::value::{self, Value};
use bytes::Bytes;
use rafted_value_core::{Config as CoreConfig, Entry, EntryId, LogIndex, SnapshotMeta};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A member's value with its sessions: what committed entries do.
#[derive(Clone, PartialEq)]
pub struct Machine<V>(StateMachine<V>);

/// What an entry did.
#[derive(Debug)]
pub struct Applied {
    /// One per command, in their order; exactly one for everybody if the entry cannot be read.
    pub responses: Vec<Response>,
    /// Why the member applies nothing any more, if it does not.
    pub halted: Option<String>,
}

impl<V: Value> Machine<V> {
    /// Begins with `value` as what the group holds at `base`.
    ///
    /// # Errors
    ///
    /// Settings that this build cannot read.
    pub fn new(value: V, base: SnapshotMeta) -> Result<Machine<V>, String> {
        StateMachine::new(value, base).map(Machine).map_err(|error| error.to_string())
    }

    /// Opens a session as if it had been registered by the entry at `index`.
    pub fn admit(&mut self, index: LogIndex, nonce: u64) -> SessionId {
        self.0.admit(index, nonce)
    }

    /// Applies the next committed entry.
    pub fn apply(&mut self, entry: &Entry) -> Applied {
        let applied = self.0.apply(entry);
        Applied { responses: applied.responses, halted: applied.halt.map(|halted| halted.to_string()) }
    }

    /// Answers an encoded query.
    ///
    /// # Errors
    ///
    /// What callers are told.
    pub fn query(&self, query: &[u8]) -> Result<Bytes, Refused> {
        self.0.query(query)
    }

    /// The value, unless the member halted.
    pub fn value(&self) -> Option<&V> {
        self.0.value().ok()
    }

    /// The last entry that the value contains.
    pub fn applied(&self) -> EntryId {
        self.0.applied()
    }

    /// A number that two machines share if their snapshots are the same.
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.encode_snapshot().map_err(|error| error.to_string()).hash(&mut hasher);
        hasher.finish()
    }

    /// What is sent to members that lag, and kept on disk.
    ///
    /// # Errors
    ///
    /// A value that cannot be encoded.
    pub fn snapshot(&self) -> Result<(SnapshotMeta, Bytes), String> {
        let frozen = self.0.freeze().map_err(|error| error.to_string())?;
        let bytes = frozen.encode().map_err(|error| error.to_string())?;
        Ok((frozen.meta().clone(), bytes))
    }

    /// What a snapshot was made of.
    ///
    /// # Errors
    ///
    /// Bytes that are not what they should be.
    pub fn restore(meta: SnapshotMeta, bytes: Bytes) -> Result<Machine<V>, String> {
        StateMachine::restore(meta, bytes).map(Machine).map_err(|error| error.to_string())
    }
}

impl<V: Eq> Eq for Machine<V> {}

/// Coarser than equality: sessions follow from the entries that were applied.
impl<V: Value + Hash> Hash for Machine<V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.applied(), self.value()).hash(state);
    }
}

impl<V: Value> fmt::Debug for Machine<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Machine(applied {})", self.applied())
    }
}

/// A command of a session; `unacknowledged` is the lowest number that its client still waits for.
pub fn command(id: SessionId, number: u64, unacknowledged: u64, command: Bytes) -> Envelope {
    Envelope { session: Session::Command { id, number, unacknowledged }, id: None, command }
}

/// Asks for a session.
pub fn registration() -> Envelope {
    Envelope { session: Session::Register, id: None, command: Bytes::new() }
}

/// The bytes of one entry, as a leader makes them of what waited together.
pub fn encode_batch(elapsed_ms: u64, seed: u64, envelopes: Vec<Envelope>) -> Bytes {
    Batch { elapsed_ms, seed, envelopes }.encode()
}

/// What stands in an entry.
///
/// # Errors
///
/// Bytes that are no batch.
pub fn decode_batch(bytes: Bytes) -> Result<Vec<Envelope>, String> {
    Batch::decode(bytes).map(|batch| batch.envelopes).map_err(|error| error.to_string())
}

/// The bytes of a command, query, reply or answer.
///
/// # Errors
///
/// Something that cannot be encoded.
pub fn encode<T: Serialize>(thing: &T) -> Result<Bytes, String> {
    value::encode(thing).map_err(|error| error.to_string())
}

/// Reads what [`encode`] wrote.
///
/// # Errors
///
/// Bytes of something else.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    value::decode(bytes).map_err(|error| error.to_string())
}

/// Settings as the log carries them.
pub fn to_core(config: &Config) -> CoreConfig {
    config.to_core()
}

/// Settings as users see them.
///
/// # Errors
///
/// Settings that this build cannot read.
pub fn from_core(config: &CoreConfig) -> Result<Config, String> {
    Config::from_core(config).map_err(|error| error.to_string())
}
