//! Whose turn it is: the loop of a node belongs to whoever has something for it, one thread at a time. The node's own
//! thread takes turns when an alarm is due or something arrives from the network; a caller takes one itself, because
//! waking another thread takes longer than most commands.

use crate::errands;
use crate::mailbox::{Event, Mailbox};
use crate::shard::Shard;
use crate::timers;
use rafted_value_core::Time;
use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::Poll;

/// How often a caller's thread looks for more before it leaves the rest to the node's.
const ROUNDS: usize = 16;

/// The life of the loop, on the node's own thread.
pub(crate) async fn run(mailbox: Arc<Mailbox>, shard: Shard) {
    *mailbox.seat.lock().unwrap_or_else(PoisonError::into_inner) = Some(shard);
    while let Some(alarm) = mailbox.turn_of_the_node() {
        match alarm {
            Some(at) => {
                // Whichever comes first; what has come is looked at either way.
                let wait = at.since(timers::now());
                let _ = tokio::time::timeout(wait, mailbox.posted()).await;
            }
            None => mailbox.posted().await,
        }
    }
}

impl Mailbox {
    /// Waits for whoever is at it. Says when the node's thread shall be back at the latest; `None` when it is over.
    fn turn_of_the_node(&self) -> Option<Option<Time>> {
        let mut seat = self.seat.lock().unwrap_or_else(PoisonError::into_inner);
        let shard = seat.as_mut()?;
        self.admit();
        shard.guarded_turn();
        if !shard.is_over() {
            return Some(shard.rest());
        }
        let over = seat.take();
        // Its end is told to many, who may post in return.
        drop(seat);
        drop(over);
        None
    }

    /// Sees to what was posted, unless somebody is at it, who will then look again.
    pub(crate) fn turn(&self) {
        for _ in 0..ROUNDS {
            if self.is_empty() {
                return;
            }
            let Ok(mut seat) = self.seat.try_lock() else { return };
            let Some(shard) = seat.as_mut() else { return };
            shard.guarded_turn();
            if shard.needs_the_node() {
                self.notify();
            }
        }
        self.notify();
    }

    /// Offers for a caller in this process and takes the turn on its own thread. Others that are about to post come
    /// first, so that one turn serves many; a caller who is alone loses no time. Hold on to what it returns until the
    /// answer is there.
    pub(crate) async fn offer_and_turn(self: &Arc<Self>, event: Event) -> Asking<'_> {
        let others = self.callers.fetch_add(1, Ordering::Relaxed);
        let mut asking = Asking { mailbox: self, turned: false };
        let there = match others {
            0 => self.put_if_room(event),
            _ => {
                let there = self.gather_if_room(event);
                if there {
                    let_others_come().await;
                    self.admit();
                }
                there
            }
        };
        if there {
            errands::after(|| self.turn());
        }
        asking.turned = true;
        asking
    }
}

/// Comes back after whatever else is ready to run.
async fn let_others_come() {
    let mut came = false;
    poll_fn(|context| {
        if std::mem::replace(&mut came, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A caller that waits. Given up before it took its turn, it leaves that to the node.
pub(crate) struct Asking<'a> {
    mailbox: &'a Mailbox,
    turned: bool,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.mailbox.callers.fetch_sub(1, Ordering::Relaxed);
        if !self.turned {
            self.mailbox.notify();
        }
    }
}
