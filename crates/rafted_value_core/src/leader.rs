//! A leader proposes, replicates, commits (thesis §3.5, §3.6.2), changes the membership (chapter 4) and hands over
//! (§3.10).

use crate::config::Config;
use crate::entry::{Entry, Payload};
use crate::input::Proposal;
use crate::membership::{Change, Membership, Promotion, Seat};
use crate::message::{AppendEntries, AppendEntriesReply, AppendResult, Body, InstallSnapshotReply, Message};
use crate::museum::{self, Mutant, broken};
use crate::notice::{Notice, StepDown, Violation};
use crate::outbox::After;
use crate::progress::{Progress, Sending};
use crate::quorum::agreed;
use crate::raft::{FollowerStatus, Raft, Role};
use crate::read::Reads;
use crate::ready::{Refusal, Timer};
use crate::types::{EntryId, LogIndex, MemberId, RequestId, Term, Time};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// What only a leader knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Leader {
    /// Every other member.
    pub(crate) progress: BTreeMap<MemberId, Progress>,
    /// Its first entry: what is committed at or after it is committed for good (thesis §3.6.2).
    pub(crate) term_start: LogIndex,
    pub(crate) reads: Reads,
    pub(crate) transfer: Option<Transfer>,
    /// Promises given to what was sent before are not counted: the config that they rest on is no longer in force.
    promises_since: Time,
    /// `TimeoutNow` left in this term: whatever became of it, others may have been elected.
    pub(crate) lease_given_up: bool,
    /// Everybody is to be sent something at the next `take_ready`, entries or not.
    pub(crate) sign_of_life_due: bool,
    /// Has told everybody that it has nothing to say.
    pub(crate) quiescent: bool,
}

/// Leadership on its way to another member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Transfer {
    requests: Vec<RequestId>,
    to: MemberId,
    deadline: Time,
    told: bool,
}

impl Leader {
    /// What followers that make progress still need; the rest is not waited for.
    fn first_needed(&self, now: Time, config: &Config) -> LogIndex {
        let patience = config.longest_election_timeout();
        self.progress
            .values()
            .filter_map(|progress| match progress.sending {
                Sending::Snapshot { at, .. } => Some(at),
                _ if now.since(progress.moved) <= patience => Some(progress.matched),
                _ => None,
            })
            .min()
            .unwrap_or(LogIndex(u64::MAX))
    }
}

impl Raft {
    pub(crate) fn become_leader(&mut self) {
        let last = self.log.last_index();
        self.role = Role::Leader(Leader {
            progress: BTreeMap::new(),
            term_start: last.next(),
            reads: Reads::default(),
            transfer: None,
            promises_since: self.now,
            lease_given_up: false,
            sign_of_life_due: true,
            quiescent: false,
        });
        self.notice(Notice::BecameLeader { term: self.term() });
        self.append(Payload::Noop);
        self.keep_progress_of_members();
        self.set_heartbeat_timer();
    }

    /// Whatever a leader still owes to anybody is answered when it stops leading.
    pub(crate) fn stop_leading(&mut self, leader: Leader, led: Term, why: StepDown) {
        let known = self.leader();
        for read in leader.reads.drain() {
            self.answer_read(read, Err(Refusal::NotLeader(known)));
        }
        if let Some(transfer) = leader.transfer {
            let last = self.log.last();
            let result = match why {
                StepDown::HigherTerm => Ok(last),
                _ => Err(Refusal::NotLeader(known)),
            };
            for request in transfer.requests {
                self.answer(request, result.clone());
            }
        }
        self.notice(Notice::SteppedDown { term: led, why });
    }

    pub(crate) fn set_heartbeat_timer(&mut self) {
        let at = self.now.after(self.config.heartbeat_interval);
        self.ready.timer = Some(Timer { earliest: at, latest: at });
    }

    pub(crate) fn on_heartbeat_timer(&mut self) {
        self.set_heartbeat_timer();
        if self.lost_its_quorum() {
            return self.become_follower(self.term(), None, StepDown::NoQuorum);
        }
        self.abort_overdue_transfer();
        let (now, patience) = (self.now, self.config.election_timeout);
        let base = self.log.base().index();
        let Role::Leader(leader) = &mut self.role else { return };
        leader.sign_of_life_due = true;
        let mut resending = Vec::new();
        for (id, progress) in &mut leader.progress {
            if progress.heartbeat(now, patience, base) {
                resending.push(Notice::Resending { follower: *id, next: progress.next });
            }
        }
        self.ready.notices.append(&mut resending);
        self.confirm_reads();
        self.maintain_membership();
    }

