//! Pre-votes and votes (thesis §3.4, §3.6, §9.6), and the promises that keep a live leader in office (§4.2.3, §6.4).

use crate::follower::Follower;
use crate::hard_state::HardState;
use crate::message::{Ballot, Body, RequestVote, RequestVoteReply};
use crate::museum::{Mutant, broken};
use crate::notice::{Notice, StepDown, VoteRefusal};
use crate::outbox::After;
use crate::quorum::{Outcome, outcome};
use crate::raft::{Raft, Role};
use crate::ready::Timer;
use crate::types::{MemberId, Term};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// A request for votes, and what was said to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Campaign {
    pub(crate) number: u64,
    pub(crate) ballot: Ballot,
    /// Its own vote appears here once it is durable.
    pub(crate) said: BTreeMap<MemberId, bool>,
}

impl Raft {
    /// No leader was heard for long enough.
    pub(crate) fn on_election_timer(&mut self) {
        if !self.log.membership().is_voter(self.id) && !broken(Mutant::LearnerCampaigns) {
            return self.ask_whether_removed();
        }
        if matches!(self.role, Role::Candidate(_)) && !self.outbox.hard_state_is_durable() {
            // Its campaign has not even begun: another would have to wait for the disk just the same.
            return self.set_election_timer();
        }
        if self.now < self.promised_until {
            // Its own vote is a vote, too.
            let latest = self.promised_until.after(self.config.election_timeout);
            self.ready.timer = Some(Timer { earliest: self.promised_until, latest });
            return;
        }
        if self.log.membership().is_sole_voter(self.id) || broken(Mutant::NoPreVote) {
            self.campaign_for_votes(Ballot::Vote);
        } else {
            self.campaign_for_pre_votes();
        }
    }

    /// A learner that no leader talks to may have been removed unheard. A pre-vote changes nothing, and tells.
    fn ask_whether_removed(&mut self) {
        self.set_election_timer();
        if self.log.membership_at(self.commit).contains(self.id) {
            self.request_votes(Ballot::PreVote);
        }
    }

    fn campaign_for_pre_votes(&mut self) {
        let campaign = self.new_campaign(Ballot::PreVote);
        self.role = Role::PreCandidate(campaign);
        self.ask_for_votes(Ballot::PreVote, self.term().next());
        self.count_own_vote();
    }

    fn campaign_for_votes(&mut self, ballot: Ballot) {
        self.enter_term(self.term().next());
        self.hard_state.vote_for(self.id);
        let campaign = self.new_campaign(ballot);
        self.role = Role::Candidate(campaign);
        self.ask_for_votes(ballot, self.term());
    }

    fn new_campaign(&mut self, ballot: Ballot) -> Campaign {
        self.campaigns += 1;
        Campaign { number: self.campaigns, ballot, said: BTreeMap::new() }
    }

    fn ask_for_votes(&mut self, ballot: Ballot, term: Term) {
        self.notice(Notice::Campaigning { ballot, term });
        self.set_election_timer();
        self.request_votes(ballot);
    }

    fn request_votes(&mut self, ballot: Ballot) {
        let request = RequestVote { ballot, last: self.log.last(), campaign: self.campaigns };
        let others: Vec<MemberId> = self.log.membership().voters().filter(|id| *id != self.id).collect();
        for id in others {
            self.send(id, Body::RequestVote(request), After::HardState);
        }
    }

    /// A candidate's own vote counts once it is durable; a pre-vote binds nobody.
    pub(crate) fn count_own_vote(&mut self) {
        let durable = self.outbox.hard_state_is_durable();
        let id = self.id;
        match &mut self.role {
            Role::PreCandidate(campaign) => campaign.said.insert(id, true),
            Role::Candidate(campaign) if durable => campaign.said.insert(id, true),
            _ => return,
        };
        self.conclude();
    }

    pub(crate) fn on_request_vote(&mut self, from: MemberId, term: Term, request: RequestVote) {
        self.tell_if_removed(from, term);
        // Somebody misses the leader. If that one lives, this wakes it; if not, the next campaign finds nobody asleep.
        let slept = self.wake() && request.ballot == Ballot::PreVote;
        let may_grant = if slept { Err(VoteRefusal::LeaderAlive) } else { self.may_grant(from, term, &request) };
        if let Err(why) = may_grant {
            self.notice(Notice::VoteRefused { to: from, why });
            return self.reply_to_vote(from, &request, false);
        }
        if request.ballot == Ballot::PreVote {
            if broken(Mutant::PreVoteIsRecorded) {
                self.hard_state = HardState::new(self.term(), Some(from));
            }
            self.notice(Notice::VoteGranted { to: from, term: term.next(), ballot: request.ballot });
            return self.reply_to_vote(from, &request, true);
        }
        self.hard_state.vote_for(from);
        self.outbox.hard_state_changed();
        if matches!(self.role, Role::PreCandidate(_)) {
            // It does not campaign against the one it votes for.
            self.role = Role::Follower(Follower::new(None, self.commit));
        }
        self.set_election_timer();
        self.notice(Notice::VoteGranted { to: from, term, ballot: request.ballot });
        self.reply_to_vote(from, &request, true);
    }

