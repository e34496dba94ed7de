//! A command runs once, however often it is sent (thesis §6.3).
//!
//! Every reply says where its command ran. Whoever applies it first runs it there and then; whoever meets it later, in
//! another entry or on another member, tells of the same place.

use super::{Property, Seen, World, require};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "exactly once", ids: "I37", check };

fn check(event: &Event, seen: &Seen, _: &World<'_>) -> Result<(), String> {
    let Event::Ran { by, ticket: (session, number), here, place, .. } = event else { return Ok(()) };
    let first = seen.ran.get(&(*session, *number)).map_or(here, |ran| &ran.place);
    require(place == first, || {
        format!(
            "{} ran command {number} of session {} at {place:?}, but it ran at {first:?} before",
            Name(*by),
            session.index
        )
    })
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{fires, holds, ran};

    #[test]
    fn fires_when_a_retry_runs_again() {
        let mut seen = Seen::default();
        holds(&PROPERTY, &ran(7, 7, true), &seen, &[]);
        fires(&PROPERTY, &ran(7, 6, true), &seen, &[]);
        seen.remember(ran(7, 7, true));
        holds(&PROPERTY, &ran(9, 7, true), &seen, &[]);
        fires(&PROPERTY, &ran(9, 9, true), &seen, &[]);
    }
}
