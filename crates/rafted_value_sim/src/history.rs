//! What clients asked for and what became of it. An unknown outcome stays unknown: it is never taken for "no".

use crate::tale::Names;
use rafted_value_core::{EntryId, LogIndex, MemberId, ReadId, Refusal, RequestId, Term};
use std::collections::BTreeMap;
use std::fmt;

/// What became of a command, a membership change or a transfer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// No answer yet.
    Asked,
    /// In the log of the member that was asked; not committed as far as that member knows.
    Appended(EntryId),
    /// Acknowledged.
    Done(EntryId),
    /// Another member leads this term, as was asked for.
    HandedOver(Term),
    /// Refused: nothing of it was done.
    Refused(Refusal),
    /// Whoever could have told is gone: it may still happen.
    Unknown,
}

/// What became of a read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Read {
    /// Who was asked.
    pub at: MemberId,
    /// The latest entry that somebody already knew to be applied when the read began: the least it must see.
    pub floor: LogIndex,
    /// What became of it.
    pub outcome: Outcome,
}

/// See [`Read`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// No answer yet.
    Waiting,
    /// The value must contain this entry first.
    Confirmed(LogIndex),
    /// Answered from a value that contains this entry, with these commands.
    Served(LogIndex, Vec<String>),
    /// Refused, or nobody is left who could answer.
    Refused(Option<Refusal>),
}

/// What kind of thing is asked for, which decides what an answer means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Wish {
    /// Something in the log.
    #[default]
    Entry,
    /// Another leader.
    Leader,
}

/// Every request of the run, by the label the chooser gave it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct History {
    requests: BTreeMap<String, Fate>,
    reads: BTreeMap<String, Read>,
    request_labels: BTreeMap<RequestId, (String, Wish)>,
    read_labels: BTreeMap<ReadId, String>,
    issued: u64,
    /// The latest entry that some client knows to be applied.
    known: LogIndex,
}

impl History {
    /// A name for a request that no label is about.
    pub fn issue(&mut self) -> RequestId {
        self.issued += 1;
        RequestId(self.issued)
    }

    /// The latest entry that some client knows to be applied.
    pub fn known(&self) -> LogIndex {
        self.known
    }

    /// Some client knows that this entry is applied.
    pub fn knows(&mut self, index: LogIndex) {
        self.known = self.known.max(index);
    }

    /// A client asks for something.
    pub fn ask(&mut self, label: &str, wish: Wish) -> RequestId {
        self.issued += 1;
        let id = RequestId(self.issued);
        self.requests.insert(label.to_owned(), Fate::Asked);
        self.request_labels.insert(id, (label.to_owned(), wish));
        id
    }

    /// A client begins to read.
    pub fn begin_read(&mut self, label: &str, at: MemberId) -> ReadId {
        self.issued += 1;
        let id = ReadId(self.issued);
        let read = Read { at, floor: self.known, outcome: Outcome::Waiting };
        self.reads.insert(label.to_owned(), read);
        self.read_labels.insert(id, label.to_owned());
        id
    }

    /// The label of a request, and its kind.
    pub fn request(&self, id: RequestId) -> (String, Wish) {
        self.request_labels.get(&id).cloned().unwrap_or_default()
    }

    /// The label of a read.
    pub fn read_label(&self, id: ReadId) -> String {
        self.read_labels.get(&id).cloned().unwrap_or_default()
    }

    /// What became of a request.
    pub fn settle(&mut self, label: &str, fate: Fate) {
        if let Fate::Done(entry) = &fate {
            self.known = self.known.max(entry.index);
        }
        self.requests.insert(label.to_owned(), fate);
    }

    /// What became of a read.
    pub fn settle_read(&mut self, label: &str, outcome: Outcome) {
        if let Outcome::Served(index, _) = &outcome {
            self.known = self.known.max(*index);
        }
        if let Some(read) = self.reads.get_mut(label) {
            read.outcome = outcome;
        }
    }

    /// What stands after this entry was given up: nobody knows of it any more.
    pub fn given_up_after(&mut self, last: LogIndex) {
        self.known = self.known.min(last);
    }

    /// What became of a request.
    pub fn fate(&self, label: &str) -> Option<&Fate> {
        self.requests.get(label)
    }

    /// What became of a read.
    pub fn read(&self, label: &str) -> Option<&Read> {
        self.reads.get(label)
    }

    /// The reads that a member still owes an answer.
    pub fn owed_by(&self, at: MemberId) -> Vec<String> {
        let open = |read: &Read| matches!(read.outcome, Outcome::Waiting | Outcome::Confirmed(_));
        self.reads.iter().filter(|(_, read)| read.at == at && open(read)).map(|(label, _)| label.clone()).collect()
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fate::Asked => write!(f, "no answer yet"),
            Fate::Appended(entry) => write!(f, "in the log at {entry}"),
            Fate::Done(entry) => write!(f, "done at {entry}"),
            Fate::HandedOver(term) => write!(f, "done, another leads term {term}"),
            Fate::Refused(why) => write!(f, "refused, {}", Names(why)),
            Fate::Unknown => write!(f, "outcome unknown"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Waiting => write!(f, "waits"),
            Outcome::Confirmed(index) => write!(f, "waits for entry {index} to be applied"),
            Outcome::Served(index, commands) => write!(f, "sees [{}] as of entry {index}", commands.join(" ")),
            Outcome::Refused(Some(why)) => write!(f, "refused, {}", Names(why)),
            Outcome::Refused(None) => write!(f, "refused"),
        }
    }
}
