//! What the checker is told, one thing at a time and in the order in which they happened.

use crate::portrait::Portrait;
use rafted_value::simulation::SessionId;
use rafted_value_core::{EntryId, LogIndex, MemberId, Term};
use std::sync::Arc;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A member took a step, started again, or crashed.
    Moved {
        /// What it was.
        before: Arc<Portrait>,
        /// What it is.
        after: Arc<Portrait>,
    },
    /// A member was sent entries, and its log has them and what precedes them.
    Verified {
        /// The member.
        by: MemberId,
        /// The term of the leader that sent them.
        term: Term,
        /// The last of them.
        upto: LogIndex,
    },
    /// A request for real votes left.
    Campaigned {
        /// The candidate.
        by: MemberId,
        /// Its term.
        term: Term,
        /// The end of its log.
        last: EntryId,
    },
    /// A real vote left its voter.
    Voted {
        /// The voter.
        by: MemberId,
        /// The candidate.
        to: MemberId,
        /// The term.
        term: Term,
    },
    /// An acknowledgement of entries left a follower.
    Acknowledged {
        /// The follower.
        by: MemberId,
        /// The term of the leader it answers.
        term: Term,
        /// The last entry it acknowledges.
        upto: LogIndex,
    },
    /// A message left.
    Spoke {
        /// Who.
        by: MemberId,
        /// In which term.
        term: Term,
    },
    /// An entry was applied to a value.
    Applied {
        /// Whose.
        by: MemberId,
        /// Which entry.
        id: EntryId,
        /// The hash of the log up to it.
        hash: u64,
    },
    /// A command was applied, or met the result of an earlier time.
    Ran {
        /// By whom.
        by: MemberId,
        /// The session and the number in it.
        ticket: (SessionId, u64),
        /// Where it stands: the entry, and which command of it.
        here: (u64, u32),
        /// Where it ran, as its reply says.
        place: (u64, u32),
        /// What it found, as its reply says.
        found: Option<u64>,
        /// Whether a client asked for exactly this.
        asked: bool,
    },
    /// A member's value, with its sessions, as of an entry.
    Stands {
        /// Whose.
        by: MemberId,
        /// The entry.
        index: LogIndex,
        /// Of its snapshot.
        digest: u64,
    },
    /// A client was told that its command is done.
    Done {
        /// By whom.
        by: MemberId,
        /// Where it stands.
        id: EntryId,
    },
    /// A read was confirmed.
    ReadConfirmed {
        /// By whom.
        by: MemberId,
        /// What it will see at least.
        index: LogIndex,
        /// What it must see at least.
        floor: LogIndex,
    },
}

impl Event {
    /// Who did it, or to whom it happened.
    pub fn by(&self) -> MemberId {
        match self {
            Event::Moved { after, .. } => after.id,
            Event::Verified { by, .. }
            | Event::Campaigned { by, .. }
            | Event::Voted { by, .. }
            | Event::Acknowledged { by, .. }
            | Event::Spoke { by, .. }
            | Event::Applied { by, .. }
            | Event::Ran { by, .. }
            | Event::Stands { by, .. }
            | Event::Done { by, .. }
            | Event::ReadConfirmed { by, .. } => *by,
        }
    }
}
