//! What waits for the shard's loop. Anybody may post; only the loop takes.

use crate::contact::{Contact, GroupId, MemberOf};
use crate::errands::{self, Errand};
use crate::error::RecoverError;
use crate::member::{Ended, Member};
use crate::packet::{Change, Envelope, Packet, Refused, Request};
use crate::recovery::AcceptDataLoss;
use crate::shard::Shard;
use crate::transport::{Inbox, Origin};
use crate::waiting::Caller;
use rafted_value_core::{Body, LogIndex, MemberId, Message, WriteNo};
use std::any::Any;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::{Notify, oneshot};

/// Something for the loop.
pub(crate) enum Event {
    /// A transport delivered something.
    Packet(Origin, Packet),
    /// A caller in this process has a command.
    Command { group: GroupId, envelope: Envelope, caller: Caller },
    /// A caller in this process has commands that belong together.
    Commands { group: GroupId, envelopes: Vec<Envelope>, caller: Caller },
    /// A caller in this process asks the member here, as others do from elsewhere.
    Request { request: Request, caller: Caller },
    /// A caller in this process wants to read.
    Read { group: GroupId, caller: Caller },
    /// A caller in this process wants a change; answered when it is committed.
    Change { group: GroupId, change: Change, caller: Caller },
    /// A caller in this process wants to know how a member is.
    Status { group: GroupId, caller: Caller },
    /// An operator gives up what is lost; see [`Group::force_remove_member`](crate::Group::force_remove_member).
    Recover {
        member: MemberOf,
        lost: Vec<MemberId>,
        accepted: AcceptDataLoss,
        done: oneshot::Sender<Result<MemberOf, RecoverError>>,
    },
    /// The group went on as another incarnation, at these addresses.
    Superseded { member: MemberOf, by: GroupId, found: Vec<String> },
    /// A member begins.
    Open(Box<Member>),
    /// A member ends.
    Close { member: MemberOf, why: Ended, done: oneshot::Sender<()> },
    /// A value cannot go on.
    Failed { group: GroupId, member: MemberId },
    /// A value was sent, or not.
    SnapshotSent { group: GroupId, member: MemberId, to: MemberId, last_included: Option<LogIndex> },
    /// A value arrived and was found to be sound.
    SnapshotDecoded { group: GroupId, message: Message, state: Box<dyn Any + Send> },
    /// Everything up to this write of the member is on disk.
    Persisted { group: GroupId, member: MemberId, no: WriteNo },
    /// The group's log is long: its value is to be kept, so that the log may go.
    WantsSnapshot(GroupId),
    /// Nothing will be written any more, and why.
    StorageFailed(String),
    /// A connection was lost.
    Lost(Contact),
    /// The node ends.
    Stop,
}

/// The mailbox of one shard, and the shard itself: whoever has something for it may take its turn.
pub(crate) struct Mailbox {
    contents: Mutex<Contents>,
    /// Wakes the node's own thread.
    posted: Notify,
    /// There from the node's start to its end.
    pub(crate) seat: Mutex<Option<Shard>>,
    /// How many callers of this process are waiting for an answer.
    pub(crate) callers: AtomicUsize,
    me: Weak<Mailbox>,
}

#[derive(Default)]
struct Contents {
    events: Vec<Event>,
    /// From callers in this process that will come back to take the turn: more may join them until then.
    gathering: Vec<Event>,
    /// What they weigh together, about.
    bytes: usize,
    closed: bool,
}

impl Mailbox {
    /// How many packets and calls may wait, and how many bytes in them. A loop that is this far behind gains nothing
    /// from more.
    const CAPACITY: usize = 1 << 16;
    const CAPACITY_BYTES: usize = 256 << 20;

    pub(crate) fn new() -> Arc<Mailbox> {
        Arc::new_cyclic(|me| Mailbox {
            contents: Mutex::default(),
            posted: Notify::new(),
            seat: Mutex::default(),
            callers: AtomicUsize::new(0),
            me: me.clone(),
        })
    }

