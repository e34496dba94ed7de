//! The third chooser: everything. All orders of deliveries, timers, syncs, crashes and wishes within given bounds, with
//! every invariant checked in each state.
//!
//! Most models know no time: all timeouts are zero, so that any timer may fire at any moment and no promise protects a
//! leader. What has not arrived by the end is what was lost, so losing a packet is no action. [`models`] lists what is
//! searched; [`World`] says when two states are the same.

mod bounds;
mod models;
mod world;

pub use bounds::{Bound, Bounds};
pub use models::{Model, models};
pub use world::World;

use crate::action::Action;
use crate::cluster::Cluster;
use crate::invariants::Broken;
use stateright::{Checker, Model as _, Property};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What came of searching one model.
#[derive(Clone, Debug)]
pub struct Searched {
    /// Which model.
    pub model: &'static str,
    /// How many different states there are.
    pub states: u64,
    /// How many steps lead from one to another.
    pub steps: u64,
    /// The longest way from the beginning that was walked.
    pub depth: u64,
    /// Whether every state within the bounds was visited.
    pub complete: bool,
    /// The invariant that breaks, and how to get there.
    pub broken: Option<(Broken, Vec<Action>)>,
}

/// Stops a search from outside, and bounds how much it may remember.
#[derive(Clone, Debug)]
pub struct Patience {
    over: Arc<AtomicBool>,
    states: u64,
}

impl Patience {
    /// Until so many states were entered, or [`Patience::end`].
    pub fn until(states: u64) -> Patience {
        Patience { over: Arc::default(), states }
    }

    /// The search shall end.
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// Visits every state of a model, each once; ends at the first that breaks an invariant.
pub fn search(model: &Model, patience: &Patience) -> Searched {
    let search = Search { model: model.clone(), patience: patience.clone(), entered: AtomicU64::new(0) };
    let checker = search.checker().threads(1).spawn_dfs().join();
    let path = checker.discovery(INVARIANTS);
    let broken = path.and_then(|path| {
        let broken = path.last_state().broken.clone()?;
        Some((broken, path.into_actions()))
    });
    Searched {
        model: model.name,
        states: checker.unique_state_count() as u64,
        steps: checker.state_count() as u64,
        depth: checker.max_depth() as u64,
        complete: broken.is_none() && !patience.is_over(),
        broken,
    }
}

/// A model in the words of stateright.
struct Search {
    model: Model,
    patience: Patience,
    entered: AtomicU64,
}

const INVARIANTS: &str = "every invariant holds";

impl stateright::Model for Search {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let worlds = self.model.starts.iter();
        worlds.map(|cluster: &Cluster| World::new(cluster.clone(), self.model.bounds.clone())).collect()
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if self.entered.fetch_add(1, Ordering::Relaxed) >= self.patience.states {
            self.patience.end();
        }
        if !self.patience.is_over() {
            world.actions(actions);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        world.after(action)
    }

    fn properties(&self) -> Vec<Property<Search>> {
        vec![Property::always(INVARIANTS, |_, world: &World| world.broken.is_none())]
    }
}
