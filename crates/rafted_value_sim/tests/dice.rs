//! A first handful of dice: random actions on small clusters, every invariant checked after each.

use bytes::Bytes;
use rafted_value_core::{Change, Config, MemberId, Promotion, Proposal};
use rafted_value_sim::disk::Durability;
use rafted_value_sim::history::Fate;
use rafted_value_sim::name::Node;
use rafted_value_sim::network::PacketNo;
use rafted_value_sim::tale::Tale;
use rafted_value_sim::value::encode;
use rafted_value_sim::{Action, Broken, Calm, Cluster, Founding};
use std::collections::BTreeMap;
use std::time::Duration;

/// A generator of numbers that are random enough (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit
    }
}

fn founding(dice: &mut Dice) -> Founding {
    let members = (0..=2 + dice.below(3) as u8).map(|at| Node(at).member(1)).collect();
    let retained = [0, 2, 100][dice.below(3)];
    let config = Config {
        clock_drift_margin: Duration::from_millis([0, 200, 1000][dice.below(3)]),
        max_retained_committed_logs: retained,
        max_retained_bytes: if retained == 0 { 1 } else { 1 << 20 },
        max_inflight_messages: [1, 3, 64][dice.below(3)],
        max_append_bytes: [1, 1 << 16][dice.below(2)],
        ..Config::default()
    };
    Founding { members, config, durability: [Durability::Durable, Durability::Memory][dice.below(2)] }
}

fn someone(cluster: &Cluster, dice: &mut Dice) -> MemberId {
    let latest: Vec<MemberId> = cluster.latest().map(|member| member.id).collect();
    latest[dice.below(latest.len())]
}

/// Mostly the leader, which has most to say.
fn leader_or_someone(cluster: &Cluster, dice: &mut Dice) -> MemberId {
    let leader = cluster.portraits().values().filter(|portrait| portrait.leads()).max_by_key(|leader| leader.term());
    match leader {
        Some(leader) if dice.below(4) > 0 => leader.id,
        _ => someone(cluster, dice),
    }
}

fn what_next(cluster: &Cluster, dice: &mut Dice, step: usize) -> Action {
    let at = leader_or_someone(cluster, dice);
    let other = someone(cluster, dice);
    let (from, to) = (Node(dice.below(5) as u8), Node(dice.below(5) as u8));
    let label = format!("s{step}");
    match dice.below(200) {
        0..8 => Action::Propose { at, label: label.clone(), proposal: Proposal::Commands(encode(&label, 0)) },
        8..14 => Action::Read { at, label },
        14 => Action::Transfer { at, label, to: Some(other) },
        15 => Action::Cut(from, to),
        16 => Action::Mend(from, to),
        17 => Action::Heal,
        18..24 => Action::Pass(Duration::from_millis(dice.below(300) as u64)),
        24 => Action::Propose { at, label, proposal: Proposal::Membership(a_change(cluster, dice, at)) },
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
        _ => usual(cluster, dice),
    }
}

fn a_change(cluster: &Cluster, dice: &mut Dice, leader: MemberId) -> Change {
    let other = someone(cluster, dice);
    match dice.below(4) {
        0 => Change::Remove(other),
        1 => Change::SetVoters(vec![leader, other, someone(cluster, dice)]),
        _ => Change::AddLearner { id: other, contact: Bytes::new(), promotion: Promotion::WhenCaughtUp },
    }
}

/// Mostly, things go well: packets arrive, older ones rather than newer ones, and writes are synced.
fn usual(cluster: &Cluster, dice: &mut Dice) -> Action {
    let busy: Vec<MemberId> = cluster.latest().filter(|member| member.disk.is_busy()).map(|member| member.id).collect();
    if !busy.is_empty() && dice.below(3) == 0 {
        let id = busy[dice.below(busy.len())];
        return if dice.below(2) == 0 { Action::Sync(id) } else { Action::Flush(id) };
    }
    let packets: Vec<PacketNo> = cluster.network().packets().map(|(no, _)| no).take(12).collect();
    match packets.len() {
        0 => Action::Fire(leader_or_someone(cluster, dice)),
        many => match (packets[dice.below(many)], dice.below(20)) {
            (no, 0) => Action::Drop(no),
            (no, 1) => Action::Duplicate(no),
            (no, _) => Action::Deliver(no),
        },
    }
}

