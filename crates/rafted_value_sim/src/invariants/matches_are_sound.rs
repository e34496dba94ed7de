//! What a leader believes of a follower is true: the follower's disk has the leader's log up to its match.
//!
//! Holds for members that are down as well: a crash must not take an acknowledgement back. A follower that has gone on to
//! a later term may follow another leader's log; the one before may not know yet.

use super::{Property, Seen, World, require, step};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "match soundness", ids: "I13", check };

fn check(event: &Event, _: &Seen, world: &World<'_>) -> Result<(), String> {
    let Some((_, after)) = step(event).filter(|(_, after)| after.leads()) else { return Ok(()) };
    let wrong = after.matched.iter().find(|(id, matched)| {
        world.portraits.get(id).is_some_and(|follower| {
            let durable = &follower.durable;
            durable.hard_state.term() <= after.term() && !durable.log.agrees(&after.log, *matched)
        })
    });
    require(wrong.is_none(), || {
        let names = wrong.map(|(id, matched)| format!("{} has its log up to {matched}", Name(*id)));
        format!("{} believes that {}", Name(after.id), names.unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{fires, holds, leader, moved, portrait};
    use rafted_value_core::LogIndex;

    #[test]
    fn fires_for_a_match_beyond_the_common_prefix() {
        let mut a = leader('A', 2, &[1, 1, 2]);
        let b = portrait('B', 1, &[1, 1, 1]);
        a.matched = vec![(b.id, LogIndex(2))];
        holds(&PROPERTY, &moved(&a, &a), &Seen::default(), &[&b]);
        a.matched = vec![(b.id, LogIndex(3))];
        fires(&PROPERTY, &moved(&a, &a), &Seen::default(), &[&b]);
    }

    #[test]
    fn a_follower_of_a_later_term_may_have_gone_on() {
        let mut a = leader('A', 2, &[1, 1, 2]);
        let b = portrait('B', 3, &[1, 1, 3]);
        a.matched = vec![(b.id, LogIndex(3))];
        holds(&PROPERTY, &moved(&a, &a), &Seen::default(), &[&b]);
    }
}
