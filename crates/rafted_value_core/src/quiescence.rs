//! Sleep: a group with nothing to do costs nothing, neither messages nor timers. Its leader leads on unasked, so that it
//! promises nothing; its followers wait for nobody, so that the driver must answer for the leader.
//!
//! Whatever is lost, late or repeated, a sleeper is only ever a member that has said nothing for long: no rule about votes,
//! commits or leases is weakened. What it costs is time, if the leader is gone and nobody says so.

use crate::membership::Seat;
use crate::notice::Notice;
use crate::progress::{Progress, Sending};
use crate::raft::{Raft, Role};

impl Raft {
    /// Whether it waits for nothing until somebody wakes it.
    pub fn is_quiescent(&self) -> bool {
        match &self.role {
            Role::Leader(leader) => leader.quiescent,
            Role::Follower(follower) => follower.quiescent,
            Role::PreCandidate(_) | Role::Candidate(_) => false,
        }
    }

    pub(crate) fn on_quiesce(&mut self) {
        if self.is_quiescent() || !self.has_nothing_to_do() {
            return;
        }
        if let Role::Leader(leader) = &mut self.role {
            leader.quiescent = true;
            leader.sign_of_life_due = true;
            self.notice(Notice::Quiescent);
        }
    }

    /// Everything is committed, everybody has it and answers, and nobody waits for anything.
    fn has_nothing_to_do(&self) -> bool {
        let Role::Leader(leader) = &self.role else { return false };
        let last = self.log.last_index();
        let has_all =
            |progress: &Progress| progress.matched == last && matches!(progress.sending, Sending::Replicate(_));
        let members = self.log.membership().members();
        self.commit == last
            && self.durable_index() == last
            && leader.transfer.is_none()
            && leader.reads.are_none()
            && self.membership_is_settled().is_ok()
            && members.values().all(|member| member.seat == Seat::Voter || is_content(member.seat))
            && leader.progress.iter().all(|(id, progress)| has_all(progress) && self.is_responsive(*id))
    }

    /// A follower that its leader has told so, and that has all there is.
    pub(crate) fn fall_asleep(&mut self) {
        let has_all = self.commit == self.log.last_index();
        if let Role::Follower(follower) = &mut self.role
            && has_all
        {
            follower.quiescent = true;
            self.notice(Notice::Quiescent);
        }
    }

    /// Whether it slept.
    pub(crate) fn wake(&mut self) -> bool {
        if !self.is_quiescent() {
            return false;
        }
        self.notice(Notice::Awake);
        let now = self.now;
        match &mut self.role {
            Role::Leader(leader) => {
                leader.quiescent = false;
                leader.sign_of_life_due = true;
                // Nobody could answer what was not sent; from here on everybody must.
                for progress in leader.progress.values_mut() {
                    progress.heard = progress.heard.max(now);
                }
                self.forget_promises();
                self.set_heartbeat_timer();
            }
            Role::Follower(follower) => {
                follower.quiescent = false;
                self.set_election_timer();
            }
            Role::PreCandidate(_) | Role::Candidate(_) => {}
        }
        true
    }
}

/// A learner that shall stay one.
fn is_content(seat: Seat) -> bool {
    seat == Seat::Learner(crate::membership::Promotion::Never)
}
