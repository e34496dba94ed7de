//! One member of one group: a plain struct that the shard steps. Joins consensus, the value, callers and the network;
//! nothing in it waits.

use crate::applier::{Machine, Work};
use crate::batch::Batch;
use crate::config::Config;
use crate::contact::{Contact, GroupId, MemberOf};
use crate::host::Host;
use crate::lease::{LeasePublisher, PublishedLease};
use crate::packet::{Change, ChangeRefused, Chunk, Envelope, Join, Packet, Refused, Response};
use crate::profile::{self, Profile};
use crate::report::{MemberReport, StatusReport};
use crate::snapshots;
use crate::timers;
use crate::transport::Origin;
use crate::waiting::{Caller, Waiting};
use bytes::Bytes;
use rafted_value_core as core;
use rafted_value_core::{
    Answer, Entry, EntryId, Input, LogIndex, MemberId, Membership, Message, Notice, Payload, Promotion, Proposal, Raft,
    ReadAnswer, ReadId, Ready, Refusal, RequestId, RoleKind, Term, Time, Write, WriteNo,
};
use std::any::Any;
use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

mod incarnation;
#[cfg(test)]
mod steps;

/// After how many bytes of commands an entry is full; and at the latest, though there are more that belong together: it
/// must fit into a message, with one more command.
const ENTRY_BYTES: usize = 1 << 20;
const ENTRY_BYTES_TOGETHER: usize = 16 << 20;

/// How many reads may wait for a round.
const READS: usize = 1 << 14;

/// How much replicated time passes between two batches at most: what nobody noticed by a command is not counted, so
/// that the first command after a quiet time does not end the sessions of everybody who was quiet as well.
const LONGEST_STEP: Duration = Duration::from_secs(10);

/// How many members outside the membership can be answered at most: a leader that this one does not know yet.
const STRANGERS: usize = 16;

/// One member of one group.
pub(crate) struct Member {
    pub(crate) group: GroupId,
    pub(crate) name: String,
    /// The name of the value's type.
    pub(crate) value: &'static str,
    pub(crate) machine: Arc<dyn Machine>,
    lease: Arc<PublishedLease>,
    publisher: LeasePublisher,
    raft: Raft,
    /// The config that `max_command_bytes` was read from.
    config: Arc<core::Config>,
    max_command_bytes: u64,
    ready: Ready,
    /// When to wake it.
    pub(crate) alarm: Option<Time>,
    /// Commands since the last proposal.
    queue: Vec<Queued>,
    waiting: Waiting,
    /// Requests that the core has not answered yet.
    requests: BTreeMap<RequestId, Request>,
    reads: BTreeMap<ReadId, Read>,
    last_request: u64,
    /// When the last proposal was stamped; nothing before the first of a leadership.
    stamped: Option<Time>,
    /// Where members are.
    contacts: BTreeMap<MemberId, Contact>,
    /// Where they were before the last change: whoever was removed by it is told so.
    former: BTreeMap<MemberId, Contact>,
    strangers: BTreeMap<MemberId, Origin>,
    /// The end of its log when it began: what that holds was applied in an earlier life, and no hook hears of it again.
    replayed: LogIndex,
    /// Whether it comes from a directory and has not led since.
    pub(crate) restored: bool,
    /// Values that are on their way to others.
    sending: BTreeMap<MemberId, Arc<snapshots::Progress>>,
    /// A value that is arriving.
    arriving: Option<snapshots::Arriving>,
    /// A value that arrived and waits for the core's word.
    arrived: Option<Box<dyn Any + Send>>,
    view: watch::Sender<View>,
    /// What the view was last made from, without the contact of the leader.
    published: Option<(View, Option<MemberId>, LogIndex)>,
    pub(crate) removed: bool,
    /// How often its timer fired since it last knew a leader.
    lonely: u32,
    /// Held by a search for another incarnation of the group while it goes on.
    search: Arc<()>,
}

/// A command on its way into an entry.
struct Queued {
    envelope: Envelope,
    caller: Caller,
    /// Whether it belongs together with the one before: either is refused if the other is.
    follows: bool,
}

