//! A member whose storage failed says nothing more: it does not know what it would remember.
//!
//! Until it starts again, from what is really there.

use super::{Property, Seen, World, require};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "silent after a failure", ids: "I47", check };

fn check(event: &Event, _: &Seen, world: &World<'_>) -> Result<(), String> {
    let Event::Spoke { by, .. } = event else { return Ok(()) };
    let halted = world.portraits.get(by).is_some_and(|portrait| portrait.halted);
    require(!halted, || format!("{} speaks although it halted", Name(*by)))
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::event::Event;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{fires, holds, portrait};
    use rafted_value_core::Term;

    #[test]
    fn fires_for_a_word_of_a_halted_member() {
        let mut a = portrait('A', 1, &[1]);
        let speaks = Event::Spoke { by: a.id, term: Term(1) };
        holds(&PROPERTY, &speaks, &Seen::default(), &[&a]);
        a.halted = true;
        fires(&PROPERTY, &speaks, &Seen::default(), &[&a]);
    }
}
