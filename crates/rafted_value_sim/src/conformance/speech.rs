//! What a member says must be so: requests from its own state, answers to what it was asked (§3.4, §3.5, §3.8, §3.10).

use super::{Action, Answer, Owed, Verdict, Walk, require};
use crate::chain::Chain;
use crate::name::Name;
use rafted_value_core::{
    AppendEntries, AppendEntriesReply, AppendResult, Ballot, Body, LogIndex, Message, RequestVote, RequestVoteReply,
    RoleKind,
};
use std::time::Duration;

impl Walk<'_> {
    pub(super) fn speak(&mut self) -> Verdict {
        for message in &self.step.ready.messages {
            let said = self.say(message);
            said.map_err(|what| format!("to {}: {what}\n  saying {:?}", Name(message.to), message.body))?;
        }
        Ok(())
    }

    fn say(&mut self, message: &Message) -> Verdict {
        let own = self.step.after.id;
        require(message.from == own && message.to != own, || "in the name of another, or to itself".to_owned())?;
        require(message.term == self.state.term, || format!("of term {}", message.term))?;
        match &message.body {
            Body::RequestVote(request) => self.ask_for_vote(request),
            Body::RequestVoteReply(reply) => self.answer_vote(message, reply),
            Body::AppendEntries(append) => self.send_entries(append),
            Body::AppendEntriesReply(reply) => self.answer_append(message, reply),
            Body::InstallSnapshotReply(reply) => {
                self.settle(message, |answer| matches!(answer, Answer::Snapshot { upto } if reply.matched <= *upto))?;
                self.is_durable(reply.matched)
            }
            Body::InstallSnapshot(_) => Err("values travel by themselves".to_owned()),
            Body::TimeoutNow => self.hand_over(message),
            Body::Removed => self.tell_removed(message),
        }
    }

    fn ask_for_vote(&mut self, request: &RequestVote) -> Verdict {
        let own = self.step.after.id;
        match request.ballot {
            Ballot::PreVote => {
                // *A learner that hears nothing asks by a pre-vote, which changes nothing.*
                let learner = !self.state.membership.is_voter(own) && request.last == self.state.tip.0;
                require(learner || request.last == self.memory.asks_with, || "its log ended elsewhere".to_owned())?;
            }
            Ballot::Vote | Ballot::Transfer => {
                let durable = self.step.after.durable.hard_state;
                let stands = durable.term() == self.state.term && durable.voted_for() == Some(own);
                require(stands, || "its own vote is not durable".to_owned())?;
                require(request.last == self.memory.stands_with, || "its log ended elsewhere".to_owned())?;
            }
        }
        if self.memory.campaign != Some(request.campaign) {
            self.memory.campaign = Some(request.campaign);
            self.memory.votes.clear();
            self.memory.refusals.clear();
        }
        Ok(())
    }

    fn answer_vote(&mut self, message: &Message, reply: &RequestVoteReply) -> Verdict {
        self.settle(message, |answer| match answer {
            Answer::Vote { ballot, campaign, may_grant } => {
                (*ballot, *campaign) == (reply.ballot, reply.campaign) && (*may_grant || !reply.granted)
            }
            _ => false,
        })?;
        let durable = self.step.after.durable.hard_state;
        let kept = reply.ballot == Ballot::PreVote
            || durable.term() == message.term && durable.voted_for() == Some(message.to);
        require(!reply.granted || kept, || "its vote is not durable".to_owned())
    }

    fn send_entries(&mut self, append: &AppendEntries) -> Verdict {
        require(self.state.role == RoleKind::Leader, || "it does not lead".to_owned())?;
        require(append.commit <= self.state.commit, || "that is not committed".to_owned())?;
        let log = &self.step.after.log;
        let prev = log.hash_at(append.prev.index).filter(|_| {
            append.prev.index == LogIndex::ZERO || log.at(append.prev.index).is_some_and(|link| link.id == append.prev)
        });
        let mut hash = prev.ok_or("what precedes the entries is not in its log")?;
        for entry in &append.entries {
            hash = Chain::hash_after(hash, entry);
            let same = log.at(entry.id.index).is_some_and(|link| link.hash == hash);
            require(same, || format!("{} is not in its log like that", entry.id))?;
        }
        self.memory.leading.round = self.memory.leading.round.max(append.round);
        Ok(())
    }

    fn answer_append(&mut self, message: &Message, reply: &AppendEntriesReply) -> Verdict {
        let owed = self.settle(message, |answer| match answer {
            Answer::Append { prev, verified, round, sent, .. } => {
                let so = match (reply.result, verified) {
                    (AppendResult::Accepted { matched }, Some(verified)) => matched <= *verified,
                    (AppendResult::Rejected { prev: said, .. }, None) => said == *prev,
                    _ => false,
                };
                so && (*round, *sent) == (reply.round, reply.sent)
            }
            Answer::Stale => {
                let refuses = matches!(reply.result, AppendResult::Rejected { .. });
                refuses && (reply.round, reply.promise) == (0, Duration::ZERO)
            }
            _ => false,
        })?;
        if let Answer::Append { received, .. } = owed.answer {
            self.memory.promised = self.memory.promised.max(received.after(reply.promise));
        }
        match reply.result {
            AppendResult::Accepted { matched } => self.is_durable(matched),
            AppendResult::Rejected { .. } => Ok(()),
        }
    }

    /// §3.10: to one whose log is complete; or *a leader that loses its vote hands over*.
    fn hand_over(&mut self, message: &Message) -> Verdict {
        let before = self.step.before;
        require(before.role == RoleKind::Leader, || "it did not lead".to_owned())?;
        require(self.state.membership.is_voter(message.to), || "that one has no vote".to_owned())?;
        let complete = self.memory.leading.matched.get(&message.to) == Some(&self.state.tip.0.index);
        require(complete || self.has_left_office(), || "that one's log is not complete".to_owned())?;
        self.memory.leading.hands_over = true;
        self.take(if self.has_left_office() { Action::HandOverOnRemoval } else { Action::TransferLeadership });
        Ok(())
    }

    /// *A removed member is told*, by a committed membership.
    fn tell_removed(&mut self, message: &Message) -> Verdict {
        let (_, committed) = self.step.after.log.membership_at(self.state.commit);
        require(!committed.contains(message.to), || "it is not removed".to_owned())?;
        self.take(Action::TellRemoved);
        Ok(())
    }

    /// The request that this answers, once. Of several that fit it is the one that allows least.
    fn settle(&mut self, message: &Message, fits: impl Fn(&Answer) -> bool) -> Result<Owed, String> {
        let owes = |owed: &Owed| owed.to == message.to && owed.term == message.term && fits(&owed.answer);
        let owed = self.memory.owed.iter().enumerate().filter(|(_, owed)| owes(owed));
        let least = owed.min_by_key(|(_, owed)| match owed.answer {
            Answer::Append { verified, .. } => verified,
            Answer::Vote { may_grant, .. } => Some(LogIndex(may_grant.into())),
            Answer::Snapshot { upto } => Some(upto),
            Answer::Stale => None,
        });
        let (at, _) = least.ok_or("it was not asked, or not that")?;
        Ok(self.memory.owed.remove(at))
    }

    fn is_durable(&self, upto: LogIndex) -> Verdict {
        let after = self.step.after;
        require(after.durable.log.agrees(&after.log, upto), || format!("{upto} is not durable"))
    }
}
