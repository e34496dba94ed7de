//! A leader that a committed membership no longer lets vote does not lead on (thesis §4.2.2).
//!
//! It may lead until then, without counting itself.

use super::{Property, Seen, World, require, step};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "removed leader leaves", ids: "I32", check };

fn check(event: &Event, _: &Seen, _: &World<'_>) -> Result<(), String> {
    let Some((_, after)) = step(event).filter(|(_, after)| after.leads()) else { return Ok(()) };
    let (at, membership) = after.log.membership();
    let gone = at <= after.commit && !membership.is_voter(after.id);
    require(!gone, || format!("{} leads although entry {at} removed it", Name(after.id)))
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{committed, fires, holds, leader, log, moved, voters};

    #[test]
    fn fires_once_the_removal_is_committed() {
        let mut a = leader('A', 1, &[1, 1]);
        a.log = log(&[1, 1], &[(2, voters("BC"))]);
        holds(&PROPERTY, &moved(&a, &committed(a.clone(), 1)), &Seen::default(), &[]);
        fires(&PROPERTY, &moved(&a, &committed(a.clone(), 2)), &Seen::default(), &[]);
    }
}
