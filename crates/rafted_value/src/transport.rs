//! How nodes reach each other. A node is given one transport; every group of the node shares it.

mod connection;
#[allow(dead_code, reason = "its client half waits for `client`")]
mod dialler;
mod handshake;
mod loopback;
mod peer;
mod queue;
mod tcp;
#[cfg(test)]
mod tests;

#[allow(unused_imports, reason = "the same")]
pub(crate) use dialler::{Dialler, Receiver, Sender};
pub use loopback::{Loopback, LoopbackTransport};
pub use tcp::InsecureTcp;

use crate::contact::{ClusterId, Contact, NodeId};
use crate::packet::{Chunk, Packet};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

/// A boxed future, so that transports can be chosen at run time.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A way for nodes to reach each other, not started yet.
pub trait Transport: Send + 'static {
    /// Begins to listen and to deliver what arrives into `inbox`. Called once, on the node's own runtime (tokio,
    /// one thread): tasks it spawns there end with the node.
    fn start(self: Box<Self>, local: Local, inbox: Arc<dyn Inbox>) -> BoxFuture<'static, io::Result<Arc<dyn Network>>>;
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

    /// Lets go of connections to nodes that nobody talks to any more.
    fn retain(&self, wanted: &dyn Fn(&Contact) -> bool);
}
