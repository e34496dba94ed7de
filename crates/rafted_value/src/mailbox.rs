//! What waits for the shard's loop. Anybody may post; only the loop takes.

use crate::contact::{Contact, GroupId, MemberOf};
use crate::errands::{self, Errand};
use crate::error::RecoverError;
use crate::member::Member;
use crate::packet::{Change, Envelope, Packet, Refused};
use crate::recovery::AcceptDataLoss;
use crate::shard::Shard;
use crate::transport::{Inbox, Origin};
use crate::waiting::Caller;
use rafted_value_core::{LogIndex, MemberId, Message};
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
    Close { member: MemberOf, done: oneshot::Sender<()> },
    /// A value contains more.
    Applied { group: GroupId, member: MemberId, index: LogIndex },
    /// A value cannot go on.
    Failed { group: GroupId, member: MemberId },
    /// A value was sent, or not.
    SnapshotSent { group: GroupId, member: MemberId, to: MemberId, last_included: Option<LogIndex> },
    /// A value arrived and was found to be sound.
    SnapshotDecoded { group: GroupId, message: Message, state: Box<dyn Any + Send> },
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
    closed: bool,
}

impl Mailbox {
    /// How many packets may wait. A loop that is this far behind gains nothing from more.
    const CAPACITY: usize = 1 << 16;

    pub(crate) fn new() -> Arc<Mailbox> {
        Arc::new_cyclic(|me| Mailbox {
            contents: Mutex::default(),
            posted: Notify::new(),
            seat: Mutex::default(),
            callers: AtomicUsize::new(0),
            me: me.clone(),
        })
    }

    /// Posts to a loop that has ended are dropped, and with them their callers: nobody waits for it.
    pub(crate) fn post(&self, event: Event) {
        if self.put(event) && !errands::take_on(|| self.me.upgrade().map(Errand::Turn)) {
            self.notify();
        }
    }

    /// Whether there is still somebody to see to it.
    pub(crate) fn put(&self, event: Event) -> bool {
        let mut contents = self.contents();
        if !contents.closed {
            contents.events.push(event);
        }
        !contents.closed
    }

    /// Everything that was posted, in order, into an empty buffer.
    pub(crate) fn take(&self, into: &mut Vec<Event>) {
        std::mem::swap(into, &mut self.contents().events);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.contents().events.is_empty()
    }

    /// The loop has ended.
    pub(crate) fn close(&self) {
        let left = {
            let mut contents = self.contents();
            contents.closed = true;
            std::mem::take(&mut contents.events)
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

impl Inbox for Mailbox {
    fn lost(&self, contact: &Contact) {
        self.post(Event::Lost(contact.clone()));
    }

    fn deliver(&self, origin: Origin, packet: Packet) {
        if self.contents().events.len() >= Mailbox::CAPACITY {
            // Consensus repeats what matters; a caller is told.
            if let Packet::Request { number, .. } = packet {
                Caller::there(origin, number).refuse(Refused::Busy);
            }
            return;
        }
        self.post(Event::Packet(origin, packet));
    }
}
