//! What holds between any two steps of one member. What holds between members is the simulator's business.

use crate::raft::{Raft, Role};
use crate::types::{LogIndex, MemberId};

/// Checks every invariant of one member.
///
/// # Errors
///
/// The first that does not hold.
pub fn check(raft: &Raft) -> Result<(), &'static str> {
    let last = raft.log.last();
    let rules = [
        (raft.log.base().index() <= raft.commit, "the base is committed"),
        (raft.commit <= last.index, "commit is within the log"),
        (raft.applied <= raft.handed_out, "only what was handed out is applied"),
        (raft.handed_out <= raft.commit, "only what is committed is handed out"),
        (raft.log.base().index() <= raft.applied || raft.halted, "only what is applied is let go of"),
        (!raft.is_quiescent() || raft.commit == last.index, "who sleeps has nothing to do"),
        (last.term <= raft.term(), "no entry is from a later term"),
        (raft.durable_index() <= last.index, "only what stands in the log is durable"),
    ];
    if let Some((_, broken)) = rules.into_iter().find(|(holds, _)| !holds) {
        return Err(broken);
    }
    match &raft.role {
        Role::Follower(_) | Role::PreCandidate(_) => Ok(()),
        Role::Candidate(_) => voted_for_itself(raft),
        Role::Leader(leader) => {
            voted_for_itself(raft)?;
            let membership = raft.log.membership();
            let others = membership.members().keys().copied().filter(|id| *id != raft.id);
            if !others.eq(leader.progress.keys().copied()) {
                return Err("a leader keeps progress of exactly the other members");
            }
            let bounded = |id: &MemberId| {
                let progress = &leader.progress[id];
                progress.matched < progress.next && progress.next <= last.index.next()
            };
            if !leader.progress.keys().all(bounded) {
                return Err("matched < next <= last + 1");
            }
            if leader.term_start == LogIndex::ZERO || leader.term_start > last.index {
                return Err("a leader's log has the first entry of its term");
            }
            Ok(())
        }
    }
}

fn voted_for_itself(raft: &Raft) -> Result<(), &'static str> {
    match raft.hard_state.voted_for() == Some(raft.id) {
        true => Ok(()),
        false => Err("a candidate and a leader have voted for themselves"),
    }
}
