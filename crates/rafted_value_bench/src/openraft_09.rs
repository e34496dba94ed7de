//! openraft 0.9: three nodes in one process, logs in memory, function calls for a network.

use crate::system::{PAYLOAD, System};
use openraft_09::error::{InstallSnapshotError, NetworkError, RPCError, RaftError};
use openraft_09::network::RPCOption;
use openraft_09::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest,
    VoteResponse,
};
use openraft_09::storage::{LogFlushed, RaftLogStorage, RaftStateMachine};
use openraft_09::{
    Config, EntryPayload, LogId, LogState, OptionalSend, Raft, RaftLogReader, RaftNetwork, RaftNetworkFactory,
    RaftSnapshotBuilder, Snapshot, SnapshotMeta, SnapshotPolicy, StorageError, StoredMembership, Vote,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{self, Cursor};
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex};

/// A command: raw bytes, never encoded on the way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bytes16(pub [u8; PAYLOAD]);

openraft_09::declare_raft_types!(pub Types: D = Bytes16, R = u64, Node = ());

type Node = Raft<Types>;
type Entry = openraft_09::Entry<Types>;
type Storage<T> = Result<T, StorageError<u64>>;

/// The nodes of one group, by id.
#[derive(Clone, Default)]
struct Router(Arc<Mutex<BTreeMap<u64, Node>>>);

struct Link {
    router: Router,
    to: u64,
}

type Rpc<E = openraft_09::error::Infallible> = RPCError<u64, (), RaftError<u64, E>>;

fn failed<E: std::error::Error>(why: impl std::error::Error + 'static) -> Rpc<E> {
    RPCError::Network(NetworkError::new(&why))
}

impl Link {
    fn node<E: std::error::Error>(&self) -> Result<Node, Rpc<E>> {
        let node = self.router.0.lock().unwrap().get(&self.to).cloned();
        node.ok_or_else(|| failed(io::Error::other("no such node")))
    }
}

impl RaftNetworkFactory<Types> for Router {
    type Network = Link;

    async fn new_client(&mut self, target: u64, _node: &()) -> Link {
        Link { router: self.clone(), to: target }
    }
}

impl RaftNetwork<Types> for Link {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Rpc> {
        self.node()?.append_entries(rpc).await.map_err(failed)
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<Types>,
        _option: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, Rpc<InstallSnapshotError>> {
        self.node()?.install_snapshot(rpc).await.map_err(failed)
    }

    async fn vote(&mut self, rpc: VoteRequest<u64>, _option: RPCOption) -> Result<VoteResponse<u64>, Rpc> {
        self.node()?.vote(rpc).await.map_err(failed)
    }
}

/// A log in memory: as durable as it will ever be at once.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<Log>>);

#[derive(Default)]
struct Log {
    vote: Option<Vote<u64>>,
    purged: Option<LogId<u64>>,
    entries: BTreeMap<u64, Entry>,
}

impl RaftLogReader<Types> for Store {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Storage<Vec<Entry>> {
        Ok(self.0.lock().unwrap().entries.range(range).map(|(_, entry)| entry.clone()).collect())
    }
}

impl RaftLogStorage<Types> for Store {
    type LogReader = Store;

    async fn get_log_state(&mut self) -> Storage<LogState<Types>> {
        let log = self.0.lock().unwrap();
        let last = log.entries.last_key_value().map(|(_, entry)| entry.log_id).or(log.purged);
        Ok(LogState { last_purged_log_id: log.purged, last_log_id: last })
    }

    async fn get_log_reader(&mut self) -> Store {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Storage<()> {
        self.0.lock().unwrap().vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Storage<Option<Vote<u64>>> {
        Ok(self.0.lock().unwrap().vote)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Storage<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.0.lock().unwrap().entries.extend(entries.into_iter().map(|entry| (entry.log_id.index, entry)));
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, from: LogId<u64>) -> Storage<()> {
        self.0.lock().unwrap().entries.split_off(&from.index);
        Ok(())
    }

    async fn purge(&mut self, upto: LogId<u64>) -> Storage<()> {
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
    applied: Option<LogId<u64>>,
    membership: StoredMembership<u64, ()>,
}

struct Builder(SnapshotMeta<u64, ()>);

impl RaftSnapshotBuilder<Types> for Builder {
    async fn build_snapshot(&mut self) -> Storage<Snapshot<Types>> {
        Ok(Snapshot { meta: self.0.clone(), snapshot: Box::new(Cursor::new(Vec::new())) })
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Storage<(Option<LogId<u64>>, StoredMembership<u64, ()>)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Storage<Vec<u64>>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let apply = |entry: Entry| {
            self.applied = Some(entry.log_id);
            match entry.payload {
                EntryPayload::Normal(bytes) => self.count += bytes.0.len() as u64,
                EntryPayload::Membership(membership) => {
                    self.membership = StoredMembership::new(self.applied, membership);
                }
                EntryPayload::Blank => {}
            }
            self.count
        };
        Ok(entries.into_iter().map(apply).collect())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder(SnapshotMeta {
            last_log_id: self.applied,
            last_membership: self.membership.clone(),
            snapshot_id: String::new(),
        })
    }

    async fn begin_receiving_snapshot(&mut self) -> Storage<Box<Cursor<Vec<u8>>>> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        _meta: &SnapshotMeta<u64, ()>,
        _snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Storage<()> {
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Storage<Option<Snapshot<Types>>> {
        Ok(None)
    }
}

/// A group of three, its leader at hand.
pub struct Openraft09 {
    nodes: Vec<Node>,
    leader: Node,
}

impl System for Openraft09 {
    const NAME: &'static str = "openraft 0.9";

    async fn start(members: usize) -> Openraft09 {
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
        Openraft09 { nodes, leader }
    }

    async fn write(&self, payload: [u8; PAYLOAD]) {
        self.leader.client_write(Bytes16(payload)).await.unwrap();
    }

    async fn read_index(&self) {
        self.leader.ensure_linearizable().await.unwrap();
    }

    /// It has none: asked the same way.
    async fn lease_read(&self) {
        self.read_index().await;
    }

    async fn stop(self) {
        for node in self.nodes {
            let _ = node.shutdown().await;
        }
    }
}
