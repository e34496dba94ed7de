//! A leader keeps count of the other members and of nobody else.
//!
//! A late reply of somebody removed must not bring it back.

use super::{Property, Seen, World, require, step};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "non-members never counted", ids: "I30, I31", check };

fn check(event: &Event, _: &Seen, _: &World<'_>) -> Result<(), String> {
    let Some((_, after)) = step(event).filter(|(_, after)| after.leads()) else { return Ok(()) };
    let stranger = after.matched.iter().find(|(id, _)| *id == after.id || !after.membership.contains(*id));
    require(stranger.is_none(), || {
        let who = stranger.map(|(id, _)| Name(*id).to_string()).unwrap_or_default();
        format!("{} counts {who}, which is not a follower", Name(after.id))
    })
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{fires, holds, leader, member, moved};
    use rafted_value_core::LogIndex;

    #[test]
    fn fires_for_a_stranger() {
        let mut a = leader('A', 1, &[1]);
        a.matched = vec![(member('B'), LogIndex(1))];
        holds(&PROPERTY, &moved(&a, &a), &Seen::default(), &[]);
        a.matched.push((member('D'), LogIndex(1)));
        fires(&PROPERTY, &moved(&a, &a), &Seen::default(), &[]);
    }
}
