//! A handful of dice: random actions on small clusters, every invariant checked after each.

use rafted_value_sim::dice;
use std::collections::BTreeMap;

#[test]
fn whatever_happens_nothing_breaks() {
    let mut marks: BTreeMap<String, u64> = BTreeMap::new();
    for seed in 1..=40 {
        match dice::play(seed) {
            Ok(run) => run.marks.into_iter().for_each(|(mark, times)| *marks.entry(mark).or_default() += times),
            Err(failure) => panic!("{failure}"),
        }
    }
    for needed in dice::MARKS {
        assert!(marks.contains_key(*needed), "the dice never got to {needed}; they got to {marks:?}");
    }
}
