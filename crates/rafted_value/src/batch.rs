//! The bytes of one `Payload::Commands`: what waited together stands in one entry.
//!
//! ```text
//! version   1 byte    1, or 2 if any envelope is of kind 2
//! elapsed   varint    milliseconds of replicated time since the batch before
//! seed      8 bytes   little-endian; every command derives its own, see `Context::seed`
//! count     varint    how many envelopes follow; a caller is known by its position among them
//! envelope  1 byte    0 registers a session
//!           1 byte    1 is a command, followed by
//!             varint    index of the session
//!             varint    offset of the session
//!             8 bytes   nonce of the session, little-endian
//!             varint    number
//!             varint    lowest unacknowledged number
//!             varint    length
//!             bytes     the command, as the user's type encodes itself
//!           1 byte    2 is a command whose caller gave it an id: first its client and then its id, each a varint
//!                     of its length and that many bytes of UTF-8, 1 to 255; then as 1
//! ```
//!
//! Varints are LEB128, as in protobuf. All members must make the same of the same bytes, for ever, so what is
//! drawn here is frozen: whatever is not drawn for a version is damage to every build that knows it. New things come
//! with a new version, which a build that does not know it must not take for damage: it halts instead of skipping what the
//! others apply, see [`BatchError::Newer`].

use crate::command_id::CommandId;
use crate::packet::{Envelope, Session, SessionId};
use bytes::{Buf, Bytes};
use prost::encoding::{decode_varint, encode_varint};
use rafted_value_core::LogIndex;
use std::fmt;
use std::sync::Arc;

/// The newest.
const VERSION: u8 = 2;
/// The newest that knows nothing of given ids: builds that do not either can read it.
const WITHOUT_IDS: u8 = 1;
const REGISTER: u8 = 0;
const COMMAND: u8 = 1;
const COMMAND_WITH_ID: u8 = 2;

/// What one entry carries.
#[derive(Clone, PartialEq)]
pub(crate) struct Batch {
    /// Milliseconds that replicated time advances by.
    pub(crate) elapsed_ms: u64,
    /// Random, drawn by the leader.
    pub(crate) seed: u64,
    /// The commands, in the order in which they run. The command of a registration is not kept: it has none.
    pub(crate) envelopes: Vec<Envelope>,
}

