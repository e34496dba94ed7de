//! What waits for the shard's loop. Anybody may post; only the loop takes.

use crate::contact::{Contact, GroupId, MemberOf};
use crate::member::Member;
use crate::packet::{Change, Envelope, Packet, Refused};
use crate::transport::{Inbox, Origin};
use crate::waiting::Caller;
use rafted_value_core::{LogIndex, MemberId, Message};
use std::any::Any;
use std::sync::{Mutex, MutexGuard, PoisonError};
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

/// The mailbox of one shard.
#[derive(Default)]
pub(crate) struct Mailbox {
    contents: Mutex<Contents>,
    posted: Notify,
}

#[derive(Default)]
struct Contents {
    events: Vec<Event>,
    closed: bool,
}

impl Mailbox {
    /// How many packets may wait. A loop that is this far behind gains nothing from more.
    const CAPACITY: usize = 1 << 16;

    /// Posts to a loop that has ended are dropped, and with them their callers: nobody waits for it.
    pub(crate) fn post(&self, event: Event) {
        let mut contents = self.contents();
        if !contents.closed {
            contents.events.push(event);
            drop(contents);
            self.posted.notify_one();
        }
    }

    /// Everything that was posted, in order, into an empty buffer.
    pub(crate) fn take(&self, into: &mut Vec<Event>) {
        std::mem::swap(into, &mut self.contents().events);
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
