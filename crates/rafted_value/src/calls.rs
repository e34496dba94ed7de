//! Commands, queries and changes of whatever handle, a member's or a client's: asked until answered, with what may be
//! concluded if they are not.

use crate::at_member::StaleAnswer;
use crate::caller::{Ask, Asked, Caller, Whom};
use crate::command_id::CommandId;
use crate::error::{ChangeError, CommandError, QueryError};
use crate::packet::{Change, ChangeRefused, Envelope, Freshness, Refused, Response, Session};
use crate::session::{HandleSession, Ticket};
use crate::timers;
use crate::value::{self, Value};
use bytes::Bytes;
use rafted_value_core::Time;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// How many commands travel together at most, and in about how many bytes: they become one entry. Of 4,096 each took twice
/// as long as of 1,000 (example `clock`).
const TOGETHER: (usize, usize) = (1_024, 1 << 20);

/// A handle's calls.
pub(crate) struct Calls {
    pub(crate) caller: Caller,
    session: HandleSession,
}

/// One call: whom it asks, how long it may take, and from when on.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) whom: Whom,
    pub(crate) limit: Duration,
    pub(crate) until: Time,
}

impl Call {
    /// To whoever leads.
    pub(crate) fn within(limit: Duration) -> Call {
        Call::to(Whom::Leader, limit)
    }

    pub(crate) fn to(whom: Whom, limit: Duration) -> Call {
        Call { whom, limit, until: timers::now().after(limit) }
    }
}

impl Calls {
    pub(crate) fn new(caller: Caller) -> Calls {
        Calls { caller, session: HandleSession::default() }
    }

    /// The same for what runs on the node's own thread, with a session of its own.
    pub(crate) fn apart(&self) -> Calls {
        Calls::new(self.caller.apart())
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
        call: Call,
    ) -> Result<V::Reply, CommandError> {
        if let Some(id) = id.as_ref().filter(|id| !id.is_valid()) {
            return Err(CommandError::InvalidId { id: id.clone() });
        }
        let command = encode_command::<V>(command)?;
        let id = id.map(Arc::new);
        let one = |session| Envelope { session, id: id.clone(), command: command.clone() };
        let outcome = self.once(1, |sessions| Ask::Command(one(sessions.next().unwrap_or(Session::Register))), &call);
        decode_reply::<V>(outcome.await.remove(0))
    }

    /// Has commands applied in their order, as many together as may travel together.
    pub(crate) async fn commands<V: Value>(
        &self,
        commands: impl IntoIterator<Item = V::Command>,
        call: Call,
    ) -> Vec<Result<V::Reply, CommandError>> {
        let encoded: Vec<_> = commands.into_iter().map(|command| encode_command::<V>(&command)).collect();
        let mut sound: VecDeque<Bytes> = encoded.iter().filter_map(|command| command.as_ref().ok().cloned()).collect();
        let mut outcomes = VecDeque::new();
        while let Some(together) = take_together(&mut sound, Bytes::len) {
            outcomes.extend(self.together(&together, &call).await);
        }
        let result = |command: Result<Bytes, CommandError>| match command {
            Ok(_) => decode_reply::<V>(outcomes.pop_front().unwrap_or_else(|| Err(self.not_sent()))),
            Err(unencodable) => Err(unencodable),
        };
        encoded.into_iter().map(result).collect()
    }

    /// Commands that [`take_together`] found fit to travel together; an outcome for each.
    pub(crate) async fn together(&self, commands: &[Bytes], call: &Call) -> Vec<Result<Bytes, CommandError>> {
        if timers::now() >= call.until {
            return commands.iter().map(|_| Err(self.not_sent())).collect();
        }
        let envelope = |(session, command): (Session, &Bytes)| Envelope { session, id: None, command: command.clone() };
        let ask = |sessions: Sessions<'_>| Ask::Commands(sessions.zip(commands).map(envelope).collect());
        self.once(commands.len(), ask, call).await
    }

    pub(crate) fn not_sent(&self) -> CommandError {
        CommandError::NotSent { group: self.group().to_owned() }
    }

    /// Why a command was never sent, or never to anyone who took it.
    fn never_sent(&self, last: Option<Refused>) -> CommandError {
        match last {
            Some(Refused::OutcomeUnknown) | None => self.not_sent(),
            Some(why) => CommandError::refused(self.group(), why),
        }
    }

