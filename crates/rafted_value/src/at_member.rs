//! A handle to one member: whatever it says, nobody else is asked.

use crate::caller::{Ask, Whom};
use crate::calls::{Call, Calls};
use crate::command_id::CommandId;
use crate::contact::Contact;
use crate::error::{CommandError, QueryError, StatusError};
use crate::node::Node;
use crate::packet::{Freshness, Refused, Response};
use crate::report::StatusReport;
use crate::timers;
use crate::value::Value;
use rafted_value_core::{LogIndex, MemberId};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// A handle to one member of a group: whatever it says, nobody else is asked, and nothing is asked twice. See
/// [`Group::at`](crate::Group::at) and [`Client::at`](crate::Client::at).
///
/// A member that does not lead says who does. A member that says nothing leaves it open whether a command was applied:
/// asking again, also through this handle, is another command.
pub struct AtMember<V> {
    calls: Arc<Calls>,
    node: Node,
    who: Who,
    timeout: Duration,
    value: PhantomData<fn() -> V>,
}

#[derive(Clone)]
pub(crate) enum Who {
    /// This member, wherever it is.
    Member(MemberId),
    /// Whichever member of the group is there.
    Address(String),
}

/// An answer from a member's own copy, which may lack what others have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StaleAnswer<A> {
    /// The answer.
    pub answer: A,
    /// The last entry that the copy contained. Ask for [`query_at_least`](crate::Group::query_at_least) this much, of
    /// whatever member, not to go back in time.
    pub applied: LogIndex,
}

impl<V> Clone for AtMember<V> {
    fn clone(&self) -> AtMember<V> {
        let (calls, node, who) = (self.calls.clone(), self.node.clone(), self.who.clone());
        AtMember { calls, node, who, timeout: self.timeout, value: PhantomData }
    }
}

impl<V: Value> AtMember<V> {
    pub(crate) fn new(calls: Arc<Calls>, node: Node, who: Who, timeout: Duration) -> AtMember<V> {
        AtMember { calls, node, who, timeout, value: PhantomData }
    }

    /// The same member with another limit to how long each call may take.
    pub fn with_timeout(&self, timeout: Duration) -> AtMember<V> {
        AtMember { timeout, ..self.clone() }
    }

    /// Has `command` applied if this member leads.
    ///
    /// # Errors
    ///
    /// [`NotLeader`](CommandError::NotLeader), with the leader if it is known: not applied.
    /// [`NoSuchMember`](CommandError::NoSuchMember), [`NotSent`](CommandError::NotSent): not applied. [`Timeout`](CommandError::Timeout) or
    /// [`OutcomeUnknown`](CommandError::OutcomeUnknown): unknown. Others as for
    /// [`Group::command`](crate::Group::command).
    pub async fn command(&self, command: V::Command) -> Result<V::Reply, CommandError> {
        match self.call().await {
            Ok(call) => self.calls.command::<V>(&command, None, call).await,
            Err(why) => Err(CommandError::refused(self.group(), why)),
        }
    }

    /// As [`command`](AtMember::command), under an id that you choose; see
    /// [`Group::command_with`](crate::Group::command_with). Asking again under the same id is safe, here and anywhere.
    ///
    /// # Errors
    ///
    /// As [`command`](AtMember::command), and [`IdReused`](CommandError::IdReused).
    pub async fn command_with(&self, id: CommandId, command: V::Command) -> Result<V::Reply, CommandError> {
        match self.call().await {
            Ok(call) => self.calls.command::<V>(&command, Some(id), call).await,
            Err(why) => Err(CommandError::refused(self.group(), why)),
        }
    }

    /// Answers `query` if this member leads, from a value that contains every command answered before this call.
    ///
    /// # Errors
    ///
    /// [`NotLeader`](QueryError::NotLeader), with the leader if it is known,
    /// [`NoSuchMember`](QueryError::NoSuchMember), [`Busy`](QueryError::Busy), [`Timeout`](QueryError::Timeout), and
    /// others: see [`QueryError`].
    pub async fn query(&self, query: V::Query) -> Result<V::Answer, QueryError> {
        let ask = Calls::encode_query::<V>(&query, Freshness::Linearizable)?;
        Ok(self.ask(&ask, &self.query_call().await?).await?.answer)
    }

    /// Answers `query` from the member's own copy, whoever leads and whatever the copy lacks.
    ///
    /// # Errors
    ///
    /// See [`QueryError`].
    #[doc(alias = "query_non_leader")]
    pub async fn query_stale(&self, query: V::Query) -> Result<StaleAnswer<V::Answer>, QueryError> {
        self.query_at_least(LogIndex::ZERO, query).await
    }

    /// The same, as soon as the copy contains the entry at `index`.
    ///
    /// # Errors
    ///
    /// See [`QueryError`]; [`Timeout`](QueryError::Timeout) if the copy does not contain it in time.
    pub async fn query_at_least(&self, index: LogIndex, query: V::Query) -> Result<StaleAnswer<V::Answer>, QueryError> {
        let ask = Calls::encode_query::<V>(&query, Freshness::AtLeast(index))?;
        let call = self.query_call().await?;
        self.ask(&ask, &call).await
    }

    async fn ask(&self, ask: &Ask, call: &Call) -> Result<StaleAnswer<V::Answer>, QueryError> {
        self.calls.decode_answer::<V>(self.calls.query(ask, call).await?)
    }

    /// How the member is, as it sees itself.
    ///
    /// # Errors
    ///
    /// If there is no such member, or no answer in time.
    pub async fn status(&self) -> Result<StatusReport, StatusError> {
        let group = self.group().to_owned();
        let call = match self.call().await {
            Ok(call) => call,
            Err(Refused::NoSuchMember) => return Err(StatusError::NoSuchMember { group }),
            Err(_) => return Err(StatusError::Stopped { group }),
        };
        match self.calls.caller.ask(&Ask::Status, &call.whom, call.until).await.response {
            Some(Response::Status(report)) => Ok(*report),
            Some(Response::Refused(Refused::NoSuchMember)) => Err(StatusError::NoSuchMember { group }),
            Some(Response::Refused(Refused::NoSuchGroup)) => Err(StatusError::NoSuchGroup { group }),
            Some(Response::Refused(Refused::OutcomeUnknown)) => {
                let address = if let Whom::Only(contact, _) = call.whom { contact.address } else { String::new() };
                Err(StatusError::Unreachable { group, address })
            }
            Some(_) => Err(StatusError::Stopped { group }),
            None => Err(StatusError::Timeout { group }),
        }
    }

    async fn query_call(&self) -> Result<Call, QueryError> {
        self.call().await.map_err(|why| QueryError::refused(self.group(), why))
    }

    /// A call to where the member is.
    async fn call(&self) -> Result<Call, Refused> {
        let until = timers::now().after(self.timeout);
        let whom = match &self.who {
            Who::Address(address) => Whom::Only(Contact::anyone_at(address), None),
            Who::Member(member) => {
                let found = self.calls.caller.until(until, self.calls.caller.find(*member)).await;
                Whom::Only(found.unwrap_or(Err(Refused::Stopped))?, Some(*member))
            }
        };
        Ok(Call { whom, limit: self.timeout, until })
    }

    fn group(&self) -> &str {
        self.calls.caller.group()
    }
}
