//! What is wanted of a group. Every body begins with the number that its answer carries.

use super::Malformed;
use super::fields::{WireContact, check_count, contact, id_bytes, index, member, name, optional_id};
use super::frame::{self, frame, kind};
use super::snapshot::WireConfig;
use crate::command_id::CommandId;
use crate::packet::{Change, Envelope, Freshness, Join, Packet, Request, Session, SessionId};
use crate::profile::Profile;
use bytes::Bytes;
use prost::Message as _;
use rafted_value_core::MemberId;
use std::sync::Arc;

#[derive(Clone, PartialEq, prost::Message)]
struct WireJoin {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(string, tag = "2")]
    group: String,
    #[prost(string, tag = "3")]
    value: String,
    #[prost(bytes = "bytes", tag = "4")]
    member: Bytes,
    #[prost(message, optional, tag = "5")]
    contact: Option<WireContact>,
    #[prost(bytes = "bytes", tag = "6")]
    replaces: Bytes,
    #[prost(bool, tag = "7")]
    learner: bool,
    #[prost(string, repeated, tag = "8")]
    hooks: Vec<String>,
    #[prost(uint32, tag = "9")]
    value_version: u32,
}
const HOOKS: usize = 8;

#[derive(Clone, PartialEq, prost::Message)]
struct WireCommand {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(string, tag = "2")]
    group: String,
    #[prost(string, tag = "3")]
    value: String,
    /// None asks for a session.
    #[prost(message, optional, tag = "4")]
    session: Option<WireSession>,
    #[prost(bytes = "bytes", tag = "5")]
    command: Bytes,
    #[prost(message, optional, tag = "6")]
    id: Option<WireCommandId>,
    /// The member that must be the one that is asked.
    #[prost(bytes = "bytes", tag = "7")]
    of: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireCommands {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(string, tag = "2")]
    group: String,
    #[prost(string, tag = "3")]
    value: String,
    #[prost(message, repeated, tag = "4")]
    envelopes: Vec<WireEnvelope>,
    #[prost(bytes = "bytes", tag = "7")]
    of: Bytes,
}
const ENVELOPES: usize = 4;

