//! No lost acknowledgement: what a client was told is done is committed, and stays.
//!
//! That it stays is what makes a write worth acknowledging: every new leader must have it.

use super::{Property, Seen, World, require};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "no lost ack", ids: "I38", check };

fn check(event: &Event, seen: &Seen, _: &World<'_>) -> Result<(), String> {
    if let Event::Done { id, .. } = event {
        let stands = seen.committed.at(id.index).is_some_and(|link| link.id == *id);
        return require(stands, || format!("a client was told that {id} is done, but it is not committed"));
    }
    let Some((_, after)) = super::step(event).filter(|(_, after)| after.leads()) else { return Ok(()) };
    // A leader of an earlier term that does not know yet is no loss; the latest is the truth.
    let latest = seen.leaders.keys().next_back().is_none_or(|term| after.term() >= *term);
    let lost = seen.done.iter().find(|id| after.log.at(id.index).is_none_or(|link| link.id != **id));
    require(!latest || lost.is_none(), || {
        format!(
            "{} leads, but {} is gone, of which a client was told that it is done",
            Name(after.id),
            lost.copied().unwrap_or_default()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::event::Event;
    use crate::invariants::fixture::{committed, fires, having_seen, holds, leader, member, moved, portrait};
    use rafted_value_core::EntryId;

    #[test]
    fn fires_for_an_acknowledgement_of_something_uncommitted() {
        let seen = having_seen(&[&committed(portrait('A', 2, &[1, 2]), 1)]);
        holds(&PROPERTY, &Event::Done { by: member('A'), id: EntryId::new(1, 1) }, &seen, &[]);
        fires(&PROPERTY, &Event::Done { by: member('A'), id: EntryId::new(2, 2) }, &seen, &[]);
    }

    #[test]
    fn fires_for_a_leader_without_an_acknowledged_entry() {
        let mut seen = having_seen(&[&committed(portrait('A', 2, &[1, 2]), 2)]);
        seen.remember(Event::Done { by: member('A'), id: EntryId::new(2, 2) });
        let before = portrait('B', 3, &[1]);
        holds(&PROPERTY, &moved(&before, &leader('B', 3, &[1, 2, 3])), &seen, &[]);
        fires(&PROPERTY, &moved(&before, &leader('B', 3, &[1, 3])), &seen, &[]);
    }
}
