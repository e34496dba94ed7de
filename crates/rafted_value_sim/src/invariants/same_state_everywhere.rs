//! Members that applied the same entries have the same value and remember the same results, byte for byte.
//!
//! So does one that was sent the value, or that began again from its disk.

use super::{Property, Seen, World, require};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "same state", ids: "I42", check };

fn check(event: &Event, seen: &Seen, _: &World<'_>) -> Result<(), String> {
    let Event::Stands { by, index, digest } = event else { return Ok(()) };
    let earlier = seen.digests.get(index).unwrap_or(digest);
    require(earlier == digest, || format!("the state of {} as of entry {index} differs from another's", Name(*by)))
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::event::Event;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{fires, holds, member};
    use rafted_value_core::LogIndex;

    #[test]
    fn fires_when_two_members_differ() {
        let stands = |by, digest| Event::Stands { by: member(by), index: LogIndex(8), digest };
        let mut seen = Seen::default();
        seen.remember(stands('A', 1));
        holds(&PROPERTY, &stands('B', 1), &seen, &[]);
        fires(&PROPERTY, &stands('B', 2), &seen, &[]);
    }
}
