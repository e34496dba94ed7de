//! What happened and why: at once a log line, a metric and a coverage mark of the tests.

use crate::message::Ballot;
use crate::types::{EntryId, LogIndex, MemberId, Term};

/// Something worth knowing about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Notice {
    /// This member asks for votes.
    Campaigning {
        /// Of which kind.
        ballot: Ballot,
        /// The term it would lead.
        term: Term,
    },
    /// This member leads from here on.
    BecameLeader {
        /// The term.
        term: Term,
    },
    /// This member stopped leading; every caller that waits must be told.
    SteppedDown {
        /// The term it led.
        term: Term,
        /// Why.
        why: StepDown,
    },
    /// A leader is known.
    FollowsLeader {
        /// The leader.
        leader: MemberId,
        /// Its term.
        term: Term,
    },
    /// A vote was given.
    VoteGranted {
        /// To whom.
        to: MemberId,
        /// In which term, or about which for a pre-vote.
        term: Term,
        /// Of which kind.
        ballot: Ballot,
    },
    /// A vote was refused.
    VoteRefused {
        /// To whom.
        to: MemberId,
        /// Why.
        why: VoteRefusal,
    },
    /// Entries that were never committed made way for the leader's.
    Truncated {
        /// The first that went.
        from: LogIndex,
        /// The last that went.
        to: LogIndex,
    },
    /// A follower's log has no common entry where it was looked for.
    Mismatch {
        /// The follower.
        follower: MemberId,
        /// Where the search goes on.
        next: LogIndex,
    },
    /// What was sent to a follower seems to be lost.
    Resending {
        /// The follower.
        follower: MemberId,
        /// From where it is sent again.
        next: LogIndex,
    },
    /// A follower needs entries that the log no longer has.
    SnapshotNeeded {
        /// The follower.
        follower: MemberId,
    },
    /// A value was accepted in place of log entries.
    SnapshotInstalled {
        /// The last entry it contains.
        last_included: EntryId,
        /// Whether entries after it could be kept.
        kept_tail: bool,
    },
    /// A value that arrived contains nothing new.
    SnapshotIgnored {
        /// The last entry it contains.
        last_included: EntryId,
    },
    /// A membership is in force (committed or not).
    MembershipInForce {
        /// The entry that carries it.
        index: LogIndex,
        /// Whether it is joint.
        joint: bool,
    },
    /// A learner has caught up and is being promoted.
    Promoting {
        /// The learner.
        learner: MemberId,
    },
    /// A learner was silent for too long and is being dropped.
    DroppingSilentLearner {
        /// The learner.
        learner: MemberId,
    },
    /// This member fell asleep: the group has nothing to do.
    Quiescent,
    /// This member is awake again.
    Awake,
    /// A committed membership no longer has this member: it may be stopped.
    Removed,
    /// Leadership is being handed over.
    Transferring {
        /// To whom.
        to: MemberId,
    },
    /// A transfer came to nothing; this member leads on.
    TransferAborted {
        /// To whom it should have gone.
        to: MemberId,
    },
    /// A message contradicts the protocol; it was dropped.
    Violation {
        /// Who sent it.
        from: MemberId,
        /// What is wrong with it.
        what: Violation,
    },
    /// This member is silent from here on.
    Halted {
        /// Why.
        why: Halt,
    },
}

/// Why a leader stopped leading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StepDown {
    /// A higher term exists.
    HigherTerm,
    /// No majority answered for the longest election timeout.
    NoQuorum,
    /// It is no longer a voter.
    Removed,
    /// Its storage failed, or it met a contradiction.
    Halted,
}

/// Why a vote was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VoteRefusal {
    /// The candidate's term is behind.
    OldTerm,
    /// A leader is alive, or a promise to one still holds.
    LeaderAlive,
    /// The vote of this term is given to another.
    AlreadyVoted,
    /// The candidate's log is behind.
    OldLog,
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Violation {
    /// It is addressed to somebody else.
    WrongAddressee,
    /// Two leaders in one term.
    TwoLeaders,
    /// Entries that are not in sequence, or whose terms are out of order.
    MalformedEntries,
    /// It contradicts an entry that is committed here.
    ContradictsCommitted,
    /// A term or an index that no honest member reaches.
    NumberTooLarge,
    /// A leader of term 0, which marks "before everything".
    NoTerm,
    /// It acknowledges what was never sent.
    FalseAcknowledgement,
}

/// Why a member is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Halt {
    /// Storage failed: what is durable is unknown until a restart.
    StorageFailed,
    /// A leader's message contradicts a committed entry.
    ContradictsCommitted,
}
