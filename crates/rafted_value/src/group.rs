//! The handle that users hold.

use crate::applier::Applier;
use crate::caller::{Ask, Asked, Caller, Here};
use crate::contact::{Contact, MemberOf};
use crate::error::{ChangeError, CommandError, QueryError, StatusError};
use crate::mailbox::Event;
use crate::member::{Ended, View};
use crate::node::Node;
use crate::packet::{Envelope, Refused, Response, Session, StatusReport};
use crate::session::HandleSession;
use crate::value::{self, Value};
use crate::timers;
use crate::waiting;
use bytes::Bytes;
use rafted_value_core::{Change, LogIndex, MemberId, RoleKind, Time};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

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
    member: MemberOf,
    applier: Arc<Applier<V>>,
    view: watch::Receiver<View>,
    calls: Calls,
}

/// Commands and queries of whatever handle: a member's or a client's.
pub(crate) struct Calls {
    pub(crate) caller: Caller,
    pub(crate) session: Arc<HandleSession>,
}

impl<V: Value> Clone for Group<V> {
    fn clone(&self) -> Group<V> {
        Group { inner: self.inner.clone(), timeout: self.timeout }
    }
}

impl<V: Value> Group<V> {
    pub(crate) fn new(
        node: Node,
        name: &str,
        member: MemberOf,
        applier: Arc<Applier<V>>,
        view: watch::Receiver<View>,
    ) -> Group<V> {
        let here = Here { group: member.group, view: view.clone() };
        let caller = Caller::new(node.inner.host.clone(), (name, V::NAME), Some(here), []);
        let calls = Calls { caller, session: Arc::default() };
        let inner = Inner { node, name: name.to_owned(), member, applier, view, calls };
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
        let reply = self.inner.calls.command(value::encode(&command)?, self.deadline()).await?;
        Ok(value::decode(&reply)?)
    }

    /// Answers `query` from a value that contains every command answered before this call (linearizable).
    ///
    /// # Errors
    ///
    /// See [`QueryError`]; a query changes nothing, so that it can always be asked again.
    pub async fn query(&self, query: V::Query) -> Result<V::Answer, QueryError> {
        let deadline = self.deadline();
        let ask = Ask::Query(value::encode(&query)?);
        match self.inner.calls.ask_to_read(&ask, deadline).await? {
            Response::Answered(answer) => Ok(value::decode(&answer)?),
            Response::ReadIndex(index) => {
                let read = self.inner.applier.read(index, |state| state.query_typed(query));
                self.finish_reading(deadline, read).await?.map_err(QueryError::from)
            }
            _ => Err(QueryError::unexpected()),
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
        let deadline = self.deadline();
        match self.inner.calls.ask_to_read(&Ask::ReadIndex, deadline).await? {
            Response::ReadIndex(index) => {
                let read = self.inner.applier.read(index, |state| read(state.value()));
                self.finish_reading(deadline, read).await
            }
            _ => Err(QueryError::unexpected()),
        }
    }

    async fn finish_reading<R>(
        &self,
        deadline: Time,
        read: impl Future<Output = Result<R, Refused>>,
    ) -> Result<R, QueryError> {
        match self.inner.calls.caller.until(deadline, read).await {
            Some(read) => Ok(read?),
            None => Err(QueryError::timed_out(None)),
        }
    }

    /// How the member in this process is, as it sees itself.
    ///
    /// # Errors
    ///
    /// If the member or its node has stopped.
    pub async fn status(&self) -> Result<StatusReport, StatusError> {
        let (caller, response) = waiting::Caller::here();
        let group = self.inner.member.group;
        self.inner.node.inner.host.mailbox.post(Event::Status { group, caller });
        match self.inner.calls.caller.until(self.deadline(), response).await {
            Some(Ok(Response::Status(report))) => Ok(*report),
            _ => Err(StatusError::Stopped),
        }
    }

    /// Removes a member; answers when that is committed. The member stops when it learns of it.
    ///
    /// # Errors
    ///
    /// See [`ChangeError`].
    pub async fn remove_follower(&self, member: MemberId) -> Result<(), ChangeError> {
        let ask = Ask::Change(Change::Remove(member));
        let Asked { response, perhaps_done, last } = self.inner.calls.caller.ask(&ask, self.deadline()).await;
        match response {
            Some(Response::Done) => Ok(()),
            Some(Response::Refused(why)) => Err(why.into()),
            Some(_) => Err(ChangeError::unexpected()),
            None => Err(ChangeError::timed_out(perhaps_done, last)),
        }
    }

    /// Waits until this member votes and its membership is settled.
    ///
    /// # Errors
    ///
    /// If the member ends, or the time is up.
    pub async fn wait_ready(&self) -> Result<(), StatusError> {
        let mut view = self.inner.view.clone();
        let ready = view.wait_for(|view| view.ended.is_some() || (view.voter && view.settled));
        match self.inner.calls.caller.until(self.deadline(), ready).await {
            Some(Ok(view)) if view.ended.is_none() => Ok(()),
            Some(_) => Err(StatusError::Stopped),
            None => Err(StatusError::Timeout),
        }
    }

    /// Stops the member in this process, without a word to the others: for them it has crashed. Everybody who waits
    /// for it is told.
    pub async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        let MemberOf { group, member } = self.inner.member;
        self.inner.node.inner.host.mailbox.post(Event::Close { group, done });
        self.inner.node.forget(&self.inner.name, member).await;
        // An error says that the node has stopped, and the member with it.
        let _ = stopped.await;
    }

