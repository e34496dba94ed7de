//! The only loop: takes what was posted, steps the members concerned, performs what they want. Nothing in it waits.

use crate::contact::{ClusterId, GroupId, MemberOf};
use crate::durable;
use crate::error::RecoverError;
use crate::host::Host;
use crate::mailbox::Event;
use crate::member::{Ended, Member};
use crate::packet::{Freshness, Packet, Refused, Request, Response};
use crate::recovery::AcceptDataLoss;
use crate::timers::{self, Alarms};
use crate::transport::Origin;
use crate::value::{self, Panicked};
use crate::waiting::Caller;
use rafted_value_core::{Body, MemberId, Message, Time};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem;
use std::sync::Arc;

/// The members of a node and their alarms.
pub(crate) struct Shard {
    host: Arc<Host>,
    members: BTreeMap<GroupId, Member>,
    names: HashMap<String, GroupId>,
    alarms: Alarms,
    /// Members that something happened to in this turn.
    touched: BTreeSet<GroupId>,
    stopping: bool,
    /// Empty between turns.
    events: Vec<Event>,
    /// Until when the node's thread sleeps.
    back_by: Option<Time>,
}

impl Shard {
    pub(crate) fn new(host: Arc<Host>) -> Shard {
        Shard {
            host,
            members: BTreeMap::new(),
            names: HashMap::new(),
            alarms: Alarms::default(),
            touched: BTreeSet::new(),
            stopping: false,
            events: Vec::new(),
            back_by: None,
        }
    }

    /// Sees to everything that was posted and every alarm that is due. A loop that panicked is over; whoever's thread
    /// it was goes on.
    pub(crate) fn guarded_turn(&mut self) {
        if let Err(Panicked(message)) = value::guarded(|| self.turn()) {
            tracing::error!(%message, "the loop of a node panicked: the node ends");
            self.end();
        }
    }

    fn turn(&mut self) {
        let mut events = mem::take(&mut self.events);
        self.host.mailbox.take(&mut events);
        for event in events.drain(..) {
            self.on_event(event);
        }
        self.events = events;
        let now = timers::now();
        while let Some(group) = self.alarms.due(now) {
            self.on_alarm(group);
        }
        while let Some(group) = self.touched.pop_first() {
            self.settle(group);
        }
    }

    /// The node's thread goes to sleep: until then, if it is not woken.
    pub(crate) fn rest(&mut self) -> Option<Time> {
        self.back_by = self.alarms.next();
        self.back_by
    }

    /// Whether the node's thread must be woken: an alarm was set that is earlier than it knows, or it is over.
    pub(crate) fn needs_the_node(&self) -> bool {
        self.stopping || self.alarms.next().is_some_and(|at| self.back_by.is_none_or(|back| at < back))
    }

    pub(crate) fn end(&mut self) {
        self.stopping = true;
    }

