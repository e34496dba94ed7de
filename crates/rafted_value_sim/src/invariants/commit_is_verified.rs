//! A follower commits only what a message of its present leader verified (thesis §3.5).
//!
//! Behind the verified prefix its log may hold anything.

use super::{Property, Seen, World, require, step};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "follower commit is verified", ids: "I11", check };

fn check(event: &Event, seen: &Seen, _: &World<'_>) -> Result<(), String> {
    let Some((before, after)) = step(event) else { return Ok(()) };
    if before.leads() || after.leads() || !before.up || after.commit <= before.commit {
        return Ok(());
    }
    let verified = seen.verified.get(&after.id).filter(|(term, _)| *term == after.term());
    require(verified.is_some_and(|(_, upto)| after.commit <= *upto), || {
        format!("{} committed {} but only {verified:?} is verified", Name(after.id), after.commit)
    })
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::event::Event;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{committed, fires, holds, member, moved, portrait};
    use rafted_value_core::{LogIndex, Term};

    #[test]
    fn fires_beyond_the_verified_prefix() {
        let before = portrait('B', 2, &[1, 1, 1]);
        let mut seen = Seen::default();
        seen.remember(Event::Verified { by: member('B'), term: Term(2), upto: LogIndex(2) });
        holds(&PROPERTY, &moved(&before, &committed(before.clone(), 2)), &seen, &[]);
        fires(&PROPERTY, &moved(&before, &committed(before.clone(), 3)), &seen, &[]);
    }

    #[test]
    fn fires_for_what_another_term_verified() {
        let before = portrait('B', 3, &[1, 1, 1]);
        let mut seen = Seen::default();
        seen.remember(Event::Verified { by: member('B'), term: Term(2), upto: LogIndex(3) });
        fires(&PROPERTY, &moved(&before, &committed(before.clone(), 2)), &seen, &[]);
    }
}
