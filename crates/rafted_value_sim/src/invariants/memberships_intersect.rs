//! Every majority of a committed membership shares a member with every majority of the next (thesis §4.1).
//!
//! Found by trying all sets of voters, joint memberships included.

use super::{Property, Seen, World, require, step};
use crate::event::Event;
use crate::invariants::majority::always_intersect;
use crate::name::Name;
use rafted_value_core::LogIndex;

pub(super) const PROPERTY: Property = Property { name: "quorums intersect", ids: "I29", check };

fn check(event: &Event, seen: &Seen, _: &World<'_>) -> Result<(), String> {
    let Some((_, after)) = step(event) else { return Ok(()) };
    let known = seen.committed.last().index;
    if after.commit <= known {
        return Ok(());
    }
    let new = after.log.backwards().take_while(|link| link.id.index > known);
    for link in new.filter(|link| link.id.index <= after.commit) {
        let Some(next) = &link.membership else { continue };
        let (_, previous) = after.log.membership_at(LogIndex(link.id.index.0 - 1));
        // A group's first membership follows nobody's.
        let first = previous.members().is_empty() || link.id.index == LogIndex(1);
        require(first || always_intersect(previous, next), || {
            format!("{} committed {} whose majorities need not meet those before it", Name(after.id), link.id)
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{committed, fires, holds, log, moved, portrait, voters};

    #[test]
    fn fires_when_two_voters_come_at_once() {
        let before = portrait('A', 1, &[1, 1]);
        let mut after = committed(before.clone(), 2);
        after.log = log(&[1, 1], &[(2, voters("ABCD"))]);
        holds(&PROPERTY, &moved(&before, &after), &Seen::default(), &[]);
        after.log = log(&[1, 1], &[(2, voters("ABCDE"))]);
        fires(&PROPERTY, &moved(&before, &after), &Seen::default(), &[]);
    }
}
