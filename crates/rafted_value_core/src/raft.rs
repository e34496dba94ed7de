//! One member of one group.
//!
//! # The map
//!
//! | what happens | where |
//! |---|---|
//! | the timer fires | follower, candidate: `election::on_election_timer`; leader: `leader::on_heartbeat_timer` |
//! | a message arrives | the term rule, here; then by its kind |
//! | `RequestVote`, `TimeoutNow` and replies | `election` |
//! | `AppendEntries`, `InstallSnapshot`, `Removed` | `follower` |
//! | their replies, proposals, transfer | `leader` |
//! | a read | `read` |
//! | the group is idle, or no longer | `quiescence` |
//! | a write is durable | `outbox`; then a candidate counts its own vote, a leader its own log |
//!
//! Beside it, `recovery`: what a survivor begins again from when a majority is lost for good.
//!
//! ```text
//!                  timer               pre-votes of a majority        votes of a majority
//!   Follower ───────────────► PreCandidate ─────────────► Candidate ─────────────► Leader
//!      ▲  │   TimeoutNow                                     ▲                       │
//!      │  └──────────────────────────────────────────────────┘                       │
//!      └──── a higher term, a leader of this term; from Leader also: no quorum, removed
//! ```

use crate::config::Config;
use crate::election::Campaign;
use crate::entry::{Entry, Payload, SnapshotMeta};
use crate::follower::Follower;
use crate::hard_state::HardState;
use crate::input::Input;
use crate::invariants;
use crate::leader::Leader;
use crate::log::Log;
use crate::membership::Membership;
use crate::message::{AppendResult, Body, Message};
use crate::museum::{Mutant, broken};
use crate::notice::{Halt, Notice, StepDown, Violation};
use crate::outbox::{After, Outbox};
use crate::progress::{Progress, Sending};
use crate::ready::{Answer, Lease, ReadAnswer, Ready, Refusal, Timer};
use crate::types::{EntryId, LogIndex, MemberId, NUMBER_LIMIT, ReadId, RequestId, Term, Time};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::cmp::Ordering;
use core::time::Duration;

/// One member of one group. See the crate's page for how to drive it.
///
/// Invariants, checked by [`invariants::check`] after every step of a debug build: base <= commit <= last;
/// applied <= handed out <= commit; terms in the log never decrease and none is above the current one; a leader or
/// candidate has voted for itself; a leader keeps progress of exactly the other members.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Raft {
    pub(crate) id: MemberId,
    /// The instant of the present step.
    pub(crate) now: Time,
    pub(crate) hard_state: HardState,
    pub(crate) log: Log,
    pub(crate) commit: LogIndex,
    /// The last committed entry handed to the driver.
    pub(crate) handed_out: LogIndex,
    /// The last entry that the driver's value contains.
    pub(crate) applied: LogIndex,
    /// Entries after this one may be needed by some member, as the leader knows and tells its followers: the next
    /// leader is one of them.
    pub(crate) keep: LogIndex,
    /// In force: that of the last committed entry that carries one.
    pub(crate) config: Arc<Config>,
    pub(crate) role: Role,
    /// Until when this member promised to refuse votes. Outlives roles and changes of config.
    pub(crate) promised_until: Time,
    /// Numbers campaigns.
    pub(crate) campaigns: u64,
    pub(crate) outbox: Outbox,
    pub(crate) halted: bool,
    /// Collects what the next `take_ready` hands out, but for writes and messages.
    pub(crate) ready: Ready,
}

/// What a member is at present; the role owns its state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    Follower(Follower),
    PreCandidate(Campaign),
    Candidate(Campaign),
    Leader(Leader),
}

/// What a member starts from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Restored {
    /// Term and vote.
    pub hard_state: HardState,
    /// What the value contains.
    pub base: SnapshotMeta,
    /// The entries after it.
    pub entries: Vec<Entry>,
}

impl Restored {
    /// The first member of a new group. Its value is one entry ahead of an empty one, so that every member that
    /// joins is sent the value, and with it the group's initial value and config.
    pub fn bootstrap(id: MemberId, contact: Bytes, config: Config) -> Restored {
        Restored {
            hard_state: HardState::new(Term(1), None),
            base: SnapshotMeta {
                last_included: EntryId::new(1, 1),
                membership: Arc::new(Membership::sole_voter(id, contact)),
                config: Arc::new(config),
            },
            entries: Vec::new(),
        }
    }

