//! A member's value and all that is replicated with it: what committed entries do.
//!
//! The same entries give the same state machine on every member; nothing here looks at a clock, a die, or the order
//! of a hash map. Synchronous and without a runtime, so that it runs wherever it is put.
//!
//! User code runs behind [`guarded`], and only here: commands, queries, clones, and what serde calls.

mod snapshot;
#[cfg(test)]
mod tests;

use crate::batch::{Batch, BatchError};
use crate::config::{Config, OnPanic, SettingsError};
use crate::context::Context;
use crate::hooks::{Event, Told};
use crate::outcome::Outcome;
use crate::packet::{Envelope, Refused, Response, Session, SessionId};
use crate::profile;
use crate::remembered::{Limits, Remembered};
use crate::sessions::{Moment, Sessions, Ticket, WINDOW};
use crate::value::{Panicked, Value, decode, discard, encode, guarded};
use bytes::Bytes;
use rafted_value_core::{Config as CoreConfig, Entry, EntryId, LogIndex, Membership, Payload, SnapshotMeta};
use std::sync::Arc;
use std::time::Duration;

/// The value of one member, and what stands around it.
#[derive(Clone, PartialEq)]
pub(crate) struct StateMachine<V> {
    value: V,
    sessions: Sessions,
    remembered: Remembered,
    /// Replicated time: what all batches so far added up to.
    time_ms: u64,
    applied: EntryId,
    membership: Arc<Membership>,
    /// What every member's build knows.
    version: u32,
    core_config: Arc<CoreConfig>,
    /// The same settings, with ours readable.
    config: Config,
    halted: Option<Halted>,
}

/// What an entry did.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Applied {
    /// One per command, in their order. If the batch itself cannot be read there is exactly one, which goes to
    /// every caller of the entry. If the member halted, those at the end may be missing: their outcome is unknown.
    pub(crate) responses: Vec<Response>,
    /// If the group must halt on this member: why. The entry does not count as applied, nothing is applied any
    /// more, and queries and snapshots are refused.
    pub(crate) halt: Option<Halted>,
}

/// Why a member applies nothing any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Halted {
    /// The group's policy is to halt.
    #[error("command {offset} of entry {entry} panicked: {message}")]
    Panicked { entry: EntryId, offset: u32, message: String },
    /// Other members may know what it says; to skip it would make this one's value another one.
    #[error("entry {entry} holds {error}")]
    NewerBatch { entry: EntryId, error: BatchError },
    /// The same.
    #[error("entry {entry} holds {error}")]
    Settings { entry: EntryId, error: SettingsError },
}

impl<V: Value> StateMachine<V> {
    /// Begins with `value` as what the group holds at `base`, which is [`SnapshotMeta::empty`] for all but tests
    /// and groups that are given a first value.
    pub(crate) fn new(value: V, base: SnapshotMeta) -> Result<StateMachine<V>, SettingsError> {
        let config = Config::from_core(&base.config)?;
        Ok(StateMachine {
            value,
            sessions: Sessions::default(),
            remembered: Remembered::default(),
            time_ms: 0,
            applied: base.last_included,
            version: profile::value_version(&base.membership),
            membership: base.membership,
            core_config: base.config,
            config,
            halted: None,
        })
    }

    /// Opens a session as if it had been registered by the entry at `index`: for simulations that begin with one.
    pub(crate) fn admit(&mut self, index: LogIndex, nonce: u64) -> SessionId {
        self.sessions.register(Moment { place: (index, 0), time_ms: 0 }, nonce, self.config.max_sessions)
    }

    /// Applies the next committed entry; no hook hears of it.
    pub(crate) fn apply(&mut self, entry: &Entry) -> Applied {
        self.apply_and_tell(entry, &mut Told::nobody())
    }

