//! What the members of one node share.

use crate::contact::{ClusterId, Contact, NodeId};
use crate::mailbox::Mailbox;
use crate::requests::Requests;
use crate::storage::Storage;
use crate::tombstones::Tombstones;
use crate::transport::Network;
use crate::value;
use std::sync::{Arc, OnceLock};
use tokio::runtime::Handle;

/// A node's surroundings, as its members see them.
pub(crate) struct Host {
    pub(crate) node: NodeId,
    pub(crate) cluster: Arc<OnceLock<ClusterId>>,
    pub(crate) network: Arc<dyn Network>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) requests: Arc<Requests>,
    /// Where its members are kept; in memory if there is none.
    pub(crate) storage: Option<Storage>,
    pub(crate) tombstones: Tombstones,
    /// The node's own runtime: the loop, connections, timers; user code runs on threads beside it.
    pub(crate) runtime: Handle,
    /// What callers' deadlines run on.
    pub(crate) deadlines: Handle,
}

impl Host {
    /// Lets go of something of the user's, apart from the loop: whatever that does, and however long it takes.
    pub(crate) fn discard(&self, thing: impl Send + 'static) {
        self.runtime.spawn_blocking(move || value::discard(thing));
    }

    /// Where others reach this node.
    pub(crate) fn contact(&self) -> Contact {
        Contact { address: self.network.address(), node: Some(self.node) }
    }
}
