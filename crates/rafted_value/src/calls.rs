//! Commands, queries and changes of whatever handle, a member's or a client's: asked until answered, with what may be
//! concluded if they are not.

use crate::caller::{Ask, Asked, Caller};
use crate::command_id::CommandId;
use crate::error::{ChangeError, CommandError, QueryError};
use crate::packet::{Change, ChangeRefused, Envelope, Refused, Response, Session};
use crate::session::{HandleSession, Ticket};
use crate::timers;
use crate::value::{self, Value};
use bytes::Bytes;
use rafted_value_core::Time;
use std::sync::Arc;
use std::time::Duration;

/// A handle's calls.
pub(crate) struct Calls {
    pub(crate) caller: Caller,
    session: HandleSession,
}

/// How long a call may take, and from when on.
#[derive(Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) limit: Duration,
    pub(crate) until: Time,
}

impl Patience {
    pub(crate) fn of(limit: Duration) -> Patience {
        Patience { limit, until: timers::now().after(limit) }
    }
}

impl Calls {
    pub(crate) fn new(caller: Caller) -> Calls {
        Calls { caller, session: HandleSession::default() }
    }

    fn group(&self) -> &str {
        self.caller.group()
    }

    // ---- commands ----

    /// Has a command applied, once; registers a session first if there is none.
    pub(crate) async fn command<V: Value>(
        &self,
        command: &V::Command,
        id: Option<CommandId>,
        patience: Patience,
    ) -> Result<V::Reply, CommandError> {
        if let Some(id) = id.as_ref().filter(|id| !id.is_valid()) {
            return Err(CommandError::InvalidId { id: id.clone() });
        }
        let command =
            value::encode(command).map_err(|error| CommandError::Unencodable { message: error.to_string() })?;
        let id = id.map(Arc::new);
        loop {
            let ticket = self.ticket(patience).await?;
            let envelope = Envelope { session: ticket.session(), id: id.clone(), command: command.clone() };
            let Some(reply) = self.command_once(&ticket, envelope, patience).await? else { continue };
            return value::decode(&reply)
                .map_err(|error| CommandError::UndecodableReply { message: error.to_string() });
        }
    }

    /// The reply; nothing if the session is gone and nothing was done, so that another will do.
    async fn command_once(
        &self,
        ticket: &Ticket,
        envelope: Envelope,
        patience: Patience,
    ) -> Result<Option<Bytes>, CommandError> {
        let Asked { response, perhaps_done, last } = self.caller.ask(&Ask::Command(envelope), patience.until).await;
        let group = self.group().to_owned();
        match response {
            Some(Response::Applied(reply)) => Ok(Some(reply)),
            Some(Response::Refused(Refused::NoSuchSession)) => {
                self.session.lost(ticket);
                if perhaps_done { Err(CommandError::SessionExpired { group }) } else { Ok(None) }
            }
            Some(Response::Refused(why)) => {
                let error = CommandError::refused(&group, why);
                // An earlier attempt may have gone further than the last.
                let unsure = perhaps_done && error.is_not_applied();
                Err(if unsure { CommandError::OutcomeUnknown { group } } else { error })
            }
            Some(_) => Err(CommandError::OutcomeUnknown { group }),
            None if perhaps_done => Err(CommandError::Timeout { group, waited: patience.limit }),
            None => Err(CommandError::refused(&group, never_sent(last))),
        }
    }

    async fn ticket(&self, patience: Patience) -> Result<Ticket, CommandError> {
        if let Some(ticket) = self.session.ticket() {
            return Ok(ticket);
        }
        let registering = self.caller.until(patience.until, self.session.registering.lock()).await;
        let Some(_registering) = registering else {
            return Err(CommandError::refused(self.group(), never_sent(None)));
        };
        // Whoever comes second finds it done.
        while self.session.ticket().is_none() {
            self.register(patience).await?;
        }
        self.session.ticket().ok_or_else(|| CommandError::Busy { group: self.group().to_owned() })
    }

    async fn register(&self, patience: Patience) -> Result<(), CommandError> {
        let ask = Ask::Command(Envelope { session: Session::Register, id: None, command: Bytes::new() });
        let Asked { response, last, .. } = self.caller.ask(&ask, patience.until).await;
        match response {
            Some(Response::Registered(id)) => {
                self.session.registered(id);
                Ok(())
            }
            Some(Response::Refused(why)) => Err(CommandError::refused(self.group(), why)),
            // A registration that may have happened is no command that may have.
            _ => Err(CommandError::refused(self.group(), never_sent(last))),
        }
    }

    // ---- queries ----

    /// Has a query answered; or, if the leader is here, is told from when on its value may be read.
    pub(crate) async fn query(&self, ask: &Ask, patience: Patience) -> Result<Response, QueryError> {
        let Asked { response, .. } = self.caller.ask(ask, patience.until).await;
        match response {
            Some(Response::Refused(why)) => Err(QueryError::refused(self.group(), why)),
            Some(response) => Ok(response),
            None => Err(self.query_timeout(patience)),
        }
    }

    pub(crate) fn query_timeout(&self, patience: Patience) -> QueryError {
        QueryError::Timeout { group: self.group().to_owned(), waited: patience.limit }
    }

    pub(crate) fn encode_query<V: Value>(query: &V::Query) -> Result<Ask, QueryError> {
        let bytes = value::encode(query).map_err(|error| QueryError::Unencodable { message: error.to_string() })?;
        Ok(Ask::Query(bytes))
    }

    /// The answer of a leader elsewhere.
    pub(crate) fn decode_answer<V: Value>(&self, response: Response) -> Result<V::Answer, QueryError> {
        let Response::Answered(answer) = response else {
            return Err(QueryError::NotLeader { group: self.group().to_owned(), leader: None });
        };
        value::decode(&answer).map_err(|error| QueryError::UndecodableAnswer { message: error.to_string() })
    }

    // ---- changes ----

    pub(crate) async fn change(&self, change: Change, patience: Patience) -> Result<(), ChangeError> {
        let Asked { response, perhaps_done, last } = self.caller.ask(&Ask::Change(change), patience.until).await;
        let group = self.group().to_owned();
        match response {
            Some(Response::Done) => Ok(()),
            // Asked twice, done once: it leads because it was asked to.
            Some(Response::Refused(Refused::Change(ChangeRefused::AlreadyLeader))) if perhaps_done => Ok(()),
            Some(Response::Refused(_)) if perhaps_done => Err(ChangeError::OutcomeUnknown { group }),
            Some(Response::Refused(why)) => Err(ChangeError::refused(&group, why)),
            Some(_) => Err(ChangeError::OutcomeUnknown { group }),
            None if perhaps_done => Err(ChangeError::Timeout { group, waited: patience.limit }),
            None => Err(ChangeError::refused(&group, never_sent(last))),
        }
    }
}

/// Why something was never sent, or never to anyone who took it.
fn never_sent(last: Option<Refused>) -> Refused {
    match last {
        Some(Refused::OutcomeUnknown) | None => Refused::NotLeader { leader: None },
        Some(why) => why,
    }
}
