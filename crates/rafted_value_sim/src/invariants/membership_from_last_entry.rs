//! The membership in force is the last one in the log, committed or not (thesis §4.1).
//!
//! Also after a truncation, a snapshot, a restart.

use super::{Property, Seen, World, require, step};
use crate::event::Event;
use crate::name::Name;
use crate::tale::members;

pub(super) const PROPERTY: Property = Property { name: "config from last entry", ids: "I27", check };

fn check(event: &Event, _: &Seen, _: &World<'_>) -> Result<(), String> {
    let Some((_, after)) = step(event) else { return Ok(()) };
    let (at, last) = after.log.membership();
    require(**last == *after.membership, || {
        let (has, should) = (members(&after.membership), members(last));
        format!("{} is under [{has}], but entry {at} says [{should}]", Name(after.id))
    })
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{fires, holds, log, moved, portrait, voters};

    #[test]
    fn fires_when_a_change_goes_unnoticed_or_stays_after_it_went() {
        let before = portrait('A', 1, &[1, 1]);
        let mut after = before.clone();
        after.log = log(&[1, 1, 1], &[(3, voters("ABCD"))]);
        fires(&PROPERTY, &moved(&before, &after), &Seen::default(), &[]);
        after.membership = voters("ABCD").into();
        holds(&PROPERTY, &moved(&before, &after), &Seen::default(), &[]);
        after.log = log(&[1, 1], &[]);
        fires(&PROPERTY, &moved(&before, &after), &Seen::default(), &[]);
    }
}
