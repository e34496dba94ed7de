//! Callers that wait, each answered exactly once.

use crate::packet::{Packet, Refused, Response};
use crate::transport::Origin;
use rafted_value_core::{EntryId, LogIndex};
use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
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
    /// One of those that another caller waits for together.
    Part { whole: Arc<Mutex<Whole>>, at: usize },
    /// Answered.
    Nobody,
}

/// A caller that waits for several responses.
struct Whole {
    caller: Option<Caller>,
    responses: Vec<Option<Response>>,
    missing: usize,
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

    /// A caller for each of so many commands; this one is answered when they all are.
    pub(crate) fn split(self, count: usize) -> impl Iterator<Item = Caller> {
        let whole = match count {
            0 => {
                self.answer(Response::Many(Vec::new()));
                Whole { caller: None, responses: Vec::new(), missing: 0 }
            }
            _ => Whole { caller: Some(self), responses: vec![None; count], missing: count },
        };
        let whole = Arc::new(Mutex::new(whole));
        (0..count).map(move |at| Caller { to: To::Part { whole: whole.clone(), at } })
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
            To::Part { whole, at } => {
                let answered = whole.lock().unwrap_or_else(PoisonError::into_inner).part(at, response);
                if let Some((caller, responses)) = answered {
                    caller.answer(Response::Many(responses));
                }
            }
            To::Nobody => {}
        }
    }
}

impl Whole {
    /// Takes one response; all of them, with who waits for them, if it was the last.
    fn part(&mut self, at: usize, response: Response) -> Option<(Caller, Vec<Response>)> {
        self.responses[at] = Some(response);
        self.missing -= 1;
        let caller = if self.missing == 0 { self.caller.take() } else { None };
        Some((caller?, self.responses.drain(..).flatten().collect()))
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
