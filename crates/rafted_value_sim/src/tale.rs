//! What happened, as sentences: who did what and why. The words of the scenario files.

use crate::clients::{CallId, Found};
use crate::history::{Fate, Outcome};
use crate::name::Name;
use rafted_value_core::{
    AppendResult, Ballot, Body, EntryId, Halt, MemberId, Membership, Message, Notice, Promotion, Refusal, Seat,
    StepDown, Violation, VoteRefusal,
};
use std::fmt;

/// One thing worth telling.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Tale {
    /// A member said so.
    Noticed(MemberId, Notice),
    /// A client learned what became of a request.
    Settled(String, Fate),
    /// A client learned what it called for.
    Found(CallId, Found),
    /// A call was answered with what an earlier attempt of it had come to.
    Remembered(CallId),
    /// A call was refused by the value's sessions.
    TurnedDown(CallId, String),
    /// A read was answered under a lease, without anybody being asked.
    Peeked(CallId),
    /// A client learned what became of a read.
    Read(String, Outcome),
    /// A member's process ended.
    Crashed(MemberId),
    /// A member's process began again.
    Started(MemberId),
    /// Another incarnation of the group begins at a member, with this entry.
    Recovered(MemberId, EntryId),
}

impl fmt::Display for Tale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tale::Noticed(id, notice) => write!(f, "{} {}", Name(*id), Names(notice)),
            Tale::Settled(label, fate) => write!(f, "{label}: {fate}"),
            Tale::Read(label, outcome) => write!(f, "{label}: {outcome}"),
            Tale::Found(id, found) => write!(f, "{id} {found}"),
            Tale::Remembered(id) => write!(f, "{id} had run already"),
            Tale::TurnedDown(id, why) => write!(f, "{id} is refused: {why}"),
            Tale::Peeked(id) => write!(f, "{id} is answered under the lease"),
            Tale::Crashed(id) => write!(f, "{} crashes", Name(*id)),
            Tale::Started(id) => write!(f, "{} starts", Name(*id)),
            Tale::Recovered(id, entry) => write!(f, "{} is what is left of the group, from {entry} on", Name(*id)),
        }
    }
}

/// Shows something of the core with letters for members.
pub struct Names<'a, T>(pub &'a T);

impl fmt::Display for Names<'_, Notice> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Notice::Campaigning { ballot: Ballot::PreVote, term } => {
                write!(f, "asks who would vote for it in term {term}")
            }
            Notice::Campaigning { ballot: Ballot::Vote, term } => write!(f, "asks for votes in term {term}"),
            Notice::Campaigning { ballot: Ballot::Transfer, term } => {
                write!(f, "takes over, asks for votes in term {term}")
            }
            Notice::BecameLeader { term } => write!(f, "leads term {term}"),
            Notice::SteppedDown { term, why } => write!(f, "no longer leads term {term}: {}", step_down(*why)),
            Notice::FollowsLeader { leader, term } => write!(f, "follows {} in term {term}", Name(*leader)),
            Notice::VoteGranted { to, term, ballot: Ballot::PreVote } => {
                write!(f, "would vote for {} in term {term}", Name(*to))
            }
            Notice::VoteGranted { to, term, .. } => write!(f, "votes for {} in term {term}", Name(*to)),
            Notice::VoteRefused { to, why } => write!(f, "refuses {} its vote: {}", Name(*to), vote_refusal(*why)),
            other => log_notice(other, f),
        }
    }
}

fn log_notice(notice: &Notice, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match notice {
        Notice::Truncated { from, to } => write!(f, "drops its uncommitted entries {from}..{to}"),
        Notice::Mismatch { follower, next } => {
            write!(f, "learns that {} differs, looks on from {next}", Name(*follower))
        }
        Notice::Resending { follower, next } => write!(f, "sends to {} again, from {next}", Name(*follower)),
        Notice::SnapshotNeeded { follower } => write!(f, "sends its value to {}", Name(*follower)),
        Notice::SnapshotInstalled { last_included, kept_tail: true } => {
            write!(f, "installs the value as of {last_included} and keeps the entries after it")
        }
        Notice::SnapshotInstalled { last_included, .. } => write!(f, "installs the value as of {last_included}"),
        Notice::SnapshotIgnored { last_included } => write!(f, "ignores the value as of {last_included}: nothing new"),
        Notice::MembershipInForce { index, joint: true } => write!(f, "is under the joint membership at {index}"),
        Notice::MembershipInForce { index, .. } => write!(f, "is under the membership at {index}"),
        Notice::Promoting { learner } => write!(f, "promotes {}: it has caught up", Name(*learner)),
        Notice::DroppingSilentLearner { learner } => write!(f, "drops the silent learner {}", Name(*learner)),
        Notice::Quiescent => write!(f, "falls asleep: there is nothing to do"),
        Notice::Awake => write!(f, "wakes"),
        Notice::Removed => write!(f, "learns that it is no longer a member"),
        Notice::Transferring { to } => write!(f, "hands over to {}", Name(*to)),
        Notice::TransferAborted { to } => write!(f, "gives up handing over to {}", Name(*to)),
        Notice::Violation { from, what } => write!(f, "drops a message of {}: {}", Name(*from), violation(*what)),
        Notice::Halted { why: Halt::StorageFailed } => write!(f, "falls silent: its storage failed"),
        Notice::Halted { why: Halt::ContradictsCommitted } => {
            write!(f, "falls silent: a committed entry is contradicted")
        }
        other => write!(f, "{other:?}"),
    }
}

