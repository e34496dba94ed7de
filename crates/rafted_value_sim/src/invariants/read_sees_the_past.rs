//! A read sees everything that some client knew to be done when the read began (thesis §6.4).
//!
//! The half of linearizability that leases and read rounds are for.

use super::{Property, Seen, World, require};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "read index soundness", ids: "I35, I40", check };

fn check(event: &Event, _: &Seen, _: &World<'_>) -> Result<(), String> {
    let Event::ReadConfirmed { by, index, floor } = event else { return Ok(()) };
    require(index >= floor, || {
        format!("{} confirms a read of entry {index}, but a client knew of entry {floor} before", Name(*by))
    })
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::event::Event;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{fires, holds, member};
    use rafted_value_core::LogIndex;

    #[test]
    fn fires_for_a_stale_read() {
        let read = |index| Event::ReadConfirmed { by: member('A'), index: LogIndex(index), floor: LogIndex(4) };
        holds(&PROPERTY, &read(4), &Seen::default(), &[]);
        fires(&PROPERTY, &read(3), &Seen::default(), &[]);
    }
}
