//! Within a term a vote is given once and stays (thesis §3.4).
//!
//! No change of role takes it back, nor does a restart once it is synced.

use super::{Property, Seen, World, require, step};
use crate::event::Event;
use crate::name::Name;
use rafted_value_core::HardState;

pub(super) const PROPERTY: Property = Property { name: "vote never changes", ids: "I18", check };

fn check(event: &Event, _: &Seen, _: &World<'_>) -> Result<(), String> {
    let Some((before, after)) = step(event) else { return Ok(()) };
    let kept = |earlier: HardState, later: HardState| {
        earlier.term() != later.term() || earlier.voted_for().is_none() || earlier.voted_for() == later.voted_for()
    };
    let in_memory = !before.up || kept(before.hard_state, after.hard_state);
    require(in_memory && kept(before.durable.hard_state, after.durable.hard_state), || {
        format!("{} changed its vote in term {}", Name(after.id), after.term())
    })
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{fires, holds, member, moved, portrait};
    use rafted_value_core::{HardState, Term};

    #[test]
    fn fires_when_a_vote_is_forgotten_or_changed() {
        let voted = |to| {
            let mut voter = portrait('C', 2, &[1]);
            voter.hard_state = HardState::new(Term(2), to);
            voter
        };
        let (none, a, b) = (voted(None), voted(Some(member('A'))), voted(Some(member('B'))));
        holds(&PROPERTY, &moved(&none, &a), &Seen::default(), &[]);
        fires(&PROPERTY, &moved(&a, &b), &Seen::default(), &[]);
        fires(&PROPERTY, &moved(&a, &none), &Seen::default(), &[]);
    }
}
