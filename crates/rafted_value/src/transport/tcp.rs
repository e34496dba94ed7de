//! TCP without encryption: for loopback, and for networks that something else protects.

use super::line::{Line, serve};
use super::{BoxFuture, Inbox, Local, Network, Transport};
use crate::contact::Contact;
use crate::packet::{Chunk, Packet};
use crate::wire::{self, Hello, OLDEST_PROTOCOL, PROTOCOL, Purpose, Role};
use rafted_value_core::Body;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::runtime::Handle;

/// How long the body of a frame may be.
pub(crate) const FRAME_LIMIT: u32 = 64 << 20;

/// TCP in the clear. Whoever reaches the port can read and change everything, so that it listens on loopback addresses
/// only, unless told otherwise.
pub struct InsecureTcp {
    listen: Option<String>,
    advertise: Option<String>,
    anywhere: bool,
}

impl InsecureTcp {
    /// Listens at `address`; port 0 picks a free one.
    pub fn listen(address: impl Into<String>) -> InsecureTcp {
        InsecureTcp { listen: Some(address.into()), advertise: None, anywhere: false }
    }

    /// Listens nowhere: for a [`Client`](crate::Client), which only asks.
    pub fn dial_only() -> InsecureTcp {
        InsecureTcp { listen: None, advertise: None, anywhere: false }
    }

    /// The address at which others reach this node, if it is not the one that it listens at.
    pub fn advertise(mut self, address: impl Into<String>) -> InsecureTcp {
        self.advertise = Some(address.into());
        self
    }

    /// Listens on addresses other than loopback, too. Everything on the way can be read, and forged.
    pub fn on_untrusted_networks(mut self) -> InsecureTcp {
        self.anywhere = true;
        self
    }

    async fn bind(&self) -> io::Result<Option<TcpListener>> {
        let Some(address) = &self.listen else { return Ok(None) };
        let named = |error: io::Error| io::Error::new(error.kind(), format!("cannot listen at {address}: {error}"));
        let mut resolved = tokio::net::lookup_host(address).await.map_err(named)?;
        if !self.anywhere && resolved.any(|address| !address.ip().is_loopback()) {
            let why = "it is not a loopback address, and this transport is not encrypted; see `on_untrusted_networks`";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("cannot listen at {address}: {why}")));
        }
        TcpListener::bind(address).await.map(Some).map_err(named)
    }
}

impl Transport for InsecureTcp {
    fn start(self: Box<Self>, local: Local, inbox: Arc<dyn Inbox>) -> BoxFuture<'static, io::Result<Arc<dyn Network>>> {
        Box::pin(async move {
            let listener = self.bind().await?;
            let bound = listener.as_ref().map(TcpListener::local_addr).transpose()?;
            let address = self.advertise.or(bound.map(|bound| bound.to_string())).unwrap_or_default();
            let role = if listener.is_some() { Role::Node } else { Role::Client };
            let shared = Arc::new(Shared { local, inbox, address, role });
            if let Some(listener) = listener {
                tokio::spawn(accept(listener, shared.clone()));
            }
            let network = Tcp { shared, lines: Mutex::default(), runtime: Handle::current() };
            Ok(Arc::new(network) as Arc<dyn Network>)
        })
    }
}

/// What every connection of a node needs.
pub(super) struct Shared {
    pub(super) local: Local,
    pub(super) inbox: Arc<dyn Inbox>,
    address: String,
    role: Role,
}

impl Shared {
    /// How this side introduces itself.
    pub(super) fn hello(&self, to: Option<&Contact>, purpose: Purpose) -> Hello {
        Hello {
            newest: PROTOCOL,
            oldest: OLDEST_PROTOCOL,
            cluster: self.local.cluster.get().copied(),
            node: self.local.node,
            expected: to.and_then(|to| to.node),
            role: self.role,
            purpose,
            address: self.address.clone(),
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                tokio::spawn(serve(stream, from, shared.clone()));
            }
            Err(error) => {
                // Out of descriptors, mostly: others may be given back meanwhile.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

/// The lines of a running node.
struct Tcp {
    shared: Arc<Shared>,
    lines: Mutex<HashMap<Contact, Lines>>,
    runtime: Handle,
}

/// To one node: everything small on one connection, entries and values on another.
#[derive(Clone)]
struct Lines {
    control: Arc<Line>,
    bulk: Arc<Line>,
}

impl Tcp {
    fn lines(&self) -> MutexGuard<'_, HashMap<Contact, Lines>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, to: &Contact, packet: &Packet) -> Arc<Line> {
        let mut lines = self.lines();
        let lines = match lines.get(to) {
            Some(lines) => lines.clone(),
            None => {
                let open = |purpose| Line::open(to.clone(), purpose, self.shared.clone(), &self.runtime);
                // Whoever is gone for good leaves nothing behind.
                lines.retain(|_, lines| !(lines.control.is_idle() && lines.bulk.is_idle()));
                let new = Lines { control: open(Purpose::Control), bulk: open(Purpose::Bulk) };
                lines.insert(to.clone(), new.clone());
                new
            }
        };
        if is_bulk(packet) { lines.bulk } else { lines.control }
    }
}

/// Whether a heartbeat should not have to wait behind it.
fn is_bulk(packet: &Packet) -> bool {
    match packet {
        Packet::Chunk(_) => true,
        Packet::Raft { message, .. } => {
            matches!(&message.body, Body::AppendEntries(append) if !append.entries.is_empty())
        }
        Packet::Request { .. } | Packet::Response { .. } => false,
    }
}

impl Network for Tcp {
    fn address(&self) -> String {
        self.shared.address.clone()
    }

    fn send(&self, to: &Contact, packet: Packet) {
        let line = self.line(to, &packet);
        if matches!(packet, Packet::Request { .. }) && line.is_down() {
            return self.shared.inbox.lost(to);
        }
        match wire::encode(&packet, FRAME_LIMIT) {
            Ok(frame) => line.push(frame),
            Err(error) => tracing::error!(%to, %error, "a packet cannot be sent"),
        }
    }

    fn send_chunk<'a>(&'a self, to: &'a Contact, chunk: Chunk) -> BoxFuture<'a, io::Result<()>> {
        let packet = Packet::Chunk(chunk);
        let line = self.line(to, &packet);
        Box::pin(async move {
            let frame = wire::encode(&packet, FRAME_LIMIT).map_err(io::Error::other)?;
            line.push_when_there_is_room(frame).await
        })
    }

    fn stop(&self) {
        self.lines().clear();
    }
}
