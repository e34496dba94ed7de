//! What became of a request. Every body begins with the number of that request.

use super::Malformed;
use super::fields::{WireContact, check_count, cut, id, id_bytes, index, member, name, text, version};
use super::frame::{self, frame, kind};
use super::request::WireSessionId;
use super::status::{self, WireStatus};
use crate::contact::{ClusterId, GroupId};
use crate::packet::{ChangeRefused, Packet, Refused, Response};
use bytes::Bytes;
use prost::Message as _;
use rafted_value_core::MemberId;

#[derive(Clone, PartialEq, prost::Message)]
struct WireJoined {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(bytes = "bytes", tag = "2")]
    group: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    cluster: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireRegistered {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(message, optional, tag = "2")]
    session: Option<WireSessionId>,
}

/// Applied and Answered; without data also Done.
#[derive(Clone, PartialEq, prost::Message)]
struct WireData {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(bytes = "bytes", tag = "2")]
    data: Bytes,
    /// Of Answered.
    #[prost(uint64, tag = "3")]
    applied: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireMany {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(message, repeated, tag = "2")]
    parts: Vec<WirePart>,
}
const PARTS: usize = 2;

/// What became of one command of several: refused if there is a refusal, else applied.
#[derive(Clone, PartialEq, prost::Message)]
struct WirePart {
    #[prost(bytes = "bytes", tag = "1")]
    reply: Bytes,
    #[prost(message, optional, tag = "2")]
    refused: Option<WireRefused>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireReadIndex {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(uint64, tag = "2")]
    index: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireRefused {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(uint64, tag = "2")]
    reason: u64,
    #[prost(string, tag = "3")]
    text: String,
    #[prost(message, optional, tag = "4")]
    leader: Option<WireContact>,
    #[prost(uint64, tag = "5")]
    limit: u64,
    #[prost(uint64, tag = "6")]
    change: u64,
    #[prost(bytes = "bytes", tag = "7")]
    member: Bytes,
}

pub(super) fn encode(number: u64, response: &Response, limit: u32) -> Result<Bytes, Malformed> {
    match response {
        Response::Joined { group, cluster } => {
            let body = WireJoined { number, group: id_bytes(group.0), cluster: id_bytes(cluster.0) };
            frame(kind::JOINED, &body, limit)
        }
        Response::Registered(session) => {
            let body = WireRegistered { number, session: Some(WireSessionId::of(*session)) };
            frame(kind::REGISTERED, &body, limit)
        }
        Response::Applied(data) => frame(kind::APPLIED, &WireData { number, data: data.clone(), applied: 0 }, limit),
        Response::Answered { answer, applied } => {
            let body = WireData { number, data: answer.clone(), applied: applied.0 };
            frame(kind::ANSWERED, &body, limit)
        }
        Response::Many(responses) => {
            let parts = responses.iter().map(WirePart::of).collect();
            frame(kind::MANY, &WireMany { number, parts }, limit)
        }
        Response::ReadIndex(index) => frame(kind::READ_INDEX_IS, &WireReadIndex { number, index: index.0 }, limit),
        Response::Status(report) => frame(kind::STATUS_IS, &WireStatus::of(number, report), limit),
        Response::Done => frame(kind::DONE, &WireData { number, ..WireData::default() }, limit),
        Response::Refused(why) => frame(kind::REFUSED, &WireRefused::of(number, why), limit),
    }
}

