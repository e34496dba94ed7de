//! When a majority is lost for good: what one survivor can begin again from, alone. The only step in here that no
//! majority agrees to, so that whatever the survivor does not have is lost.

use crate::entry::{Entry, Payload};
use crate::hard_state::HardState;
use crate::membership::Membership;
use crate::quorum::agreed;
use crate::raft::{Raft, Restored, Role};
use crate::ready::Refusal;
use crate::types::{EntryId, MemberId, Time};
use alloc::sync::Arc;

impl Raft {
    /// What the member `id` of *another incarnation of the group* starts from, after the members in `lost` are gone for
    /// good and have taken the majority with them.
    ///
    /// It starts from the whole log of this member, committed or not, in a higher term; its first entry makes it the
    /// only member, out of any joint state, so that all of it commits. Nothing is chosen here: the driver picks the
    /// survivor whose log ends with the largest [`EntryId`], and answers for `lost`. This member is unchanged.
    ///
    /// If it is used, this member must never be stepped again, and no message of the former incarnation may reach the
    /// new one, nor the other way round: the two are different groups. The new member's value is this one's, once that
    /// contains every entry handed out by [`Raft::take_ready`]. Other survivors join it as new members.
    ///
    /// # Errors
    ///
    /// - [`Refusal::Halted`]: what this member has is not known.
    /// - [`Refusal::LeaderAlive`]: it leads, or heard a leader within the longest election timeout, or restarted so
    ///   lately that it cannot know.
    /// - [`Refusal::NotMember`]: it is no member itself, or one of `lost` is none.
    /// - [`Refusal::IsSurvivor`]: it is named in `lost` itself.
    /// - [`Refusal::MajorityRemains`]: whoever is not in `lost` can elect a leader, which removes the others by the book.
    pub fn recover(&self, now: Time, id: MemberId, lost: &[MemberId]) -> Result<Restored, Refusal> {
        self.may_recover(now, lost)?;
        let contact = self.log.membership().get(self.id).map(|member| member.contact.clone()).unwrap_or_default();
        let term = self.term().next();
        let mut log = self.log.clone();
        log.compact(self.handed_out);
        log.append(Entry {
            id: EntryId { term, index: log.last_index().next() },
            payload: Payload::Membership(Arc::new(Membership::sole_voter(id, contact))),
        });
        Ok(Restored {
            hard_state: HardState::new(term, None),
            base: log.base().clone(),
            entries: log.entries().cloned().collect(),
        })
    }

    fn may_recover(&self, now: Time, lost: &[MemberId]) -> Result<(), Refusal> {
        if self.halted {
            return Err(Refusal::Halted);
        }
        // A promise lasts for one election timeout from when the leader was heard, the longest wait for it for two.
        let patience = self.promised_until.after(self.config.election_timeout);
        if matches!(self.role, Role::Leader(_)) || now < patience {
            return Err(Refusal::LeaderAlive(self.leader()));
        }
        let membership = self.log.membership();
        if let Some(stranger) = lost.iter().chain([&self.id]).find(|id| !membership.contains(**id)) {
            return Err(Refusal::NotMember(*stranger));
        }
        if lost.contains(&self.id) {
            return Err(Refusal::IsSurvivor);
        }
        match agreed(membership, |voter| !lost.contains(&voter)) {
            Some(true) => Err(Refusal::MajorityRemains),
            _ => Ok(()),
        }
    }
}