    /// Applies the next committed entry, and collects what a hook shall be told of it.
    pub(crate) fn apply_and_tell(&mut self, entry: &Entry, told: &mut Told<V>) -> Applied {
        if let Some(halted) = &self.halted {
            return Applied { responses: Vec::new(), halt: Some(halted.clone()) };
        }
        assert_eq!(entry.id.index, self.applied.index.next(), "committed entries are applied in order");
        let applied = match &entry.payload {
            Payload::Noop => {
                told.add(|told| Event::Elected { value: told.value(&self.value), term: entry.id.term });
                Applied::default()
            }
            Payload::Membership(membership) => {
                self.tell_of_members(membership, told);
                self.membership = Arc::clone(membership);
                self.version = profile::value_version(membership);
                Applied::default()
            }
            Payload::Config(config) => self.apply_config(entry.id, config),
            Payload::Commands(bytes) => match Batch::decode(bytes.clone()) {
                Ok(batch) => self.apply_batch(entry.id, batch, told),
                Err(error @ BatchError::Newer(_)) => Applied::halted(Halted::NewerBatch { entry: entry.id, error }),
                Err(error) => {
                    let refused = Refused::Undecodable { message: error.to_string() };
                    Applied { responses: vec![Response::Refused(refused)], halt: None }
                }
            },
        };
        match &applied.halt {
            Some(halted) => self.halted = Some(halted.clone()),
            None => self.applied = entry.id,
        }
        applied
    }

    fn apply_config(&mut self, entry: EntryId, core_config: &Arc<CoreConfig>) -> Applied {
        match Config::from_core(core_config) {
            Ok(config) => {
                self.config = config;
                self.remembered.shrink(self.limits());
                self.core_config = Arc::clone(core_config);
                Applied::default()
            }
            Err(error) => Applied::halted(Halted::Settings { entry, error }),
        }
    }

    fn tell_of_members(&self, next: &Membership, told: &mut Told<V>) {
        let (old, new) = (&self.membership, next);
        for member in new.members().keys().copied().filter(|member| !old.contains(*member)) {
            told.add(|told| Event::Added { value: told.value(&self.value), member });
        }
        for member in old.members().keys().copied().filter(|member| !new.contains(*member)) {
            told.add(|told| Event::Removed { value: told.value(&self.value), member });
        }
    }

    fn apply_batch(&mut self, entry: EntryId, batch: Batch, told: &mut Told<V>) -> Applied {
        self.time_ms = self.time_ms.saturating_add(batch.elapsed_ms);
        // Before any of its commands: where sessions end does not depend on what they are used for.
        let timeout = u64::try_from(self.config.session_timeout.as_millis()).unwrap_or(u64::MAX);
        self.sessions.expire(self.time_ms, timeout);
        let time = Duration::from_millis(self.time_ms);
        let mut applied = Applied::default();
        for (offset, envelope) in (0..).zip(batch.envelopes) {
            let context = Context::new(entry.index, offset, entry.term, time, batch.seed).with_version(self.version);
            let (response, panicked) = self.apply_envelope(envelope, &context, told);
            applied.responses.push(response);
            if let Some(message) = panicked
                && self.config.on_panic == OnPanic::Halt
            {
                applied.halt = Some(Halted::Panicked { entry, offset, message });
                break;
            }
        }
        applied
    }

    /// The response; and if the command ran now, not earlier, and panicked: the message.
    fn apply_envelope(
        &mut self,
        envelope: Envelope,
        context: &Context,
        told: &mut Told<V>,
    ) -> (Response, Option<String>) {
        let place = (context.index(), context.offset());
        let now = Moment { place, time_ms: self.time_ms };
        let Session::Command { id, number, unacknowledged } = envelope.session else {
            let session = self.sessions.register(now, context.seed(), self.config.max_sessions);
            return (Response::Registered(session), None);
        };
        let ticket = Ticket { id, number, unacknowledged };
        let (on_panic, limits) = (self.config.on_panic, self.limits());
        let mut panicked = None;
        let command = &envelope.command;
        let mut run = || {
            let before = told.value(&self.value);
            let outcome = run(&mut self.value, command, context, on_panic);
            told.changed();
            match &outcome {
                Outcome::Applied(reply) => told.add(|told| Event::Committed {
                    before,
                    command: command.clone(),
                    reply: reply.clone(),
                    after: told.value(&self.value),
                    context: *context,
                }),
                Outcome::Panicked(message) => panicked = Some(message.clone()),
                Outcome::Undecodable(_) | Outcome::IdReused => {}
            }
            outcome
        };
        let response = self.sessions.once(now, ticket, WINDOW, || match &envelope.id {
            None => run(),
            Some(id) => self.remembered.once(place, id, command, limits, run),
        });
        (response, panicked)
    }

