//! What goes wrong, one thing at a time, and how it ends.
//!
//! A group in memory survives only if a majority of its voters keeps its memory: whoever would take that away is spared.

use super::agenda::{Agenda, Deed};
use super::callers::somebody;
use super::die::Die;
use super::swarm::{self, Fault, Swarm};
use crate::action::Action;
use crate::clock::RIGHT;
use crate::cluster::Cluster;
use crate::disk::Durability;
use crate::heal::{leader, operator, was_removed};
use crate::invariants::majority::is_majority;
use crate::name::{Node, life_of, node_of};
use bytes::Bytes;
use rafted_value_core::{Change, MemberId, Membership, Promotion, Proposal};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long which node stands still or holds back what is sent to it.
#[derive(Default)]
pub(super) struct Standstill {
    /// Until when a node does nothing, and nothing reaches it.
    pub(super) paused: BTreeMap<Node, Duration>,
    /// Until when nothing reaches a node.
    pub(super) clogged: BTreeMap<Node, Duration>,
    /// The nodes whose links, or whose disks, are a hundred times slower.
    pub(super) slow_links: BTreeMap<Node, Duration>,
    pub(super) slow_disks: BTreeMap<Node, Duration>,
}

impl Standstill {
    /// When a node goes on, if it does nothing now.
    pub(super) fn runs(&self, node: Node, now: Duration) -> Option<Duration> {
        self.paused.get(&node).copied().filter(|until| *until > now)
    }

    /// When something reaches a node again, if nothing does now.
    pub(super) fn passes(&self, node: Node, now: Duration) -> Option<Duration> {
        let clogged = self.clogged.get(&node).copied().filter(|until| *until > now);
        self.runs(node, now).max(clogged)
    }
}

/// Draws one of the troubles of this run; what it does now, and what will end it.
pub(super) fn strike(
    cluster: &Cluster,
    swarm: &Swarm,
    die: &mut Die,
    agenda: &mut Agenda,
    still: &mut Standstill,
) -> Vec<Action> {
    let strikes: Vec<Fault> = swarm.faults.iter().copied().filter(|fault| strikes(*fault)).collect();
    if strikes.is_empty() {
        return Vec::new();
    }
    let now = cluster.now();
    let soon = now + die.around(swarm.trouble * 2);
    let node = Node(die.below(swarm.nodes as usize) as u8);
    let leading = leader(cluster).map_or(node, node_of);
    let victim = if die.chance(600) { leading } else { node };
    match die.one_of(&strikes) {
        Fault::Partition => {
            agenda.add(soon, Deed::Mend);
            partition(swarm, die)
        }
        Fault::OneWay => {
            agenda.add(soon, Deed::Mend);
            let out = die.chance(500);
            let others = everybody(swarm).filter(|other| *other != victim);
            others
                .filter(|_| die.chance(700))
                .map(|other| if out { (victim, other) } else { (other, victim) })
                .map(cut)
                .collect()
        }
        Fault::IsolateLeader => {
            agenda.add(soon, Deed::Mend);
            let others = everybody(swarm).filter(|other| *other != leading);
            others.flat_map(|other| [cut((leading, other)), cut((other, leading))]).collect()
        }
        Fault::Clog => {
            still.clogged.insert(victim, soon);
            Vec::new()
        }
        Fault::Pause => {
            still.paused.insert(victim, soon);
            Vec::new()
        }
        Fault::SlowNode => {
            still.slow_links.insert(node, soon);
            Vec::new()
        }
        Fault::SlowDisk => {
            still.slow_disks.insert(victim, soon);
            Vec::new()
        }
        fault => on_member(cluster, swarm, die, agenda, fault, victim, soon),
    }
}

/// What is struck now and then, not all the time.
fn strikes(fault: Fault) -> bool {
    !matches!(
        fault,
        Fault::Loss | Fault::TypedLoss | Fault::Duplicates | Fault::Replays | Fault::Disorder | Fault::Misroute
    )
}

