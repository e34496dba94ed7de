//! What users write: the value to replicate. And the only place where it becomes bytes, or is run at all.

use crate::context::Context;
use crate::upgrade::{CannotUpgrade, OldValue};
use bytes::Bytes;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A value that a group of members holds in common.
///
/// Every member has the whole value and runs the same commands on it in the same order. What changes the value is a
/// [`Command`](Value::Command), what only looks is a [`Query`](Value::Query).
///
/// # Determinism
///
/// `command` must do the same on every member, today and when the log is read again after a restart. It may use the
/// value, the command and the [`Context`], and nothing else: no clock, no random numbers, no files, no environment,
/// no order of iteration of a `HashMap` or `HashSet` (use `BTreeMap`, or `indexmap`), no addresses of objects. Time
/// and random numbers that are the same everywhere come from the [`Context`]. A member that computes something else
/// than the others holds another value from then on, and nobody notices at once: [`testing::Check`](crate::testing::Check)
/// does, in a unit test.
///
/// # Panics in user code
///
/// A panic in `command` is caught, on every member alike; the caller gets its message as an error, and so does a
/// retry of the same command. What becomes of the value is [`OnPanic`](crate::OnPanic) in the group's
/// [`Config`](crate::Config): as it is by default, the value stays what the panic left, which for code that checks
/// before it changes is the value before. A panic in `query` is an error to its caller and nothing else. None of
/// this works with `panic = "abort"`, and a stack overflow or running out of memory is not a panic.
///
/// # Bytes
///
/// Commands and queries travel, and values are sent whole to members that lag far behind and written to disk, in the
/// encoding that serde gives them: MessagePack with the names of fields. So a type may gain a field with
/// `#[serde(default)]`, lose a field, or gain a variant that is not used before every member knows it. MessagePack
/// cannot tell `Some(())` and `Some(None)` from `None`. Things stand within each other at most 128 levels deep.
///
/// A snapshot of the value is a clone of it, encoded while the group goes on. For large values make `clone` cheap:
/// with persistent collections (`imbl`, `rpds`) it costs next to nothing, otherwise commands wait for one clone.
///
/// # Example
///
/// A queue of jobs:
///
/// ```
/// use rafted_value::{Context, Value};
/// use serde::{Deserialize, Serialize};
/// use std::collections::VecDeque;
///
/// #[derive(Clone, Default, Serialize, Deserialize)]
/// struct Jobs {
///     queue: VecDeque<String>,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// enum Command {
///     Enqueue(String),
///     Dequeue,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// enum Query {
///     Length,
/// }
///
/// impl Value for Jobs {
///     const NAME: &'static str = "jobs";
///     type Command = Command;
///     type Reply = Option<String>;
///     type Query = Query;
///     type Answer = usize;
///
///     fn new() -> Jobs {
///         Jobs::default()
///     }
///
///     fn command(&mut self, command: Command, _: &Context) -> Option<String> {
///         match command {
///             Command::Enqueue(job) => {
///                 self.queue.push_back(job);
///                 None
///             }
///             Command::Dequeue => self.queue.pop_front(),
///         }
///     }
///
///     fn query(&self, query: Query) -> usize {
///         match query {
///             Query::Length => self.queue.len(),
///         }
///     }
/// }
///
/// // It is a plain value: test it without any group.
/// let mut jobs = Jobs::new();
/// jobs.command(Command::Enqueue("sweep".into()), &Context::default());
/// assert_eq!(jobs.query(Query::Length), 1);
/// assert_eq!(jobs.command(Command::Dequeue, &Context::default()), Some("sweep".into()));
/// ```
#[doc(alias = "Data")]
pub trait Value: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name of this type between nodes and on disk: a group of another name is not joined, a snapshot of
    /// another name is not restored. Also the default name of a group. Never change it for a type that is in use.
    const NAME: &'static str;
    /// The version of this type: raise it with every change that an older build could not read, or that changes what
    /// a command does. See [`upgrade`](Value::upgrade) and [`since`](Value::since).
    const VERSION: u32 = 0;
    /// What may change the value.
    type Command: Serialize + DeserializeOwned + Send + 'static;
    /// What the caller of a command gets. Remembered until the caller has it, so keep it small.
    type Reply: Serialize + DeserializeOwned + Send + 'static;
    /// What may be asked.
    type Query: Serialize + DeserializeOwned + Send + 'static;
    /// What the caller of a query gets.
    type Answer: Serialize + DeserializeOwned + Send + 'static;

    /// The value that a new group starts with.
    fn new() -> Self;

    /// Changes the value; runs once per command on every member. Must be deterministic, see [`Value`].
    fn command(&mut self, command: Self::Command, context: &Context) -> Self::Reply;

    /// Looks at the value; runs on one member only.
    fn query(&self, query: Self::Query) -> Self::Answer;

    /// Makes a value of one that an older version wrote: on disk, or at a leader that runs an older build. By default
    /// the bytes are read as if they were of this version, which is right for fields that were added with
    /// `#[serde(default)]`. A value of a *newer* version is never read: the member says so and does not begin.
    ///
    /// Must give the same on every member, like a command.
    ///
    /// ```
    /// # use rafted_value::{CannotUpgrade, Context, OldValue, Value};
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(Clone, Serialize, Deserialize)]
    /// struct Stock {
    ///     grams: u64, // version 0 counted kilograms
    /// }
    ///
    /// impl Value for Stock {
    ///     # const NAME: &'static str = "stock";
    ///     # type Command = (); type Reply = (); type Query = (); type Answer = u64;
    ///     # fn new() -> Stock { Stock { grams: 0 } }
    ///     # fn command(&mut self, _: (), _: &Context) {}
    ///     # fn query(&self, _: ()) -> u64 { self.grams }
    ///     // ...
    ///     const VERSION: u32 = 1;
    ///
    ///     fn upgrade(old: OldValue<'_>) -> Result<Stock, CannotUpgrade> {
    ///         #[derive(Deserialize)]
    ///         struct Before {
    ///             kilograms: u64,
    ///         }
    ///         Ok(Stock { grams: old.decode::<Before>()?.kilograms * 1000 })
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// If there is no way: the member does not begin, and says why.
    fn upgrade(old: OldValue<'_>) -> Result<Self, CannotUpgrade> {
        old.decode()
    }

    /// From which version on builds know `command`. One that is newer than the oldest build among the members is not applied,
    /// by any of them; its caller gets [`CommandError::Undecodable`](crate::CommandError::Undecodable), and may ask again
    /// when the last member has been upgraded. Without this, members that know a new variant would apply it and the others could not.
    ///
    /// For a command that stays and does something else from some version on, ask [`Context::version`] instead.
    #[allow(unused_variables)] // its name is documentation
    fn since(command: &Self::Command) -> u32 {
        0
    }
}

