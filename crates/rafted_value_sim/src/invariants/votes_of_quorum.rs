//! A leader has the real votes of a majority of its own membership (thesis §3.4, §9.6).
//!
//! Pre-votes, votes of learners, of strangers and of earlier incarnations are none.

use super::{Property, Seen, World, require, step};
use crate::event::Event;
use crate::invariants::majority::is_majority;
use crate::name::Name;
use rafted_value_core::MemberId;

pub(super) const PROPERTY: Property = Property { name: "quorum of real votes", ids: "I3", check };

fn check(event: &Event, seen: &Seen, _: &World<'_>) -> Result<(), String> {
    let Some((before, after)) = step(event) else { return Ok(()) };
    if !after.leads() || (before.leads() && before.term() == after.term()) {
        return Ok(());
    }
    // Its own vote is never sent: its disk is where it was given.
    let own = after.durable.hard_state;
    let voted = |id: MemberId| match id == after.id {
        true => own.term() == after.term() && own.voted_for() == Some(id),
        false => seen.votes.get(&(id, after.term())) == Some(&after.id),
    };
    require(is_majority(&after.membership, voted), || {
        format!("{} leads term {} without the votes of a majority", Name(after.id), after.term())
    })
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::event::Event;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{fires, holds, leader, member, moved, portrait};
    use rafted_value_core::Term;

    #[test]
    fn fires_for_a_leader_with_its_own_vote_only() {
        let (before, after) = (portrait('A', 2, &[1]), leader('A', 2, &[1, 2]));
        let mut seen = Seen::default();
        fires(&PROPERTY, &moved(&before, &after), &seen, &[]);
        seen.remember(Event::Voted { by: member('D'), to: member('A'), term: Term(2) });
        fires(&PROPERTY, &moved(&before, &after), &seen, &[]);
        seen.remember(Event::Voted { by: member('B'), to: member('A'), term: Term(2) });
        holds(&PROPERTY, &moved(&before, &after), &seen, &[]);
    }
}