#[test]
fn whatever_happens_nothing_breaks() {
    let seeds: u64 = std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(40);
    let mut marks: BTreeMap<String, u64> = BTreeMap::new();
    for seed in 1..=seeds {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let founding = founding(&mut dice);
        let mut cluster = Cluster::found(&founding).expect("a beginning");
        let mut story = Vec::new();
        for step in 0..1500 {
            let action = what_next(&cluster, &mut dice, step);
            story.push(format!("{action:?}"));
            match cluster.perform(action) {
                Ok(tales) => {
                    tales.iter().for_each(|tale| *marks.entry(mark(tale)).or_default() += 1);
                    story.extend(tales.iter().map(|tale| format!("    {tale}")));
                }
                Err(broken) => give_up(seed, &founding, &story, &broken.to_string()),
            }
        }
        match end_well(&mut cluster) {
            Ok(()) => {}
            Err(what) => give_up(seed, &founding, &story, &what),
        }
    }
    for needed in MARKS {
        assert!(marks.contains_key(*needed), "the dice never got to {needed}; they got to {marks:?}");
    }
}

/// Faults stop: soon there is a leader, what it is asked is done, and everybody has the same.
fn end_well(cluster: &mut Cluster) -> Result<(), String> {
    let told = |broken: Broken| broken.to_string();
    let calm = Calm::default();
    cluster.perform(Action::Heal).map_err(told)?;
    let down: Vec<MemberId> = cluster.latest().filter(|member| member.raft.is_none()).map(|member| member.id).collect();
    for id in down {
        cluster.perform(Action::Restart(id)).map_err(told)?;
    }
    calm.pass(cluster, Duration::from_secs(60)).map_err(told)?;
    let leaders = cluster.portraits().values().filter(|portrait| portrait.leads());
    let leader = leaders.max_by_key(|portrait| portrait.term()).ok_or("nobody leads")?.id;
    let proposal = Proposal::Commands(encode("last", 0));
    cluster.perform(Action::Propose { at: leader, label: "last".to_owned(), proposal }).map_err(told)?;
    calm.pass(cluster, Duration::from_secs(5)).map_err(told)?;
    match cluster.history().fate("last") {
        Some(Fate::Done(_)) => {}
        other => return Err(format!("the last command: {other:?}")),
    }
    let truth = &cluster.portraits()[&leader];
    for id in truth.membership.members().keys() {
        let (portrait, value) = (&cluster.portraits()[id], &cluster.members()[id].value);
        let same = portrait.log.last() == truth.log.last() && portrait.commit == truth.commit;
        if !same || value != &cluster.members()[&leader].value {
            return Err(format!("{id} differs from its leader: {portrait:?}"));
        }
    }
    Ok(())
}

fn give_up(seed: u64, founding: &Founding, story: &[String], what: &str) -> ! {
    let tail = story.len().saturating_sub(60);
    panic!("seed {seed}: {what}\n{founding:?}\n{}", story[tail..].join("\n"));
}

/// What a run must have come across, or it proves little.
const MARKS: &[&str] = &[
    "BecameLeader",
    "SteppedDown",
    "Truncated",
    "Mismatch",
    "SnapshotInstalled",
    "SnapshotIgnored",
    "MembershipInForce",
    "Promoting",
    "Removed",
    "Transferring",
    "Done",
    "Unknown",
    "Served",
];

/// The kind of thing that happened: a coverage mark.
fn mark(tale: &Tale) -> String {
    let debug = match tale {
        Tale::Noticed(_, notice) => format!("{notice:?}"),
        Tale::Settled(_, fate) => format!("{fate:?}"),
        Tale::Read(_, outcome) => format!("{outcome:?}"),
        Tale::Crashed(_) | Tale::Started(_) => format!("{tale:?}"),
    };
    debug.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
}
