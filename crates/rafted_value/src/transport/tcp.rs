//! Nodes reach each other over TCP, in plain text.

use super::connection::{self, exchange};
use super::dialler::{AbortOnDrop, Dialler, TcpConnection, check_trust};
use super::handshake;
use super::peer::{Peer, purpose};
use super::queue::{Bounds, Queue};
use super::{BoxFuture, Inbox, Local, Network, Transport};
use crate::contact::Contact;
use crate::packet::{Chunk, Packet};
use crate::wire::{self, Role};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// The longest frame between members, unless told otherwise.
const FRAME_LIMIT: u32 = 64 << 20;
/// The longest frame from a client: the longest command that a config may allow, and what is around it.
const CLIENT_FRAME_LIMIT: u32 = 33 << 20;
/// How many connections may exist, and how many of them may not have said hello yet.
const MAX_CONNECTIONS: usize = 16_384;
const MAX_STRANGERS: usize = 256;
/// Answers that wait for a peer that reads slowly.
const REPLIES: Bounds = Bounds { messages: 4_096, bytes: 16 << 20 };
/// After the machine could not accept a connection, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Plain-text TCP: whoever can read or reach the network can read and change everything, so that it stays on
/// loopback addresses unless [`on_untrusted_networks`](InsecureTcp::on_untrusted_networks) is called.
///
/// ```
/// # use rafted_value::{InsecureTcp, Node};
/// let node = Node::builder().transport(InsecureTcp::listen("127.0.0.1:7101"));
/// ```
#[derive(Clone, Debug)]
pub struct InsecureTcp {
    listen: Option<String>,
    advertise: Option<String>,
    untrusted_networks: bool,
    frame_limit: u32,
}

impl InsecureTcp {
    /// Will listen on this address; port 0 takes any free port.
    pub fn listen(address: impl Into<String>) -> InsecureTcp {
        InsecureTcp { listen: Some(address.into()), ..InsecureTcp::dial_only() }
    }

    /// Listens nowhere: for a [`Client`](crate::Client), which only asks.
    pub fn dial_only() -> InsecureTcp {
        InsecureTcp { listen: None, advertise: None, untrusted_networks: false, frame_limit: FRAME_LIMIT }
    }

    /// The address that other nodes are told, if it is not the one listened on.
    pub fn advertise(mut self, address: impl Into<String>) -> InsecureTcp {
        self.advertise = Some(address.into());
        self
    }

    /// Listens and connects beyond this machine too, although nothing is encrypted and nobody is authenticated.
    /// Only for networks where everybody may read and change everything, and inside tunnels that encrypt.
    pub fn on_untrusted_networks(mut self) -> InsecureTcp {
        self.untrusted_networks = true;
        self
    }

    /// The longest single message in bytes, 64 MiB by default. The same on all nodes.
    pub fn max_frame_bytes(mut self, limit: u32) -> InsecureTcp {
        self.frame_limit = limit;
        self
    }

    async fn bind(&self, listen: &str) -> io::Result<TcpListener> {
        let failed = |why: io::Error| io::Error::new(why.kind(), format!("cannot listen on {listen:?}: {why}"));
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host(listen).await.map_err(failed)?.collect();
        for address in &addresses {
            check_trust(*address, self.untrusted_networks).map_err(failed)?;
            if address.ip().is_unspecified() && self.advertise.is_none() {
                let why = "others cannot be told this address: see `advertise`";
                return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, why)));
            }
        }
        TcpListener::bind(&addresses[..]).await.map_err(failed)
    }

    async fn run(self, local: Local, inbox: Arc<dyn Inbox>) -> io::Result<Arc<dyn Network>> {
        Ok(Arc::new(self.open(local, inbox).await?))
    }

    pub(super) async fn open(self, local: Local, inbox: Arc<dyn Inbox>) -> io::Result<TcpNetwork> {
        let listener = match &self.listen {
            Some(listen) => Some(self.bind(listen).await?),
            None => None,
        };
        let address = match (self.advertise, &listener) {
            (Some(address), _) => address,
            (None, Some(listener)) => listener.local_addr()?.to_string(),
            (None, None) => String::new(),
        };
        if self.untrusted_networks {
            tracing::warn!(%address, "nothing that this node says or hears is encrypted or authenticated");
        }
        let dialler = Dialler {
            local,
            role: if listener.is_some() { Role::Node } else { Role::Client },
            address,
            limit: self.frame_limit,
            untrusted_networks: self.untrusted_networks,
        };
        let runtime = Handle::current();
        let accepting = |listener| AbortOnDrop(runtime.spawn(accept(listener, dialler.clone(), Arc::clone(&inbox))));
        let listening = Mutex::new(listener.map(accepting));
        Ok(TcpNetwork { dialler, inbox, runtime, peers: Mutex::default(), listening })
    }
}

