//! While a leader's lease lasts nobody commits in a later term (thesis §6.4.1).
//!
//! Compared in the simulation's time, which no member knows. Holds only while clocks drift less than the margin allows.

use super::{Property, Seen, World, require, step};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "lease exclusivity", ids: "I34, I25", check };

fn check(event: &Event, _: &Seen, world: &World<'_>) -> Result<(), String> {
    let Some((before, after)) = step(event).filter(|(_, after)| after.leads()) else { return Ok(()) };
    if after.commit <= before.commit {
        return Ok(());
    }
    let deceived = world.portraits.values().find(|other| {
        other.leads() && other.term() < after.term() && other.lease.is_some_and(|until| world.now < until)
    });
    require(deceived.is_none(), || {
        let who = deceived.map(|other| Name(other.id).to_string()).unwrap_or_default();
        format!("{} commits in term {} while {who} holds a lease", Name(after.id), after.term())
    })
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{committed, fires, holds, leader, moved};
    use std::time::Duration;

    #[test]
    fn fires_when_a_successor_commits_too_early() {
        let before = leader('B', 2, &[1, 2]);
        let mut a = leader('A', 1, &[1]);
        // The world of these tests stands at one second.
        a.lease = Some(Duration::from_millis(1000));
        holds(&PROPERTY, &moved(&before, &committed(before.clone(), 2)), &Seen::default(), &[&a]);
        a.lease = Some(Duration::from_millis(1001));
        fires(&PROPERTY, &moved(&before, &committed(before.clone(), 2)), &Seen::default(), &[&a]);
    }
}
