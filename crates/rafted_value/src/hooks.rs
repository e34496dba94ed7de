//! Runs the hooks of one member: a bounded line of what happened, and a thread that works it off while there is any.
//!
//! A thread of its own and not one of the runtime's, of which there is a limited number: hooks that never return would
//! take them from the commands of other groups.

use crate::context::Context;
use crate::hook::LeaderHook;
use crate::value::{Panicked, Value, decode, guarded};
use bytes::Bytes;
use rafted_value_core::{MemberId, Term};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many calls may wait; how many, if each holds on to values; and how many bytes of commands and replies.
const LINE: usize = 4096;
const LINE_WITH_VALUES: usize = 64;
const LINE_BYTES: usize = 64 << 20;

/// For how long the thread waits for more before it ends.
const LINGER: Duration = Duration::from_secs(1);

/// How many hooks a member may register, and how long their names may be: they travel with every membership.
pub(crate) const MOST: usize = 64;
pub(crate) const LONGEST_NAME: usize = 255;

/// A hook as it was registered.
pub(crate) type Registered<V> = Arc<dyn LeaderHook<V>>;

/// The hooks of one member, and what they are to be told.
pub(crate) struct Hooks<V: Value> {
    group: String,
    registered: BTreeMap<String, Registered<V>>,
    line: Mutex<Line<V>>,
    more: Condvar,
}

struct Line<V: Value> {
    calls: VecDeque<(Registered<V>, Event<V>)>,
    bytes: usize,
    running: bool,
    /// How many were not told since the last call.
    missed: u64,
}

/// Something that a hook is told. Commands and what they came to are decoded by the hook's own thread.
pub(crate) enum Event<V> {
    Committed { before: Option<Arc<V>>, command: Bytes, reply: Bytes, after: Option<Arc<V>>, context: Context },
    Answered { value: Option<Arc<V>>, query: Bytes, answer: Bytes },
    Added { value: Option<Arc<V>>, member: MemberId },
    Removed { value: Option<Arc<V>>, member: MemberId },
    Restored { value: Option<Arc<V>> },
    Elected { value: Option<Arc<V>>, term: Term },
}

/// What the hook in force shall be told of one entry, collected while that is applied.
pub(crate) struct Told<V: Value> {
    hook: Option<Registered<V>>,
    wants_values: bool,
    /// The value as it is, if it was copied since it last changed.
    copy: Option<Arc<V>>,
    events: Vec<Event<V>>,
}

impl<V: Value> Hooks<V> {
    pub(crate) fn new(group: &str, registered: BTreeMap<String, Registered<V>>) -> Arc<Hooks<V>> {
        let line = Line { calls: VecDeque::new(), bytes: 0, running: false, missed: 0 };
        Arc::new(Hooks { group: group.to_owned(), registered, line: Mutex::new(line), more: Condvar::new() })
    }

    /// Collects for the hook of this name.
    pub(crate) fn listen(&self, name: Option<&str>) -> Told<V> {
        let hook = name.and_then(|name| self.registered.get(name)).cloned();
        let wants_values = hook.as_ref().is_some_and(|hook| guarded(|| hook.wants_values()).unwrap_or(false));
        Told { hook, wants_values, copy: None, events: Vec::new() }
    }

    /// Queues what was collected; never waits.
    pub(crate) fn tell(self: &Arc<Self>, told: Told<V>) {
        let Told { hook: Some(hook), wants_values, events, .. } = told else { return };
        if events.is_empty() {
            return;
        }
        let limit = if wants_values { LINE_WITH_VALUES } else { LINE };
        let mut refused = Vec::new();
        let idle = {
            let mut line = self.line();
            for event in events {
                match line.calls.len() < limit && line.bytes + event.bytes() <= LINE_BYTES {
                    true => line.push(hook.clone(), event),
                    false => refused.push(event),
                }
            }
            line.missed += refused.len() as u64;
            !std::mem::replace(&mut line.running, true)
        };
        // Letting go of values is user code, which may panic.
        crate::value::discard(refused);
        match idle {
            true => self.start(),
            false => self.more.notify_one(),
        }
    }