pub(super) fn decode(kind: u8, bytes: Bytes) -> Result<Packet, Malformed> {
    let (number, response) = match kind {
        kind::JOINED => {
            let WireJoined { number, group, cluster } = WireJoined::decode(bytes)?;
            let group = GroupId(id("a group's id", &group)?);
            (number, Response::Joined { group, cluster: ClusterId(id("a cluster's id", &cluster)?) })
        }
        kind::REGISTERED => {
            let WireRegistered { number, session } = WireRegistered::decode(bytes)?;
            let session = session.ok_or(Malformed::Length { what: "a session" })?;
            (number, Response::Registered(session.read()?))
        }
        kind::APPLIED => {
            let WireData { number, data, .. } = WireData::decode(bytes)?;
            (number, Response::Applied(data))
        }
        kind::ANSWERED => {
            let WireData { number, data: answer, applied } = WireData::decode(bytes)?;
            (number, Response::Answered { answer, applied: index(applied)? })
        }
        kind::MANY => {
            check_count("responses", PARTS, &bytes)?;
            let WireMany { number, parts } = WireMany::decode(bytes)?;
            (number, Response::Many(parts.into_iter().map(WirePart::read).collect::<Result<_, _>>()?))
        }
        kind::READ_INDEX_IS => {
            let WireReadIndex { number, index: at } = WireReadIndex::decode(bytes)?;
            (number, Response::ReadIndex(index(at)?))
        }
        kind::STATUS_IS => status::decode(bytes)?,
        kind::DONE => (WireData::decode(bytes)?.number, Response::Done),
        kind::REFUSED => WireRefused::decode(bytes)?.read()?,
        _ => return Err(frame::unknown(kind)),
    };
    Ok(Packet::Response { number, response })
}

impl WirePart {
    /// Nothing else becomes of a command.
    fn of(response: &Response) -> WirePart {
        match response {
            Response::Applied(reply) => WirePart { reply: reply.clone(), refused: None },
            Response::Refused(why) => WirePart { refused: Some(WireRefused::of(0, why)), ..WirePart::default() },
            _ => WirePart { refused: Some(WireRefused::of(0, &Refused::OutcomeUnknown)), ..WirePart::default() },
        }
    }

    fn read(self) -> Result<Response, Malformed> {
        match self.refused {
            Some(refused) => Ok(refused.read()?.1),
            None => Ok(Response::Applied(self.reply)),
        }
    }
}

const NO_SUCH_GROUP: u64 = 1;
const OTHER_VALUE: u64 = 2;
const NOT_LEADER: u64 = 3;
const BUSY: u64 = 4;
const TOO_LARGE: u64 = 5;
const OUTCOME_UNKNOWN: u64 = 6;
const NO_SUCH_SESSION: u64 = 7;
const FORGOTTEN: u64 = 8;
const PANICKED: u64 = 9;
const UNDECODABLE: u64 = 10;
const CHANGE: u64 = 11;
const STOPPED: u64 = 12;
const ID_REUSED: u64 = 13;
const NO_SUCH_MEMBER: u64 = 14;
const BEHIND: u64 = 15;
const GROUP_REMOVED: u64 = 16;
const OLDER_VALUE: u64 = 17;

impl WireRefused {
    fn of(number: u64, why: &Refused) -> WireRefused {
        let reason = |reason| WireRefused { number, reason, ..WireRefused::default() };
        match why {
            Refused::NoSuchGroup => reason(NO_SUCH_GROUP),
            Refused::OtherValue { value } => WireRefused { text: value.clone(), ..reason(OTHER_VALUE) },
            Refused::NotLeader { leader } => {
                WireRefused { leader: leader.as_ref().map(WireContact::of), ..reason(NOT_LEADER) }
            }
            Refused::Busy => reason(BUSY),
            Refused::TooLarge { limit } => WireRefused { limit: *limit, ..reason(TOO_LARGE) },
            Refused::OutcomeUnknown => reason(OUTCOME_UNKNOWN),
            Refused::NoSuchSession => reason(NO_SUCH_SESSION),
            Refused::Forgotten => reason(FORGOTTEN),
            Refused::Panicked { message } => WireRefused { text: cut(message), ..reason(PANICKED) },
            Refused::Undecodable { message } => WireRefused { text: cut(message), ..reason(UNDECODABLE) },
            Refused::Change(why) => WireRefused { number, ..WireRefused::of_change(why) },
            Refused::Stopped => reason(STOPPED),
            Refused::IdReused => reason(ID_REUSED),
            Refused::NoSuchMember => reason(NO_SUCH_MEMBER),
            Refused::Behind { applied } => WireRefused { limit: applied.0, ..reason(BEHIND) },
            Refused::GroupRemoved => reason(GROUP_REMOVED),
            Refused::OlderValue { needed } => WireRefused { limit: (*needed).into(), ..reason(OLDER_VALUE) },
        }
    }

