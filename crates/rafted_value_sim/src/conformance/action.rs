//! What the specification allows a member to do.

/// One action of the specification, or one of our deviations from it by the name that `docs/safety.md` gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// A higher term is seen and entered, as a follower (§3.3).
    UpdateTerm,
    /// A term of its own is begun, with a vote for itself (§3.4).
    Timeout,
    /// A vote is given (§3.4, §3.6.1).
    GrantVote,
    /// A vote arrives and counts (§3.4).
    CountVote,
    /// The votes are a majority, and an entry of the new term is appended (§3.4, §6.4).
    BecomeLeader,
    /// Another candidate of the term has won (§3.4).
    RecogniseLeader,
    /// A leader appends what a client asked for (§3.5).
    ClientRequest,
    /// A follower has what precedes the entries it was sent; its log contains them from here on (§3.5).
    AcceptEntries,
    /// As before, and what contradicts them goes (§3.5).
    ReplaceEntries,
    /// A follower does not have what precedes the entries it was sent (§3.5).
    RejectEntries,
    /// A leader learns up to where a follower's log is its own (§3.5).
    CountMatch,
    /// A leader sees an entry of its own term on a majority (§3.6.2).
    AdvanceCommit,
    /// A follower learns what is committed (§3.5).
    LearnCommit,
    /// A leader hands over to one whose log is complete (§3.10).
    TransferLeadership,
    /// The one that was chosen begins a term at once (§3.10).
    TakeOver,
    /// A leader adds or removes one voter (§4.1).
    ChangeOneVoter,
    /// A leader changes who receives the log without a vote (§4.2.1).
    ChangeLearners,
    /// A leader appends the joint membership (§4.3).
    EnterJoint,
    /// A leader appends the new membership after the joint one is committed (§4.3).
    LeaveJoint,
    /// A leader that has no vote any more leaves (§4.2.2).
    LeaveOffice,
    /// A value replaces the log, or the part of it that the value contains (§5).
    InstallSnapshot,
    /// A value that contains nothing new is ignored (§5).
    IgnoreSnapshot,
    /// A read is confirmed by a majority that was asked after it began (§6.4).
    ConfirmRead,
    /// A read is confirmed by a lease (§6.4.1).
    ReadByLease,
    /// A leader that a majority has not answered for an election timeout leaves (§6.2).
    CheckQuorum,
    /// *Pre-votes are always on*: it asks first (§9.6).
    PreVote,
    /// *Pre-votes are always on*: one of them arrives and counts (§9.6).
    CountPreVote,
    /// *A campaign that is lost ends at once.*
    GiveUp,
    /// *A contradiction halts*, and so does a disk that fails: the member is silent from here on.
    Halt,
    /// *A leader that loses its vote hands over* to whoever has the longest log.
    HandOverOnRemoval,
    /// *A removed member is told*.
    TellRemoved,
    /// A member starts, again or for the first time, from what its disk has (§3.8).
    Restart,
    /// Nothing the specification speaks of changes: a message is lost, late, or only answered.
    Stutter,
}

impl Action {
    /// Every action: a test that watches many runs must have seen each.
    pub const ALL: &[Action] = &[
        Action::UpdateTerm,
        Action::Timeout,
        Action::GrantVote,
        Action::CountVote,
        Action::BecomeLeader,
        Action::RecogniseLeader,
        Action::ClientRequest,
        Action::AcceptEntries,
        Action::ReplaceEntries,
        Action::RejectEntries,
        Action::CountMatch,
        Action::AdvanceCommit,
        Action::LearnCommit,
        Action::TransferLeadership,
        Action::TakeOver,
        Action::ChangeOneVoter,
        Action::ChangeLearners,
        Action::EnterJoint,
        Action::LeaveJoint,
        Action::LeaveOffice,
        Action::InstallSnapshot,
        Action::IgnoreSnapshot,
        Action::ConfirmRead,
        Action::ReadByLease,
        Action::CheckQuorum,
        Action::PreVote,
        Action::CountPreVote,
        Action::GiveUp,
        Action::Halt,
        Action::HandOverOnRemoval,
        Action::TellRemoved,
        Action::Restart,
        Action::Stutter,
    ];
}
