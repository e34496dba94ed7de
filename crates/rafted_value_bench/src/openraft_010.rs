//! openraft 0.10: three nodes in one process, logs in memory, replication by a stream between function calls.

use crate::system::{PAYLOAD, System};
use futures::{Stream, StreamExt};
use openraft_010::base::{BoxFuture, BoxStream};
use openraft_010::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft_010::network::{RPCOption, v2::RaftNetworkV2};
use openraft_010::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, VoteRequest, VoteResponse,
};
use openraft_010::storage::{EntryResponder, IOFlushed, LogState, RaftLogStorage, RaftStateMachine};
use openraft_010::type_config::alias::{LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf, VoteOf};
use openraft_010::{
    Config, EntryPayload, OptionalSend, Raft, RaftLogReader, RaftNetworkFactory, RaftSnapshotBuilder, ReadPolicy,
    SnapshotPolicy,
};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex};

/// A command: raw bytes, never encoded on the way.
#[derive(Clone, Debug)]
pub struct Bytes16(pub [u8; PAYLOAD]);

impl std::fmt::Display for Bytes16 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("bytes")
    }
}

openraft_010::declare_raft_types!(pub Types: D = Bytes16, R = u64, Node = ());

type Node = Raft<Types, Machine>;

/// The nodes of one group, by id.
#[derive(Clone, Default)]
struct Router(Arc<Mutex<BTreeMap<u64, Node>>>);

impl Router {
    fn node(&self, id: u64) -> Option<Node> {
        self.0.lock().unwrap().get(&id).cloned()
    }
}

struct Link {
    router: Router,
    to: u64,
}

fn unreachable(why: impl std::error::Error + 'static) -> RPCError<Types> {
    RPCError::Unreachable(Unreachable::new(&why))
}

impl Link {
    fn node(&self) -> Result<Node, RPCError<Types>> {
        self.router.node(self.to).ok_or_else(|| unreachable(io::Error::other("no such node")))
    }
}

impl RaftNetworkFactory<Types> for Router {
    type Network = Link;

    async fn new_client(&mut self, target: u64, _node: &()) -> Link {
        Link { router: self.clone(), to: target }
    }
}

impl RaftNetworkV2<Types> for Link {
    type SnapshotData = ();

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        self.node()?.append_entries(rpc).await.map_err(unreachable)
    }

    /// Pipelined: the stream goes straight into the other node.
    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _option: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, Result<StreamAppendResult<Types>, RPCError<Types>>>, RPCError<Types>>>
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
    {
        Box::pin(async move {
            let replies = self.node()?.stream_append(input).map(|reply| reply.map_err(unreachable));
            let replies: BoxStream<'s, _> = Box::pin(replies);
            Ok(replies)
        })
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types>,
        _option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.node()?.vote(rpc).await.map_err(unreachable)
    }

    async fn full_snapshot(
        &mut self,
        _vote: VoteOf<Types>,
        _snapshot: SnapshotOf<Types, ()>,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        Err(StreamingError::Unreachable(Unreachable::new(&io::Error::other("no snapshot in this measurement"))))
    }
}

type Entry = openraft_010::type_config::alias::EntryOf<Types>;

/// A log in memory: as durable as it will ever be at once.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<Log>>);

#[derive(Default)]
struct Log {
    vote: Option<VoteOf<Types>>,
    purged: Option<LogIdOf<Types>>,
    entries: BTreeMap<u64, Entry>,
}

impl RaftLogReader<Types> for Store {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        Ok(self.0.lock().unwrap().entries.range(range).map(|(_, entry)| entry.clone()).collect())
    }

    async fn read_vote(&mut self) -> Result<Option<VoteOf<Types>>, io::Error> {
        Ok(self.0.lock().unwrap().vote)
    }
}