    fn deadline(&self) -> Time {
        timers::now().after(self.timeout)
    }

    /// The name of the group.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The identity of the member in this process.
    pub fn member(&self) -> MemberId {
        self.inner.member.member
    }

    /// The node of the member.
    pub fn node(&self) -> &Node {
        &self.inner.node
    }

    /// Whether the member in this process believes that it leads; another may lead already.
    pub fn is_leader(&self) -> bool {
        let view = self.inner.view.borrow();
        view.role == RoleKind::Leader && view.ended.is_none()
    }

    /// Where the leader is, if it is known.
    pub fn leader(&self) -> Option<Contact> {
        let view = self.inner.view.borrow();
        match view.role {
            RoleKind::Leader => Some(self.inner.node.inner.host.contact()),
            _ => view.leader.clone(),
        }
    }

    /// Whether the group has removed the member in this process.
    pub fn is_removed(&self) -> bool {
        self.inner.view.borrow().ended == Some(Ended::Removed)
    }

    /// The last entry that the member's own copy contains.
    pub fn applied(&self) -> LogIndex {
        crate::applier::Machine::applied(&*self.inner.applier)
    }
}

impl Calls {
    /// Has a command applied; registers a session first if there is none.
    pub(crate) async fn command(&self, command: Bytes, deadline: Time) -> Result<Bytes, CommandError> {
        loop {
            let Some(ticket) = self.session.ticket() else {
                self.register(deadline).await?;
                continue;
            };
            let ask = Ask::Command(Envelope { session: ticket.session(), command: command.clone() });
            let Asked { response, perhaps_done, last } = self.caller.ask(&ask, deadline).await;
            match response {
                Some(Response::Applied(reply)) => return Ok(reply),
                Some(Response::Refused(Refused::NoSuchSession)) => {
                    self.session.lost(ticket.id());
                    if perhaps_done {
                        return Err(CommandError::session_expired());
                    }
                }
                Some(Response::Refused(why)) => return Err(why.into()),
                Some(_) => return Err(CommandError::unexpected()),
                None => return Err(CommandError::timed_out(perhaps_done, last)),
            }
        }
    }

    async fn register(&self, deadline: Time) -> Result<(), CommandError> {
        // Whoever comes second finds it done.
        let registering = self.caller.until(deadline, self.session.registering.lock()).await;
        let Some(_registering) = registering else { return Err(CommandError::timed_out(false, None)) };
        if self.session.is_registered() {
            return Ok(());
        }
        let ask = Ask::Command(Envelope { session: Session::Register, command: Bytes::new() });
        let Asked { response, last, .. } = self.caller.ask(&ask, deadline).await;
        match response {
            Some(Response::Registered(id)) => {
                self.session.registered(id);
                Ok(())
            }
            Some(Response::Refused(why)) => Err(why.into()),
            Some(_) => Err(CommandError::unexpected()),
            // A registration that may have happened is no command that may have.
            None => Err(CommandError::timed_out(false, last)),
        }
    }

    pub(crate) async fn ask_to_read(&self, ask: &Ask, deadline: Time) -> Result<Response, QueryError> {
        let Asked { response, last, .. } = self.caller.ask(ask, deadline).await;
        match response {
            Some(Response::Refused(why)) => Err(why.into()),
            Some(response) => Ok(response),
            None => Err(QueryError::timed_out(last)),
        }
    }
}
