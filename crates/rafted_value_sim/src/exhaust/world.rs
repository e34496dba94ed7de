//! A state of the search, and when two are the same.

use super::bounds::Bounds;
use crate::action::Action;
use crate::cluster::Cluster;
use crate::disk::Durability;
use crate::invariants::Broken;
use crate::network::{Load, Packet, PacketNo};
use crate::value::note;
use rafted_value_core::{Body, MemberId, Message, Proposal, RoleKind, Term};
use rapidhash::fast::RapidHasher;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::panic::{self, AssertUnwindSafe};

/// A cluster, and what may still happen to it.
///
/// Two are the same if they differ only in the order in which packets were sent, in the names of packets, and in what
/// happened to requests that nobody asks about. Times, and numbers of writes and campaigns, need no such care: models
/// without time stand still, and in those with time what has passed is bounded and so a part of the state.
#[derive(Clone, Debug)]
pub struct World {
    cluster: Cluster,
    left: Bounds,
    /// The invariant that broke on the way here; nothing happens any more.
    pub broken: Option<Broken>,
    /// The hash of each member, kept while nothing happens to it.
    members: BTreeMap<MemberId, u64>,
    /// Of everything but the packets.
    rest: u64,
    /// Of each packet.
    packets: BTreeMap<PacketNo, u64>,
    /// The same in order, whatever their names.
    sorted: Vec<u64>,
}

impl PartialEq for World {
    fn eq(&self, other: &World) -> bool {
        (self.rest, &self.sorted, &self.broken) == (other.rest, &other.sorted, &other.broken)
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.rest, &self.sorted, &self.broken).hash(state);
    }
}

impl World {
    /// A beginning.
    pub fn new(cluster: Cluster, left: Bounds) -> World {
        let (members, packets) = (BTreeMap::new(), BTreeMap::new());
        let mut world = World { cluster, left, broken: None, members, rest: 0, packets, sorted: Vec::new() };
        world.recognize();
        world
    }

    /// Takes off the network what can no longer do anything: replies of a term that is over for whoever gets them. That
    /// they do nothing is tried, not believed.
    fn sweep(&mut self) {
        let stale = |(no, packet): (PacketNo, &Packet)| {
            let Load::Message(message) = &packet.load else { return None };
            let is_reply = matches!(message.body, Body::RequestVoteReply(_) | Body::AppendEntriesReply(_));
            let term = self.cluster.members.get(&packet.to)?.raft.as_ref()?.term();
            (is_reply && message.term < term).then_some(no)
        };
        let stale: Vec<PacketNo> = self.cluster.network.packets().filter_map(stale).collect();
        for no in stale {
            let packet = self.packets.get(&no).copied();
            let mut without = self.clone();
            without.forget(&Action::Deliver(no));
            let delivered = without.cluster.perform(Action::Deliver(no));
            without.recognize();
            if delivered.is_ok() && without.is_only_without(self, packet) {
                *self = without;
            }
        }
    }

    /// Takes the hashes by which a state is known, those that were forgotten anew.
    fn recognize(&mut self) {
        let Cluster { now, members, seen, network, .. } = &self.cluster;
        for (id, member) in members {
            self.members.entry(*id).or_insert_with(|| hash_of(member));
        }
        self.packets.retain(|no, _| network.get(*no).is_some());
        for (no, packet) in network.packets() {
            // Whenever it was sent.
            self.packets.entry(no).or_insert_with(|| hash_of(&(packet.from, packet.to, &packet.load)));
        }
        self.sorted = self.packets.values().copied().collect();
        self.sorted.sort_unstable();
        self.rest = hash_of(&(now, &self.members, seen, &self.left));
    }

    /// What is about to change is not known any more.
    fn forget(&mut self, action: &Action) {
        match action {
            Action::Deliver(no) | Action::Duplicate(no) => {
                if let Some(packet) = self.cluster.network.get(*no) {
                    self.members.remove(&packet.from);
                    self.members.remove(&packet.to);
                }
            }
            Action::Fire(id) | Action::Sync(id) | Action::Crash(id) | Action::Restart(id) => {
                self.members.remove(id);
            }
            Action::Propose { at, .. } | Action::Read { at, .. } => {
                self.members.remove(at);
            }
            _ => self.members.clear(),
        }
    }

    /// What may happen next.
    pub fn actions(&self, actions: &mut Vec<Action>) {
        if self.broken.is_some() {
            return;
        }
        self.deliveries(actions);
        let by_symmetry_first = self.cluster.members.values().all(|member| member.term() == Term(0));
        for member in self.cluster.members.values() {
            let id = member.id;
            let Some(raft) = &member.raft else {
                actions.push(Action::Restart(id));
                continue;
            };
            let leads = raft.role() == RoleKind::Leader;
            if member.disk.is_busy() {
                actions.push(Action::Sync(id));
            }
            if self.left.crashes > 0 && member.disk.durability == Durability::Durable {
                actions.push(Action::Crash(id));
            }
            let may_fire = if leads { self.left.heartbeats > 0 } else { self.left.elections > 0 };
            let due = member.timer_window().is_some_and(|(earliest, _)| earliest <= self.cluster.now);
            if may_fire && due {
                actions.push(Action::Fire(id));
            }
            if leads {
                self.wishes(id, actions);
            }
            if by_symmetry_first {
                // Nothing tells the members of a new cluster apart yet.
                break;
            }
        }
        if self.left.ticks > 0 {
            actions.push(Action::Pass(self.left.tick));
        }
    }

