//! Runs the state machine of one member apart from the loop, on a thread of its own and only while there is work: no
//! heartbeat waits for user code.

use crate::contact::MemberOf;
use crate::errands::{self, Errand};
use crate::hooks::{self, Hooks};
use crate::mailbox::{Event, Mailbox};
use crate::packet::{Refused, Response};
use crate::state_machine::{Applied, StateMachine};
use crate::timers;
use crate::value::{self, Value};
use crate::waiting::Caller;
use bytes::Bytes;
use rafted_value_core::{Entry, LogIndex, SnapshotMeta};
use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, TryLockError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

/// For how long commands are applied before readers get a turn, and how long they are then waited for at most.
const TURN: Duration = Duration::from_micros(50);
const READERS_TURN: Duration = Duration::from_micros(100);

/// The state machine of one member, the work that waits for it, and the readers that wait for the work.
pub(crate) struct Applier<V: Value> {
    /// Never waited for by a future: one that is not polled could hold up everybody.
    state: RwLock<StateMachine<V>>,
    /// Somebody may read again.
    turn_ended: Notify,
    /// How many futures want to.
    readers: AtomicUsize,
    line: Mutex<Line>,
    /// The last entry that the value contains, for whoever does not want to wait for the line.
    applied: AtomicU64,
    hooks: Arc<Hooks<V>>,
    mailbox: Arc<Mailbox>,
    runtime: Handle,
}

struct Line {
    /// Whose machine it is.
    at: MemberOf,
    work: VecDeque<Work>,
    running: bool,
    applied: LogIndex,
    readers: BTreeMap<LogIndex, Vec<oneshot::Sender<()>>>,
    pace: Pace,
    stopped: bool,
}

/// Whether commands are so quick that a caller's thread may apply them: only after many in a row were, and after each
/// slow one twice as many.
struct Pace {
    quick: u32,
    needed: u32,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { quick: 0, needed: 64 }
    }
}

impl Pace {
    /// A command that takes longer is slow.
    const LIMIT: Duration = Duration::from_millis(1);

    fn is_quick(&self) -> bool {
        self.quick >= self.needed
    }

    fn took(&mut self, time: Duration) {
        if time > Pace::LIMIT {
            *self = Pace { quick: 0, needed: self.needed.saturating_mul(2).min(1 << 16) };
        } else {
            self.quick = self.quick.saturating_add(1);
        }
        if self.quick > 1 << 17 {
            // Long forgiven: it may only have been the machine.
            *self = Pace { needed: Pace::default().needed, ..*self };
        }
    }
}

impl Line {
    fn new(at: MemberOf, applied: LogIndex) -> Line {
        Line {
            at,
            work: VecDeque::new(),
            running: false,
            applied,
            readers: BTreeMap::new(),
            pace: Pace::default(),
            stopped: false,
        }
    }
}

/// Something to do to a value, in order.
pub(crate) enum Work {
    /// Apply a committed entry and answer the callers of its commands.
    Apply {
        entry: Entry,
        callers: Vec<Caller>,
        /// Whether this is for the leader's hook to hear.
        heard: bool,
        /// Whether it is the first that a member restored from disk commits as the leader.
        restored: bool,
    },
    /// From here on it is the machine of another incarnation of the group: of what it has, or of nothing.
    Begin { at: MemberOf, keeps: bool, done: oneshot::Sender<()> },
    /// Replace the value by one that arrived, as [`Machine::decode`] made it.
    Install(Box<dyn Any + Send>),
}

/// An applier of whatever value, as the loop sees it.
pub(crate) trait Machine: Send + Sync {
    /// Queues work; never waits.
    fn submit(self: Arc<Self>, work: Work);
    /// Does some of it on this thread, because it is quick.
    fn apply_here(self: Arc<Self>);
    /// Does it on a thread of its own.
    fn apply_elsewhere(self: Arc<Self>);
    /// Answers a query once the value contains `index`; never waits. The hook hears of what a leader answers.
    fn query(self: Arc<Self>, index: LogIndex, query: Bytes, heard: bool, caller: Caller);
    /// The value as of now, encoded. Takes as long as that takes: not for the loop.
    fn snapshot(&self) -> Result<(SnapshotMeta, Bytes), String>;
    /// Makes a state of bytes that arrived, if they are sound. Takes as long as that takes: not for the loop.
    fn decode(&self, snapshot: SnapshotMeta, bytes: Bytes) -> Result<Box<dyn Any + Send>, String>;
    /// The last entry that the value contains.
    fn applied(&self) -> LogIndex;
    /// The version of the value's type in this build.
    fn value_version(&self) -> u32;
    /// The same, if the machine is this member's by now.
    fn applied_by(&self, member: MemberOf) -> Option<LogIndex>;
    /// Lets go of everyone who waits.
    fn stop(&self);
}

