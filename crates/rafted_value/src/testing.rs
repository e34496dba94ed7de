//! Checks that a [`Value`] of yours is one that a group can hold, in a few lines of a unit test.
//!
//! A [`Check`] makes histories of commands with your generator and asks of each:
//!
//! - **Does it do the same everywhere?** Replays on fresh values, each on a thread of its own with hash seeds of its own,
//!   must give the same replies and, encoded, the same value.
//! - **Does a snapshot contain everything?** A value that is encoded and decoded between any two commands must go on as
//!   the one that was not.
//! - **Can yesterday's bytes still be read?** Those that you keep as golden bytes: [`Check::old_value`],
//!   [`Check::old_command`].
//! - **Does it survive its leader?** A group of three in this process, whose leader is stopped while commands are under
//!   way: each command is applied exactly once, and all members hold what a replay of them gives.
//!
//! A failure names its seed; [`Check::seed`] plays it again.
//!
//! # Example
//!
//! This value counts words, and answers with the most frequent one; but which one, if two are as frequent, depends on the
//! order of a `HashMap`, which is another one on every member:
//!
//! ```
//! use rafted_value::testing::Check;
//! use rafted_value::{Context, Value};
//! use serde::{Deserialize, Serialize};
//! use std::collections::HashMap;
//!
//! #[derive(Clone, Default, Serialize, Deserialize)]
//! struct Words {
//!     count: HashMap<String, u64>, // with a BTreeMap, the check passes
//! }
//!
//! impl Value for Words {
//!     const NAME: &'static str = "words";
//!     type Command = String;
//!     type Reply = Option<String>;
//!     type Query = ();
//!     type Answer = ();
//!
//!     fn new() -> Words {
//!         Words::default()
//!     }
//!
//!     fn command(&mut self, word: String, _: &Context) -> Option<String> {
//!         *self.count.entry(word).or_default() += 1;
//!         self.count.iter().max_by_key(|(_, count)| **count).map(|(word, _)| word.clone())
//!     }
//!
//!     fn query(&self, (): ()) {}
//! }
//!
//! let words = ["raft", "paxos", "zab", "viewstamped"];
//! let check = Check::<Words>::new(move |dice| dice.one_of(&words).to_string());
//! let failure = check.run().unwrap_err();
//! assert!(failure.to_string().contains("on another member"), "{failure}");
//! ```

mod group;
mod replay;

use crate::timers;
use crate::value::{self, Value};
use std::fmt;

type Generate<C> = Box<dyn Fn(&mut Dice) -> C>;

/// What is to be checked; see [the module](self).
pub struct Check<V: Value> {
    generate: Generate<V::Command>,
    seed: Option<u64>,
    histories: u64,
    commands: usize,
    old_values: Vec<Vec<u8>>,
    old_commands: Vec<Vec<u8>>,
    with_group: bool,
}

/// What is wrong with a value, and how to see it again.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    seed: u64,
    what: String,
}

/// Where a generator of commands gets its choices from: the same seed makes the same choices.
pub struct Dice(fastrand::Rng);

impl<V: Value> Check<V> {
    /// A check of `V` with the commands that `generate` makes. Make every kind of command, and few different keys, so
    /// that commands meet.
    pub fn new(generate: impl Fn(&mut Dice) -> V::Command + 'static) -> Check<V> {
        Check {
            generate: Box::new(generate),
            seed: None,
            histories: 20,
            commands: 100,
            old_values: Vec::new(),
            old_commands: Vec::new(),
            with_group: true,
        }
    }

    /// Makes exactly the history of this seed, as a failure names it. Otherwise each run makes new ones.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// How many histories are made; 20 unless said.
    #[must_use]
    pub fn histories(mut self, histories: u64) -> Self {
        self.histories = histories;
        self
    }

    /// How many commands each has; 100 unless said.
    #[must_use]
    pub fn commands(mut self, commands: usize) -> Self {
        self.commands = commands;
        self
    }

    /// Bytes of a value that an earlier build made with [`encode`]: this build must read them. They are read as bytes of
    /// the present [`Value::VERSION`].
    #[must_use]
    pub fn old_value(mut self, bytes: &[u8]) -> Self {
        self.old_values.push(bytes.to_vec());
        self
    }

    /// Bytes of a command that an earlier build made with [`encode`]: this build must read them, since they may stand in
    /// a log on disk.
    #[must_use]
    pub fn old_command(mut self, bytes: &[u8]) -> Self {
        self.old_commands.push(bytes.to_vec());
        self
    }

    /// Leaves out the group whose leader is stopped, which takes a second or two.
    #[must_use]
    pub fn without_group(mut self) -> Self {
        self.with_group = false;
        self
    }

    /// Checks everything. Blocks; may be called from anywhere, also from within a runtime.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    ///
    /// # Panics
    ///
    /// If `generate` panics, or a command that it made cannot be encoded.
    pub fn run(self) -> Result<(), Failure> {
        let (first, histories) = self.seed.map_or((timers::seed() >> 1, self.histories), |seed| (seed, 1));
        let failed = |seed| move |what| Failure { seed, what };
        self.read_old_bytes().map_err(failed(first))?;
        for seed in first..first + histories {
            let mut dice = Dice::new(seed);
            let commands: Vec<Vec<u8>> = (0..self.commands).map(|_| encode(&(self.generate)(&mut dice))).collect();
            replay::check::<V>(&commands, &mut dice).map_err(failed(seed))?;
            if self.with_group && seed == first {
                group::check::<V>(&commands).map_err(failed(seed))?;
            }
        }
        Ok(())
    }

    fn read_old_bytes(&self) -> Result<(), String> {
        for (n, bytes) in self.old_values.iter().enumerate() {
            let read = value::decode::<V>(bytes);
            read.map_err(|error| format!("old value {n} cannot be read any more: {error}"))?;
        }
        for (n, bytes) in self.old_commands.iter().enumerate() {
            let read = value::decode::<V::Command>(bytes);
            read.map_err(|error| format!("old command {n} cannot be read any more: {error}"))?;
        }
        Ok(())
    }
}

/// The bytes of a value or of a command, as members send and keep them: keep some as golden bytes.
///
/// # Panics
///
/// If serde cannot encode it.
pub fn encode<T: serde::Serialize>(thing: &T) -> Vec<u8> {
    value::encode(thing).unwrap_or_else(|error| panic!("it cannot be encoded: {error}")).to_vec()
}

impl Dice {
    fn new(seed: u64) -> Dice {
        Dice(fastrand::Rng::with_seed(seed))
    }

    /// A number below `limit`, which must not be zero.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0.u64(..limit)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// Heads or tails.
    pub fn flip(&mut self) -> bool {
        self.0.bool()
    }

    /// One of several things.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn one_of<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        &things[self.0.usize(..things.len())]
    }
}

impl Failure {
    /// Which history it was.
    pub fn seed(&self) -> u64 {
        self.seed
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (to see it again: .seed({}))", self.what, self.seed)
    }
}

/// As it is displayed, so that `unwrap` says what is wrong.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failure {}

/// Where two encodings first differ, for people.
fn first_difference(one: &[u8], other: &[u8]) -> String {
    let at = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    format!("encoded, they are {} and {} bytes and differ from byte {at} on", one.len(), other.len())
}

#[cfg(test)]
mod tests;