/// Why something of the user's is not what it should be, in the words of serde.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct CodecError(pub(crate) String);

/// The message of a panic in user code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Panicked(pub(crate) String);

/// What a message of user code is cut to: it travels, and is remembered in sessions.
const MESSAGE_LIMIT: usize = 1024;

/// How deep lists, maps, structs and enum variants may stand within each other.
const NESTING_LIMIT: usize = 128;

/// The one encoding of everything that users define.
pub(crate) fn encode<T: Serialize + ?Sized>(thing: &T) -> Result<Bytes, CodecError> {
    let mut bytes = Vec::new();
    encode_into(&mut bytes, thing)?;
    Ok(Bytes::from(bytes))
}

/// As [`encode`], behind what stands in `bytes` already: a large value is written where it will stay.
pub(crate) fn encode_into<T: Serialize + ?Sized>(bytes: &mut Vec<u8>, thing: &T) -> Result<(), CodecError> {
    let start = bytes.len();
    rmp_serde::encode::write_named(bytes, thing).map_err(wrong)?;
    // Nothing may be written that could not be read again, least of all a snapshot.
    check(&bytes[start..])
}

/// Reads what [`encode`] wrote.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    check(bytes)?;
    rmp_serde::from_slice(bytes).map_err(wrong)
}

/// Exactly one thing of at most [`NESTING_LIMIT`] levels.
///
/// Serde's code for a type that contains itself calls itself once per level, and the library's own limit counts no
/// enums: a few kilobytes from a hostile caller would end the stack, and with it the process of every member.
fn check(bytes: &[u8]) -> Result<(), CodecError> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
    deserializer.set_max_depth(NESTING_LIMIT + 1);
    IgnoredAny::deserialize(&mut deserializer).map_err(wrong)?;
    // A slice fails to yield another marker only at its end.
    match u8::deserialize(&mut deserializer) {
        Err(rmp_serde::decode::Error::InvalidMarkerRead(_)) => Ok(()),
        _ => Err(CodecError("something follows at the end".to_owned())),
    }
}

