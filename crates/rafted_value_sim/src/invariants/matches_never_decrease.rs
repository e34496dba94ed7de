//! Within a leadership what is known of a follower never shrinks.
//!
//! A late rejection is about a log that has grown since.

use super::{Property, Seen, World, require, step};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "match never decreases", ids: "I23", check };

fn check(event: &Event, _: &Seen, _: &World<'_>) -> Result<(), String> {
    let Some((before, after)) = step(event) else { return Ok(()) };
    if !(before.leads() && after.leads() && before.term() == after.term()) {
        return Ok(());
    }
    let shrunk =
        after.matched.iter().find(|(id, now)| before.matched.iter().any(|(earlier, was)| earlier == id && was > now));
    require(shrunk.is_none(), || {
        let whose = shrunk.map(|(id, now)| format!("{} to {now}", Name(*id)));
        format!("{} lowered its match of {}", Name(after.id), whose.unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{fires, holds, leader, member, moved};
    use rafted_value_core::LogIndex;

    #[test]
    fn fires_when_a_match_shrinks() {
        let with = |matched| {
            let mut a = leader('A', 2, &[1, 1, 2]);
            a.matched = vec![(member('B'), LogIndex(matched))];
            a
        };
        holds(&PROPERTY, &moved(&with(2), &with(3)), &Seen::default(), &[]);
        fires(&PROPERTY, &moved(&with(3), &with(2)), &Seen::default(), &[]);
    }
}
