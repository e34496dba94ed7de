//! Leader completeness: a new leader has everything that was committed in earlier terms (thesis §3.2).
//!
//! This is what the election restriction is for. Whoever learns late that it won an earlier term may lack what a later
//! one has committed since: the next message deposes it.

use super::{Property, Seen, World, require, step};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "leader completeness", ids: "I6", check };

fn check(event: &Event, seen: &Seen, _: &World<'_>) -> Result<(), String> {
    let Some((before, after)) = step(event) else { return Ok(()) };
    // Only entries of earlier terms: what is committed while it leads is committed by it.
    let elected = after.leads() && !(before.leads() && before.term() == after.term());
    let earlier = seen.committed_in.range(..after.term()).map(|(_, index)| *index).max().unwrap_or_default();
    require(!elected || seen.committed.agrees(&after.log, earlier), || {
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

    #[test]
    fn a_late_leader_of_an_earlier_term_lacks_what_later_ones_committed() {
        let seen = having_seen(&[&committed(leader('A', 1, &[1]), 1), &committed(leader('C', 3, &[1, 3]), 2)]);
        let before = portrait('B', 2, &[1]);
        holds(&PROPERTY, &moved(&before, &leader('B', 2, &[1, 2])), &seen, &[]);
        fires(&PROPERTY, &moved(&portrait('B', 2, &[]), &leader('B', 2, &[2])), &seen, &[]);
    }
}
