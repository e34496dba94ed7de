//! The dice chooser: a seed decides what kind of run it is, and what happens when. Every invariant is checked after every
//! action. At the end faults stop, and the cluster must heal; everything that clients found must be linearizable.

mod agenda;
mod callers;
mod coverage;
mod die;
pub mod shrink;
mod swarm;
mod throw;
mod trouble;

pub use coverage::{Coverage, MARKS};
pub use die::Die;
pub use swarm::{Fault, Swarm};

use crate::action::Action;
use crate::conformance;
use crate::script;
use crate::tale::Tale;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use throw::Throw;

/// What a run came across, and how long it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// How often each mark was hit.
    pub coverage: Coverage,
    /// How often each action of the specification was taken, if the run was held against it.
    pub taken: BTreeMap<conformance::Action, u64>,
    /// How many actions it took.
    pub actions: u64,
    /// How many operations of clients were found to be linearizable.
    pub operations: u64,
    /// How much time passed in the cluster.
    pub simulated: Duration,
    /// Of everything that was done and told, and of how it ended.
    pub trace: u64,
    /// What happened when, if that was asked for.
    pub story: Vec<String>,
}

/// A run that went wrong.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Which.
    pub seed: u64,
    /// What is wrong: `BROKEN`, the property, and how.
    pub what: String,
    /// How it was watched.
    pub watch: Watch,
    /// What kind of run it is.
    pub swarm: Swarm,
    /// Everything that was done.
    pub actions: Vec<Action>,
    /// The end of the story.
    pub tales: Vec<Tale>,
}

/// How runs are watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// Holds every step against the specification as well.
    pub conformance: bool,
    /// Keeps the story of a run that goes well, too.
    pub story: bool,
    /// What must never be said; to look for runs in which it is.
    pub never: Option<&'static str>,
}

/// Plays one seed.
///
/// # Errors
///
/// The invariant that breaks, or what did not heal, with everything that led there.
pub fn play(seed: u64) -> Result<Run, Box<Failure>> {
    play_watched(seed, Watch::default())
}

/// The same, watched more closely.
///
/// # Errors
///
/// The same.
pub fn play_watched(seed: u64, watch: Watch) -> Result<Run, Box<Failure>> {
    let mut throw = Throw::new(seed, watch);
    let done = catch_unwind(AssertUnwindSafe(|| throw.run()));
    let what = match done {
        Ok(Ok(run)) => return Ok(run),
        Ok(Err(what)) => what,
        Err(panic) => format!("BROKEN the core's own invariants: {}", script::panic_message(&*panic)),
    };
    let Throw { swarm, story, tales, .. } = throw;
    Err(Box::new(Failure { seed, what, watch, swarm, actions: story, tales: tales.into() }))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}", self.seed, self.what)?;
        writeln!(f, "{:?}", self.swarm)?;
        self.tales.iter().try_for_each(|tale| writeln!(f, "    {tale}"))
    }
}