    /// Posts what somebody waits for, or tells them that too much waits already.
    pub(crate) fn offer(&self, event: Event) {
        if self.put_if_room(event) {
            self.see_to_it();
        }
    }

    /// Posts to a loop that has ended are dropped, and with them their callers: nobody waits for it.
    pub(crate) fn post(&self, event: Event) {
        if self.contents().add(event, |contents| &mut contents.events) {
            self.see_to_it();
        }
    }

    fn see_to_it(&self) {
        if !errands::take_on(|| self.me.upgrade().map(Errand::Turn)) {
            self.notify();
        }
    }

    /// Whether it was put there, and there is still somebody to see to it.
    pub(crate) fn put_if_room(&self, event: Event) -> bool {
        self.add_if_room(event, |contents| &mut contents.events)
    }

    /// The same, but nobody sees it before [`admit`](Mailbox::admit).
    pub(crate) fn gather_if_room(&self, event: Event) -> bool {
        self.add_if_room(event, |contents| &mut contents.gathering)
    }

    fn add_if_room(&self, event: Event, to: fn(&mut Contents) -> &mut Vec<Event>) -> bool {
        let mut contents = self.contents();
        if !contents.is_full() {
            return contents.add(event, to);
        }
        drop(contents);
        // Consensus repeats what matters; a caller is told.
        event.refuse();
        false
    }

    /// Whoever gathered is in by now.
    pub(crate) fn admit(&self) {
        let mut contents = self.contents();
        let Contents { events, gathering, .. } = &mut *contents;
        events.append(gathering);
    }

    /// Everything that was posted, in order, into an empty buffer.
    pub(crate) fn take(&self, into: &mut Vec<Event>) {
        let mut contents = self.contents();
        contents.bytes = contents.gathering.iter().map(Event::bytes).sum();
        std::mem::swap(into, &mut contents.events);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.contents().events.is_empty()
    }

    /// The loop has ended.
    pub(crate) fn close(&self) {
        let left = {
            let mut contents = self.contents();
            contents.closed = true;
            (std::mem::take(&mut contents.events), std::mem::take(&mut contents.gathering))
        };
        drop(left);
    }

    /// The node's own thread shall see to it.
    pub(crate) fn notify(&self) {
        self.posted.notify_one();
    }

    pub(crate) async fn posted(&self) {
        self.posted.notified().await;
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    fn is_full(&self) -> bool {
        self.events.len() + self.gathering.len() >= Mailbox::CAPACITY || self.bytes >= Mailbox::CAPACITY_BYTES
    }

    /// Whether there is still somebody to see to it.
    fn add(&mut self, event: Event, to: fn(&mut Contents) -> &mut Vec<Event>) -> bool {
        if !self.closed {
            self.bytes += event.bytes();
            to(self).push(event);
        }
        !self.closed
    }
}

impl Inbox for Mailbox {
    fn lost(&self, contact: &Contact) {
        self.post(Event::Lost(contact.clone()));
    }

    fn deliver(&self, origin: Origin, packet: Packet) {
        self.offer(Event::Packet(origin, packet));
    }
}

impl Event {
    /// Whoever waits for it is told that too much waits.
    fn refuse(self) {
        let caller = match self {
            Event::Packet(origin, Packet::Request { number, .. }) => Caller::there(origin, number),
            Event::Command { caller, .. }
            | Event::Commands { caller, .. }
            | Event::Request { caller, .. }
            | Event::Read { caller, .. }
            | Event::Change { caller, .. }
            | Event::Status { caller, .. } => caller,
            _ => return,
        };
        caller.refuse(Refused::Busy);
    }

