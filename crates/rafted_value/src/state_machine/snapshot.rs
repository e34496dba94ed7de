//! The bytes of a snapshot: a value with its sessions, as members send it and keep it.
//!
//! ```text
//! magic     4 bytes   "RVSN"
//! version   1 byte    1
//! checksum  4 bytes   CRC-32 of everything behind it, little-endian
//! length    varint    of the header
//! header    protobuf  name of the value's type, last included entry, replicated time, sessions, remembered results
//! value     bytes     to the end, as the user's type encodes itself
//! ```
//!
//! Membership and config travel beside it, in the [`SnapshotMeta`], which consensus reads too.

use super::StateMachine;
use crate::config::SettingsError;
use crate::packet::Refused;
use crate::remembered::{Remembered, RememberedRecord};
use crate::sessions::{SessionRecord, Sessions};
use crate::upgrade::{CannotUpgrade, OldValue};
use crate::value::{Panicked, Value, decode, encode_into, guarded};
use bytes::{Buf, Bytes};
use prost::Message;
use rafted_value_core::{EntryId, SnapshotMeta};

const MAGIC: &[u8; 4] = b"RVSN";
const VERSION: u8 = 1;
/// Where what the checksum covers begins.
const CHECKED: usize = 9;

/// A copy of a state machine's contents: made while nothing is applied, encoded whenever there is time.
pub(crate) struct Frozen<V> {
    meta: SnapshotMeta,
    value: V,
    beside: Beside,
}

/// What stands beside the value.
#[derive(Clone)]
struct Beside {
    sessions: Sessions,
    remembered: Remembered,
    time_ms: u64,
}

/// Why a snapshot cannot be made or restored.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SnapshotError {
    /// The value is not to be trusted.
    #[error("the member halted")]
    Halted,
    /// User code panicked: `clone`, or what serde calls.
    #[error("the value panicked: {0}")]
    Panicked(String),
    /// The value cannot be encoded.
    #[error("the value cannot be encoded: {0}")]
    Unencodable(String),
    /// Something else, or cut off.
    #[error("not a snapshot")]
    NotASnapshot,
    /// Made by a build that knows more.
    #[error("a snapshot of version {0}, this build knows version {VERSION}")]
    Version(u8),
    /// Bytes changed on the way.
    #[error("a damaged snapshot: checksum {found:08x} instead of {expected:08x}")]
    Checksum { found: u32, expected: u32 },
    /// The checksum holds, the header does not.
    #[error("a snapshot with a malformed header: {0}")]
    Header(String),
    /// Of another type.
    #[error("a snapshot of a value named {found:?}, this group's is named {expected:?}")]
    OtherValue { found: String, expected: &'static str },
    /// Of a version of the type that a newer build knows.
    #[error("a value of version {found}, this build knows version {known}")]
    NewerValue { found: u32, known: u32 },
    /// Of an older version, from which there is no way.
    #[error("a value of version {found}, which cannot be upgraded to version {known}: {why}")]
    NotUpgraded { found: u32, known: u32, why: CannotUpgrade },
    /// Not the one that was announced.
    #[error("a snapshot up to entry {found}, announced was {expected}")]
    OtherEntry { found: EntryId, expected: EntryId },
    /// The value's type does not accept its bytes.
    #[error("the value cannot be decoded: {0}")]
    Undecodable(String),
    /// The settings that came with it.
    #[error("{0}")]
    Settings(#[from] SettingsError),
}

impl<V: Value> StateMachine<V> {
    /// Copies what a snapshot needs: one `clone` of the value.
    pub(crate) fn freeze(&self) -> Result<Frozen<V>, SnapshotError> {
        let value = match self.look(V::clone) {
            Ok(value) => value,
            Err(Refused::Panicked { message }) => return Err(SnapshotError::Panicked(message)),
            Err(_) => return Err(SnapshotError::Halted),
        };
        Ok(Frozen { meta: self.snapshot_meta(), value, beside: self.beside() })
    }

    fn beside(&self) -> Beside {
        Beside { sessions: self.sessions.clone(), remembered: self.remembered.clone(), time_ms: self.time_ms }
    }

    /// The snapshot as bytes, without a copy of the value in between.
    pub(crate) fn encode_snapshot(&self) -> Result<Bytes, SnapshotError> {
        let value = self.value().map_err(|_| SnapshotError::Halted)?;
        encode_parts(self.applied, &self.beside(), value)
    }

    /// The state machine that a snapshot was made of.
    pub(crate) fn restore(meta: SnapshotMeta, bytes: Bytes) -> Result<StateMachine<V>, SnapshotError> {
        let (header, bytes) = read_header(bytes)?;
        if header.value != V::NAME {
            return Err(SnapshotError::OtherValue { found: header.value, expected: V::NAME });
        }
        let found = EntryId::new(header.term, header.index);
        if found != meta.last_included {
            return Err(SnapshotError::OtherEntry { found, expected: meta.last_included });
        }
        let malformed = |error: &str| SnapshotError::Header(error.to_owned());
        let sessions = Sessions::from_records(header.sessions).map_err(malformed)?;
        let remembered = Remembered::from_records(header.remembered).map_err(malformed)?;
        let value = read_value(header.value_version, &bytes)?;
        let fresh = StateMachine::new(value, meta)?;
        Ok(StateMachine { sessions, remembered, time_ms: header.time_ms, ..fresh })
    }
}

impl<V: Value> Frozen<V> {
    /// What it contains.
    pub(crate) fn meta(&self) -> &SnapshotMeta {
        &self.meta
    }

    /// Its bytes.
    pub(crate) fn encode(&self) -> Result<Bytes, SnapshotError> {
        encode_parts(self.meta.last_included, &self.beside, &self.value)
    }
}

fn encode_parts<V: Value>(last_included: EntryId, beside: &Beside, value: &V) -> Result<Bytes, SnapshotError> {
    let header = Header {
        value: V::NAME.to_owned(),
        term: last_included.term.0,
        index: last_included.index.0,
        time_ms: beside.time_ms,
        sessions: beside.sessions.to_records(),
        remembered: beside.remembered.to_records(),
        value_version: V::VERSION,
    };
    let mut bytes = Vec::new();
    bytes.extend_from_slice(MAGIC);
    bytes.push(VERSION);
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend(header.encode_length_delimited_to_vec());
    match guarded(|| encode_into(&mut bytes, value)) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(SnapshotError::Unencodable(error.to_string())),
        Err(Panicked(message)) => return Err(SnapshotError::Panicked(message)),
    }
    let checksum = crc32fast::hash(&bytes[CHECKED..]);
    bytes[CHECKED - 4..CHECKED].copy_from_slice(&checksum.to_le_bytes());
    Ok(Bytes::from(bytes))
}

