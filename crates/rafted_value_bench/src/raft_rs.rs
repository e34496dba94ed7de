//! tikv/raft 0.7: three `RawNode`s, a thread each, driven as its example drives one: channels for a network, its own
//! `MemStorage`. Everything that waits in a node's channel is taken before the node is asked what it has ready.

use crate::system::{PAYLOAD, System};
use raft::prelude::{ConfState, Entry, EntryType, Message};
use raft::storage::MemStorage;
use raft::{Config, RawNode, ReadOnlyOption, StateRole};
use slog::{Discard, Logger, o};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

const TICK: Duration = Duration::from_millis(100);

enum Input {
    Propose(u64, Vec<u8>, oneshot::Sender<u64>),
    Read(u64, oneshot::Sender<u64>),
    Message(Message),
    Campaign,
    Stop,
}

/// One node and who waits for it.
struct Node {
    raft: RawNode<MemStorage>,
    input: mpsc::Receiver<Input>,
    peers: HashMap<u64, mpsc::Sender<Input>>,
    callers: HashMap<u64, oneshot::Sender<u64>>,
    readers: HashMap<u64, oneshot::Sender<u64>>,
    /// Reads that wait until this much is applied.
    confirmed: Vec<(u64, u64)>,
    applied: u64,
    count: u64,
    leads: Arc<AtomicBool>,
}

impl Node {
    fn run(mut self) {
        let mut ticked = Instant::now();
        loop {
            let first = self.input.recv_timeout(TICK.saturating_sub(ticked.elapsed()));
            let more: Vec<Input> = self.input.try_iter().take(4096).collect();
            for input in first.into_iter().chain(more) {
                match input {
                    Input::Propose(id, bytes, caller) => {
                        self.callers.insert(id, caller);
                        self.raft.propose(id.to_le_bytes().to_vec(), bytes).unwrap();
                    }
                    Input::Read(id, reader) => {
                        self.readers.insert(id, reader);
                        self.raft.read_index(id.to_le_bytes().to_vec());
                    }
                    Input::Message(message) => drop(self.raft.step(message)),
                    Input::Campaign => self.raft.campaign().unwrap(),
                    Input::Stop => return,
                }
            }
            if ticked.elapsed() >= TICK {
                ticked = Instant::now();
                self.raft.tick();
            }
            self.on_ready();
            self.leads.store(self.raft.raft.state == StateRole::Leader, Ordering::Relaxed);
        }
    }

    fn on_ready(&mut self) {
        if !self.raft.has_ready() {
            return;
        }
        let mut ready = self.raft.ready();
        self.send(ready.take_messages());
        for read in ready.take_read_states() {
            self.confirmed.push((read.index, number(&read.request_ctx)));
        }
        let committed = ready.take_committed_entries();
        self.apply(committed);
        let store = self.raft.raft.raft_log.store.clone();
        if !ready.entries().is_empty() {
            store.wl().append(ready.entries()).unwrap();
        }
        if let Some(state) = ready.hs() {
            store.wl().set_hardstate(state.clone());
        }
        self.send(ready.take_persisted_messages());
        let mut light = self.raft.advance(ready);
        if let Some(commit) = light.commit_index() {
            store.wl().mut_hard_state().set_commit(commit);
        }
        self.send(light.take_messages());
        let committed = light.take_committed_entries();
        self.apply(committed);
        self.raft.advance_apply();
        self.answer_reads();
        // What is applied is let go of now and then, but for what a follower may need.
        if self.applied > 200_000 && self.applied.is_multiple_of(64) {
            let _ = store.wl().compact(self.applied - 100_000);
        }
    }

    fn send(&self, messages: Vec<Message>) {
        for message in messages {
            if let Some(peer) = self.peers.get(&message.to) {
                let _ = peer.send(Input::Message(message));
            }
        }
    }

