//! What a verb came to: said to people or to programs, and as an exit code.

use crate::values::Said;
use rafted_value::{ChangeError, CommandError, Conclusion, QueryError};
use std::process::ExitCode;

/// What a verb came to.
pub(crate) type Outcome = Result<Said, Failure>;

/// Why a verb came to nothing, and what may be concluded.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    /// Further lines for people.
    details: Vec<String>,
    exit: Exit,
}

/// The exit codes of the program's help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    NotDone = 1,
    NotUnderstood = 2,
    Unknown = 3,
    DoneWithoutReply = 4,
}

impl Exit {
    fn conclusion(self) -> &'static str {
        match self {
            Exit::NotDone | Exit::NotUnderstood => "not done",
            Exit::Unknown => "unknown",
            Exit::DoneWithoutReply => "done",
        }
    }
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl ToString) -> Failure {
        Failure { message: message.to_string(), details: Vec::new(), exit }
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// With further lines for people.
    pub(crate) fn with(self, details: impl IntoIterator<Item = String>) -> Failure {
        Failure { details: details.into_iter().collect(), ..self }
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Failure {
        Failure::new(Exit::NotDone, error)
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Failure {
        let exit = match error.conclusion() {
            Conclusion::NotApplied => Exit::NotDone,
            Conclusion::Unknown => Exit::Unknown,
            Conclusion::Applied => Exit::DoneWithoutReply,
        };
        Failure::new(exit, error)
    }
}

impl From<ChangeError> for Failure {
    fn from(error: ChangeError) -> Failure {
        Failure::new(if error.is_unknown() { Exit::Unknown } else { Exit::NotDone }, error)
    }
}

/// Prints it: for people what came of it on standard output and what is wrong on standard error, for programs one JSON
/// object on standard output in any case.
pub(crate) fn say(outcome: Outcome, json: bool) -> ExitCode {
    match (outcome, json) {
        (Ok(said), false) => print(&said.text),
        (Ok(said), true) => print(&said.json.to_string()),
        (Err(failure), false) => {
            eprintln!("rafted: {}", failure.message);
            failure.details.iter().for_each(|line| eprintln!("  {line}"));
            return ExitCode::from(failure.exit as u8);
        }
        (Err(failure), true) => {
            let conclusion = failure.exit.conclusion();
            let object = serde_json::json!({
                "error": failure.message, "conclusion": conclusion, "details": failure.details,
            });
            print(&object.to_string());
            return ExitCode::from(failure.exit as u8);
        }
    }
    ExitCode::SUCCESS
}

/// Nobody may be listening any more, as in `rafted query list | head -1`: then there is nobody to tell.
fn print(text: &str) {
    use std::io::Write as _;
    if !text.is_empty() {
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}
