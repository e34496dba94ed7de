//! The first frame of each side of a connection: who is there, and whom it expects.
//!
//! Hello and Refusal keep their layout for ever, so that any two builds can at least say why they do not talk.

use super::Malformed;
use super::fields::{cut, id, id_bytes, name, optional_id, text};
use super::frame::{self, Frame, frame, kind};
use crate::contact::{ClusterId, NodeId};
use bytes::Bytes;
use prost::Message as _;

/// The newest protocol that this build speaks. Two sides speak the older of their newest.
pub(crate) const PROTOCOL: u64 = 1;
/// The oldest protocol that this build speaks.
pub(crate) const OLDEST_PROTOCOL: u64 = 1;
/// No Hello and no Refusal is longer: a stranger's first words are short.
pub(crate) const HELLO_LIMIT: u32 = 1 << 10;

/// Who says hello.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hello {
    pub(crate) newest: u64,
    pub(crate) oldest: u64,
    /// None before the first bootstrap or join; says nothing to a node that belongs to one.
    pub(crate) cluster: Option<ClusterId>,
    pub(crate) node: NodeId,
    pub(crate) expected: Option<NodeId>,
    pub(crate) role: Role,
    pub(crate) purpose: Purpose,
    /// Where this side can be reached; empty for a client.
    pub(crate) address: String,
}

/// What a side of a connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Everything.
    Node,
    /// Only requests.
    Client,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// Everything small.
    Control,
    /// Entries and pieces of values: a heartbeat never waits behind them.
    Bulk,
}

/// Why one side does not talk to the other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {text}")]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) text: String,
}

/// What to tell refusals apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Reason {
    #[error("no common version of the protocol")]
    Version,
    #[error("another cluster")]
    Cluster,
    #[error("not the expected node")]
    Node,
    #[error("a connection to itself")]
    Itself,
    #[error("not a hello")]
    Malformed,
    #[error("a reason that this build does not know")]
    Unknown,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireHello {
    #[prost(uint64, tag = "1")]
    newest: u64,
    #[prost(uint64, tag = "2")]
    oldest: u64,
    #[prost(bytes = "bytes", tag = "3")]
    cluster: Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    node: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    expected: Bytes,
    #[prost(uint64, tag = "6")]
    role: u64,
    #[prost(uint64, tag = "7")]
    purpose: u64,
    #[prost(string, tag = "8")]
    address: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireRefusal {
    #[prost(uint64, tag = "1")]
    reason: u64,
    #[prost(string, tag = "2")]
    text: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Nothing {}

/// A frame that says nothing but that its sender is there.
pub(crate) fn alive() -> Bytes {
    frame(kind::ALIVE, &Nothing {}, 0).expect("nothing fits")
}

impl Hello {
    /// Fails only if the address is absurdly long.
    pub(crate) fn encode(&self) -> Result<Bytes, Malformed> {
        let wire = WireHello {
            newest: self.newest,
            oldest: self.oldest,
            cluster: self.cluster.map_or_else(Bytes::new, |cluster| id_bytes(cluster.0)),
            node: id_bytes(self.node.0),
            expected: self.expected.map_or_else(Bytes::new, |node| id_bytes(node.0)),
            role: match self.role {
                Role::Node => 1,
                Role::Client => 2,
            },
            purpose: match self.purpose {
                Purpose::Control => 1,
                Purpose::Bulk => 2,
            },
            address: self.address.clone(),
        };
        frame(kind::HELLO, &wire, HELLO_LIMIT)
    }

    fn decode(body: Bytes) -> Result<Hello, Malformed> {
        let wire = WireHello::decode(body)?;
        Ok(Hello {
            newest: wire.newest,
            oldest: wire.oldest,
            cluster: optional_id("a cluster's id", &wire.cluster)?.map(ClusterId),
            node: NodeId(id("a node's id", &wire.node)?),
            expected: optional_id("the expected node's id", &wire.expected)?.map(NodeId),
            role: match wire.role {
                1 => Role::Node,
                2 => Role::Client,
                kind => return Err(Malformed::UnknownKind { what: "role", kind }),
            },
            purpose: match wire.purpose {
                1 => Purpose::Control,
                2 => Purpose::Bulk,
                kind => return Err(Malformed::UnknownKind { what: "purpose", kind }),
            },
            address: name(wire.address)?,
        })
    }
}

impl Refusal {
    pub(crate) fn new(reason: Reason, text: impl Into<String>) -> Refusal {
        Refusal { reason, text: text.into() }
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut wire = WireRefusal { reason: self.reason.number(), text: cut(&self.text) };
        frame(kind::REFUSAL, &wire, HELLO_LIMIT).unwrap_or_else(|_| {
            wire.text.clear();
            frame(kind::REFUSAL, &wire, HELLO_LIMIT).expect("a number fits")
        })
    }

    fn decode(body: Bytes) -> Result<Refusal, Malformed> {
        let WireRefusal { reason, text: why } = WireRefusal::decode(body)?;
        Ok(Refusal { reason: Reason::of(reason), text: text(why)? })
    }
}

impl Reason {
    fn number(self) -> u64 {
        match self {
            Reason::Unknown => 0,
            Reason::Version => 1,
            Reason::Cluster => 2,
            Reason::Node => 3,
            Reason::Itself => 4,
            Reason::Malformed => 5,
        }
    }

    fn of(number: u64) -> Reason {
        match number {
            1 => Reason::Version,
            2 => Reason::Cluster,
            3 => Reason::Node,
            4 => Reason::Itself,
            5 => Reason::Malformed,
            _ => Reason::Unknown,
        }
    }
}

/// Reads the first frame of the other side: a Hello, or why there is none.
pub(crate) fn decode(frame: Frame) -> Result<Result<Hello, Refusal>, Malformed> {
    match frame.kind {
        kind::HELLO => Hello::decode(frame.body).map(Ok),
        kind::REFUSAL => Refusal::decode(frame.body).map(Err),
        kind => Err(frame::unknown(kind)),
    }
}
