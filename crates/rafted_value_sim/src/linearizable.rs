//! Whether what clients were told can be explained by one register at a time, each operation taking effect at one
//! moment between its call and its answer: linearizability (Herlihy and Wing 1990).
//!
//! The search of Wing and Gong (1993) with Lowe's memory (2017): operations are tried in the order in which they
//! began; a set of operations already placed that leads to a state already seen is not searched again. Registers are
//! independent, so each has a search of its own.
//!
//! An operation whose outcome is unknown may take effect at any time after its call, or never: the search knows both. But
//! many of them at once make it endless, and a simulation knows more than its clients: one that ran nowhere is left out,
//! one that ran is held to what it found there. One of which its client knows that it came to nothing is left out, too.

use crate::clients::{Ask, Call, Clients, Found};
use crate::invariants::Ran;
use rafted_value::simulation::SessionId;
use std::collections::{BTreeMap, HashSet};

/// When an answer comes that its client never gets.
const NEVER: u64 = u64::MAX;

/// What a register holds.
type State = Option<u64>;

/// An operation on one register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// What was asked for.
    pub ask: Ask,
    /// When it began.
    pub began: u64,
    /// When it ended and what it found; nothing if the client never learned.
    pub ended: Option<(u64, State)>,
}

impl Operation {
    fn of(call: &Call, ran: &BTreeMap<(SessionId, u64), Ran>) -> Option<Operation> {
        let ended = match call.ended {
            Some((at, Found::Item(found))) => Some((at, found)),
            _ if call.came_to_nothing() => None,
            _ => call.ticket.and_then(|ticket| ran.get(&ticket)).map(|ran| (NEVER, ran.found)),
        };
        ended.map(|ended| Operation { ask: call.ask, began: call.began, ended: Some(ended) })
    }

    /// What the register is afterwards, if the operation may have found what it holds.
    fn apply(&self, state: State) -> Option<State> {
        if self.ended.is_some_and(|(_, found)| found != state) {
            return None;
        }
        Some(match self.ask {
            Ask::Put(_, item) => Some(item),
            Ask::Replace(_, expected, item) if expected == state => Some(item),
            _ => state,
        })
    }
}

/// Checks everything that clients called for; returns how many operations that were.
///
/// # Errors
///
/// The register whose history nothing explains.
pub fn check_all(clients: &Clients, ran: &BTreeMap<(SessionId, u64), Ran>) -> Result<u64, String> {
    let mut registers: BTreeMap<u8, Vec<Operation>> = BTreeMap::new();
    for call in clients.calls().values() {
        if let (Some(register), Some(operation)) = (call.ask.register(), Operation::of(call, ran)) {
            registers.entry(register).or_default().push(operation);
        }
    }
    let mut checked = 0;
    for (register, operations) in registers {
        checked += operations.len() as u64;
        if !is_linearizable(&operations) {
            return Err(format!("BROKEN linearizability: no order explains what clients found in register {register}"));
        }
    }
    Ok(checked)
}

/// Whether one register explains all of it, beginning empty.
pub fn is_linearizable(operations: &[Operation]) -> bool {
    let mut search = Search::of(operations);
    search.run()
}

/// Calls and answers in their order, as a list from which placed operations are taken out and put back.
struct Search<'a> {
    operations: &'a [Operation],
    /// Which operation each event belongs to, and whether it is its answer. Event 0 is before everything.
    events: Vec<(usize, bool)>,
    next: Vec<usize>,
    previous: Vec<usize>,
    /// The events of each operation: its call, and its answer.
    places: Vec<(usize, Option<usize>)>,
    placed: Vec<u64>,
    /// Answers that are not explained yet.
    missing: usize,
    seen: HashSet<(Vec<u64>, State)>,
}

