//! The handle that users hold.

use crate::applier::Applier;
use crate::at_member::{AtMember, StaleAnswer, Who};
use crate::caller::{Ask, Caller, Here, Whom};
use crate::calls::{Call, Calls};
use crate::command_id::CommandId;
use crate::config::Config;
use crate::contact::Contact;
use crate::error::{ChangeError, CommandError, QueryError, RecoverError, StatusError};
use crate::host::Host;
use crate::hosted::Hosted;
use crate::leadership::Leadership;
use crate::mailbox::Event;
use crate::member::Ended;
use crate::node::{Node, close, hand_over};
use crate::ordered::Ordered;
use crate::packet::{Change, Freshness, Refused, Request, Response};
use crate::recovery::{AcceptDataLoss, Survivor};
use crate::report::StatusReport;
use crate::state_machine::StateMachine;
use crate::timers;
use crate::value::Value;
use crate::waiting;
use rafted_value_core::{LogIndex, MemberId, RoleKind};
use std::cmp::Reverse;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a call may take unless [`Group::with_timeout`] says otherwise: the seed's default, five seconds.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

/// A replicated value, seen from a node that has a member of its group.
///
/// Commands and queries find the leader wherever it is, and are repeated until they are answered or the time is up.
/// Clones share a session, so that each command is applied exactly once however often it had to be sent; the order
/// in which concurrent commands are applied is not promised.
///
/// Every method is cancellation safe: a command whose future is dropped may or may not be applied, once.
pub struct Group<V: Value> {
    inner: Arc<Inner<V>>,
    timeout: Duration,
}

struct Inner<V: Value> {
    node: Node,
    name: String,
    hosted: Hosted,
    applier: Arc<Applier<V>>,
    calls: Arc<Calls>,
}

impl<V: Value> Clone for Group<V> {
    fn clone(&self) -> Group<V> {
        Group { inner: self.inner.clone(), timeout: self.timeout }
    }
}

impl<V: Value> Group<V> {
    pub(crate) fn new(node: Node, name: &str, hosted: &Hosted, applier: Arc<Applier<V>>) -> Group<V> {
        let hosted = hosted.clone();
        let here = Here { view: hosted.view.clone() };
        let caller = Caller::new(node.inner.host.clone(), (name, V::NAME), Some(here), []);
        let inner = Inner { node, name: name.to_owned(), hosted, applier, calls: Arc::new(Calls::new(caller)) };
        Group { inner: Arc::new(inner), timeout: TIMEOUT }
    }

    /// The same handle with another limit to how long each call may take. It shares the session.
    pub fn with_timeout(&self, timeout: Duration) -> Group<V> {
        Group { inner: self.inner.clone(), timeout }
    }

    /// Has `command` applied, exactly once, and returns its reply.
    ///
    /// # Errors
    ///
    /// [`CommandError`] says what may be concluded: whether the command was not applied, was applied, or may have
    /// been. Asking again through the same handle is another command.
    pub async fn command(&self, command: V::Command) -> Result<V::Reply, CommandError> {
        self.inner.calls.command::<V>(&command, None, self.call()).await
    }

    /// As [`command`](Group::command), under an id that you choose: whoever asks for the same id again, through
    /// whatever handle and after whatever restart, gets the reply of the first time, and nothing runs twice.
    ///
    /// That holds as long as the group remembers the id: for the last
    /// [`max_retained_command_results`](Config::max_retained_command_results) commands with ids, of all clients
    /// together. What is forgotten is a new command.
    ///
    /// ```
    /// # use rafted_value::{CommandError, CommandId, Group, Value};
    /// # async fn bill<V: Value>(group: Group<V>, invoice: u64, command: V::Command) -> Result<V::Reply, CommandError> {
    /// // Whether this program was restarted since it asked the first time does not matter.
    /// group.command_with(CommandId::new("billing", format!("invoice {invoice}")), command).await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`command`](Group::command); and [`CommandError::IdReused`] if the remembered command of this id has other
    /// bytes than this one.
    pub async fn command_with(&self, id: CommandId, command: V::Command) -> Result<V::Reply, CommandError> {
        self.inner.calls.command::<V>(&command, Some(id), self.call()).await
    }

