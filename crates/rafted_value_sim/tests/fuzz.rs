//! Anything at all, said to the core and to the parser of scenarios. Under `cargo test` what is in `__fuzz__` and some
//! random inputs; under libFuzzer as long as one likes. CONTRIBUTING says how.

use bolero::{TypeGenerator, check, produce};
use bytes::Bytes;
use rafted_value_core::{
    AppendEntries, AppendEntriesReply, AppendResult, Ballot, Body, Change, Config, Entry, EntryId, Halt, HardState,
    Input, InstallSnapshot, InstallSnapshotReply, LogIndex, Member, MemberId, Membership, Message, Notice, Payload,
    Promotion, Proposal, Raft, ReadId, Ready, RequestId, RequestVote, RequestVoteReply, Restored, Seat, SnapshotMeta,
    Term, Time, WriteNo, invariants,
};
use rafted_value_sim::script;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Mostly numbers that mean something in a short run; now and then any number at all.
#[derive(Clone, Copy, Debug, TypeGenerator)]
enum Number {
    Small(#[generator(0..8)] u8),
    NextToAll(#[generator(0..4)] u8),
    Any(u64),
}

impl Number {
    fn get(self) -> u64 {
        match self {
            Number::Small(number) => number.into(),
            Number::NextToAll(number) => (1 << 63) - 2 + u64::from(number),
            Number::Any(number) => number,
        }
    }
}

#[derive(Clone, Debug, TypeGenerator)]
enum AnyPayload {
    Noop,
    Commands(#[generator(0..40)] u8),
    Membership(AnyMembership),
    Config { heartbeat: Number, election: Number, margin: Number, limits: Number, retained: Number },
}

#[derive(Clone, Debug, TypeGenerator)]
struct AnyMembership(Vec<(AnyMember, AnySeat)>);

#[derive(Clone, Copy, Debug, TypeGenerator)]
struct AnyMember(#[generator(0..5)] u8);

#[derive(Clone, Copy, Debug, TypeGenerator)]
enum AnySeat {
    Voter,
    Incoming,
    Outgoing,
    Learner,
    Joiner,
    Replacing(AnyMember),
}

#[derive(Clone, Debug, TypeGenerator)]
enum AnyBody {
    RequestVote {
        ballot: AnyBallot,
        last: (Number, Number),
        campaign: Number,
    },
    RequestVoteReply {
        ballot: AnyBallot,
        granted: bool,
        campaign: Number,
    },
    /// Entries in sequence after `prev`, unless `skip`.
    Append {
        prev: (Number, Number),
        entries: Vec<(Number, AnyPayload)>,
        skip: bool,
        commit: Number,
        echo: (Number, Number),
        quiesce: bool,
    },
    Accepted {
        matched: Number,
        verified: Number,
        echo: (Number, Number),
        promise: Number,
    },
    Rejected {
        prev: Number,
        hint: (Number, Number),
        verified: Number,
        echo: (Number, Number),
        promise: Number,
    },
    Install {
        last: (Number, Number),
        membership: AnyMembership,
    },
    Installed {
        matched: Number,
    },
    TimeoutNow,
    Removed,
}

#[derive(Clone, Copy, Debug, TypeGenerator)]
enum AnyBallot {
    PreVote,
    Vote,
    Transfer,
}

#[derive(Clone, Debug, TypeGenerator)]
enum Move {
    Pass(u16),
    Timer,
    /// From whom, to whom (mostly to the member), how far the term is from the member's own, and what.
    Hear {
        from: AnyMember,
        astray: bool,
        #[generator(0..3)]
        ahead: u8,
        term: Option<Number>,
        body: AnyBody,
    },
    /// As an honest leader would say it: what follows the end of the member's log.
    Lead {
        from: AnyMember,
        #[generator(0..2)]
        ahead: u8,
        entries: Vec<AnyPayload>,
        commits: bool,
    },
    /// As an honest member would answer what it was last asked.
    Answer(AnyMember),
    Propose(AnyPayload),
    Add(AnyMember, AnySeat),
    Remove(AnyMember),
    SetVoters(Vec<AnyMember>),
    Read,
    Quiesce,
    Wake,
    Transfer(Option<AnyMember>),
    Persist,
    Apply,
    ValueSent(AnyMember, Number),
    ValueLost(AnyMember),
    /// At 0: rarely.
    FailDisk(u8),
    /// At 0 to 9.
    Restart(u8),
}

impl AnyMember {
    fn id(self) -> MemberId {
        MemberId(self.0.into())
    }
}

impl AnySeat {
    fn seat(self) -> Seat {
        match self {
            AnySeat::Voter => Seat::Voter,
            AnySeat::Incoming => Seat::Incoming,
            AnySeat::Outgoing => Seat::Outgoing,
            other => Seat::Learner(other.promotion()),
        }
    }

    fn promotion(self) -> Promotion {
        match self {
            AnySeat::Replacing(old) => Promotion::Replacing(old.id()),
            AnySeat::Joiner => Promotion::WhenCaughtUp,
            _ => Promotion::Never,
        }
    }
}

impl AnyMembership {
    fn membership(&self) -> Membership {
        let member = |(id, seat): &(AnyMember, AnySeat)| (id.id(), Member { contact: Bytes::new(), seat: seat.seat() });
        Membership::new(self.0.iter().map(member))
    }
}

impl AnyPayload {
    fn payload(&self) -> Payload {
        match self {
            AnyPayload::Noop => Payload::Noop,
            AnyPayload::Commands(size) => Payload::Commands(vec![0; usize::from(*size)].into()),
            AnyPayload::Membership(membership) => Payload::Membership(Arc::new(membership.membership())),
            AnyPayload::Config { .. } => Payload::Config(Arc::new(self.config())),
        }
    }

    /// Settings that no validation has seen: what a leader sends is believed.
    fn config(&self) -> Config {
        let AnyPayload::Config { heartbeat, election, margin, limits, retained } = self else {
            return Config::default();
        };
        let millis = |number: &Number| Duration::from_millis(number.get());
        Config {
            heartbeat_interval: millis(heartbeat),
            election_timeout: millis(election),
            clock_drift_margin: millis(margin),
            max_retained_committed_logs: retained.get(),
            max_retained_bytes: retained.get(),
            max_uncommitted_bytes: limits.get(),
            max_append_bytes: limits.get(),
            max_inflight_messages: limits.get() as u32,
            max_inflight_bytes: limits.get(),
            learner_timeout: millis(election),
            extra: Bytes::new(),
        }
    }

    fn proposal(&self) -> Proposal {
        match self {
            AnyPayload::Config { .. } => Proposal::Config(self.config()),
            AnyPayload::Commands(size) => Proposal::Commands(vec![0; usize::from(*size)].into()),
            AnyPayload::Noop | AnyPayload::Membership(_) => Proposal::Commands(Bytes::new()),
        }
    }
}

fn entry_id((term, index): (Number, Number)) -> EntryId {
    EntryId { term: Term(term.get()), index: LogIndex(index.get()) }
}

impl AnyBody {
    fn body(&self) -> Body {
        match self.clone() {
            AnyBody::RequestVote { ballot, last, campaign } => {
                let request = RequestVote { ballot: ballot.ballot(), last: entry_id(last), campaign: campaign.get() };
                Body::RequestVote(request)
            }
            AnyBody::RequestVoteReply { ballot, granted, campaign } => {
                Body::RequestVoteReply(RequestVoteReply { ballot: ballot.ballot(), granted, campaign: campaign.get() })
            }
            AnyBody::Append { prev, entries, skip, commit, echo, quiesce } => {
                let (prev, mut index) = (entry_id(prev), prev.1.get());
                let entry = |(term, payload): &(Number, AnyPayload)| {
                    index = index.wrapping_add(if skip { 2 } else { 1 });
                    Entry { id: EntryId::new(term.get(), index), payload: payload.payload() }
                };
                let entries = entries.iter().map(entry).collect();
                let (commit, round, sent) = (LogIndex(commit.get()), echo.0.get(), Time(echo.1.get()));
                Body::AppendEntries(AppendEntries { prev, entries, commit, round, sent, keep: commit, quiesce })
            }
            AnyBody::Accepted { matched, verified, echo, promise } => {
                reply(AppendResult::Accepted { matched: LogIndex(matched.get()) }, verified, echo, promise)
            }
            AnyBody::Rejected { prev, hint, verified, echo, promise } => {
                let result = AppendResult::Rejected { prev: LogIndex(prev.get()), hint: entry_id(hint) };
                reply(result, verified, echo, promise)
            }
            AnyBody::Install { last, membership } => {
                let (last_included, membership) = (entry_id(last), Arc::new(membership.membership()));
                let snapshot = SnapshotMeta { last_included, membership, config: Arc::default() };
                Body::InstallSnapshot(InstallSnapshot { snapshot })
            }
            AnyBody::Installed { matched } => {
                Body::InstallSnapshotReply(InstallSnapshotReply { matched: LogIndex(matched.get()) })
            }
            AnyBody::TimeoutNow => Body::TimeoutNow,
            AnyBody::Removed => Body::Removed,
        }
    }
}

fn reply(result: AppendResult, verified: Number, echo: (Number, Number), promise: Number) -> Body {
    Body::AppendEntriesReply(AppendEntriesReply {
        result,
        verified: LogIndex(verified.get()),
        round: echo.0.get(),
        sent: Time(echo.1.get()),
        promise: Duration::from_nanos(promise.get()),
    })
}

impl AnyBallot {
    fn ballot(self) -> Ballot {
        match self {
            AnyBallot::PreVote => Ballot::PreVote,
            AnyBallot::Vote => Ballot::Vote,
            AnyBallot::Transfer => Ballot::Transfer,
        }
    }
}

/// A member with a driver that keeps its contract, and company that keeps none.
struct Target {
    raft: Raft,
    now: Time,
    requests: u64,
    /// What is written, and up to which number it is confirmed.
    disk: Restored,
    written: Vec<rafted_value_core::Write>,
    applied: LogIndex,
    /// What each other member was last asked.
    asked: BTreeMap<MemberId, Message>,
    halts: bool,
}

const OWN: MemberId = MemberId(0);

impl Target {
    fn new() -> Target {
        let member = |id| (MemberId(id), Member { contact: Bytes::new(), seat: Seat::Voter });
        let membership = Arc::new(Membership::new((0..3).map(member)));
        let base = SnapshotMeta { membership, ..SnapshotMeta::empty() };
        let disk = Restored { hard_state: HardState::default(), base, entries: Vec::new() };
        let raft = Raft::new(OWN, Time(0), disk.clone());
        let written = Vec::new();
        Target {
            raft,
            now: Time(0),
            requests: 0,
            disk,
            written,
            applied: LogIndex(0),
            asked: BTreeMap::new(),
            halts: false,
        }
    }

    fn perform(&mut self, next: &Move) {
        let before = (self.raft.term(), self.raft.commit());
        let own_term = self.raft.term().0;
        self.requests += 1;
        let id = RequestId(self.requests);
        let change = |change| Input::Propose { id, proposal: Proposal::Membership(change) };
        match next {
            Move::Pass(millis) => self.now = self.now.after(Duration::from_millis((*millis).into())),
            Move::Timer => self.step(Input::Timer),
            Move::Hear { from, astray, ahead, term, body } => {
                let to = if *astray { MemberId(9) } else { OWN };
                let term = Term(term.map_or(own_term.saturating_add((*ahead).into()), Number::get));
                self.step(Input::Message(Message { from: from.id(), to, term, body: body.body() }));
            }
            Move::Lead { from, ahead, entries, commits } => self.lead(from.id(), (*ahead).into(), entries, *commits),
            Move::Answer(from) => {
                if let Some(answer) = self.asked.get(&from.id()).and_then(honest_answer) {
                    self.step(Input::Message(answer));
                }
            }
            Move::Propose(payload) => self.step(Input::Propose { id, proposal: payload.proposal() }),
            Move::Add(member, seat) => {
                let (member, promotion) = (member.id(), seat.promotion());
                self.step(change(Change::AddLearner { id: member, contact: Bytes::new(), promotion }));
            }
            Move::Remove(member) => self.step(change(Change::Remove(member.id()))),
            Move::SetVoters(members) => {
                self.step(change(Change::SetVoters(members.iter().map(|member| member.id()).collect())));
            }
            Move::Read => self.step(Input::Read(ReadId(self.requests))),
            Move::Quiesce => self.step(Input::Quiesce),
            Move::Wake => self.step(Input::Wake),
            Move::Transfer(to) => self.step(Input::TransferLeadership { id, to: to.map(AnyMember::id) }),
            Move::Persist => self.persist(),
            Move::Apply => self.step(Input::Applied(self.applied)),
            Move::ValueSent(to, last) => {
                let last_included = LogIndex(last.get().min(self.applied.0));
                self.step(Input::SnapshotSent { to: to.id(), last_included });
            }
            Move::ValueLost(to) => self.step(Input::SnapshotFailed { to: to.id() }),
            Move::FailDisk(0) => {
                self.halts = true;
                self.step(Input::StorageFailed);
            }
            Move::Restart(..10) => return self.restart(),
            Move::FailDisk(_) | Move::Restart(_) => {}
        }
        self.take_ready();
        assert!(before <= (self.raft.term(), self.raft.commit()), "terms and commits never go back");
        assert_eq!(self.raft.is_halted(), self.halts, "it halts for a reason that it names, or not at all");
    }

    fn step(&mut self, input: Input) {
        self.raft.step(self.now, input);
        assert_eq!(invariants::check(&self.raft), Ok(()));
    }

    fn take_ready(&mut self) {
        let mut ready = Ready::default();
        self.raft.take_ready(&mut ready);
        self.halts |= ready.notices.contains(&Notice::Halted { why: Halt::ContradictsCommitted });
        assert!(!self.halts || ready.messages.is_empty(), "whoever halted is silent");
        if let Some(write) = ready.write {
            if let Some(snapshot) = &write.snapshot {
                self.applied = snapshot.index();
            }
            self.written.push(write);
        }
        let asks = |message: &Message| matches!(message.body, Body::RequestVote(_) | Body::AppendEntries(_));
        self.asked.extend(ready.messages.into_iter().filter(asks).map(|message| (message.to, message)));
        for entry in ready.committed {
            assert_eq!(entry.id.index, self.applied.next(), "entries are handed out in order");
            self.applied = entry.id.index;
        }
    }

    fn lead(&mut self, from: MemberId, ahead: u64, payloads: &[AnyPayload], commits: bool) {
        let term = self.raft.term().0.max(1).saturating_add(ahead);
        let prev = self.raft.log().last();
        let entry = |(payload, n): (&AnyPayload, u64)| Entry {
            id: EntryId::new(term, prev.index.0.saturating_add(n)),
            payload: payload.payload(),
        };
        let entries: Vec<Entry> = payloads.iter().zip(1..).map(entry).collect();
        let commit = if commits { prev.index } else { LogIndex(0) };
        let append = AppendEntries { prev, entries, commit, round: 0, sent: self.now, keep: commit, quiesce: false };
        let body = Body::AppendEntries(append);
        self.step(Input::Message(Message { from, to: OWN, term: Term(term), body }));
    }

    fn persist(&mut self) {
        if self.written.is_empty() {
            return;
        }
        let write = self.written.remove(0);
        self.disk.hard_state = write.hard_state.unwrap_or(self.disk.hard_state);
        if let Some(snapshot) = write.snapshot {
            self.disk.base = snapshot;
            self.disk.entries.clear();
        }
        if let Some(append) = write.append {
            self.disk.entries.retain(|entry| entry.id.index < append.from);
            self.disk.entries.extend(append.entries);
        }
        let WriteNo(no) = write.no;
        self.step(Input::Persisted(WriteNo(no)));
    }

    /// Power fails, and comes back.
    fn restart(&mut self) {
        self.written.clear();
        self.raft = Raft::new(OWN, self.now, self.disk.clone());
        self.applied = self.disk.base.index();
        self.halts = false;
        self.take_ready();
    }
}

fn honest_answer(asked: &Message) -> Option<Message> {
    let body = match &asked.body {
        Body::RequestVote(RequestVote { ballot, campaign, .. }) => {
            Body::RequestVoteReply(RequestVoteReply { ballot: *ballot, granted: true, campaign: *campaign })
        }
        Body::AppendEntries(append) => {
            let matched = append.entries.last().map_or(append.prev, |entry| entry.id).index;
            Body::AppendEntriesReply(AppendEntriesReply {
                result: AppendResult::Accepted { matched },
                verified: matched,
                round: append.round,
                sent: append.sent,
                promise: Duration::from_secs(1),
            })
        }
        _ => return None,
    };
    Some(Message { from: asked.to, to: asked.from, term: asked.term, body })
}

/// Whatever others say, in whatever order: a member never panics, never goes back, and stays within its invariants; what
/// makes no sense is dropped, and a contradiction halts it.
#[test]
fn any_messages() {
    check!()
        .with_iterations(2000)
        .with_max_len(1 << 16)
        .with_generator(produce::<Vec<Move>>().with().len(0usize..300))
        .for_each(|moves| {
            let mut target = Target::new();
            moves.iter().for_each(|next| target.perform(next));
        });
}

/// A scenario of any text: refused by line, or played; never a panic.
#[test]
fn any_scenario() {
    check!().with_iterations(500).for_each(|bytes: &[u8]| {
        if let Ok(text) = std::str::from_utf8(bytes) {
            let _ = script::run(text);
        }
    });
}
