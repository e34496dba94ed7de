//! A member votes once in a term, and its disk says so before the vote leaves (thesis §3.4).
//!
//! A vote that a crash can undo can be given twice.

use super::{Property, Seen, World, require};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "vote once", ids: "I2", check };

fn check(event: &Event, seen: &Seen, world: &World<'_>) -> Result<(), String> {
    let Event::Voted { by, to, term } = event else { return Ok(()) };
    let earlier = seen.votes.get(&(*by, *term)).copied().unwrap_or(*to);
    require(earlier == *to, || {
        format!("{} voted for {} and for {} in term {term}", Name(*by), Name(earlier), Name(*to))
    })?;
    let Some(voter) = world.portraits.get(by) else { return Ok(()) };
    let synced = voter.durable.hard_state;
    require(synced.term() == *term && synced.voted_for() == Some(*to), || {
        format!("the vote of {} for {} left, but its disk says {synced:?}", Name(*by), Name(*to))
    })
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::event::Event;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{fires, holds, member, portrait};
    use crate::portrait::Portrait;
    use rafted_value_core::{HardState, Term};

    fn voter(disk_says: char) -> Portrait {
        let mut voter = portrait('C', 3, &[1]);
        voter.durable.hard_state = HardState::new(Term(3), Some(member(disk_says)));
        voter
    }

    fn vote(to: char) -> Event {
        Event::Voted { by: member('C'), to: member(to), term: Term(3) }
    }

    #[test]
    fn fires_for_a_second_vote() {
        let mut seen = Seen::default();
        holds(&PROPERTY, &vote('A'), &seen, &[&voter('A')]);
        seen.remember(vote('A'));
        holds(&PROPERTY, &vote('A'), &seen, &[&voter('A')]);
        fires(&PROPERTY, &vote('B'), &seen, &[&voter('B')]);
    }

    #[test]
    fn fires_for_a_vote_that_is_not_synced() {
        fires(&PROPERTY, &vote('A'), &Seen::default(), &[&portrait('C', 3, &[1])]);
    }
}
