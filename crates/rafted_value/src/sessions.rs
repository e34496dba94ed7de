//! Client sessions: what makes a command that is sent twice happen once (thesis §6.3).
//!
//! A session is registered through the log, and its id is where that registration stands in the log: no client
//! chooses it, so no two clients can share one by accident. A client numbers its commands within its session, and
//! says with each which of its numbers is the lowest that it still waits for. For every number from there on the
//! result is remembered, so that a retry is answered without running again; below it, results are forgotten.
//!
//! Numbers need not arrive in order, nor all of them: a hole is a command that is still on its way, or never left.
//!
//! # Limits
//!
//! - A number [`WINDOW`] or more above the lowest unacknowledged one is not applied, and refused as `Busy`. So a
//!   session remembers at most that many results, no result is forgotten that its client may still ask for, and a
//!   hole can always be filled. A handle that needs more at once registers another session.
//! - When a registration finds `max_sessions` sessions, those that were used least recently are evicted. "Recently"
//!   is counted by the places of their commands in the log, so that every member evicts the same ones. A command of
//!   an evicted session is not applied: it may be a retry of what was applied before the eviction.
//! - A session that was not used for `session_timeout` of replicated time is evicted too, where the next batch begins.

use crate::outcome::{Outcome, OutcomeRecord};
use crate::packet::{Refused, Response, SessionId};
use rafted_value_core::LogIndex;
use std::collections::BTreeMap;

/// How far the numbers of one session may be apart that are remembered or awaited.
pub(crate) const WINDOW: u64 = 1 << 14;

/// The sessions of a group; part of its snapshots.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sessions {
    by_id: BTreeMap<SessionId, ClientSession>,
    /// The same ones in the order of their last use: the first is evicted next. A place in the log holds one
    /// command, so no two sessions can have been used at the same one.
    by_use: BTreeMap<Place, SessionId>,
}

/// Where a command stands in the log: the index of its entry and which of the entry's commands it is.
pub(crate) type Place = (LogIndex, u32);

/// Where and when a command runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Moment {
    pub(crate) place: Place,
    /// Replicated time, in milliseconds.
    pub(crate) time_ms: u64,
}

#[derive(Clone, Debug, PartialEq)]
struct ClientSession {
    used: Moment,
    /// The lowest number whose result the client still waits for, as far as it said.
    unacknowledged: u64,
    /// What became of the numbers from there on, as far as they arrived.
    results: BTreeMap<u64, Outcome>,
}

/// A command of a session, without the command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    /// The session.
    pub(crate) id: SessionId,
    /// The number of the command.
    pub(crate) number: u64,
    /// The lowest number that the client waits for.
    pub(crate) unacknowledged: u64,
}

impl Sessions {
    /// Evicts what was not used for longer than `timeout_ms`.
    pub(crate) fn expire(&mut self, now_ms: u64, timeout_ms: u64) {
        while let Some(oldest) = self.by_use.first_entry()
            && let Some(session) = self.by_id.get(oldest.get())
            && now_ms.saturating_sub(session.used.time_ms) > timeout_ms
        {
            self.by_id.remove(&oldest.remove());
        }
    }

    /// Opens a session for the registration at this moment, and evicts others while there would be too many.
    pub(crate) fn register(&mut self, now: Moment, nonce: u64, max_sessions: u32) -> SessionId {
        while self.by_id.len() >= max_sessions.max(1) as usize {
            let Some((_, evicted)) = self.by_use.pop_first() else { break };
            self.by_id.remove(&evicted);
        }
        let id = SessionId { index: now.place.0, offset: now.place.1, nonce };
        self.by_id.insert(id, ClientSession { used: now, unacknowledged: 0, results: BTreeMap::new() });
        self.by_use.insert(now.place, id);
        id
    }