    /// A member that knows nothing and waits for a leader.
    pub fn joining() -> Restored {
        Restored { hard_state: HardState::default(), base: SnapshotMeta::empty(), entries: Vec::new() }
    }
}

/// A summary of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Which member.
    pub id: MemberId,
    /// What it is.
    pub role: RoleKind,
    /// Its term.
    pub term: Term,
    /// Whom it voted for in that term.
    pub voted_for: Option<MemberId>,
    /// Who leads, as far as it knows.
    pub leader: Option<MemberId>,
    /// The last committed entry it knows of.
    pub commit: LogIndex,
    /// The last entry its value contains.
    pub applied: LogIndex,
    /// The end of its log.
    pub last: EntryId,
    /// Where its log begins.
    pub base: EntryId,
    /// The membership in force.
    pub membership: Arc<Membership>,
    /// The config in force.
    pub config: Arc<Config>,
    /// The lease, if it leads and has one.
    pub lease: Option<Lease>,
    /// If it leads, its followers.
    pub followers: Vec<FollowerStatus>,
    /// Whether it is silent for good.
    pub halted: bool,
    /// Whether it is asleep; see [`Input::Quiesce`].
    pub quiescent: bool,
}

/// A follower as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowerStatus {
    /// Which member.
    pub id: MemberId,
    /// Up to where its log is known to be the leader's.
    pub matched: LogIndex,
    /// How it is being sent to.
    pub sending: Sending,
    /// How long ago the latest message that it answered was sent.
    pub silent_for: Duration,
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoleKind {
    /// Follows, or waits for a leader.
    Follower,
    /// Asks whether it could win an election.
    PreCandidate,
    /// Asks for votes.
    Candidate,
    /// Leads.
    Leader,
}

impl Raft {
    /// A member that starts at `now` from what was restored.
    ///
    /// # Panics
    ///
    /// If the entries do not follow the base.
    pub fn new(id: MemberId, now: Time, restored: Restored) -> Raft {
        let Restored { hard_state, base, entries } = restored;
        let commit = base.index();
        let log = Log::new(base, entries);
        assert!(log.last().term <= hard_state.term(), "no entry is from a term that was never seen");
        let mut raft = Raft {
            id,
            now,
            hard_state,
            commit,
            handed_out: commit,
            applied: commit,
            keep: LogIndex(u64::MAX),
            config: log.base().config.clone(),
            role: Role::Follower(Follower::new(None, commit)),
            promised_until: Time::default(),
            // An earlier life of this member began earlier: what was said to it is not taken for an answer to this one.
            campaigns: now.0,
            outbox: Outbox::default(),
            halted: false,
            ready: Ready::default(),
            log,
        };
        if raft.log.membership().is_sole_voter(id) {
            raft.ready.timer = Some(Timer { earliest: now, latest: now });
        } else {
            if !broken(Mutant::RestartForgetsPromise) {
                raft.promised_until = raft.promises_of_the_past();
            }
            raft.set_election_timer();
        }
        raft
    }

    /// A member that restarts has forgotten when it last heard a leader, but the leader counts on its promise: it
    /// keeps the longest that any config it may have run with could have made it give.
    fn promises_of_the_past(&self) -> Time {
        // Not only a voter: the leader may know of a promotion that this member does not.
        let is_learner = !self.log.membership().is_voter(self.id);
        if self.term() == Term(0) || (is_learner && broken(Mutant::LearnersForgetPromises)) {
            return Time::default();
        }
        let entries = self.log.entries().filter_map(|entry| match &entry.payload {
            Payload::Config(config) => Some(config.election_timeout),
            _ => None,
        });
        let longest = entries.chain([self.log.base().config.election_timeout]).max();
        self.now.after(longest.unwrap_or_default())
    }

    /// Something happened at `now`. Total: it never fails and never waits; refusals are answers.
    ///
    /// # Panics
    ///
    /// If the driver breaks its contract: time that goes back, a confirmation of a write never handed out. What
    /// messages say never panics.
    pub fn step(&mut self, now: Time, input: Input) {
        assert!(now >= self.now, "the driver's clock went back");
        self.now = now;
        if self.halted {
            self.refuse(input, Refusal::Halted);
        } else {
            self.handle(input);
        }
        if cfg!(debug_assertions)
            && let Err(broken) = invariants::check(self)
        {
            panic!("{broken}: {self:?}");
        }
    }

