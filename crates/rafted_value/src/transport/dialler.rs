//! Reaching out: what nodes and clients have in common.
//!
//! A client listens nowhere. It opens a connection, sends requests, and reads responses until reading fails, which
//! is when all of its unanswered requests have failed:
//!
//! ```text
//! let (sender, mut receiver) = Dialler::client(limit).open(&contact).await?;
//! sender.send(&request)?;
//! loop { match receiver.next().await { Ok(packet) => .., Err(why) => fail everything that waits } }
//! ```

use super::Local;
use super::connection::{self, Connection};
use super::handshake;
use super::queue::{Bounds, NotQueued, Queue};
use crate::contact::{Contact, NodeId};
use crate::packet::Packet;
use crate::wire::{self, Hello, OLDEST_PROTOCOL, PROTOCOL, Purpose, Role};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(super) type TcpConnection = Connection<OwnedReadHalf, OwnedWriteHalf>;

/// How much of a client's may wait to be written.
const CLIENT_BOUNDS: Bounds = Bounds { messages: 4096, bytes: 16 << 20 };

/// Who dials.
#[derive(Clone)]
pub(crate) struct Dialler {
    pub(super) local: Local,
    pub(super) role: Role,
    /// Where this side can be reached; empty for a client.
    pub(super) address: String,
    /// The longest body of a frame that is read or written.
    pub(super) limit: u32,
    /// Whether networks that others may read are good enough.
    pub(super) untrusted_networks: bool,
}

/// Sends over one connection. Cheap to clone; never waits.
#[derive(Clone)]
pub(crate) struct Sender {
    queue: Arc<Queue>,
    limit: u32,
}

/// Reads from one connection, which ends when this is dropped.
pub(crate) struct Receiver {
    connection: connection::Reader<OwnedReadHalf>,
    queue: Arc<Queue>,
    writer: AbortOnDrop,
}

/// A task that ends with its owner.
pub(super) struct AbortOnDrop(pub(super) JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Dialler {
    /// A client of any cluster, with an identity of its own.
    pub(crate) fn client(limit: u32, untrusted_networks: bool) -> Dialler {
        let node = NodeId(fastrand::u128(..));
        let local = Local { node, cluster: Arc::new(OnceLock::new()) };
        Dialler { local, role: Role::Client, address: String::new(), limit, untrusted_networks }
    }

    /// Connects as a client. Fails within ten seconds.
    pub(crate) async fn open(&self, contact: &Contact) -> io::Result<(Sender, Receiver)> {
        let Connection { reader, mut writer, .. } = self.connect(contact, Purpose::Control).await?;
        let queue = Arc::new(Queue::new(CLIENT_BOUNDS));
        let writing = Arc::clone(&queue);
        let writer = tokio::spawn(async move {
            let _ = connection::write(&mut writer, &writing).await; // the reader says why it ended
            writing.close();
        });
        let sender = Sender { queue: Arc::clone(&queue), limit: self.limit };
        Ok((sender, Receiver { connection: reader, queue, writer: AbortOnDrop(writer) }))
    }

    pub(super) async fn connect(&self, contact: &Contact, purpose: Purpose) -> io::Result<TcpConnection> {
        let failed = |why: io::Error| io::Error::new(why.kind(), format!("cannot reach {:?}: {why}", contact.address));
        let stream = timeout(handshake::DEADLINE, self.stream(&contact.address))
            .await
            .map_err(|_| failed(io::ErrorKind::TimedOut.into()))?
            .map_err(failed)?;
        let (read, write) = stream.into_split();
        handshake::dial(read, write, &self.hello(contact.node, purpose), self.limit).await.map_err(failed)
    }

    pub(super) fn hello(&self, expected: Option<NodeId>, purpose: Purpose) -> Hello {
        Hello {
            newest: PROTOCOL,
            oldest: OLDEST_PROTOCOL,
            cluster: self.local.cluster.get().copied(),
            node: self.local.node,
            expected,
            role: self.role,
            purpose,
            address: self.address.clone(),
        }
    }

    /// Resolves anew each time: an address may have moved.
    async fn stream(&self, address: &str) -> io::Result<TcpStream> {
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "it names no address");
        for address in tokio::net::lookup_host(address).await? {
            check_trust(address, self.untrusted_networks)?;
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(why) => failure = why,
            }
        }
        Err(failure)
    }
}

/// Plain text stays on this machine unless somebody said otherwise.
pub(super) fn check_trust(address: SocketAddr, untrusted_networks: bool) -> io::Result<()> {
    if untrusted_networks || address.ip().is_loopback() {
        return Ok(());
    }
    let why = format!("{address} is not on this machine, and nothing is encrypted: see `on_untrusted_networks`");
    Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
}

impl Sender {
    /// Queues a packet.
    ///
    /// Fails if it is too long (`InvalidInput`), too much waits already (`WouldBlock`) or the connection is gone
    /// (`NotConnected`). Not failing does not mean that it arrives.
    pub(crate) fn send(&self, packet: &Packet) -> io::Result<()> {
        let frame = wire::encode(packet, self.limit).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        self.queue.push(frame).map_err(|why| match why {
            NotQueued::Full => io::ErrorKind::WouldBlock.into(),
            NotQueued::Closed => io::ErrorKind::NotConnected.into(),
        })
    }
}

impl Receiver {
    /// The next packet. An error means that the connection is lost, for good. May be dropped half-way.
    pub(crate) async fn next(&mut self) -> io::Result<Packet> {
        if self.writer.0.is_finished() {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let packet = tokio::select! {
            packet = self.connection.packet() => packet,
            _ = &mut self.writer.0 => Err(io::ErrorKind::BrokenPipe.into()),
        };
        if packet.is_err() {
            self.queue.close();
        }
        packet
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.queue.close();
    }
}
