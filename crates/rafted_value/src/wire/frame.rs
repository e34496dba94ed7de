//! Frames: where one thing said ends and the next begins, and whether it arrived as it was sent.
//!
//! The header has a checksum of its own. A flipped bit in a length would otherwise be noticed only after as many
//! bytes as it claims; and who is addressed can be judged before the body is decoded.

use super::Malformed;
use crate::contact::GroupId;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use rafted_value_core::MemberId;

/// What every frame begins with: a name, and the number of this layout.
const MAGIC: [u8; 3] = *b"RV\x01";
/// Magic, kind, body length, body checksum, header checksum.
const HEADER: usize = 16;
/// Group, from, to.
const ROUTE: usize = 48;
/// The bit of a kind that says that a route follows the header, so that even frames of unknown kinds can be passed.
const ROUTED: u8 = 0x80;
/// A read has room for at least this much, so that many small frames cost one system call.
const READ_AHEAD: usize = 64 << 10;
/// What an unknown kind of a frame is a kind of.
pub(super) const WHAT: &str = "kind of frame";

/// What a frame says. Never renumbered, never reused.
pub(crate) mod kind {
    pub(crate) const HELLO: u8 = 0x01;
    pub(crate) const REFUSAL: u8 = 0x02;
    pub(crate) const ALIVE: u8 = 0x03;

    pub(crate) const JOIN: u8 = 0x21;
    pub(crate) const COMMAND: u8 = 0x22;
    pub(crate) const QUERY: u8 = 0x23;
    pub(crate) const READ_INDEX: u8 = 0x24;
    pub(crate) const STATUS: u8 = 0x25;
    pub(crate) const REMOVE: u8 = 0x26;
    pub(crate) const LEAD: u8 = 0x27;
    pub(crate) const CONFIGURE: u8 = 0x28;
    pub(crate) const COMMANDS: u8 = 0x29;

    pub(crate) const JOINED: u8 = 0x41;
    pub(crate) const REGISTERED: u8 = 0x42;
    pub(crate) const APPLIED: u8 = 0x43;
    pub(crate) const ANSWERED: u8 = 0x44;
    pub(crate) const READ_INDEX_IS: u8 = 0x45;
    pub(crate) const STATUS_IS: u8 = 0x46;
    pub(crate) const DONE: u8 = 0x47;
    pub(crate) const REFUSED: u8 = 0x48;
    pub(crate) const MANY: u8 = 0x49;

    pub(crate) const REQUEST_VOTE: u8 = 0x81;
    pub(crate) const REQUEST_VOTE_REPLY: u8 = 0x82;
    pub(crate) const APPEND_ENTRIES: u8 = 0x83;
    pub(crate) const APPEND_ENTRIES_REPLY: u8 = 0x84;
    pub(crate) const INSTALL_SNAPSHOT: u8 = 0x85;
    pub(crate) const INSTALL_SNAPSHOT_REPLY: u8 = 0x86;
    pub(crate) const TIMEOUT_NOW: u8 = 0x87;
    pub(crate) const REMOVED: u8 = 0x88;
    pub(crate) const CHUNK: u8 = 0x90;
}

/// One frame, whole and undamaged; its body is not decoded yet.
#[derive(Clone, PartialEq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) route: Option<Route>,
    pub(crate) body: Bytes,
}

/// Which group, from whom, to whom: in the header of every frame about consensus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) group: GroupId,
    pub(crate) from: MemberId,
    pub(crate) to: MemberId,
}

pub(super) fn unknown(kind: u8) -> Malformed {
    Malformed::UnknownKind { what: WHAT, kind: kind.into() }
}

/// Writes one frame. The payload is copied here, once, and nowhere else.
pub(super) fn frame(kind: u8, body: &impl prost::Message, limit: u32) -> Result<Bytes, Malformed> {
    debug_assert!(kind & ROUTED == 0);
    write(kind, None, body, limit)
}

/// Writes one frame about consensus.
pub(super) fn routed(kind: u8, route: &Route, body: &impl prost::Message, limit: u32) -> Result<Bytes, Malformed> {
    debug_assert!(kind & ROUTED != 0);
    write(kind, Some(route), body, limit)
}

