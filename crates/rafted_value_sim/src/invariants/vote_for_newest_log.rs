//! A vote goes only to a candidate whose log is not behind the voter's (thesis §3.6.1).
//!
//! By last term first, then by length.

use super::{Property, Seen, World, require};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "up-to-date rule", ids: "I14", check };

fn check(event: &Event, seen: &Seen, world: &World<'_>) -> Result<(), String> {
    let Event::Voted { by, to, term } = event else { return Ok(()) };
    let (Some(candidate), Some(voter)) = (seen.campaigns.get(&(*to, *term)), world.portraits.get(by)) else {
        return Ok(());
    };
    let own = voter.log.last();
    require((candidate.term, candidate.index) >= (own.term, own.index), || {
        format!("{} has {own} and voted for {}, which has {candidate}", Name(*by), Name(*to))
    })
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::event::Event;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{fires, holds, member, portrait};
    use rafted_value_core::{EntryId, Term};

    #[test]
    fn fires_for_a_longer_log_of_an_older_term() {
        let mut seen = Seen::default();
        seen.remember(Event::Campaigned { by: member('A'), term: Term(4), last: EntryId::new(2, 9) });
        let vote = Event::Voted { by: member('B'), to: member('A'), term: Term(4) };
        holds(&PROPERTY, &vote, &seen, &[&portrait('B', 4, &[1, 2])]);
        fires(&PROPERTY, &vote, &seen, &[&portrait('B', 4, &[1, 3])]);
    }
}
