//! How nodes reach each other. A node is given one transport; every group of the node shares it.

use crate::contact::{ClusterId, Contact, NodeId};
use crate::wire;
use bytes::Bytes;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

mod connection;
mod dialler;
mod handshake;
pub(crate) mod loopback;
mod peer;
mod queue;
pub(crate) mod tcp;
#[cfg(test)]
mod tests;

pub use crate::packet::{
    Change, ChangeRefused, Chunk, Envelope, Freshness, Join, Packet, Refused, Request, Response, Session, SessionId,
};
pub use crate::profile::Profile;
pub use loopback::{Loopback, LoopbackAt};
pub use tcp::InsecureTcp;

/// A boxed future, so that transports can be chosen at run time.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A way for nodes to reach each other, not started yet.
pub trait Transport: Send + 'static {
    /// Begins to listen and to deliver what arrives into `inbox`. Called once, on the node's own runtime (tokio,
    /// one thread): tasks it spawns there end with the node.
    fn start(self: Box<Self>, local: Local, inbox: Arc<dyn Inbox>) -> BoxFuture<'static, io::Result<Arc<dyn Network>>>;
}

/// The longest packet that [`encode`] writes and [`decode`] reads, in bytes.
const LONGEST: u32 = 64 << 20;

/// A packet as bytes, which carry their own length and checksums: those that [`InsecureTcp`] sends. For transports of your own.
///
/// # Errors
///
/// If it is longer than 64 MiB.
pub fn encode(packet: &Packet) -> io::Result<Bytes> {
    wire::encode(packet, LONGEST).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))
}

/// The packet that [`encode`] wrote, from exactly its bytes. Whatever they are, nothing panics, and no length in them is believed.
///
/// # Errors
///
/// What is wrong with the bytes.
pub fn decode(bytes: &[u8]) -> io::Result<Packet> {
    let malformed = |why| io::Error::new(io::ErrorKind::InvalidData, why);
    let mut reader = wire::FrameReader::new(LONGEST);
    reader.buffer().extend_from_slice(bytes);
    let frame = reader.next().map_err(malformed)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    match reader.buffer().is_empty() {
        true => wire::decode(frame).map_err(malformed),
        false => Err(io::Error::new(io::ErrorKind::InvalidData, "something follows at the end")),
    }
}

/// The node that a transport serves.
#[derive(Clone, Debug)]
pub struct Local {
    /// Its identity.
    pub node: NodeId,
    /// Its cluster, once it belongs to one. A transport refuses connections between two different clusters.
    pub cluster: Arc<OnceLock<ClusterId>>,
}

/// Where a transport delivers. Never waits.
pub trait Inbox: Send + Sync {
    /// Something arrived.
    fn deliver(&self, origin: Origin, packet: Packet);

    /// What was sent to `contact` may be lost, with any answer to it.
    fn lost(&self, contact: &Contact);
}

/// Where something came from.
#[derive(Clone)]
pub struct Origin {
    /// The node that sent it.
    pub node: NodeId,
    /// Sends an answer back over the same connection; dropped if that is gone or its queue is full.
    pub reply: Arc<dyn Fn(Packet) + Send + Sync>,
}

/// A transport that runs.
pub trait Network: Send + Sync {
    /// The address at which others can reach this node.
    fn address(&self) -> String;

    /// Sends without waiting. What cannot be sent soon is dropped: consensus repeats what matters. Entries and small
    /// messages travel on different connections, so that a heartbeat never waits behind a megabyte.
    fn send(&self, to: &Contact, packet: Packet);

    /// Sends a piece of a value: waits for room instead of dropping.
    fn send_chunk<'a>(&'a self, to: &'a Contact, chunk: Chunk) -> BoxFuture<'a, io::Result<()>>;

    /// The node has stopped: its address is free again, and nothing is sent or delivered any more.
    fn stop(&self);
}