    fn limits(&self) -> Limits {
        Limits { results: self.config.max_retained_command_results, bytes: self.config.max_retained_result_bytes }
    }

    /// Answers an encoded query with an encoded answer.
    pub(crate) fn query(&self, query: &[u8]) -> Result<Bytes, Refused> {
        let query = decode_guarded(query).map_err(|message| Refused::Undecodable { message })?;
        match self.look(|value| encode(&value.query(query)))? {
            Ok(answer) => Ok(answer),
            Err(error) => Err(Refused::Panicked { message: unencodable("answer", error) }),
        }
    }

    /// Shows the value to a closure of the user's.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&V) -> T) -> Result<T, Refused> {
        let value = self.value()?;
        guarded(|| look(value)).map_err(|Panicked(message)| Refused::Panicked { message })
    }

    /// The value; not after a halt, when nobody may trust it.
    pub(crate) fn value(&self) -> Result<&V, Refused> {
        match self.halted {
            None => Ok(&self.value),
            Some(_) => Err(Refused::Stopped),
        }
    }

    /// The last entry that the value contains.
    pub(crate) fn applied(&self) -> EntryId {
        self.applied
    }

    /// The name of the hook in force.
    pub(crate) fn leader_hook(&self) -> Option<&str> {
        self.config.leader_hook.as_deref()
    }

    #[cfg(test)]
    /// The settings in force.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    #[cfg(test)]
    /// Replicated time.
    pub(crate) fn time(&self) -> Duration {
        Duration::from_millis(self.time_ms)
    }

    #[cfg(test)]
    /// How many client sessions are remembered.
    pub(crate) fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// What a snapshot made now contains.
    pub(crate) fn snapshot_meta(&self) -> SnapshotMeta {
        SnapshotMeta {
            last_included: self.applied,
            membership: Arc::clone(&self.membership),
            config: Arc::clone(&self.core_config),
        }
    }
}

impl Applied {
    fn halted(halted: Halted) -> Applied {
        Applied { responses: Vec::new(), halt: Some(halted) }
    }
}

/// Runs one command. Whatever user code does, there is an outcome, and `on_panic` says what the value is then.
///
/// A reply that cannot be encoded counts as a panic: the command ran, and its caller cannot be told what it said.
fn run<V: Value>(value: &mut V, command: &[u8], context: &Context, on_panic: OnPanic) -> Outcome {
    let command = match decode_guarded::<V::Command>(command) {
        Ok(command) => command,
        Err(message) => return Outcome::Undecodable(message),
    };
    match guarded(|| V::since(&command)) {
        Ok(since) if since <= context.version() => {}
        Ok(since) => return Outcome::Undecodable(too_new(since, context.version())),
        Err(Panicked(message)) => return Outcome::Undecodable(format!("a panic: {message}")),
    }
    let before = match on_panic {
        OnPanic::Restore => match guarded(|| value.clone()) {
            Ok(before) => Some(before),
            Err(Panicked(message)) => return Outcome::Panicked(message),
        },
        OnPanic::Keep | OnPanic::Halt => None,
    };
    let reply = guarded(|| encode(&value.command(command, context)));
    let (outcome, leftover) = match reply {
        Ok(Ok(reply)) => (Outcome::Applied(reply), before),
        Ok(Err(error)) => (Outcome::Panicked(unencodable("reply", error)), restore(value, before)),
        Err(Panicked(message)) => (Outcome::Panicked(message), restore(value, before)),
    };
    discard(leftover);
    outcome
}

/// Puts back what was before, if it was kept; what it replaces.
fn restore<V>(value: &mut V, before: Option<V>) -> Option<V> {
    before.map(|before| std::mem::replace(value, before))
}

/// A panic while decoding is bytes that cannot be decoded: nothing has run yet.
fn decode_guarded<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match guarded(|| decode(bytes)) {
        Ok(Ok(thing)) => Ok(thing),
        Ok(Err(error)) => Err(error.to_string()),
        Err(Panicked(message)) => Err(format!("a panic: {message}")),
    }
}

fn too_new(since: u32, version: u32) -> String {
    format!("it is of version {since} of the value, and some member's build knows version {version} only")
}

fn unencodable(what: &str, error: crate::value::CodecError) -> String {
    format!("the {what} cannot be encoded: {error}")
}