    /// The rules in their order. A request for a real vote of a higher term ends ours, unless a live leader
    /// protects it.
    fn may_grant(&mut self, from: MemberId, term: Term, request: &RequestVote) -> Result<(), VoteRefusal> {
        if broken(Mutant::LearnerRefuses) && !self.log.membership().is_voter(self.id) {
            return Err(VoteRefusal::LeaderAlive);
        }
        if term < self.term() {
            return Err(VoteRefusal::OldTerm);
        }
        let leads = matches!(self.role, Role::Leader(_));
        let bound = leads || (self.now < self.promised_until && !broken(Mutant::VoteThoughLeaderLives));
        if request.ballot != Ballot::Transfer && bound {
            return Err(VoteRefusal::LeaderAlive);
        }
        if request.ballot != Ballot::PreVote {
            if term > self.term() {
                self.become_follower(term, None, StepDown::HigherTerm);
            }
            if !self.hard_state.may_vote_for(from) {
                return Err(VoteRefusal::AlreadyVoted);
            }
        }
        let (theirs, ours) = (request.last, self.log.last());
        let longer = (theirs.index, theirs.term) >= (ours.index, ours.term);
        if if broken(Mutant::LongerLogWins) { !longer } else { theirs < ours } {
            return Err(VoteRefusal::OldLog);
        }
        Ok(())
    }

    fn reply_to_vote(&mut self, to: MemberId, request: &RequestVote, granted: bool) {
        let reply = RequestVoteReply { ballot: request.ballot, granted, campaign: request.campaign };
        self.send(to, Body::RequestVoteReply(reply), After::HardState);
    }

    /// A leader answers a former member's campaign with the truth, so that it stops. Its own word is good only once
    /// it has committed in its term, and never towards a term that it does not know.
    fn tell_if_removed(&mut self, from: MemberId, term: Term) {
        let Role::Leader(leader) = &self.role else { return };
        let settled = self.commit >= leader.term_start && self.log.membership_index() <= self.commit;
        if settled && !broken(Mutant::RemovedIsNotTold) && term <= self.term() && !self.log.membership().contains(from)
        {
            self.send(from, Body::Removed, After::HardState);
        }
    }

    pub(crate) fn on_request_vote_reply(&mut self, from: MemberId, term: Term, reply: RequestVoteReply) {
        let heeds = reply.ballot != Ballot::PreVote || !broken(Mutant::HigherTermIgnored);
        if term > self.term() && heeds {
            // Also what lets a pre-candidate of an old term with the only good log catch up with the others' term.
            return self.become_follower(term, None, StepDown::HigherTerm);
        }
        let campaign = match (&mut self.role, reply.ballot) {
            (Role::PreCandidate(campaign), Ballot::PreVote) => campaign,
            (Role::Candidate(campaign), Ballot::Vote | Ballot::Transfer) => campaign,
            (Role::Candidate(campaign), _) if broken(Mutant::PreVotesElect) => campaign,
            _ => return,
        };
        // A real vote is one of this very term; a pre-vote of this very campaign, whatever the voter's term.
        let is_vote = reply.ballot != Ballot::PreVote;
        let earlier = broken(Mutant::OldCampaignCounts) || broken(Mutant::PreVotesElect);
        if (reply.campaign != campaign.number && !earlier) || (is_vote && term != self.hard_state.term()) {
            return;
        }
        campaign.said.insert(from, reply.granted || broken(Mutant::EveryReplyGrants));
        self.conclude();
    }

    fn conclude(&mut self) {
        let (Role::PreCandidate(campaign) | Role::Candidate(campaign)) = &self.role else { return };
        let pre = campaign.ballot == Ballot::PreVote;
        match outcome(self.log.membership(), |id| campaign.said.get(&id).copied()) {
            Outcome::Won if pre => self.campaign_for_votes(Ballot::Vote),
            Outcome::Won => self.become_leader(),
            // A lost election is over; the next begins with the timer, and with a pre-vote.
            Outcome::Lost => self.role = Role::Follower(Follower::new(None, self.commit)),
            Outcome::Pending => {}
        }
    }

    /// The leader wants this member to take over, at once and without asking whether a leader is alive.
    pub(crate) fn on_timeout_now(&mut self, from: MemberId) {
        let follows = matches!(&self.role, Role::Follower(follower) if follower.leader == Some(from));
        if follows && self.log.membership().is_voter(self.id) {
            let rules = if broken(Mutant::TransferKeepsToRules) { Ballot::Vote } else { Ballot::Transfer };
            self.campaign_for_votes(rules);
        }
    }
}