    /// Whether no majority answered anything sent within the longest election timeout (thesis §6.2).
    fn lost_its_quorum(&self) -> bool {
        let heard = agreed(self.log.membership(), |id| self.heard(id)).unwrap_or(Time::NEVER);
        self.now.since(heard) > self.config.longest_election_timeout() && !broken(Mutant::NoCheckQuorum)
    }

    /// When the latest message that `id` answered was sent.
    fn heard(&self, id: MemberId) -> Time {
        match &self.role {
            Role::Leader(leader) if id != self.id => {
                leader.progress.get(&id).map_or(Time::default(), |progress| progress.heard)
            }
            _ => Time::NEVER,
        }
    }

    pub(crate) fn is_responsive(&self, id: MemberId) -> bool {
        self.now.since(self.heard(id)) <= self.config.longest_election_timeout()
    }

    // ---- proposals ----

    pub(crate) fn on_propose(&mut self, id: RequestId, proposal: Proposal) {
        let result = match &self.role {
            Role::Leader(leader) if leader.transfer.is_some() => Err(Refusal::Transferring),
            Role::Leader(_) => self.propose(proposal),
            _ => Err(Refusal::NotLeader(self.leader())),
        };
        self.answer(id, result);
    }

    fn propose(&mut self, proposal: Proposal) -> Result<EntryId, Refusal> {
        match proposal {
            Proposal::Commands(bytes) => self.propose_payload(Payload::Commands(bytes)),
            Proposal::Config(config) => self.propose_config(config),
            Proposal::Membership(change) => self.propose_membership(change),
        }
    }

    /// What waits to be applied is bounded, but something always fits into an empty queue.
    fn propose_payload(&mut self, payload: Payload) -> Result<EntryId, Refusal> {
        let waiting = self.log.bytes_between(self.applied, self.log.last_index());
        if waiting > 0 && waiting + payload.size() > self.config.max_uncommitted_bytes {
            return Err(Refusal::Busy);
        }
        Ok(self.append(payload))
    }

    fn propose_config(&mut self, config: Config) -> Result<EntryId, Refusal> {
        config.validate().map_err(Refusal::InvalidConfig)?;
        self.propose_payload(Payload::Config(Arc::new(config)))
    }

    fn propose_membership(&mut self, change: Change) -> Result<EntryId, Refusal> {
        self.membership_is_settled()?;
        let next = self.after_change(change)?;
        Ok(self.append_membership(next))
    }

    /// One change at a time, and none before this leader has committed in its own term.
    pub(crate) fn membership_is_settled(&self) -> Result<(), Refusal> {
        let Role::Leader(leader) = &self.role else { return Err(Refusal::NotLeader(self.leader())) };
        if self.commit < leader.term_start && !broken(Mutant::ChangeBeforeOwnCommit) {
            return Err(Refusal::NothingCommittedInTerm);
        }
        let pending = self.log.membership_index() > self.commit && !broken(Mutant::TwoChangesPending);
        if pending || self.log.membership().is_joint() {
            return Err(Refusal::ChangeInProgress);
        }
        Ok(())
    }

