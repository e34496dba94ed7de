//! Nothing runs that no client asked for, and nothing other than what it asked for.
//!
//! A command may come late or twice, but never from nowhere.

use super::{Property, Seen, World, require};
use crate::event::Event;
use crate::name::Name;

pub(super) const PROPERTY: Property = Property { name: "no phantom", ids: "I39", check };

fn check(event: &Event, _: &Seen, _: &World<'_>) -> Result<(), String> {
    let Event::Ran { by, here, asked, .. } = event else { return Ok(()) };
    require(*asked, || format!("{} ran a command at {here:?} that nobody asked for", Name(*by)))
}

#[cfg(test)]
mod tests {
    use super::PROPERTY;
    use crate::invariants::Seen;
    use crate::invariants::fixture::{fires, holds, ran};

    #[test]
    fn fires_for_a_command_from_nowhere() {
        holds(&PROPERTY, &ran(7, 7, true), &Seen::default(), &[]);
        fires(&PROPERTY, &ran(7, 7, false), &Seen::default(), &[]);
    }
}
