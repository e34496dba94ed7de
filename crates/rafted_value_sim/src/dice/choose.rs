//! What happens next: mostly something usual, now and then something bad.

use super::die::Die;
use crate::action::Action;
use crate::cluster::{Cluster, Founding};
use crate::disk::Durability;
use crate::name::Node;
use crate::network::PacketNo;
use crate::value::note;
use bytes::Bytes;
use rafted_value_core::{Change, Config, MemberId, Promotion, Proposal};
use std::time::Duration;

pub(super) fn founding(die: &mut Die) -> Founding {
    let members = (0..=2 + die.below(3) as u8).map(|at| Node(at).member(1)).collect();
    let retained = [0, 2, 100][die.below(3)];
    let config = Config {
        clock_drift_margin: Duration::from_millis([0, 200, 1000][die.below(3)]),
        max_retained_committed_logs: retained,
        max_retained_bytes: if retained == 0 { 1 } else { 1 << 20 },
        max_inflight_messages: [1, 3, 64][die.below(3)],
        max_append_bytes: [1, 1 << 16][die.below(2)],
        ..Config::default()
    };
    Founding { members, config, durability: [Durability::Durable, Durability::Memory][die.below(2)] }
}

fn someone(cluster: &Cluster, die: &mut Die) -> MemberId {
    let latest: Vec<MemberId> = cluster.latest().map(|member| member.id).collect();
    latest[die.below(latest.len())]
}

/// Mostly the leader, which has most to say.
fn leader_or_someone(cluster: &Cluster, die: &mut Die) -> MemberId {
    let leader = cluster.portraits().values().filter(|portrait| portrait.leads()).max_by_key(|leader| leader.term());
    match leader {
        Some(leader) if die.below(4) > 0 => leader.id,
        _ => someone(cluster, die),
    }
}

pub(super) fn what_next(cluster: &Cluster, die: &mut Die, step: usize) -> Action {
    let at = leader_or_someone(cluster, die);
    let other = someone(cluster, die);
    let (from, to) = (Node(die.below(5) as u8), Node(die.below(5) as u8));
    let label = format!("s{step}");
    match die.below(200) {
        0..8 => {
            Action::Propose { at, label: label.clone(), proposal: Proposal::Commands(note(&label, 0, step as u64 + 1)) }
        }
        8..14 => Action::Read { at, label },
        14 => Action::Transfer { at, label, to: Some(other) },
        15 => Action::Cut(from, to),
        16 => Action::Mend(from, to),
        17 => Action::Heal,
        18..24 => Action::Pass(Duration::from_millis(die.below(300) as u64)),
        24 => Action::Propose { at, label, proposal: Proposal::Membership(a_change(cluster, die, at)) },
        25 => match &cluster.members()[&other] {
            member if member.raft.is_none() => Action::Restart(other),
            // Members in memory that crash are gone for good: here they would soon be too few.
            member if member.disk.durability == Durability::Memory => Action::Heal,
            _ => Action::Crash(other),
        },
        26..28 => match cluster.latest().find(|member| member.raft.is_none()) {
            Some(member) => Action::Restart(member.id),
            None => Action::Fire(other),
        },
        28..36 => Action::Fire(at),
        _ => usual(cluster, die),
    }
}

fn a_change(cluster: &Cluster, die: &mut Die, leader: MemberId) -> Change {
    let other = someone(cluster, die);
    match die.below(4) {
        0 => Change::Remove(other),
        1 => Change::SetVoters(vec![leader, other, someone(cluster, die)]),
        _ => Change::AddLearner { id: other, contact: Bytes::new(), promotion: Promotion::WhenCaughtUp },
    }
}

/// Mostly, things go well: packets arrive, older ones rather than newer ones, and writes are synced.
fn usual(cluster: &Cluster, die: &mut Die) -> Action {
    let busy: Vec<MemberId> = cluster.latest().filter(|member| member.disk.is_busy()).map(|member| member.id).collect();
    if !busy.is_empty() && die.below(3) == 0 {
        let id = busy[die.below(busy.len())];
        return if die.below(2) == 0 { Action::Sync(id) } else { Action::Flush(id) };
    }
    let packets: Vec<PacketNo> = cluster.network().packets().map(|(no, _)| no).take(12).collect();
    match packets.len() {
        0 => Action::Fire(leader_or_someone(cluster, die)),
        many => match (packets[die.below(many)], die.below(20)) {
            (no, 0) => Action::Drop(no),
            (no, 1) => Action::Duplicate(no),
            (no, _) => Action::Deliver(no),
        },
    }
}