    fn after_change(&self, change: Change) -> Result<Membership, Refusal> {
        let membership = self.log.membership();
        match change {
            Change::AddLearner { id, .. } if membership.contains(id) => Err(Refusal::AlreadyMember(id)),
            Change::AddLearner { promotion: Promotion::Replacing(old), .. } if old == self.id => {
                Err(Refusal::CannotRemoveLeader)
            }
            Change::AddLearner { id, contact, promotion } => Ok(membership.with_learner(id, contact, promotion)),
            Change::Remove(id) if !membership.contains(id) => Err(Refusal::NotMember(id)),
            Change::Remove(id) if id == self.id => Err(Refusal::CannotRemoveLeader),
            Change::Remove(id) => {
                let next = membership.without(id);
                // Who does not answer can always go: it is no loss to any majority.
                let loses_a_vote = membership.is_voter(id) && self.is_responsive(id);
                if loses_a_vote && !self.majority_answers(&next) {
                    return Err(Refusal::WouldBreakQuorum);
                }
                Ok(next)
            }
            Change::SetVoters(voters) => {
                if voters.is_empty() {
                    return Err(Refusal::NoVoters);
                }
                if let Some(stranger) = voters.iter().find(|id| !membership.contains(**id)) {
                    return Err(Refusal::NotMember(*stranger));
                }
                if let Some(late) = self.not_caught_up(&voters) {
                    return Err(Refusal::NotCaughtUp(late));
                }
                let next = membership.towards(&voters);
                if !self.majority_answers(&next) {
                    return Err(Refusal::WouldBreakQuorum);
                }
                Ok(next)
            }
        }
    }

    /// Of those that shall vote and do not yet, one that would hold up every commit (thesis §4.2.1).
    fn not_caught_up(&self, voters: &[MemberId]) -> Option<MemberId> {
        let Role::Leader(leader) = &self.role else { return None };
        let mut new = voters.iter().filter(|id| !self.log.membership().is_voter(**id));
        new.find(|id| !self.has_caught_up(leader, **id) && !broken(Mutant::VoterBeforeCaughtUp)).copied()
    }

    fn majority_answers(&self, membership: &Membership) -> bool {
        agreed(membership, |id| self.is_responsive(id)).unwrap_or(false)
    }

    fn append_membership(&mut self, membership: Membership) -> EntryId {
        let id = self.append(Payload::Membership(Arc::new(membership)));
        self.keep_progress_of_members();
        self.notice_membership();
        id
    }

    fn append(&mut self, payload: Payload) -> EntryId {
        let id = EntryId { term: self.term(), index: self.log.last_index().next() };
        self.log.append(Entry { id, payload });
        self.outbox.log_changed(id.index);
        id
    }

    fn keep_progress_of_members(&mut self) {
        let (id, now, last) = (self.id, self.now, self.log.last_index());
        let membership = self.log.membership();
        let Role::Leader(leader) = &mut self.role else { return };
        leader.progress.retain(|member, _| membership.contains(*member));
        for member in membership.members().keys().filter(|member| **member != id) {
            // The search begins before the entry just appended, which nobody has yet.
            leader.progress.entry(*member).or_insert_with(|| Progress::new(last.previous(), now));
        }
    }

    /// Steps that the leader takes by itself, one at a time and each only once the one before is committed.
    fn maintain_membership(&mut self) {
        if matches!(&self.role, Role::Leader(leader) if leader.transfer.is_some()) {
            return;
        }
        match self.membership_is_settled() {
            Ok(()) => {}
            Err(Refusal::ChangeInProgress) => return self.leave_joint(),
            Err(_) => return,
        }
        let membership = self.log.membership().clone();
        if !membership.is_voter(self.id) {
            return self.retire();
        }
        if let Some(learner) = self.learner_to_promote(&membership) {
            self.notice(Notice::Promoting { learner });
            self.append_membership(membership.promoted(learner));
        } else if let Some(learner) = self.silent_learner(&membership) {
            self.notice(Notice::DroppingSilentLearner { learner });
            self.append_membership(membership.without(learner));
        }
    }

    /// A leader that no longer votes has no business leading; the voter with the longest log need not wait for its
    /// timer (thesis §4.2.2, §3.10).
    fn retire(&mut self) {
        let Role::Leader(leader) = &self.role else { return };
        let voters = leader.progress.iter().filter(|(id, _)| self.log.membership().is_voter(**id));
        let successor = voters.max_by_key(|(_, progress)| progress.matched).map(|(id, _)| *id);
        if let Some(successor) = successor {
            self.send(successor, Body::TimeoutNow, After::HardState);
        }
        self.become_follower(self.term(), None, StepDown::Removed);
    }

    fn leave_joint(&mut self) {
        let committed = self.log.membership_index() <= self.commit;
        if committed && self.log.membership().is_joint() && !broken(Mutant::JointForEver) {
            let next = self.log.membership().after_joint();
            self.append_membership(next);
        }
    }

