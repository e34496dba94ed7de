//! base <= applied <= commit <= last (thesis §5).
//!
//! Nothing is applied that is not committed, nothing dropped that is not applied.

use super::{Property, Seen, World, require, step};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "indexes in order", ids: "I22", check };

fn check(event: &Event, _: &Seen, _: &World<'_>) -> Result<(), String> {
    let Some((_, after)) = step(event) else { return Ok(()) };
    require([after.base, after.applied, after.commit, after.last].is_sorted(), || {
        format!(
            "{}: base {} applied {} commit {} last {}",
            Name(after.id),
            after.base,
            after.applied,
            after.commit,
            after.last
        )
    })
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{committed, fires, holds, moved, portrait};
    use rafted_value_core::LogIndex;

    #[test]
    fn fires_when_something_uncommitted_is_applied() {
        let mut member = committed(portrait('A', 2, &[1, 2]), 1);
        holds(&PROPERTY, &moved(&member, &member), &Seen::default(), &[]);
        let before = member.clone();
        member.applied = LogIndex(2);
        fires(&PROPERTY, &moved(&before, &member), &Seen::default(), &[]);
    }
}
