//! A leader's log has at most one uncommitted change of membership, one voter or one joint step away (thesis §4.1, §4.3).
//!
//! Two changes at once need not share a majority.

use super::{Property, Seen, World, require, step};
use crate::chain::Link;
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "one uncommitted membership change", ids: "I26", check };

fn check(event: &Event, seen: &Seen, _: &World<'_>) -> Result<(), String> {
    let Some((_, after)) = step(event).filter(|(_, after)| after.leads()) else { return Ok(()) };
    // After a restart a leader may not know yet what is committed; the world does.
    let committed = |link: &&Link| seen.committed.hash_at(link.id.index) == Some(link.hash);
    let behind = after.log.backwards().take_while(|link| link.id.index > after.commit);
    // A new leader may inherit one of an earlier term; it must not add another before that is committed.
    let changes = behind.take_while(|link| !committed(link)).filter(|link| link.membership.is_some()).count();
    require(changes <= 1, || format!("{} has {changes} uncommitted changes of membership", Name(after.id)))
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{committed, fires, holds, leader, log, moved, voters};

    #[test]
    fn fires_for_two_changes_under_way() {
        let mut a = leader('A', 1, &[1, 1, 1]);
        a.log = log(&[1, 1, 1], &[(2, voters("ABCD")), (3, voters("ABCDE"))]);
        holds(&PROPERTY, &moved(&a, &committed(a.clone(), 2)), &Seen::default(), &[]);
        fires(&PROPERTY, &moved(&a, &committed(a.clone(), 1)), &Seen::default(), &[]);
    }
}
