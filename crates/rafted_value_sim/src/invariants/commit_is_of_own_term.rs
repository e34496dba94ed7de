//! A leader counts replicas only for entries of its own term (thesis §3.6.2, figure 3.7).
//!
//! Entries of earlier terms are committed by what follows them, never by being counted.

use super::{Property, Seen, World, require, step};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "current-term commit rule", ids: "I10", check };

fn check(event: &Event, _: &Seen, _: &World<'_>) -> Result<(), String> {
    let Some((before, after)) = step(event) else { return Ok(()) };
    let commits = after.leads() && before.term() == after.term() && after.commit > before.commit;
    let own = after.log.at(after.commit).is_some_and(|link| link.id.term == after.term());
    require(!commits || own, || {
        format!("{} led term {} and committed {} of an earlier term", Name(after.id), after.term(), after.commit)
    })
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{committed, fires, holds, leader, moved};

    #[test]
    fn fires_for_an_entry_of_an_earlier_term() {
        let before = leader('A', 4, &[1, 2, 4]);
        holds(&PROPERTY, &moved(&before, &committed(before.clone(), 3)), &Seen::default(), &[]);
        fires(&PROPERTY, &moved(&before, &committed(before.clone(), 2)), &Seen::default(), &[]);
    }
}
