//! What a deterministic command may not take from its machine.

use rafted_value_core::{LogIndex, Term};
use std::time::Duration;

/// What is known about a command where it runs; the same on every member.
///
/// In tests of a [`Value`](crate::Value), begin with `Context::default()`, the first command of a new group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    index: LogIndex,
    offset: u32,
    term: Term,
    time: Duration,
    seed: u64,
    version: u32,
}

impl Context {
    pub(crate) fn new(index: LogIndex, offset: u32, term: Term, time: Duration, batch_seed: u64) -> Context {
        Context { index, offset, term, time, seed: mix(batch_seed, offset), version: 0 }
    }

    /// Which entry of the log carries the command. Commands that waited together share an entry.
    pub fn index(&self) -> LogIndex {
        self.index
    }

    /// Which command of its entry this is. Index and offset together name one command for good.
    pub fn offset(&self) -> u32 {
        self.offset
    }

    /// The term of the leader that took the command.
    pub fn term(&self) -> Term {
        self.term
    }

    /// For how long the group has been counting: *replicated time*.
    ///
    /// The leader adds to each batch of commands the milliseconds since the batch before, ten seconds at most. So it
    /// never goes back, it is the same on every member and in every replay, and it stands still while a group is
    /// without a leader or without commands for long: it is at most the true time since the group began. Good for expiry ("not before
    /// ten minutes from now"), not for calendars: put a date into the command for that.
    pub fn time(&self) -> Duration {
        self.time
    }

    /// A random number for this command, to seed any generator with: 64 bits, other ones for every command.
    ///
    /// The leader draws 64 bits per batch; this is output `offset + 1` of the generator SplitMix64 started with
    /// them. Enough to spread and to shuffle, not a secret: whoever reads the log knows it.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The [`Value::VERSION`](crate::Value::VERSION) of the oldest build among the members when the command is applied, learners
    /// included: what every member can do. It rises when the last one has been upgraded, at the same command everywhere,
    /// and never falls, because an older build is not taken in any more.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The same with another version; for tests of a value.
    #[must_use]
    pub fn with_version(self, version: u32) -> Context {
        Context { version, ..self }
    }

    /// The same at another place in the log.
    pub(crate) fn with_place(self, index: u64, offset: u32, term: u64) -> Context {
        Context { index: LogIndex(index), offset, term: Term(term), ..self }
    }

    /// The same with another index; for tests of a value.
    #[must_use]
    pub fn with_index(self, index: u64) -> Context {
        Context { index: LogIndex(index), ..self }
    }

    /// The same with another time; for tests of a value.
    #[must_use]
    pub fn with_time(self, time: Duration) -> Context {
        Context { time, ..self }
    }

    /// The same with another seed; for tests of a value.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Context {
        Context { seed, ..self }
    }
}

impl Default for Context {
    /// The first command of a new group: index 1, term 1, time zero, seed 0, version 0.
    fn default() -> Context {
        Context { index: LogIndex(1), offset: 0, term: Term(1), time: Duration::ZERO, seed: 0, version: 0 }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): jumps to output `offset + 1` of the generator that starts at `seed`.
/// Part of what members agree on: changing it changes values that use seeds.
fn mix(seed: u64, offset: u32) -> u64 {
    let mut z = seed.wrapping_add((u64::from(offset) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_the_published_outputs_of_splitmix64() {
        let outputs = [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f];
        for (offset, output) in (0..).zip(outputs) {
            assert_eq!(Context::new(LogIndex(9), offset, Term(2), Duration::ZERO, 0).seed(), output);
        }
    }

    #[test]
    fn tests_of_values_can_set_what_they_need() {
        let context = Context::default().with_index(5).with_time(Duration::from_secs(6)).with_seed(7);
        assert_eq!((context.index(), context.offset(), context.term()), (LogIndex(5), 0, Term(1)));
        assert_eq!((context.time(), context.seed()), (Duration::from_secs(6), 7));
    }
}