    /// How much memory it holds beside itself, about.
    fn bytes(&self) -> usize {
        match self {
            Event::Command { envelope, .. } => envelope.bytes(),
            Event::Commands { envelopes, .. } => envelopes.iter().map(Envelope::bytes).sum(),
            Event::Request { request, .. } | Event::Packet(_, Packet::Request { request, .. }) => match request {
                Request::Command { envelope, .. } => envelope.bytes(),
                Request::Commands { envelopes, .. } => envelopes.iter().map(Envelope::bytes).sum(),
                Request::Query { query, .. } => query.len(),
                _ => 0,
            },
            Event::Packet(_, Packet::Chunk(chunk)) => chunk.data.len(),
            Event::Packet(_, Packet::Raft { message: Message { body: Body::AppendEntries(append), .. }, .. }) => {
                append.entries.iter().map(|entry| entry.payload.size() as usize).sum()
            }
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::tests::command;
    use crate::contact::NodeId;
    use crate::packet::Response;
    use bytes::Bytes;
    use std::sync::Arc;

    /// A command of so many bytes, and where its response arrives.
    fn call(bytes: usize) -> (Event, oneshot::Receiver<Response>) {
        let (caller, response) = Caller::here();
        let envelope = command((1, 0), 1, 1, Bytes::from(vec![0; bytes]));
        (Event::Command { group: GroupId(1), envelope, caller }, response)
    }

    fn is_busy(response: &mut oneshot::Receiver<Response>) -> bool {
        response.try_recv() == Ok(Response::Refused(Refused::Busy))
    }

    #[test]
    fn a_full_mailbox_answers_callers_here_and_there_and_takes_what_the_node_itself_has() {
        let mailbox = Mailbox::new();
        let mut waiting: Vec<_> = (0..Mailbox::CAPACITY)
            .map(|_| {
                let (event, response) = call(1);
                mailbox.offer(event);
                response
            })
            .collect();
        assert!(!waiting.iter_mut().any(is_busy), "as many as are allowed wait");

        let (event, mut response) = call(1);
        mailbox.offer(event);
        assert!(is_busy(&mut response));
        let (told, heard) = std::sync::mpsc::channel();
        let reply = Arc::new(move |packet| told.send(packet).unwrap());
        let origin = Origin { node: NodeId(1), reply };
        mailbox.deliver(origin, Packet::Request { number: 7, request: Request::Status { group: "jobs".into() } });
        let busy = Packet::Response { number: 7, response: Response::Refused(Refused::Busy) };
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), [busy]);

        mailbox.post(Event::Stop);
        let mut events = Vec::new();
        mailbox.take(&mut events);
        assert!(matches!(events.last(), Some(Event::Stop)) && events.len() == Mailbox::CAPACITY + 1);
        let (event, mut response) = call(1);
        mailbox.offer(event);
        assert!(!is_busy(&mut response), "there is room again");
    }

    #[test]
    fn whoever_gathers_is_seen_once_admitted_and_counts_before() {
        let mailbox = Mailbox::new();
        let (event, _response) = call(Mailbox::CAPACITY_BYTES);
        assert!(mailbox.gather_if_room(event));
        assert!(mailbox.is_empty());
        let (event, mut response) = call(1);
        assert!(!mailbox.gather_if_room(event));
        assert!(is_busy(&mut response), "what gathers weighs as much as what waits");
        let mut events = Vec::new();
        mailbox.take(&mut events);
        assert!(events.is_empty());
        let (event, mut response) = call(1);
        mailbox.offer(event);
        assert!(is_busy(&mut response), "it still weighs");
        mailbox.admit();
        mailbox.take(&mut events);
        assert_eq!(events.len(), 1);
        let (event, mut response) = call(1);
        mailbox.offer(event);
        assert!(!is_busy(&mut response));
    }

    #[test]
    fn bytes_that_wait_are_bounded_too() {
        let mailbox = Mailbox::new();
        let huge = Mailbox::CAPACITY_BYTES / 4;
        let mut waiting: Vec<_> = (0..5)
            .map(|_| {
                let (event, response) = call(huge);
                mailbox.offer(event);
                response
            })
            .collect();
        assert_eq!(waiting.iter_mut().map(is_busy).collect::<Vec<_>>(), [false, false, false, false, true]);
        mailbox.take(&mut Vec::new());
        let (event, mut response) = call(huge);
        mailbox.offer(event);
        assert!(!is_busy(&mut response));
    }
}
