//! A leader confirms no read before an entry of its own term is committed (thesis §6.4).
//!
//! Until then it does not know what its predecessors committed.

use super::{Property, Seen, World, require};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "no read before own-term entry", ids: "I36", check };

fn check(event: &Event, _: &Seen, world: &World<'_>) -> Result<(), String> {
    let Event::ReadConfirmed { by, index, .. } = event else { return Ok(()) };
    let Some(leader) = world.portraits.get(by) else { return Ok(()) };
    let knows = leader.term_start().is_some_and(|start| start <= *index);
    require(leader.leads() && knows, || {
        format!("{} confirms a read of entry {index} before it has committed in term {}", Name(*by), leader.term())
    })
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::event::Event;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{fires, holds, leader, member, portrait};
    use rafted_value_core::LogIndex;

    #[test]
    fn fires_for_a_new_leader_that_does_not_know_its_commit_index() {
        let read = |index| Event::ReadConfirmed { by: member('A'), index: LogIndex(index), floor: LogIndex(0) };
        let a = leader('A', 2, &[1, 1, 2]);
        holds(&PROPERTY, &read(3), &Seen::default(), &[&a]);
        fires(&PROPERTY, &read(2), &Seen::default(), &[&a]);
    }

    #[test]
    fn fires_for_somebody_who_does_not_lead() {
        let read = Event::ReadConfirmed { by: member('A'), index: LogIndex(2), floor: LogIndex(0) };
        fires(&PROPERTY, &read, &Seen::default(), &[&portrait('A', 2, &[1, 2])]);
    }
}
