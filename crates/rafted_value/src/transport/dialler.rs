//! Reaching out: what nodes and clients have in common.

use super::Local;
use super::connection::Connection;
use super::handshake;
use crate::contact::{Contact, NodeId};
use crate::wire::{Hello, OLDEST_PROTOCOL, PROTOCOL, Purpose, Role};
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(super) type TcpConnection = Connection<OwnedReadHalf, OwnedWriteHalf>;

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

/// A task that ends with its owner.
pub(super) struct AbortOnDrop(pub(super) JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Dialler {
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
