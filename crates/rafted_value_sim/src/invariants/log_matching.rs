//! Log matching: an entry of the same term and index is the same, and so is all before it (thesis §3.5).
//!
//! Each hash covers the whole prefix, so one comparison per new entry suffices.

use super::{Property, Seen, World, require, step};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "log matching", ids: "I4", check };

fn check(event: &Event, seen: &Seen, _: &World<'_>) -> Result<(), String> {
    let Some((before, after)) = step(event) else { return Ok(()) };
    let stranger =
        after.log.beyond(&before.log).find(|link| seen.entries.get(&link.id).is_some_and(|hash| *hash != link.hash));
    require(stranger.is_none(), || {
        let id = stranger.map(|link| link.id).unwrap_or_default();
        format!("entry {id} of {}, or what precedes it, differs from another's", Name(after.id))
    })
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::invariants::fixture::{fires, having_seen, holds, moved, portrait};

    #[test]
    fn fires_for_the_same_entry_after_another_prefix() {
        let a = portrait('A', 3, &[1, 1, 3]);
        let seen = having_seen(&[&a]);
        let b = portrait('B', 3, &[1, 1]);
        holds(&PROPERTY, &moved(&b, &portrait('B', 3, &[1, 1, 3])), &seen, &[]);
        fires(&PROPERTY, &moved(&b, &portrait('B', 3, &[1, 2, 3])), &seen, &[]);
    }
}
