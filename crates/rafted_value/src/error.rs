//! What callers are told when something came to nothing: one enum per operation, and each variant says what may be
//! concluded.

mod change;
mod command;
mod node;
mod open;
mod query;
mod recover;

pub use change::ChangeError;
pub use command::CommandError;
pub use node::{StartError, StatusError};
pub use open::OpenError;
pub use query::QueryError;
pub use recover::RecoverError;

use crate::contact::Contact;

/// What may be concluded about a command that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Conclusion {
    /// It was not applied, and will not be. It may be sent again, as a new command.
    NotApplied,
    /// It may have been applied, or still be. Only a retry in the same session is safe, where there is one.
    Unknown,
    /// It was applied; only its reply is missing.
    Applied,
}

fn at(leader: &Option<Contact>) -> String {
    match leader {
        Some(leader) => format!("; {leader} does"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{ChangeRefused, Refused};
    use rafted_value_core::LogIndex;

    fn every_refusal() -> Vec<(Refused, Conclusion)> {
        use Conclusion::{Applied, NotApplied, Unknown};
        let text = String::new;
        vec![
            (Refused::NoSuchGroup, NotApplied),
            (Refused::OtherValue { value: text() }, NotApplied),
            (Refused::NotLeader { leader: None }, NotApplied),
            (Refused::Busy, NotApplied),
            (Refused::TooLarge { limit: 5 }, NotApplied),
            (Refused::OutcomeUnknown, Unknown),
            (Refused::NoSuchSession, Unknown),
            (Refused::Forgotten, Unknown),
            (Refused::IdReused, NotApplied),
            (Refused::NoSuchMember, NotApplied),
            (Refused::Behind { applied: LogIndex(3) }, Unknown),
            (Refused::Panicked { message: text() }, Applied),
            (Refused::Undecodable { message: text() }, NotApplied),
            (Refused::Change(ChangeRefused::Uncommitted), Unknown),
            (Refused::Stopped, NotApplied),
        ]
    }

    #[test]
    fn what_may_be_concluded_from_each_refusal() {
        for (refused, conclusion) in every_refusal() {
            let error = CommandError::refused("jobs", refused);
            assert_eq!(error.conclusion(), conclusion, "{error:?}");
            assert_eq!(error.is_unknown(), conclusion == Conclusion::Unknown, "{error:?}");
            assert_eq!(error.is_not_applied(), conclusion == Conclusion::NotApplied, "{error:?}");
        }
    }

    #[test]
    fn a_change_that_was_answered_by_something_else_is_unknown() {
        let unknown: Vec<_> = every_refusal()
            .into_iter()
            .filter(|(refused, _)| ChangeError::refused("jobs", refused.clone()).is_unknown())
            .map(|(refused, _)| refused)
            .collect();
        assert_eq!(unknown.len(), 10, "{unknown:?}");
    }

    #[test]
    fn messages_name_the_thing() {
        let leader = Some(Contact { address: "10.0.0.7:7101".into(), node: None });
        let cases = [
            (
                Refused::NotLeader { leader },
                "the member of group \"jobs\" that was asked does not lead; 10.0.0.7:7101 does",
            ),
            (Refused::NotLeader { leader: None }, "the member of group \"jobs\" that was asked does not lead"),
            (Refused::OtherValue { value: "tape".into() }, "the value of group \"jobs\" is of type \"tape\""),
            (Refused::Stopped, "the member of group \"jobs\" stopped"),
        ];
        for (refused, message) in cases {
            assert_eq!(CommandError::refused("jobs", refused.clone()).to_string(), message);
            assert_eq!(QueryError::refused("jobs", refused).to_string(), message);
        }
        let why = Refused::Change(ChangeRefused::CannotRemoveLeader);
        let message = "the leader of group \"jobs\" cannot be removed";
        assert_eq!(ChangeError::refused("jobs", why).to_string(), message);
    }
}