    /// As [`command`](Group::command), but answers [`Busy`](CommandError::Busy) at once where that would wait for
    /// room. Elections are waited for all the same.
    ///
    /// # Errors
    ///
    /// As [`command`](Group::command).
    pub async fn try_command(&self, command: V::Command) -> Result<V::Reply, CommandError> {
        let call = Call::to(Whom::LeaderUnlessBusy, self.timeout);
        self.inner.calls.command::<V>(&command, None, call).await
    }

    /// Has many commands applied, each exactly once and in their order, and returns what became of each, in the same
    /// order. They travel and are stored together: much faster than as many calls, one after the other.
    ///
    /// Other callers' commands may come between them, but rarely do: up to 1,024 of them, of about a mebibyte, stand
    /// side by side. One that fails does not hold up those behind it; if the time is up, those that were not sent are
    /// [`NotSent`](CommandError::NotSent). The replies to as many as travel together must fit into one message of
    /// 64 MiB: else what became of them is unknown.
    ///
    /// # Errors
    ///
    /// As [`command`](Group::command), for each command by itself.
    pub async fn commands(
        &self,
        commands: impl IntoIterator<Item = V::Command>,
    ) -> Vec<Result<V::Reply, CommandError>> {
        self.inner.calls.commands::<V>(commands, self.call()).await
    }

    /// A handle whose commands are applied in the order in which they are given to it. No other handle promises that
    /// of commands that are on their way at the same time.
    ///
    /// ```
    /// # use rafted_value::{CommandError, Group, Value};
    /// # async fn two<V: Value>(group: Group<V>, first: V::Command, second: V::Command) -> Result<(), CommandError> {
    /// let ordered = group.ordered();
    /// let (first, second) = (ordered.command(first), ordered.command(second));
    /// // Both are on their way, and the second is not applied before the first.
    /// second.await?;
    /// first.await?;
    /// # Ok(()) }
    /// ```
    pub fn ordered(&self) -> Ordered<V> {
        Ordered::new(self.inner.calls.apart(), self.inner.node.clone(), self.timeout)
    }

    /// A handle to one member, which this node must know of: whatever that says, nobody else is asked.
    pub fn at(&self, member: MemberId) -> AtMember<V> {
        let (calls, node) = (self.inner.calls.clone(), self.inner.node.clone());
        AtMember::new(calls, node, Who::Member(member), self.timeout)
    }

    /// Answers `query` from a value that contains every command answered before this call (linearizable).
    ///
    /// # Errors
    ///
    /// See [`QueryError`]; a query changes nothing, so that it can always be asked again.
    pub async fn query(&self, query: V::Query) -> Result<V::Answer, QueryError> {
        if let Some(state) = self.under_lease() {
            let answer = self.inner.applier.answer(&state, query);
            return answer.map_err(|why| QueryError::refused(&self.inner.name, why));
        }
        let (calls, call) = (&self.inner.calls, self.call());
        let ask = Calls::encode_query::<V>(&query, Freshness::Linearizable)?;
        match calls.query(&ask, &call).await? {
            Response::ReadIndex(index) => {
                let applier = &self.inner.applier;
                let read = applier.read(index, |state| applier.answer(state, query));
                self.finish_reading(&call, read).await
            }
            response => Ok(calls.decode_answer::<V>(response)?.answer),
        }
    }