    /// Runs the command at this moment unless it may have run before; answers with its outcome, remembered or new.
    pub(crate) fn once(
        &mut self,
        now: Moment,
        ticket: Ticket,
        max_results: u64,
        run: impl FnOnce() -> Outcome,
    ) -> Response {
        let Some(session) = self.by_id.get_mut(&ticket.id) else {
            return Response::Refused(Refused::NoSuchSession);
        };
        self.by_use.remove(&session.used.place);
        self.by_use.insert(now.place, ticket.id);
        session.used = now;
        session.acknowledge(ticket.unacknowledged);

        if let Some(known) = session.results.get(&ticket.number) {
            return known.clone().into();
        }
        match ticket.number.checked_sub(session.unacknowledged) {
            None => Response::Refused(Refused::Forgotten),
            Some(ahead) if ahead >= max_results.max(1) => Response::Refused(Refused::Busy),
            Some(_) => {
                let outcome = run();
                session.results.insert(ticket.number, outcome.clone());
                outcome.into()
            }
        }
    }

    #[cfg(test)]
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// All of them, for a snapshot.
    pub(crate) fn to_records(&self) -> Vec<SessionRecord> {
        self.by_id.iter().map(|(id, session)| session.to_record(*id)).collect()
    }

    /// What [`Sessions::to_records`] was made of; anything it cannot have been made of is an error that names it.
    pub(crate) fn from_records(records: Vec<SessionRecord>) -> Result<Sessions, &'static str> {
        let mut sessions = Sessions::default();
        for record in records {
            let id = SessionId { index: LogIndex(record.index), offset: record.offset, nonce: record.nonce };
            let session = ClientSession::from_record(record)?;
            if sessions.by_use.insert(session.used.place, id).is_some() {
                return Err("two sessions used at the same place");
            }
            if sessions.by_id.insert(id, session).is_some() {
                return Err("two sessions with the same id");
            }
        }
        let times: Vec<u64> = sessions.by_use.values().map(|id| sessions.by_id[id].used.time_ms).collect();
        if !times.is_sorted() {
            return Err("a session used earlier than those before it");
        }
        Ok(sessions)
    }
}

impl ClientSession {
    fn acknowledge(&mut self, unacknowledged: u64) {
        if unacknowledged > self.unacknowledged {
            self.unacknowledged = unacknowledged;
            self.results = self.results.split_off(&unacknowledged);
        }
    }

    fn to_record(&self, id: SessionId) -> SessionRecord {
        SessionRecord {
            index: id.index.0,
            offset: id.offset,
            nonce: id.nonce,
            used_index: self.used.place.0.0,
            used_offset: self.used.place.1,
            unacknowledged: self.unacknowledged,
            results: self.results.iter().map(|(number, outcome)| ResultRecord::of(*number, outcome)).collect(),
            used_ms: self.used.time_ms,
        }
    }

    fn from_record(record: SessionRecord) -> Result<ClientSession, &'static str> {
        let mut results = BTreeMap::new();
        for result in record.results {
            let outcome = Outcome::from_record(result.outcome)?;
            if result.number < record.unacknowledged {
                return Err("a result that was acknowledged");
            }
            if results.insert(result.number, outcome).is_some() {
                return Err("two results of the same number");
            }
        }
        let used = Moment { place: (LogIndex(record.used_index), record.used_offset), time_ms: record.used_ms };
        Ok(ClientSession { used, unacknowledged: record.unacknowledged, results })
    }
}

/// A session as it stands in a snapshot: numbered fields, so that it can grow.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(crate) struct SessionRecord {
    #[prost(uint64, tag = "1")]
    index: u64,
    #[prost(uint32, tag = "2")]
    offset: u32,
    #[prost(uint64, tag = "3")]
    used_index: u64,
    #[prost(uint32, tag = "4")]
    used_offset: u32,
    #[prost(uint64, tag = "5")]
    unacknowledged: u64,
    #[prost(message, repeated, tag = "6")]
    results: Vec<ResultRecord>,
    #[prost(fixed64, tag = "7")]
    nonce: u64,
    #[prost(uint64, tag = "8")]
    used_ms: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
struct ResultRecord {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(oneof = "OutcomeRecord", tags = "2, 3, 4, 5")]
    outcome: Option<OutcomeRecord>,
}

impl ResultRecord {
    fn of(number: u64, outcome: &Outcome) -> ResultRecord {
        ResultRecord { number, outcome: Some(outcome.to_record()) }
    }
}

#[cfg(test)]
mod tests;