impl<V: Value> Applier<V> {
    pub(crate) fn new(
        state: StateMachine<V>,
        hooks: Arc<Hooks<V>>,
        at: MemberOf,
        mailbox: Arc<Mailbox>,
        runtime: Handle,
    ) -> Arc<Applier<V>> {
        let applied = state.applied().index;
        let line = Mutex::new(Line::new(at, applied));
        let (state, applied) = (RwLock::new(state), AtomicU64::new(applied.0));
        let (turn_ended, readers) = (Notify::new(), AtomicUsize::new(0));
        Arc::new(Applier { state, turn_ended, readers, line, applied, hooks, mailbox, runtime })
    }

    /// Reads the value once it contains `index`, on the caller's own thread. Cancellation safe.
    pub(crate) async fn read<R>(
        &self,
        index: LogIndex,
        read: impl FnOnce(&StateMachine<V>) -> R,
    ) -> Result<R, Refused> {
        self.contains(index).await?;
        self.read_when(index, read).await
    }

    /// The same for an index that may never come: leaves nothing behind when it is given up.
    pub(crate) async fn read_when<R>(
        &self,
        index: LogIndex,
        read: impl FnOnce(&StateMachine<V>) -> R,
    ) -> Result<R, Refused> {
        let mut waiting = Some(Waiting::new(&self.readers));
        loop {
            let turn = self.turn_ended.notified();
            tokio::pin!(turn);
            // Before looking, so that the end of a turn is not missed.
            turn.as_mut().enable();
            if self.line().stopped {
                return Err(Refused::Stopped);
            }
            if let Some(state) = self.try_read() {
                if state.applied().index >= index {
                    return Ok(read(&state));
                }
                // Nobody holds up commands for what they have not done yet.
                drop(waiting.take());
            }
            turn.await;
        }
    }

    /// Answers a query of a caller in this process, which the leader does.
    pub(crate) fn answer(&self, state: &StateMachine<V>, query: V::Query) -> Result<V::Answer, Refused> {
        let Some(hook) = state.leader_hook() else { return state.look(|value| value.query(query)) };
        let asked = value::guarded(|| value::encode(&query)).ok().and_then(Result::ok);
        let answer = state.look(|value| value.query(query))?;
        let answered = value::guarded(|| value::encode(&answer)).ok().and_then(Result::ok);
        if let (Some(asked), Some(answered)) = (asked, answered) {
            self.tell_of_query(state, hook, asked, answered);
        }
        Ok(answer)
    }

    fn tell_of_query(&self, state: &StateMachine<V>, hook: &str, query: Bytes, answer: Bytes) {
        let mut told = self.hooks.listen(Some(hook));
        let Ok(value) = state.value() else { return };
        told.add(|told| hooks::Event::Answered { value: told.value(value), query, answer });
        self.hooks.tell(told);
    }

