//! The core and the checker mean the same log: what the member says of its end is what was written.
//!
//! Every other property trusts the checker's copy, which is made of what the member handed to its disk.

use super::{Property, Seen, World, require, step};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "log is what was written", ids: "I22", check };

fn check(event: &Event, _: &Seen, _: &World<'_>) -> Result<(), String> {
    let Some((_, after)) = step(event) else { return Ok(()) };
    let written = after.log.last().index;
    require(written == after.last, || {
        format!("the log of {} ends at {}, but what it wrote ends at {written}", Name(after.id), after.last)
    })
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{fires, holds, moved, portrait};
    use rafted_value_core::LogIndex;

    #[test]
    fn fires_when_something_was_never_written() {
        let mut member = portrait('A', 1, &[1, 1]);
        holds(&PROPERTY, &moved(&member, &member), &Seen::default(), &[]);
        let before = member.clone();
        member.last = LogIndex(3);
        fires(&PROPERTY, &moved(&before, &member), &Seen::default(), &[]);
    }
}