    /// Reads the member's own copy with a closure, once it contains every command answered before this call
    /// (linearizable). Runs on the caller's thread, and commands wait while it does: keep it short.
    ///
    /// # Errors
    ///
    /// See [`QueryError`].
    ///
    /// # Panics
    ///
    /// If the closure does.
    pub async fn read<R>(&self, read: impl FnOnce(&V) -> R) -> Result<R, QueryError> {
        if let Some(state) = self.under_lease() {
            return state.value().map(read).map_err(|why| QueryError::refused(&self.inner.name, why));
        }
        let call = self.call();
        let index = match self.inner.calls.query(&Ask::ReadIndex, &call).await? {
            Response::ReadIndex(index) => index,
            _ => return Err(QueryError::NotLeader { group: self.inner.name.clone(), leader: None }),
        };
        let read = self.inner.applier.read(index, |state| state.value().map(read));
        self.finish_reading(&call, read).await
    }

    /// Answers `query` from the own copy of the member in this process, whoever leads and whatever the copy lacks. No
    /// message, and no wait but for a command that is being applied.
    ///
    /// # Errors
    ///
    /// See [`QueryError`].
    #[doc(alias = "query_non_leader")]
    pub async fn query_stale(&self, query: V::Query) -> Result<StaleAnswer<V::Answer>, QueryError> {
        self.query_at_least(LogIndex::ZERO, query).await
    }

    /// The same, as soon as the copy contains the entry at `index`: one that a
    /// [`Context`](crate::Context::index) named, or an earlier [`StaleAnswer`].
    ///
    /// # Errors
    ///
    /// See [`QueryError`]; [`Timeout`](QueryError::Timeout) if the copy does not contain it in time.
    pub async fn query_at_least(&self, index: LogIndex, query: V::Query) -> Result<StaleAnswer<V::Answer>, QueryError> {
        let read = self.inner.applier.read_when(index, |state| {
            let answer = state.look(|value| value.query(query))?;
            Ok(StaleAnswer { answer, applied: state.applied().index })
        });
        self.finish_reading(&self.call(), read).await
    }

    /// The state, if it may be read here and now: the member leads under a lease, has applied what earlier leaders
    /// committed, and nobody is writing. No queue, no message, no wait.
    fn under_lease(&self) -> Option<impl Deref<Target = StateMachine<V>>> {
        let floor = self.inner.hosted.lease.floor_at(timers::now())?;
        self.inner.applier.read_now(floor)
    }

    async fn finish_reading<R>(
        &self,
        call: &Call,
        read: impl Future<Output = Result<Result<R, Refused>, Refused>>,
    ) -> Result<R, QueryError> {
        match self.inner.calls.caller.until(call.until, read).await {
            Some(read) => read.flatten().map_err(|why| QueryError::refused(&self.inner.name, why)),
            None => Err(self.inner.calls.query_timeout(call)),
        }
    }

    /// Waits until the member in this process leads, a majority has confirmed it, and its own copy contains everything that
    /// earlier leaders committed; for doing things in the world that only the leader may do.
    ///
    /// Waits for as long as that takes, whatever the handle's timeout; cancellation safe.
    ///
    /// # Errors
    ///
    /// If the member ends.
    pub async fn leadership(&self) -> Result<Leadership, StatusError> {
        let stopped = || StatusError::Stopped { group: self.inner.name.clone() };
        let (host, hosted) = (self.inner.node.inner.host.clone(), self.inner.hosted.clone());
        let leadership = Leadership::won(host, hosted).await.ok_or_else(stopped)?;
        self.inner.applier.read(leadership.token().index, |_| ()).await.map_err(|_| stopped())?;
        Ok(leadership)
    }

    /// How the member in this process is, as it sees itself.
    ///
    /// # Errors
    ///
    /// If the member or its node has stopped.
    pub async fn status(&self) -> Result<StatusReport, StatusError> {
        let (caller, response) = waiting::Caller::here();
        let group = self.inner.hosted.at().group;
        self.inner.node.inner.host.mailbox.offer(Event::Status { group, caller });
        let group = self.inner.name.clone();
        match self.inner.calls.caller.until(self.call().until, response).await {
            Some(Ok(Response::Status(report))) => Ok(*report),
            Some(_) => Err(StatusError::Stopped { group }),
            None => Err(StatusError::Timeout { group }),
        }
    }

