//! A handle's session: numbers its commands, so that asking again never repeats one (thesis §6.3).

use crate::packet::{Session, SessionId};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The session of one handle and its clones.
#[derive(Default)]
pub(crate) struct HandleSession {
    state: Mutex<State>,
    /// Held by whoever registers.
    pub(crate) registering: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    id: Option<SessionId>,
    last: u64,
    /// Numbers whose results are awaited.
    awaited: BTreeSet<u64>,
}

/// A number, awaited until this is dropped.
pub(crate) struct Ticket {
    session: Arc<HandleSession>,
    id: SessionId,
    number: u64,
}

impl HandleSession {
    /// A number of the session, if it is registered.
    pub(crate) fn ticket(self: &Arc<Self>) -> Option<Ticket> {
        let mut state = self.state();
        let id = state.id?;
        state.last += 1;
        let number = state.last;
        state.awaited.insert(number);
        Some(Ticket { session: self.clone(), id, number })
    }

    pub(crate) fn is_registered(&self) -> bool {
        self.state().id.is_some()
    }

    pub(crate) fn registered(&self, id: SessionId) {
        self.state().id = Some(id);
    }

    /// The group no longer knows it: the next command registers anew.
    pub(crate) fn lost(&self, id: SessionId) {
        let mut state = self.state();
        if state.id == Some(id) {
            state.id = None;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    pub(crate) fn id(&self) -> SessionId {
        self.id
    }

    pub(crate) fn session(&self) -> Session {
        let unacknowledged = self.session.state().awaited.first().copied().unwrap_or(self.number);
        Session::Command { id: self.id, number: self.number, unacknowledged }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.session.state().awaited.remove(&self.number);
    }
}
