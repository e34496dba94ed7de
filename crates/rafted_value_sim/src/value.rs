//! The replicated value, run by the library's own state machine: its sessions, its encodings, its snapshots.
//!
//! Anything lost, repeated or swapped shows: in the notes, and in what commands find.

use crate::chain::Chain;
use bytes::Bytes;
use rafted_value::Context;
use rafted_value::simulation::{self, Envelope, SessionId};
use rafted_value_core::{LogIndex, RequestId, SnapshotMeta, Term};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A member's value with its sessions.
pub type Machine = simulation::Machine<Ledger>;

/// Notes, and registers for clients that compare what they find.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ledger {
    /// Names in the order in which they were noted.
    pub notes: Vec<String>,
    /// What was last put where.
    pub registers: BTreeMap<u8, u64>,
    /// How many commands ran.
    pub ran: u64,
}

/// What changes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Command {
    /// Adds a name; zero bytes behind it only make it larger.
    Note(String),
    /// Puts an item into a register, whatever is there.
    Put(u8, u64),
    /// Puts an item into a register if another one is there.
    Replace(u8, Option<u64>, u64),
}

/// What a command found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reply {
    /// Where it ran: entry, and which command of it.
    pub place: (u64, u32),
    /// How many commands had run before.
    pub ran: u64,
    /// What was in its register.
    pub found: Option<u64>,
}

/// Asks what is in a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Get(pub u8);

impl rafted_value::Value for Ledger {
    const NAME: &'static str = "ledger";
    type Command = Command;
    type Reply = Reply;
    type Query = Get;
    type Answer = Option<u64>;

    fn new() -> Ledger {
        Ledger::default()
    }

    fn command(&mut self, command: Command, context: &Context) -> Reply {
        let ran = self.ran;
        self.ran += 1;
        let found = match command {
            Command::Note(name) => {
                self.notes.push(name.trim_end_matches('\0').to_owned());
                None
            }
            Command::Put(register, item) => self.registers.insert(register, item),
            Command::Replace(register, expected, item) => {
                let found = self.registers.get(&register).copied();
                if found == expected {
                    self.registers.insert(register, item);
                }
                found
            }
        };
        Reply { place: (context.index().0, context.offset()), ran, found }
    }

    fn query(&self, Get(register): Get) -> Option<u64> {
        self.registers.get(&register).copied()
    }
}

/// A value on its way from a leader to a member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transfer {
    /// The leader's term when it was sent.
    pub term: Term,
    /// What it contains.
    pub snapshot: SnapshotMeta,
    /// The value and its sessions, encoded.
    pub value: Bytes,
    /// The entries that made it, for the checker.
    pub chain: Chain,
}

/// The session of whoever writes notes: every group of the simulator begins with it.
pub const SCRIBE: SessionId = SessionId { index: LogIndex::ZERO, offset: 0, nonce: 0 };

/// What a group begins with.
///
/// # Panics
///
/// If the settings cannot be read.
pub fn initial(base: SnapshotMeta) -> Machine {
    let mut machine = Machine::new(Ledger::default(), base).expect("settings that this build can read");
    machine.admit(LogIndex::ZERO, SCRIBE.nonce);
    machine
}

/// The bytes of an entry that notes a name; at least `size` of them. Each number runs once.
pub fn note(name: &str, size: usize, number: u64) -> Bytes {
    let padded = |padding: usize| {
        let command = Command::Note(format!("{name}{}", "\0".repeat(padding)));
        simulation::encode_batch(0, 0, vec![simulation::command(SCRIBE, number, 0, encode(&command))])
    };
    let bytes = padded(0);
    if bytes.len() < size { padded(size - bytes.len()) } else { bytes }
}

/// The bytes of an entry in which so much time passes. What its leader would draw from dice follows from the request.
pub fn batch_of(elapsed_ms: u64, request: RequestId, envelopes: Vec<Envelope>) -> Bytes {
    simulation::encode_batch(elapsed_ms, request.0.wrapping_mul(0x9E37_79B9_7F4A_7C15), envelopes)
}

/// As the library encodes what users define.
///
/// # Panics
///
/// Never, for what is defined here.
pub fn encode<T: Serialize>(thing: &T) -> Bytes {
    simulation::encode(thing).expect("plain data")
}