enum Request {
    Commands(Vec<Caller>),
    Change(Caller, Response),
    Transfer(Caller),
}

enum Read {
    Index(Caller),
    Query(Bytes, Caller),
}

/// What handles may know of a member without asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// Which member of which incarnation of the group it is.
    pub(crate) at: MemberOf,
    pub(crate) role: RoleKind,
    pub(crate) term: Term,
    /// Where the leader is, if it is known and elsewhere.
    pub(crate) leader: Option<Contact>,
    /// Whether the group has it, as far as it knows.
    pub(crate) member: bool,
    pub(crate) voter: bool,
    pub(crate) settled: bool,
    pub(crate) ended: Option<Ended>,
}

/// Why a member is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// A committed membership does not have it.
    Removed,
    /// It met something it cannot go on from.
    Halted,
    /// It was stopped.
    Stopped,
}

impl Member {
    pub(crate) fn new(
        raft: Raft,
        (group, name, value): (GroupId, String, &'static str),
        machine: Arc<dyn Machine>,
        lease: Arc<PublishedLease>,
    ) -> (Member, watch::Receiver<View>) {
        let view = View {
            at: MemberOf { group, member: raft.id() },
            role: RoleKind::Follower,
            term: Term(0),
            leader: None,
            member: false,
            voter: false,
            settled: false,
            ended: None,
        };
        let (view, receiver) = watch::channel(view);
        let member = Member {
            group,
            name,
            value,
            machine,
            lease,
            publisher: LeasePublisher::default(),
            config: raft.config().clone(),
            max_command_bytes: max_command_bytes(raft.config()),
            replayed: raft.log().last_index(),
            restored: false,
            raft,
            ready: Ready::default(),
            alarm: None,
            queue: Vec::new(),
            waiting: Waiting::default(),
            requests: BTreeMap::new(),
            reads: BTreeMap::new(),
            last_request: 0,
            stamped: None,
            contacts: BTreeMap::new(),
            former: BTreeMap::new(),
            strangers: BTreeMap::new(),
            sending: BTreeMap::new(),
            arriving: None,
            arrived: None,
            view,
            published: None,
            removed: false,
            lonely: 0,
            search: Arc::new(()),
        };
        (member, receiver)
    }

    pub(crate) fn id(&self) -> MemberId {
        self.raft.id()
    }

    // ---- what comes in ----

    pub(crate) fn on_command(&mut self, envelope: Envelope, caller: Caller) {
        self.enqueue(Queued { envelope, caller, follows: false });
    }

    /// Commands that are applied in their order or, from some point on, not at all.
    pub(crate) fn on_commands(&mut self, envelopes: Vec<Envelope>, caller: Caller) {
        let callers = caller.split(envelopes.len());
        for (at, (envelope, caller)) in envelopes.into_iter().zip(callers).enumerate() {
            self.enqueue(Queued { envelope, caller, follows: at > 0 });
        }
    }

    fn enqueue(&mut self, queued: Queued) {
        let limit = self.max_command_bytes;
        match queued.envelope.command.len() as u64 > limit {
            true => queued.caller.refuse(Refused::TooLarge { limit }),
            false => self.queue.push(queued),
        }
    }

    pub(crate) fn on_message(&mut self, origin: &Origin, message: Message) {
        let speaks_for_another = |contact: &Contact| contact.node.is_some_and(|node| node != origin.node);
        if self.contact_of(message.from).is_some_and(speaks_for_another) {
            return tracing::warn!(group = %self.name, from = %message.from, "another node speaks for a member");
        }
        if !self.raft.log().membership().contains(message.from) {
            if self.strangers.len() >= STRANGERS && !self.strangers.contains_key(&message.from) {
                // The present leader will be heard again.
                self.strangers.clear();
            }
            self.strangers.insert(message.from, origin.clone());
        }
        self.step(Input::Message(message));
    }

    pub(crate) fn on_timer(&mut self, host: &Arc<Host>) {
        self.alarm = None;
        self.step(Input::Timer);
        self.look_for_a_successor(host);
    }

    pub(crate) fn on_persisted(&mut self, no: WriteNo) {
        self.step(Input::Persisted(no));
    }

    pub(crate) fn on_failure(&mut self) {
        self.step(Input::StorageFailed);
    }

    pub(crate) fn on_read_index(&mut self, caller: Caller) {
        self.read(Read::Index(caller));
    }

    pub(crate) fn on_query(&mut self, query: Bytes, caller: Caller) {
        self.read(Read::Query(query, caller));
    }

    /// From the member's own copy. It is not kept waiting here for more: who asks for an entry may ask for any.
    pub(crate) fn on_stale_query(&mut self, index: LogIndex, query: Bytes, caller: Caller) {
        let applied = self.machine.applied();
        match applied >= index {
            true => self.machine.clone().query(index, query, false, caller),
            false => caller.refuse(Refused::Behind { applied }),
        }
    }

    fn read(&mut self, read: Read) {
        if self.reads.len() >= READS {
            let (Read::Index(caller) | Read::Query(_, caller)) = read;
            return caller.refuse(Refused::Busy);
        }
        let id = ReadId(self.next_request());
        self.reads.insert(id, read);
        self.step(Input::Read(id));
    }

    /// Takes a member in; asking again for one that is in already is answered the same.
    pub(crate) fn on_join(&mut self, join: Join, cluster: crate::contact::ClusterId, caller: Caller) {
        let joined = Response::Joined { group: self.group, cluster };
        if self.raft.role() == RoleKind::Leader && self.raft.log().membership().contains(join.member) {
            let index = self.raft.log().membership_index();
            return match index <= self.raft.commit() {
                true => caller.answer(joined),
                false => self.waiting.for_commit(index, caller, joined),
            };
        }
        let promotion = match (join.learner, join.replaces) {
            (true, _) => Promotion::Never,
            (false, Some(old)) => Promotion::Replacing(old),
            (false, None) => Promotion::WhenCaughtUp,
        };
        if let Some(hook) = self.next_hook()
            && !join.profile.has_hook(&hook)
        {
            return caller.refuse(Refused::Change(ChangeRefused::NoSuchHook { member: join.member, hook }));
        }
        // It would be sent a value that it cannot read.
        let needed = self.machine.value_version();
        if self.raft.role() == RoleKind::Leader && join.profile.value_version < needed {
            return caller.refuse(Refused::OlderValue { needed });
        }
        let change = core::Change::AddLearner { id: join.member, contact: join.profile.to_bytes(), promotion };
        self.propose(Proposal::Membership(change), caller, joined);
    }

    /// Answered when it is committed; a transfer, when another leads or it came to nothing.
    pub(crate) fn on_change(&mut self, change: Change, caller: Caller) {
        match change {
            Change::Remove(member) => {
                self.propose(Proposal::Membership(core::Change::Remove(member)), caller, Response::Done);
            }
            Change::Configure(config) => match self.check_settings(&config) {
                Ok(()) => self.propose(Proposal::Config(*config), caller, Response::Done),
                Err(why) => caller.refuse(Refused::Change(why)),
            },
            Change::Lead(to) => {
                let id = RequestId(self.next_request());
                self.requests.insert(id, Request::Transfer(caller));
                self.step(Input::TransferLeadership { id, to });
            }
        }
    }

    /// Settings that are to be replicated: each member must be able to use them.
    fn check_settings(&self, config: &core::Config) -> Result<(), ChangeRefused> {
        let unusable = |why: String| ChangeRefused::InvalidConfig(why);
        let settings = Config::from_core(config).map_err(|error| unusable(error.to_string()))?;
        settings.validate().map_err(|error| unusable(error.to_string()))?;
        let Some(hook) = settings.leader_hook else { return Ok(()) };
        let has_it = |contact: &[u8]| Profile::from_bytes(contact).is_some_and(|profile| profile.has_hook(&hook));
        match self.raft.log().membership().members().iter().find(|(_, member)| !has_it(&member.contact)) {
            Some((member, _)) => Err(ChangeRefused::NoSuchHook { member: *member, hook }),
            None => Ok(()),
        }
    }

    /// The hook that the latest settings name, committed or not: whoever joins must have it.
    fn next_hook(&self) -> Option<String> {
        let log = self.raft.log();
        Config::from_core(log.config_at(log.last_index())).ok()?.leader_hook
    }

    fn propose(&mut self, proposal: Proposal, caller: Caller, response: Response) {
        let id = RequestId(self.next_request());
        self.requests.insert(id, Request::Change(caller, response));
        self.step(Input::Propose { id, proposal });
    }

    /// A piece of a value. A whole one is checked elsewhere before the core hears of it.
    pub(crate) fn on_chunk(&mut self, chunk: Chunk, host: &Arc<Host>) {
        if let Some(whole) = snapshots::Arriving::add(&mut self.arriving, chunk) {
            snapshots::check(whole, self.group, self.machine.clone(), host.clone());
        }
    }

    /// The core's word on a value that arrived is taken at once, so that no other value takes its place meanwhile.
    pub(crate) fn on_snapshot_decoded(&mut self, message: Message, state: Box<dyn Any + Send>, host: &Arc<Host>) {
        self.arrived = Some(state);
        self.step(Input::Message(message));
        self.settle(host);
        if let Some(useless) = self.arrived.take() {
            host.discard(useless);
        }
    }

    pub(crate) fn on_snapshot_sent(&mut self, to: MemberId, last_included: Option<LogIndex>) {
        self.sending.remove(&to);
        match last_included {
            Some(last_included) => self.step(Input::SnapshotSent { to, last_included }),
            None => self.step(Input::SnapshotFailed { to }),
        }
    }

    fn step(&mut self, input: Input) {
        self.raft.step(timers::now(), input);
    }

    fn next_request(&mut self) -> u64 {
        self.last_request += 1;
        self.last_request
    }

    // ---- what has to be done ----

    /// Performs all that the core wants, until it wants nothing.
    pub(crate) fn settle(&mut self, host: &Arc<Host>) {
        self.look_what_is_applied();
        self.propose_queue();
        let mut ready = mem::take(&mut self.ready);
        loop {
            self.raft.take_ready(&mut ready);
            self.publisher.publish(&self.lease, self.raft.term(), ready.lease);
            if ready.is_empty() {
                break;
            }
            self.perform(&mut ready, host);
        }
        self.ready = ready;
        if !Arc::ptr_eq(&self.config, self.raft.config()) {
            self.config = self.raft.config().clone();
            self.max_command_bytes = max_command_bytes(&self.config);
        }
        self.publish();
    }

    /// Lets go of entries that the value contains. It can wait for the next turn: nobody is told of each application.
    fn look_what_is_applied(&mut self) {
        let me = MemberOf { group: self.group, member: self.id() };
        if let Some(applied) = self.machine.applied_by(me).filter(|applied| *applied > self.raft.applied()) {
            self.step(Input::Applied(applied));
        }
    }

    /// Everything that was queued goes into as few entries as their size allows.
    fn propose_queue(&mut self) {
        let mut queue = mem::take(&mut self.queue).into_iter().peekable();
        while queue.peek().is_some() {
            let (mut envelopes, mut callers, mut bytes) = (Vec::new(), Vec::new(), 0);
            let fits = |queued: &Queued, bytes| bytes < ENTRY_BYTES || (queued.follows && bytes < ENTRY_BYTES_TOGETHER);
            while let Some(Queued { envelope, caller, .. }) = queue.next_if(|queued| fits(queued, bytes)) {
                bytes += envelope.command.len();
                envelopes.push(envelope);
                callers.push(caller);
            }
            let batch = Batch { elapsed_ms: self.stamp(), seed: timers::seed(), envelopes };
            let id = RequestId(self.next_request());
            self.requests.insert(id, Request::Commands(callers));
            self.step(Input::Propose { id, proposal: Proposal::Commands(batch.encode()) });
        }
    }

    /// How many milliseconds since the last stamp of this leadership. What is left of one counts next time.
    fn stamp(&mut self) -> u64 {
        let now = timers::now();
        let (elapsed, stamped) = step(self.stamped.unwrap_or(now), now);
        self.stamped = Some(stamped);
        elapsed
    }

    fn perform(&mut self, ready: &mut Ready, host: &Arc<Host>) {
        for notice in ready.notices.drain(..) {
            self.on_notice(notice);
        }
        if let Some(write) = ready.write.take() {
            self.write(write, host);
        }
        for message in ready.messages.drain(..) {
            self.send(message, host);
        }
        for to in ready.snapshots.drain(..) {
            self.send_snapshot(to, host);
        }
        for entry in ready.committed.drain(..) {
            self.waiting.committed(entry.id.index);
            let callers = self.waiting.take(entry.id);
            let heard = self.is_for_the_hook(&entry);
            let restored = heard && mem::take(&mut self.restored);
            self.machine.clone().submit(Work::Apply { entry, callers, heard, restored });
        }
        for answer in ready.answers.drain(..) {
            self.on_answer(answer);
        }
        for read in ready.reads.drain(..) {
            self.on_read_answer(read);
        }
        if self.raft.role() != RoleKind::Leader {
            // Answers of a leadership that ended within the same step: what becomes of them is for others to decide.
            self.waiting.abandon();
        }
        if let Some(timer) = ready.timer.take() {
            self.alarm = Some(timers::draw(timer));
        }
    }

    /// What the leader's hook hears of: what is committed here while this member leads, but of empty entries only its own,
    /// which says that it was elected.
    fn is_for_the_hook(&self, entry: &Entry) -> bool {
        let leads = self.raft.role() == RoleKind::Leader;
        let foreign = matches!(entry.payload, Payload::Noop) && entry.id.term != self.raft.term();
        leads && !foreign && entry.id.index > self.replayed
    }

    /// In memory everything is as durable as it will ever be at once.
    fn write(&mut self, write: Write, host: &Host) {
        if write.snapshot.is_some()
            && let Some(state) = self.arrived.take()
        {
            self.machine.clone().submit(Work::Install(state));
        }
        match &host.storage {
            Some(storage) => storage.write(self.group, self.id(), write),
            None => self.step(Input::Persisted(write.no)),
        }
    }

    fn on_notice(&mut self, notice: Notice) {
        tracing::debug!(group = %self.name, member = %self.id(), ?notice);
        match notice {
            Notice::SteppedDown { .. } => {
                self.waiting.abandon();
                self.stamped = None;
            }
            Notice::BecameLeader { .. } => self.stamped = None,
            Notice::MembershipInForce { .. } | Notice::SnapshotInstalled { .. } if !self.contacts.is_empty() => {
                self.former = std::mem::take(&mut self.contacts);
            }
            Notice::FollowsLeader { .. } => self.arriving = None,
            Notice::Removed => self.removed = true,
            Notice::Violation { from, what } => {
                tracing::warn!(group = %self.name, %from, ?what, "a member's message was dropped");
            }
            Notice::Halted { why } => tracing::error!(group = %self.name, member = %self.id(), ?why, "member halted"),
            _ => {}
        }
    }

    fn send(&mut self, message: Message, host: &Host) {
        let to = message.to;
        let packet = Packet::Raft { group: self.group, message };
        match self.contact_of(to) {
            Some(contact) => host.network.send(contact, packet),
            None => match (self.strangers.get(&to), self.former.get(&to)) {
                (Some(origin), _) => (origin.reply)(packet),
                (None, Some(contact)) => host.network.send(contact, packet),
                (None, None) => {}
            },
        }
    }

    fn contact_of(&mut self, id: MemberId) -> Option<&Contact> {
        if self.contacts.is_empty() {
            self.contacts = contacts_of(self.raft.log().membership());
            self.strangers.retain(|stranger, _| !self.contacts.contains_key(stranger));
        }
        self.contacts.get(&id)
    }

    fn send_snapshot(&mut self, to: MemberId, host: &Arc<Host>) {
        let Some(contact) = self.contact_of(to).cloned() else {
            return self.step(Input::SnapshotFailed { to });
        };
        let route = snapshots::Route { group: self.group, from: self.id(), to, term: self.raft.term(), contact };
        let progress = snapshots::send(route, self.machine.clone(), host.clone());
        self.sending.insert(to, progress);
    }

    fn on_answer(&mut self, Answer { id, result }: Answer) {
        match (self.requests.remove(&id), result) {
            (Some(Request::Commands(callers)), Ok(entry)) => self.waiting.for_commands(entry, callers),
            (Some(Request::Commands(callers)), Err(refusal)) => {
                let why = self.refused(refusal);
                callers.into_iter().for_each(|caller| caller.refuse(why.clone()));
            }
            (Some(Request::Change(caller, response)), Ok(EntryId { index, .. })) => {
                self.waiting.for_commit(index, caller, response);
            }
            (Some(Request::Transfer(caller)), Ok(_)) => caller.answer(Response::Done),
            (Some(Request::Change(caller, _) | Request::Transfer(caller)), Err(refusal)) => {
                let why = match refusal {
                    // For a command that is as good as no leader; whoever changes the group is told what stands in the way.
                    Refusal::Transferring => Refused::Change(ChangeRefused::Transferring),
                    other => self.refused(other),
                };
                caller.refuse(why);
            }
            (None, _) => {}
        }
    }

    fn on_read_answer(&mut self, ReadAnswer { id, result }: ReadAnswer) {
        match (self.reads.remove(&id), result) {
            (Some(Read::Index(caller)), Ok(index)) => {
                // Whoever reads elsewhere may see this much; whoever reads here under a lease then sees no less.
                self.publisher.raise(&self.lease, index);
                caller.answer(Response::ReadIndex(index));
            }
            (Some(Read::Query(query, caller)), Ok(index)) => self.machine.clone().query(index, query, true, caller),
            (Some(Read::Index(caller) | Read::Query(_, caller)), Err(refusal)) => caller.refuse(self.refused(refusal)),
            (None, _) => {}
        }
    }

    fn refused(&mut self, refusal: Refusal) -> Refused {
        match refusal {
            Refusal::NotLeader(leader) => {
                Refused::NotLeader { leader: leader.and_then(|id| self.contact_of(id).cloned()) }
            }
            Refusal::Transferring => Refused::NotLeader { leader: None },
            Refusal::Busy => Refused::Busy,
            Refusal::Halted => Refused::Stopped,
            other => Refused::Change(change_refused(other)),
        }
    }

    // ---- what others may know ----

    fn publish(&mut self) {
        let me = self.id();
        let leader = self.raft.leader().filter(|leader| *leader != me);
        let membership = self.raft.log().membership();
        let membership_index = self.raft.log().membership_index();
        let ended = match (self.removed, self.raft.is_halted()) {
            (true, _) => Some(Ended::Removed),
            (_, true) => Some(Ended::Halted),
            _ => None,
        };
        let mut view = View {
            at: MemberOf { group: self.group, member: me },
            role: self.raft.role(),
            term: self.raft.term(),
            leader: None,
            member: membership.contains(me),
            voter: membership.is_voter(me),
            settled: membership_index <= self.raft.commit() && !membership.is_joint(),
            ended,
        };
        // After every turn, and seldom news: where the leader is, is only looked up if something else changed.
        let seen = (view.clone(), leader, membership_index);
        if self.published.as_ref() == Some(&seen) {
            return;
        }
        self.published = Some(seen);
        view.leader = leader.and_then(|leader| self.contact_of(leader).cloned());
        self.view.send_if_modified(|old| mem::replace(old, view.clone()) != view);
    }

    /// Tells handles that there is no more member.
    pub(crate) fn end(&mut self, why: Ended) {
        self.publisher.publish(&self.lease, self.raft.term(), None);
        self.machine.stop();
        self.view.send_modify(|view| view.ended = view.ended.or(Some(why)));
    }

    pub(crate) fn report(&self) -> StatusReport {
        let status = self.raft.status();
        let role = match status.role {
            RoleKind::Follower => "follower",
            RoleKind::PreCandidate => "pre-candidate",
            RoleKind::Candidate => "candidate",
            RoleKind::Leader => "leader",
        };
        let follower = |id| status.followers.iter().find(|follower| follower.id == id);
        let profile = |member: &core::Member| Profile::from_bytes(&member.contact);
        let members = status.membership.members().iter().map(|(id, member)| MemberReport {
            id: *id,
            contact: profile(member).map_or_else(|| Contact::anyone_at(""), |it| it.contact),
            value_version: profile(member).map_or(0, |it| it.value_version),
            voter: member.seat.votes(),
            seat: member.seat,
            sending: self.sending.get(id).map(|progress| progress.transfer()),
            matched: follower(*id).map(|follower| follower.matched),
            silent_for_ms: follower(*id).map(|follower| follower.silent_for.as_millis() as u64),
        });
        StatusReport {
            group: self.group,
            member: status.id,
            role: role.to_owned(),
            term: status.term,
            leader: status.leader,
            commit: status.commit,
            applied: self.machine.applied(),
            last: status.last.index,
            last_term: status.last.term,
            base: status.base.index,
            value_version: profile::value_version(&status.membership),
            config: Config::from_core(&status.config).ok().map(Box::new),
            lease_ms: status.lease.map(|lease| lease.until.since(timers::now()).as_millis() as u64),
            durable: false,
            arriving: self.arriving.as_ref().map(snapshots::Arriving::transfer),
            members: members.collect(),
        }
    }
}

/// The milliseconds that are counted between two batches, and up to when that is.
fn step(last: Time, now: Time) -> (u64, Time) {
    match now.since(last) {
        longer if longer > LONGEST_STEP => (LONGEST_STEP.as_millis() as u64, now),
        elapsed => {
            let milliseconds = elapsed.as_millis() as u64;
            (milliseconds, last.after(Duration::from_millis(milliseconds)))
        }
    }
}

fn contacts_of(membership: &Membership) -> BTreeMap<MemberId, Contact> {
    let members = membership.members().iter();
    members.filter_map(|(id, member)| Some((*id, Profile::from_bytes(&member.contact)?.contact))).collect()
}

/// What the group allows; what a member cannot read, it leaves to those who can.
fn max_command_bytes(config: &core::Config) -> u64 {
    Config::from_core(config).map_or(u64::MAX, |config| config.max_command_bytes)
}

fn change_refused(refusal: Refusal) -> ChangeRefused {
    match refusal {
        Refusal::NotMember(member) => ChangeRefused::NotMember(member),
        Refusal::AlreadyMember(member) => ChangeRefused::AlreadyMember(member),
        Refusal::CannotRemoveLeader => ChangeRefused::CannotRemoveLeader,
        Refusal::WouldBreakQuorum => ChangeRefused::WouldBreakQuorum,
        Refusal::NotCaughtUp(member) => ChangeRefused::NotCaughtUp(member),
        Refusal::NoVoters => ChangeRefused::NoVoters,
        Refusal::AlreadyLeader => ChangeRefused::AlreadyLeader,
        Refusal::NotVoter(member) => ChangeRefused::NotVoter(member),
        Refusal::Unresponsive(member) => ChangeRefused::Unresponsive(member),
        Refusal::Overridden => ChangeRefused::Overridden,
        Refusal::InvalidConfig(invalid) => ChangeRefused::InvalidConfig(invalid.to_string()),
        // What the leader itself will see to.
        Refusal::ChangeInProgress | Refusal::NothingCommittedInTerm => ChangeRefused::Uncommitted,
        Refusal::Transferring => ChangeRefused::Transferring,
        // Of every request, not of changes: answered before.
        Refusal::NotLeader(_) | Refusal::Busy | Refusal::Halted => ChangeRefused::Uncommitted,
        // Of a recovery, which is no request to the core.
        Refusal::LeaderAlive(_) | Refusal::IsSurvivor | Refusal::MajorityRemains => ChangeRefused::Uncommitted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicated_time_keeps_what_is_left_of_a_millisecond_and_skips_quiet_times() {
        let at = |microseconds: u64| Time(microseconds * 1_000);
        assert_eq!(step(at(0), at(2_700)), (2, at(2_000)));
        assert_eq!(step(at(2_000), at(3_400)), (1, at(3_000)));
        assert_eq!(step(at(0), at(10_000_000)), (10_000, at(10_000_000)));
        assert_eq!(step(at(0), at(3_600_000_000)), (10_000, at(3_600_000_000)));
    }
}