    fn handle(&mut self, input: Input) {
        let is_work = matches!(input, Input::Propose { .. } | Input::Read(_) | Input::TransferLeadership { .. });
        if is_work && matches!(self.role, Role::Leader(_)) {
            self.wake();
        }
        match input {
            // It was asked for before it fell asleep.
            Input::Timer if self.is_quiescent() => {}
            Input::Timer => match self.role {
                Role::Leader(_) => self.on_heartbeat_timer(),
                _ => self.on_election_timer(),
            },
            Input::Message(message) => self.on_message(message),
            Input::Propose { id, proposal } => self.on_propose(id, proposal),
            Input::Read(id) => self.on_read(id),
            Input::TransferLeadership { id, to } => self.on_transfer(id, to),
            Input::Quiesce => self.on_quiesce(),
            Input::Wake => drop(self.wake()),
            Input::Persisted(no) => {
                self.outbox.persisted(no);
                self.count_own_vote();
                self.commit_what_is_agreed();
            }
            Input::StorageFailed if broken(Mutant::FailedSyncRetried) => {}
            Input::StorageFailed => self.halt(Halt::StorageFailed),
            Input::Applied(index) => self.on_applied(index),
            Input::SnapshotSent { to, last_included } => self.on_snapshot_sent(to, last_included),
            Input::SnapshotFailed { to } => self.on_snapshot_failed(to),
        }
    }

    /// The term rule (thesis §3.3), with its exceptions, then by kind.
    fn on_message(&mut self, message: Message) {
        if let Some(what) = self.refuses_unread(&message) {
            return self.notice(Notice::Violation { from: message.from, what });
        }
        let Message { from, term, body, .. } = message;
        let is_reply =
            matches!(body, Body::RequestVoteReply(_) | Body::AppendEntriesReply(_) | Body::InstallSnapshotReply(_));
        let listens = broken(Mutant::StrangerDeposes) || broken(Mutant::LateAckResurrects);
        if is_reply && !self.log.membership().contains(from) && !listens {
            // Somebody who is no longer a member cannot depose a leader, or count for anything.
            return;
        }
        // Votes have rules of their own: a pre-vote changes no term, and a live leader protects its term.
        match body {
            Body::RequestVote(request) => return self.on_request_vote(from, term, request),
            Body::RequestVoteReply(reply) => return self.on_request_vote_reply(from, term, reply),
            Body::Removed => return self.on_removed(term),
            _ => {}
        }
        match term.cmp(&self.term()) {
            Ordering::Less if is_reply && broken(Mutant::OldTermAckCounts) => {}
            Ordering::Less => return self.on_old_term(from, &body),
            Ordering::Greater => self.become_follower(term, None, StepDown::HigherTerm),
            Ordering::Equal => {}
        }
        match body {
            Body::AppendEntries(request) => self.on_append_entries(from, request),
            Body::InstallSnapshot(request) => self.on_install_snapshot(from, request),
            Body::AppendEntriesReply(reply) => self.on_append_entries_reply(from, reply),
            Body::InstallSnapshotReply(reply) => self.on_install_snapshot_reply(from, reply),
            Body::TimeoutNow => self.on_timeout_now(from),
            Body::RequestVote(_) | Body::RequestVoteReply(_) | Body::Removed => {}
        }
    }

    /// Only who was a member for sure can have been removed: a joiner whose addition was undone asks again.
    fn on_removed(&mut self, term: Term) {
        let was_member = self.log.membership_at(self.commit).contains(self.id);
        if term >= self.term() && (was_member || broken(Mutant::RemovedByRumour)) {
            self.notice(Notice::Removed);
        }
    }

    fn refuses_unread(&self, message: &Message) -> Option<Violation> {
        let mine = message.to == self.id || broken(Mutant::AddresseeUnchecked);
        if !mine || message.from == self.id {
            return Some(Violation::WrongAddressee);
        }
        if message.term == Term(0) && !matches!(message.body, Body::RequestVote(_) | Body::RequestVoteReply(_)) {
            return Some(Violation::NoTerm);
        }
        largest_number(message).ge(&NUMBER_LIMIT).then_some(Violation::NumberTooLarge)
    }

