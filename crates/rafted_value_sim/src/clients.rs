//! Clients that register sessions, send commands and reads, and ask again: what the library's callers do, in miniature.
//! What each of them was told, and when, is what [`linearizable`](crate::linearizable) judges.

use crate::cluster::Cluster;
use crate::event::Event;
use crate::invariants::Broken;
use crate::tale::Tale;
use crate::value::{Command, Get, Reply, batch_of, encode};
use rafted_value::simulation::{self, Envelope, Refused, Response, SessionId};
use rafted_value_core::{EntryId, Input, LogIndex, MemberId, Proposal, ReadId, RequestId};
use std::collections::BTreeMap;
use std::fmt;

/// One call: which client, and its how-manieth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u8, pub u64);

/// What a client may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ask {
    /// A session.
    Register,
    /// To put an item into a register.
    Put(u8, u64),
    /// To put an item into a register if this is there.
    Replace(u8, Option<u64>, u64),
    /// What is in a register, linearizably.
    Get(u8),
    /// The same under the published lease, on the caller's own thread.
    Peek(u8),
}

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Found {
    /// A session.
    Session(SessionId),
    /// What was, or is, in the register.
    Item(Option<u64>),
}

/// A call, from its client's side.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// What was asked for.
    pub ask: Ask,
    /// When it began; larger is later.
    pub began: u64,
    /// When the client learned what, if it did.
    pub ended: Option<(u64, Found)>,
    /// How many attempts may have been carried out for all the client knows.
    pub unanswered: u32,
    /// Whether the client cares no more, or cannot be told any more.
    pub closed: bool,
    /// The session of a command, and its number in it.
    pub ticket: Option<(SessionId, u64)>,
}

/// All clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Clients {
    calls: BTreeMap<CallId, Call>,
    tickets: BTreeMap<(SessionId, u64), CallId>,
    /// The session of each client and the last number in it.
    sessions: BTreeMap<u8, (SessionId, u64)>,
    clock: u64,
}

impl Ask {
    /// The register it is about.
    pub fn register(self) -> Option<u8> {
        match self {
            Ask::Register => None,
            Ask::Put(register, _) | Ask::Replace(register, ..) | Ask::Get(register) | Ask::Peek(register) => {
                Some(register)
            }
        }
    }

    fn command(self) -> Option<Command> {
        match self {
            Ask::Put(register, item) => Some(Command::Put(register, item)),
            Ask::Replace(register, expected, item) => Some(Command::Replace(register, expected, item)),
            Ask::Register | Ask::Get(_) | Ask::Peek(_) => None,
        }
    }
}

impl Call {
    /// Whether the client still waits for it.
    pub fn is_open(&self) -> bool {
        self.ended.is_none() && !self.closed
    }

    /// Whether the client was told of every attempt that it came to nothing.
    pub fn came_to_nothing(&self) -> bool {
        self.ended.is_none() && self.unanswered == 0
    }
}

impl Clients {
    /// Every call.
    pub fn calls(&self) -> &BTreeMap<CallId, Call> {
        &self.calls
    }

    /// The session of a client.
    pub fn session(&self, client: u8) -> Option<SessionId> {
        self.sessions.get(&client).map(|(session, _)| *session)
    }

    /// Whether a client asked for exactly this.
    pub fn asked(&self, ticket: (SessionId, u64), command: &[u8]) -> bool {
        let call = self.tickets.get(&ticket).and_then(|id| self.calls.get(id));
        call.and_then(|call| call.ask.command()).is_some_and(|asked| encode(&asked) == command)
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// Begins a call, if the client can.
    fn begin(&mut self, id: CallId, ask: Ask) -> bool {
        let ticket = match (ask.command(), self.sessions.get_mut(&id.0)) {
            (None, _) => None,
            (Some(_), None) => return false,
            (Some(_), Some((session, last))) => {
                *last += 1;
                Some((*session, *last))
            }
        };
        if self.calls.contains_key(&id) {
            return false;
        }
        if let Some(ticket) = ticket {
            self.tickets.insert(ticket, id);
        }
        let began = self.tick();
        self.calls.insert(id, Call { ask, began, ended: None, unanswered: 0, closed: false, ticket });
        true
    }

    /// A call as it travels.
    fn envelope(&self, id: CallId) -> Envelope {
        let call = &self.calls[&id];
        match (call.ask.command(), call.ticket) {
            (Some(command), Some((session, number))) => {
                let unacknowledged = self.unacknowledged(session).unwrap_or(number);
                simulation::command(session, number, unacknowledged.min(number), encode(&command))
            }
            _ => simulation::registration(),
        }
    }

    /// The lowest number of the session that its client still waits for.
    fn unacknowledged(&self, session: SessionId) -> Option<u64> {
        let mut tickets = self.tickets.range((session, 0)..=(session, u64::MAX));
        tickets.find(|(_, id)| self.calls[id].is_open()).map(|((_, number), _)| *number)
    }
}

impl Cluster {
    /// A client calls for the first time; `held`: the member takes it together with its next call.
    pub(crate) fn call(&mut self, id: CallId, at: MemberId, ask: Ask, held: bool) -> Result<(), Broken> {
        if self.clients.begin(id, ask) { self.attempt(id, at, held) } else { Ok(()) }
    }