impl<'a> Search<'a> {
    fn of(operations: &'a [Operation]) -> Search<'a> {
        let calls = operations.iter().enumerate().map(|(at, operation)| (operation.began, at, false));
        let ended = |(at, operation): (usize, &Operation)| operation.ended.map(|(ended, _)| (ended, at, true));
        let mut order: Vec<(u64, usize, bool)> = calls.chain(operations.iter().enumerate().filter_map(ended)).collect();
        order.sort_unstable();
        let mut events = vec![(usize::MAX, false)];
        events.extend(order.into_iter().map(|(_, at, answer)| (at, answer)));
        let mut places = vec![(0, None); operations.len()];
        for (event, (at, answer)) in events.iter().enumerate().skip(1) {
            match answer {
                false => places[*at].0 = event,
                true => places[*at].1 = Some(event),
            }
        }
        let count = events.len();
        Search {
            operations,
            next: (1..=count).collect(),
            previous: (0..count).map(|event| event.saturating_sub(1)).chain([count - 1]).collect(),
            events,
            places,
            placed: vec![0; operations.len().div_ceil(64)],
            missing: operations.iter().filter(|operation| operation.ended.is_some()).count(),
            seen: HashSet::new(),
        }
    }

    fn run(&mut self) -> bool {
        let end = self.events.len();
        let mut state: State = None;
        let mut stack: Vec<(usize, State)> = Vec::new();
        let mut event = self.next[0];
        while self.missing > 0 {
            let is_call = event < end && !self.events[event].1;
            if is_call {
                let operation = self.events[event].0;
                let after = self.operations[operation].apply(state).filter(|after| self.is_new(operation, *after));
                match after {
                    Some(after) => {
                        stack.push((operation, state));
                        state = after;
                        self.place(operation);
                        event = self.next[0];
                    }
                    None => event = self.next[event],
                }
                continue;
            }
            // An answer whose call could not be placed before it: what was placed last was placed too early.
            let Some((operation, before)) = stack.pop() else { return false };
            state = before;
            self.put_back(operation);
            event = self.next[self.places[operation].0];
        }
        true
    }

    /// Whether this set with this state was not searched before.
    fn is_new(&mut self, operation: usize, after: State) -> bool {
        let mut placed = self.placed.clone();
        placed[operation / 64] |= 1 << (operation % 64);
        self.seen.insert((placed, after))
    }

    fn place(&mut self, operation: usize) {
        self.placed[operation / 64] |= 1 << (operation % 64);
        let (call, answer) = self.places[operation];
        self.take_out(call);
        if let Some(answer) = answer {
            self.take_out(answer);
            self.missing -= 1;
        }
    }

    fn put_back(&mut self, operation: usize) {
        self.placed[operation / 64] &= !(1 << (operation % 64));
        let (call, answer) = self.places[operation];
        if let Some(answer) = answer {
            self.put_in(answer);
            self.missing += 1;
        }
        self.put_in(call);
    }

    fn take_out(&mut self, event: usize) {
        let (before, after) = (self.previous[event], self.next[event]);
        self.next[before] = after;
        self.previous[after] = before;
    }

    fn put_in(&mut self, event: usize) {
        let (before, after) = (self.previous[event], self.next[event]);
        self.next[before] = event;
        self.previous[after] = event;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Die;
    use todc_utils::specifications::Specification;
    use todc_utils::{Action, History, WGLChecker};

    fn done(ask: Ask, began: u64, ended: u64, found: State) -> Operation {
        Operation { ask, began, ended: Some((ended, found)) }
    }

    fn unknown(ask: Ask, began: u64) -> Operation {
        Operation { ask, began, ended: None }
    }

    const PUT_1: Ask = Ask::Put(0, 1);
    const PUT_2: Ask = Ask::Put(0, 2);
    const GET: Ask = Ask::Get(0);

    #[test]
    fn a_read_sees_what_was_put_before_it() {
        assert!(is_linearizable(&[done(PUT_1, 1, 2, None), done(GET, 3, 4, Some(1))]));
        assert!(!is_linearizable(&[done(PUT_1, 1, 2, None), done(GET, 3, 4, None)]), "a stale read");
        assert!(!is_linearizable(&[done(PUT_1, 1, 2, None), done(GET, 3, 4, Some(2))]), "from nowhere");
    }

    #[test]
    fn what_overlaps_may_come_in_any_order() {
        for found in [None, Some(1)] {
            assert!(is_linearizable(&[done(PUT_1, 1, 4, None), done(GET, 2, 3, found)]));
        }
        let reads = |first, second| [done(PUT_1, 1, 9, None), done(GET, 2, 3, first), done(GET, 4, 5, second)];
        assert!(is_linearizable(&reads(None, Some(1))));
        assert!(!is_linearizable(&reads(Some(1), None)), "once seen it stays seen");
    }

    #[test]
    fn two_puts_cannot_both_find_nothing() {
        assert!(is_linearizable(&[done(PUT_1, 1, 4, None), done(PUT_2, 2, 3, Some(1))]));
        assert!(!is_linearizable(&[done(PUT_1, 1, 4, None), done(PUT_2, 2, 3, None)]), "a lost update");
    }

    #[test]
    fn an_unknown_outcome_may_be_either_and_late() {
        assert!(is_linearizable(&[unknown(PUT_1, 1), done(GET, 2, 3, None)]));
        assert!(is_linearizable(&[unknown(PUT_1, 1), done(GET, 2, 3, None), done(GET, 4, 5, Some(1))]));
        assert!(!is_linearizable(&[unknown(PUT_1, 4), done(GET, 2, 3, Some(1))]), "before it was asked for");
        let twice = [unknown(PUT_1, 1), done(PUT_2, 2, 3, Some(1)), done(PUT_2, 4, 5, Some(1))];
        assert!(!is_linearizable(&twice), "applied twice");
    }

    #[test]
    fn a_replacement_takes_place_only_if_it_finds_what_it_expects() {
        let replace = Ask::Replace(0, Some(1), 5);
        assert!(is_linearizable(&[done(PUT_1, 1, 2, None), done(replace, 3, 4, Some(1)), done(GET, 5, 6, Some(5))]));
        assert!(is_linearizable(&[done(PUT_2, 1, 2, None), done(replace, 3, 4, Some(2)), done(GET, 5, 6, Some(2))]));
        assert!(!is_linearizable(&[done(PUT_2, 1, 2, None), done(replace, 3, 4, Some(2)), done(GET, 5, 6, Some(5))]));
    }

    /// The same register for the other checker.
    struct Register;

    impl Specification for Register {
        type State = State;
        type Operation = Operation;

        fn init() -> State {
            None
        }

        fn apply(operation: &Operation, state: &State) -> (bool, State) {
            operation.apply(*state).map_or((false, *state), |after| (true, after))
        }
    }

    /// A history of a true register with a few threads, some of it falsified.
    fn history(die: &mut Die) -> Vec<Operation> {
        let (mut time, mut state) = (0, None);
        let mut operations: Vec<Operation> = Vec::new();
        for item in 1..=(4 + die.below(20) as u64) {
            let ask = match die.below(3) {
                0 => GET,
                1 => Ask::Put(0, item),
                _ => Ask::Replace(0, state.filter(|_| die.below(2) == 0), item),
            };
            let found = if die.below(30) == 0 { Some(die.below(item as usize) as u64 + 1) } else { state };
            time += 10;
            // Its moment is `time`; it begins before and ends after, which overlaps with its neighbours.
            let (began, ended) = (time - die.below(25).min(time as usize) as u64, time + die.below(25) as u64 + 1);
            operations.push(done(ask, began * 64 + item, ended * 64 + item, found));
            state = Operation { ask, began: 0, ended: None }.apply(state).unwrap_or(state);
        }
        operations
    }

    fn as_the_other_wants_it(operations: &[Operation]) -> History<Operation> {
        let mut actions: Vec<(u64, usize, Action<Operation>)> = Vec::new();
        for (at, operation) in operations.iter().enumerate() {
            let Some((ended, _)) = operation.ended else { continue };
            actions.push((operation.began, at, Action::Call(*operation)));
            actions.push((ended, at, Action::Response(*operation)));
        }
        actions.sort_by_key(|(when, ..)| *when);
        History::from_actions(actions.into_iter().map(|(_, at, action)| (at, action)).collect())
    }

    #[test]
    fn another_checker_says_the_same() {
        let mut die = Die::new(7);
        let mut verdicts = [0, 0];
        for _ in 0..2000 {
            let operations = history(&mut die);
            let ours = is_linearizable(&operations);
            assert_eq!(
                ours,
                WGLChecker::<Register>::is_linearizable(as_the_other_wants_it(&operations)),
                "{operations:?}"
            );
            verdicts[usize::from(ours)] += 1;
        }
        assert!(verdicts.iter().all(|times| *times > 200), "both verdicts are met: {verdicts:?}");
    }

    #[test]
    fn long_histories_take_no_time() {
        let operation = |at: u64| done(Ask::Put(0, at), at * 10, at * 10 + 35, at.checked_sub(1).filter(|it| *it > 0));
        let operations: Vec<Operation> = (1..=3000).map(operation).collect();
        assert!(is_linearizable(&operations));
    }
}
