//! Who votes: one voter at a time, or by a joint membership (§4.1, §4.2, §4.3).

use super::{Action, Verdict, Walk, require};
use crate::invariants::majority::halves;
use rafted_value_core::{MemberId, Membership, RoleKind};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Walk<'_> {
    /// §4.1 and its correction of 2015: the change before is committed, and so is an entry of this term. Then one voter
    /// comes or goes, or a joint membership begins with the voters there were, or it ends with the voters to be.
    pub(super) fn change_membership(&mut self, next: &Arc<Membership>) -> Verdict {
        let (index, _) = self.step.before.log.membership();
        require(index <= self.state.commit, || "the change before is not committed".to_owned())?;
        self.has_committed_in_term()?;
        let action = kind_of_change(&self.state.membership, next);
        let action = action.ok_or_else(|| format!("{next:?} is not one step from {:?}", self.state.membership))?;
        self.state.membership = next.clone();
        self.take(action);
        Ok(())
    }

    pub(super) fn has_committed_in_term(&self) -> Verdict {
        let log = &self.step.after.log;
        let own = log.at(self.state.commit).is_some_and(|link| link.id.term == self.state.term);
        require(own, || "nothing of this term is committed".to_owned())
    }

    /// §4.2.2: without a vote in a committed membership nobody leads on.
    pub(super) fn leave_office(&mut self) -> Verdict {
        let after = self.step.after;
        let leaves = self.state.role == RoleKind::Leader && after.role == RoleKind::Follower;
        if leaves && self.has_left_office() {
            self.state.role = RoleKind::Follower;
            self.take(Action::LeaveOffice);
        }
        Ok(())
    }

    pub(super) fn has_left_office(&self) -> bool {
        let log = &self.step.after.log;
        !self.state.membership.is_voter(self.step.after.id) && log.membership().0 <= self.state.commit
    }
}

fn kind_of_change(old: &Membership, new: &Membership) -> Option<Action> {
    let sets = |membership: &Membership| halves(membership).map(BTreeSet::from_iter);
    let [old_voters, old_next]: [BTreeSet<MemberId>; 2] = sets(old);
    let [new_voters, new_next]: [BTreeSet<MemberId>; 2] = sets(new);
    let apart = old_voters.symmetric_difference(&new_voters).count();
    match (old.is_joint(), new.is_joint()) {
        (true, false) => (new_voters == old_next).then_some(Action::LeaveJoint),
        (false, true) => (new_voters == old_voters && !new_next.is_empty()).then_some(Action::EnterJoint),
        (false, false) if apart == 0 => Some(Action::ChangeLearners),
        (false, false) => (apart == 1 && !new_voters.is_empty()).then_some(Action::ChangeOneVoter),
        (true, true) => None,
    }
}
