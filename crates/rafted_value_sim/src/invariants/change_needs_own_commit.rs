//! A leader changes the membership only after an entry of its own term is committed.
//!
//! Ongaro's correction of 2015: otherwise two leaders may each work with a membership that the other does not know.

use super::{Property, Seen, World, require, step};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "change only after own-term commit", ids: "I28", check };

fn check(event: &Event, _: &Seen, _: &World<'_>) -> Result<(), String> {
    let Some((before, after)) = step(event) else { return Ok(()) };
    if !(before.leads() && after.leads() && before.term() == after.term()) {
        return Ok(());
    }
    let proposes = after.log.beyond(&before.log).any(|link| link.membership.is_some());
    let settled = after.term_start().is_some_and(|start| after.commit >= start);
    require(!proposes || settled, || {
        format!("{} changes the membership before it committed anything in term {}", Name(after.id), after.term())
    })
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{committed, fires, holds, leader, log, moved, voters};

    #[test]
    fn fires_for_a_change_before_the_first_commit() {
        let before = leader('A', 2, &[1, 2]);
        let mut after = leader('A', 2, &[1, 2, 2]);
        after.log = log(&[1, 2, 2], &[(3, voters("ABCD"))]);
        fires(&PROPERTY, &moved(&before, &committed(after.clone(), 1)), &Seen::default(), &[]);
        holds(&PROPERTY, &moved(&before, &committed(after, 2)), &Seen::default(), &[]);
    }
}
