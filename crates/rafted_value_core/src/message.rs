//! What members say to each other: one struct per RPC of the thesis, and one per reply.

use crate::entry::{Entry, SnapshotMeta};
use crate::types::{EntryId, LogIndex, MemberId, Term, Time};
use alloc::vec::Vec;
use core::time::Duration;

/// A message from one member to another. It may be lost, repeated, reordered or late.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Message {
    /// Who says it.
    pub from: MemberId,
    /// To whom.
    pub to: MemberId,
    /// The sender's current term. A pre-vote does not enter a term: it asks about the one after this.
    pub term: Term,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Body {
    /// A candidate asks for a vote.
    RequestVote(RequestVote),
    /// The answer.
    RequestVoteReply(RequestVoteReply),
    /// A leader sends entries, its commit index, or just a sign of life.
    AppendEntries(AppendEntries),
    /// The answer.
    AppendEntriesReply(AppendEntriesReply),
    /// A leader's value has arrived in full; the driver holds it.
    InstallSnapshot(InstallSnapshot),
    /// The answer.
    InstallSnapshotReply(InstallSnapshotReply),
    /// A leader asks its successor to campaign now (thesis §3.10).
    TimeoutNow,
    /// A leader tells somebody that it is no longer a member, by a committed membership.
    Removed,
}

/// Asks for a vote (thesis §3.4), a pre-vote (§9.6), or a vote in a leadership transfer (§3.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestVote {
    /// Which kind of vote.
    pub ballot: Ballot,
    /// The last entry of the candidate's log.
    pub last: EntryId,
    /// Which of its campaigns, so that late replies to an earlier one are told apart.
    pub campaign: u64,
}

/// Which kind of vote is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ballot {
    /// Would you vote for me in the next term? Changes nothing at the voter.
    PreVote,
    /// Vote for me in this term.
    Vote,
    /// The same, at the wish of the leader itself: a live leader is no reason to refuse.
    Transfer,
}

/// Answers [`RequestVote`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestVoteReply {
    /// Which kind of vote was asked for.
    pub ballot: Ballot,
    /// Whether it is granted.
    pub granted: bool,
    /// The campaign of the request.
    pub campaign: u64,
}

/// Sends entries (thesis §3.5), a heartbeat, a read round (§6.4): always the same RPC.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AppendEntries {
    /// The entry just before `entries`.
    pub prev: EntryId,
    /// Entries to append; none in a heartbeat.
    pub entries: Vec<Entry>,
    /// The leader's commit index.
    pub commit: LogIndex,
    /// The latest read round when this was sent.
    pub round: u64,
    /// When this was sent, on the leader's clock.
    pub sent: Time,
    /// Entries after this one are still needed by some member: whoever leads next may have to send them.
    pub keep: LogIndex,
    /// Nothing else comes until somebody is woken: whoever has everything need not wait for signs of life.
    pub quiesce: bool,
}

/// Answers [`AppendEntries`]. Says only what that message verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AppendEntriesReply {
    /// Whether the follower's log has the leader's `prev`.
    pub result: AppendResult,
    /// Up to here the follower's log is this leader's, durable or not: what was sent has arrived. Proves nothing.
    pub verified: LogIndex,
    /// The round of the request.
    pub round: u64,
    /// `sent` of the request.
    pub sent: Time,
    /// For how long from the receipt of the request on the follower refuses to vote.
    pub promise: Duration,
}

/// Whether a follower's log has the leader's `prev`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AppendResult {
    /// Yes, and up to `matched` the two logs are the same, durably.
    Accepted {
        /// The last entry that the request verified and that is durable.
        matched: LogIndex,
    },
    /// No: look for a common entry at or before `hint`.
    Rejected {
        /// The index of `prev` in the request.
        prev: LogIndex,
        /// The follower's last entry at or before `prev` whose term is not larger than that of `prev`.
        hint: EntryId,
    },
}

/// The value as of `snapshot` has arrived (thesis chapter 5).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InstallSnapshot {
    /// What the value contains.
    pub snapshot: SnapshotMeta,
}

/// Answers [`InstallSnapshot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InstallSnapshotReply {
    /// Up to here the follower's log or value is the leader's, durably: the snapshot, or more if it had more.
    pub matched: LogIndex,
}