    /// Everything that does not depend on the role of the member that is no longer listened to.
    pub(crate) fn become_follower(&mut self, term: Term, leader: Option<MemberId>, why: StepDown) {
        let led = self.term();
        if term > led {
            self.enter_term(term);
        } else if broken(Mutant::StepDownForgetsVote) {
            self.hard_state = HardState::new(term, None);
        }
        let next = Role::Follower(Follower::new(leader, self.commit));
        if let Role::Leader(leader) = core::mem::replace(&mut self.role, next) {
            self.stop_leading(leader, led, why);
        }
        if let Some(leader) = leader {
            self.notice(Notice::FollowsLeader { leader, term });
        }
        self.set_election_timer();
    }

    pub(crate) fn enter_term(&mut self, term: Term) {
        self.outbox.term_ended();
        self.hard_state.enter_term(term);
        self.outbox.hard_state_changed();
    }

    /// Everything up to `index` is committed.
    pub(crate) fn advance_commit(&mut self, index: LogIndex) {
        let before = self.commit;
        if index <= before {
            return;
        }
        assert!(index <= self.log.last_index(), "only what stands in the log is committed");
        self.commit = index;
        let config = self.log.config_at(index).clone();
        if !Arc::ptr_eq(&config, &self.config) {
            self.config = config;
            self.forget_promises();
        }
        let old = self.log.membership_at(before);
        let new = self.log.membership_at(index);
        if !Arc::ptr_eq(old, new) {
            let gone: Vec<MemberId> = old.members().keys().copied().filter(|id| !new.contains(*id)).collect();
            self.tell_removed(&gone);
        }
    }

    fn tell_removed(&mut self, gone: &[MemberId]) {
        for id in gone.iter().filter(|_| !broken(Mutant::RemovedIsNotTold)) {
            if *id == self.id {
                self.notice(Notice::Removed);
            } else if matches!(self.role, Role::Leader(_)) {
                self.send(*id, Body::Removed, After::HardState);
            }
        }
    }

    /// The value contains everything up to `index`: lets go of entries that nobody is known to need.
    fn on_applied(&mut self, index: LogIndex) {
        assert!(index <= self.handed_out, "only what was handed out is applied");
        if index <= self.applied {
            return;
        }
        self.applied = index;
        let kept = index.0.saturating_sub(self.config.max_retained_committed_logs);
        // Before the base nothing is left to be let go of, however early somebody's need begins.
        let mut to = LogIndex(kept).min(self.keep).max(self.log.base().index());
        // However many bytes are needed: beyond the budget a follower gets the value instead.
        while to < index && self.log.bytes_between(to, index) > self.config.max_retained_bytes {
            to = to.next();
        }
        if to > self.log.base().index() {
            self.log.compact(to);
        }
    }

    pub(crate) fn halt(&mut self, why: Halt) {
        self.become_follower(self.term(), None, StepDown::Halted);
        self.outbox.silence();
        self.halted = true;
        self.ready.timer = None;
        self.notice(Notice::Halted { why });
    }

    fn refuse(&mut self, input: Input, why: Refusal) {
        match input {
            Input::Propose { id, .. } | Input::TransferLeadership { id, .. } => self.answer(id, Err(why)),
            Input::Read(id) => self.ready.reads.push(ReadAnswer { id, result: Err(why) }),
            _ => {}
        }
    }

    /// Everything to do since the last call, into `ready`, whose buffers are used again.
    pub fn take_ready(&mut self, ready: &mut Ready) {
        self.begin_read_round();
        self.replicate();
        ready.clear();
        core::mem::swap(&mut self.ready, ready);
        ready.lease = self.lease();
        if self.halted {
            return;
        }
        ready.write = self.outbox.take_write(self.hard_state, &self.log);
        self.outbox.take_messages(&mut ready.messages);
        if self.commit > self.handed_out {
            let page = if broken(Mutant::HandsOutPages) { 64 } else { u64::MAX };
            ready.committed = self.log.copy(self.handed_out.next(), self.commit, page);
            self.handed_out = self.commit;
        }
    }

    pub(crate) fn send(&mut self, to: MemberId, body: Body, after: After) {
        let message = Message { from: self.id, to, term: self.term(), body };
        self.outbox.send(message, after);
    }