    fn learner_to_promote(&self, membership: &Membership) -> Option<MemberId> {
        let Role::Leader(leader) = &self.role else { return None };
        membership.members().iter().find_map(|(id, member)| {
            let wanted = matches!(member.seat, Seat::Learner(promotion) if promotion != Promotion::Never
                && promotion != Promotion::Replacing(self.id));
            let ready = self.has_caught_up(leader, *id) && self.is_responsive(*id);
            let ready = ready || broken(Mutant::PromotedUnprepared);
            (wanted && ready).then_some(*id)
        })
    }

    fn has_caught_up(&self, leader: &Leader, id: MemberId) -> bool {
        let limit = self.config.election_timeout;
        leader.progress.get(&id).is_some_and(|progress| progress.has_caught_up(limit, self.now))
    }

    fn silent_learner(&self, membership: &Membership) -> Option<MemberId> {
        membership
            .members()
            .iter()
            .find(|(id, member)| !member.seat.votes() && self.now.since(self.heard(**id)) > self.config.learner_timeout)
            .map(|(id, _)| *id)
    }

    // ---- replication ----

    /// Sends what may be sent. Everything since the last call goes together.
    pub(crate) fn replicate(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        let sign_of_life_due = core::mem::take(&mut leader.sign_of_life_due);
        self.keep = leader.first_needed(self.now, &self.config).min(self.log.last_index());
        let round = leader.reads.latest;
        let (now, commit, keep, quiesce) = (self.now, self.commit, self.keep, leader.quiescent);
        for (to, progress) in &mut leader.progress {
            let append = |prev, entries| {
                let body =
                    Body::AppendEntries(AppendEntries { prev, entries, commit, round, sent: now, keep, quiesce });
                Message { from: self.id, to: *to, term: self.hard_state.term(), body }
            };
            if sign_of_life_due {
                // Claims only what is there, so that it needs nothing before it.
                let prev = self.log.id_at(progress.claim()).unwrap_or(EntryId::ZERO);
                self.outbox.send(append(prev, Vec::new()), After::HardState);
            }
            while progress.may_send(&self.config) {
                let Some(prev) = self.log.id_at(progress.next.previous()) else {
                    if now.since(progress.heard) > self.config.longest_election_timeout() {
                        // Encoding a large value again and again for somebody who is not there helps nobody.
                        progress.sending = Sending::Probe { waiting: true };
                        break;
                    }
                    if broken(Mutant::ValueIsNeverSent) {
                        break;
                    }
                    progress.needs_snapshot(self.applied);
                    self.ready.notices.push(Notice::SnapshotNeeded { follower: *to });
                    self.ready.snapshots.push(*to);
                    break;
                };
                let last = self.log.last_index();
                let entries = self.log.copy(progress.next, last, self.config.max_append_bytes);
                if entries.is_empty() && matches!(progress.sending, Sending::Replicate(_)) {
                    break;
                }
                let end = entries.last().map_or(prev.index, |entry| entry.id.index);
                let bytes = self.log.bytes_between(prev.index, end);
                progress.sent(end, bytes, now);
                self.outbox.send(append(prev, entries), After::HardState);
            }
        }
    }

    pub(crate) fn on_append_entries_reply(&mut self, from: MemberId, reply: AppendEntriesReply) {
        let (now, last) = (self.now, self.log.last_index());
        let Role::Leader(leader) = &mut self.role else { return };
        if broken(Mutant::LateAckResurrects) {
            leader.progress.entry(from).or_insert_with(|| Progress::new(last, now));
        }
        let Some(progress) = leader.progress.get_mut(&from) else { return };
        let claims_too_much = match reply.result {
            AppendResult::Accepted { matched } => matched > last,
            AppendResult::Rejected { .. } => false,
        };
        if claims_too_much || reply.round > leader.reads.latest || reply.sent > now {
            return self.notice(Notice::Violation { from, what: Violation::FalseAcknowledgement });
        }
        // Whatever it says of the log, it says that this leader was not deposed when it was asked.
        let echo = if broken(Mutant::AnyAckConfirms) { leader.reads.latest } else { reply.round };
        progress.round = progress.round.max(echo);
        progress.heard = progress.heard.max(reply.sent);
        progress.verified = reply.verified;
        if reply.sent >= leader.promises_since {
            let own = self.config.election_timeout;
            let promise = if broken(Mutant::PromiseIsAssumed) { own } else { reply.promise.min(own) };
            let since = if broken(Mutant::LeaseFromReceipt) { now } else { reply.sent };
            progress.promised = progress.promised.max(since.after(promise));
        }
        match reply.result {
            AppendResult::Accepted { matched } => self.on_accepted(from, matched),
            AppendResult::Rejected { prev, hint } => {
                // It has not everything after all.
                self.wake();
                self.on_rejected(from, prev, hint);
            }
        }
        self.confirm_reads();
    }

