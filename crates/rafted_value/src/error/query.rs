//! Why a query came to nothing.

use super::at;
use crate::contact::Contact;
use crate::packet::Refused;
use std::time::Duration;

/// Why a query came to nothing. A query changes nothing: it may always be sent again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The member that was asked does not lead, or no longer did when it would have answered.
    #[error("the member of group {group:?} that was asked does not lead{}", at(leader))]
    NotLeader {
        /// The group.
        group: String,
        /// Where the leader is, if it is known.
        leader: Option<Contact>,
    },
    /// The node that was asked has no member of this group.
    #[error("the node that was asked has no member of group {group:?}")]
    NoSuchGroup {
        /// The group.
        group: String,
    },
    /// There is no such member, or it is not there any more.
    #[doc(alias = "noproc")]
    #[error("group {group:?} has no such member as was asked")]
    NoSuchMember {
        /// The group.
        group: String,
    },
    /// The group's value is of another type.
    #[error("the value of group {group:?} is of type {value:?}")]
    OtherValue {
        /// The group.
        group: String,
        /// The name of the type of its value.
        value: String,
    },
    /// Too much waits already.
    #[error("group {group:?} is busy")]
    Busy {
        /// The group.
        group: String,
    },
    /// The encoded query is too long.
    #[error("the query is longer than the {limit} bytes that group {group:?} allows")]
    TooLarge {
        /// The group.
        group: String,
        /// What is allowed, in bytes.
        limit: u64,
    },
    /// The query cannot be encoded.
    #[error("the query cannot be encoded: {message}")]
    Unencodable {
        /// What serde says.
        message: String,
    },
    /// The member could not decode the query.
    #[error("group {group:?} cannot decode the query: {message}")]
    Undecodable {
        /// The group.
        group: String,
        /// What serde says.
        message: String,
    },
    /// No answer came within the deadline.
    #[error("group {group:?} did not answer within {waited:?}")]
    Timeout {
        /// The group.
        group: String,
        /// How long the caller waited.
        waited: Duration,
    },
    /// The query panicked; nothing else did.
    #[error("the query panicked: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
    /// The answer cannot be decoded here.
    #[error("the answer to the query cannot be decoded: {message}")]
    UndecodableAnswer {
        /// What serde says.
        message: String,
    },
    /// The member halted or stops.
    #[error("the member of group {group:?} stopped")]
    Stopped {
        /// The group.
        group: String,
    },
}

impl QueryError {
    /// What a member of the group said, as its caller should hear it.
    pub(crate) fn refused(group: &str, refused: Refused) -> QueryError {
        let group = group.to_owned();
        match refused {
            Refused::NoSuchGroup | Refused::GroupRemoved => QueryError::NoSuchGroup { group },
            Refused::NoSuchMember => QueryError::NoSuchMember { group },
            Refused::OtherValue { value } => QueryError::OtherValue { group, value },
            Refused::NotLeader { leader } => QueryError::NotLeader { group, leader },
            Refused::Busy => QueryError::Busy { group },
            Refused::TooLarge { limit } => QueryError::TooLarge { group, limit },
            Refused::Panicked { message } => QueryError::Panicked { message },
            Refused::Undecodable { message } => QueryError::Undecodable { group, message },
            Refused::Stopped => QueryError::Stopped { group },
            // A query has neither an outcome nor a session: whoever said so did not lead, or no longer.
            Refused::OutcomeUnknown
            | Refused::OlderValue { .. }
            | Refused::NoSuchSession
            | Refused::Forgotten
            | Refused::IdReused
            | Refused::Behind { .. }
            | Refused::Change(_) => QueryError::NotLeader { group, leader: None },
        }
    }
}
