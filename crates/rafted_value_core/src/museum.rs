//! The museum of bugs: rules that can be taken out one at a time, to see that something notices. Each is a bug that some
//! implementation of Raft has had, this one included.
//!
//! Only a build with `--cfg museum`, which no feature turns on, can break a rule. In every other build [`broken`] is
//! `false` before anything runs.

use crate::entry::Entry;
use crate::log::Log;
use crate::membership::{Member, Membership, Seat};
use crate::types::{LogIndex, MemberId};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

macro_rules! mutants {
    ($($name:ident $id:literal $what:literal)*) => {
        /// A bug, named after what goes wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mutant {
            $(#[doc = $what] $name,)*
        }

        /// Every mutant with its id and what goes wrong. `M` is the catalogue of faults, `C` and `R` are bugs of others,
        /// `B` are the bugs found here.
        pub const MUTANTS: &[(Mutant, &str, &str)] = &[$((Mutant::$name, $id, $what),)*];
    };
}

mutants! {
    StepDownForgetsVote "M01" "a step down within a term forgets the vote"
    PreVoteIsRecorded "M02" "a granted pre-vote is recorded as the vote of the present term"
    PreVotesElect "M03" "a pre-vote counts as a vote"
    EveryReplyGrants "M04" "a refusal counts as a vote"
    VoteBeforeDurable "M05" "replies to candidates leave before term and vote are durable"
    VoteLeftOutOfWrite "M06" "term and vote are not written together: the write has the term only"
    LongerLogWins "M07" "the longer log wins an election, whatever its last term"
    CountsOldTerms "M08" "an entry of an earlier term is committed by counting (figure 8)"
    StaleTailStays "M09" "a conflict is overwritten, and what follows it stays (C2.1)"
    ContainedAppendTruncates "M10" "an append that the log contains already removes what follows it (C3.7)"
    AcksEndOfLog "M11" "a follower acknowledges the end of its log, not what was verified (C2.1)"
    CommitIsUnclamped "M12" "a follower commits what its leader has, verified or not (C3.1, C3.2)"
    OldTermAckCounts "M13" "an acknowledgement of an earlier term counts"
    RejectionLowersMatch "M14" "a late rejection lowers what is known of a follower"
    QuorumIsUnsorted "M15" "the quorum is read off a list that is not sorted (C3.5)"
    LeaderCountsUnsynced "M16" "a leader counts itself before its log is durable (C3.10, C3.12)"
    RemovedLeaderCounts "M17" "a leader that does not vote counts itself"
    DurableByIndex "M18" "a confirmed write vouches for whatever stands at its index now (C3.4)"
    MembershipOutlivesEntry "M19" "a membership stays in force though its entry is truncated (C6.3)"
    TwoChangesPending "M20" "a second membership change begins before the first is committed"
    ChangeBeforeOwnCommit "M21" "a membership changes before the leader has committed in its term (C2.5, R4)"
    SnapshotKeepsMembership "M22" "a value that is installed leaves the old membership in force (C6.5)"
    LateAckResurrects "M23" "a late reply brings a removed member back into the count"
    MemoryKeepsIdentity "M24" "a member in memory restarts with its identity and without its memory (C6.8)"
    StaleValueInstalled "M25" "a value is installed however old it is (C2.6)"
    InstallDropsTail "M26" "an installed value drops the acknowledged entries that follow it"
    ReadBeforeOwnCommit "M30" "a read round begins before the leader has committed in its term (C5.1)"
    RoundsShareNumber "M31" "read rounds share a number, so that an old answer confirms a new read (C5.2)"
    LeaseFromReceipt "M32a" "the lease counts from the receipt of a reply, not from what it answers (C1.3)"
    LeaseIgnoresDrift "M32b" "the lease does not subtract the drift of clocks"
    LeaseSurvivesTransfer "M32c" "the lease goes on while leadership is handed over (C5.5, C7.5)"
    RestartForgetsPromise "M33" "a restarted voter votes within a lease it had promised (C4.14)"
    FailedSyncRetried "M34" "a failed sync is tried again as if nothing were lost"
    ProbeIsStuck "M40" "a lost probe is never sent again"
    HigherTermIgnored "M41" "a pre-candidate ignores the higher term of whoever refuses it (C4.2)"
    NoCheckQuorum "M42" "a leader that reaches nobody leads on"
    AddresseeUnchecked "M43" "a message for somebody else is taken for one's own"

    MajorityOffByOne "C1.11" "half of the voters are a majority"
    MissingMatches "C2.2" "an entry that the log does not have matches what the leader has there (C3.16)"
    LeaseBeforeOwnCommit "C2.3" "a lease begins before the leader has committed in its term"
    MarginOnBothSides "C2.4" "voters, too, subtract the drift margin from what they promise"
    PromiseIsAssumed "C2.7" "a leader counts on its own election timeout, whatever a follower promised"
    JoinerVotesAtOnce "C2.9" "who joins votes at once"
    NoPreVote "C2.10" "elections begin without pre-votes"
    UnwrittenIsDurable "C3.3" "entries that were never handed to the disk count as durable"
    OldAcksLeave "C3.6" "acknowledgements that waited for the disk leave after their term is over"
    ShorterAppendTruncates "C3.8" "the log ends where an append ends, though it was longer (C1.4)"
    AckBeforeDurable "C3.11" "acknowledgements leave before the entries are durable"
    NoBackoff "C3.14" "the search for a common entry does not move"
    CompactedIsConflict "C3.15" "an entry before the base is taken for a conflict"
    HandsOutPages "C3.19" "committed entries are handed out in pages, and counted as a whole"
    WindowLeaks "C3.20" "the bytes of acknowledged messages are never taken off the window"
    OldCampaignCounts "C4.5" "pre-votes for an earlier campaign count"
    StrangerDeposes "C4.7" "a reply of somebody who was removed deposes a leader"
    LearnerRefuses "C4.8" "a member that does not know of its promotion refuses to vote"
    LearnerCampaigns "C4.8b" "a member that does not vote becomes a candidate"
    ReadsLocally "C5.7" "a leader answers reads without asking anybody"
    LearnersCount "C5.8" "learners are counted"
    SettingsNotRestored "C6.2" "a restart reads no memberships from the log"
    JointIsCompacted "C6.6" "compaction leaves a joint membership"
    CountsByCommitted "C6.7" "commits are counted by the committed membership, not by the one in force"
    RemovedIsNotTold "C6.9" "a removed member is never told"
    PromotedUnprepared "C6.10" "a learner is promoted before it has caught up"
    JointForEver "C6.14" "a joint membership is never left"
    TransferNeverEnds "C7.1" "a transfer to a member that does not take over never ends"
    TransferKeepsToRules "C7.3" "the target of a transfer campaigns like anybody else"
    ConflictSurvivesInstall "C8.2" "entries that conflict with an installed value stay"
    ValueIsNeverSent "C8.3" "a follower that needs what was compacted is sent nothing"
    VoteThoughLeaderLives "R3" "a vote is granted though a leader is alive"
    AnyAckConfirms "R3b" "any reply confirms the latest read round"
    HardStateUnwritten "R8" "term and vote are written when somebody stops the member properly"
    EmptyPrefixWipes "R10" "an append that begins at the beginning wipes the log"

    OldTermEchoes "B01" "a reply under a newer term echoes the read round of an earlier leadership"
    ClaimsOnlyMatched "B02" "a heartbeat claims what was acknowledged, so that a lost acknowledgement is not repeated"
    UnknownPromise "B04" "a promise rests on a config that a restart would not know"
    PromisesOutliveConfig "B05" "a lease rests on promises given under another config"
    LearnersForgetPromises "B06" "a restarted member that does not know of its promotion does not wait"
    LeaseWithoutVote "B07" "a leader without a vote keeps its lease"
    RemovedByRumour "B09" "a joiner whose addition was undone takes itself for removed"
    VoterBeforeCaughtUp "B15" "members that have not caught up are made voters"
}

