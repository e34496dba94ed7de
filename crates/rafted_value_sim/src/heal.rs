//! The end of a run: faults stop, and within bounds there must be a leader that stays, an answer to everybody, and the
//! same everywhere. All of it follows from the cluster: no dice.

use crate::action::Action;
use crate::calm::Calm;
use crate::clients::{Ask, CallId};
use crate::clock::RIGHT;
use crate::cluster::Cluster;
use crate::disk::Durability;
use crate::invariants::Broken;
use crate::linearizable;
use crate::name::{Name, life_of, node_of};
use crate::portrait::Portrait;
use bytes::Bytes;
use rafted_value_core::{Change, MemberId, Payload, Promotion, Proposal, Seat, Term};
use std::time::Duration;

/// The client that looks whether the group serves.
const VISITOR: u8 = u8::MAX;

/// What a healthy end shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Healed {
    /// How many operations of clients an order explains.
    pub operations: u64,
}

/// Ends all faults and waits for health. Bounds are in the longest election timeout of any member (catalogue C.6).
///
/// # Errors
///
/// What is not as it should be, and when.
pub fn heal(cluster: &mut Cluster) -> Result<Healed, String> {
    let before = highest_term(cluster);
    repair(cluster).map_err(|broken| broken.to_string())?;
    let patience = longest_timeout(cluster);
    until(cluster, patience, 10, "I52, a leader", |cluster| leader(cluster).is_some())?;
    let learners = learner_patience(cluster, patience);
    until(cluster, patience, 60 + learners, "I56, a settled membership", is_settled)?;
    until(cluster, patience, 20, "I54, the same log everywhere", |cluster| differs(cluster).is_none())
        .map_err(|what| format!("{what}: {}", differs(cluster).unwrap_or_default()))?;
    visit(cluster, patience)?;
    until(cluster, patience, 20, "I57, the same value everywhere", |cluster| differs(cluster).is_none())
        .map_err(|what| format!("{what}: {}", differs(cluster).unwrap_or_default()))?;
    stays(cluster, patience, before)?;
    nothing_owed(cluster)?;
    Ok(Healed { operations: linearizable::check_all(cluster.clients(), &cluster.seen.ran)? })
}

/// Everybody runs, every link passes, every clock is right. A member in memory that ended begins as a new one.
fn repair(cluster: &mut Cluster) -> Result<(), Broken> {
    cluster.perform(Action::Heal)?;
    let latest: Vec<MemberId> = cluster.latest().map(|member| member.id).collect();
    for id in latest {
        cluster.perform(Action::Drift(id, RIGHT))?;
        let member = &cluster.members()[&id];
        let durable = member.disk.durability == Durability::Durable;
        if durable && member.raft.as_ref().is_some_and(|raft| raft.is_halted()) {
            cluster.perform(Action::Crash(id))?;
        }
        if cluster.members()[&id].raft.is_none() {
            cluster.perform(Action::Restart(id))?;
        }
    }
    Ok(())
}

/// Lets time pass in calm, with an operator at hand, until it holds.
fn until(
    cluster: &mut Cluster,
    patience: Duration,
    times: u32,
    what: &str,
    holds: impl Fn(&Cluster) -> bool,
) -> Result<(), String> {
    for _ in 0..times * 4 {
        if holds(cluster) {
            return Ok(());
        }
        if let Some(action) = operator(cluster) {
            cluster.perform(action).map_err(|broken| broken.to_string())?;
        }
        Calm::default().pass(cluster, patience / 4).map_err(|broken| broken.to_string())?;
    }
    if holds(cluster) { Ok(()) } else { Err(format!("BROKEN {what}: not within {times} timeouts of {patience:?}")) }
}

/// What somebody who watches over a group would do: see to it that a member which lost its memory is let in again.
pub fn operator(cluster: &Cluster) -> Option<Action> {
    let at = leader(cluster)?;
    let membership = &cluster.portraits()[&at].membership;
    let outside = |id: MemberId| !membership.contains(id) && life_of(id) > 1;
    let id = cluster.latest().filter(|member| member.raft.is_some()).map(|member| member.id).find(|id| outside(*id))?;
    let earlier = (1..life_of(id)).rev().map(|life| node_of(id).member(life)).find(|old| membership.contains(*old));
    let promotion = earlier.map_or(Promotion::WhenCaughtUp, Promotion::Replacing);
    let change = Change::AddLearner { id, contact: Bytes::new(), promotion };
    let label = format!("let in {}", Name(id));
    Some(Action::Propose { at, label, proposal: Proposal::Membership(change) })
}

/// Whoever leads the latest term.
pub fn leader(cluster: &Cluster) -> Option<MemberId> {
    let leaders = cluster.latest().filter_map(|member| cluster.portraits().get(&member.id));
    leaders.filter(|portrait| portrait.leads()).max_by_key(|portrait| portrait.term()).map(|portrait| portrait.id)
}

/// Whether a committed membership has it no more, as far as it knows itself.
pub fn was_removed(cluster: &Cluster, id: MemberId) -> bool {
    let (at, membership) = cluster.seen.committed.membership();
    at.0 > 0 && !membership.contains(id)
}

/// Everybody in the membership lives, votes or wants to stay a learner, and it is committed.
fn is_settled(cluster: &Cluster) -> bool {
    let Some(portrait) = leader(cluster).map(|id| &cluster.portraits()[&id]) else { return false };
    let lives = |id: &MemberId| cluster.members().get(id).is_some_and(|member| member.raft.is_some());
    // Nobody can take the place of whoever leads.
    let leads = Promotion::Replacing(portrait.id);
    let rests = |seat: Seat| seat == Seat::Voter || [Promotion::Never, leads].map(Seat::Learner).contains(&seat);
    let (at, _) = portrait.log.membership();
    at <= portrait.commit && portrait.membership.members().iter().all(|(id, member)| lives(id) && rests(member.seat))
}

