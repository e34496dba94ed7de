//! How a member is, as it says itself.

use crate::config::Config;
use crate::contact::{Contact, GroupId};
use rafted_value_core::{EntryId, LogIndex, MemberId, Seat, Term};
use std::time::Duration;

/// How a member is, as it says itself: what it believes may be out of date elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusReport {
    /// The group's incarnation.
    pub group: GroupId,
    /// The member that answers.
    #[doc(alias = "from")]
    pub member: MemberId,
    /// `follower`, `pre-candidate`, `candidate` or `leader`.
    #[doc(alias = "state_name")]
    pub role: String,
    /// Its term.
    #[doc(alias = "current_term")]
    pub term: Term,
    /// Who leads, as far as it knows.
    pub leader: Option<MemberId>,
    /// The last committed entry it knows of.
    pub commit: LogIndex,
    /// The last entry its value contains.
    pub applied: LogIndex,
    /// The last entry of its log.
    pub last: LogIndex,
    /// The term of the last entry of its log.
    pub last_term: Term,
    /// The last entry that its log no longer holds: whoever lags further behind is sent the value.
    pub base: LogIndex,
    /// The settings in force; none if a newer build made them so that this one cannot read them.
    pub config: Option<Box<Config>>,
    /// If it leads under a lease: for how long that lasts, in milliseconds, unless it is renewed.
    pub lease_ms: Option<u64>,
    /// Whether the member keeps its log and value on disk; otherwise it is a new member after each start.
    pub durable: bool,
    /// The version of the value that every member's build knows: see [`Context::version`](crate::Context::version).
    pub value_version: u32,
    /// A value that is arriving at it.
    pub arriving: Option<Transfer>,
    /// The members in force, in the order of their ids.
    pub members: Vec<MemberReport>,
}

/// One member, as another says.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberReport {
    /// The member.
    pub id: MemberId,
    /// Where it is.
    pub contact: Contact,
    /// Whether it votes.
    pub voter: bool,
    /// What it may do: during a change of members also in which half it votes, and what becomes of a learner.
    pub seat: Seat,
    /// The version of the value's type in its build: [`Value::VERSION`](crate::Value::VERSION).
    pub value_version: u32,
    /// If the answering member leads: up to where this one's log is known to be the same.
    pub matched: Option<LogIndex>,
    /// If the answering member leads: for how many milliseconds this one has been silent.
    pub silent_for_ms: Option<u64>,
    /// A value that is on its way to it.
    pub sending: Option<Transfer>,
}

/// How much of a value has been sent or has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// So many bytes.
    pub done: u64,
    /// Of so many; zero while the value is being encoded.
    pub total: u64,
}

impl StatusReport {
    /// Which entry its log ends with. Of all members of one incarnation that can be asked, the one with the largest has
    /// everything that any of them has and that was ever committed.
    pub fn last_entry(&self) -> EntryId {
        EntryId { term: self.last_term, index: self.last }
    }

    /// If the answering member leads: which members have not answered for more than twice the election timeout. They
    /// can be removed whatever else is the matter, and do not count when a change might break the quorum.
    pub fn unresponsive_followers(&self) -> Vec<MemberId> {
        let Some(config) = &self.config else { return Vec::new() };
        let limit = config.election_timeout.saturating_mul(2);
        let silent = |member: &&MemberReport| {
            member.silent_for_ms.is_some_and(|milliseconds| Duration::from_millis(milliseconds) > limit)
        };
        self.members.iter().filter(silent).map(|member| member.id).collect()
    }

    /// If the answering member leads: how many entries of its log are not known to be in that member's.
    pub fn lag_of(&self, member: MemberId) -> Option<u64> {
        let matched = self.members.iter().find(|it| it.id == member)?.matched?;
        Some(self.last.0.saturating_sub(matched.0))
    }

    /// The members that do not vote.
    pub fn learners(&self) -> impl Iterator<Item = &MemberReport> {
        self.members.iter().filter(|member| !member.voter)
    }
}