    pub(crate) fn notice(&mut self, notice: Notice) {
        self.ready.notices.push(notice);
    }

    pub(crate) fn answer(&mut self, id: RequestId, result: Result<EntryId, Refusal>) {
        self.ready.answers.push(Answer { id, result });
    }

    pub(crate) fn answer_read(&mut self, id: ReadId, result: Result<LogIndex, Refusal>) {
        self.ready.reads.push(ReadAnswer { id, result });
    }

    pub(crate) fn set_election_timer(&mut self) {
        self.ready.timer = Some(Timer {
            earliest: self.now.after(self.config.election_timeout),
            latest: self.now.after(self.config.longest_election_timeout()),
        });
    }

    /// Its latest term.
    pub fn term(&self) -> Term {
        self.hard_state.term()
    }

    /// Its identity.
    pub fn id(&self) -> MemberId {
        self.id
    }

    /// Its term and vote.
    pub fn hard_state(&self) -> HardState {
        self.hard_state
    }

    /// Its log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The last entry that the driver said its value contains.
    pub fn applied(&self) -> LogIndex {
        self.applied
    }

    /// The last entry it knows to be committed.
    pub fn commit(&self) -> LogIndex {
        self.commit
    }

    /// Up to where its present log is known to be durable.
    pub fn durable_index(&self) -> LogIndex {
        self.outbox.durable_index(self.log.last_index())
    }

    /// The config in force.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Until when it promised to refuse votes.
    pub fn promised_until(&self) -> Time {
        self.promised_until
    }

    /// What it is.
    pub fn role(&self) -> RoleKind {
        match self.role {
            Role::Follower(_) => RoleKind::Follower,
            Role::PreCandidate(_) => RoleKind::PreCandidate,
            Role::Candidate(_) => RoleKind::Candidate,
            Role::Leader(_) => RoleKind::Leader,
        }
    }

    /// Who leads, as far as it knows.
    pub fn leader(&self) -> Option<MemberId> {
        match &self.role {
            Role::Follower(follower) => follower.leader,
            Role::Leader(_) => Some(self.id),
            Role::PreCandidate(_) | Role::Candidate(_) => None,
        }
    }

    /// Whether it is silent for good.
    pub fn is_halted(&self) -> bool {
        self.halted
    }

    /// If it leads, its followers as it sees them.
    pub fn followers(&self) -> impl Iterator<Item = (MemberId, &Progress)> {
        let progress = match &self.role {
            Role::Leader(leader) => Some(&leader.progress),
            _ => None,
        };
        progress.into_iter().flatten().map(|(id, progress)| (*id, progress))
    }

    /// A summary; costs a copy of the list of followers.
    pub fn status(&self) -> Status {
        Status {
            id: self.id,
            role: self.role(),
            term: self.term(),
            voted_for: self.hard_state.voted_for(),
            leader: self.leader(),
            commit: self.commit,
            applied: self.applied,
            last: self.log.last(),
            base: self.log.base().last_included,
            membership: self.log.membership().clone(),
            config: self.config.clone(),
            lease: self.lease(),
            followers: self.follower_statuses(),
            halted: self.halted,
            quiescent: self.is_quiescent(),
        }
    }
}

fn largest_number(message: &Message) -> u64 {
    let in_body = match &message.body {
        Body::RequestVote(request) => request.last.term.0.max(request.last.index.0),
        Body::AppendEntries(request) => {
            let last = request.entries.last().map_or(request.prev, |entry| entry.id);
            [request.prev.term.0, request.prev.index.0, last.term.0, last.index.0, request.commit.0]
                .into_iter()
                .fold(0, u64::max)
        }
        Body::AppendEntriesReply(reply) => match reply.result {
            AppendResult::Accepted { matched } => matched.0,
            AppendResult::Rejected { prev, hint } => prev.0.max(hint.index.0).max(hint.term.0),
        },
        Body::InstallSnapshot(request) => {
            request.snapshot.last_included.term.0.max(request.snapshot.last_included.index.0)
        }
        Body::InstallSnapshotReply(reply) => reply.matched.0,
        Body::RequestVoteReply(_) | Body::TimeoutNow | Body::Removed => 0,
    };
    in_body.max(message.term.0)
}
