//! Requests to other nodes, and their responses.

use crate::contact::Contact;
use crate::packet::{Packet, Refused, Request, Response};
use crate::transport::Network;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Requests that were sent and not answered.
pub(crate) struct Requests {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    last: u64,
    waiting: HashMap<u64, (Contact, oneshot::Sender<Response>)>,
}

impl Requests {
    /// Numbers begin anywhere: a node that starts again under its identity does not take the answer to an earlier
    /// start for its own.
    pub(crate) fn new(first: u64) -> Requests {
        Requests { table: Mutex::new(Table { last: first >> 1, ..Table::default() }) }
    }

    /// Sends a request and waits for the response. Cancellation safe: a response that comes later is dropped.
    pub(crate) async fn send(self: &Arc<Self>, network: &dyn Network, to: &Contact, request: Request) -> Response {
        let (ticket, receiver) = self.ticket(to);
        network.send(to, Packet::Request { number: ticket.number, request });
        receiver.await.unwrap_or(Response::Refused(Refused::OutcomeUnknown))
    }

    fn ticket(self: &Arc<Self>, to: &Contact) -> (Ticket, oneshot::Receiver<Response>) {
        let (sender, receiver) = oneshot::channel();
        let mut table = self.table();
        table.last += 1;
        let number = table.last;
        table.waiting.insert(number, (to.clone(), sender));
        (Ticket { requests: self.clone(), number }, receiver)
    }

    pub(crate) fn answered(&self, number: u64, response: Response) {
        let waiting = self.table().waiting.remove(&number);
        if let Some((_, sender)) = waiting {
            // A caller that is gone needs no answer.
            let _ = sender.send(response);
        }
    }

    /// What was sent there may be lost: whoever waits is told that the outcome is unknown, instead of waiting.
    pub(crate) fn lost(&self, contact: &Contact) {
        let lost: Vec<_> = self.table().waiting.extract_if(|_, (to, _)| to == contact).collect();
        // Not while the table is locked: whoever waits is woken.
        drop(lost);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the table, given back when its caller is gone.
struct Ticket {
    requests: Arc<Requests>,
    number: u64,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.requests.table().waiting.remove(&self.number);
    }
}
