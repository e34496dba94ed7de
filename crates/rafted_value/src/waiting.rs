//! Callers that wait, each answered exactly once.

use crate::packet::{Packet, Refused, Response};
use crate::transport::Origin;
use rafted_value_core::{EntryId, LogIndex};
use std::collections::BTreeMap;
use std::mem;
use tokio::sync::oneshot;

/// Somebody who waits for a response. Dropped unanswered, it says that the outcome is unknown: nobody hangs.
pub(crate) struct Caller {
    to: To,
}

enum To {
    /// In this process.
    Here(oneshot::Sender<Response>),
    /// At the other end of a connection.
    There { origin: Origin, number: u64 },
    /// Answered.
    Nobody,
}

impl Caller {
    /// A caller in this process, and where it gets its response.
    pub(crate) fn here() -> (Caller, oneshot::Receiver<Response>) {
        let (sender, receiver) = oneshot::channel();
        (Caller { to: To::Here(sender) }, receiver)
    }

    /// A caller that sent a request with this number.
    pub(crate) fn there(origin: Origin, number: u64) -> Caller {
        Caller { to: To::There { origin, number } }
    }

    pub(crate) fn answer(mut self, response: Response) {
        self.say(response);
    }

    pub(crate) fn refuse(self, why: Refused) {
        self.answer(Response::Refused(why));
    }

    fn say(&mut self, response: Response) {
        match mem::replace(&mut self.to, To::Nobody) {
            // A caller that is gone needs no answer.
            To::Here(sender) => drop(sender.send(response)),
            To::There { origin, number } => (origin.reply)(Packet::Response { number, response }),
            To::Nobody => {}
        }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.say(Response::Refused(Refused::OutcomeUnknown));
    }
}

/// Callers by the entry that carries their command: by term *and* index, so that another entry that takes its place
/// never answers them.
#[derive(Default)]
pub(crate) struct Waiting {
    commands: BTreeMap<EntryId, Vec<Caller>>,
    /// Until this much is committed.
    commits: BTreeMap<LogIndex, Vec<(Caller, Response)>>,
}

impl Waiting {
    pub(crate) fn for_commands(&mut self, entry: EntryId, callers: Vec<Caller>) {
        self.commands.insert(entry, callers);
    }

    /// The callers of a committed entry, in the order of its commands.
    pub(crate) fn take(&mut self, entry: EntryId) -> Vec<Caller> {
        self.commands.remove(&entry).unwrap_or_default()
    }

    /// Answers once the entry at `index` is committed.
    pub(crate) fn for_commit(&mut self, index: LogIndex, caller: Caller, response: Response) {
        self.commits.entry(index).or_default().push((caller, response));
    }

    pub(crate) fn committed(&mut self, upto: LogIndex) {
        let later = self.commits.split_off(&upto.next());
        for (caller, response) in mem::replace(&mut self.commits, later).into_values().flatten() {
            caller.answer(response);
        }
    }

    /// Leadership is gone: what becomes of their entries is for others to decide.
    pub(crate) fn abandon(&mut self) {
        self.commands.clear();
        self.commits.clear();
    }
}
