//! Election safety: a term has at most one leader, ever (thesis §3.2).
//!
//! "Ever", not "at a time": a leader that fell and another that rose in the same term would pass a look at any instant.

use super::{Property, Seen, World, require, step};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "election safety", ids: "I1", check };

fn check(event: &Event, seen: &Seen, _: &World<'_>) -> Result<(), String> {
    let Some((_, after)) = step(event).filter(|(_, after)| after.leads()) else { return Ok(()) };
    let known = seen.leaders.get(&after.term()).copied().unwrap_or(after.id);
    require(known == after.id, || format!("{} and {} both led term {}", Name(known), Name(after.id), after.term()))
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::invariants::fixture::{fires, having_seen, holds, leader, moved, portrait};

    #[test]
    fn fires_for_a_second_leader_even_after_the_first_is_gone() {
        let (a, b) = (leader('A', 2, &[1, 2]), leader('B', 2, &[1, 2]));
        let seen = having_seen(&[&a, &portrait('A', 3, &[1, 2])]);
        holds(&PROPERTY, &moved(&a, &a), &seen, &[]);
        fires(&PROPERTY, &moved(&b, &b), &seen, &[]);
    }
}
