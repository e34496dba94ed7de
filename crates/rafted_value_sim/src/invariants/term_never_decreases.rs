//! A member's term never decreases, also across a restart (thesis §3.3).
//!
//! A crash may take back only what never left the member.

use super::{Property, Seen, World, require, step};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "terms never decrease", ids: "I17", check };

fn check(event: &Event, _: &Seen, _: &World<'_>) -> Result<(), String> {
    let Some((before, after)) = step(event) else { return Ok(()) };
    require(
        after.durable.hard_state.term() >= before.durable.hard_state.term()
            && (!before.up || after.term() >= before.term()),
        || format!("the term of {} went from {} to {}", Name(after.id), before.term(), after.term()),
    )
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{fires, holds, moved, portrait};

    #[test]
    fn fires_when_the_term_goes_back() {
        let (young, old) = (portrait('A', 2, &[1]), portrait('A', 3, &[1]));
        holds(&PROPERTY, &moved(&young, &old), &Seen::default(), &[]);
        fires(&PROPERTY, &moved(&old, &young), &Seen::default(), &[]);
    }
}
