//! Why a command came to nothing.

use super::{Conclusion, at};
use crate::command_id::CommandId;
use crate::contact::Contact;
use crate::packet::Refused;
use std::time::Duration;

/// Why a command came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// Not applied: the member that was asked does not lead.
    #[doc(alias = "not_leader")]
    #[error("the member of group {group:?} that was asked does not lead{}", at(leader))]
    NotLeader {
        /// The group.
        group: String,
        /// Where the leader is, if it is known.
        leader: Option<Contact>,
    },
    /// Not applied: the node that was asked has no member of this group.
    #[error("the node that was asked has no member of group {group:?}")]
    NoSuchGroup {
        /// The group.
        group: String,
    },
    /// Not applied: there is no such member, or it is not there any more.
    #[doc(alias = "noproc")]
    #[error("group {group:?} has no such member as was asked")]
    NoSuchMember {
        /// The group.
        group: String,
    },
    /// Not applied: the time was up before it was sent, because no leader was found, or others had to go first.
    #[error("the time was up before the command was sent to group {group:?}")]
    NotSent {
        /// The group.
        group: String,
    },
    /// Not applied: the group's value is of another type.
    #[error("the value of group {group:?} is of type {value:?}")]
    OtherValue {
        /// The group.
        group: String,
        /// The name of the type of its value.
        value: String,
    },
    /// Not applied: too much waits already, in the group or in this session.
    #[error("group {group:?} is busy")]
    Busy {
        /// The group.
        group: String,
    },
    /// Not applied: the encoded command is too long.
    #[error("the command is longer than the {limit} bytes that group {group:?} allows")]
    TooLarge {
        /// The group.
        group: String,
        /// What is allowed, in bytes: `max_command_bytes`.
        limit: u64,
    },
    /// Not applied: the command's id, or the name of its client, is empty or too long.
    #[error("{id} is no id of a command: its texts must have 1 to {} bytes", CommandId::LIMIT)]
    InvalidId {
        /// The id.
        id: CommandId,
    },
    /// Not applied: the same id was given to another command, whose result is still remembered.
    #[error("group {group:?} remembers another command of the same id")]
    IdReused {
        /// The group.
        group: String,
    },
    /// Not applied: the command cannot be encoded.
    #[error("the command cannot be encoded: {message}")]
    Unencodable {
        /// What serde says.
        message: String,
    },
    /// Not applied: no member could decode the command, as may happen while members run different builds.
    #[error("group {group:?} cannot decode the command: {message}")]
    Undecodable {
        /// The group.
        group: String,
        /// What serde says.
        message: String,
    },
    /// Not applied: the member stopped before it took the command.
    #[error("the member of group {group:?} stopped")]
    Stopped {
        /// The group.
        group: String,
    },
    /// Unknown: leadership went while the command waited.
    #[error("group {group:?} changed its leader while the command waited: it may be applied or not")]
    OutcomeUnknown {
        /// The group.
        group: String,
    },
    /// Unknown: no answer came within the deadline. The command may still be applied later.
    #[error("group {group:?} did not answer within {waited:?}: the command may be applied or not")]
    Timeout {
        /// The group.
        group: String,
        /// How long the caller waited.
        waited: Duration,
    },
    /// Unknown: this retry was not applied, as its session is no longer remembered; an earlier attempt may have been.
    #[error("group {group:?} no longer remembers the session: an earlier attempt may be applied or not")]
    SessionExpired {
        /// The group.
        group: String,
    },
    /// Unknown: the command was answered and acknowledged before; its result is forgotten.
    #[error("group {group:?} has forgotten the result of the command, which was acknowledged")]
    Forgotten {
        /// The group.
        group: String,
    },
    /// Applied: the command panicked, on every member alike. What became of the value is the group's `on_panic`.
    #[error("the command panicked: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
    /// Applied: the reply cannot be decoded here, as may happen while members run different builds.
    #[error("the command was applied, its reply cannot be decoded: {message}")]
    UndecodableReply {
        /// What serde says.
        message: String,
    },
}

impl CommandError {
    /// What may be concluded.
    pub fn conclusion(&self) -> Conclusion {
        use CommandError as E;
        match self {
            E::NotLeader { .. } | E::NoSuchGroup { .. } | E::OtherValue { .. } => Conclusion::NotApplied,
            E::Busy { .. } | E::TooLarge { .. } | E::Stopped { .. } => Conclusion::NotApplied,
            E::Unencodable { .. } | E::Undecodable { .. } => Conclusion::NotApplied,
            E::InvalidId { .. } | E::IdReused { .. } => Conclusion::NotApplied,
            E::NoSuchMember { .. } | E::NotSent { .. } => Conclusion::NotApplied,
            E::OutcomeUnknown { .. } | E::Timeout { .. } => Conclusion::Unknown,
            E::SessionExpired { .. } | E::Forgotten { .. } => Conclusion::Unknown,
            E::Panicked { .. } | E::UndecodableReply { .. } => Conclusion::Applied,
        }
    }

    /// Whether the command may have been applied, or not.
    pub fn is_unknown(&self) -> bool {
        self.conclusion() == Conclusion::Unknown
    }

    /// Whether the command was certainly not applied, and will not be.
    pub fn is_not_applied(&self) -> bool {
        self.conclusion() == Conclusion::NotApplied
    }

    /// What a member of the group said, as its caller should hear it.
    pub(crate) fn refused(group: &str, refused: Refused) -> CommandError {
        let group = group.to_owned();
        match refused {
            Refused::NoSuchGroup | Refused::GroupRemoved => CommandError::NoSuchGroup { group },
            Refused::NoSuchMember => CommandError::NoSuchMember { group },
            Refused::OtherValue { value } => CommandError::OtherValue { group, value },
            Refused::NotLeader { leader } => CommandError::NotLeader { group, leader },
            Refused::Busy => CommandError::Busy { group },
            Refused::TooLarge { limit } => CommandError::TooLarge { group, limit },
            Refused::NoSuchSession => CommandError::SessionExpired { group },
            Refused::Forgotten => CommandError::Forgotten { group },
            Refused::IdReused => CommandError::IdReused { group },
            Refused::Panicked { message } => CommandError::Panicked { message },
            Refused::Undecodable { message } => CommandError::Undecodable { group, message },
            Refused::Stopped => CommandError::Stopped { group },
            // No answer to a command: nothing can be concluded from it.
            Refused::OutcomeUnknown | Refused::OlderValue { .. } | Refused::Behind { .. } | Refused::Change(_) => {
                CommandError::OutcomeUnknown { group }
            }
        }
    }
}
