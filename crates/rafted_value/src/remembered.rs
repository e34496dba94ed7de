//! What became of commands whose ids their callers chose; part of the snapshot.
//!
//! Sessions make the retries of one handle safe. These ids make safe what no handle knows to be a retry: they are
//! scoped to a client by name, and whoever gives the same id again gets the first result, as long as it is remembered.
//! The last `max_retained_command_results` are, of all clients together and as far as `max_retained_result_bytes`
//! allows; the latest one always is. What is forgotten is a new command.
//!
//! That an id was given to two commands is seen by the length and the CRC-32 of their bytes: enough for what happens
//! by mistake, and nobody gains from more than a mistake but the result of an own earlier command.

use crate::command_id::CommandId;
use crate::outcome::{Outcome, OutcomeRecord};
use crate::sessions::Place;
use rafted_value_core::LogIndex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a result takes beside its texts and its reply, about.
const OVERHEAD: u64 = 128;

/// The results of commands whose callers gave them an id.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Remembered {
    by_id: BTreeMap<Arc<CommandId>, Known>,
    /// The same ones in the order in which they ran: the first is forgotten next.
    by_place: BTreeMap<Place, Arc<CommandId>>,
    bytes: u64,
}

/// How much may be remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) results: u32,
    pub(crate) bytes: u64,
}

#[derive(Clone, Debug, PartialEq)]
struct Known {
    place: Place,
    command: Fingerprint,
    outcome: Outcome,
}

/// What is kept of a command to tell it from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fingerprint {
    length: u64,
    checksum: u32,
}

impl Remembered {
    /// Runs the command at `place` unless the result of its id is remembered; the outcome, remembered or new.
    pub(crate) fn once(
        &mut self,
        place: Place,
        id: &Arc<CommandId>,
        command: &[u8],
        limits: Limits,
        run: impl FnOnce() -> Outcome,
    ) -> Outcome {
        let fingerprint = Fingerprint::of(command);
        match self.by_id.get(id) {
            Some(known) if known.command == fingerprint => known.outcome.clone(),
            Some(_) => Outcome::IdReused,
            None => {
                let outcome = run();
                self.insert(id.clone(), Known { place, command: fingerprint, outcome: outcome.clone() });
                self.shrink(limits);
                outcome
            }
        }
    }

    /// Forgets the oldest ones while there are more than allowed.
    pub(crate) fn shrink(&mut self, limits: Limits) {
        while self.by_id.len() > 1 && (self.by_id.len() > limits.results as usize || self.bytes > limits.bytes) {
            let Some((_, oldest)) = self.by_place.pop_first() else { break };
            if let Some(known) = self.by_id.remove(&oldest) {
                self.bytes -= known.bytes(&oldest);
            }
        }
    }

    fn insert(&mut self, id: Arc<CommandId>, known: Known) {
        self.bytes += known.bytes(&id);
        self.by_place.insert(known.place, id.clone());
        self.by_id.insert(id, known);
    }

    /// All of them in the order in which they ran, for a snapshot.
    pub(crate) fn to_records(&self) -> Vec<RememberedRecord> {
        self.by_place.values().filter_map(|id| Some(self.by_id.get(id)?.to_record(id))).collect()
    }

    /// What [`Remembered::to_records`] was made of; anything it cannot have been made of is an error that names it.
    pub(crate) fn from_records(records: Vec<RememberedRecord>) -> Result<Remembered, &'static str> {
        let mut remembered = Remembered::default();
        for record in records {
            let place = (LogIndex(record.index), record.offset);
            let command = Fingerprint { length: record.length, checksum: record.checksum };
            let known = Known { place, command, outcome: Outcome::from_record(record.outcome)? };
            let id = CommandId::new(record.client, record.id);
            if !id.is_valid() {
                return Err("an id of a command that is too long or empty");
            }
            if remembered.by_place.last_key_value().is_some_and(|(last, _)| *last >= place) {
                return Err("results of given ids out of their order");
            }
            if remembered.by_id.contains_key(&id) {
                return Err("two results of the same given id");
            }
            remembered.insert(Arc::new(id), known);
        }
        Ok(remembered)
    }
}

impl Known {
    fn bytes(&self, id: &CommandId) -> u64 {
        OVERHEAD + id.bytes() + self.outcome.bytes()
    }

    fn to_record(&self, id: &CommandId) -> RememberedRecord {
        RememberedRecord {
            client: id.client().to_owned(),
            id: id.id().to_owned(),
            index: self.place.0.0,
            offset: self.place.1,
            length: self.command.length,
            checksum: self.command.checksum,
            outcome: Some(self.outcome.to_record()),
        }
    }
}

impl Fingerprint {
    fn of(command: &[u8]) -> Fingerprint {
        Fingerprint { length: command.len() as u64, checksum: crc32fast::hash(command) }
    }
}

/// A result as it stands in a snapshot: numbered fields, so that it can grow.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(crate) struct RememberedRecord {
    #[prost(string, tag = "1")]
    client: String,
    #[prost(oneof = "OutcomeRecord", tags = "2, 3, 4, 5")]
    outcome: Option<OutcomeRecord>,
    #[prost(string, tag = "6")]
    id: String,
    #[prost(uint64, tag = "7")]
    index: u64,
    #[prost(uint32, tag = "8")]
    offset: u32,
    #[prost(uint64, tag = "9")]
    length: u64,
    #[prost(fixed32, tag = "10")]
    checksum: u32,
}

#[cfg(test)]
mod tests;
