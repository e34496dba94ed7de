//! The script chooser: scenario files that tell a story, run it, and record what came of it.
//!
//! A file is prose, commands and recorded output:
//!
//! ```text
//! # Two of three are enough.                      prose: anything that is not one of the following
//! > cluster A B C                                 commands: one, or several with `;` between them
//! > elect A
//!     A leads term 1                              recorded: indented, rewritten by UPDATE=1
//! > expect leader A term 1                        the point of the scenario: a rewrite cannot hide its loss
//! ```
//!
//! Commands that change something are in `commands`, those that look are in `expect` and `show`. Nothing moves by
//! itself: `settle` delivers and syncs everything in no time, `wait` lets time pass as well.

mod commands;
mod expect;
mod lenient;
mod print;
mod show;
mod stage;
mod words;

pub(crate) use lenient::message as panic_message;
pub use lenient::{Told, plays};
pub use print::{command_of, founding_of};

use stage::Stage;
use std::fmt;

/// Why a scenario ended before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The line in the file, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// What happened up to there, as it would be recorded.
    pub so_far: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// Runs a scenario; returns the file as it should be.
///
/// # Errors
///
/// A command that cannot be understood, an expectation that is not met, an invariant that is broken.
pub fn run(text: &str) -> Result<String, Failure> {
    let mut stage = Stage::default();
    let mut recorded = String::new();
    for (at, line) in text.lines().enumerate() {
        if line.starts_with("    ") {
            continue;
        }
        recorded.push_str(line);
        recorded.push('\n');
        let Some(commands) = line.strip_prefix("> ") else { continue };
        let mut lines = Vec::new();
        for command in commands.split(';') {
            let done = commands::perform(&mut stage, command.trim(), &mut lines);
            done.map_err(|what| Failure { line: at + 1, what, so_far: recorded.clone() + &indented(&lines) })?;
        }
        recorded.push_str(&indented(&lines));
    }
    Ok(recorded)
}

/// The same line many times becomes one, with a count: stories are read by people.
fn indented(lines: &[String]) -> String {
    let mut told: Vec<(&String, usize)> = Vec::new();
    for line in lines {
        match told.iter_mut().find(|(earlier, _)| *earlier == line) {
            Some((_, times)) => *times += 1,
            None => told.push((line, 1)),
        }
    }
    let line = |(line, times): (&String, usize)| match times {
        1 => format!("    {line}\n"),
        _ => format!("    {line} ({times} times)\n"),
    };
    told.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::run;

    #[test]
    fn what_happens_is_recorded_behind_the_command() {
        let text = "# Alone.\n> bootstrap A; settle; fire A; settle\n    old output\n\n> expect leader A term 2\n";
        let recorded = run(text).expect("a scenario that holds");
        assert!(recorded.contains("    A leads term 2\n") && !recorded.contains("old output"), "{recorded}");
        assert_eq!(run(&recorded).as_ref(), Ok(&recorded), "a recorded scenario stays as it is");
    }

    #[test]
    fn an_expectation_that_is_not_met_ends_it() {
        let failure = run("> cluster A B C\n> expect leader A\n").expect_err("nobody leads");
        assert_eq!(failure.line, 2);
        assert!(failure.what.contains("nobody leads"), "{failure}");
    }

    #[test]
    fn a_command_that_is_not_one_ends_it() {
        assert!(run("> cluster A B C\n> hope for the best\n").is_err());
    }
}
