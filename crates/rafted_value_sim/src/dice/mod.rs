//! The dice chooser: a seed decides what happens to a cluster. Every invariant is checked after every action; at the
//! end faults stop, and the cluster must heal.

mod choose;
mod die;

pub use die::Die;

use crate::action::Action;
use crate::calm::Calm;
use crate::cluster::{Cluster, Founding};
use crate::conformance;
use crate::history::Fate;
use crate::invariants::Broken;
use crate::tale::Tale;
use crate::value::note;
use rafted_value_core::{MemberId, Proposal};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// How many actions a run takes before it heals.
const ACTIONS: usize = 1500;

/// What a run came across, and how long it was.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// How often each kind of thing happened.
    pub marks: BTreeMap<String, u64>,
    /// How often each action of the specification was taken.
    pub taken: BTreeMap<conformance::Action, u64>,
    /// How many actions it took.
    pub actions: u64,
    /// How much time passed in the cluster.
    pub simulated: Duration,
}

/// A run that went wrong.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Which.
    pub seed: u64,
    /// What is wrong.
    pub what: String,
    founding: Founding,
    story: Vec<String>,
}

/// Plays one seed.
///
/// # Errors
///
/// The invariant that breaks, or what did not heal, with the story that led there.
pub fn play(seed: u64) -> Result<Run, Box<Failure>> {
    let mut die = Die::new(seed);
    let founding = choose::founding(&mut die);
    let mut story = Vec::new();
    let mut run = Run::default();
    let what = match go(&founding, &mut die, &mut run, &mut story) {
        Ok(()) => return Ok(run),
        Err(what) => what,
    };
    Err(Box::new(Failure { seed, what, founding, story }))
}

fn go(founding: &Founding, die: &mut Die, run: &mut Run, story: &mut Vec<String>) -> Result<(), String> {
    let mut cluster = Cluster::found(founding).map_err(|broken| broken.to_string())?;
    cluster.conform();
    for step in 0..ACTIONS {
        let action = choose::what_next(&cluster, die, step);
        story.push(format!("{action:?}"));
        let tales = cluster.perform(action).map_err(|broken| broken.to_string())?;
        run.actions += 1;
        tales.iter().for_each(|tale| *run.marks.entry(mark(tale)).or_default() += 1);
        story.extend(tales.iter().map(|tale| format!("    {tale}")));
    }
    end_well(&mut cluster)?;
    run.simulated = cluster.now();
    run.taken = cluster.specification().map(|specification| specification.taken.clone()).unwrap_or_default();
    Ok(())
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tail = self.story.len().saturating_sub(60);
        writeln!(f, "seed {}: {}\n{:?}", self.seed, self.what, self.founding)?;
        write!(f, "{}", self.story[tail..].join("\n"))
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
    let proposal = Proposal::Commands(note("last", 0, 0));
    cluster.perform(Action::Propose { at: leader, label: "last".to_owned(), proposal }).map_err(told)?;
    calm.pass(cluster, Duration::from_secs(5)).map_err(told)?;
    match cluster.history().fate("last") {
        Some(Fate::Done(_)) => {}
        other => return Err(format!("the last command: {other:?}")),
    }
    let truth = &cluster.portraits()[&leader];
    for id in truth.membership.members().keys() {
        let (portrait, machine) = (&cluster.portraits()[id], &cluster.members()[id].machine);
        let same = portrait.log.last() == truth.log.last() && portrait.commit == truth.commit;
        if !same || machine != &cluster.members()[&leader].machine {
            let (role, last, commit) = (portrait.role, portrait.log.last(), portrait.commit);
            return Err(format!("{id} differs from its leader: {role:?}, log up to {last}, commit {commit}"));
        }
    }
    Ok(())
}

/// What a run must have come across, or it proves little.
pub const MARKS: &[&str] = &[
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
        Tale::Crashed(_) | Tale::Started(_) | Tale::Recovered(..) => format!("{tale:?}"),
    };
    debug.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
}
