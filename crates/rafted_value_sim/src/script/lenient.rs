//! Plays commands one by one and lets those that are impossible be: what is left of a run when some of it is taken out.

use super::commands;
use super::stage::Stage;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Which property broke, and how.
    pub broken: Option<String>,
    /// How many commands there were up to there.
    pub played: usize,
    /// Those that were possible.
    pub possible: Vec<bool>,
}

/// Plays `commands`, up to the one that breaks something.
pub fn plays(lines: &[String]) -> Told {
    let mut stage = Stage::default();
    let mut told = Told { broken: None, played: 0, possible: Vec::with_capacity(lines.len()) };
    for line in lines {
        told.played += 1;
        let mut output = Vec::new();
        let done = catch_unwind(AssertUnwindSafe(|| commands::perform(&mut stage, line, &mut output)));
        stage.told.clear();
        told.possible.push(matches!(done, Ok(Ok(()))));
        told.broken = match done {
            Ok(Ok(())) => None,
            Ok(Err(what)) => Some(what).filter(|what| what.starts_with("BROKEN ")),
            Err(panic) => Some(format!("BROKEN the core's own invariants: {}", message(&panic))),
        };
        if told.broken.is_some() {
            break;
        }
    }
    told
}

/// What a panic said.
pub(crate) fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_default().chars().take(200).collect()
}
