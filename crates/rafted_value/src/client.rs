//! A handle to a group whose members are all elsewhere.

use crate::at_member::{AtMember, Who};
use crate::caller::{Caller, Whom};
use crate::calls::{Call, Calls};
use crate::command_id::CommandId;
use crate::config::Config;
use crate::contact::Contact;
use crate::error::{ChangeError, CommandError, QueryError, StartError, StatusError};
use crate::group::TIMEOUT;
use crate::node::Node;
use crate::ordered::Ordered;
use crate::packet::{Change, Freshness, Refused, Request, Response};
use crate::report::StatusReport;
use crate::transport::Transport;
use crate::value::Value;
use rafted_value_core::MemberId;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// A replicated value, seen from a process that hosts no member of its group. Finds the leader and follows it.
///
/// Clones share a session and connections. Like [`Group`](crate::Group), every method is cancellation safe.
pub struct Client<V> {
    inner: Arc<Inner>,
    timeout: Duration,
    value: PhantomData<fn() -> V>,
}

struct Inner {
    node: Node,
    name: String,
    calls: Arc<Calls>,
    addresses: Vec<String>,
}

impl<V> Clone for Client<V> {
    fn clone(&self) -> Client<V> {
        Client { inner: self.inner.clone(), timeout: self.timeout, value: PhantomData }
    }
}

impl<V: Value> Client<V> {
    /// A handle to the group of this name, some of whose nodes are at `addresses`. Nothing is asked before the first
    /// call.
    ///
    /// # Errors
    ///
    /// If the transport cannot start.
    pub async fn connect(
        transport: impl Transport,
        name: &str,
        addresses: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Client<V>, StartError> {
        let node = Node::builder().transport(transport).start().await?;
        let addresses: Vec<String> = addresses.into_iter().map(Into::into).collect();
        let known: Vec<Contact> = addresses.iter().map(Contact::anyone_at).collect();
        let caller = Caller::new(node.inner.host.clone(), (name, V::NAME), None, known);
        let inner = Arc::new(Inner { node, name: name.to_owned(), calls: Arc::new(Calls::new(caller)), addresses });
        Ok(Client { inner, timeout: TIMEOUT, value: PhantomData })
    }

    /// The same handle with another limit to how long each call may take. It shares the session.
    pub fn with_timeout(&self, timeout: Duration) -> Client<V> {
        Client { timeout, ..self.clone() }
    }

    /// Has `command` applied, exactly once, and returns its reply.
    ///
    /// # Errors
    ///
    /// [`CommandError`] says what may be concluded.
    pub async fn command(&self, command: V::Command) -> Result<V::Reply, CommandError> {
        self.inner.calls.command::<V>(&command, None, self.call()).await
    }

    /// As [`command`](Client::command), under an id that you choose; see
    /// [`Group::command_with`](crate::Group::command_with).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn command_with(&self, id: CommandId, command: V::Command) -> Result<V::Reply, CommandError> {
        self.inner.calls.command::<V>(&command, Some(id), self.call()).await
    }

    /// As [`command`](Client::command), but answers [`Busy`](CommandError::Busy) at once; see
    /// [`Group::try_command`](crate::Group::try_command).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn try_command(&self, command: V::Command) -> Result<V::Reply, CommandError> {
        let call = Call::to(Whom::LeaderUnlessBusy, self.timeout);
        self.inner.calls.command::<V>(&command, None, call).await
    }

    /// Has many commands applied in their order; see [`Group::commands`](crate::Group::commands).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn commands(
        &self,
        commands: impl IntoIterator<Item = V::Command>,
    ) -> Vec<Result<V::Reply, CommandError>> {
        self.inner.calls.commands::<V>(commands, self.call()).await
    }

    /// A handle whose commands are applied in the order in which they are given to it; see
    /// [`Group::ordered`](crate::Group::ordered).
    pub fn ordered(&self) -> Ordered<V> {
        Ordered::new(self.inner.calls.apart(), self.inner.node.clone(), self.timeout)
    }

    /// A handle to the member at `address`: whatever that says, nobody else is asked.
    pub fn at(&self, address: impl Into<String>) -> AtMember<V> {
        let (calls, node) = (self.inner.calls.clone(), self.inner.node.clone());
        AtMember::new(calls, node, Who::Address(address.into()), self.timeout)
    }

    /// Answers `query` from a value that contains every command answered before this call (linearizable).
    ///
    /// # Errors
    ///
    /// See [`QueryError`]; a query changes nothing, so that it can always be asked again.
    pub async fn query(&self, query: V::Query) -> Result<V::Answer, QueryError> {
        let calls = &self.inner.calls;
        let ask = Calls::encode_query::<V>(&query, Freshness::Linearizable)?;
        Ok(calls.decode_answer::<V>(calls.query(&ask, &self.call()).await?)?.answer)
    }

    /// Removes a member; answers when that is committed. The member stops when it learns of it.
    ///
    /// # Errors
    ///
    /// See [`ChangeError`].
    pub async fn remove_follower(&self, member: MemberId) -> Result<(), ChangeError> {
        self.inner.calls.change(Change::Remove(member), self.call()).await
    }

    /// Hands leadership over; see [`Group::replace_leader`](crate::Group::replace_leader).
    ///
    /// # Errors
    ///
    /// See [`ChangeError`].
    pub async fn replace_leader(&self, member: Option<MemberId>) -> Result<(), ChangeError> {
        self.inner.calls.change(Change::Lead(member), self.call()).await
    }

    /// Gives the group other settings; see [`Group::change_config`](crate::Group::change_config).
    ///
    /// # Errors
    ///
    /// See [`ChangeError`].
    pub async fn change_config(&self, config: &Config) -> Result<(), ChangeError> {
        self.inner.calls.change(Change::Configure(Box::new(config.to_core())), self.call()).await
    }

    /// How the member at `address` is, as it sees itself.
    ///
    /// # Errors
    ///
    /// If there is no such member, or no answer in time.
    pub async fn status_of(&self, address: &str) -> Result<StatusReport, StatusError> {
        let host = &self.inner.node.inner.host;
        let group = self.inner.name.clone();
        let (contact, request) = (Contact::anyone_at(address), Request::Status { group: group.clone() });
        let asked = host.requests.send(&*host.network, &contact, request);
        match self.inner.calls.caller.until(self.call().until, asked).await {
            Some(Response::Status(report)) => Ok(*report),
            Some(Response::Refused(Refused::NoSuchGroup | Refused::GroupRemoved)) => {
                Err(StatusError::NoSuchGroup { group })
            }
            Some(Response::Refused(Refused::OutcomeUnknown)) => {
                Err(StatusError::Unreachable { group, address: address.to_owned() })
            }
            Some(_) => Err(StatusError::Stopped { group }),
            None => Err(StatusError::Timeout { group }),
        }
    }

    /// The addresses it was given.
    pub fn addresses(&self) -> &[String] {
        &self.inner.addresses
    }

    fn call(&self) -> Call {
        Call::within(self.timeout)
    }
}