    /// What becomes of each of so many commands; in another session if this one is gone and nothing was done.
    async fn once(
        &self,
        count: usize,
        ask: impl Fn(Sessions<'_>) -> Ask,
        call: &Call,
    ) -> Vec<Result<Bytes, CommandError>> {
        loop {
            let ticket = match self.ticket(count, call).await {
                Ok(ticket) => ticket,
                Err(error) => return vec![Err(error); count],
            };
            let asked = self.caller.ask(&ask(&mut ticket.sessions()), &call.whom, call.until).await;
            let perhaps_done = asked.perhaps_done;
            let responses = match asked.response {
                Some(Response::Many(responses)) if responses.len() == count => responses,
                Some(response) => vec![response; count],
                None => return vec![Err(self.no_answer(asked, call)); count],
            };
            if responses.contains(&Response::Refused(Refused::NoSuchSession)) {
                self.session.lost(&ticket);
                if !perhaps_done {
                    continue;
                }
            }
            return responses.into_iter().map(|response| self.outcome(response, perhaps_done)).collect();
        }
    }

    fn outcome(&self, response: Response, perhaps_done: bool) -> Result<Bytes, CommandError> {
        let group = self.group().to_owned();
        match response {
            Response::Applied(reply) => Ok(reply),
            Response::Refused(why) => {
                let error = CommandError::refused(&group, why);
                // An earlier attempt may have gone further than the last.
                let unsure = perhaps_done && error.is_not_applied();
                Err(if unsure { CommandError::OutcomeUnknown { group } } else { error })
            }
            _ => Err(CommandError::OutcomeUnknown { group }),
        }
    }

    fn no_answer(&self, asked: Asked, call: &Call) -> CommandError {
        let group = self.group().to_owned();
        match asked.perhaps_done {
            true => CommandError::Timeout { group, waited: call.limit },
            false => self.never_sent(asked.last),
        }
    }

    async fn ticket(&self, count: usize, call: &Call) -> Result<Ticket, CommandError> {
        if let Some(ticket) = self.session.ticket(count) {
            return Ok(ticket);
        }
        let registering = self.caller.until(call.until, self.session.registering.lock()).await;
        let Some(_registering) = registering else {
            return Err(self.not_sent());
        };
        // Whoever comes second finds it done.
        loop {
            if let Some(ticket) = self.session.ticket(count) {
                return Ok(ticket);
            }
            self.register(call).await?;
        }
    }

    async fn register(&self, call: &Call) -> Result<(), CommandError> {
        let ask = Ask::Command(Envelope { session: Session::Register, id: None, command: Bytes::new() });
        let Asked { response, last, .. } = self.caller.ask(&ask, &call.whom, call.until).await;
        match response {
            Some(Response::Registered(id)) => {
                self.session.registered(id);
                Ok(())
            }
            Some(Response::Refused(why)) => Err(CommandError::refused(self.group(), why)),
            // A registration that may have happened is no command that may have.
            _ => Err(self.never_sent(last)),
        }
    }

    // ---- queries ----

    /// Has a query answered; or, if the leader is here, is told from when on its value may be read.
    pub(crate) async fn query(&self, ask: &Ask, call: &Call) -> Result<Response, QueryError> {
        let Asked { response, .. } = self.caller.ask(ask, &call.whom, call.until).await;
        match response {
            Some(Response::Refused(why)) => Err(QueryError::refused(self.group(), why)),
            Some(response) => Ok(response),
            None => Err(self.query_timeout(call)),
        }
    }

    pub(crate) fn query_timeout(&self, call: &Call) -> QueryError {
        QueryError::Timeout { group: self.group().to_owned(), waited: call.limit }
    }

    pub(crate) fn encode_query<V: Value>(query: &V::Query, freshness: Freshness) -> Result<Ask, QueryError> {
        let bytes = value::encode(query).map_err(|error| QueryError::Unencodable { message: error.to_string() })?;
        Ok(Ask::Query(bytes, freshness))
    }

    /// The answer of a member elsewhere.
    pub(crate) fn decode_answer<V: Value>(&self, response: Response) -> Result<StaleAnswer<V::Answer>, QueryError> {
        let Response::Answered { answer, applied } = response else {
            return Err(QueryError::NotLeader { group: self.group().to_owned(), leader: None });
        };
        let answer =
            value::decode(&answer).map_err(|error| QueryError::UndecodableAnswer { message: error.to_string() })?;
        Ok(StaleAnswer { answer, applied })
    }

    // ---- changes ----

    pub(crate) async fn change(&self, change: Change, call: Call) -> Result<(), ChangeError> {
        let Asked { response, perhaps_done, last } =
            self.caller.ask(&Ask::Change(change), &call.whom, call.until).await;
        let group = self.group().to_owned();
        match response {
            Some(Response::Done) => Ok(()),
            // Asked twice, done once: it leads because it was asked to.
            Some(Response::Refused(Refused::Change(ChangeRefused::AlreadyLeader))) if perhaps_done => Ok(()),
            Some(Response::Refused(_)) if perhaps_done => Err(ChangeError::OutcomeUnknown { group }),
            Some(Response::Refused(why)) => Err(ChangeError::refused(&group, why)),
            Some(_) => Err(ChangeError::OutcomeUnknown { group }),
            None if perhaps_done => Err(ChangeError::Timeout { group, waited: call.limit }),
            None => Err(ChangeError::refused(&group, never_sent(last))),
        }
    }
}

/// The sessions of commands that go together.
type Sessions<'a> = &'a mut dyn Iterator<Item = Session>;

/// Those at the front of a line that may travel together; nothing if nobody waits.
pub(crate) fn take_together<T>(line: &mut VecDeque<T>, bytes: impl Fn(&T) -> usize) -> Option<Vec<T>> {
    let (mut together, mut total) = (Vec::new(), 0);
    while together.len() < TOGETHER.0
        && total < TOGETHER.1
        && let Some(next) = line.pop_front()
    {
        total += bytes(&next);
        together.push(next);
    }
    if together.is_empty() { None } else { Some(together) }
}

pub(crate) fn encode_command<V: Value>(command: &V::Command) -> Result<Bytes, CommandError> {
    value::encode(command).map_err(|error| CommandError::Unencodable { message: error.to_string() })
}

pub(crate) fn decode_reply<V: Value>(outcome: Result<Bytes, CommandError>) -> Result<V::Reply, CommandError> {
    value::decode(&outcome?).map_err(|error| CommandError::UndecodableReply { message: error.to_string() })
}

/// Why a change was never sent, or never to anyone who took it.
fn never_sent(last: Option<Refused>) -> Refused {
    match last {
        Some(Refused::OutcomeUnknown) | None => Refused::NotLeader { leader: None },
        Some(why) => why,
    }
}