    /// Packets that are the same are as good as one.
    fn deliveries(&self, actions: &mut Vec<Action>) {
        let mut known: Vec<u64> = Vec::new();
        for (no, hash) in &self.packets {
            if known.contains(hash) {
                continue;
            }
            known.push(*hash);
            actions.push(Action::Deliver(*no));
            if self.left.duplicates > 0 {
                actions.push(Action::Duplicate(*no));
            }
        }
    }

    fn wishes(&self, at: MemberId, actions: &mut Vec<Action>) {
        if self.left.commands > 0 {
            let label = format!("x{}", self.left.commands);
            let proposal = Proposal::Commands(note(&label, 0, u64::from(self.left.commands)));
            actions.push(Action::Propose { at, label, proposal });
        }
        if self.left.reads > 0 {
            actions.push(Action::Read { at, label: format!("r{}", self.left.reads) });
        }
        for change in &self.left.changes {
            actions.push(Action::Propose { at, label: format!("{change:?}"), proposal: change.clone() });
        }
    }

    /// The state after something happened; `None` if that changes nothing, so that it need not happen.
    pub fn after(&self, action: Action) -> Option<World> {
        let mut next = self.clone();
        let delivered = match action {
            Action::Deliver(no) => self.packets.get(&no).copied(),
            _ => None,
        };
        next.spend(&action);
        next.forget(&action);
        let done = panic::catch_unwind(AssertUnwindSafe(|| next.perform(action)));
        // An assertion of the core is an invariant, too.
        let asserted = Broken { property: "assertion", what: "see above".to_owned() };
        next.broken = done.unwrap_or(Err(asserted)).err();
        next.recognize();
        if next.broken.is_none() {
            next.sweep();
        }
        (next.broken.is_some() || !next.is_only_without(self, delivered)).then_some(next)
    }

    /// Whether all that was done is that one packet is gone: whatever happens from here happens from there, too.
    fn is_only_without(&self, before: &World, packet: Option<u64>) -> bool {
        let Some(packet) = packet else { return false };
        let mut packets = before.sorted.clone();
        packets.binary_search(&packet).is_ok_and(|at| {
            packets.remove(at);
            self.rest == before.rest && self.sorted == packets
        })
    }

    fn perform(&mut self, action: Action) -> Result<(), Broken> {
        let before = self.cluster.network.packets().last().map(|(no, _)| no);
        if let Action::Duplicate(no) = action {
            // It arrives now, and once more at any time.
            self.cluster.perform(Action::Duplicate(no))?;
            self.cluster.perform(Action::Deliver(no))?;
        } else {
            self.cluster.perform(action)?;
        }
        while let Some(busy) = self.busy().filter(|_| !self.left.slow_disks) {
            self.cluster.perform(Action::Sync(busy))?;
        }
        if !self.left.signs_of_life {
            self.lose_signs_of_life(before);
        }
        Ok(())
    }

    /// Of the packets after this one, appends of nothing that were sent together with entries for the same member.
    fn lose_signs_of_life(&mut self, after: Option<PacketNo>) {
        let entries = |packet: &Packet| match &packet.load {
            Load::Message(Message { body: Body::AppendEntries(append), .. }) => Some(append.entries.len()),
            _ => None,
        };
        let fresh: Vec<(PacketNo, MemberId, usize)> = self
            .cluster
            .network
            .packets()
            .filter_map(|(no, packet)| (Some(no) > after).then_some((no, packet.to, entries(packet)?)))
            .collect();
        for (no, to, _) in fresh.iter().filter(|(.., entries)| *entries == 0) {
            if fresh.iter().any(|(_, other, entries)| other == to && *entries > 0) {
                self.cluster.network.take(*no);
            }
        }
    }

    fn busy(&self) -> Option<MemberId> {
        let mut up = self.cluster.members.values().filter(|member| member.raft.is_some());
        up.find(|member| member.disk.is_busy()).map(|member| member.id)
    }

    fn spend(&mut self, action: &Action) {
        let left = &mut self.left;
        match action {
            Action::Fire(id) => match self.cluster.portraits.get(id) {
                Some(portrait) if portrait.leads() => left.heartbeats -= 1,
                _ => left.elections -= 1,
            },
            Action::Propose { proposal: Proposal::Commands(_), .. } => left.commands -= 1,
            Action::Propose { proposal, .. } => left.changes.retain(|change| change != proposal),
            Action::Read { .. } => left.reads -= 1,
            Action::Crash(_) => left.crashes -= 1,
            Action::Duplicate(_) => left.duplicates -= 1,
            Action::Pass(_) => left.ticks -= 1,
            _ => {}
        }
    }
}

fn hash_of(what: &impl Hash) -> u64 {
    let mut hasher = RapidHasher::default_const();
    what.hash(&mut hasher);
    hasher.finish()
}
