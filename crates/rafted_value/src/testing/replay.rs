//! One history, several times: on values that share nothing.

use super::{Dice, encode, first_difference};
use crate::simulation::{Machine, Response, SessionId, command, encode_batch};
use crate::value::Value;
use bytes::Bytes;
use rafted_value_core::{Entry, EntryId, LogIndex, Payload, SnapshotMeta};
use std::thread;

/// What a replay came to, in bytes.
struct Outcome {
    /// One per command, with the entry it stands in.
    replies: Vec<(usize, Response)>,
    /// After each entry.
    values: Vec<Vec<u8>>,
}

/// Replays `commands` as two members do, and as one that is restored from a snapshot now and then.
pub(super) fn check<V: Value>(commands: &[Vec<u8>], dice: &mut Dice) -> Result<(), String> {
    let entries = entries::<V>(commands, dice)?;
    let restores: Vec<bool> = entries.iter().map(|_| dice.below(8) == 0).collect();
    let never = vec![false; entries.len()];
    let one = apart(|| replay::<V>(&entries, &never))?;
    let other = apart(|| replay::<V>(&entries, &never))?;
    compare(&one, &other, "on another member, which ran the same commands")?;
    let restored = apart(|| replay::<V>(&entries, &restores))?;
    compare(&one, &restored, "on a member that was sent the value in between, which does not contain everything")
}

/// A thread of its own has hash seeds of its own.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(work).join().expect("panics of user code are caught"))
}

/// Commands that waited together share an entry.
fn entries<V: Value>(commands: &[Vec<u8>], dice: &mut Dice) -> Result<Vec<Entry>, String> {
    // The first of each machine, which all of them admit alike.
    let session = session(&mut machine::<V>()?);
    let mut entries = Vec::new();
    let mut rest = commands.iter().zip(0_u64..).peekable();
    while rest.peek().is_some() {
        let together = 1 + dice.below(4) as usize;
        let envelope =
            |(bytes, number): (&Vec<u8>, u64)| command(session, number, number, Bytes::copy_from_slice(bytes));
        let envelopes = rest.by_ref().take(together).map(envelope).collect();
        let id = EntryId::new(1 + entries.len() as u64 / 10, entries.len() as u64 + 2);
        let batch = encode_batch(dice.below(1000), dice.number(), envelopes);
        entries.push(Entry { id, payload: Payload::Commands(batch) });
    }
    Ok(entries)
}

/// A machine as a group begins with it.
fn machine<V: Value>() -> Result<Machine<V>, String> {
    let base = SnapshotMeta { last_included: EntryId::new(1, 1), ..SnapshotMeta::empty() };
    Machine::new(V::new(), base)
}

fn session<V: Value>(machine: &mut Machine<V>) -> SessionId {
    machine.admit(LogIndex(1), 1)
}

fn replay<V: Value>(entries: &[Entry], restores: &[bool]) -> Result<Outcome, String> {
    let mut machine = machine::<V>()?;
    session(&mut machine);
    let mut outcome = Outcome { replies: Vec::new(), values: Vec::new() };
    for (at, (entry, restore)) in entries.iter().zip(restores).enumerate() {
        let applied = machine.apply(entry);
        if let Some(why) = applied.halted {
            return Err(format!("the member halted: {why}"));
        }
        outcome.replies.extend(applied.responses.into_iter().map(|response| (at, response)));
        if *restore {
            let (meta, bytes) = machine.snapshot().map_err(|error| format!("no snapshot can be made: {error}"))?;
            machine = Machine::restore(meta, bytes).map_err(|error| format!("a snapshot cannot be read: {error}"))?;
        }
        outcome.values.push(machine.value().map(encode).unwrap_or_default());
    }
    Ok(outcome)
}

fn compare(one: &Outcome, other: &Outcome, where_: &str) -> Result<(), String> {
    const HINT: &str = "Does the order of a HashMap matter, or anything else that is neither in the value nor in the \
                        command nor in the Context?";
    let command = one.replies.iter().zip(&other.replies).position(|(one, other)| one != other);
    let entry = one.values.iter().zip(&other.values).position(|(one, other)| one != other);
    match (command, entry) {
        (Some(command), _) => {
            Err(format!("command {command} has another reply {where_}: {:?} there. {HINT}", other.replies[command].1))
        }
        (None, Some(entry)) => {
            let commands = one.replies.iter().filter(|(at, _)| *at <= entry).count();
            let difference = first_difference(&one.values[entry], &other.values[entry]);
            Err(format!("after {commands} commands the value is another {where_}: {difference}. {HINT}"))
        }
        (None, None) => Ok(()),
    }
}
