//! What a leader commits is synced on a majority of its membership (thesis §3.6, §10.2.1).
//!
//! Looks at disks, whoever they belong to and whether their members are up.

use super::{Property, Seen, World, require, step};
use crate::event::Event;
use crate::invariants::majority::is_majority;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "commit has a durable quorum", ids: "I9, I16, I30", check };

fn check(event: &Event, _: &Seen, world: &World<'_>) -> Result<(), String> {
    let Some((before, after)) = step(event) else { return Ok(()) };
    if !after.leads() || after.commit <= before.commit {
        return Ok(());
    }
    let has = |id| world.portraits.get(&id).is_some_and(|other| other.durable.log.agrees(&after.log, after.commit));
    // What it commits may let it change the membership in the same step: that one has not decided yet.
    require(is_majority(&before.membership, has), || {
        format!("{} committed {} which is not synced on a majority", Name(after.id), after.commit)
    })
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{committed, fires, holds, leader, moved, portrait};

    #[test]
    fn fires_when_a_disk_is_behind() {
        let before = leader('A', 2, &[1, 2]);
        let after = committed(before.clone(), 2);
        let (mut b, c) = (portrait('B', 2, &[1, 2]), portrait('C', 2, &[1]));
        holds(&PROPERTY, &moved(&before, &after), &Seen::default(), &[&b, &c]);
        b.durable.log = c.durable.log.clone();
        fires(&PROPERTY, &moved(&before, &after), &Seen::default(), &[&b, &c]);
    }
}
