//! A handful of dice: random actions on small clusters, every invariant checked after each.

use rafted_value_sim::conformance::Action;
use rafted_value_sim::dice;
use std::collections::BTreeMap;

#[test]
fn whatever_happens_nothing_breaks() {
    let mut marks: BTreeMap<String, u64> = BTreeMap::new();
    let mut taken: BTreeMap<Action, u64> = BTreeMap::new();
    for seed in 1..=40 {
        match dice::play(seed) {
            Ok(run) => {
                run.marks.into_iter().for_each(|(mark, times)| *marks.entry(mark).or_default() += times);
                run.taken.into_iter().for_each(|(action, times)| *taken.entry(action).or_default() += times);
            }
            Err(failure) => panic!("{failure}"),
        }
    }
    for needed in dice::MARKS {
        assert!(marks.contains_key(*needed), "the dice never got to {needed}; they got to {marks:?}");
    }
    for needed in Action::ALL.iter().filter(|action| !SCENARIOS_ONLY.contains(action)) {
        assert!(taken.contains_key(needed), "the dice never took {needed:?}; they took {taken:?}");
    }
}

/// What the dice of today do not get to: no disk fails.
const SCENARIOS_ONLY: &[Action] = &[Action::Halt];
