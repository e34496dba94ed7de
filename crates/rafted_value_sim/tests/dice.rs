//! The dice, with few seeds: what every commit must stand.

use rafted_value_sim::conformance::Action;
use rafted_value_sim::dice::{self, Coverage, Watch};
use rafted_value_sim::script;
use std::collections::BTreeMap;

/// Seeds that once found something. Each stays for ever.
const PAST: &[u64] = &[];

const CONFORMING: Watch = Watch { conformance: true, story: false, never: None };

#[test]
fn whatever_happens_nothing_breaks() {
    let seeds: Vec<u64> = (1..=500).chain(PAST.iter().copied()).collect();
    let (one, other) = seeds.split_at(seeds.len() / 2);
    let halves = std::thread::scope(|scope| {
        let thread = scope.spawn(|| play_all(one));
        [play_all(other), thread.join().expect("findings are results")]
    });
    let (mut coverage, mut taken) = (Coverage::new(), BTreeMap::<Action, u64>::new());
    for run in halves.into_iter().flatten() {
        run.coverage.into_iter().for_each(|(mark, times)| *coverage.entry(mark).or_default() += times);
        run.taken.into_iter().for_each(|(action, times)| *taken.entry(action).or_default() += times);
    }
    // Some marks take thousands of seeds: the long runs of CI ask for all of them.
    assert!(coverage.len() + 6 > dice::MARKS.len(), "the dice only got to {coverage:?}");
    for needed in Action::ALL {
        assert!(taken.contains_key(needed), "the dice never took {needed:?}; they took {taken:?}");
    }
}

fn play_all(seeds: &[u64]) -> Vec<dice::Run> {
    let play = |seed: &u64| dice::play_watched(*seed, CONFORMING).unwrap_or_else(|failure| panic!("{failure}"));
    seeds.iter().map(play).collect()
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 1..=100 {
        let (once, again) = (dice::play(seed), dice::play(seed));
        assert_eq!(once.map_err(|failure| failure.what), again.map_err(|failure| failure.what), "seed {seed}");
    }
}

#[test]
fn a_failure_shrinks_to_a_scenario_that_fails_in_the_same_way() {
    let never = Watch { never: Some("drops its uncommitted entries"), ..Watch::default() };
    let failure = (1..200).find_map(|seed| dice::play_watched(seed, never).err()).expect("some log is cut somewhere");
    let shrunk = dice::shrink::shrink(&failure).expect("its commands lead there");
    let told = script::run(&shrunk.text).expect_err("the scenario fails");
    assert_eq!(dice::shrink::property_of(&told.what), dice::shrink::property_of(&failure.what));
    // Two leaders, one of which knows nothing of the other: that takes a few dozen commands.
    assert!(
        shrunk.commands * 5 < shrunk.of,
        "{} of {} commands are left:\n{}",
        shrunk.commands,
        shrunk.of,
        shrunk.text
    );
}
