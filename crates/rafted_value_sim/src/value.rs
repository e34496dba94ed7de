//! The replicated value: the names of all commands ever applied, in their order. Anything lost, repeated or swapped
//! shows.

use crate::chain::Chain;
use bytes::Bytes;
use rafted_value_core::{Entry, EntryId, LogIndex, Payload, SnapshotMeta, Term};

/// What a member has applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Value {
    /// The last entry it contains.
    pub applied: LogIndex,
    /// The commands among them.
    pub commands: Vec<String>,
}

/// A value on its way from a leader to a member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transfer {
    /// The leader's term when it was sent.
    pub term: Term,
    /// What it contains.
    pub snapshot: SnapshotMeta,
    /// The value itself.
    pub value: Value,
    /// The entries that made it, for the checker.
    pub chain: Chain,
}

impl Value {
    /// Applies the next entry; returns the command in it.
    pub fn apply(&mut self, entry: &Entry) -> Option<String> {
        assert_eq!(entry.id.index, self.applied.next(), "entries are applied in order");
        self.applied = entry.id.index;
        let command = command_of(&entry.payload)?;
        self.commands.push(command.clone());
        Some(command)
    }

    /// All commands, as one line.
    pub fn line(&self) -> String {
        self.commands.join(" ")
    }
}

/// The bytes of a command: its name, padded with zeroes to `size`.
pub fn encode(name: &str, size: usize) -> Bytes {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(size.max(bytes.len()), 0);
    Bytes::from(bytes)
}

/// The name of the command in an entry.
pub fn command_of(payload: &Payload) -> Option<String> {
    let Payload::Commands(bytes) = payload else { return None };
    let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    Some(String::from_utf8_lossy(name).into_owned())
}

/// A short word for what an entry says.
pub fn word_of(id: EntryId, payload: &Payload) -> String {
    let what = match payload {
        Payload::Noop => "-".to_owned(),
        Payload::Commands(_) => command_of(payload).unwrap_or_default(),
        Payload::Membership(membership) => crate::tale::members(membership),
        Payload::Config(_) => "config".to_owned(),
    };
    format!("{id} {what}")
}