    fn try_read(&self) -> Option<RwLockReadGuard<'_, StateMachine<V>>> {
        match self.state.try_read() {
            Ok(state) => Some(state),
            // A closure of a reader's panicked, which only reads.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The state, if it contains `index` and nobody is writing.
    pub(crate) fn read_now(&self, index: LogIndex) -> Option<impl Deref<Target = StateMachine<V>>> {
        let contains = self.applied.load(Ordering::Acquire) >= index.0;
        if contains { self.try_read() } else { None }
    }

    async fn contains(&self, index: LogIndex) -> Result<(), Refused> {
        let applied = {
            let mut line = self.line();
            if line.stopped {
                return Err(Refused::Stopped);
            }
            if line.applied >= index {
                return Ok(());
            }
            let (sender, receiver) = oneshot::channel();
            line.readers.entry(index).or_default().push(sender);
            receiver
        };
        applied.await.map_err(|_| Refused::Stopped)
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works until nothing is left. At most one thread is here.
    fn run(&self) {
        while let Some(mut work) = self.next_work() {
            while !work.is_empty() {
                self.turn(&mut work);
                self.let_readers_in();
            }
        }
    }

    /// Works for a turn. Whether something is left.
    fn run_a_turn(&self) -> bool {
        let Some(mut work) = self.next_work() else { return false };
        self.turn(&mut work);
        let mut line = self.line();
        while let Some(left) = work.pop_back() {
            line.work.push_front(left);
        }
        line.running = !line.work.is_empty() && !line.stopped;
        line.running
    }

    /// User code may panic where nobody expects it.
    fn guarded<T: Default>(&self, run: impl FnOnce() -> T) -> T {
        value::guarded(run).unwrap_or_else(|_| {
            self.stop();
            self.fail();
            T::default()
        })
    }

    fn next_work(&self) -> Option<VecDeque<Work>> {
        let mut line = self.line();
        line.running = !line.work.is_empty() && !line.stopped;
        line.running.then(|| mem::take(&mut line.work))
    }

    fn turn(&self, work: &mut VecDeque<Work>) {
        let mut answers = Vec::new();
        let (mut happened, mut replaced, mut begun) = (Vec::new(), Vec::new(), Vec::new());
        let mut halted = false;
        let mut slowest = Duration::ZERO;
        let applied = {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            let mut last = timers::now();
            let ends = last.after(TURN);
            while let Some(next) = work.pop_front() {
                let mut commands = 1;
                match next {
                    Work::Apply { entry, callers, heard, restored } => {
                        let mut told = self.hooks.listen(state.leader_hook().filter(|_| heard));
                        if let (true, Ok(value)) = (restored, state.value()) {
                            told.add(|told| hooks::Event::Restored { value: told.value(value) });
                        }
                        let applied = state.apply_and_tell(&entry, &mut told);
                        happened.push(told);
                        commands = commands.max(applied.responses.len() as u32);
                        if let Some(why) = &applied.halt {
                            tracing::error!(%why, "the value cannot go on");
                            halted = true;
                        }
                        pair_up(callers, applied, &mut answers);
                    }
                    Work::Begin { at, keeps, done } => {
                        replaced.extend(self.begin(at, keeps, &mut state));
                        begun.push(done);
                    }
                    Work::Install(arrived) => {
                        if let Ok(arrived) = arrived.downcast::<StateMachine<V>>() {
                            replaced.push(mem::replace(&mut *state, *arrived));
                        }
                    }
                }
                let now = timers::now();
                slowest = slowest.max(now.since(mem::replace(&mut last, now)) / commands);
                if halted || now >= ends {
                    break;
                }
            }
            state.applied().index
        };
        self.line().pace.took(slowest);
        self.turn_ended.notify_waiters();
        happened.into_iter().for_each(|told| self.hooks.tell(told));
        // Letting go of a value is user code.
        replaced.into_iter().for_each(value::discard);
        for (caller, response) in answers {
            caller.answer(response);
        }
        self.advanced(applied);
        for done in begun {
            // Whoever waits for it may be gone.
            let _: Result<(), ()> = done.send(());
        }
        if halted {
            work.clear();
            self.stop();
            self.fail();
        }
    }

    /// Readers are futures, which take a moment to come.
    fn let_readers_in(&self) {
        let until = timers::now().after(READERS_TURN);
        while self.readers.load(Ordering::Relaxed) > 0 && timers::now() < until {
            std::thread::yield_now();
        }
    }

    fn advanced(&self, applied: LogIndex) {
        self.applied.store(applied.0, Ordering::Release);
        let readers = {
            let mut line = self.line();
            line.applied = applied;
            let later = line.readers.split_off(&applied.next());
            mem::replace(&mut line.readers, later)
        };
        for reader in readers.into_values().flatten() {
            // A reader that is gone needs no word.
            let _ = reader.send(());
        }
    }

    /// Tells the loop that the value cannot go on.
    fn fail(&self) {
        let MemberOf { group, member } = self.line().at;
        self.mailbox.post(Event::Failed { group, member });
    }

    /// The machine is another member's from here on. Returns the value that it gave up.
    fn begin(&self, at: MemberOf, keeps: bool, state: &mut StateMachine<V>) -> Option<StateMachine<V>> {
        {
            let mut line = self.line();
            line.at = at;
            line.applied = if keeps { line.applied } else { LogIndex::ZERO };
            self.applied.store(line.applied.0, Ordering::Release);
        }
        // The default settings, which an empty log has, can always be used.
        let fresh = (!keeps).then(|| StateMachine::new(V::new(), SnapshotMeta::empty()).ok()).flatten()?;
        Some(mem::replace(state, fresh))
    }
}

impl<V: Value> Machine for Applier<V> {
    fn submit(self: Arc<Self>, work: Work) {
        let mut line = self.line();
        if line.stopped {
            // Dropping tells the callers.
            drop(line);
            return drop(work);
        }
        line.work.push_back(work);
        if mem::replace(&mut line.running, true) {
            return;
        }
        let is_quick = line.pace.is_quick();
        drop(line);
        if !is_quick || !errands::take_on(|| Some(Errand::Apply(self.clone()))) {
            self.apply_elsewhere();
        }
    }

    fn apply_here(self: Arc<Self>) {
        if self.guarded(|| self.run_a_turn()) {
            self.apply_elsewhere();
        }
    }

    fn apply_elsewhere(self: Arc<Self>) {
        self.runtime.clone().spawn_blocking(move || self.guarded(|| self.run()));
    }

    fn query(self: Arc<Self>, index: LogIndex, query: Bytes, heard: bool, caller: Caller) {
        let applier = self.clone();
        self.runtime.spawn(async move {
            if let Err(why) = applier.contains(index).await {
                return caller.refuse(why);
            }
            tokio::task::spawn_blocking(move || {
                let state = applier.state.read().unwrap_or_else(PoisonError::into_inner);
                let (answer, applied) = (state.query(&query), state.applied().index);
                if let (true, Some(hook), Ok(answer)) = (heard, state.leader_hook(), &answer) {
                    applier.tell_of_query(&state, hook, query, answer.clone());
                }
                drop(state);
                caller.answer(answer.map_or_else(Response::Refused, |answer| Response::Answered { answer, applied }));
            });
        });
    }

    fn snapshot(&self) -> Result<(SnapshotMeta, Bytes), String> {
        // Cloned under the lock, encoded outside it.
        let frozen =
            self.state.read().unwrap_or_else(PoisonError::into_inner).freeze().map_err(|error| error.to_string())?;
        let bytes = frozen.encode().map_err(|error| error.to_string())?;
        Ok((frozen.meta().clone(), bytes))
    }

    fn decode(&self, snapshot: SnapshotMeta, bytes: Bytes) -> Result<Box<dyn Any + Send>, String> {
        let state = StateMachine::<V>::restore(snapshot, bytes).map_err(|error| error.to_string())?;
        Ok(Box::new(state))
    }

    fn value_version(&self) -> u32 {
        V::VERSION
    }

    fn applied(&self) -> LogIndex {
        LogIndex(self.applied.load(Ordering::Acquire))
    }

    fn applied_by(&self, member: MemberOf) -> Option<LogIndex> {
        let line = self.line();
        (line.at == member).then_some(line.applied)
    }

    fn stop(&self) {
        let mut line = self.line();
        line.stopped = true;
        // Dropping tells everyone who waits.
        let work = mem::take(&mut line.work);
        let readers = mem::take(&mut line.readers);
        drop(line);
        drop(readers);
        self.turn_ended.notify_waiters();
        // Values among the work are the user's to drop.
        self.runtime.spawn_blocking(move || value::discard(work));
    }
}

/// Counts a reader for as long as it waits.
struct Waiting<'a>(&'a AtomicUsize);

impl Waiting<'_> {
    fn new(readers: &AtomicUsize) -> Waiting<'_> {
        readers.fetch_add(1, Ordering::Relaxed);
        Waiting(readers)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Each caller with its response. One response to a batch of several commands is everybody's: none could be read.
/// Callers without one are dropped, which tells them that the outcome is unknown.
fn pair_up(callers: Vec<Caller>, applied: Applied, answers: &mut Vec<(Caller, Response)>) {
    let Applied { mut responses, halt } = applied;
    if let [only] = &responses[..]
        && halt.is_none()
    {
        responses = vec![only.clone(); callers.len()];
    }
    answers.extend(callers.into_iter().zip(responses));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_apply_only_what_was_quick_for_long_enough() {
        let mut pace = Pace::default();
        let take = |pace: &mut Pace, turns: u32, time| (0..turns).for_each(|_| pace.took(time));
        let (quick, slow) = (Duration::from_micros(3), Duration::from_millis(2));
        take(&mut pace, 63, quick);
        assert!(!pace.is_quick());
        take(&mut pace, 1, quick);
        assert!(pace.is_quick());
        take(&mut pace, 1, slow);
        assert!(!pace.is_quick());
        // Twice as many as before.
        take(&mut pace, 127, quick);
        assert!(!pace.is_quick());
        take(&mut pace, 1, quick);
        assert!(pace.is_quick());
        // Always slow again: never so many that it could not be quick any more.
        take(&mut pace, 100, slow);
        take(&mut pace, 1 << 16, quick);
        assert!(pace.is_quick());
    }
}