/// Why bytes are not a batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BatchError {
    /// Made by a build that knows more: others will apply it, so it is not to be skipped.
    #[error("a batch of version {0}, this build knows up to {VERSION}")]
    Newer(u8),
    /// There never was such a version.
    #[error("a batch of version 0")]
    VersionZero,
    /// The bytes end too early.
    #[error("a batch ends within its {0}")]
    Ends(&'static str),
    /// A number does not fit.
    #[error("a batch holds {0} too large")]
    TooLarge(&'static str),
    /// Not a client's name, or not an id.
    #[error("a batch whose {0} is not 1 to 255 bytes of text")]
    Text(&'static str),
    /// Neither a registration nor a command.
    #[error("a batch holds an envelope of kind {0}")]
    Kind(u8),
    /// Something follows the last envelope.
    #[error("a batch has {0} bytes too many at the end")]
    Trailing(usize),
}

impl Batch {
    /// Its bytes.
    pub(crate) fn encode(&self) -> Bytes {
        // Room for the fixed part and for an envelope's five varints.
        let room: usize = 32 + self.envelopes.iter().map(|envelope| 32 + envelope.command.len()).sum::<usize>();
        let mut bytes = Vec::with_capacity(room);
        let has_ids = self.envelopes.iter().any(|envelope| envelope.id.is_some());
        bytes.push(if has_ids { VERSION } else { WITHOUT_IDS });
        encode_varint(self.elapsed_ms, &mut bytes);
        bytes.extend_from_slice(&self.seed.to_le_bytes());
        encode_varint(self.envelopes.len() as u64, &mut bytes);
        for envelope in &self.envelopes {
            encode_envelope(envelope, &mut bytes);
        }
        Bytes::from(bytes)
    }

    /// Reads a batch; commands are slices of `bytes`.
    pub(crate) fn decode(mut bytes: Bytes) -> Result<Batch, BatchError> {
        let version = match byte(&mut bytes, "version")? {
            0 => return Err(BatchError::VersionZero),
            version @ 1..=VERSION => version,
            newer => return Err(BatchError::Newer(newer)),
        };
        let elapsed_ms = varint(&mut bytes, "elapsed time")?;
        let seed = bytes.try_get_u64_le().map_err(|_| BatchError::Ends("seed"))?;
        let count = small(&mut bytes, "count")?;
        // Each takes a byte at least: a lie about the count costs no memory.
        if count as usize > bytes.len() {
            return Err(BatchError::Ends("envelopes"));
        }
        let envelopes = (0..count).map(|_| decode_envelope(version, &mut bytes)).collect::<Result<_, _>>()?;
        match bytes.len() {
            0 => Ok(Batch { elapsed_ms, seed, envelopes }),
            left => Err(BatchError::Trailing(left)),
        }
    }
}

fn encode_envelope(envelope: &Envelope, bytes: &mut Vec<u8>) {
    let Session::Command { id: session, number, unacknowledged } = envelope.session else {
        return bytes.push(REGISTER);
    };
    match &envelope.id {
        None => bytes.push(COMMAND),
        Some(id) => {
            bytes.push(COMMAND_WITH_ID);
            for text in [id.client(), id.id()] {
                encode_varint(text.len() as u64, bytes);
                bytes.extend_from_slice(text.as_bytes());
            }
        }
    }
    encode_varint(session.index.0, bytes);
    encode_varint(u64::from(session.offset), bytes);
    bytes.extend_from_slice(&session.nonce.to_le_bytes());
    encode_varint(number, bytes);
    encode_varint(unacknowledged, bytes);
    encode_varint(envelope.command.len() as u64, bytes);
    bytes.extend_from_slice(&envelope.command);
}

fn decode_envelope(version: u8, bytes: &mut Bytes) -> Result<Envelope, BatchError> {
    let id = match byte(bytes, "envelopes")? {
        REGISTER => return Ok(Envelope { session: Session::Register, id: None, command: Bytes::new() }),
        COMMAND => None,
        COMMAND_WITH_ID if version > WITHOUT_IDS => {
            let client = text(bytes, "client")?;
            Some(Arc::new(CommandId::new(client, text(bytes, "id")?)))
        }
        kind => return Err(BatchError::Kind(kind)),
    };
    let index = LogIndex(varint(bytes, "session index")?);
    let offset = small(bytes, "session offset")?;
    let nonce = bytes.try_get_u64_le().map_err(|_| BatchError::Ends("session nonce"))?;
    let session = SessionId { index, offset, nonce };
    let number = varint(bytes, "command number")?;
    let unacknowledged = varint(bytes, "unacknowledged number")?;
    let command = sized(bytes, "command length", "command")?;
    Ok(Envelope { session: Session::Command { id: session, number, unacknowledged }, id, command })
}

/// As many bytes as a varint says.
fn sized(bytes: &mut Bytes, length: &'static str, what: &'static str) -> Result<Bytes, BatchError> {
    match usize::try_from(varint(bytes, length)?) {
        Ok(length) if length <= bytes.len() => Ok(bytes.split_to(length)),
        _ => Err(BatchError::Ends(what)),
    }
}

fn text(bytes: &mut Bytes, what: &'static str) -> Result<String, BatchError> {
    let text = sized(bytes, what, what)?;
    match std::str::from_utf8(&text) {
        Ok(text) if (1..=CommandId::LIMIT).contains(&text.len()) => Ok(text.to_owned()),
        _ => Err(BatchError::Text(what)),
    }
}

fn byte(bytes: &mut Bytes, what: &'static str) -> Result<u8, BatchError> {
    bytes.try_get_u8().map_err(|_| BatchError::Ends(what))
}

fn varint(bytes: &mut Bytes, what: &'static str) -> Result<u64, BatchError> {
    // A varint that never ends within what is left is cut off; one that ends is too large.
    let ends = bytes.iter().take(10).any(|byte| *byte < 0x80) || bytes.len() >= 10;
    decode_varint(bytes).map_err(|_| if ends { BatchError::TooLarge(what) } else { BatchError::Ends(what) })
}

fn small(bytes: &mut Bytes, what: &'static str) -> Result<u32, BatchError> {
    u32::try_from(varint(bytes, what)?).map_err(|_| BatchError::TooLarge(what))
}

/// Never prints the bytes of a command: they are the user's.
impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length: usize = self.envelopes.iter().map(|envelope| envelope.command.len()).sum();
        write!(f, "Batch({} envelopes, {length} bytes, {} ms)", self.envelopes.len(), self.elapsed_ms)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::context::Context;
    use proptest::prelude::*;
    use rafted_value_core::Term;
    use std::time::Duration;

    /// A command of a session, for tests.
    pub(crate) fn command(id: (u64, u32), number: u64, unacknowledged: u64, command: Bytes) -> Envelope {
        // As if its registration stood in a batch whose seed is the index.
        let place = Context::new(LogIndex(id.0), id.1, Term(1), Duration::ZERO, id.0);
        let id = SessionId { index: LogIndex(id.0), offset: id.1, nonce: place.seed() };
        Envelope { session: Session::Command { id, number, unacknowledged }, id: None, command }
    }

    /// The same command with an id of its caller's.
    pub(crate) fn with_id(client: &str, id: &str, envelope: Envelope) -> Envelope {
        Envelope { id: Some(Arc::new(CommandId::new(client, id))), ..envelope }
    }

    /// A registration, for tests.
    pub(crate) fn register() -> Envelope {
        Envelope { session: Session::Register, id: None, command: Bytes::new() }
    }

    fn example() -> Batch {
        let id = SessionId { index: LogIndex(300), offset: 2, nonce: 0x1112_1314_1516_1718 };
        let session = Session::Command { id, number: 5, unacknowledged: 4 };
        let envelopes = vec![register(), Envelope { session, id: None, command: Bytes::from_static(b"abc") }];
        Batch { elapsed_ms: 200, seed: 0x0102_0304_0506_0708, envelopes }
    }

    const GOLDEN: &[u8] = b"\x01\xc8\x01\x08\x07\x06\x05\x04\x03\x02\x01\x02\x00\x01\xac\x02\x02\x18\x17\x16\x15\x14\x13\x12\x11\x05\x04\x03abc";

    /// The same with an id of its caller's: version, kind, texts.
    const GOLDEN_WITH_ID: &[u8] = b"\x02\xc8\x01\x08\x07\x06\x05\x04\x03\x02\x01\x02\x00\x02\x03tax\x0217\xac\x02\x02\x18\x17\x16\x15\x14\x13\x12\x11\x05\x04\x03abc";

    fn example_with_id() -> Batch {
        let mut batch = example();
        batch.envelopes[1] = with_id("tax", "17", batch.envelopes[1].clone());
        batch
    }

    #[test]
    fn the_bytes_never_change() {
        for (batch, golden) in [(example(), GOLDEN), (example_with_id(), GOLDEN_WITH_ID)] {
            assert_eq!(batch.encode(), golden);
            assert_eq!(Batch::decode(Bytes::from_static(golden)), Ok(batch));
        }
    }

    #[test]
    fn commands_are_slices_of_what_was_received() {
        let bytes = example().encode();
        let batch = Batch::decode(bytes.clone()).unwrap();
        assert!(bytes.as_ptr_range().contains(&batch.envelopes[1].command.as_ptr()));
    }

    #[test]
    fn errors_name_what_is_wrong() {
        let cases: [(&[u8], &str); 18] = [
            (b"", "a batch ends within its version"),
            (b"\x00", "a batch of version 0"),
            (b"\x03", "a batch of version 3, this build knows up to 2"),
            (b"\x01", "a batch ends within its elapsed time"),
            (b"\x01\xff", "a batch ends within its elapsed time"),
            (b"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "a batch holds elapsed time too large"),
            (b"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "a batch holds elapsed time too large"),
            (b"\x01\x00seven..", "a batch ends within its seed"),
            (b"\x01\x00eight...", "a batch ends within its count"),
            (b"\x01\x00eight...\x02\x00", "a batch ends within its envelopes"),
            (b"\x01\x00eight...\xff\xff\xff\xff\x7f", "a batch holds count too large"),
            (b"\x01\x00eight...\x01\x07", "a batch holds an envelope of kind 7"),
            (b"\x01\x00eight...\x01\x01\x01\x00nonce...\x01\x01\x04abc", "a batch ends within its command"),
            (b"\x01\x00eight...\x01\x02\x01a\x01b", "a batch holds an envelope of kind 2"),
            (b"\x02\x00eight...\x01\x02\x00\x01b", "a batch whose client is not 1 to 255 bytes of text"),
            (b"\x02\x00eight...\x01\x02\x01a\x01\xff", "a batch whose id is not 1 to 255 bytes of text"),
            (b"\x02\x00eight...\x01\x02\x01a\x05b", "a batch ends within its id"),
            (b"\x01\x00eight...\x00\x00", "a batch has 1 bytes too many at the end"),
        ];
        for (bytes, message) in cases {
            let error = Batch::decode(Bytes::from_static(bytes)).unwrap_err();
            assert_eq!(error.to_string(), message, "{bytes:?}");
        }
    }

    #[test]
    fn every_proper_prefix_is_an_error() {
        for golden in [GOLDEN, GOLDEN_WITH_ID] {
            for length in 0..golden.len() {
                assert!(Batch::decode(Bytes::from_static(&golden[..length])).is_err(), "{length} bytes");
            }
        }
    }

    #[test]
    fn debug_output_holds_no_payload() {
        assert_eq!(format!("{:?}", example()), "Batch(2 envelopes, 3 bytes, 200 ms)");
    }

    fn any_envelope() -> impl Strategy<Value = Envelope> {
        let bytes = prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
        prop_oneof![
            Just(register()),
            (any::<(u64, u32)>(), any::<u64>(), any::<u64>(), bytes.clone())
                .prop_map(|(id, number, unacknowledged, bytes)| command(id, number, unacknowledged, bytes)),
            ("[a-zé]{1,20}", "[a-zé]{1,20}", any::<u64>(), bytes).prop_map(|(client, id, number, bytes)| with_id(
                &client,
                &id,
                command((1, 0), number, 0, bytes)
            )),
        ]
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            elapsed_ms: u64, seed: u64, envelopes in prop::collection::vec(any_envelope(), 0..20),
        ) {
            let batch = Batch { elapsed_ms, seed, envelopes };
            prop_assert_eq!(Batch::decode(batch.encode()), Ok(batch));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), valid_start: bool) {
            let mut all = if valid_start { GOLDEN_WITH_ID[..11].to_vec() } else { Vec::new() };
            all.extend(bytes);
            let _ = Batch::decode(Bytes::from(all));
        }
    }
}
