//! State machine safety: at an index everybody applies the same, and has applied the same before (thesis §3.2).
//!
//! It is what users see of consensus.

use super::{Property, Seen, World, require};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "state machine safety", ids: "I7", check };

fn check(event: &Event, seen: &Seen, _: &World<'_>) -> Result<(), String> {
    let Event::Applied { by, id, hash } = event else { return Ok(()) };
    let earlier = seen.applied.get(&id.index).unwrap_or(hash);
    require(earlier == hash, || format!("{} applied {id}, others something else at that index", Name(*by)))
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::event::Event;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{fires, holds, member};
    use rafted_value_core::EntryId;

    #[test]
    fn fires_when_two_members_apply_different_entries() {
        let applied = |by, term, hash| Event::Applied { by: member(by), id: EntryId::new(term, 5), hash };
        let mut seen = Seen::default();
        seen.remember(applied('A', 1, 7));
        holds(&PROPERTY, &applied('B', 1, 7), &seen, &[]);
        fires(&PROPERTY, &applied('B', 2, 8), &seen, &[]);
    }
}
