//! Terms, votes and leaders (§3.3, §3.4, §3.6.1, §3.10, §4.2.3, §9.6).

use super::{Action, Answer, Leading, Owed, Verdict, Walk, require};
use crate::invariants::majority::is_majority;
use crate::name::Name;
use rafted_value_core::{Ballot, Body, Input, MemberId, Message, RequestVote, RequestVoteReply, RoleKind, Time};

impl Walk<'_> {
    /// §3.3: who sees a higher term enters it as a follower. A pre-vote only asks about a term. Any message may be lost
    /// instead; but then nothing comes of it.
    pub(super) fn enter_higher_term(&mut self) -> Verdict {
        let Some(Input::Message(Message { term, body, .. })) = self.step.input else { return Ok(()) };
        let asks_only = matches!(body, Body::RequestVote(request) if request.ballot == Ballot::PreVote);
        if *term <= self.state.term || self.step.after.term() < *term || asks_only {
            return Ok(());
        }
        if let Body::RequestVote(request) = body {
            self.keeps_promise(request.ballot)?;
        }
        self.state.term = *term;
        self.state.voted_for = None;
        self.state.role = RoleKind::Follower;
        self.memory.owed.clear();
        self.take(Action::UpdateTerm);
        Ok(())
    }

    /// §4.2.3, §6.4.1: whoever has told a leader that it will not vote for a while does not, and enters no term for it.
    fn keeps_promise(&self, ballot: Ballot) -> Verdict {
        let (now, promised) = (self.step.now, self.memory.promised);
        require(ballot == Ballot::Transfer || now >= promised, || {
            format!("at {now:?} it takes part in an election, but promised not to until {promised:?}")
        })
    }

    /// §3.6.1: the vote of a term is given once, to a log that is not behind.
    pub(super) fn hear_request_vote(&mut self, message: &Message, request: &RequestVote) -> Verdict {
        let (candidate, voted_for) = (message.from, self.state.voted_for);
        let newest = request.last >= self.state.tip.0;
        let mut may_grant = newest && message.term >= self.state.term;
        if request.ballot != Ballot::PreVote {
            let free = voted_for.is_none_or(|voted| voted == candidate);
            may_grant = newest && message.term == self.state.term && free;
            if voted_for.is_none() && self.step.after.hard_state.voted_for() == Some(candidate) {
                require(may_grant, || format!("it votes for {}, whose log or term is behind", Name(candidate)))?;
                self.keeps_promise(request.ballot)?;
                self.state.voted_for = Some(candidate);
                self.take(Action::GrantVote);
            }
            may_grant = self.state.voted_for == Some(candidate) && message.term == self.state.term;
            if may_grant && (self.state.role, self.step.after.role) == (RoleKind::PreCandidate, RoleKind::Follower) {
                // *Pre-votes are always on*: a member that only asked, and now votes, waits for the other.
                self.state.role = RoleKind::Follower;
            }
        } else if self.step.now < self.memory.promised {
            may_grant = false;
        }
        let answer = Answer::Vote { ballot: request.ballot, campaign: request.campaign, may_grant };
        self.memory.owed.push(Owed { to: candidate, term: self.state.term, answer });
        Ok(())
    }

    /// §3.4: a vote counts in the campaign that asked for it, and only there.
    pub(super) fn hear_vote(&mut self, message: &Message, reply: &RequestVoteReply) {
        let asks = match reply.ballot {
            Ballot::PreVote => self.state.role == RoleKind::PreCandidate,
            Ballot::Vote | Ballot::Transfer => {
                self.state.role == RoleKind::Candidate && message.term == self.state.term
            }
        };
        if !asks || Some(reply.campaign) != self.memory.campaign {
            return;
        }
        if !reply.granted {
            self.memory.refusals.insert(message.from);
        } else if self.memory.votes.insert(message.from) {
            self.take(if reply.ballot == Ballot::PreVote { Action::CountPreVote } else { Action::CountVote });
        }
    }

    /// A timer fires: ask first, or, if nobody else has a vote, begin at once; a leader may find itself alone.
    pub(super) fn fire(&mut self) -> Verdict {
        let after = self.step.after;
        if self.state.role == RoleKind::Leader {
            return self.check_quorum();
        }
        if after.role == RoleKind::PreCandidate {
            self.keeps_promise(Ballot::PreVote)?;
            if self.state.role != RoleKind::PreCandidate {
                self.memory.campaign = None;
                self.memory.votes.clear();
                self.memory.refusals.clear();
            }
            self.state.role = RoleKind::PreCandidate;
            self.memory.asks_with = self.state.tip.0;
            self.take(Action::PreVote);
        }
        Ok(())
    }

    /// §6.2: it leaves if no majority has answered what it sent within the last election timeout.
    fn check_quorum(&mut self) -> Verdict {
        let (before, after) = (self.step.before, self.step.after);
        if after.role == RoleKind::Leader || after.term() != before.term() || self.has_left_office() {
            return Ok(());
        }
        let since = self.step.now.before(self.step.config.election_timeout);
        let recent = |id: MemberId| {
            let answered = self.memory.leading.answered.get(&id).copied().unwrap_or(Time(0));
            id == after.id || answered > since
        };
        require(!is_majority(&self.state.membership, recent), || "it leaves though a majority answers".to_owned())?;
        self.state.role = RoleKind::Follower;
        self.take(Action::CheckQuorum);
        Ok(())
    }

    /// §3.10: the one that was chosen begins a term at once.
    pub(super) fn hear_timeout_now(&mut self, message: &Message) {
        let after = self.step.after;
        let begins = after.term() > self.state.term && after.hard_state.voted_for() == Some(after.id);
        if begins && message.term == self.state.term && self.state.membership.is_voter(after.id) {
            self.begin_term();
            self.take(Action::TakeOver);
        }
    }

    /// §9.6, §3.4: pre-votes of a majority begin a term; votes of a majority, its own durable, make a leader.
    pub(super) fn conclude_election(&mut self) -> Verdict {
        let after = self.step.after;
        let own = after.id;
        let alone = self.state.membership.is_sole_voter(own);
        let asked = self.state.role == RoleKind::PreCandidate || alone && self.state.role != RoleKind::Leader;
        if asked && after.term() > self.state.term && after.hard_state.voted_for() == Some(own) {
            let votes = &self.memory.votes;
            require(is_majority(&self.state.membership, |id| id == own || votes.contains(&id)), || {
                "it begins a term without the pre-votes of a majority".to_owned()
            })?;
            self.begin_term();
            self.take(Action::Timeout);
        }
        if self.state.role == RoleKind::Candidate && after.role == RoleKind::Leader {
            let durable = after.durable.hard_state;
            let own_vote = durable.term() == self.state.term && durable.voted_for() == Some(own);
            let votes = &self.memory.votes;
            let voted = |id: MemberId| if id == own { own_vote } else { votes.contains(&id) };
            require(is_majority(&self.state.membership, voted), || "it leads without a majority".to_owned())?;
            self.state.role = RoleKind::Leader;
            self.memory.leading = Leading::default();
            self.take(Action::BecomeLeader);
        }
        Ok(())
    }

    /// *A campaign that is lost ends at once*: those that refused it leave no majority.
    pub(super) fn give_up(&mut self) {
        let campaigns = matches!(self.state.role, RoleKind::PreCandidate | RoleKind::Candidate);
        let refusals = &self.memory.refusals;
        if campaigns
            && self.step.after.role == RoleKind::Follower
            && !is_majority(&self.state.membership, |id| !refusals.contains(&id))
        {
            self.state.role = RoleKind::Follower;
            self.take(Action::GiveUp);
        }
    }

    fn begin_term(&mut self) {
        self.state.term = self.state.term.next();
        self.state.voted_for = Some(self.step.after.id);
        self.state.role = RoleKind::Candidate;
        self.memory.stands_with = self.state.tip.0;
        self.memory.campaign = None;
        self.memory.votes.clear();
        self.memory.refusals.clear();
        self.memory.owed.clear();
    }
}