    /// Removes a member; answers when that is committed. The member stops when it learns of it.
    ///
    /// # Errors
    ///
    /// See [`ChangeError`].
    pub async fn remove_follower(&self, member: MemberId) -> Result<(), ChangeError> {
        self.inner.calls.change(Change::Remove(member), self.call()).await
    }

    /// Every member that the one here knows of, itself among them, as it says itself: those whose logs end last first,
    /// those that do not answer last. Needs no leader; takes as long as the slowest answer, two seconds at most.
    ///
    /// For [`force_remove_member`](Group::force_remove_member): the first is the survivor to call it on.
    ///
    /// # Errors
    ///
    /// If the member here has stopped.
    pub async fn survivors(&self) -> Result<Vec<Survivor>, StatusError> {
        let here = self.status().await?;
        let host = &self.inner.node.inner.host;
        let asked = here.members.iter().filter(|member| member.id != here.member).map(|member| {
            let (host, group, contact) = (host.clone(), self.inner.name.clone(), member.contact.clone());
            let answer = host.runtime.clone().spawn(async move { status_of(&host, group, &contact).await });
            (member.clone(), answer)
        });
        let mut survivors = Vec::new();
        for (member, answer) in asked.collect::<Vec<_>>() {
            let status = answer.await.unwrap_or(Err(StatusError::Stopped { group: self.inner.name.clone() }));
            survivors.push(Survivor { member: member.id, contact: member.contact, status });
        }
        let contact = host.contact();
        survivors.push(Survivor { member: here.member, contact, status: Ok(here) });
        survivors.sort_by_key(|survivor| Reverse(survivor.last_entry()));
        Ok(survivors)
    }

    /// Begins the group again from the member in this process alone, when a majority is lost **for good**: the one unsafe
    /// operation. `lost` names every member that is lost; nothing is chosen silently.
    ///
    /// This member goes on as the only voter of another incarnation of the group, with everything that stands in its log,
    /// committed or not, and with all sessions, so that a command that is sent again is still applied once. **Whatever it
    /// does not have is lost**, acknowledged or not; so choose the member whose log ends last, which
    /// [`survivors`](Group::survivors) shows, and say by [`AcceptDataLoss`] that you have looked. Members that are not
    /// named and still live notice within a few election timeouts: they give up what they have and join, and their handles
    /// stay usable. So do lost members that come back after all, if they find no majority of their own.
    ///
    /// Returns when the member leads and serves. To call it again then does nothing but say that it leads. The thesis has no
    /// such operation: no majority agrees to it, and if the lost members are alive after all, there are two groups.
    ///
    /// # Errors
    ///
    /// See [`RecoverError`].
    #[doc(alias = "recover")]
    pub async fn force_remove_member(
        &self,
        lost: impl IntoIterator<Item = MemberId>,
        accepted: AcceptDataLoss,
    ) -> Result<(), RecoverError> {
        let (call, group) = (self.call(), self.inner.name.clone());
        let stopped = || RecoverError::Stopped { group: group.clone() };
        let late = || RecoverError::Timeout { group: group.clone(), waited: call.limit };
        let (done, answer) = oneshot::channel();
        let member = self.inner.hosted.at();
        let lost = lost.into_iter().collect();
        self.inner.node.inner.host.mailbox.post(Event::Recover { member, lost, accepted, done });
        let caller = &self.inner.calls.caller;
        let at = caller.until(call.until, answer).await.ok_or_else(late)?.map_err(|_| stopped())??;
        let mut view = self.inner.hosted.view.clone();
        let serves = view
            .wait_for(|view| view.ended.is_some() || (view.at == at && view.role == RoleKind::Leader && view.settled));
        match caller.until(call.until, serves).await.ok_or_else(late)? {
            Ok(view) if view.ended.is_none() => Ok(()),
            _ => Err(stopped()),
        }
    }

