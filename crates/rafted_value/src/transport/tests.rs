//! Nodes on loopback addresses and in one process: what arrives, who is turned away, and what a bad peer costs.

mod handshake;
mod loopback;
mod queue;
mod tcp;

use super::{Inbox, Local, Origin};
use crate::contact::{ClusterId, Contact, GroupId, NodeId};
use crate::packet::{Chunk, Packet, Request, Response};
use bytes::Bytes;
use rafted_value_core::{
    AppendEntries, Body, Entry, EntryId, LogIndex, MemberId, Message, Payload, SnapshotMeta, Term, Time,
};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Nothing here takes this long unless it is broken.
const DEADLINE: Duration = Duration::from_secs(20);

/// Keeps what arrives, and answers requests.
#[derive(Default)]
struct Mailbox {
    arrived: Mutex<Vec<(NodeId, Packet)>>,
    changed: Notify,
    lost: Notify,
}

impl Inbox for Mailbox {
    fn lost(&self, _contact: &Contact) {
        self.lost.notify_one();
    }

    fn deliver(&self, origin: Origin, packet: Packet) {
        if let Packet::Request { number, .. } = packet {
            (origin.reply)(Packet::Response { number, response: Response::Done });
        }
        self.arrived.lock().unwrap().push((origin.node, packet));
        self.changed.notify_one();
    }
}

impl Mailbox {
    /// Waits until `wanted` has arrived, repeating `nudge` whenever nothing new has for a while.
    async fn wait_for(&self, wanted: &Packet, nudge: impl Fn()) -> NodeId {
        let found = async {
            loop {
                nudge();
                let arrived = |mailbox: &Mailbox| {
                    let arrived = mailbox.arrived.lock().unwrap();
                    arrived.iter().find(|(_, packet)| packet == wanted).map(|(node, _)| *node)
                };
                if let Some(node) = arrived(self) {
                    return node;
                }
                let _ = timeout(Duration::from_millis(100), self.changed.notified()).await;
            }
        };
        timeout(DEADLINE, found).await.unwrap_or_else(|_| panic!("{wanted:?} did not arrive"))
    }

    async fn wait(&self, wanted: &Packet) -> NodeId {
        self.wait_for(wanted, || {}).await
    }

    /// Waits until what was sent somewhere may be lost, since the last time this was waited for.
    async fn wait_until_lost(&self) {
        timeout(DEADLINE, self.lost.notified()).await.expect("word of a lost connection");
    }

    fn packets(&self) -> Vec<Packet> {
        self.arrived.lock().unwrap().iter().map(|(_, packet)| packet.clone()).collect()
    }
}

fn local(node: u128, cluster: Option<u128>) -> Local {
    let local = Local { node: NodeId(node), cluster: Arc::new(OnceLock::new()) };
    if let Some(cluster) = cluster {
        local.cluster.set(ClusterId(cluster)).unwrap();
    }
    local
}

fn contact(address: impl Into<String>, node: u128) -> Contact {
    Contact { address: address.into(), node: Some(NodeId(node)) }
}

fn request(number: u64) -> Packet {
    Packet::Request { number, request: Request::Status { group: "g".into() } }
}

fn done(number: u64) -> Packet {
    Packet::Response { number, response: Response::Done }
}

fn raft(term: u64, body: Body) -> Packet {
    let message = Message { from: MemberId(1), to: MemberId(2), term: Term(term), body };
    Packet::Raft { group: GroupId(3), message }
}

fn small(term: u64) -> Packet {
    raft(term, Body::TimeoutNow)
}

fn entries(term: u64, bytes: usize) -> Packet {
    let commands = Payload::Commands(vec![1; bytes].into());
    let entries = vec![Entry { id: EntryId::new(term, 1), payload: commands }];
    let (prev, commit) = (EntryId::ZERO, LogIndex(0));
    raft(
        term,
        Body::AppendEntries(AppendEntries {
            prev,
            entries,
            commit,
            round: 0,
            sent: Time(0),
            keep: LogIndex(0),
            quiesce: false,
        }),
    )
}

fn chunk(offset: u64, bytes: usize) -> Chunk {
    Chunk {
        group: GroupId(3),
        from: MemberId(1),
        to: MemberId(2),
        term: Term(1),
        snapshot: SnapshotMeta::empty(),
        total: 1 << 30,
        offset,
        data: Bytes::from(vec![2; bytes]),
    }
}
