//! Whatever a member says reveals its term: it is synced before anything leaves (thesis §3.8).
//!
//! A member that spoke in a term and forgot it could speak in it again.

use super::{Property, Seen, World, require};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "nothing revealed before it is durable", ids: "I45", check };

fn check(event: &Event, _: &Seen, world: &World<'_>) -> Result<(), String> {
    let Event::Spoke { by, term } = event else { return Ok(()) };
    let Some(speaker) = world.portraits.get(by) else { return Ok(()) };
    let synced = speaker.durable.hard_state.term();
    require(synced >= *term, || format!("{} spoke in term {term}, but its disk knows only term {synced}", Name(*by)))
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::event::Event;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{fires, holds, member, portrait};
    use rafted_value_core::Term;

    #[test]
    fn fires_for_a_term_that_is_not_synced() {
        let spoke = |term| Event::Spoke { by: member('A'), term: Term(term) };
        let a = portrait('A', 2, &[1]);
        holds(&PROPERTY, &spoke(2), &Seen::default(), &[&a]);
        fires(&PROPERTY, &spoke(3), &Seen::default(), &[&a]);
    }
}
