//! Why a group was not recovered.

use crate::contact::Contact;
use rafted_value_core::{EntryId, MemberId, Refusal};
use std::time::Duration;

/// Why no member was removed by force. Unless it says otherwise, nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// A leader is alive, this member or another, or was until lately: it removes members by
    /// [`remove_follower`](crate::Group::remove_follower). If it was lost with the others, try again after twice the
    /// election timeout.
    #[doc(alias = "leader_exists")]
    #[error("group {group:?} has a leader, or had one until lately: it must be silent for twice the election timeout")]
    LeaderAlive {
        /// The group.
        group: String,
        /// Where the leader is, if it is known.
        leader: Option<Contact>,
    },
    /// No such member, as far as the survivor knows.
    #[doc(alias = "not_member")]
    #[error("group {group:?} has no member {member}")]
    NotMember {
        /// The group.
        group: String,
        /// The member.
        member: MemberId,
    },
    /// The survivor itself is named as lost.
    #[error("the member of group {group:?} that shall survive is named as lost")]
    IsSurvivor {
        /// The group.
        group: String,
    },
    /// The members that are not named as lost are a majority: they elect a leader by themselves. Name all that are lost.
    #[error("a majority of group {group:?} is not named as lost, and can go on by itself")]
    MajorityRemains {
        /// The group.
        group: String,
    },
    /// The survivor's log ends with another entry than the acknowledgement of data loss says.
    #[error("the log of group {group:?} ends with {found} here, not with {accepted}: look again")]
    OtherEntry {
        /// The group.
        group: String,
        /// What was accepted.
        accepted: EntryId,
        /// How it is.
        found: EntryId,
    },
    /// The member stopped, or halted: what it has cannot be relied on.
    #[error("the member of group {group:?} stopped")]
    Stopped {
        /// The group.
        group: String,
    },
    /// Unknown: no answer came within the deadline. The group's status tells: after a recovery the member leads another
    /// incarnation, of which it is the only voter.
    #[error("the member of group {group:?} did not answer within {waited:?}: the group may be recovered or not")]
    Timeout {
        /// The group.
        group: String,
        /// How long the caller waited.
        waited: Duration,
    },
}

impl RecoverError {
    /// What the core said, as the operator should hear it.
    pub(crate) fn refused(group: &str, refusal: Refusal, leader: Option<Contact>) -> RecoverError {
        let group = group.to_owned();
        match refusal {
            Refusal::LeaderAlive(_) => RecoverError::LeaderAlive { group, leader },
            Refusal::NotMember(member) => RecoverError::NotMember { group, member },
            Refusal::IsSurvivor => RecoverError::IsSurvivor { group },
            Refusal::MajorityRemains => RecoverError::MajorityRemains { group },
            _ => RecoverError::Stopped { group },
        }
    }
}