fn step_down(why: StepDown) -> &'static str {
    match why {
        StepDown::HigherTerm => "a higher term exists",
        StepDown::NoQuorum => "no majority answers",
        StepDown::Removed => "it is no longer a voter",
        StepDown::Halted => "it halted",
    }
}

fn vote_refusal(why: VoteRefusal) -> &'static str {
    match why {
        VoteRefusal::OldTerm => "the term is behind",
        VoteRefusal::LeaderAlive => "a leader may be alive",
        VoteRefusal::AlreadyVoted => "it voted for another",
        VoteRefusal::OldLog => "the log is behind",
    }
}

fn violation(what: Violation) -> &'static str {
    match what {
        Violation::WrongAddressee => "wrong addressee",
        Violation::TwoLeaders => "two leaders in one term",
        Violation::MalformedEntries => "malformed entries",
        Violation::ContradictsCommitted => "it contradicts a committed entry",
        Violation::NumberTooLarge => "a number is too large",
        Violation::NoTerm => "it leads term 0, which nobody leads",
        Violation::FalseAcknowledgement => "it acknowledges what was never sent",
    }
}

impl fmt::Display for Names<'_, Refusal> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Refusal::NotLeader(Some(leader)) => write!(f, "not the leader, {} leads", Name(*leader)),
            Refusal::NotLeader(None) => write!(f, "not the leader"),
            Refusal::Transferring => write!(f, "leadership is being handed over"),
            Refusal::Busy => write!(f, "busy"),
            Refusal::ChangeInProgress => write!(f, "a change is in progress"),
            Refusal::NothingCommittedInTerm => write!(f, "nothing is committed in this term yet"),
            Refusal::NotMember(id) => write!(f, "{} is not a member", Name(*id)),
            Refusal::AlreadyMember(id) => write!(f, "{} is a member already", Name(*id)),
            Refusal::CannotRemoveLeader => write!(f, "the leader cannot be removed so"),
            Refusal::NotCaughtUp(id) => write!(f, "{} has not caught up", Name(*id)),
            Refusal::WouldBreakQuorum => write!(f, "too few members would answer"),
            Refusal::NoVoters => write!(f, "no voter would be left"),
            Refusal::AlreadyLeader => write!(f, "it leads already"),
            Refusal::NotVoter(id) => write!(f, "{} does not vote", Name(*id)),
            Refusal::Unresponsive(id) => write!(f, "{} does not answer", Name(*id)),
            Refusal::Overridden => write!(f, "overridden"),
            Refusal::LeaderAlive(Some(leader)) => write!(f, "{} leads, or did until lately", Name(*leader)),
            Refusal::LeaderAlive(None) => write!(f, "a leader may be alive"),
            Refusal::IsSurvivor => write!(f, "it is the survivor itself"),
            Refusal::MajorityRemains => write!(f, "a majority remains"),
            Refusal::InvalidConfig(invalid) => write!(f, "{invalid}"),
            Refusal::Halted => write!(f, "it halted"),
        }
    }
}

impl fmt::Display for Names<'_, Message> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Message { from, to, term, body } = self.0;
        write!(f, "{}->{} t{term} ", Name(*from), Name(*to))?;
        match body {
            Body::RequestVote(request) => write!(f, "{} last {}", ballot(request.ballot), request.last),
            Body::RequestVoteReply(reply) => {
                write!(f, "{} {}", ballot(reply.ballot), if reply.granted { "granted" } else { "refused" })
            }
            Body::AppendEntries(append) if append.entries.is_empty() => {
                let sleep = if append.quiesce { ", then sleep" } else { "" };
                write!(f, "append nothing after {} commit {}{sleep}", append.prev, append.commit)
            }
            Body::AppendEntries(append) => {
                write!(f, "append after {}:", append.prev)?;
                for entry in &append.entries {
                    write!(f, " {},", entry.id)?;
                }
                write!(f, " commit {}", append.commit)
            }
            Body::AppendEntriesReply(reply) => match reply.result {
                AppendResult::Accepted { matched } => write!(f, "accepted up to {matched}"),
                AppendResult::Rejected { prev, hint } => write!(f, "rejected after {prev}, hint {hint}"),
            },
            Body::InstallSnapshot(request) => write!(f, "value as of {}", request.snapshot.last_included),
            Body::InstallSnapshotReply(reply) => write!(f, "value accepted, up to {}", reply.matched),
            Body::TimeoutNow => write!(f, "take over now"),
            Body::Removed => write!(f, "you are removed"),
        }
    }
}

fn ballot(ballot: Ballot) -> &'static str {
    match ballot {
        Ballot::PreVote => "pre-vote",
        Ballot::Vote => "vote",
        Ballot::Transfer => "vote in a transfer",
    }
}

/// Who is a member: `A B (C)` has two voters and a learner; `+C` and `-B` come and go in a joint membership.
pub fn members(membership: &Membership) -> String {
    let one = |(id, seat): (MemberId, Seat)| match seat {
        Seat::Voter => format!("{}", Name(id)),
        Seat::Incoming => format!("+{}", Name(id)),
        Seat::Outgoing => format!("-{}", Name(id)),
        Seat::Learner(Promotion::Replacing(old)) => format!("({} for {})", Name(id), Name(old)),
        Seat::Learner(_) => format!("({})", Name(id)),
    };
    let all: Vec<String> = membership.members().iter().map(|(id, member)| one((*id, member.seat))).collect();
    all.join(" ")
}