/// The value that stands behind a header, upgraded if it is of an older version.
fn read_value<V: Value>(version: u32, bytes: &[u8]) -> Result<V, SnapshotError> {
    if version > V::VERSION {
        return Err(SnapshotError::NewerValue { found: version, known: V::VERSION });
    }
    let read = || match version == V::VERSION {
        true => decode(bytes).map_err(|error| SnapshotError::Undecodable(error.to_string())),
        false => V::upgrade(OldValue::new(version, bytes)).map_err(|why| SnapshotError::NotUpgraded {
            found: version,
            known: V::VERSION,
            why,
        }),
    };
    guarded(read).map_err(|Panicked(message)| SnapshotError::Panicked(message))?
}

/// The header, and the bytes of the value behind it.
fn read_header(mut bytes: Bytes) -> Result<(Header, Bytes), SnapshotError> {
    if bytes.len() < CHECKED || bytes.split_to(MAGIC.len()) != MAGIC.as_slice() {
        return Err(SnapshotError::NotASnapshot);
    }
    match bytes.get_u8() {
        VERSION => {}
        other => return Err(SnapshotError::Version(other)),
    }
    let expected = bytes.get_u32_le();
    let found = crc32fast::hash(&bytes);
    if found != expected {
        return Err(SnapshotError::Checksum { found, expected });
    }
    let header =
        Header::decode_length_delimited(&mut bytes).map_err(|error| SnapshotError::Header(error.to_string()))?;
    Ok((header, bytes))
}

/// What stands before the value: numbered fields, so that it can grow.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
struct Header {
    #[prost(string, tag = "1")]
    value: String,
    #[prost(uint64, tag = "2")]
    term: u64,
    #[prost(uint64, tag = "3")]
    index: u64,
    #[prost(uint64, tag = "4")]
    time_ms: u64,
    #[prost(message, repeated, tag = "5")]
    sessions: Vec<SessionRecord>,
    #[prost(message, repeated, tag = "6")]
    remembered: Vec<RememberedRecord>,
    #[prost(uint32, tag = "7")]
    value_version: u32,
}
