//! What was ever committed stays, and nobody holds anything else to be committed.
//!
//! A log may lack committed entries, or have others that it does not believe committed; it never believes in others.

use super::{Property, Seen, World, require, step};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "committed is immutable", ids: "I8, I33", check };

fn check(event: &Event, seen: &Seen, _: &World<'_>) -> Result<(), String> {
    let Some((_, after)) = step(event) else { return Ok(()) };
    let common = after.commit.min(seen.committed.last().index);
    require(after.log.agrees(&seen.committed, common), || {
        format!("{} holds {common} to be committed, but others committed something else up to there", Name(after.id))
    })
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::invariants::fixture::{committed, fires, having_seen, holds, moved, portrait};

    #[test]
    fn fires_when_somebody_commits_something_else() {
        let seen = having_seen(&[&committed(portrait('A', 2, &[1, 1, 2]), 2)]);
        let before = portrait('B', 2, &[1, 2]);
        holds(&PROPERTY, &moved(&before, &committed(before.clone(), 1)), &seen, &[]);
        fires(&PROPERTY, &moved(&before, &committed(before.clone(), 2)), &seen, &[]);
    }
}