    /// A client asks again, whatever may have become of the earlier attempts.
    pub(crate) fn call_again(&mut self, id: CallId, at: MemberId) -> Result<(), Broken> {
        let open = self.clients.calls.get(&id).is_some_and(Call::is_open);
        if open { self.attempt(id, at, false) } else { Ok(()) }
    }

    /// A client gives up waiting: it will never know.
    pub(crate) fn give_up(&mut self, id: CallId) {
        if let Some(call) = self.clients.calls.get_mut(&id) {
            call.closed = true;
        }
    }

    fn attempt(&mut self, id: CallId, at: MemberId, held: bool) -> Result<(), Broken> {
        let Some(call) = self.clients.calls.get_mut(&id) else { return Ok(()) };
        call.unanswered += 1;
        let ask = call.ask;
        let Some(member) = self.members.get_mut(&at).filter(|member| member.raft.is_some()) else { return Ok(()) };
        match ask {
            Ask::Get(_) => {
                let (read, floor) = (ReadId(self.history.issue().0), self.history.known());
                member.asking.insert(read, (id, floor));
                self.feed(at, Input::Read(read))
            }
            Ask::Peek(_) => self.peek(id, at),
            Ask::Register | Ask::Put(..) | Ask::Replace(..) => {
                member.queue.push(id);
                if held { Ok(()) } else { self.propose_queue(at) }
            }
        }
    }

    /// What waited together becomes one entry.
    fn propose_queue(&mut self, at: MemberId) -> Result<(), Broken> {
        let request = self.history.issue();
        let now = self.now;
        let Some(member) = self.members.get_mut(&at) else { return Ok(()) };
        let calls = std::mem::take(&mut member.queue);
        let envelopes = calls.iter().map(|id| self.clients.envelope(*id)).collect();
        let bytes = batch_of(member.stamp(now), request, envelopes);
        member.batches.insert(request, calls);
        self.feed(at, Input::Propose { id: request, proposal: Proposal::Commands(bytes) })
    }

    /// The core's answer to a batch of calls; `false` if it is to something else.
    pub(crate) fn batch_answered(&mut self, at: MemberId, request: RequestId, entry: Option<EntryId>) -> bool {
        let Some(calls) = self.members.get_mut(&at).and_then(|member| member.batches.remove(&request)) else {
            return false;
        };
        match (entry, self.members.get_mut(&at)) {
            (Some(entry), Some(member)) => drop(member.awaiting.insert(entry, calls)),
            _ => calls.into_iter().for_each(|id| self.refused(id)),
        }
        true
    }

    /// What the state machine said to an entry, which is told to whoever waits for it here.
    pub(crate) fn entry_answered(&mut self, at: MemberId, entry: EntryId, said: &[Response]) -> Result<(), Broken> {
        let calls = self.members.get_mut(&at).and_then(|member| member.awaiting.remove(&entry));
        for (id, response) in calls.into_iter().flatten().zip(said) {
            match response {
                Response::Registered(session) => {
                    self.clients.sessions.insert(id.0, (*session, 0));
                    self.learns(id, Found::Session(*session))?;
                }
                Response::Applied(reply) => {
                    let reply = simulation::decode::<Reply>(reply).map_err(|what| broken(id, &what))?;
                    if reply.place.0 != entry.index.0 {
                        self.tales.push(Tale::Remembered(id));
                    }
                    self.observe(Event::Done { by: at, id: entry })?;
                    self.history.knows(entry.index);
                    self.learns(id, Found::Item(reply.found))?;
                }
                Response::Refused(why) => self.turned_down(id, why)?,
                other => return Err(broken(id, &format!("it is told {other:?}"))),
            }
        }
        Ok(())
    }

    fn turned_down(&mut self, id: CallId, why: &Refused) -> Result<(), Broken> {
        self.tales.push(Tale::TurnedDown(id, format!("{why:?}")));
        match why {
            // It may be a retry of one that ran before the session went: the client can only be told so.
            Refused::NoSuchSession => {
                let Some(call) = self.clients.calls.get_mut(&id) else { return Ok(()) };
                call.closed = true;
                let gone = call.ticket.map(|(session, _)| session);
                if self.clients.session(id.0) == gone {
                    self.clients.sessions.remove(&id.0);
                }
                self.refused(id);
            }
            Refused::Busy => self.refused(id),
            Refused::Forgotten => {
                if let Some(call) = self.clients.calls.get_mut(&id) {
                    // An earlier attempt was answered, or its client had given it up.
                    call.closed = true;
                }
            }
            other => return Err(broken(id, &format!("it is refused as {other:?}"))),
        }
        Ok(())
    }

