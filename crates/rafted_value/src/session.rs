//! A handle's session: numbers its commands, so that asking again never repeats one (thesis §6.3).

use crate::packet::{Session, SessionId};
use crate::sessions::WINDOW;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The session of one handle and its clones, once there is one.
#[derive(Default)]
pub(crate) struct HandleSession {
    current: Mutex<Option<Arc<Registered>>>,
    /// Held by whoever registers.
    pub(crate) registering: tokio::sync::Mutex<()>,
}

/// A session that the group knows, or knew.
struct Registered {
    id: SessionId,
    numbers: Mutex<Numbers>,
}

#[derive(Default)]
struct Numbers {
    last: u64,
    /// Whose results are awaited.
    awaited: BTreeSet<u64>,
}

/// A number, or several in a row, awaited until this is dropped.
pub(crate) struct Ticket {
    session: Arc<Registered>,
    first: u64,
}

impl HandleSession {
    /// The next so many numbers of the session; nothing if there is none, or if one slow command holds up so many others
    /// that the group would remember no more of them: then another session is due.
    pub(crate) fn ticket(&self, count: usize) -> Option<Ticket> {
        let session = self.current().clone()?;
        let first = {
            let mut numbers = session.numbers();
            let (first, last) = (numbers.last + 1, numbers.last + count as u64);
            if numbers.awaited.first().is_some_and(|awaited| last - awaited >= WINDOW) {
                return None;
            }
            numbers.last = last;
            // The others go when it does, and are not below it.
            numbers.awaited.insert(first);
            first
        };
        Some(Ticket { session, first })
    }

    pub(crate) fn registered(&self, id: SessionId) {
        *self.current() = Some(Arc::new(Registered { id, numbers: Mutex::default() }));
    }

    /// The group no longer knows it: the next command registers anew.
    pub(crate) fn lost(&self, ticket: &Ticket) {
        let mut current = self.current();
        if current.as_ref().is_some_and(|session| session.id == ticket.session.id) {
            *current = None;
        }
    }

    fn current(&self) -> MutexGuard<'_, Option<Arc<Registered>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registered {
    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// As it goes with each of the commands in turn. What is acknowledged is what nobody awaits any more.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = Session> {
        let unacknowledged = self.session.numbers().awaited.first().copied().unwrap_or(self.first);
        let id = self.session.id;
        (self.first..).map(move |number| Session::Command { id, number, unacknowledged })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.session.numbers().awaited.remove(&self.first);
    }
}