    fn apply(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            self.applied = entry.index;
            if entry.data.is_empty() || entry.get_entry_type() != EntryType::EntryNormal {
                continue;
            }
            self.count += entry.data.len() as u64;
            if let Some(caller) = self.callers.remove(&number(&entry.context)) {
                let _ = caller.send(self.count);
            }
        }
    }

    fn answer_reads(&mut self) {
        let (applied, count, readers) = (self.applied, self.count, &mut self.readers);
        self.confirmed.retain(|(index, id)| {
            if *index <= applied
                && let Some(reader) = readers.remove(id)
            {
                let _ = reader.send(count);
            }
            *index > applied
        });
    }
}

fn number(context: &[u8]) -> u64 {
    u64::from_le_bytes(context.try_into().unwrap())
}

/// A group of nodes; `INFLIGHT`: how many unanswered appends a follower may have. One makes for bigger batches;
/// `LEASE`: reads under a lease.
pub struct RaftRs<const INFLIGHT: usize, const LEASE: bool> {
    leader: mpsc::Sender<Input>,
    all: Vec<mpsc::Sender<Input>>,
    threads: Vec<JoinHandle<()>>,
    numbers: AtomicU64,
}

impl<const INFLIGHT: usize, const LEASE: bool> RaftRs<INFLIGHT, LEASE> {
    async fn read(&self) {
        let (reader, answer) = oneshot::channel();
        self.leader.send(Input::Read(self.numbers.fetch_add(1, Ordering::Relaxed), reader)).unwrap();
        answer.await.unwrap();
    }
}

impl<const INFLIGHT: usize, const LEASE: bool> System for RaftRs<INFLIGHT, LEASE> {
    const NAME: &'static str = if INFLIGHT == 1 { "raft-rs 0.7, 1 in flight" } else { "raft-rs 0.7" };

    async fn start(members: usize) -> Self {
        let ids: Vec<u64> = (1..=members as u64).collect();
        let (all, inputs): (Vec<_>, Vec<_>) = ids.iter().map(|_| mpsc::channel()).unzip();
        let logger = Logger::root(Discard, o!());
        let leads = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for (id, input) in ids.iter().zip(inputs) {
            let config = Config {
                id: *id,
                election_tick: 10,
                heartbeat_tick: 2,
                max_size_per_msg: 1 << 20,
                max_inflight_msgs: INFLIGHT,
                check_quorum: true,
                pre_vote: true,
                read_only_option: if LEASE { ReadOnlyOption::LeaseBased } else { ReadOnlyOption::Safe },
                ..Config::default()
            };
            let store = MemStorage::new_with_conf_state(ConfState::from((ids.clone(), vec![])));
            let others = ids.iter().zip(&all).filter(|(other, _)| *other != id);
            let node = Node {
                raft: RawNode::new(&config, store, &logger).unwrap(),
                input,
                peers: others.map(|(other, to)| (*other, to.clone())).collect(),
                callers: HashMap::new(),
                readers: HashMap::new(),
                confirmed: Vec::new(),
                applied: 0,
                count: 0,
                leads: if *id == 1 { leads.clone() } else { Arc::default() },
            };
            threads.push(thread::spawn(move || node.run()));
        }
        all[0].send(Input::Campaign).unwrap();
        while !leads.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let group = RaftRs { leader: all[0].clone(), all, threads, numbers: AtomicU64::new(0) };
        group.write([0; PAYLOAD]).await;
        group
    }

    async fn write(&self, payload: [u8; PAYLOAD]) {
        let (caller, answer) = oneshot::channel();
        let id = self.numbers.fetch_add(1, Ordering::Relaxed);
        self.leader.send(Input::Propose(id, payload.to_vec(), caller)).unwrap();
        answer.await.unwrap();
    }

    async fn read_index(&self) {
        self.read().await;
    }

    async fn lease_read(&self) {
        self.read().await;
    }

    async fn stop(self) {
        for node in &self.all {
            let _ = node.send(Input::Stop);
        }
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}