    pub(crate) fn is_over(&self) -> bool {
        self.stopping
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Packet(origin, packet) => self.on_packet(origin, packet),
            Event::Command { group, envelope, caller } => match self.touch(group) {
                Some(member) => member.on_command(envelope, caller),
                None => caller.refuse(Refused::NoSuchGroup),
            },
            Event::Commands { group, envelopes, caller } => match self.touch(group) {
                Some(member) => member.on_commands(envelopes, caller),
                None => caller.refuse(Refused::NoSuchGroup),
            },
            Event::Request { request, caller } => self.on_request(request, caller),
            Event::Read { group, caller } => match self.touch(group) {
                Some(member) => member.on_read_index(caller),
                None => caller.refuse(Refused::NoSuchGroup),
            },
            Event::Change { group, change, caller } => match self.touch(group) {
                Some(member) => member.on_change(change, caller),
                None => caller.refuse(Refused::NoSuchGroup),
            },
            Event::Status { group, caller } => match self.members.get(&group) {
                Some(member) => caller.answer(Response::Status(Box::new(member.report()))),
                None => caller.refuse(Refused::NoSuchGroup),
            },
            Event::Recover { member, lost, accepted, done } => {
                if let Some(result) = self.recover(member, &lost, accepted) {
                    // Whoever asked may be gone.
                    let _ = done.send(result);
                }
            }
            Event::Superseded { member, by, found } => self.supersede(member, by, found),
            Event::Open(member) => self.open(*member),
            Event::Close { member: MemberOf { group, member }, why, done } => {
                if self.members.get(&group).is_some_and(|it| it.id() == member) {
                    self.close(group, why);
                }
                // Whoever asked may be gone.
                let _ = done.send(());
            }
            Event::Failed { group, member } => self.with(group, member, Member::on_failure),
            Event::SnapshotSent { group, member, to, last_included } => {
                self.with(group, member, |it| it.on_snapshot_sent(to, last_included));
            }
            Event::SnapshotDecoded { group, message, state } => {
                let host = self.host.clone();
                match self.members.get(&group).is_some_and(|it| it.id() == message.to) {
                    true => self.with(group, message.to, |it| it.on_snapshot_decoded(message, state, &host)),
                    false => host.discard(state),
                }
            }
            Event::Persisted { group, member, no } => self.with(group, member, |it| it.on_persisted(no)),
            Event::WantsSnapshot(group) => {
                if let Some(member) = self.members.get(&group) {
                    durable::keep(group, member.machine.clone(), self.host.clone());
                }
            }
            Event::StorageFailed(why) => {
                tracing::error!(%why, "the disk failed: every member here is silent until the node starts again");
                let groups: Vec<GroupId> = self.members.keys().copied().collect();
                groups.into_iter().filter_map(|group| self.touch(group).map(Member::on_failure)).for_each(drop);
            }
            Event::Lost(contact) => self.host.requests.lost(&contact),
            Event::Stop => self.end(),
        }
    }

    fn on_packet(&mut self, origin: Origin, packet: Packet) {
        match packet {
            // A value comes in pieces, and is checked before the core hears of it; a bare word of one is no value.
            Packet::Raft { message: Message { body: Body::InstallSnapshot(_), .. }, .. } => {}
            Packet::Raft { group, message } => {
                self.with(group, message.to, |it| it.on_message(&origin, message));
            }
            Packet::Chunk(chunk) => {
                let host = self.host.clone();
                self.with(chunk.group, chunk.to, |it| it.on_chunk(chunk, &host));
            }
            Packet::Request { number, request } => self.on_request(request, Caller::there(origin, number)),
            Packet::Response { number, response } => self.host.requests.answered(number, response),
        }
    }

    /// What comes from elsewhere names groups by name, and its idea of the value's type.
    fn on_request(&mut self, request: Request, caller: Caller) {
        let (request, of) = match request {
            Request::Of(member, request) => (*request, Some(member)),
            request => (request, None),
        };
        let (Request::Command { group, .. }
        | Request::Commands { group, .. }
        | Request::Query { group, .. }
        | Request::ReadIndex { group }
        | Request::Status { group }
        | Request::Change { group, .. }
        | Request::Join(crate::packet::Join { group, .. })) = &request
        else {
            return caller.refuse(Refused::NoSuchMember);
        };
        let Some(group) = self.names.get(group).copied() else {
            return caller.refuse(match self.host.tombstones.contain_name(group) {
                true => Refused::GroupRemoved,
                false => Refused::NoSuchGroup,
            });
        };
        let cluster = self.host.cluster.get().copied().unwrap_or(ClusterId(0));
        let Some(member) = self.touch(group) else { return caller.refuse(Refused::NoSuchGroup) };
        if of.is_some_and(|of| of != member.id()) {
            return caller.refuse(Refused::NoSuchMember);
        }
        let value = match &request {
            Request::Command { value, .. } | Request::Commands { value, .. } | Request::Query { value, .. } => {
                Some(value)
            }
            Request::Join(join) => Some(&join.value),
            _ => None,
        };
        if value.is_some_and(|value| value != member.value) {
            return caller.refuse(Refused::OtherValue { value: member.value.to_owned() });
        }
        match request {
            Request::Command { envelope, .. } => member.on_command(envelope, caller),
            Request::Commands { envelopes, .. } => member.on_commands(envelopes, caller),
            Request::Query { query, freshness: Freshness::Linearizable, .. } => member.on_query(query, caller),
            Request::Query { query, freshness: Freshness::AtLeast(index), .. } => {
                member.on_stale_query(index, query, caller);
            }
            Request::ReadIndex { .. } => member.on_read_index(caller),
            Request::Status { .. } => caller.answer(Response::Status(Box::new(member.report()))),
            Request::Join(join) => member.on_join(join, cluster, caller),
            Request::Change { change, .. } => member.on_change(change, caller),
            Request::Of(..) => caller.refuse(Refused::NoSuchMember),
        }
    }

    fn open(&mut self, member: Member) {
        let group = member.group;
        self.close(group, Ended::Stopped);
        self.names.insert(member.name.clone(), group);
        self.members.insert(group, member);
        self.touched.insert(group);
    }

    fn recover(
        &mut self,
        of: MemberOf,
        lost: &[MemberId],
        accepted: AcceptDataLoss,
    ) -> Option<Result<MemberOf, RecoverError>> {
        let member = self.members.get_mut(&of.group).filter(|member| member.id() == of.member)?;
        let at = MemberOf { group: of.group.recovered(timers::identity()), member: MemberId(timers::identity()) };
        let recovered = member.recover(at, lost, accepted, &self.host);
        if recovered.is_ok() {
            self.moved(of.group);
        }
        Some(recovered.map(|()| at))
    }

    /// The member gives up what it has and joins; unless it has found a leader meanwhile.
    fn supersede(&mut self, of: MemberOf, by: GroupId, found: Vec<String>) {
        let Some(member) = self.members.get_mut(&of.group).filter(|member| member.id() == of.member) else { return };
        if member.is_led() || self.members.contains_key(&by) {
            return;
        }
        let at = MemberOf { group: by, member: MemberId(timers::identity()) };
        if let Some(member) = self.members.get_mut(&of.group) {
            member.rejoin(at, found, &self.host);
            self.moved(of.group);
        }
    }

    /// The member that was of `earlier` is of another incarnation now.
    fn moved(&mut self, earlier: GroupId) {
        let Some(member) = self.members.remove(&earlier) else { return };
        self.touched.remove(&earlier);
        self.touched.insert(member.group);
        self.names.insert(member.name.clone(), member.group);
        self.members.insert(member.group, member);
    }

    fn close(&mut self, group: GroupId, why: Ended) {
        if let Some(mut member) = self.members.remove(&group) {
            if self.names.get(&member.name) == Some(&group) {
                self.names.remove(&member.name);
            }
            member.end(why);
            if let (Ended::Removed, Some(storage)) = (why, &self.host.storage) {
                storage.remove(group);
            }
            // The last hold on a value may be this one, and letting go of a value is user code.
            let machine = member.machine.clone();
            drop(member);
            self.host.discard(machine);
        }
    }

    fn touch(&mut self, group: GroupId) -> Option<&mut Member> {
        let member = self.members.get_mut(&group)?;
        self.touched.insert(group);
        Some(member)
    }

    /// Only for this very member: what was meant for an earlier incarnation is dropped.
    fn with(&mut self, group: GroupId, id: MemberId, act: impl FnOnce(&mut Member)) {
        if self.members.get(&group).is_some_and(|member| member.id() == id)
            && let Some(member) = self.touch(group)
        {
            act(member);
        }
    }

    fn on_alarm(&mut self, group: GroupId) {
        let now = timers::now();
        let Some(member) = self.members.get_mut(&group) else { return };
        match member.alarm {
            Some(at) if at <= now => {
                member.on_timer(&self.host);
                self.touched.insert(group);
            }
            // It was moved to later meanwhile.
            Some(at) => self.alarms.set(at, group),
            None => {}
        }
    }

    fn settle(&mut self, group: GroupId) {
        let Some(member) = self.members.get_mut(&group) else { return };
        let before = member.alarm;
        member.settle(&self.host);
        if member.removed {
            return self.close(group, Ended::Removed);
        }
        if let Some(at) = member.alarm
            && before.is_none_or(|before| at < before)
        {
            self.alarms.set(at, group);
        }
    }
}

/// However the loop ends, nobody is left waiting for it.
impl Drop for Shard {
    fn drop(&mut self) {
        // Members go first, so that their callers find them ended.
        let groups: Vec<GroupId> = self.members.keys().copied().collect();
        for group in groups {
            self.close(group, Ended::Stopped);
        }
        self.host.mailbox.close();
        self.host.network.stop();
    }
}