    fn start(self: &Arc<Self>) {
        let hooks = self.clone();
        let started = std::thread::Builder::new().name("rafted-hook".to_owned()).spawn(move || hooks.run());
        if let Err(error) = started {
            // What waits is told when there is a thread again.
            tracing::warn!(group = %self.group, %error, "the hook has no thread");
            self.line().running = false;
        }
    }

    fn run(&self) {
        while let Some((hook, event, missed)) = self.next() {
            if missed > 0 {
                tracing::warn!(group = %self.group, missed, "the hook is too slow");
                self.call(|| hook.on_overrun(missed));
            }
            self.call(|| {
                if let Err(error) = event.tell(&*hook) {
                    tracing::error!(group = %self.group, %error, "the hook cannot be told");
                }
            });
        }
    }

    /// Runs user code; dropping what it was told included.
    fn call(&self, call: impl FnOnce()) {
        if let Err(Panicked(message)) = guarded(call) {
            tracing::error!(group = %self.group, %message, "the hook panicked");
        }
    }

    fn next(&self) -> Option<(Registered<V>, Event<V>, u64)> {
        let mut line = self.line();
        if line.calls.is_empty() {
            let wait = self.more.wait_timeout_while(line, LINGER, |line| line.calls.is_empty());
            line = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
        let Some((hook, event)) = line.calls.pop_front() else {
            line.running = false;
            return None;
        };
        line.bytes -= event.bytes();
        let missed = std::mem::take(&mut line.missed);
        Some((hook, event, missed))
    }

    fn line(&self) -> MutexGuard<'_, Line<V>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V: Value> Line<V> {
    fn push(&mut self, hook: Registered<V>, event: Event<V>) {
        self.bytes += event.bytes();
        self.calls.push_back((hook, event));
    }
}

impl<V: Value> Event<V> {
    fn bytes(&self) -> usize {
        match self {
            Event::Committed { command, reply, .. } => command.len() + reply.len(),
            Event::Answered { query, answer, .. } => query.len() + answer.len(),
            Event::Added { .. } | Event::Removed { .. } | Event::Elected { .. } | Event::Restored { .. } => 0,
        }
    }

    fn tell(self, hook: &dyn LeaderHook<V>) -> Result<(), crate::value::CodecError> {
        match self {
            Event::Committed { before, command, reply, after, context } => {
                let (command, reply) = (decode(&command)?, decode(&reply)?);
                hook.on_command_committed(before.as_deref(), &command, &reply, after.as_deref(), &context);
            }
            Event::Answered { value, query, answer } => {
                hook.on_query_answered(value.as_deref(), &decode(&query)?, &decode(&answer)?);
            }
            Event::Added { value, member } => hook.on_follower_added(value.as_deref(), member),
            Event::Removed { value, member } => hook.on_follower_removed(value.as_deref(), member),
            Event::Restored { value } => hook.on_restored_from_files(value.as_deref()),
            Event::Elected { value, term } => hook.on_elected(value.as_deref(), term),
        }
        Ok(())
    }
}

impl<V: Value> Told<V> {
    /// Nobody listens.
    pub(crate) fn nobody() -> Told<V> {
        Told { hook: None, wants_values: false, copy: None, events: Vec::new() }
    }

    /// The value as it is, if the hook wants it.
    pub(crate) fn value(&mut self, value: &V) -> Option<Arc<V>> {
        if self.wants_values && self.copy.is_none() {
            match guarded(|| value.clone()) {
                Ok(copy) => self.copy = Some(Arc::new(copy)),
                Err(Panicked(message)) => tracing::error!(%message, "the value cannot be copied for the hook"),
            }
        }
        self.copy.clone()
    }

    /// The value is no longer what it was.
    pub(crate) fn changed(&mut self) {
        self.copy = None;
    }

    /// Something happened, of which whoever listens is told.
    pub(crate) fn add(&mut self, event: impl FnOnce(&mut Told<V>) -> Event<V>) {
        if self.hook.is_some() {
            let event = event(self);
            self.events.push(event);
        }
    }
}
