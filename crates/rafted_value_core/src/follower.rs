//! A follower accepts what its leader sends (thesis §3.5) and proves only what each message verified.

use crate::entry::{Entry, SnapshotMeta};
use crate::message::{AppendEntries, AppendEntriesReply, AppendResult, Body, InstallSnapshot, InstallSnapshotReply};
use crate::museum::{self, Mutant, broken};
use crate::notice::{Halt, Notice, StepDown, Violation};
use crate::outbox::After;
use crate::raft::{Raft, Role};
use crate::types::{EntryId, LogIndex, MemberId, Term, Time};
use core::time::Duration;

/// Follows a leader, or waits for one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Follower {
    pub(crate) leader: Option<MemberId>,
    /// Does not wait for signs of life: its leader has nothing to say.
    pub(crate) quiescent: bool,
    /// Up to here the log is known to be this leader's, durable or not. What stands beyond may be another's.
    verified: LogIndex,
}

impl Follower {
    /// Waits for a leader, or begins to follow one.
    pub(crate) fn new(leader: Option<MemberId>, commit: LogIndex) -> Follower {
        Follower { leader, quiescent: false, verified: commit }
    }
}

impl Raft {
    /// Something from a leader of an earlier term: it is told that its term is over, and nothing else. An echo of its
    /// round would be taken for one of its own if it leads again by now.
    pub(crate) fn on_old_term(&mut self, from: MemberId, body: &Body) {
        if !matches!(body, Body::AppendEntries(_) | Body::InstallSnapshot(_)) {
            return;
        }
        let (round, sent) = match body {
            Body::AppendEntries(request) if broken(Mutant::OldTermEchoes) => (request.round, request.sent),
            _ => (0, Time::default()),
        };
        let result = AppendResult::Rejected { prev: LogIndex::ZERO, hint: EntryId::ZERO };
        let reply = AppendEntriesReply { result, verified: LogIndex::ZERO, round, sent, promise: Duration::ZERO };
        self.send(from, Body::AppendEntriesReply(reply), After::HardState);
    }

    /// Follows `from`, which leads the current term; refused if another does.
    fn follow(&mut self, from: MemberId) -> bool {
        let known = match &self.role {
            Role::Leader(_) => Some(self.id),
            Role::Follower(follower) => follower.leader,
            Role::PreCandidate(_) | Role::Candidate(_) => None,
        };
        match known {
            Some(leader) if leader == from => {
                self.wake();
                self.set_election_timer();
            }
            Some(_) => {
                self.notice(Notice::Violation { from, what: Violation::TwoLeaders });
                return false;
            }
            None => self.become_follower(self.term(), Some(from), StepDown::HigherTerm),
        }
        let margin = if broken(Mutant::MarginOnBothSides) { self.config.clock_drift_margin } else { Duration::ZERO };
        let promised = self.now.after(self.config.election_timeout).before(margin);
        self.promised_until = self.promised_until.max(promised);
        true
    }

    pub(crate) fn on_append_entries(&mut self, from: MemberId, request: AppendEntries) {
        if !in_sequence(&request, self.term().0) {
            return self.notice(Notice::Violation { from, what: Violation::MalformedEntries });
        }
        if !self.follow(from) {
            return;
        }
        let AppendEntries { prev, entries, commit, round, sent, keep, quiesce } = request;
        let Some(result) = self.verify(prev) else { return self.contradiction(from) };
        if let AppendResult::Rejected { .. } = result {
            return self.reply_to_append(from, result, (round, sent), After::HardState);
        }
        let verified = LogIndex(prev.index.0 + entries.len() as u64);
        let is_sign_of_life = entries.is_empty();
        if prev == EntryId::ZERO && broken(Mutant::EmptyPrefixWipes) {
            self.log.truncate(self.log.base().index().next());
        }
        if !self.accept(entries) {
            return self.contradiction(from);
        }
        if broken(Mutant::ShorterAppendTruncates) && verified > self.log.base().index() {
            self.log.truncate(verified.next());
            self.outbox.log_changed(verified.next());
        }
        let known = if broken(Mutant::CommitIsUnclamped) { self.log.last_index() } else { verified };
        self.advance_commit(commit.min(known));
        let verified = if broken(Mutant::AcksEndOfLog) { self.log.last_index() } else { verified };
        self.verified_up_to(verified);
        self.keep = keep;
        if quiesce && verified == self.log.last_index() {
            self.fall_asleep();
        }

        // A sign of life is answered at once, with what is durable; entries when they are.
        let durable = self.durable_index().min(verified);
        let (matched, after) = if is_sign_of_life || durable == verified {
            (durable, After::HardState)
        } else {
            (verified, After::Everything)
        };
        self.reply_to_append(from, AppendResult::Accepted { matched }, (round, sent), after);
    }

    /// Whether the log has `prev`; `None` if a committed entry stands in its place.
    fn verify(&self, prev: EntryId) -> Option<AppendResult> {
        let here = self.log.id_at(prev.index);
        let is_conflict = here.is_none() && broken(Mutant::CompactedIsConflict);
        if prev.index <= self.commit && !is_conflict {
            // What the base stands for is committed, so the leader has the same.
            let contradicts = here.is_some_and(|id| id != prev) && prev != EntryId::ZERO;
            return (!contradicts).then_some(AppendResult::Accepted { matched: prev.index });
        }
        if here == Some(prev) || (here.is_none() && broken(Mutant::MissingMatches)) {
            return Some(AppendResult::Accepted { matched: prev.index });
        }
        let hint = self.log.last_not_after(prev.index, prev.term);
        Some(AppendResult::Rejected { prev: prev.index, hint })
    }

