//! Reads by a round or by a lease (§6.4, §6.4.1).

use super::{Action, Verdict, Walk, require};
use crate::invariants::majority::is_majority;
use rafted_value_core::{MemberId, RoleKind, Time};

impl Walk<'_> {
    /// §6.4: a read sees what was committed when it began, once a majority has answered a round that began after it;
    /// and not before the leader has committed in its own term.
    pub(super) fn confirm_reads(&mut self) -> Verdict {
        for answer in &self.step.ready.reads {
            let Ok(index) = answer.result else { continue };
            require(self.state.role == RoleKind::Leader, || "a read is confirmed by no leader".to_owned())?;
            self.has_committed_in_term()?;
            let Some((commit, round)) = self.memory.leading.reads.remove(&answer.id) else {
                return Err(format!("{:?} is confirmed, and nobody asked for it", answer.id));
            };
            require(index >= commit, || format!("a read sees {index}, though {commit} was committed"))?;
            let own = self.step.after.id;
            let echoed = |id: MemberId| self.memory.leading.echoed.get(&id).is_some_and(|echo| *echo > round);
            if is_majority(&self.state.membership, |id| id == own || echoed(id)) {
                self.take(Action::ConfirmRead);
            } else {
                let lease = self.step.ready.lease.is_some_and(|lease| self.step.now < lease.until);
                require(lease, || "a read is confirmed without a round and without a lease".to_owned())?;
                self.take(Action::ReadByLease);
            }
        }
        Ok(())
    }

    /// §6.4.1: a lease ends before the promises of some majority do, by the margin; there is none before a commit of the
    /// term, without a vote, or after somebody was asked to take over.
    pub(super) fn judge_lease(&mut self) -> Verdict {
        let Some(lease) = self.step.ready.lease else { return Ok(()) };
        require(self.state.role == RoleKind::Leader, || "a lease without leading".to_owned())?;
        self.has_committed_in_term()?;
        let own = self.step.after.id;
        require(self.state.membership.is_voter(own), || "a lease without a vote".to_owned())?;
        require(!self.memory.leading.hands_over, || "a lease after TimeoutNow".to_owned())?;
        require(lease.commit >= self.state.commit, || "a lease of the past".to_owned())?;
        let margin = self.step.config.clock_drift_margin;
        let promised = |id: MemberId| self.memory.leading.promised.get(&id).copied().unwrap_or(Time(0)).before(margin);
        let backs = |id: MemberId| id == own || promised(id) >= lease.until;
        require(is_majority(&self.state.membership, backs), || {
            format!("a lease until {:?}, which no majority promised", lease.until)
        })
    }
}
