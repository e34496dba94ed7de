//! A member's commit index and value never go back while it runs (thesis §3.5).
//!
//! After a restart they begin at what is on disk.

use super::{Property, Seen, World, require, step};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "commit never decreases", ids: "I19, I20, I21", check };

fn check(event: &Event, _: &Seen, _: &World<'_>) -> Result<(), String> {
    let Some((before, after)) = step(event) else { return Ok(()) };
    require(
        !before.up || (after.commit >= before.commit && after.applied >= before.applied && after.base >= before.base),
        || format!("{} went back from commit {} to {}", Name(after.id), before.commit, after.commit),
    )
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{committed, fires, holds, moved, portrait};
    use rafted_value_core::LogIndex;

    #[test]
    fn fires_when_commit_goes_back() {
        let before = committed(portrait('A', 2, &[1, 2]), 1);
        holds(&PROPERTY, &moved(&before, &committed(before.clone(), 2)), &Seen::default(), &[]);
        fires(&PROPERTY, &moved(&before, &committed(before.clone(), 0)), &Seen::default(), &[]);
    }

    #[test]
    fn fires_when_an_old_value_is_installed() {
        let mut before = committed(portrait('A', 2, &[1, 2]), 2);
        let after = before.clone();
        before.applied = LogIndex(2);
        fires(&PROPERTY, &moved(&before, &after), &Seen::default(), &[]);
    }
}
