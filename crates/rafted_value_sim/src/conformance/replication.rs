//! The log: appended to by leaders, taken over by followers, committed by majorities, replaced by values (§3.5, §3.6, §5).

use super::{Action, Answer, Owed, Verdict, Walk, require};
use crate::chain::Chain;
use crate::invariants::majority::is_majority;
use rafted_value_core::{
    AppendEntries, AppendEntriesReply, AppendResult, Body, Entry, EntryId, Input, InstallSnapshot, LogIndex, MemberId,
    Membership, Message, Payload, Proposal, RoleKind,
};
use std::sync::Arc;

impl Walk<'_> {
    /// What a message of another member does, after the term rule. One of a higher term that was not entered is lost.
    pub(super) fn hear(&mut self, message: &Message) -> Verdict {
        let astray = message.to != self.step.after.id;
        let Message { term, body, .. } = message;
        let asks_only = matches!(body, Body::RequestVote(_) | Body::RequestVoteReply(_));
        if astray || (*term > self.state.term && !asks_only) {
            return Ok(());
        }
        match body {
            Body::RequestVote(request) => self.hear_request_vote(message, request)?,
            Body::RequestVoteReply(reply) => self.hear_vote(message, reply),
            Body::AppendEntries(append) => self.hear_append(message, append),
            Body::InstallSnapshot(install) => self.hear_snapshot(message, install),
            Body::TimeoutNow => self.hear_timeout_now(message),
            Body::AppendEntriesReply(reply) => self.hear_append_reply(message, reply),
            Body::InstallSnapshotReply(reply) => self.count_match(message, reply.matched),
            Body::Removed => {}
        }
        Ok(())
    }

    /// §3.4: whoever hears the leader of its term follows it.
    fn recognise_leader(&mut self) {
        let campaigns = matches!(self.state.role, RoleKind::PreCandidate | RoleKind::Candidate);
        if campaigns && self.step.after.role == RoleKind::Follower {
            self.state.role = RoleKind::Follower;
            self.take(Action::RecogniseLeader);
        }
    }

    /// §3.5: entries are accepted if what precedes them is there; what contradicts them goes, and nothing else does.
    fn hear_append(&mut self, message: &Message, append: &AppendEntries) {
        if message.term < self.state.term {
            return self.owe(message, Answer::Stale);
        }
        self.recognise_leader();
        let mut verified = None;
        if self.state.role == RoleKind::Follower && self.has(append.prev) {
            let last = append.entries.last().map_or(append.prev, |entry| entry.id);
            self.take_over(append);
            verified = Some(last.index);
            self.learn_commit(append.commit.min(last.index));
        } else {
            self.take(Action::RejectEntries);
        }
        let (prev, received) = (append.prev.index, self.step.now);
        let answer = Answer::Append { prev, verified, round: append.round, sent: append.sent, received };
        self.owe(message, answer);
    }

    pub(super) fn owe(&mut self, message: &Message, answer: Answer) {
        self.memory.owed.push(Owed { to: message.from, term: self.state.term, answer });
    }

    fn take_over(&mut self, append: &AppendEntries) {
        let missing = |entry: &&Entry| !self.has(entry.id);
        let Some(from) = append.entries.iter().position(|entry| missing(&entry)) else {
            return self.take(Action::AcceptEntries);
        };
        let replaces = append.entries[from].id.index <= self.state.tip.0.index;
        let before = append.entries[from].id.index.previous();
        let hash = self.step.before.log.hash_at(before).unwrap_or_default();
        self.state.tip = grown((append.prev, hash), &append.entries[from..]);
        self.take(if replaces { Action::ReplaceEntries } else { Action::AcceptEntries });
    }

    fn has(&self, id: EntryId) -> bool {
        id == EntryId::ZERO || self.step.before.log.at(id.index).is_some_and(|link| link.id == id)
    }

    fn learn_commit(&mut self, commit: LogIndex) {
        if commit > self.state.commit {
            self.state.commit = commit;
            self.take(Action::LearnCommit);
        }
    }

    /// §5: a value replaces the log, unless the log goes on after what the value contains; then it keeps the rest.
    fn hear_snapshot(&mut self, message: &Message, install: &InstallSnapshot) {
        if message.term < self.state.term {
            return self.owe(message, Answer::Stale);
        }
        self.recognise_leader();
        let last = install.snapshot.last_included;
        if self.state.role != RoleKind::Follower {
            return;
        }
        let upto = last.index.max(self.state.commit);
        if last.index <= self.state.commit {
            self.take(Action::IgnoreSnapshot);
        } else {
            if !self.has(last) {
                self.state.tip = (last, self.step.after.log.hash());
            }
            self.state.commit = last.index;
            self.take(Action::InstallSnapshot);
        }
        self.owe(message, Answer::Snapshot { upto });
    }

    /// §3.5, §6.4: an answer counts for the leadership that asked.
    fn hear_append_reply(&mut self, message: &Message, reply: &AppendEntriesReply) {
        if self.state.role != RoleKind::Leader || message.term != self.state.term {
            return;
        }
        let (from, leading) = (message.from, &mut self.memory.leading);
        let promise = reply.sent.after(reply.promise.min(self.step.config.election_timeout));
        raise(&mut leading.echoed, from, reply.round);
        raise(&mut leading.answered, from, reply.sent);
        raise(&mut leading.promised, from, promise);
        if let AppendResult::Accepted { matched } = reply.result {
            self.count_match(message, matched);
        }
    }

    fn count_match(&mut self, message: &Message, matched: LogIndex) {
        let counts = self.state.role == RoleKind::Leader && message.term == self.state.term;
        if counts && matched <= self.state.tip.0.index {
            raise(&mut self.memory.leading.matched, message.from, matched);
            self.take(Action::CountMatch);
        }
    }

    /// §3.5, §6.4: a leader appends one entry of its own when it begins, then what it is asked, and memberships.
    pub(super) fn append(&mut self) -> Verdict {
        let append = self.step.ready.write.as_ref().and_then(|write| write.append.as_ref());
        let begins = self.taken.contains(&Action::BecomeLeader);
        if self.state.role != RoleKind::Leader {
            return Ok(());
        }
        let Some(append) = append else {
            return require(!begins, || "it leads without an entry of its own".to_owned());
        };
        require(append.from == self.state.tip.0.index.next(), || "a leader replaces entries".to_owned())?;
        for (at, entry) in append.entries.iter().enumerate() {
            require(entry.id.term == self.state.term, || format!("a leader appends {}", entry.id))?;
            match &entry.payload {
                Payload::Noop => require(begins && at == 0, || "a no-op in the middle of a term".to_owned())?,
                Payload::Membership(next) => self.change_membership(next)?,
                payload => {
                    require(self.was_asked(payload), || format!("nobody asked for {}: {payload:?}", entry.id))?;
                    self.take(Action::ClientRequest);
                }
            }
            self.state.tip = grown(self.state.tip, std::slice::from_ref(entry));
        }
        Ok(())
    }

    fn was_asked(&self, payload: &Payload) -> bool {
        let Some(Input::Propose { proposal, .. }) = self.step.input else { return false };
        match (payload, proposal) {
            (Payload::Commands(appended), Proposal::Commands(asked)) => appended == asked,
            (Payload::Config(appended), Proposal::Config(asked)) => **appended == *asked,
            _ => false,
        }
    }

    /// §3.6.2: an entry of the leader's own term on the disks of a majority is committed, and all before it. Which
    /// majority counts is decided by the membership before what is appended in this step, or by the one after.
    pub(super) fn advance_commit(&mut self, earlier: &[Arc<Membership>]) -> Verdict {
        if self.state.role != RoleKind::Leader || self.step.after.commit <= self.state.commit {
            return Ok(());
        }
        let target = self.step.after.commit;
        let memberships = earlier.iter().chain(std::iter::once(&self.state.membership));
        if memberships.into_iter().any(|membership| self.agreed(membership) == Some(target)) {
            self.state.commit = target;
            self.take(Action::AdvanceCommit);
        }
        Ok(())
    }

    /// The last entry of this term that a majority has.
    fn agreed(&self, membership: &Membership) -> Option<LogIndex> {
        let after = self.step.after;
        let durable = after.durable.log.last().index;
        let has = |id: MemberId, index: LogIndex| match id == after.id {
            true => index <= durable && after.durable.log.agrees(&after.log, index),
            false => self.memory.leading.matched.get(&id).is_some_and(|matched| *matched >= index),
        };
        let new = after.log.backwards().take_while(|link| link.id.index > self.state.commit);
        let mut own = new.filter(|link| link.id.term == self.state.term).map(|link| link.id.index);
        own.find(|index| is_majority(membership, |id| has(id, *index)))
    }
}

/// The end of a log that ended with `tip` and has got `entries`.
fn grown(tip: (EntryId, u64), entries: &[Entry]) -> (EntryId, u64) {
    entries.iter().fold(tip, |(_, hash), entry| (entry.id, Chain::hash_after(hash, entry)))
}

fn raise<T: Ord + Copy>(known: &mut std::collections::BTreeMap<MemberId, T>, id: MemberId, value: T) {
    let known = known.entry(id).or_insert(value);
    *known = (*known).max(value);
}
