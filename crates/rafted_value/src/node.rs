//! A node: one process's share of any number of groups.

use crate::caller::{Caller, Here};
use crate::calls::{Call, Calls};
use crate::contact::{ClusterId, GroupId, MemberOf, NodeId};
use crate::durable;
use crate::error::{ChangeError, StartError};
use crate::group::{Group, TIMEOUT};
use crate::host::Host;
use crate::hosted::{Hosted, HostedGroups};
use crate::mailbox::{Event, Mailbox};
use crate::member::Ended;
use crate::open::GroupBuilder;
use crate::packet::{Change, Response};
use crate::report::StatusReport;
use crate::requests::Requests;
use crate::shard::Shard;
use crate::storage::{self, Storage};
use crate::timers;
use crate::tombstones::Tombstones;
use crate::transport::loopback::Loopback;
use crate::transport::{Local, Transport};
use crate::turn;
use crate::value::Value;
use crate::waiting;
use rafted_value_core::RoleKind;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// One process's share of any number of groups.
///
/// A node has a thread of its own for consensus, connections and timers, so that whatever its process does, a leader
/// stays a leader; commands and snapshots run on further threads, only while there is work.
///
/// Handles are cheap to clone. The node stops when [`Node::stop`] is called or when the last handle, its groups'
/// included, is dropped; everybody who waits for it is answered then.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rafted_value::{InsecureTcp, Node};
/// let node = Node::builder().transport(InsecureTcp::listen("127.0.0.1:0")).start().await?;
/// println!("others reach it at {}", node.address());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Node {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) host: Arc<Host>,
    pub(crate) hosted: HostedGroups,
    ended: watch::Receiver<()>,
}

/// Says how a node shall be; see [`Node::builder`].
#[derive(Default)]
pub struct NodeBuilder {
    transport: Option<Box<dyn Transport>>,
    data_dir: Option<PathBuf>,
    log_file_expansion_factor: Option<u64>,
}

impl NodeBuilder {
    /// How other nodes are reached. Without one, the node is alone.
    pub fn transport(mut self, transport: impl Transport) -> NodeBuilder {
        self.transport = Some(Box::new(transport));
        self
    }

    /// Keeps the node's members in this directory, which is made if it is not there and which one node at a time may
    /// use. Without one, which is the default, they are in memory.
    ///
    /// What a group confirmed is then on the disks of a majority, and outlives the loss of power of all of them at once.
    /// A node that starts again with its directory is the same node with the same members:
    /// [`open`](GroupBuilder::open) finds them there. A directory that is lost is a member that is lost: the node
    /// joins as another one. A directory must never be copied back from an older copy, and the node must be started at the
    /// address that it had: that is where the others look for it.
    ///
    /// One thread writes, and one sync serves whatever waits. A sync that fails ends all members of the node until it
    /// starts again; a full disk is waited for.
    #[doc(alias = "persistence_dir")]
    pub fn data_dir(mut self, dir: impl Into<PathBuf>) -> NodeBuilder {
        self.data_dir = Some(dir.into());
        self
    }

    /// How many times as large as its last snapshot a group's log on disk may become before the value is written anew.
    /// At least 1; default 10, as in RaftedValue: a tenth of what is written are snapshots then, and a start reads that much log.
    /// A log of less than 4 MiB is left alone.
    pub fn log_file_expansion_factor(mut self, factor: u64) -> NodeBuilder {
        self.log_file_expansion_factor = Some(factor.max(1));
        self
    }

    /// Starts the node.
    ///
    /// # Errors
    ///
    /// If the transport cannot start, as when its port is in use, the directory cannot be used, or the process can have
    /// no more threads.
    pub async fn start(self) -> Result<Node, StartError> {
        let mut options = storage::Options::default();
        options.expansion_factor = self.log_file_expansion_factor.unwrap_or(options.expansion_factor);
        let dir = self.data_dir.map(|dir| (dir, options));
        let transport = self.transport.unwrap_or_else(|| Box::new(Loopback::new().at("alone")));
        let (started, node) = oneshot::channel();
        let (alive, ended) = watch::channel(());
        std::thread::Builder::new()
            .name("rafted-node".to_owned())
            .spawn(move || {
                live((transport, dir), ended, started);
                drop(alive);
            })
            .map_err(StartError::Thread)?;
        node.await.map_err(|_| StartError::Thread(io::Error::other("the node's thread ended")))?
    }
}