fn write(kind: u8, route: Option<&Route>, body: &impl prost::Message, limit: u32) -> Result<Bytes, Malformed> {
    let length = body.encoded_len();
    let too_long = Malformed::TooLong { length: length as u64, limit: limit.into() };
    let declared = u32::try_from(length).ok().filter(|declared| *declared <= limit).ok_or(too_long)?;
    let head = HEADER + if route.is_some() { ROUTE } else { 0 };

    let mut frame = BytesMut::with_capacity(head + length);
    frame.put_slice(&MAGIC);
    frame.put_u8(kind);
    frame.put_u32(declared);
    frame.put_u64(0); // both checksums, below
    if let Some(route) = route {
        frame.put_u128(route.group.0);
        frame.put_u128(route.from.0);
        frame.put_u128(route.to.0);
    }
    body.encode(&mut frame).expect("a buffer that grows has room");

    let body_checksum = crc32fast::hash(&frame[head..]);
    frame[8..12].copy_from_slice(&body_checksum.to_be_bytes());
    let header_checksum = header_checksum(&frame[..head]);
    frame[12..16].copy_from_slice(&header_checksum.to_be_bytes());
    Ok(frame.freeze())
}

/// Over the header without its own checksum, and the route.
fn header_checksum(head: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&head[..12]);
    hasher.update(&head[HEADER..]);
    hasher.finalize()
}

/// Cuts a stream of bytes into frames.
///
/// Its buffer grows with the bytes that arrive, at most by as much again as are there already: a length that is
/// declared and not sent costs nothing.
pub(crate) struct FrameReader {
    buffer: BytesMut,
    limit: u32,
    /// How much of the frame at the front of the buffer is still to come, if its header is known.
    missing: usize,
}

struct Header {
    kind: u8,
    route: Option<Route>,
    head: usize,
    body: usize,
    body_checksum: u32,
}

impl FrameReader {
    /// Refuses frames whose body is longer than `limit`.
    pub(crate) fn new(limit: u32) -> FrameReader {
        FrameReader { buffer: BytesMut::new(), limit, missing: 0 }
    }

    /// From now on another limit: a stranger's first words are short, a member's entries are not.
    pub(crate) fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
    }

    /// Where to put what arrives next; has room.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        self.buffer.reserve(self.missing.min(self.buffer.len()).max(READ_AHEAD.min(self.limit as usize)).max(HEADER));
        &mut self.buffer
    }

    /// The next frame, if it has arrived.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, Malformed> {
        let Some(header) = self.header()? else { return Ok(None) };
        let whole = header.head + header.body;
        self.missing = whole.saturating_sub(self.buffer.len());
        if self.missing > 0 {
            return Ok(None);
        }
        let mut body = self.buffer.split_to(whole).freeze();
        body.advance(header.head);
        if crc32fast::hash(&body) != header.body_checksum {
            return Err(Malformed::BodyChecksum);
        }
        Ok(Some(Frame { kind: header.kind, route: header.route, body }))
    }

    fn header(&self) -> Result<Option<Header>, Malformed> {
        let begun = self.buffer.len().min(MAGIC.len());
        if self.buffer[..begun] != MAGIC[..begun] {
            return Err(Malformed::Magic);
        }
        let Some(kind) = self.buffer.get(3).copied() else { return Ok(None) };
        let head = HEADER + if kind & ROUTED != 0 { ROUTE } else { 0 };
        let Some(bytes) = self.buffer.get(..head) else { return Ok(None) };

        let mut rest = &bytes[4..];
        let (body, body_checksum, checksum) = (rest.get_u32(), rest.get_u32(), rest.get_u32());
        if checksum != header_checksum(bytes) {
            return Err(Malformed::HeaderChecksum);
        }
        if body > self.limit {
            return Err(Malformed::TooLong { length: body.into(), limit: self.limit.into() });
        }
        let route = (kind & ROUTED != 0).then(|| Route {
            group: GroupId(rest.get_u128()),
            from: MemberId(rest.get_u128()),
            to: MemberId(rest.get_u128()),
        });
        Ok(Some(Header { kind, route, head, body: body as usize, body_checksum }))
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// A valid header that may declare anything.
    pub(in crate::wire) fn header(kind: u8, length: u32, body_checksum: u32) -> Vec<u8> {
        let mut head = BytesMut::new();
        head.put_slice(&MAGIC);
        head.put_u8(kind);
        head.put_u32(length);
        head.put_u32(body_checksum);
        head.put_u32(0);
        let checksum = header_checksum(&head);
        head[12..].copy_from_slice(&checksum.to_be_bytes());
        head.to_vec()
    }
}