/// Who differs from the leader, if somebody does.
fn differs(cluster: &Cluster) -> Option<String> {
    let Some(id) = leader(cluster) else { return Some("nobody leads".to_owned()) };
    let truth = &cluster.portraits()[&id];
    truth.membership.members().keys().find_map(|other| {
        let (portrait, machine) = (cluster.portraits().get(other)?, &cluster.members()[other].machine);
        let same = portrait.log == truth.log && portrait.commit == truth.commit && portrait.commit == portrait.last;
        let same = same && machine.digest() == cluster.members()[&id].machine.digest();
        let how = |it: &Portrait| format!("{} (last {}, commit {})", Name(it.id), it.log.last(), it.commit);
        (!same).then(|| format!("{} differs from {}, which leads", how(portrait), how(truth)))
    })
}

/// A new client is served: a session, a command, a read (I55).
fn visit(cluster: &mut Cluster, patience: Duration) -> Result<(), String> {
    let asks = [Ask::Register, Ask::Put(0, u64::MAX), Ask::Get(0)];
    let first = cluster.clients().calls().range(CallId(VISITOR, 0)..).count() as u64 + 1;
    for (number, ask) in (first..).zip(asks) {
        let id = CallId(VISITOR, number);
        for attempt in 0..5 {
            let Some(at) = leader(cluster) else {
                return Err("BROKEN I53, a leader that stays: it is gone".to_owned());
            };
            let action = match attempt {
                0 => Action::Call { id, at, ask, held: false },
                _ => Action::CallAgain { id, at },
            };
            cluster.perform(action).map_err(|broken| broken.to_string())?;
            let answered = |cluster: &Cluster| cluster.clients().calls()[&id].ended.is_some();
            let refused = |cluster: &Cluster| cluster.clients().calls()[&id].unanswered == 0;
            if until(cluster, patience, 5, "I55, an answer", |it| answered(it) || refused(it)).is_ok()
                && answered(cluster)
            {
                break;
            }
            // Refused, because leadership is being handed over, say: a client waits a little before it asks again.
            Calm::default().pass(cluster, patience).map_err(|broken| broken.to_string())?;
        }
        if cluster.clients().calls()[&id].ended.is_none() {
            return Err(format!("BROKEN I55, everybody is served: {id} ({ask}) is not"));
        }
    }
    Ok(())
}

/// The leader stays, in a term not far from where it was when the faults stopped (I53, I60).
fn stays(cluster: &mut Cluster, patience: Duration, before: Term) -> Result<(), String> {
    let leads = |cluster: &Cluster| leader(cluster).map(|id| (id, cluster.portraits()[&id].term()));
    let now = leads(cluster);
    Calm::default().pass(cluster, patience * 10).map_err(|broken| broken.to_string())?;
    let later = leads(cluster);
    if now != later {
        return Err(format!("BROKEN I53, a leader that stays: {now:?} became {later:?}"));
    }
    let term = highest_term(cluster);
    match term.0 <= before.0 + 3 {
        true => Ok(()),
        false => Err(format!("BROKEN I60, terms grow by 3 at most: from {before} to {term}")),
    }
}

/// Whoever waited for a member that runs was told something (I43, I59).
fn nothing_owed(cluster: &Cluster) -> Result<(), String> {
    let owes = cluster.latest().find(|member| {
        let promises = [member.waiting.len(), member.awaiting.len(), member.batches.len(), member.asking.len()];
        promises.iter().any(|waiting| *waiting > 0) || !member.reading.is_empty() || !member.readers.is_empty()
    });
    let ran = |call: &crate::clients::Call| call.ticket.is_some_and(|ticket| cluster.seen.ran.contains_key(&ticket));
    let lied = cluster.clients().calls().iter().find(|(_, call)| call.came_to_nothing() && ran(call));
    match (owes, lied) {
        (Some(member), _) => Err(format!("BROKEN I59, nothing is owed: {} owes somebody an answer", Name(member.id))),
        (_, Some((id, _))) => Err(format!("BROKEN I37, refused means not applied: {id} was refused, and ran")),
        _ => Ok(()),
    }
}

fn highest_term(cluster: &Cluster) -> Term {
    cluster.latest().map(|member| member.term()).max().unwrap_or_default()
}

/// Of every config that is in force or in a log: who starts again keeps the longest promise that it may have given.
fn longest_timeout(cluster: &Cluster) -> Duration {
    let rafts = || cluster.latest().filter_map(|member| member.raft.as_ref());
    let in_logs = rafts().flat_map(|raft| raft.log().entries()).filter_map(|entry| match &entry.payload {
        Payload::Config(config) => Some(config),
        _ => None,
    });
    let in_force = rafts().flat_map(|raft| [raft.config(), &raft.log().base().config]);
    in_force.chain(in_logs).map(|config| config.longest_election_timeout()).max().unwrap_or_default()
}

/// A learner that will never answer is dropped only after a while.
fn learner_patience(cluster: &Cluster, patience: Duration) -> u32 {
    let configs = cluster.latest().filter_map(|member| Some(member.raft.as_ref()?.config().learner_timeout));
    let longest = configs.max().unwrap_or_default();
    (longest.as_nanos() / patience.as_nanos().max(1)) as u32 * 2
}