fn wrong(error: impl ToString) -> CodecError {
    CodecError(cut(error.to_string()))
}

/// Runs user code; a panic becomes an error.
///
/// What the code was changing is left as it is: whether to go on with it is [`OnPanic`](crate::OnPanic)'s matter.
pub(crate) fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        let message = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
            (Some(message), _) => (*message).to_owned(),
            (None, Some(message)) => message.clone(),
            (None, None) => {
                // Dropping it would run code of the user's outside of the guard.
                std::mem::forget(payload);
                "a panic without a message".to_owned()
            }
        };
        Panicked(cut(message))
    })
}

/// Drops something of the user's, whose `drop` may panic too. There is nobody to tell.
pub(crate) fn discard<T>(thing: T) {
    let _ = guarded(|| drop(thing));
}

fn cut(mut message: String) -> String {
    if message.len() > MESSAGE_LIMIT {
        let end = (0..=MESSAGE_LIMIT).rev().find(|at| message.is_char_boundary(*at));
        message.truncate(end.unwrap_or(0));
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_names_so_that_types_can_grow() {
        #[derive(Serialize)]
        struct Old {
            kept: u8,
            dropped: u8,
        }
        #[derive(Debug, PartialEq, Deserialize)]
        struct New {
            #[serde(default)]
            added: u8,
            kept: u8,
        }
        let bytes = encode(&Old { kept: 7, dropped: 8 }).unwrap();
        assert_eq!(decode(&bytes), Ok(New { added: 0, kept: 7 }));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let cases: [(&[u8], &str); 4] = [
            (b"", "IO error while reading marker: failed to fill whole buffer"),
            (b"\xa1x", "wrong msgpack marker FixStr(1)"),
            (b"\x01\x91", "something follows at the end"),
            (b"\xcd\x01\x00", "invalid value: integer `256`, expected u8"),
        ];
        for (bytes, message) in cases {
            assert_eq!(decode::<u8>(bytes).unwrap_err().to_string(), message, "{bytes:?}");
        }
    }

    #[test]
    fn the_documented_limits_of_the_encoding() {
        assert_eq!(decode::<Option<()>>(&encode(&Some(())).unwrap()), Ok(None));
        assert_eq!(decode::<Option<Option<u8>>>(&encode(&Some(None::<u8>)).unwrap()), Ok(None));
    }

    #[test]
    fn deep_nesting_is_refused_before_the_stack_ends() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        enum Nested {
            End,
            List(Vec<Nested>),
            Boxed(Box<Nested>),
        }
        type Wrap = fn(Nested) -> Nested;
        let cases: [(Wrap, usize); 2] =
            [(|inner| Nested::Boxed(Box::new(inner)), 1), (|inner| Nested::List(vec![inner]), 2)];
        for (wrap, levels) in cases {
            let deepest = (0..NESTING_LIMIT / levels).fold(Nested::End, |inner, _| wrap(inner));
            let bytes = encode(&deepest).unwrap();
            assert_eq!(decode::<Nested>(&bytes).as_ref(), Ok(&deepest));
            assert_eq!(encode(&wrap(deepest)).unwrap_err().to_string(), "depth limit exceeded");

            let hostile = [bytes[..bytes.len() - 4].repeat(1000), b"\xa3End".to_vec()].concat();
            assert_eq!(decode::<Nested>(&hostile).unwrap_err().to_string(), "depth limit exceeded");
        }
    }

    #[test]
    fn panics_become_messages() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        assert_eq!(guarded(|| 1), Ok(1));
        assert_eq!(guarded(|| panic!("plain")), Err::<(), _>(Panicked("plain".into())));
        assert_eq!(guarded(|| panic!("number {}", 7)), Err::<(), _>(Panicked("number 7".into())));
        let odd = guarded(|| std::panic::panic_any(Bomb));
        assert_eq!(odd, Err::<(), _>(Panicked("a panic without a message".into())));
        discard(Bomb);
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let message = "x".to_owned() + &"é".repeat(MESSAGE_LIMIT);
        let Panicked(cut) = guarded(|| -> () { panic!("{message}") }).unwrap_err();
        assert_eq!(cut.len(), MESSAGE_LIMIT - 1);
        assert!(message.starts_with(&cut));
    }
}
