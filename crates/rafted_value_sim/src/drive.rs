//! The driver of a member, in miniature: steps it and performs what it wants, in the order that the core asks for.

use crate::cluster::Cluster;
use crate::conformance::Step;
use crate::event::Event;
use crate::history::{Fate, Outcome, Wish};
use crate::invariants::Broken;
use crate::network::{Load, Packet};
use crate::portrait::Portrait;
use crate::tale::Tale;
use crate::value::{Machine, Reply, SCRIBE, Transfer};
use rafted_value::simulation::{self, Response, Session};
use rafted_value_core::{
    Answer, AppendEntries, AppendResult, Ballot, Body, Entry, EntryId, Input, LogIndex, MemberId, Message, Notice,
    Payload, ReadAnswer, Ready, Term, Write,
};
use std::collections::VecDeque;
use std::sync::Arc;

/// At every so many entries members must have the same value with the same sessions, byte for byte.
const DIGEST_EVERY: u64 = 8;

impl Cluster {
    /// Tells a member what happened, and it the consequences that need nobody else. Nobody hears it if it is down.
    pub(crate) fn feed(&mut self, id: MemberId, input: Input) -> Result<(), Broken> {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let claim = match &input {
                Input::Message(message) if message.to == id => claim_of(message),
                _ => None,
            };
            let now = self.now;
            let Some(member) = self.members.get_mut(&id) else { return Ok(()) };
            let local = member.now(now);
            let Some(raft) = &mut member.raft else { return Ok(()) };
            let told = self.specification.is_some().then(|| input.clone());
            raft.step(local, input);
            self.perform_ready(id, told.as_ref(), claim, &mut inputs)?;
        }
        Ok(())
    }

    /// What a member wants done although nothing happened: it has just started.
    pub(crate) fn drain(&mut self, id: MemberId) -> Result<(), Broken> {
        let mut inputs = VecDeque::new();
        self.perform_ready(id, None, None, &mut inputs)?;
        while let Some(input) = inputs.pop_front() {
            self.feed(id, input)?;
        }
        Ok(())
    }

    fn perform_ready(
        &mut self,
        id: MemberId,
        told: Option<&Input>,
        claim: Option<Claim>,
        inputs: &mut VecDeque<Input>,
    ) -> Result<(), Broken> {
        let mut ready = Ready::default();
        let Some(member) = self.members.get_mut(&id) else { return Ok(()) };
        let Some(raft) = &mut member.raft else { return Ok(()) };
        raft.take_ready(&mut ready);
        member.lease = ready.lease;
        if ready.timer.is_some() {
            member.timer = ready.timer;
        }
        if raft.is_halted() {
            member.timer = None;
        }
        if let Some(write) = ready.write.clone() {
            self.submit(id, write, inputs);
        }
        self.note_claim(id, claim)?;
        let before = self.portraits.get(&id).cloned().unwrap_or_else(|| Arc::new(Portrait::blank(id)));
        self.paint(id)?;
        self.explain(id, told, &before, &ready)?;
        for notice in ready.notices {
            self.hear(id, notice);
        }
        for message in ready.messages {
            self.send(message)?;
        }
        for to in ready.snapshots {
            self.send_value(id, to)?;
        }
        self.apply(id, &ready.committed, inputs)?;
        for answer in ready.answers {
            self.answer(id, answer);
        }
        for answer in ready.reads {
            self.answer_read(id, answer)?;
        }
        self.serve_readers(id);
        self.serve_clients(id)
    }

    /// Holds the step against the specification, if that was asked for.
    fn explain(&mut self, id: MemberId, input: Option<&Input>, before: &Portrait, ready: &Ready) -> Result<(), Broken> {
        let Some(specification) = &mut self.specification else { return Ok(()) };
        let Some(member) = self.members.get(&id) else { return Ok(()) };
        let (Some(raft), Some(after)) = (&member.raft, self.portraits.get(&id)) else { return Ok(()) };
        let (now, config, halted) = (member.now(self.now), &**raft.config(), raft.is_halted());
        specification.observe(&Step { now, input, before, after, config, halted, ready })?;
        Ok(())
    }

    fn submit(&mut self, id: MemberId, write: Write, inputs: &mut VecDeque<Input>) {
        let Some(member) = self.members.get_mut(&id) else { return };
        let transfer = write.snapshot.is_some().then(|| member.arrived.take()).flatten();
        if let Some(transfer) = &transfer {
            member.chain = transfer.chain.clone();
            match Machine::restore(transfer.snapshot.clone(), transfer.value.clone()) {
                Ok(machine) => member.machine = machine,
                Err(error) => panic!("a value that was sent cannot be read: {error}"),
            }
        }
        if let Some(append) = &write.append {
            member.chain.replace(append.from, &append.entries);
        }
        member.disk.submit(write, transfer);
        if member.disk.durability == crate::disk::Durability::Memory
            && let Some(no) = member.disk.sync()
        {
            inputs.push_back(Input::Persisted(no));
        }
    }

    /// If the log has what it was sent, and what precedes it, then the sender's log is verified so far.
    fn note_claim(&mut self, id: MemberId, claim: Option<Claim>) -> Result<(), Broken> {
        let Some(Claim { term, prev, last }) = claim else { return Ok(()) };
        let Some(member) = self.members.get(&id) else { return Ok(()) };
        let has = |id: EntryId| id == EntryId::ZERO || member.chain.at(id.index).is_some_and(|link| link.id == id);
        if has(prev) && has(last) {
            self.observe(Event::Verified { by: id, term, upto: last.index })?;
        }
        Ok(())
    }

    fn hear(&mut self, id: MemberId, notice: Notice) {
        let steps_down = matches!(notice, Notice::SteppedDown { .. });
        if let Some(member) = self.members.get_mut(&id)
            && (steps_down || matches!(notice, Notice::BecameLeader { .. }))
        {
            member.awaiting.clear();
            member.stamped = None;
        }
        self.tales.push(Tale::Noticed(id, notice));
        let Some(member) = self.members.get_mut(&id).filter(|_| steps_down) else { return };
        for label in std::mem::take(&mut member.waiting).into_values() {
            self.history.settle(&label, Fate::Unknown);
            self.tales.push(Tale::Settled(label, Fate::Unknown));
        }
    }

    fn send(&mut self, message: Message) -> Result<(), Broken> {
        let (by, to, term) = (message.from, message.to, message.term);
        self.observe(Event::Spoke { by, term })?;
        match &message.body {
            Body::RequestVote(request) if request.ballot != Ballot::PreVote => {
                self.observe(Event::Campaigned { by, term, last: request.last })?;
            }
            Body::RequestVoteReply(reply) if reply.ballot != Ballot::PreVote && reply.granted => {
                self.observe(Event::Voted { by, to, term })?;
            }
            Body::AppendEntriesReply(reply) => {
                if let AppendResult::Accepted { matched } = reply.result {
                    self.observe(Event::Acknowledged { by, term, upto: matched })?;
                }
            }
            Body::InstallSnapshotReply(reply) => {
                self.observe(Event::Acknowledged { by, term, upto: reply.matched })?;
            }
            _ => {}
        }
        self.network.send(Packet { from: by, to, sent: self.now, load: Load::Message(message) });
        Ok(())
    }

    /// The value as of now, with what the log says about that entry.
    fn send_value(&mut self, from: MemberId, to: MemberId) -> Result<(), Broken> {
        let Some(member) = self.members.get(&from) else { return Ok(()) };
        let Some(raft) = &member.raft else { return Ok(()) };
        let (snapshot, value) = match member.machine.snapshot() {
            Ok(snapshot) => snapshot,
            Err(what) => return Err(Broken { property: "the value can be encoded", what }),
        };
        let chain = member.chain.prefix(snapshot.index());
        let transfer = Transfer { term: raft.term(), snapshot, value, chain };
        let packet = Packet { from, to, sent: self.now, load: Load::Transfer(Box::new(transfer)) };
        match self.network.send(packet.clone()) {
            true => Ok(()),
            false => self.lose(packet),
        }
    }

    fn apply(&mut self, id: MemberId, entries: &[Entry], inputs: &mut VecDeque<Input>) -> Result<(), Broken> {
        for entry in entries {
            let Some(member) = self.members.get_mut(&id) else { return Ok(()) };
            let applied = member.machine.apply(entry);
            if let Some(what) = applied.halted {
                return Err(Broken { property: "the value goes on", what });
            }
            let hash = member.chain.hash_at(entry.id.index).unwrap_or_default();
            let waits = member.waiting.remove(&entry.id);
            self.observe(Event::Applied { by: id, id: entry.id, hash })?;
            self.tell_what_ran(id, entry, &applied.responses)?;
            self.entry_answered(id, entry.id, &applied.responses)?;
            if let Some(label) = waits {
                self.observe(Event::Done { by: id, id: entry.id })?;
                self.history.settle(&label, Fate::Done(entry.id));
                self.tales.push(Tale::Settled(label, Fate::Done(entry.id)));
            }
        }
        if let Some(last) = entries.last() {
            inputs.push_back(Input::Applied(last.id.index));
        }
        Ok(())
    }

    /// Tells the checker what the value did with each command of an entry, and now and then what it is.
    fn tell_what_ran(&mut self, by: MemberId, entry: &Entry, said: &[Response]) -> Result<(), Broken> {
        if entry.id.index.0.is_multiple_of(DIGEST_EVERY) {
            let Some(member) = self.members.get(&by) else { return Ok(()) };
            let digest = member.machine.digest();
            self.observe(Event::Stands { by, index: entry.id.index, digest })?;
        }
        let Payload::Commands(bytes) = &entry.payload else { return Ok(()) };
        let envelopes = simulation::decode_batch(bytes.clone())
            .map_err(|what| Broken { property: "entries can be read", what: format!("{}: {what}", entry.id) })?;
        for (offset, (envelope, response)) in (0..).zip(envelopes.iter().zip(said)) {
            let (Session::Command { id, number, .. }, Response::Applied(reply)) = (&envelope.session, response) else {
                continue;
            };
            let Reply { place, found, .. } = simulation::decode(reply)
                .map_err(|what| Broken { property: "replies can be read", what: format!("{}: {what}", entry.id) })?;
            let ticket = (*id, *number);
            let asked = *id == SCRIBE || self.clients.asked(ticket, &envelope.command);
            self.observe(Event::Ran { by, ticket, here: (entry.id.index.0, offset), place, found, asked })?;
        }
        Ok(())
    }

    fn answer(&mut self, id: MemberId, answer: Answer) {
        if self.batch_answered(id, answer.id, answer.result.as_ref().ok().copied()) {
            return;
        }
        let (label, wish) = self.history.request(answer.id);
        let Some(member) = self.members.get_mut(&id) else { return };
        let fate = match answer.result {
            Ok(_) if wish == Wish::Leader => Fate::HandedOver(member.term()),
            Ok(entry) => {
                member.waiting.insert(entry, label.clone());
                Fate::Appended(entry)
            }
            Err(why) => Fate::Refused(why),
        };
        self.history.settle(&label, fate.clone());
        if !matches!(fate, Fate::Appended(_)) {
            self.tales.push(Tale::Settled(label, fate));
        }
    }

    fn answer_read(&mut self, id: MemberId, answer: ReadAnswer) -> Result<(), Broken> {
        if self.read_answered(id, answer.id, answer.result.as_ref().ok().copied())? {
            return Ok(());
        }
        let label = self.history.read_label(answer.id);
        match answer.result {
            Ok(index) => {
                let floor = self.history.read(&label).map_or(LogIndex::ZERO, |read| read.floor);
                self.observe(Event::ReadConfirmed { by: id, index, floor })?;
                self.history.settle_read(&label, Outcome::Confirmed(index));
                if let Some(member) = self.members.get_mut(&id) {
                    member.readers.insert(label, index);
                }
            }
            Err(why) => {
                let outcome = Outcome::Refused(Some(why));
                self.history.settle_read(&label, outcome.clone());
                self.tales.push(Tale::Read(label, outcome));
            }
        }
        Ok(())
    }

    fn serve_readers(&mut self, id: MemberId) {
        let Some(member) = self.members.get_mut(&id) else { return };
        let applied = member.machine.applied().index;
        let ready: Vec<String> =
            member.readers.iter().filter(|(_, index)| **index <= applied).map(|(label, _)| label.clone()).collect();
        for label in ready {
            member.readers.remove(&label);
            let outcome = Outcome::Served(applied, member.notes());
            self.history.settle_read(&label, outcome.clone());
            self.tales.push(Tale::Read(label, outcome));
        }
    }
}

/// What a leader's message says about the log: its term, the entry before what it sends, and the last one sent.
struct Claim {
    term: Term,
    prev: EntryId,
    last: EntryId,
}

fn claim_of(message: &Message) -> Option<Claim> {
    let (prev, last) = match &message.body {
        Body::AppendEntries(AppendEntries { prev, entries, .. }) => {
            (*prev, entries.last().map_or(*prev, |entry| entry.id))
        }
        Body::InstallSnapshot(request) => (EntryId::ZERO, request.snapshot.last_included),
        _ => return None,
    };
    Some(Claim { term: message.term, prev, last })
}
