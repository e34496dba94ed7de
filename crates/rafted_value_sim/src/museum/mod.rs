//! The museum of bugs: breaks one rule of the core at a time and shows what notices. A bug that nothing notices is a
//! hole in the simulator.
//!
//! Rules can be broken only in a build with `--cfg museum`; see [`rafted_value_core::museum`].

mod recorded;

pub use rafted_value_core::museum::{MUTANTS, Mutant};
pub use recorded::{RECORDED, Recorded, recorded};

use crate::dice;
use crate::script;
use rafted_value_core::museum::choose;
use std::panic::{self, AssertUnwindSafe};

/// What noticed that a rule was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noticed {
    /// The seed whose run went wrong.
    pub seed: u64,
    /// The invariant that fired, or what did not heal.
    pub by: String,
}

/// Breaks a rule, or none, from here on, in the whole process. Returns whether this build can.
pub fn breaks(mutant: Option<Mutant>) -> bool {
    choose(mutant)
}

/// Panics are findings here: nobody needs to read them one by one.
pub fn hush() {
    panic::set_hook(Box::new(|_| {}));
}

/// Plays one seed with whatever is broken; says what notices. Nobody else may break or mend rules meanwhile.
pub fn play(seed: u64) -> Option<Noticed> {
    let played = panic::catch_unwind(|| dice::play(seed));
    let by = match played {
        Ok(Ok(_)) => return None,
        Ok(Err(failure)) => name_of(&failure.what),
        Err(panic) => format!("assertion: {}", words_of(panic.as_ref())),
    };
    Some(Noticed { seed, by })
}

/// Whether a scenario fails with whatever is broken: an expectation, an invariant or an assertion, not only the record.
pub fn fails(scenario: &str) -> bool {
    let played = panic::catch_unwind(AssertUnwindSafe(|| script::run(scenario)));
    !matches!(played, Ok(Ok(_)))
}

/// The name of the invariant in `BROKEN name: details`; of what did not heal, its beginning.
fn name_of(what: &str) -> String {
    match what.strip_prefix("BROKEN ") {
        Some(broken) => broken.split(':').next().unwrap_or(broken).to_owned(),
        None => {
            let said = what.split(':').next().unwrap_or(what);
            let words: Vec<&str> = said.split_whitespace().filter(|word| !word.contains(char::is_numeric)).collect();
            format!("healing: {}", words.join(" "))
        }
    }
}

/// An assertion's text, without the state that follows it.
fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let line = text.unwrap_or("a panic without words").lines().next().unwrap_or_default();
    line.strip_prefix("assertion `left == right` failed: ").unwrap_or(line).chars().take(60).collect()
}