impl Transport for InsecureTcp {
    fn start(self: Box<Self>, local: Local, inbox: Arc<dyn Inbox>) -> BoxFuture<'static, io::Result<Arc<dyn Network>>> {
        Box::pin(self.run(local, inbox))
    }
}

/// Listens until it is dropped.
async fn accept(listener: TcpListener, us: Dialler, inbox: Arc<dyn Inbox>) {
    let strangers = Arc::new(Semaphore::new(MAX_STRANGERS));
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                while connections.try_join_next().is_some() {}
                let Ok(stranger) = Arc::clone(&strangers).try_acquire_owned() else { continue };
                if connections.len() >= MAX_CONNECTIONS {
                    continue;
                }
                let (us, inbox) = (us.clone(), Arc::clone(&inbox));
                connections.spawn(async move {
                    let greeted = greet(stream, &us).await;
                    drop(stranger);
                    match greeted {
                        Ok(connection) => serve(connection, from, &us, &*inbox).await,
                        Err(why) => tracing::warn!(%from, %why, "turned a connection away"),
                    }
                });
            }
            Err(why) => {
                tracing::warn!(%why, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn greet(stream: TcpStream, us: &Dialler) -> io::Result<TcpConnection> {
    stream.set_nodelay(true)?;
    let (read, write) = stream.into_split();
    let limit = |role| match role {
        Role::Node => us.limit,
        Role::Client => us.limit.min(CLIENT_FRAME_LIMIT),
    };
    handshake::answer(read, write, |purpose| us.hello(None, purpose), limit).await
}

async fn serve(connection: TcpConnection, from: SocketAddr, us: &Dialler, inbox: &dyn Inbox) {
    let queue = Arc::new(Queue::new(REPLIES));
    let origin = connection::origin(&connection.theirs, &queue, us.limit);
    let why = exchange(connection, &queue, inbox, &origin, &us.local.cluster).await;
    queue.close(); // answers that come later go nowhere
    tracing::debug!(%from, %why, "a connection ended");
}

/// TCP that runs. Connections end when it is stopped or dropped.
pub(super) struct TcpNetwork {
    dialler: Dialler,
    inbox: Arc<dyn Inbox>,
    runtime: Handle,
    peers: Mutex<BTreeMap<Contact, Arc<Peer>>>,
    listening: Mutex<Option<AbortOnDrop>>,
}

impl TcpNetwork {
    pub(super) fn peer(&self, to: &Contact) -> Arc<Peer> {
        let mut peers = self.peers();
        if let Some(peer) = peers.get(to) {
            return Arc::clone(peer);
        }
        // Whoever is gone for good leaves nothing behind.
        peers.retain(|_, peer| !peer.is_idle());
        let peer = Arc::new(Peer::new(to, &self.dialler, &self.inbox, &self.runtime));
        peers.insert(to.clone(), Arc::clone(&peer));
        peer
    }

    fn peers(&self) -> MutexGuard<'_, BTreeMap<Contact, Arc<Peer>>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Network for TcpNetwork {
    fn address(&self) -> String {
        self.dialler.address.clone()
    }

    fn send(&self, to: &Contact, packet: Packet) {
        let asks = matches!(packet, Packet::Request { .. });
        match wire::encode(&packet, self.dialler.limit) {
            Ok(frame) => {
                let peer = self.peer(to);
                if asks && peer.is_down() {
                    // Whoever asks had better ask somebody else than wait for the next attempt.
                    return self.inbox.lost(to);
                }
                let full = peer.push(purpose(&packet), frame).is_err(); // consensus repeats what matters
                if full && asks {
                    self.inbox.lost(to);
                }
            }
            Err(why) => {
                tracing::warn!(to = ?to.address, %why, "cannot send a packet");
                if asks {
                    self.inbox.lost(to);
                }
            }
        }
    }

    fn send_chunk<'a>(&'a self, to: &'a Contact, chunk: Chunk) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move {
            let frame = wire::encode(&Packet::Chunk(chunk), self.dialler.limit)
                .map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
            self.peer(to).push_chunk(frame).await
        })
    }

    fn stop(&self) {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.peers().clear();
    }
}