impl RaftLogStorage<Types> for Store {
    type LogReader = Store;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let log = self.0.lock().unwrap();
        let last = log.entries.last_key_value().map(|(_, entry)| entry.log_id).or(log.purged);
        Ok(LogState { last_purged_log_id: log.purged, last_log_id: last })
    }

    async fn get_log_reader(&mut self) -> Store {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<Types>) -> Result<(), io::Error> {
        self.0.lock().unwrap().vote = Some(*vote);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.0.lock().unwrap().entries.extend(entries.into_iter().map(|entry| (entry.log_id.index, entry)));
        callback.io_completed(Ok(()));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogIdOf<Types>>) -> Result<(), io::Error> {
        let from = last.map_or(0, |last| last.index + 1);
        self.0.lock().unwrap().entries.split_off(&from);
        Ok(())
    }

    async fn purge(&mut self, upto: LogIdOf<Types>) -> Result<(), io::Error> {
        let mut log = self.0.lock().unwrap();
        log.entries = log.entries.split_off(&(upto.index + 1));
        log.purged = Some(upto);
        Ok(())
    }
}

/// Counts bytes, as our value does.
#[derive(Default)]
struct Machine {
    count: u64,
    applied: Option<LogIdOf<Types>>,
    membership: StoredMembershipOf<Types>,
}

struct Builder(SnapshotMetaOf<Types>);

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<Types, ()>, io::Error> {
        Ok(SnapshotOf::<Types, ()> { meta: self.0.clone(), snapshot: () })
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = ();
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogIdOf<Types>>, StoredMembershipOf<Types>), io::Error> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            self.applied = Some(entry.log_id);
            match entry.payload {
                EntryPayload::Normal(bytes) => self.count += bytes.0.len() as u64,
                EntryPayload::Membership(membership) => {
                    self.membership = StoredMembershipOf::<Types>::new(self.applied, membership);
                }
                EntryPayload::Blank => {}
            }
            if let Some(responder) = responder {
                responder.send(self.count);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder(SnapshotMetaOf::<Types> { last_log_id: self.applied, last_membership: self.membership.clone() })
    }

    async fn install_snapshot(&mut self, _meta: &SnapshotMetaOf<Types>, _snapshot: ()) -> Result<(), io::Error> {
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<SnapshotOf<Types, ()>>, io::Error> {
        Ok(None)
    }
}

/// A group of three, its leader at hand.
pub struct Openraft010 {
    nodes: Vec<Node>,
    leader: Node,
}

impl System for Openraft010 {
    const NAME: &'static str = "openraft 0.10";

    async fn start(members: usize) -> Openraft010 {
        let config = Config {
            election_timeout_min: 1000,
            election_timeout_max: 2000,
            heartbeat_interval: 200,
            max_payload_entries: 4096,
            snapshot_policy: SnapshotPolicy::Never,
            max_in_snapshot_log_to_keep: 1000,
            ..Config::default()
        };
        let (config, router) = (Arc::new(config.validate().unwrap()), Router::default());
        let mut nodes = Vec::new();
        for id in 0..members as u64 {
            let node = Raft::new(id, config.clone(), router.clone(), Store::default(), Machine::default());
            let node = node.await.unwrap();
            router.0.lock().unwrap().insert(id, node.clone());
            nodes.push(node);
        }
        let ids: BTreeMap<u64, ()> = (0..members as u64).map(|id| (id, ())).collect();
        nodes[0].initialize(ids).await.unwrap();
        let led = nodes[0].wait(None).metrics(|metrics| metrics.current_leader.is_some(), "a leader").await.unwrap();
        let leader = nodes[led.current_leader.unwrap() as usize].clone();
        Openraft010 { nodes, leader }
    }

    async fn write(&self, payload: [u8; PAYLOAD]) {
        self.leader.client_write(Bytes16(payload)).await.unwrap();
    }

    async fn read_index(&self) {
        self.leader.ensure_linearizable(ReadPolicy::ReadIndex).await.unwrap();
    }

    async fn lease_read(&self) {
        // A lease that has run out is asked for again.
        while self.leader.ensure_linearizable(ReadPolicy::LeaseRead).await.is_err() {
            tokio::task::yield_now().await;
        }
    }

    async fn stop(self) {
        for node in self.nodes {
            let _ = node.shutdown().await;
        }
    }
}
