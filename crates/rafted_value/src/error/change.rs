//! Why a change of members, of settings or of the leader came to nothing.

use super::at;
use crate::contact::Contact;
use crate::packet::{ChangeRefused, Refused};
use rafted_value_core::MemberId;
use std::time::Duration;

/// Why a change of members, of settings or of the leader came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// Not done: the member that was asked does not lead.
    #[doc(alias = "not_leader")]
    #[error("the member of group {group:?} that was asked does not lead{}", at(leader))]
    NotLeader {
        /// The group.
        group: String,
        /// Where the leader is, if it is known.
        leader: Option<Contact>,
    },
    /// Not done: the node that was asked has no member of this group.
    #[error("the node that was asked has no member of group {group:?}")]
    NoSuchGroup {
        /// The group.
        group: String,
    },
    /// Not done: until the time was up, the leader could not commit another change of the members, or anything of its own
    /// term. Worth another try.
    #[doc(alias = "uncommitted_membership_change")]
    #[error("an earlier change of group {group:?} is not committed")]
    UncommittedMembershipChange {
        /// The group.
        group: String,
    },
    /// Not done: until the time was up, leadership was on its way to another member. Worth another try.
    #[doc(alias = "pending_leader_change")]
    #[error("the leader of group {group:?} is handing over")]
    PendingLeaderChange {
        /// The group.
        group: String,
    },
    /// Not done: no such member.
    #[doc(alias = "not_member")]
    #[error("group {group:?} has no member {member}")]
    NotMember {
        /// The group.
        group: String,
        /// The member.
        member: MemberId,
    },
    /// Not done: it is a member already.
    #[doc(alias = "already_joined")]
    #[error("{member} is a member of group {group:?} already")]
    AlreadyMember {
        /// The group.
        group: String,
        /// The member.
        member: MemberId,
    },
    /// Not done: the leader cannot be removed; replace it first.
    #[doc(alias = "cannot_remove_leader")]
    #[error("the leader of group {group:?} cannot be removed")]
    CannotRemoveLeader {
        /// The group.
        group: String,
    },
    /// Not done: the members that answer would not be a majority.
    #[doc(alias = "will_break_quorum")]
    #[error("group {group:?} would be left without a majority of members that answer")]
    WouldBreakQuorum {
        /// The group.
        group: String,
    },
    /// Not done: the one that shall lead does not answer.
    #[doc(alias = "new_leader_unresponsive")]
    #[error("{member}, which shall lead group {group:?}, does not answer")]
    Unresponsive {
        /// The group.
        group: String,
        /// The member.
        member: MemberId,
    },
    /// Not done: it leads already.
    #[doc(alias = "already_leader")]
    #[error("that member leads group {group:?} already")]
    AlreadyLeader {
        /// The group.
        group: String,
    },
    /// Not done: the settings cannot be used.
    #[error("the config of group {group:?} cannot be used: {why}")]
    InvalidConfig {
        /// The group.
        group: String,
        /// Which field, and what it must be.
        why: String,
    },
    /// Not done: the settings name a hook that this member did not register: if it led, the hook would not run.
    #[error("{member} of group {group:?} has no hook {hook:?}")]
    NoSuchHook {
        /// The group.
        group: String,
        /// The member.
        member: MemberId,
        /// The name of the hook.
        hook: String,
    },
    /// Not done: it has not caught up, so that as a voter it would hold up every commit.
    #[error("{member} has not caught up with group {group:?}")]
    NotCaughtUp {
        /// The group.
        group: String,
        /// The member.
        member: MemberId,
    },
    /// Not done: it does not vote, so it cannot lead.
    #[error("{member} does not vote in group {group:?}")]
    NotVoter {
        /// The group.
        group: String,
        /// The member.
        member: MemberId,
    },
    /// A later call took this one's place, or cancelled it. If its target had been told already, it may still lead.
    #[error("another request to group {group:?} took this one's place")]
    Overridden {
        /// The group.
        group: String,
    },
    /// Not done: too much waits already.
    #[error("group {group:?} is busy")]
    Busy {
        /// The group.
        group: String,
    },
    /// Not done: the member stopped before it took the change.
    #[error("the member of group {group:?} stopped")]
    Stopped {
        /// The group.
        group: String,
    },
    /// Unknown: leadership went while the change waited. The group's status tells.
    #[error("group {group:?} changed its leader while the change waited: it may be done or not")]
    OutcomeUnknown {
        /// The group.
        group: String,
    },
    /// Unknown: no answer came within the deadline. The group's status tells.
    #[error("group {group:?} did not answer within {waited:?}: the change may be done or not")]
    Timeout {
        /// The group.
        group: String,
        /// How long the caller waited.
        waited: Duration,
    },
}

impl ChangeError {
    /// Whether the change may have been made, or not.
    pub fn is_unknown(&self) -> bool {
        matches!(self, ChangeError::OutcomeUnknown { .. } | ChangeError::Timeout { .. })
    }

    fn of(group: String, why: ChangeRefused) -> ChangeError {
        match why {
            ChangeRefused::Uncommitted => ChangeError::UncommittedMembershipChange { group },
            ChangeRefused::Transferring => ChangeError::PendingLeaderChange { group },
            ChangeRefused::NotMember(member) => ChangeError::NotMember { group, member },
            ChangeRefused::AlreadyMember(member) => ChangeError::AlreadyMember { group, member },
            ChangeRefused::CannotRemoveLeader => ChangeError::CannotRemoveLeader { group },
            ChangeRefused::WouldBreakQuorum | ChangeRefused::NoVoters => ChangeError::WouldBreakQuorum { group },
            ChangeRefused::NotCaughtUp(member) => ChangeError::NotCaughtUp { group, member },
            ChangeRefused::AlreadyLeader => ChangeError::AlreadyLeader { group },
            ChangeRefused::NotVoter(member) => ChangeError::NotVoter { group, member },
            ChangeRefused::Unresponsive(member) => ChangeError::Unresponsive { group, member },
            ChangeRefused::Overridden => ChangeError::Overridden { group },
            ChangeRefused::InvalidConfig(why) => ChangeError::InvalidConfig { group, why },
            ChangeRefused::NoSuchHook { member, hook } => ChangeError::NoSuchHook { group, member, hook },
        }
    }

    /// What a member of the group said, as its caller should hear it.
    pub(crate) fn refused(group: &str, refused: Refused) -> ChangeError {
        let group = group.to_owned();
        match refused {
            Refused::NoSuchGroup | Refused::GroupRemoved => ChangeError::NoSuchGroup { group },
            Refused::NotLeader { leader } => ChangeError::NotLeader { group, leader },
            Refused::Busy => ChangeError::Busy { group },
            Refused::Stopped => ChangeError::Stopped { group },
            Refused::Change(why) => ChangeError::of(group, why),
            // No answers to a change: nothing can be concluded from them.
            Refused::OutcomeUnknown
            | Refused::OlderValue { .. }
            | Refused::OtherValue { .. }
            | Refused::TooLarge { .. }
            | Refused::NoSuchSession
            | Refused::Forgotten
            | Refused::IdReused
            | Refused::NoSuchMember
            | Refused::Behind { .. }
            | Refused::Panicked { .. }
            | Refused::Undecodable { .. } => ChangeError::OutcomeUnknown { group },
        }
    }
}
