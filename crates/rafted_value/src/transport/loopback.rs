//! Nodes inside one process reach each other without bytes, over links that tests can break.

use super::dialler::AbortOnDrop;
use super::{BoxFuture, Inbox, Local, Network, Origin, Transport};
use crate::contact::{Contact, NodeId};
use crate::packet::{Chunk, Packet};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// How many packets may wait for one node; more are dropped.
const WAITING: usize = 16_384;

/// A network inside one process, for tests and for trying things out.
///
/// ```text
/// let network = Loopback::new();
/// let a = Node::builder().transport(network.at("a")).start().await?;
/// let b = Node::builder().transport(network.at("b")).start().await?;
/// network.cut("a", "b"); // b no longer hears a
/// ```
///
/// Clones are the same network.
#[derive(Clone, Default)]
pub struct Loopback {
    wires: Arc<Mutex<Wires>>,
}

#[derive(Default)]
struct Wires {
    sockets: BTreeMap<String, Socket>,
    cut: BTreeSet<(String, String)>,
    lost: f64,
    dice: Option<fastrand::Rng>,
}

/// Where one node is reached.
#[derive(Clone)]
struct Socket {
    local: Local,
    arrivals: mpsc::Sender<Arrival>,
}

/// A packet on its way to the node that it is for.
struct Arrival {
    node: NodeId,
    /// Where an answer goes.
    address: String,
    packet: Packet,
}

/// One place in a [`Loopback`] network.
#[derive(Clone)]
pub struct LoopbackTransport {
    network: Loopback,
    address: String,
}

impl Loopback {
    /// A network without nodes, on which nothing is lost.
    pub fn new() -> Loopback {
        Loopback::default()
    }

    /// A transport with this address, of which there can be only one at a time.
    pub fn at(&self, address: impl Into<String>) -> LoopbackTransport {
        LoopbackTransport { network: self.clone(), address: address.into() }
    }

    /// From now on nothing that `from` sends reaches `to`. The other direction is a link of its own.
    pub fn cut(&self, from: &str, to: &str) {
        self.wires().cut.insert((from.to_owned(), to.to_owned()));
    }

    /// Undoes [`cut`](Loopback::cut).
    pub fn heal(&self, from: &str, to: &str) {
        self.wires().cut.remove(&(from.to_owned(), to.to_owned()));
    }

    /// Undoes every [`cut`](Loopback::cut).
    pub fn heal_all(&self) {
        self.wires().cut.clear();
    }

    /// From now on loses each packet with this probability; the same seed rolls the same dice.
    pub fn lose(&self, probability: f64, seed: u64) {
        let mut wires = self.wires();
        wires.lost = probability;
        wires.dice = Some(fastrand::Rng::with_seed(seed));
    }

    fn wires(&self) -> MutexGuard<'_, Wires> {
        self.wires.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wires {
    /// Where a packet goes, unless it goes nowhere.
    fn link(&mut self, from: &Way, to: &Contact) -> Option<mpsc::Sender<Arrival>> {
        let here = self.sockets.get(&from.address).filter(|socket| socket.local.node == from.local.node)?;
        let there = self.sockets.get(&to.address)?;
        let mistaken = to.node.is_some_and(|node| node != there.local.node);
        let itself = there.local.node == here.local.node;
        let foreign = match (here.local.cluster.get(), there.local.cluster.get()) {
            (Some(here), Some(there)) => here != there,
            _ => false,
        };
        let cut = self.cut.contains(&(from.address.clone(), to.address.clone()));
        if mistaken || itself || foreign || cut {
            return None;
        }
        let lost = self.lost;
        let unlucky = self.dice.as_mut().is_some_and(|dice| dice.f64() < lost);
        (!unlucky).then(|| there.arrivals.clone())
    }
}

impl Transport for LoopbackTransport {
    fn start(self: Box<Self>, local: Local, inbox: Arc<dyn Inbox>) -> BoxFuture<'static, io::Result<Arc<dyn Network>>> {
        Box::pin(async move {
            let LoopbackTransport { network, address } = *self;
            let (arrivals, waiting) = mpsc::channel(WAITING);
            {
                let mut wires = network.wires();
                if wires.sockets.get(&address).is_some_and(|socket| !socket.arrivals.is_closed()) {
                    let why = format!("another node already has the address {address:?}");
                    return Err(io::Error::new(io::ErrorKind::AddrInUse, why));
                }
                let socket = Socket { local: local.clone(), arrivals: arrivals.clone() };
                wires.sockets.insert(address.clone(), socket);
            }
            let way = Way { network, address, local };
            let task = AbortOnDrop(tokio::spawn(deliver(waiting, way.clone(), inbox)));
            Ok(Arc::new(LoopbackNetwork { way, arrivals, _task: task }) as Arc<dyn Network>)
        })
    }
}

/// One node's way into the network.
#[derive(Clone)]
struct Way {
    network: Loopback,
    address: String,
    local: Local,
}

impl Way {
    /// Never delivers by itself: the receiving node's own task does, so that nodes never call into each other.
    fn send(&self, to: &Contact, packet: Packet) {
        let target = self.network.wires().link(self, to);
        if let Some(target) = target {
            let _ = target.try_send(self.arrival(packet)); // full or gone: lost, as on any network
        }
    }

    fn arrival(&self, packet: Packet) -> Arrival {
        Arrival { node: self.local.node, address: self.address.clone(), packet }
    }
}

async fn deliver(mut waiting: mpsc::Receiver<Arrival>, way: Way, inbox: Arc<dyn Inbox>) {
    while let Some(Arrival { node, address, packet }) = waiting.recv().await {
        let (way, back) = (way.clone(), Contact { address, node: Some(node) });
        let reply = move |packet| way.send(&back, packet);
        inbox.deliver(Origin { node, reply: Arc::new(reply) }, packet);
    }
}

struct LoopbackNetwork {
    way: Way,
    arrivals: mpsc::Sender<Arrival>,
    _task: AbortOnDrop,
}

impl Network for LoopbackNetwork {
    fn address(&self) -> String {
        self.way.address.clone()
    }

    fn send(&self, to: &Contact, packet: Packet) {
        self.way.send(to, packet);
    }

    fn send_chunk<'a>(&'a self, to: &'a Contact, chunk: Chunk) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move {
            let target = self.way.network.wires().link(&self.way, to);
            let target = target.ok_or(io::ErrorKind::NotConnected)?;
            let arrival = self.way.arrival(Packet::Chunk(chunk));
            target.send(arrival).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
        })
    }

    fn retain(&self, _wanted: &dyn Fn(&Contact) -> bool) {}
}

impl Drop for LoopbackNetwork {
    fn drop(&mut self) {
        let mut wires = self.way.network.wires();
        let ours = |socket: &Socket| socket.arrivals.same_channel(&self.arrivals);
        if wires.sockets.get(&self.way.address).is_some_and(ours) {
            wires.sockets.remove(&self.way.address);
        }
    }
}

impl fmt::Debug for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.wires().sockets.keys()).finish()
    }
}

impl fmt::Debug for LoopbackTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LoopbackTransport").field(&self.address).finish()
    }
}
