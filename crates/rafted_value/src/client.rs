//! A handle to a group whose members are all elsewhere.

use crate::caller::{Ask, Caller};
use crate::contact::Contact;
use crate::error::{CommandError, OpenError, QueryError, StartError};
use crate::group::{Calls, TIMEOUT};
use crate::node::Node;
use crate::packet::{Request, Response, StatusReport};
use crate::timers;
use crate::transport::Transport;
use crate::value::{self, Value};
use rafted_value_core::Time;
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
    calls: Calls,
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
        let calls = Calls { caller, session: Arc::default() };
        let inner = Arc::new(Inner { node, name: name.to_owned(), calls, addresses });
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
        let reply = self.inner.calls.command(value::encode(&command)?, self.deadline()).await?;
        Ok(value::decode(&reply)?)
    }

    /// Answers `query` from a value that contains every command answered before this call (linearizable).
    ///
    /// # Errors
    ///
    /// See [`QueryError`]; a query changes nothing, so that it can always be asked again.
    pub async fn query(&self, query: V::Query) -> Result<V::Answer, QueryError> {
        let ask = Ask::Query(value::encode(&query)?);
        match self.inner.calls.ask_to_read(&ask, self.deadline()).await? {
            Response::Answered(answer) => Ok(value::decode(&answer)?),
            _ => Err(QueryError::unexpected()),
        }
    }

    /// How the member at `address` is, as it sees itself.
    ///
    /// # Errors
    ///
    /// If there is no such member, or no answer in time.
    pub async fn status_of(&self, address: &str) -> Result<StatusReport, OpenError> {
        let host = &self.inner.node.inner.host;
        let request = Request::Status { group: self.inner.name.clone() };
        let contact = Contact::anyone_at(address);
        let asked = host.requests.send(&*host.network, &contact, request);
        match self.inner.calls.caller.until(self.deadline(), asked).await {
            Some(Response::Status(report)) => Ok(*report),
            Some(Response::Refused(why)) => {
                Err(OpenError::not_found(&self.inner.name, &[address.to_owned()], Some((address.to_owned(), why))))
            }
            _ => Err(OpenError::not_found(&self.inner.name, &[address.to_owned()], None)),
        }
    }

    /// The addresses it was given.
    pub fn addresses(&self) -> &[String] {
        &self.inner.addresses
    }

    fn deadline(&self) -> Time {
        timers::now().after(self.timeout)
    }
}