    /// Hands leadership over to `member`, once that one has everything; `None` cancels a transfer that has not
    /// happened. A later call overrides an earlier one. Commands that come meanwhile wait, within their own time.
    ///
    /// # Errors
    ///
    /// See [`ChangeError`]. A transfer that is reported as unresponsive or overridden may still happen, late.
    pub async fn replace_leader(&self, member: Option<MemberId>) -> Result<(), ChangeError> {
        self.inner.calls.change(Change::Lead(member), self.call()).await
    }

    /// Gives the group other settings; answers when they are committed. In force on each member once it knows that.
    ///
    /// # Errors
    ///
    /// See [`ChangeError`].
    pub async fn change_config(&self, config: &Config) -> Result<(), ChangeError> {
        self.inner.calls.change(Change::Configure(Box::new(config.to_core())), self.call()).await
    }

    /// Waits until this member votes and its membership is settled.
    ///
    /// # Errors
    ///
    /// If the member ends, or the time is up.
    pub async fn wait_ready(&self) -> Result<(), StatusError> {
        let mut view = self.inner.hosted.view.clone();
        let ready = view.wait_for(|view| view.ended.is_some() || (view.voter && view.settled));
        let group = self.inner.name.clone();
        match self.inner.calls.caller.until(self.call().until, ready).await {
            Some(Ok(view)) if view.ended.is_none() => Ok(()),
            Some(_) => Err(StatusError::Stopped { group }),
            None => Err(StatusError::Timeout { group }),
        }
    }

    /// Hands leadership over if the member in this process has it, and stops the member. Everybody who waits for it is
    /// told. It stays a member of the group, silent, until it is removed or its node joins again.
    pub async fn stop(&self) {
        let node = &self.inner.node.inner;
        hand_over(&node.host, &self.inner.hosted).await;
        let member = self.inner.hosted.at();
        close(&node.host, member, Ended::Stopped).await;
        node.hosted.remove(&self.inner.name, member.member);
    }

    fn call(&self) -> Call {
        Call::within(self.timeout)
    }

    /// The name of the group.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The identity of the member in this process.
    pub fn member(&self) -> MemberId {
        self.inner.hosted.at().member
    }

    /// The node of the member.
    pub fn node(&self) -> &Node {
        &self.inner.node
    }

    /// Whether the member in this process believes that it leads; another may lead already.
    pub fn is_leader(&self) -> bool {
        let view = self.inner.hosted.view.borrow();
        view.role == RoleKind::Leader && view.ended.is_none()
    }

    /// Whether the member in this process leads under a lease, so that it may read without asking anyone.
    pub fn has_lease(&self) -> bool {
        self.inner.hosted.lease.floor_at(timers::now()).is_some()
    }

    /// Where the leader is, if it is known.
    pub fn leader(&self) -> Option<Contact> {
        let view = self.inner.hosted.view.borrow();
        match view.role {
            RoleKind::Leader => Some(self.inner.node.inner.host.contact()),
            _ => view.leader.clone(),
        }
    }

    /// Whether the group has removed the member in this process.
    pub fn is_removed(&self) -> bool {
        self.inner.hosted.view.borrow().ended == Some(Ended::Removed)
    }

    /// The last entry that the member's own copy contains.
    pub fn applied(&self) -> LogIndex {
        crate::applier::Machine::applied(&*self.inner.applier)
    }
}

/// What the member at `contact` says of itself, if it does so soon.
async fn status_of(host: &Host, group: String, contact: &Contact) -> Result<StatusReport, StatusError> {
    let asked = host.requests.send(&*host.network, contact, Request::Status { group: group.clone() });
    match timers::within(&host.deadlines, Duration::from_secs(2), asked).await {
        Some(Response::Status(report)) => Ok(*report),
        Some(Response::Refused(Refused::NoSuchGroup)) => Err(StatusError::NoSuchGroup { group }),
        Some(Response::Refused(Refused::OutcomeUnknown)) => {
            Err(StatusError::Unreachable { group, address: contact.address.clone() })
        }
        Some(_) => Err(StatusError::Stopped { group }),
        None => Err(StatusError::Timeout { group }),
    }
}