/// The life of a node's thread.
fn live(
    with: (Box<dyn Transport>, Option<(PathBuf, storage::Options)>),
    ended: watch::Receiver<()>,
    started: oneshot::Sender<Result<Node, StartError>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(started.send(Err(StartError::Thread(error)))),
    };
    runtime.block_on(async {
        match surroundings(with).await {
            Ok(host) => {
                let inner = Inner { host: host.clone(), hosted: HostedGroups::default(), ended };
                // If nobody waits for it any more, it is dropped, and with it the loop ends.
                drop(started.send(Ok(Node { inner: Arc::new(inner) })));
                turn::run(host.mailbox.clone(), Shard::new(host.clone())).await;
                if let Some(storage) = &host.storage {
                    storage.close();
                }
            }
            Err(error) => drop(started.send(Err(error))),
        }
    });
    // User code that is still running is not waited for.
    runtime.shutdown_background();
}

async fn surroundings(
    (transport, data_dir): (Box<dyn Transport>, Option<(PathBuf, storage::Options)>),
) -> Result<Arc<Host>, StartError> {
    let mailbox = Mailbox::new();
    let storage = data_dir.map(|(dir, options)| durable::open(&dir, options, &mailbox)).transpose()?;
    let new = || (NodeId(timers::identity()), None);
    let (node, cluster) = storage.as_ref().map_or_else(new, Storage::identity);
    let cluster = Arc::new(cluster.map_or_else(OnceLock::new, OnceLock::from));
    let local = Local { node, cluster: cluster.clone() };
    let network = transport.start(local, mailbox.clone()).await.map_err(StartError::Transport)?;
    let (requests, runtime) = (Arc::new(Requests::new(timers::seed())), tokio::runtime::Handle::current());
    let deadlines = timers::deadlines().map_err(StartError::Thread)?;
    let tombstones = Tombstones::default();
    Ok(Arc::new(Host { node, cluster, network, mailbox, requests, storage, tombstones, runtime, deadlines }))
}

impl Node {
    /// Begins to say how a node shall be.
    pub fn builder() -> NodeBuilder {
        NodeBuilder::default()
    }

    /// Begins to say which group of values `V` to open.
    pub fn group<V: Value>(&self) -> GroupBuilder<V> {
        GroupBuilder::new(self.clone())
    }

    /// The address at which others reach this node.
    pub fn address(&self) -> String {
        self.inner.host.network.address()
    }

    /// The node's identity: that in its directory, or new at every start if it keeps nothing.
    pub fn id(&self) -> NodeId {
        self.inner.host.node
    }

