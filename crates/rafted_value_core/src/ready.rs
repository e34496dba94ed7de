//! Everything a member wants done, in the order in which to do it.

use crate::entry::{Entry, SnapshotMeta};
use crate::hard_state::HardState;
use crate::message::Message;
use crate::notice::Notice;
use crate::types::{EntryId, LogIndex, MemberId, ReadId, RequestId, Time, WriteNo};
use alloc::vec::Vec;

/// What a member wants done, collected since the last call. **Perform the fields in their order.**
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ready {
    /// The leader lease as of now, in every `Ready`, even one that wants nothing else. Publish it before anything
    /// else: a message of this same `Ready` may end it.
    pub lease: Option<Lease>,
    /// What happened and why; for logs, metrics and tests.
    pub notices: Vec<Notice>,
    /// Make this durable, after every earlier write, then say [`Input::Persisted`](crate::Input::Persisted).
    /// Do not wait for it before going on: what has to wait is held back here.
    pub write: Option<Write>,
    /// Send these. Losing one is no error.
    pub messages: Vec<Message>,
    /// Send the value, as of the last [`Input::Applied`](crate::Input::Applied) or later, to these members, over a path of its own; say
    /// [`Input::SnapshotSent`](crate::Input::SnapshotSent) or
    /// [`Input::SnapshotFailed`](crate::Input::SnapshotFailed) for each.
    pub snapshots: Vec<MemberId>,
    /// Apply these, in order, after those of earlier calls (and after the snapshot in `write`, if any).
    pub committed: Vec<Entry>,
    /// What became of requests.
    pub answers: Vec<Answer>,
    /// What became of reads.
    pub reads: Vec<ReadAnswer>,
    /// Say [`Input::Timer`](crate::Input::Timer) at an instant drawn at random from this range. Replaces the
    /// request made before; without one, that stays.
    pub timer: Option<Timer>,
}

/// What must become durable, all of it together, after every write with a smaller number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Write {
    /// Its number.
    pub no: WriteNo,
    /// Term and vote, if they changed.
    pub hard_state: Option<HardState>,
    /// A value that arrived replaces the present one. Comes before `append`.
    pub snapshot: Option<SnapshotMeta>,
    /// The log from some index on.
    pub append: Option<Append>,
}

/// The log from `from` on is `entries`, whatever stood there before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Append {
    /// The index of the first entry that is replaced.
    pub from: LogIndex,
    /// What stands there from now on.
    pub entries: Vec<Entry>,
}

/// While it lasts, the leader may answer reads without asking anyone, once `commit` is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// No read may be answered at or after this instant of the leader's clock.
    pub until: Time,
    /// A read sees at least this.
    pub commit: LogIndex,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Answer {
    /// The driver's name for it.
    pub id: RequestId,
    /// Where it stands in the log (not committed yet), or that it was refused and left no trace.
    pub result: Result<EntryId, Refusal>,
}

/// What became of a read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReadAnswer {
    /// The driver's name for it.
    pub id: ReadId,
    /// Answer it from a value that contains this entry, or it was refused.
    pub result: Result<LogIndex, Refusal>,
}

/// When to wake the member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timer {
    /// Not before.
    pub earliest: Time,
    /// Not after, as far as the machine allows.
    pub latest: Time,
}

/// Why a request was refused. Nothing of it was done; but a transfer that is reported as [`Refusal::Unresponsive`] or
/// [`Refusal::Overridden`] may have reached its target, which then still takes over.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Not the leader; who is, if known.
    NotLeader(Option<MemberId>),
    /// Leadership is on its way to another member.
    Transferring,
    /// Too many bytes wait to be applied.
    Busy,
    /// A membership change is not committed yet.
    ChangeInProgress,
    /// This leader has not committed an entry of its own term yet (the single-server bug of 2015).
    NothingCommittedInTerm,
    /// That one is not a member.
    NotMember(MemberId),
    /// That one is a member already.
    AlreadyMember(MemberId),
    /// The leader itself cannot be removed or replaced this way.
    CannotRemoveLeader,
    /// That one has not caught up: as a voter it would hold up every commit.
    NotCaughtUp(MemberId),
    /// The members that answer would no longer be a majority.
    WouldBreakQuorum,
    /// No voter would be left.
    NoVoters,
    /// That one leads already.
    AlreadyLeader,
    /// That one does not vote, so it cannot lead.
    NotVoter(MemberId),
    /// The one that shall lead does not answer, or did not take over in time.
    Unresponsive(MemberId),
    /// The transfer was overridden by another request, or cancelled.
    Overridden,
    /// A leader is alive, or may be: who, if known.
    LeaderAlive(Option<MemberId>),
    /// The survivor itself is named as lost.
    IsSurvivor,
    /// The members that are not named as lost can elect a leader: nothing has to be given up.
    MajorityRemains,
    /// The settings cannot be used.
    InvalidConfig(crate::config::InvalidConfig),
    /// This member halted; see its notices.
    Halted,
}

impl Ready {
    /// Forgets everything and keeps the buffers.
    pub fn clear(&mut self) {
        self.lease = None;
        self.notices.clear();
        self.write = None;
        self.messages.clear();
        self.snapshots.clear();
        self.committed.clear();
        self.answers.clear();
        self.reads.clear();
        self.timer = None;
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.notices.is_empty()
            && self.write.is_none()
            && self.messages.is_empty()
            && self.snapshots.is_empty()
            && self.committed.is_empty()
            && self.answers.is_empty()
            && self.reads.is_empty()
            && self.timer.is_none()
    }
}