    pub(crate) fn on_install_snapshot_reply(&mut self, from: MemberId, reply: InstallSnapshotReply) {
        if reply.matched > self.log.last_index() {
            return self.notice(Notice::Violation { from, what: Violation::FalseAcknowledgement });
        }
        self.on_accepted(from, reply.matched);
    }

    fn on_accepted(&mut self, from: MemberId, matched: LogIndex) {
        let (now, last, limit) = (self.now, self.log.last_index(), self.config.election_timeout);
        let Role::Leader(leader) = &mut self.role else { return };
        let Some(progress) = leader.progress.get_mut(&from) else { return };
        // A sign of life proves what was known, not that the search has found anything.
        let proves_more = matched > progress.matched || matched >= progress.next.previous();
        if proves_more {
            progress.accepted(matched, now);
        }
        progress.measure(last, limit, now);
        self.commit_what_is_agreed();
        self.maintain_membership();
        self.hand_over_if_caught_up();
    }

    fn on_rejected(&mut self, from: MemberId, prev: LogIndex, hint: EntryId) {
        let Role::Leader(leader) = &mut self.role else { return };
        let Some(progress) = leader.progress.get_mut(&from) else { return };
        if broken(Mutant::RejectionLowersMatch) {
            progress.matched = progress.matched.min(hint.index);
        }
        // What was acknowledged is not searched for again: whoever denies it is not helped by sending it for ever.
        if !progress.is_current_rejection(prev) || prev <= progress.matched {
            return;
        }
        // The follower has nothing of a later term than the hint's at or before it; nor has a common prefix.
        let common = self.log.last_not_after(hint.index.min(prev.previous()), hint.term);
        let next = common.index.min(prev.previous()).next();
        // Nothing at or before the base can be compared: the value is needed unless the hint is the base itself.
        let next = if hint.index < self.log.base().index() { hint.index.next() } else { next };
        let next = if broken(Mutant::NoBackoff) { prev.next() } else { next };
        progress.probe(next);
        self.ready.notices.push(Notice::Mismatch { follower: from, next });
    }

    pub(crate) fn on_snapshot_sent(&mut self, to: MemberId, last_included: LogIndex) {
        let now = self.now;
        if let Some(Sending::Snapshot { at, sent }) = self.sending_to(to) {
            *at = last_included;
            *sent = Some(now);
        }
    }

    /// Starts over with a probe at the next heartbeat, so that a value that cannot be sent is not sent all the time.
    pub(crate) fn on_snapshot_failed(&mut self, to: MemberId) {
        if let Some(sending @ Sending::Snapshot { .. }) = self.sending_to(to) {
            *sending = Sending::Probe { waiting: true };
        }
    }

    fn sending_to(&mut self, to: MemberId) -> Option<&mut Sending> {
        match &mut self.role {
            Role::Leader(leader) => leader.progress.get_mut(&to).map(|progress| &mut progress.sending),
            _ => None,
        }
    }

    /// Commits what a majority holds durably, if it ends in an entry of this term (thesis §3.6.2).
    pub(crate) fn commit_what_is_agreed(&mut self) {
        let Role::Leader(leader) = &self.role else { return };
        let durable = if broken(Mutant::LeaderCountsUnsynced) { self.log.last_index() } else { self.durable_index() };
        let holds = |id: MemberId| match leader.progress.get(&id) {
            Some(progress) => progress.matched,
            None if id == self.id => durable,
            None => LogIndex::ZERO,
        };
        let membership = museum::counted(&self.log, self.commit, self.id);
        let membership = membership.as_ref().unwrap_or(self.log.membership());
        let agreed = agreed(membership, holds).unwrap_or(LogIndex::ZERO);
        let of_own_term = agreed >= leader.term_start || broken(Mutant::CountsOldTerms);
        if of_own_term && agreed > self.commit {
            self.advance_commit(agreed);
            self.maintain_membership();
        }
    }