fn on_member(
    cluster: &Cluster,
    swarm: &Swarm,
    die: &mut Die,
    agenda: &mut Agenda,
    fault: Fault,
    victim: Node,
    soon: Duration,
) -> Vec<Action> {
    let Some(member) = cluster.latest().find(|member| node_of(member.id) == victim) else { return Vec::new() };
    let id = member.id;
    let durable = member.disk.durability == Durability::Durable;
    let up = member.raft.is_some();
    match fault {
        Fault::Crash if up && may_end(cluster, id) => {
            agenda.add(soon, Deed::Begin(id));
            vec![Action::Crash(id)]
        }
        Fault::CrashInWrite if up && durable => {
            agenda.add(soon, Deed::Begin(id));
            vec![Action::CrashAfter(id, die.below(member.disk.unsynced() + 1))]
        }
        Fault::PowerLoss if durable => {
            let everybody: Vec<MemberId> =
                cluster.latest().filter(|member| member.raft.is_some()).map(|member| member.id).collect();
            everybody.iter().for_each(|id| agenda.add(cluster.now() + die.around(swarm.trouble), Deed::Begin(*id)));
            everybody.into_iter().map(Action::Crash).collect()
        }
        Fault::BrokenDisk if up && durable => {
            agenda.add(soon, Deed::Begin(id));
            vec![Action::FailDisk(id)]
        }
        Fault::Saves if up && durable => {
            let all = cluster.latest().filter(|member| member.raft.is_some()).map(|member| member.id);
            all.filter(|_| die.chance(500)).map(Action::Save).collect()
        }
        Fault::Drift => vec![drift(swarm, die, id)],
        Fault::Transfer => {
            let to = somebody(cluster, die).filter(|_| die.chance(900));
            leader(cluster).map(|at| Action::Transfer { at, label: label(cluster), to }).into_iter().collect()
        }
        Fault::Settings => leader(cluster).map(|at| settings(cluster, swarm, die, at)).into_iter().collect(),
        Fault::Membership | Fault::Swap => membership(cluster, swarm, die, fault).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// A clock's new rate, within what the lease allows for.
pub(super) fn drift(swarm: &Swarm, die: &mut Die, id: MemberId) -> Action {
    let width = swarm.drift.min(RIGHT / 2);
    let rate = RIGHT - width + die.below(2 * width as usize + 1) as u32;
    Action::Drift(id, die.one_of(&[rate, RIGHT - width, RIGHT + width]))
}

fn partition(swarm: &Swarm, die: &mut Die) -> Vec<Action> {
    let sides: Vec<usize> = everybody(swarm).map(|_| die.below(2)).collect();
    let bridge = if die.chance(300) { Some(die.below(sides.len())) } else { None };
    let side = |node: Node| sides[node.0 as usize];
    let bridges = |node: Node| bridge == Some(node.0 as usize);
    let pairs = everybody(swarm).flat_map(|from| everybody(swarm).map(move |to| (from, to)));
    pairs.filter(|(from, to)| side(*from) != side(*to) && !bridges(*from) && !bridges(*to)).map(cut).collect()
}

fn cut((from, to): (Node, Node)) -> Action {
    Action::Cut(from, to)
}

pub(super) fn everybody(swarm: &Swarm) -> impl Iterator<Item = Node> + Clone + use<> {
    (0..swarm.nodes).map(Node)
}

/// Whether the group keeps its memory although this member loses its own: of every membership that somebody is under,
/// a majority of voters lives on.
fn may_end(cluster: &Cluster, id: MemberId) -> bool {
    let Some(member) = cluster.members().get(&id) else { return false };
    let lives =
        |other: MemberId| other != id && cluster.members().get(&other).is_some_and(|member| member.raft.is_some());
    member.disk.durability == Durability::Durable
        || memberships(cluster).all(|membership| is_majority(membership, lives))
}

fn memberships(cluster: &Cluster) -> impl Iterator<Item = &Membership> {
    let up = cluster.latest().filter(|member| member.raft.is_some());
    up.filter_map(|member| member.raft.as_ref())
        .map(|raft| &**raft.log().membership())
        .filter(|it| !it.members().is_empty())
}

fn settings(cluster: &Cluster, swarm: &Swarm, die: &mut Die, at: MemberId) -> Action {
    // How wrong clocks may be is decided once for the run.
    let mut config = swarm::config(die);
    while swarm.has(Fault::Drift) && swarm::drift_allowed(&config) < swarm.drift {
        config = swarm::config(die);
    }
    Action::Propose { at, label: label(cluster), proposal: Proposal::Config(config) }
}

/// A change of membership that somebody wants.
fn membership(cluster: &Cluster, swarm: &Swarm, die: &mut Die, fault: Fault) -> Option<Action> {
    let at = leader(cluster)?;
    let membership = cluster.portraits().get(&at)?.membership.clone();
    let all: Vec<MemberId> = membership.members().keys().copied().collect();
    let memory = cluster.members()[&at].disk.durability == Durability::Memory;
    let lives = |id: &MemberId| cluster.members().get(id).is_some_and(|member| member.raft.is_some());
    let propose = |change| Action::Propose { at, label: label(cluster), proposal: Proposal::Membership(change) };
    if memory && !all.iter().all(lives) {
        // Whoever is gone counts against the majority until it is replaced.
        return operator(cluster);
    }
    if fault == Fault::Swap && die.chance(500) {
        let voters: Vec<MemberId> = all.iter().copied().filter(|_| die.chance(600)).collect();
        return Some(propose(Change::SetVoters(voters)));
    }
    if all.len() > 2 && die.chance(400) {
        return Some(propose(Change::Remove(die.one_of(&all))));
    }
    let node = Node(die.below(swarm.nodes as usize) as u8);
    let latest = cluster.latest().find(|member| node_of(member.id) == node);
    match latest {
        None => Some(Action::Join(node.member(1))),
        Some(member) if membership.contains(member.id) => None,
        Some(member) if member.raft.is_none() => Some(Action::Join(node.member(life_of(member.id) + 1))),
        Some(member) if was_removed(cluster, member.id) && cluster.portraits()[&member.id].term().0 > 0 => {
            may_end(cluster, member.id).then(|| Action::Crash(member.id))
        }
        Some(member) => {
            let promotion = match die.below(10) {
                0..2 => Promotion::Never,
                2..5 if fault == Fault::Swap => Promotion::Replacing(die.one_of(&all)),
                _ => Promotion::WhenCaughtUp,
            };
            Some(propose(Change::AddLearner { id: member.id, contact: Bytes::new(), promotion }))
        }
    }
}

fn label(cluster: &Cluster) -> String {
    format!("at {:?}", cluster.now())
}