#[cfg(museum)]
static CHOSEN: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(0);

/// Whether this rule is broken.
#[cfg(museum)]
pub fn broken(mutant: Mutant) -> bool {
    CHOSEN.load(core::sync::atomic::Ordering::Relaxed) == mutant as u32 + 1
}

/// Whether this rule is broken: never.
#[cfg(not(museum))]
#[inline(always)]
pub const fn broken(_: Mutant) -> bool {
    false
}

/// Breaks one rule in the whole process, or none. Returns whether this build can.
pub fn choose(mutant: Option<Mutant>) -> bool {
    #[cfg(museum)]
    CHOSEN.store(mutant.map_or(0, |mutant| mutant as u32 + 1), core::sync::atomic::Ordering::Relaxed);
    cfg!(museum) || mutant.is_none()
}

/// What a follower keeps beyond the new entries, though it conflicts with them.
pub(crate) fn stale_tail(log: &Log, new: &[Entry]) -> Vec<Entry> {
    match new.last() {
        Some(last) if broken(Mutant::StaleTailStays) => log.copy(last.id.index.next(), log.last_index(), u64::MAX),
        _ => Vec::new(),
    }
}

/// The wrong membership to count commits by, if there is one.
pub(crate) fn counted(log: &Log, commit: LogIndex, leader: MemberId) -> Option<Arc<Membership>> {
    if broken(Mutant::CountsByCommitted) {
        return Some(log.membership_at(commit).clone());
    }
    let voter = (leader, Member { contact: Bytes::new(), seat: Seat::Voter });
    let members = || log.membership().members().clone().into_iter().chain([voter]);
    broken(Mutant::RemovedLeaderCounts).then(|| Arc::new(Membership::new(members())))
}
