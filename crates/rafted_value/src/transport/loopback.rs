//! A network inside one process: passes structs. For tests, and for groups that need no machine but this one.

use super::{BoxFuture, Inbox, Local, Network, Origin, Transport};
use crate::contact::{Contact, NodeId};
use crate::packet::{Chunk, Packet};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::runtime::Handle;

/// A network inside one process, and its faults.
///
/// ```
/// use rafted_value::Loopback;
/// let network = Loopback::new();
/// let a = network.at("a"); // the transport of one node
/// network.cut("a", "b"); // what a says no longer reaches b
/// network.heal_all();
/// ```
#[derive(Clone, Default)]
pub struct Loopback {
    wires: Arc<Mutex<Wires>>,
}

#[derive(Default)]
struct Wires {
    ends: BTreeMap<Arc<str>, End>,
    cut: BTreeSet<(String, String)>,
    /// How likely a packet is lost, and what decides it.
    lost: f64,
    /// How long each is on its way.
    delay: Duration,
    dice: Option<fastrand::Rng>,
}

struct End {
    local: Local,
    inbox: Weak<dyn Inbox>,
    runtime: Handle,
}

/// Where a packet arrives, and how late.
struct There {
    address: Arc<str>,
    inbox: Arc<dyn Inbox>,
    late: Option<(Duration, Handle)>,
}

/// One address of a [`Loopback`].
pub struct LoopbackAt {
    network: Loopback,
    address: String,
}

impl Loopback {
    /// A network of its own: addresses of two do not meet.
    pub fn new() -> Loopback {
        Loopback::default()
    }

    /// The transport of the node at `address`. An address is free again when its node has stopped.
    pub fn at(&self, address: impl Into<String>) -> LoopbackAt {
        LoopbackAt { network: self.clone(), address: address.into() }
    }

    /// From now on, what `from` says does not reach `to`. The other direction is another matter.
    pub fn cut(&self, from: impl Into<String>, to: impl Into<String>) {
        self.wires().cut.insert((from.into(), to.into()));
    }

    /// Undoes one [`cut`](Loopback::cut).
    pub fn heal(&self, from: &str, to: &str) {
        self.wires().cut.remove(&(from.to_owned(), to.to_owned()));
    }

    /// Undoes every [`cut`](Loopback::cut).
    pub fn heal_all(&self) {
        self.wires().cut.clear();
    }

    /// From now on each packet is lost with this probability; the same seed rolls the same dice.
    pub fn lose(&self, probability: f64, seed: u64) {
        let mut wires = self.wires();
        wires.lost = probability;
        wires.dice = Some(fastrand::Rng::with_seed(seed));
    }

    /// From now on each packet is on its way for this long; zero, as at first, for not at all. Of several that are
    /// on their way, a later one may arrive first; but not the pieces of a value.
    pub fn delay(&self, delay: Duration) {
        self.wires().delay = delay;
    }

    fn wires(&self) -> MutexGuard<'_, Wires> {
        self.wires.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a packet from `from` to `to` arrives: nowhere if nobody is there, or somebody else, or a node of another
    /// cluster, or the sender itself.
    fn end(&self, from: &str, to: &str, expected: Option<NodeId>) -> Option<There> {
        let mut wires = self.wires();
        let lost = wires.lost;
        let unlucky = wires.dice.as_mut().is_some_and(|dice| dice.f64() < lost);
        let is_cut = !wires.cut.is_empty() && wires.cut.contains(&(from.to_owned(), to.to_owned()));
        if unlucky || is_cut {
            return None;
        }
        let (here, (address, there)) = (&wires.ends.get(from)?.local, wires.ends.get_key_value(to)?);
        let foreign = match (here.cluster.get(), there.local.cluster.get()) {
            (Some(here), Some(there)) => here != there,
            _ => false,
        };
        let mistaken = expected.is_some_and(|node| node != there.local.node) || here.node == there.local.node;
        if foreign || mistaken {
            return None;
        }
        let late = (!wires.delay.is_zero()).then(|| (wires.delay, there.runtime.clone()));
        Some(There { address: address.clone(), inbox: there.inbox.upgrade()?, late })
    }

    fn carry(&self, (from, node): (&Arc<str>, NodeId), to: &str, expected: Option<NodeId>, packet: Packet) -> bool {
        let Some(There { address: here, inbox, late }) = self.end(from, to, expected) else { return false };
        let (network, back) = (self.clone(), from.clone());
        let reply = Arc::new(move |packet| {
            let Some(me) = network.wires().ends.get(&here).map(|end| end.local.node) else { return };
            // The answer to a node that has gone meanwhile is lost with it.
            network.carry((&here, me), &back, Some(node), packet);
        });
        let origin = Origin { node, reply };
        match late {
            // A piece of a value was late before it was sent, so that pieces stay in order.
            Some((delay, runtime)) if !matches!(packet, Packet::Chunk(_)) => drop(runtime.spawn(async move {
                tokio::time::sleep(delay).await;
                inbox.deliver(origin, packet);
            })),
            // Not while the wires are locked: whoever takes it may send.
            _ => inbox.deliver(origin, packet),
        }
        true
    }
}

impl Transport for LoopbackAt {
    fn start(self: Box<Self>, local: Local, inbox: Arc<dyn Inbox>) -> BoxFuture<'static, io::Result<Arc<dyn Network>>> {
        let LoopbackAt { network, address } = *self;
        let address: Arc<str> = address.into();
        let taken = {
            let mut wires = network.wires();
            let taken = wires.ends.contains_key(&address);
            if !taken {
                wires.ends.insert(
                    address.clone(),
                    End { local: local.clone(), inbox: Arc::downgrade(&inbox), runtime: Handle::current() },
                );
            }
            taken
        };
        let network: io::Result<Arc<dyn Network>> = match taken {
            true => Err(io::Error::new(io::ErrorKind::AddrInUse, format!("`{address}` is taken"))),
            false => Ok(Arc::new(Running { network, address, node: local.node, inbox: Arc::downgrade(&inbox) })),
        };
        Box::pin(std::future::ready(network))
    }
}

/// A node's end of the network; leaving it frees the address.
struct Running {
    network: Loopback,
    address: Arc<str>,
    node: NodeId,
    inbox: Weak<dyn Inbox>,
}

impl Network for Running {
    fn address(&self) -> String {
        self.address.to_string()
    }

    fn send(&self, to: &Contact, packet: Packet) {
        let asks = matches!(packet, Packet::Request { .. });
        let carried = self.network.carry((&self.address, self.node), &to.address, to.node, packet);
        if asks
            && !carried
            && let Some(inbox) = self.inbox.upgrade()
        {
            inbox.lost(to);
        }
    }

    fn send_chunk<'a>(&'a self, to: &'a Contact, chunk: Chunk) -> BoxFuture<'a, io::Result<()>> {
        let delay = self.network.wires().delay;
        Box::pin(async move {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            match self.network.carry((&self.address, self.node), &to.address, to.node, Packet::Chunk(chunk)) {
                true => Ok(()),
                false => Err(io::Error::new(io::ErrorKind::NotConnected, format!("`{to}` cannot be reached"))),
            }
        })
    }

    fn stop(&self) {
        let mut wires = self.network.wires();
        // Not by identity: a node on disk that started again has the same.
        if wires.ends.get(&self.address).is_some_and(|end| Weak::ptr_eq(&end.inbox, &self.inbox)) {
            wires.ends.remove(&self.address);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}