#[derive(Clone, PartialEq, prost::Message)]
struct WireEnvelope {
    #[prost(message, optional, tag = "1")]
    session: Option<WireSession>,
    #[prost(bytes = "bytes", tag = "2")]
    command: Bytes,
    #[prost(message, optional, tag = "3")]
    id: Option<WireCommandId>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireCommandId {
    #[prost(string, tag = "1")]
    client: String,
    #[prost(string, tag = "2")]
    id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireSession {
    #[prost(message, optional, tag = "1")]
    id: Option<WireSessionId>,
    #[prost(uint64, tag = "2")]
    number: u64,
    #[prost(uint64, tag = "3")]
    unacknowledged: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WireSessionId {
    #[prost(uint64, tag = "1")]
    index: u64,
    #[prost(uint64, tag = "2")]
    offset: u64,
    #[prost(fixed64, tag = "3")]
    nonce: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireQuery {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(string, tag = "2")]
    group: String,
    #[prost(string, tag = "3")]
    value: String,
    #[prost(bytes = "bytes", tag = "4")]
    query: Bytes,
    /// From the own copy, once it contains this.
    #[prost(uint64, optional, tag = "5")]
    at_least: Option<u64>,
    #[prost(bytes = "bytes", tag = "7")]
    of: Bytes,
}

/// ReadIndex and Status, which name a group and maybe who must be asked; Remove and Lead, which name a member too.
#[derive(Clone, PartialEq, prost::Message)]
struct OfGroup {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(string, tag = "2")]
    group: String,
    #[prost(bytes = "bytes", tag = "3")]
    member: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireConfigure {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(string, tag = "2")]
    group: String,
    #[prost(message, optional, tag = "3")]
    config: Option<WireConfig>,
}

pub(super) fn encode(number: u64, request: &Request, limit: u32) -> Result<Bytes, Malformed> {
    let (request, of) = match request {
        Request::Of(member, request) => (&**request, id_bytes(member.0)),
        request => (request, Bytes::new()),
    };
    let of_group = |group: &String| OfGroup { number, group: group.clone(), member: Bytes::new() };
    match request {
        Request::Join(join) => frame(kind::JOIN, &WireJoin::of(number, join), limit),
        Request::Command { group, value, envelope } => {
            let (group, value) = (group.clone(), value.clone());
            let session = WireSession::of(&envelope.session);
            let id = envelope.id.as_deref().map(WireCommandId::of);
            let body = WireCommand { number, group, value, session, command: envelope.command.clone(), id, of };
            frame(kind::COMMAND, &body, limit)
        }
        Request::Query { group, value, query, freshness } => {
            let (group, value, query) = (group.clone(), value.clone(), query.clone());
            let at_least = match freshness {
                Freshness::Linearizable => None,
                Freshness::AtLeast(index) => Some(index.0),
            };
            frame(kind::QUERY, &WireQuery { number, group, value, query, at_least, of }, limit)
        }
        Request::Commands { group, value, envelopes } => {
            let (group, value) = (group.clone(), value.clone());
            let envelopes = envelopes.iter().map(WireEnvelope::of).collect();
            frame(kind::COMMANDS, &WireCommands { number, group, value, envelopes, of }, limit)
        }
        Request::ReadIndex { group } => frame(kind::READ_INDEX, &of_group(group), limit),
        Request::Status { group } => frame(kind::STATUS, &OfGroup { member: of, ..of_group(group) }, limit),
        Request::Change { group, change: Change::Remove(member) } => {
            frame(kind::REMOVE, &OfGroup { member: id_bytes(member.0), ..of_group(group) }, limit)
        }
        Request::Change { group, change: Change::Lead(member) } => {
            let member = member.map_or_else(Bytes::new, |member| id_bytes(member.0));
            frame(kind::LEAD, &OfGroup { member, ..of_group(group) }, limit)
        }
        Request::Change { group, change: Change::Configure(config) } => {
            let body = WireConfigure { number, group: group.clone(), config: Some(WireConfig::of(config)) };
            frame(kind::CONFIGURE, &body, limit)
        }
        // Of nobody in particular: there is nobody to ask.
        Request::Of(..) => Err(Malformed::Length { what: "a request of a member" }),
    }
}

pub(super) fn decode(kind: u8, bytes: Bytes) -> Result<Packet, Malformed> {
    let (number, request) = match kind {
        kind::JOIN => {
            check_count("hooks", HOOKS, &bytes)?;
            WireJoin::decode(bytes)?.read()?
        }
        kind::COMMAND => WireCommand::decode(bytes)?.read()?,
        kind::QUERY => {
            let WireQuery { number, group, value, query, at_least, of } = WireQuery::decode(bytes)?;
            let freshness = match at_least {
                Some(at_least) => Freshness::AtLeast(index(at_least)?),
                None => Freshness::Linearizable,
            };
            (number, addressed(&of, Request::Query { group: name(group)?, value: name(value)?, query, freshness })?)
        }
        kind::COMMANDS => {
            check_count("commands", ENVELOPES, &bytes)?;
            let WireCommands { number, group, value, envelopes, of } = WireCommands::decode(bytes)?;
            let envelopes = envelopes.into_iter().map(WireEnvelope::read).collect::<Result<_, _>>()?;
            (number, addressed(&of, Request::Commands { group: name(group)?, value: name(value)?, envelopes })?)
        }
        kind::READ_INDEX => {
            let OfGroup { number, group, .. } = OfGroup::decode(bytes)?;
            (number, Request::ReadIndex { group: name(group)? })
        }
        kind::STATUS => {
            let OfGroup { number, group, member: of } = OfGroup::decode(bytes)?;
            (number, addressed(&of, Request::Status { group: name(group)? })?)
        }
        kind::REMOVE => {
            let OfGroup { number, group, member: id } = OfGroup::decode(bytes)?;
            (number, Request::Change { group: name(group)?, change: Change::Remove(member(&id)?) })
        }
        kind::LEAD => {
            let OfGroup { number, group, member: id } = OfGroup::decode(bytes)?;
            let member = optional_id("a member's id", &id)?.map(MemberId);
            (number, Request::Change { group: name(group)?, change: Change::Lead(member) })
        }
        kind::CONFIGURE => {
            let WireConfigure { number, group, config } = WireConfigure::decode(bytes)?;
            let config = config.ok_or(Malformed::Length { what: "a config" })?.read()?;
            (number, Request::Change { group: name(group)?, change: Change::Configure(Box::new(config)) })
        }
        _ => return Err(frame::unknown(kind)),
    };
    Ok(Packet::Request { number, request })
}

/// The request, of this very member if one is named.
fn addressed(of: &Bytes, request: Request) -> Result<Request, Malformed> {
    match optional_id("a member's id", of)?.map(MemberId) {
        Some(member) => Ok(Request::Of(member, Box::new(request))),
        None => Ok(request),
    }
}

impl WireJoin {
    fn of(number: u64, join: &Join) -> WireJoin {
        WireJoin {
            number,
            group: join.group.clone(),
            value: join.value.clone(),
            member: id_bytes(join.member.0),
            contact: Some(WireContact::of(&join.profile.contact)),
            replaces: join.replaces.map_or_else(Bytes::new, |old| id_bytes(old.0)),
            learner: join.learner,
            hooks: join.profile.hooks.clone(),
            value_version: join.profile.value_version,
        }
    }

    fn read(self) -> Result<(u64, Request), Malformed> {
        let join = Join {
            group: name(self.group)?,
            value: name(self.value)?,
            member: member(&self.member)?,
            profile: Profile {
                contact: contact(self.contact)?,
                hooks: self.hooks.into_iter().map(name).collect::<Result<_, _>>()?,
                value_version: self.value_version,
            },
            replaces: optional_id("the id of the replaced member", &self.replaces)?.map(MemberId),
            learner: self.learner,
        };
        Ok((self.number, Request::Join(join)))
    }
}

impl WireCommand {
    fn read(self) -> Result<(u64, Request), Malformed> {
        let session = self.session.map_or(Ok(Session::Register), WireSession::read)?;
        let id = self.id.map(WireCommandId::read).transpose()?.map(Arc::new);
        let envelope = Envelope { session, id, command: self.command };
        let request = Request::Command { group: name(self.group)?, value: name(self.value)?, envelope };
        Ok((self.number, addressed(&self.of, request)?))
    }
}

impl WireEnvelope {
    fn of(envelope: &Envelope) -> WireEnvelope {
        let session = WireSession::of(&envelope.session);
        let id = envelope.id.as_deref().map(WireCommandId::of);
        WireEnvelope { session, command: envelope.command.clone(), id }
    }

    fn read(self) -> Result<Envelope, Malformed> {
        let session = self.session.map_or(Ok(Session::Register), WireSession::read)?;
        let id = self.id.map(WireCommandId::read).transpose()?.map(Arc::new);
        Ok(Envelope { session, id, command: self.command })
    }
}

impl WireCommandId {
    fn of(id: &CommandId) -> WireCommandId {
        WireCommandId { client: id.client().to_owned(), id: id.id().to_owned() }
    }

    fn read(self) -> Result<CommandId, Malformed> {
        let id = CommandId::new(self.client, self.id);
        if id.is_valid() { Ok(id) } else { Err(Malformed::Length { what: "a command's id" }) }
    }
}

impl WireSession {
    fn of(session: &Session) -> Option<WireSession> {
        match *session {
            Session::Register => None,
            Session::Command { id, number, unacknowledged } => {
                Some(WireSession { id: Some(WireSessionId::of(id)), number, unacknowledged })
            }
        }
    }

    fn read(self) -> Result<Session, Malformed> {
        let id = self.id.ok_or(Malformed::Length { what: "a session" })?.read()?;
        Ok(Session::Command { id, number: self.number, unacknowledged: self.unacknowledged })
    }
}

impl WireSessionId {
    pub(super) fn of(id: SessionId) -> WireSessionId {
        WireSessionId { index: id.index.0, offset: id.offset.into(), nonce: id.nonce }
    }

    pub(super) fn read(self) -> Result<SessionId, Malformed> {
        let too_large = |_| Malformed::NumberTooLarge { what: "an offset", number: self.offset };
        let offset = u32::try_from(self.offset).map_err(too_large)?;
        Ok(SessionId { index: index(self.index)?, offset, nonce: self.nonce })
    }
}
