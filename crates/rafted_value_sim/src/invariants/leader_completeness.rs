//! Leader completeness: a new leader has everything that was ever committed (thesis §3.2).
//!
//! This is what the election restriction is for.

use super::{Property, Seen, World, require, step};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "leader completeness", ids: "I6", check };

fn check(event: &Event, seen: &Seen, _: &World<'_>) -> Result<(), String> {
    let Some((before, after)) = step(event) else { return Ok(()) };
    // Only entries of earlier terms: what is committed while it leads is committed by it.
    let elected = after.leads() && !(before.leads() && before.term() == after.term());
    require(!elected || seen.committed.begins(&after.log), || {
        format!("{} leads term {} but lacks committed entries", Name(after.id), after.term())
    })
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::invariants::fixture::{committed, fires, having_seen, holds, leader, moved, portrait};

    #[test]
    fn fires_for_a_leader_that_lacks_a_committed_entry() {
        let seen = having_seen(&[&committed(portrait('A', 2, &[1, 2]), 2)]);
        let before = portrait('B', 3, &[1]);
        holds(&PROPERTY, &moved(&before, &leader('B', 3, &[1, 2, 3])), &seen, &[]);
        fires(&PROPERTY, &moved(&before, &leader('B', 3, &[1, 3])), &seen, &[]);
        fires(&PROPERTY, &moved(&before, &leader('B', 3, &[1])), &seen, &[]);
    }
}