    /// Appends what is new. Only a conflict removes anything: a late message that the log contains changes nothing.
    /// Refused if a committed entry would have to go.
    fn accept(&mut self, entries: alloc::vec::Vec<Entry>) -> bool {
        let base = self.log.base().index();
        let known = |id| self.log.contains(id) && !broken(Mutant::ContainedAppendTruncates);
        let new = entries.iter().position(|entry| entry.id.index > base && !known(entry.id));
        let Some(new) = new else { return true };
        let first = entries[new].id.index;
        let before = self.log.id_at(first.previous());
        let is_committed = first <= self.commit && !broken(Mutant::ContainedAppendTruncates);
        if is_committed || before.is_none_or(|before| before.term > entries[new].id.term) {
            return false;
        }
        let membership = self.log.membership_index();
        let stale = museum::stale_tail(&self.log, &entries);
        if first <= self.log.last_index() {
            self.notice(Notice::Truncated { from: first, to: self.log.last_index() });
            self.log.truncate(first);
        }
        for entry in entries.into_iter().skip(new) {
            self.log.append(entry);
        }
        stale.into_iter().for_each(|entry| self.log.append(entry));
        self.outbox.log_changed(first);
        if self.log.membership_index() != membership {
            self.notice_membership();
        }
        true
    }

    pub(crate) fn notice_membership(&mut self) {
        let index = self.log.membership_index();
        let joint = self.log.membership().is_joint();
        self.notice(Notice::MembershipInForce { index, joint });
    }

    /// A leader that contradicts what is committed here: one of the two is broken, and it may be this one.
    fn contradiction(&mut self, from: MemberId) {
        self.notice(Notice::Violation { from, what: Violation::ContradictsCommitted });
        self.halt(Halt::ContradictsCommitted);
    }

    fn reply_to_append(&mut self, to: MemberId, result: AppendResult, (round, sent): (u64, Time), after: After) {
        let Role::Follower(Follower { verified, .. }) = self.role else { return };
        let promise = self.promise();
        // The message may just have brought a longer election timeout into force: what is told is kept.
        self.promised_until = self.promised_until.max(self.now.after(promise));
        let reply = AppendEntriesReply { result, verified, round, sent, promise };
        self.send(to, Body::AppendEntriesReply(reply), after);
    }

    fn verified_up_to(&mut self, index: LogIndex) {
        if let Role::Follower(follower) = &mut self.role {
            follower.verified = follower.verified.max(index);
        }
    }

    /// For how long this member refuses votes from now on: only what a restart would remember, which reads the
    /// config from what is durable.
    fn promise(&self) -> Duration {
        let remembered = self.durable_index() >= self.log.config_index_at(self.commit);
        if remembered || broken(Mutant::UnknownPromise) { self.config.election_timeout } else { Duration::ZERO }
    }

    /// The leader's value arrived. It replaces the log only if it is news.
    pub(crate) fn on_install_snapshot(&mut self, from: MemberId, request: InstallSnapshot) {
        let InstallSnapshot { snapshot } = request;
        let SnapshotMeta { last_included, .. } = &snapshot;
        if last_included.term > self.term() || last_included.term == Term(0) || last_included.index == LogIndex::ZERO {
            return self.notice(Notice::Violation { from, what: Violation::MalformedEntries });
        }
        if !self.follow(from) {
            return;
        }
        let last_included = snapshot.last_included;
        if last_included.index <= self.commit && !broken(Mutant::StaleValueInstalled) {
            if self.log.id_at(last_included.index).is_some_and(|id| id != last_included) {
                return self.contradiction(from);
            }
            self.notice(Notice::SnapshotIgnored { last_included });
            let matched = self.commit.min(self.durable_index());
            return self.send(from, Body::InstallSnapshotReply(InstallSnapshotReply { matched }), After::HardState);
        }
        let was_member = self.log.membership_at(self.commit).contains(self.id);
        let kept_tail = self.log.restore(snapshot.clone());
        self.outbox.snapshot_installed(snapshot);
        self.commit = last_included.index;
        self.handed_out = last_included.index;
        self.applied = last_included.index;
        self.config = self.log.base().config.clone();
        self.notice(Notice::SnapshotInstalled { last_included, kept_tail });
        self.notice_membership();
        if was_member && !self.log.membership_at(self.commit).contains(self.id) {
            self.notice(Notice::Removed);
        }
        let matched = last_included.index;
        self.verified_up_to(matched);
        self.send(from, Body::InstallSnapshotReply(InstallSnapshotReply { matched }), After::Everything);
    }
}

/// Whether the entries follow `prev` one by one, with terms that never decrease nor exceed the leader's, nor are zero.
fn in_sequence(request: &AppendEntries, term: u64) -> bool {
    let mut previous = request.prev;
    let follows = request.entries.iter().all(|entry| {
        let follows = entry.id.index == previous.index.next() && entry.id.term >= previous.term;
        previous = entry.id;
        follows
    });
    let zero_is_zero = (request.prev.index == LogIndex::ZERO) == (request.prev == EntryId::ZERO);
    let led = previous == EntryId::ZERO || previous.term > Term(0);
    follows && zero_is_zero && led && previous.term.0 <= term
}
