//! The bytes between nodes: a frame header drawn by hand, around a body of numbered fields.
//!
//! `docs/wire_format.md` draws it. Three rules hold in every file below: nothing is allocated because a length or a
//! count says so, but only for bytes that are there; no bytes make decoding panic; and a payload is never copied on
//! its way in, nor more than once on its way out.

mod consensus;
mod fields;
mod frame;
mod hello;
mod request;
mod response;
mod snapshot;
mod status;
#[cfg(test)]
mod tests;

pub(crate) use fields::{member_id, optional_member_id};
pub(crate) use frame::{Frame, FrameReader, kind};
pub(crate) use hello::{
    HELLO_LIMIT, Hello, OLDEST_PROTOCOL, PROTOCOL, Purpose, Reason, Refusal, Role, alive, decode as decode_hello,
};

pub(crate) use snapshot::{WireEntry, WireSnapshot};

use crate::packet::Packet;
use bytes::Bytes;

/// Why bytes are not what this protocol allows.
#[derive(Debug, thiserror::Error, PartialEq)]
pub(crate) enum Malformed {
    #[error("it does not begin like a frame of this protocol")]
    Magic,
    #[error("its header is damaged")]
    HeaderChecksum,
    #[error("its body is damaged")]
    BodyChecksum,
    #[error("its body has {length} bytes; {limit} are allowed")]
    TooLong { length: u64, limit: u64 },
    #[error("unknown {what} {kind:#04x}")]
    UnknownKind { what: &'static str, kind: u64 },
    #[error("{what} is {number}, which is too large")]
    NumberTooLarge { what: &'static str, number: u64 },
    #[error("{what} is missing, or not as long as it must be")]
    Length { what: &'static str },
    #[error("more than {limit} {what}")]
    TooMany { what: &'static str, limit: usize },
    #[error("the same {what} twice")]
    Repeated { what: &'static str },
    #[error("it cannot be read: {0}")]
    Body(#[from] prost::DecodeError),
}

impl Malformed {
    /// Whether the frame is whole and only of a kind that a newer build invented: it is dropped, and the
    /// connection goes on. Everything else ends the connection, since what follows cannot be trusted.
    pub(crate) fn is_unknown_frame(&self) -> bool {
        matches!(self, Malformed::UnknownKind { what: frame::WHAT, .. })
    }
}

/// Writes a packet as one frame. Fails only if the body would be longer than `limit`.
pub(crate) fn encode(packet: &Packet, limit: u32) -> Result<Bytes, Malformed> {
    match packet {
        Packet::Raft { group, message } => consensus::encode(*group, message, limit),
        Packet::Chunk(chunk) => snapshot::encode_chunk(chunk, limit),
        Packet::Request { number, request } => request::encode(*number, request, limit),
        Packet::Response { number, response } => response::encode(*number, response, limit),
    }
}

/// Reads the packet in a frame; payloads are slices of the frame's body.
pub(crate) fn decode(frame: Frame) -> Result<Packet, Malformed> {
    let Frame { kind, route, body } = frame;
    match (kind, route) {
        (kind::CHUNK, Some(route)) => Ok(Packet::Chunk(snapshot::decode_chunk(&route, body)?)),
        (_, Some(route)) => {
            let message = consensus::decode(kind, &route, body)?;
            Ok(Packet::Raft { group: route.group, message })
        }
        (0x20..=0x3f, None) => request::decode(kind, body),
        (0x40..=0x5f, None) => response::decode(kind, body),
        (_, None) => Err(frame::unknown(kind)),
    }
}
