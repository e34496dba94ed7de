//! Single fields: each number, identity and text is checked where it enters.

use super::Malformed;
use crate::contact::{Contact, NodeId};
use bytes::{Buf, Bytes};
use rafted_value_core::{EntryId, LogIndex, MemberId, NUMBER_LIMIT, Term};
use std::time::Duration;

/// Names and addresses.
pub(super) const NAME_LIMIT: usize = 1 << 10;
/// What a panic or a decoder said.
pub(super) const TEXT_LIMIT: usize = 16 << 10;
/// Entries in a message, members in a membership. Two bytes on the wire can be an element that takes a hundred in
/// memory, so that the limit of a frame alone does not bound what decoding allocates.
pub(super) const COUNT_LIMIT: usize = 1 << 16;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WireContact {
    #[prost(string, tag = "1")]
    address: String,
    #[prost(bytes = "bytes", tag = "2")]
    node: Bytes,
}

pub(super) fn term(number: u64) -> Result<Term, Malformed> {
    Ok(Term(below_limit("a term", number)?))
}

pub(super) fn index(number: u64) -> Result<LogIndex, Malformed> {
    Ok(LogIndex(below_limit("an index", number)?))
}

pub(super) fn entry_id(term_of: u64, index_of: u64) -> Result<EntryId, Malformed> {
    Ok(EntryId { term: term(term_of)?, index: index(index_of)? })
}

fn below_limit(what: &'static str, number: u64) -> Result<u64, Malformed> {
    if number < NUMBER_LIMIT { Ok(number) } else { Err(Malformed::NumberTooLarge { what, number }) }
}

pub(super) fn version(number: u64) -> Result<u32, Malformed> {
    u32::try_from(number).map_err(|_| Malformed::NumberTooLarge { what: "a version", number })
}

/// An identity of 128 bits, in the order in which it is printed.
pub(super) fn id_bytes(id: u128) -> Bytes {
    Bytes::copy_from_slice(&id.to_be_bytes())
}

pub(super) fn id(what: &'static str, bytes: &Bytes) -> Result<u128, Malformed> {
    optional_id(what, bytes)?.ok_or(Malformed::Length { what })
}

/// No bytes are no identity.
pub(super) fn optional_id(what: &'static str, mut bytes: &[u8]) -> Result<Option<u128>, Malformed> {
    match bytes.len() {
        0 => Ok(None),
        16 => Ok(Some(bytes.get_u128())),
        _ => Err(Malformed::Length { what }),
    }
}

/// A member's id, as it stands in memberships and on disk.
pub(crate) fn member_id(id: MemberId) -> Bytes {
    id_bytes(id.0)
}

/// No bytes are no member.
pub(crate) fn optional_member_id(bytes: &Bytes) -> Result<Option<MemberId>, Malformed> {
    Ok(optional_id("a member's id", bytes)?.map(MemberId))
}

pub(super) fn member(bytes: &Bytes) -> Result<MemberId, Malformed> {
    id("a member's id", bytes).map(MemberId)
}

pub(super) fn name(name: String) -> Result<String, Malformed> {
    at_most(NAME_LIMIT, "a name", name)
}

pub(super) fn text(text: String) -> Result<String, Malformed> {
    at_most(TEXT_LIMIT, "a text", text)
}

fn at_most(limit: usize, what: &'static str, text: String) -> Result<String, Malformed> {
    if text.len() <= limit { Ok(text) } else { Err(Malformed::Length { what }) }
}

/// As much of a text as is allowed: what a panic said may be long, and is for people.
pub(super) fn cut(text: &str) -> String {
    let end = (0..=TEXT_LIMIT.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text[..end].to_owned()
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A slice that is kept for long would keep alive the whole buffer that it arrived in.
pub(super) fn detached(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

impl WireContact {
    pub(super) fn of(contact: &Contact) -> WireContact {
        let node = contact.node.map_or_else(Bytes::new, |node| id_bytes(node.0));
        WireContact { address: contact.address.clone(), node }
    }

    pub(super) fn read(self) -> Result<Contact, Malformed> {
        let node = optional_id("a node's id", &self.node)?.map(NodeId);
        Ok(Contact { address: name(self.address)?, node })
    }
}

pub(super) fn contact(contact: Option<WireContact>) -> Result<Contact, Malformed> {
    contact.ok_or(Malformed::Length { what: "a contact" })?.read()
}

/// Refuses a body that repeats `field` more often than allowed, before anything is allocated for it.
pub(super) fn check_count(what: &'static str, field: usize, mut body: &[u8]) -> Result<(), Malformed> {
    let malformed = || Malformed::Length { what: "a field" };
    let mut count = 0;
    while body.has_remaining() {
        let key = prost::decode_length_delimiter(&mut body)?;
        let skipped = match key & 7 {
            0 => body.iter().position(|byte| byte & 0x80 == 0).ok_or_else(malformed)? + 1,
            1 => 8,
            2 => prost::decode_length_delimiter(&mut body)?,
            5 => 4,
            _ => return Err(malformed()),
        };
        body = body.get(skipped..).ok_or_else(malformed)?;
        count += usize::from(key >> 3 == field);
        if count > COUNT_LIMIT {
            return Err(Malformed::TooMany { what, limit: COUNT_LIMIT });
        }
    }
    Ok(())
}