    fn refused(&mut self, id: CallId) {
        if let Some(call) = self.clients.calls.get_mut(&id) {
            call.unanswered = call.unanswered.saturating_sub(1);
        }
    }

    /// A client learns what it asked for. A second answer to the same call must be the first one.
    fn learns(&mut self, id: CallId, found: Found) -> Result<(), Broken> {
        let now = self.clients.tick();
        let Some(call) = self.clients.calls.get_mut(&id) else { return Ok(()) };
        match (call.ended, call.ask) {
            (Some((_, earlier)), Ask::Put(..) | Ask::Replace(..)) if earlier != found => {
                return Err(broken(id, &format!("it was told {earlier:?} and then {found:?}")));
            }
            (Some(_), _) => return Ok(()),
            (None, _) if call.closed => return Ok(()),
            (None, _) => call.ended = Some((now, found)),
        }
        self.tales.push(Tale::Found(id, found));
        Ok(())
    }

    // ---- reads ----

    /// The core's answer to a client's read; `false` if it is to somebody else's.
    pub(crate) fn read_answered(
        &mut self,
        at: MemberId,
        read: ReadId,
        index: Option<LogIndex>,
    ) -> Result<bool, Broken> {
        let Some(member) = self.members.get_mut(&at) else { return Ok(false) };
        let Some((id, floor)) = member.asking.remove(&read) else { return Ok(false) };
        match index {
            None => self.refused(id),
            Some(index) => {
                member.reading.push((index, id));
                self.observe(Event::ReadConfirmed { by: at, index, floor })?;
            }
        }
        Ok(true)
    }

    /// Serves the reads whose entry the value contains by now.
    pub(crate) fn serve_clients(&mut self, at: MemberId) -> Result<(), Broken> {
        let Some(member) = self.members.get_mut(&at).filter(|member| !member.reading.is_empty()) else {
            return Ok(());
        };
        let applied = member.machine.applied().index;
        let (ready, later) = std::mem::take(&mut member.reading).into_iter().partition(|(index, _)| *index <= applied);
        member.reading = later;
        let ready: Vec<(LogIndex, CallId)> = ready;
        ready.into_iter().try_for_each(|(_, id)| self.look(id, at))
    }

    /// Reads on the caller's own thread: what was published, the clock as it is now, the value as it is now.
    fn peek(&mut self, id: CallId, at: MemberId) -> Result<(), Broken> {
        let Some(member) = self.members.get(&at) else { return Ok(()) };
        let valid = member.lease.filter(|lease| member.now(self.now) < lease.until);
        match valid.filter(|lease| member.machine.applied().index >= lease.commit) {
            None => self.refused(id),
            Some(_) => {
                let (index, floor) = (member.machine.applied().index, self.history.known());
                self.tales.push(Tale::Peeked(id));
                self.observe(Event::ReadConfirmed { by: at, index, floor })?;
                self.look(id, at)?;
            }
        }
        Ok(())
    }

    fn look(&mut self, id: CallId, at: MemberId) -> Result<(), Broken> {
        let (Some(member), Some(call)) = (self.members.get(&at), self.clients.calls.get(&id)) else { return Ok(()) };
        let query = encode(&Get(call.ask.register().unwrap_or_default()));
        let answer = member.machine.query(&query).map_err(|why| broken(id, &format!("{why:?}")))?;
        let found = simulation::decode(&answer).map_err(|what| broken(id, &what))?;
        let applied = member.machine.applied().index;
        self.history.knows(applied);
        self.learns(id, Found::Item(found))
    }
}

fn broken(id: CallId, what: &str) -> Broken {
    Broken { property: "clients get what they asked for", what: format!("{id}: {what}") }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}.{}", self.0, self.1)
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ask::Register => write!(f, "register"),
            Ask::Put(register, item) => write!(f, "put {register} {item}"),
            Ask::Replace(register, None, item) => write!(f, "replace {register} none {item}"),
            Ask::Replace(register, Some(expected), item) => write!(f, "replace {register} {expected} {item}"),
            Ask::Get(register) => write!(f, "get {register}"),
            Ask::Peek(register) => write!(f, "peek {register}"),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Found::Session(session) => write!(f, "has the session of entry {}", session.index),
            Found::Item(None) => write!(f, "finds nothing"),
            Found::Item(Some(item)) => write!(f, "finds {item}"),
        }
    }
}
