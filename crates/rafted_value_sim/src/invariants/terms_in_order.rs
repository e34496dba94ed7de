//! Terms in a log never decrease, and none is above the member's own (thesis §3.5).
//!
//! The cheapest sign of a tail that should have gone.

use super::{Property, Seen, World, require, step};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "terms in order", ids: "I15", check };

fn check(event: &Event, _: &Seen, _: &World<'_>) -> Result<(), String> {
    let Some((before, after)) = step(event) else { return Ok(()) };
    let new = after.log.beyond(&before.log).count();
    let terms = after.log.backwards().take(new + 1).map(|link| link.id.term);
    let ordered = terms.is_sorted_by(|later, earlier| earlier <= later);
    require(ordered && after.log.last().term <= after.term(), || {
        format!("the terms in the log of {} are out of order, or above its term {}", Name(after.id), after.term())
    })
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{fires, holds, moved, portrait};

    #[test]
    fn fires_for_a_smaller_term_behind_a_larger_one() {
        let before = portrait('B', 2, &[1, 1]);
        holds(&PROPERTY, &moved(&before, &portrait('B', 2, &[1, 1, 2])), &Seen::default(), &[]);
        fires(&PROPERTY, &moved(&before, &portrait('B', 2, &[1, 2, 1])), &Seen::default(), &[]);
    }

    #[test]
    fn fires_for_an_entry_of_the_future() {
        let before = portrait('B', 2, &[1, 1]);
        fires(&PROPERTY, &moved(&before, &portrait('B', 2, &[1, 1, 3])), &Seen::default(), &[]);
    }
}