    /// A config is in force: the lease starts over from what is promised under it.
    pub(crate) fn forget_promises(&mut self) {
        let now = self.now;
        if broken(Mutant::PromisesOutliveConfig) {
            return;
        }
        if let Role::Leader(leader) = &mut self.role {
            leader.promises_since = now;
            leader.progress.values_mut().for_each(|progress| progress.promised = Time::default());
        }
    }

    // ---- transfer ----

    pub(crate) fn on_transfer(&mut self, id: RequestId, to: Option<MemberId>) {
        let result = self.begin_transfer(id, to);
        match result {
            Ok(true) => {}
            Ok(false) => self.answer(id, Ok(self.log.last())),
            Err(refusal) => self.answer(id, Err(refusal)),
        }
    }

    /// Whether the answer comes later.
    fn begin_transfer(&mut self, id: RequestId, to: Option<MemberId>) -> Result<bool, Refusal> {
        let Role::Leader(_) = &self.role else { return Err(Refusal::NotLeader(self.leader())) };
        let Some(to) = to else {
            self.end_transfer(Refusal::Overridden);
            return Ok(false);
        };
        if to == self.id {
            return Err(Refusal::AlreadyLeader);
        }
        let membership = self.log.membership();
        if !membership.contains(to) {
            return Err(Refusal::NotMember(to));
        }
        if !membership.is_voter(to) {
            return Err(Refusal::NotVoter(to));
        }
        self.membership_is_settled()?;
        if !self.is_responsive(to) {
            return Err(Refusal::Unresponsive(to));
        }
        if let Role::Leader(leader) = &mut self.role
            && let Some(transfer) = &mut leader.transfer
            && transfer.to == to
        {
            transfer.requests.push(id);
            return Ok(true);
        }
        self.end_transfer(Refusal::Overridden);
        let deadline = self.now.after(self.config.longest_election_timeout());
        if let Role::Leader(leader) = &mut self.role {
            leader.transfer = Some(Transfer { requests: alloc::vec![id], to, deadline, told: false });
        }
        self.notice(Notice::Transferring { to });
        self.hand_over_if_caught_up();
        Ok(true)
    }

    fn end_transfer(&mut self, why: Refusal) {
        let Role::Leader(leader) = &mut self.role else { return };
        let Some(transfer) = leader.transfer.take() else { return };
        self.notice(Notice::TransferAborted { to: transfer.to });
        for request in transfer.requests {
            self.answer(request, Err(why.clone()));
        }
    }

    fn abort_overdue_transfer(&mut self) {
        let Role::Leader(leader) = &self.role else { return };
        let Some(transfer) = &leader.transfer else { return };
        let to = transfer.to;
        let overdue = self.now >= transfer.deadline && !broken(Mutant::TransferNeverEnds);
        if overdue || !self.log.membership().is_voter(to) {
            self.end_transfer(Refusal::Unresponsive(to));
        }
    }

    /// The successor has everything: the lease ends here, and it is told to campaign.
    fn hand_over_if_caught_up(&mut self) {
        let last = self.log.last_index();
        let Role::Leader(leader) = &mut self.role else { return };
        let Some(transfer) = &mut leader.transfer else { return };
        let caught_up = leader.progress.get(&transfer.to).is_some_and(|progress| progress.matched == last);
        if caught_up && !transfer.told {
            transfer.told = true;
            leader.lease_given_up = true;
            let to = transfer.to;
            self.send(to, Body::TimeoutNow, After::HardState);
        }
    }

    pub(crate) fn follower_statuses(&self) -> Vec<FollowerStatus> {
        let Role::Leader(leader) = &self.role else { return Vec::new() };
        leader
            .progress
            .iter()
            .map(|(id, progress)| FollowerStatus {
                id: *id,
                matched: progress.matched,
                sending: progress.sending.clone(),
                silent_for: self.now.since(progress.heard),
            })
            .collect()
    }
}
