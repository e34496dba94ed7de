//! A vote goes only to a candidate whose log is not behind the voter's (thesis §3.6.1).
//!
//! By last term first, then by length. Looks at the moment of the decision: until the vote is synced and leaves, the
//! candidate may have been elected by others and the voter have its entries.

use super::{Property, Seen, World, require, step};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "up-to-date rule", ids: "I14", check };

fn check(event: &Event, seen: &Seen, _: &World<'_>) -> Result<(), String> {
    let Some((before, after)) = step(event) else { return Ok(()) };
    let vote = after.hard_state.voted_for().filter(|_| before.up && before.hard_state != after.hard_state);
    let Some(to) = vote else { return Ok(()) };
    let Some(candidate) = seen.campaigns.get(&(to, after.term())) else { return Ok(()) };
    let own = before.log.last();
    require((candidate.term, candidate.index) >= (own.term, own.index), || {
        format!("{} has {own} and votes for {}, which has {candidate}", Name(after.id), Name(to))
    })
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::event::Event;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{fires, holds, member, moved, portrait};
    use rafted_value_core::{EntryId, HardState, Term};

    #[test]
    fn fires_for_a_longer_log_of_an_older_term() {
        let mut seen = Seen::default();
        seen.remember(Event::Campaigned { by: member('A'), term: Term(4), last: EntryId::new(2, 9) });
        let votes = |terms: &[u64]| {
            let before = portrait('B', 4, terms);
            let mut after = before.clone();
            after.hard_state = HardState::new(Term(4), Some(member('A')));
            moved(&before, &after)
        };
        holds(&PROPERTY, &votes(&[1, 2]), &seen, &[]);
        fires(&PROPERTY, &votes(&[1, 3]), &seen, &[]);
    }
}
