//! Linearizable reads: rounds that confirm leadership (thesis §6.4), and the lease that saves them (§6.4.1).

use crate::museum::{Mutant, broken};
use crate::quorum::agreed;
use crate::raft::{Raft, Role};
use crate::ready::{Lease, Refusal};
use crate::types::{LogIndex, MemberId, ReadId, Time};
use alloc::vec::Vec;
use core::time::Duration;

/// Reads of one leadership. At most one round is on its way; reads that come meanwhile share the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Reads {
    /// Wait for a round to begin.
    waiting: Vec<ReadId>,
    /// Waits for its confirmation.
    round: Option<Round>,
    /// The latest round begun.
    pub(crate) latest: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Round {
    number: u64,
    index: LogIndex,
    reads: Vec<ReadId>,
}

impl Reads {
    pub(crate) fn are_none(&self) -> bool {
        self.waiting.is_empty() && self.round.is_none()
    }

    pub(crate) fn drain(self) -> impl Iterator<Item = ReadId> {
        self.round.into_iter().flat_map(|round| round.reads).chain(self.waiting)
    }
}

impl Raft {
    pub(crate) fn on_read(&mut self, id: ReadId) {
        let leader = self.leader();
        let lease = self.lease();
        let Role::Leader(state) = &mut self.role else {
            return self.answer_read(id, Err(Refusal::NotLeader(leader)));
        };
        match lease {
            None if broken(Mutant::ReadsLocally) => self.answer_read(id, Ok(self.commit)),
            Some(lease) => self.answer_read(id, Ok(lease.commit)),
            None => state.reads.waiting.push(id),
        }
    }

    /// Begins a round for the reads that wait, once the leader knows what is committed: not before an entry of its
    /// own term is.
    pub(crate) fn begin_read_round(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        let knows_commit = self.commit >= leader.term_start || broken(Mutant::ReadBeforeOwnCommit);
        if leader.reads.waiting.is_empty() || leader.reads.round.is_some() || !knows_commit {
            return;
        }
        leader.reads.latest = if broken(Mutant::RoundsShareNumber) { 1 } else { leader.reads.latest + 1 };
        let reads = core::mem::take(&mut leader.reads.waiting);
        leader.reads.round = Some(Round { number: leader.reads.latest, index: self.commit, reads });
        leader.sign_of_life_due = true;
        self.confirm_reads();
    }

    /// Answers the reads whose round a majority has answered. Also called when the majority changes.
    pub(crate) fn confirm_reads(&mut self) {
        let id = self.id;
        let Role::Leader(leader) = &mut self.role else { return };
        if leader.reads.round.is_none() {
            return;
        }
        let round_of = |member: MemberId| match leader.progress.get(&member) {
            Some(progress) => progress.round,
            None if member == id => u64::MAX,
            None => 0,
        };
        let confirmed = agreed(self.log.membership(), round_of).unwrap_or(0);
        let Some(Round { index, reads, .. }) = leader.reads.round.take_if(|round| round.number <= confirmed) else {
            return;
        };
        for read in reads {
            self.answer_read(read, Ok(index));
        }
    }

    /// Until when no other leader can have been elected: a majority promised to refuse votes for at least that
    /// long, counted from when the leader *sent* what they answered, less what clocks may differ.
    pub(crate) fn lease(&self) -> Option<Lease> {
        let Role::Leader(leader) = &self.role else { return None };
        if leader.quiescent {
            // It asks nobody, so that it may have been replaced without a word.
            return None;
        }
        let handing_over = leader.lease_given_up || leader.transfer.is_some();
        let knows_commit = self.commit >= leader.term_start || broken(Mutant::LeaseBeforeOwnCommit);
        if (handing_over && !broken(Mutant::LeaseSurvivesTransfer)) || !knows_commit {
            return None;
        }
        if !self.log.membership().is_voter(self.id) && !broken(Mutant::LeaseWithoutVote) {
            // Whoever votes now may restart as the sole voter, which waits for nobody.
            return None;
        }
        if self.config.clock_drift_margin >= self.config.election_timeout
            && !self.log.membership().is_sole_voter(self.id)
            && !broken(Mutant::LeaseIgnoresDrift)
        {
            // No promise is longer: nothing would be left of it.
            return None;
        }
        let promised = |member: MemberId| match leader.progress.get(&member) {
            Some(progress) => progress.promised,
            None if member == self.id => Time::NEVER,
            None => Time::default(),
        };
        let drift = if broken(Mutant::LeaseIgnoresDrift) { Duration::ZERO } else { self.config.clock_drift_margin };
        let until = agreed(self.log.membership(), promised)?.before(drift);
        (until > self.now).then_some(Lease { until, commit: self.commit })
    }
}