    /// The cluster it belongs to, once it has bootstrapped or joined a group.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.inner.host.cluster.get().copied()
    }

    /// The names of the groups that have a member here, in order.
    pub fn groups(&self) -> Vec<String> {
        self.inner.hosted.all().into_iter().map(|(name, _)| name).collect()
    }

    /// Takes the member here out of its group, for good: hands leadership over, has the others remove it, and lets go of its
    /// value, and of its files, once they have. The last member takes the group with it.
    ///
    /// A tombstone stays on this node: what is still said to the removed incarnation is dropped, requests that name it are refused
    /// by name, and joining it again is refused ([`OpenError::Removed`](crate::OpenError::Removed)). A new group of the
    /// same name is another incarnation, which may be founded and joined. A node keeps 1,024 tombstones, until it ends.
    ///
    /// Takes up to ten seconds. Cancellation safe: the member may be out of the group or not, and can be removed again.
    ///
    /// # Errors
    ///
    /// See [`ChangeError`]. After an error the member is still here, and may be removed by the others yet; without a
    /// majority it cannot be removed: [`Group::stop`] it.
    pub async fn remove_group(&self, name: &str) -> Result<(), ChangeError> {
        let hosted = self.inner.hosted.get(name).ok_or_else(|| ChangeError::NoSuchGroup { group: name.to_owned() })?;
        let host = &self.inner.host;
        let at = hosted.at();
        let stopped = || ChangeError::Stopped { group: name.to_owned() };
        let report = report(host, at.group).await.ok_or_else(stopped)?;
        let me = report.member;
        if report.members.iter().any(|member| member.id != me) {
            hand_over(host, &hosted).await;
            let here = Here { view: hosted.view.clone() };
            let calls = Calls::new(Caller::new(host.clone(), (name, hosted.value), Some(here), []));
            let removed = calls.change(Change::Remove(me), Call::within(TIMEOUT)).await;
            // The word of it may come before the answer.
            let knows = hosted.view.borrow().ended == Some(Ended::Removed);
            match removed {
                Err(ChangeError::NotMember { .. }) => {}
                Err(error) if !knows => return Err(error),
                _ => {}
            }
        }
        host.tombstones.add(at.group, name);
        close(host, at, Ended::Removed).await;
        if let Err(why) = durable::forget(at.group, host).await {
            // Nobody has it among the members any more: what comes back after a restart is nobody's.
            tracing::error!(group = name, why, "a removed group may still be on disk");
        }
        self.inner.hosted.remove(name, at.member);
        Ok(())
    }

    /// Hands over whatever the node leads, stops it, and waits until it has stopped. Everybody who still waits for one
    /// of its groups is told. Not cancellation safe: a node that was about to stop may go on.
    pub async fn stop(&self) {
        for (_, hosted) in self.inner.hosted.all() {
            hand_over(&self.inner.host, &hosted).await;
        }
        self.crash().await;
    }

    /// Ends the node at once, without a word to anybody, and waits until it has ended: for tests of what others do
    /// then. Everybody in this process who waits for it is told. Cancellation safe: the node ends all the same.
    pub async fn crash(&self) {
        self.inner.host.mailbox.post(Event::Stop);
        let mut ended = self.inner.ended.clone();
        // The sender is dropped when the thread ends.
        while ended.changed().await.is_ok() {}
    }

    pub(crate) fn handle<V: Value>(&self, name: &str, hosted: &Hosted) -> Option<Group<V>> {
        let applier = hosted.applier.clone().downcast().ok()?;
        Some(Group::new(self.clone(), name, hosted, applier))
    }
}

/// Gives leadership to the voter that has most of the log, if the member leads and somebody else votes. Whether that
/// worked or not: nobody waits for longer than for an election.
pub(crate) async fn hand_over(host: &Host, hosted: &Hosted) {
    if hosted.view.borrow().role != RoleKind::Leader {
        return;
    }
    let group = hosted.at().group;
    let Some(report) = report(host, group).await else { return };
    let others = report.members.iter().filter(|member| member.voter && member.id != report.member);
    let Some(heir) = others.max_by_key(|member| member.matched) else { return };
    let (caller, response) = waiting::Caller::here();
    host.mailbox.post(Event::Change { group, change: Change::Lead(Some(heir.id)), caller });
    if timers::within(&host.deadlines, LIMIT, response).await.is_none() {
        tracing::info!(heir = %heir.contact, "leadership could not be handed over in time");
    }
}

/// How long the loop and the heir are waited for.
const LIMIT: Duration = Duration::from_secs(2);

/// How the member here is; none if it has ended.
async fn report(host: &Host, group: GroupId) -> Option<StatusReport> {
    let (caller, response) = waiting::Caller::here();
    host.mailbox.post(Event::Status { group, caller });
    match timers::within(&host.deadlines, LIMIT, response).await {
        Some(Ok(Response::Status(report))) => Some(*report),
        _ => None,
    }
}

/// Ends the member, and waits until it has ended.
pub(crate) async fn close(host: &Host, member: MemberOf, why: Ended) {
    let (done, closed) = oneshot::channel();
    host.mailbox.post(Event::Close { member, why, done });
    // An error says that the node has ended, and the member with it.
    let _ = closed.await;
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.host.mailbox.post(Event::Stop);
    }
}