    fn of_change(why: &ChangeRefused) -> WireRefused {
        use ChangeRefused as Why;
        let plain = |change| WireRefused { reason: CHANGE, change, ..WireRefused::default() };
        let about = |change, member: &MemberId| WireRefused { member: id_bytes(member.0), ..plain(change) };
        match why {
            Why::Uncommitted => plain(1),
            Why::Transferring => plain(14),
            Why::NotMember(member) => about(2, member),
            Why::AlreadyMember(member) => about(3, member),
            Why::CannotRemoveLeader => plain(4),
            Why::WouldBreakQuorum => plain(5),
            Why::NotCaughtUp(member) => about(6, member),
            Why::NoVoters => plain(7),
            Why::AlreadyLeader => plain(8),
            Why::NotVoter(member) => about(9, member),
            Why::Unresponsive(member) => about(10, member),
            Why::Overridden => plain(11),
            Why::InvalidConfig(why) => WireRefused { text: cut(why), ..plain(12) },
            Why::NoSuchHook { member, hook } => WireRefused { text: cut(hook), ..about(13, member) },
        }
    }

    fn read_change(self) -> Result<ChangeRefused, Malformed> {
        use ChangeRefused as Why;
        Ok(match self.change {
            1 => Why::Uncommitted,
            14 => Why::Transferring,
            2 => Why::NotMember(member(&self.member)?),
            3 => Why::AlreadyMember(member(&self.member)?),
            4 => Why::CannotRemoveLeader,
            5 => Why::WouldBreakQuorum,
            6 => Why::NotCaughtUp(member(&self.member)?),
            7 => Why::NoVoters,
            8 => Why::AlreadyLeader,
            9 => Why::NotVoter(member(&self.member)?),
            10 => Why::Unresponsive(member(&self.member)?),
            11 => Why::Overridden,
            12 => Why::InvalidConfig(text(self.text)?),
            13 => Why::NoSuchHook { member: member(&self.member)?, hook: name(self.text)? },
            kind => return Err(Malformed::UnknownKind { what: "refusal of a change", kind }),
        })
    }

    fn read(self) -> Result<(u64, Response), Malformed> {
        let number = self.number;
        let why = match self.reason {
            NO_SUCH_GROUP => Refused::NoSuchGroup,
            OTHER_VALUE => Refused::OtherValue { value: name(self.text)? },
            NOT_LEADER => Refused::NotLeader { leader: self.leader.map(WireContact::read).transpose()? },
            BUSY => Refused::Busy,
            TOO_LARGE => Refused::TooLarge { limit: self.limit },
            OUTCOME_UNKNOWN => Refused::OutcomeUnknown,
            NO_SUCH_SESSION => Refused::NoSuchSession,
            FORGOTTEN => Refused::Forgotten,
            PANICKED => Refused::Panicked { message: text(self.text)? },
            UNDECODABLE => Refused::Undecodable { message: text(self.text)? },
            CHANGE => Refused::Change(self.read_change()?),
            STOPPED => Refused::Stopped,
            ID_REUSED => Refused::IdReused,
            NO_SUCH_MEMBER => Refused::NoSuchMember,
            BEHIND => Refused::Behind { applied: index(self.limit)? },
            GROUP_REMOVED => Refused::GroupRemoved,
            OLDER_VALUE => Refused::OlderValue { needed: version(self.limit)? },
            kind => return Err(Malformed::UnknownKind { what: "reason", kind }),
        };
        Ok((number, Response::Refused(why)))
    }
}
