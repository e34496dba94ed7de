//! Marks: what runs must have come across, or they prove little. A mark is a count per kind of event.

use crate::action::Action;
use crate::clients::Found;
use crate::cluster::Cluster;
use crate::disk::Durability;
use crate::history::Fate;
use crate::invariants::majority::is_majority;
use crate::portrait::Portrait;
use crate::tale::Tale;
use rafted_value_core::{Ballot, LogIndex, Notice, StepDown, Violation, VoteRefusal};
use std::collections::BTreeMap;

/// How often each mark was hit.
pub type Coverage = BTreeMap<&'static str, u64>;

/// Every mark that enough seeds must hit.
pub const MARKS: &[&str] = &[
    "leader elected",
    "leader elected by a transfer",
    "leader deposed by a higher term",
    "leader without a quorum steps down",
    "removed leader steps down",
    "vote refused: leader alive",
    "vote refused: already voted",
    "vote refused: old log",
    "vote refused: old term",
    "uncommitted entries dropped",
    "membership undone",
    "log differs",
    "entries sent again",
    "value sent",
    "value installed, tail kept",
    "value installed, tail dropped",
    "value ignored",
    "joint membership",
    "leader ends in a joint membership",
    "learner promoted",
    "silent learner dropped",
    "member learns of its removal",
    "transfer begins",
    "transfer given up",
    "transfer done",
    "misrouted packet dropped",
    "storage failed",
    "Figure 8: on a majority, not committed",
    "ended with writes under way",
    "restarted from its own value",
    "call answered",
    "call refused by the leader",
    "session registered",
    "retry meets its result",
    "session unknown",
    "result forgotten",
    "read after a round",
    "read under the lease",
    "config changed",
];

/// What a tale is a mark of.
pub(super) fn of_tale(tale: &Tale) -> Option<&'static str> {
    Some(match tale {
        Tale::Noticed(_, notice) => return of_notice(notice),
        Tale::Found(_, Found::Session(_)) => "session registered",
        Tale::Found(_, Found::Item(_)) => "call answered",
        Tale::Remembered(_) => "retry meets its result",
        Tale::TurnedDown(_, why) if why == "NoSuchSession" => "session unknown",
        Tale::TurnedDown(_, why) if why == "Forgotten" => "result forgotten",
        Tale::Peeked(_) => "read under the lease",
        Tale::Settled(_, Fate::HandedOver(_)) => "transfer done",
        _ => return None,
    })
}

fn of_notice(notice: &Notice) -> Option<&'static str> {
    Some(match notice {
        Notice::BecameLeader { .. } => "leader elected",
        Notice::Campaigning { ballot: Ballot::Transfer, .. } => "leader elected by a transfer",
        Notice::SteppedDown { why: StepDown::HigherTerm, .. } => "leader deposed by a higher term",
        Notice::SteppedDown { why: StepDown::NoQuorum, .. } => "leader without a quorum steps down",
        Notice::SteppedDown { why: StepDown::Removed, .. } => "removed leader steps down",
        Notice::VoteRefused { why: VoteRefusal::LeaderAlive, .. } => "vote refused: leader alive",
        Notice::VoteRefused { why: VoteRefusal::AlreadyVoted, .. } => "vote refused: already voted",
        Notice::VoteRefused { why: VoteRefusal::OldLog, .. } => "vote refused: old log",
        Notice::VoteRefused { why: VoteRefusal::OldTerm, .. } => "vote refused: old term",
        Notice::Truncated { .. } => "uncommitted entries dropped",
        Notice::Mismatch { .. } => "log differs",
        Notice::Resending { .. } => "entries sent again",
        Notice::SnapshotNeeded { .. } => "value sent",
        Notice::SnapshotInstalled { kept_tail: true, .. } => "value installed, tail kept",
        Notice::SnapshotInstalled { .. } => "value installed, tail dropped",
        Notice::SnapshotIgnored { .. } => "value ignored",
        Notice::MembershipInForce { joint: true, .. } => "joint membership",
        Notice::Promoting { .. } => "learner promoted",
        Notice::DroppingSilentLearner { .. } => "silent learner dropped",
        Notice::Removed => "member learns of its removal",
        Notice::Transferring { .. } => "transfer begins",
        Notice::TransferAborted { .. } => "transfer given up",
        Notice::Violation { what: Violation::WrongAddressee, .. } => "misrouted packet dropped",
        Notice::Halted { .. } => "storage failed",
        _ => return None,
    })
}

/// What an action is a mark of, looked at before it is done.
pub(super) fn of_action(action: &Action, cluster: &Cluster) -> Option<&'static str> {
    match action {
        Action::Crash(id) | Action::CrashAfter(id, _) => {
            let (portrait, member) = (cluster.portraits().get(id)?, cluster.members().get(id)?);
            let busy = member.disk.durability == Durability::Durable && member.disk.is_busy();
            match portrait.leads() && portrait.membership.is_joint() {
                true => Some("leader ends in a joint membership"),
                false => busy.then_some("ended with writes under way"),
            }
        }
        Action::Restart(id) => {
            let own = cluster.members().get(id)?.disk.base().index() > LogIndex(1);
            own.then_some("restarted from its own value")
        }
        _ => None,
    }
}

/// What a step of a member is a mark of.
pub(super) fn of_step(before: &Portrait, after: &Portrait) -> Option<&'static str> {
    if before.up
        && after.up
        && after.log.membership().0 < before.log.membership().0
        && !after.log.agrees(&before.log, after.log.last().index)
    {
        return Some("membership undone");
    }
    let start = after.term_start().filter(|_| after.leads() && after.matched != before.matched)?;
    // What was left by others, and is on a majority by now.
    let left = LogIndex(start.0 - 1);
    let has = |id| id == after.id || after.matched.iter().any(|(other, matched)| *other == id && *matched >= left);
    let figure_8 = after.commit < left && is_majority(&after.membership, has);
    figure_8.then_some("Figure 8: on a majority, not committed")
}
