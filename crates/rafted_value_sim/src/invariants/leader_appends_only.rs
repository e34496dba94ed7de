//! Leader append-only: a leader never removes or changes what stands in its log (thesis §3.2).
//!
//! What it acknowledged to itself it must keep.

use super::{Property, Seen, World, require, step};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "leader append-only", ids: "I5", check };

fn check(event: &Event, _: &Seen, _: &World<'_>) -> Result<(), String> {
    let Some((before, after)) = step(event) else { return Ok(()) };
    let stays = before.leads() && after.leads() && before.term() == after.term();
    require(!stays || before.log.begins(&after.log), || {
        format!("{} changed its log while it led term {}", Name(after.id), after.term())
    })
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{fires, holds, leader, moved};

    #[test]
    fn fires_when_a_leader_overwrites() {
        let before = leader('A', 2, &[1, 1, 2]);
        holds(&PROPERTY, &moved(&before, &leader('A', 2, &[1, 1, 2, 2])), &Seen::default(), &[]);
        fires(&PROPERTY, &moved(&before, &leader('A', 2, &[1, 2, 2])), &Seen::default(), &[]);
        fires(&PROPERTY, &moved(&before, &leader('A', 2, &[1, 1])), &Seen::default(), &[]);
    }
}
