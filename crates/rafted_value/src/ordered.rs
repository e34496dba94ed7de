//! A handle whose commands are applied in the order in which they were given to it.

use crate::caller::Whom;
use crate::calls::{Call, Calls, decode_reply, encode_command, take_together};
use crate::error::CommandError;
use crate::node::Node;
use crate::timers;
use crate::value::Value;
use bytes::Bytes;
use rafted_value_core::Time;
use std::collections::VecDeque;
use std::future::Future;
use std::marker::PhantomData;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// A handle whose commands are applied in the order in which they were given to it and its clones; see
/// [`Group::ordered`](crate::Group::ordered).
///
/// Commands that are given while others are on their way wait for them, and then travel together. One that fails does
/// not hold up those behind it: each has its own outcome, and those that are applied are applied in order.
pub struct Ordered<V> {
    line: Arc<Line>,
    /// Which lives as long as this does.
    node: Node,
    timeout: Duration,
    value: PhantomData<fn() -> V>,
}

/// Commands that wait for those before them.
struct Line {
    /// With a session of its own, in which nothing else is ever outstanding: what is given up is never applied after
    /// what came later, because whatever comes later acknowledges it.
    calls: Calls,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    last: u64,
    /// Somebody sends them.
    moving: bool,
}

struct Waiting {
    number: u64,
    command: Bytes,
    limit: Duration,
    until: Time,
    outcome: oneshot::Sender<Result<Bytes, CommandError>>,
}

impl<V> Clone for Ordered<V> {
    fn clone(&self) -> Ordered<V> {
        Ordered { line: self.line.clone(), node: self.node.clone(), timeout: self.timeout, value: PhantomData }
    }
}

impl<V: Value> Ordered<V> {
    pub(crate) fn new(calls: Calls, node: Node, timeout: Duration) -> Ordered<V> {
        let line = Arc::new(Line { calls, state: Mutex::default() });
        Ordered { line, node, timeout, value: PhantomData }
    }

    /// The same line of commands with another limit to how long each call may take.
    pub fn with_timeout(&self, timeout: Duration) -> Ordered<V> {
        Ordered { timeout, ..self.clone() }
    }

    /// Has `command` applied, exactly once, after all commands given to this handle before, and returns its reply.
    ///
    /// It has its place when this returns, not when the future is first polled. Dropping the future changes nothing:
    /// the command may or may not be applied, once, in its place.
    ///
    /// # Errors
    ///
    /// As [`Group::command`](crate::Group::command); and [`CommandError::NotSent`] if those before it took so long that
    /// the time was up.
    pub fn command(
        &self,
        command: V::Command,
    ) -> impl Future<Output = Result<V::Reply, CommandError>> + Send + 'static + use<V> {
        let given = encode_command::<V>(&command).map(|command| self.line.give(command, self.timeout));
        let (line, timeout) = (self.line.clone(), self.timeout);
        async move {
            let (number, until, outcome) = given?;
            let outcome = line.calls.caller.until(until, outcome).await;
            decode_reply::<V>(match outcome {
                Some(Ok(outcome)) => outcome,
                // The node stopped while it was on its way.
                Some(Err(_)) => Err(CommandError::OutcomeUnknown { group: line.group() }),
                None if line.withdraw(number) => Err(line.calls.not_sent()),
                None => Err(CommandError::Timeout { group: line.group(), waited: timeout }),
            })
        }
    }
}

type Outcome = oneshot::Receiver<Result<Bytes, CommandError>>;

impl Line {
    /// Puts a command at the end of the line, and sees to it that the line moves.
    fn give(self: &Arc<Self>, command: Bytes, limit: Duration) -> (u64, Time, Outcome) {
        let until = timers::now().after(limit);
        let (sender, outcome) = oneshot::channel();
        let (number, moving) = {
            let mut state = self.state();
            state.last += 1;
            let number = state.last;
            state.waiting.push_back(Waiting { number, command, limit, until, outcome: sender });
            (number, mem::replace(&mut state.moving, true))
        };
        if !moving {
            let mover = Mover(Some(self.clone()));
            self.calls.caller.spawn(mover.go_on());
        }
        (number, until, outcome)
    }

    /// Sends what waits, one lot after the other, until nothing does.
    async fn move_on(&self) {
        while let Some(together) = self.next() {
            let commands: Vec<Bytes> = together.iter().map(|waiting| waiting.command.clone()).collect();
            let longest = together.iter().max_by_key(|waiting| waiting.until);
            let (limit, until) = longest.map_or((Duration::ZERO, Time::default()), |it| (it.limit, it.until));
            let outcomes = self.calls.together(&commands, &Call { whom: Whom::Leader, limit, until }).await;
            for (waiting, outcome) in together.into_iter().zip(outcomes) {
                // A caller that is gone needs no answer.
                let _ = waiting.outcome.send(outcome);
            }
        }
    }

    fn next(&self) -> Option<Vec<Waiting>> {
        let mut state = self.state();
        let together = take_together(&mut state.waiting, |waiting| waiting.command.len());
        state.moving = together.is_some();
        together
    }

    /// Takes a command out of the line; whether it still waited there.
    fn withdraw(&self, number: u64) -> bool {
        let mut state = self.state();
        let at = state.waiting.binary_search_by_key(&number, |waiting| waiting.number);
        at.is_ok_and(|at| state.waiting.remove(at).is_some())
    }

    fn group(&self) -> String {
        self.calls.caller.group().to_owned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever moves the line. If the node stops meanwhile, whoever waits is told.
struct Mover(Option<Arc<Line>>);

impl Mover {
    async fn go_on(mut self) {
        if let Some(line) = &self.0 {
            line.move_on().await;
        }
        // It came to its end in good order, and may have another mover by now.
        self.0 = None;
    }
}

impl Drop for Mover {
    fn drop(&mut self) {
        let Some(line) = self.0.take() else { return };
        let left = {
            let mut state = line.state();
            state.moving = false;
            mem::take(&mut state.waiting)
        };
        for waiting in left {
            // A caller that is gone needs no answer.
            let _ = waiting.outcome.send(Err(CommandError::Stopped { group: line.group() }));
        }
    }
}
