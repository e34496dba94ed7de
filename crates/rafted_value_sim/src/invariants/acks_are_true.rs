//! An acknowledgement is true: the follower's disk has the leader's log up to there (thesis §3.5).
//!
//! Whole families of bugs end here: stale tails, overwritten writes, acks of the end of the log.

use super::{Property, Seen, World, require};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "ack truth", ids: "I12, I45", check };

fn check(event: &Event, seen: &Seen, world: &World<'_>) -> Result<(), String> {
    let Event::Acknowledged { by, term, upto } = event else { return Ok(()) };
    let (Some(theirs), Some(ours)) = (seen.leader_logs.get(term), world.portraits.get(by)) else { return Ok(()) };
    require(ours.durable.log.agrees(theirs, *upto), || {
        format!("{} acknowledged {upto} in term {term}, but its disk has something else up to there", Name(*by))
    })
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::event::Event;
    use crate::invariants::fixture::{fires, having_seen, holds, leader, log, member, portrait};
    use rafted_value_core::{LogIndex, Term};

    fn ack(upto: u64) -> Event {
        Event::Acknowledged { by: member('B'), term: Term(2), upto: LogIndex(upto) }
    }

    #[test]
    fn fires_for_a_stale_tail() {
        let seen = having_seen(&[&leader('A', 2, &[1, 1, 2])]);
        let b = portrait('B', 2, &[1, 1, 1]);
        holds(&PROPERTY, &ack(2), &seen, &[&b]);
        fires(&PROPERTY, &ack(3), &seen, &[&b]);
    }

    #[test]
    fn fires_for_what_is_not_synced() {
        let seen = having_seen(&[&leader('A', 2, &[1, 1, 2])]);
        let mut b = portrait('B', 2, &[1, 1, 2]);
        holds(&PROPERTY, &ack(3), &seen, &[&b]);
        b.durable.log = log(&[1, 1], &[]);
        fires(&PROPERTY, &ack(3), &seen, &[&b]);
    }
}
