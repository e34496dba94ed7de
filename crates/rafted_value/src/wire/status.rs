//! How a member is.

use super::Malformed;
use super::fields::{WireContact, check_count, contact, id, id_bytes, index, member, name, optional_id, term};
use super::snapshot::{WireConfig, read_seat, seat_number};
use crate::config::Config;
use crate::contact::GroupId;
use crate::packet::Response;
use crate::report::{MemberReport, StatusReport, Transfer};
use bytes::Bytes;
use prost::Message as _;
use rafted_value_core::{MemberId, Promotion, Seat};

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WireStatus {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(bytes = "bytes", tag = "2")]
    group: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    member: Bytes,
    #[prost(string, tag = "4")]
    role: String,
    #[prost(uint64, tag = "5")]
    term: u64,
    #[prost(bytes = "bytes", tag = "6")]
    leader: Bytes,
    #[prost(uint64, tag = "7")]
    commit: u64,
    #[prost(uint64, tag = "8")]
    applied: u64,
    #[prost(uint64, tag = "9")]
    last: u64,
    #[prost(message, repeated, tag = "10")]
    members: Vec<WireMemberReport>,
    #[prost(uint64, tag = "11")]
    base: u64,
    #[prost(message, optional, tag = "12")]
    config: Option<WireConfig>,
    #[prost(uint64, optional, tag = "13")]
    lease_ms: Option<u64>,
    #[prost(bool, tag = "14")]
    durable: bool,
    #[prost(message, optional, tag = "15")]
    arriving: Option<WireTransfer>,
    #[prost(uint64, tag = "16")]
    last_term: u64,
    #[prost(uint32, tag = "17")]
    value_version: u32,
}
const MEMBERS: usize = 10;

#[derive(Clone, PartialEq, prost::Message)]
struct WireMemberReport {
    #[prost(bytes = "bytes", tag = "1")]
    id: Bytes,
    #[prost(message, optional, tag = "2")]
    contact: Option<WireContact>,
    #[prost(bool, tag = "3")]
    voter: bool,
    #[prost(uint64, optional, tag = "4")]
    matched: Option<u64>,
    #[prost(uint64, optional, tag = "5")]
    silent_for_ms: Option<u64>,
    /// As in a membership; nothing says what most are: a voter, or a learner that will be one.
    #[prost(uint64, tag = "6")]
    seat: u64,
    #[prost(bytes = "bytes", tag = "7")]
    replaces: Bytes,
    #[prost(message, optional, tag = "8")]
    sending: Option<WireTransfer>,
    #[prost(uint32, tag = "9")]
    value_version: u32,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct WireTransfer {
    #[prost(uint64, tag = "1")]
    done: u64,
    #[prost(uint64, tag = "2")]
    total: u64,
}

pub(super) fn decode(bytes: Bytes) -> Result<(u64, Response), Malformed> {
    check_count("members", MEMBERS, &bytes)?;
    let status = WireStatus::decode(bytes)?;
    Ok((status.number, Response::Status(Box::new(status.read()?))))
}

impl WireStatus {
    pub(super) fn of(number: u64, report: &StatusReport) -> WireStatus {
        WireStatus {
            number,
            group: id_bytes(report.group.0),
            member: id_bytes(report.member.0),
            role: report.role.clone(),
            term: report.term.0,
            leader: report.leader.map_or_else(Bytes::new, |leader| id_bytes(leader.0)),
            commit: report.commit.0,
            applied: report.applied.0,
            last: report.last.0,
            last_term: report.last_term.0,
            value_version: report.value_version,
            members: report.members.iter().map(WireMemberReport::of).collect(),
            base: report.base.0,
            config: report.config.as_ref().map(|config| WireConfig::of(&config.to_core())),
            lease_ms: report.lease_ms,
            durable: report.durable,
            arriving: report.arriving.map(WireTransfer::of),
        }
    }

    fn read(self) -> Result<StatusReport, Malformed> {
        let config = self.config.map(WireConfig::read).transpose()?;
        Ok(StatusReport {
            group: GroupId(id("a group's id", &self.group)?),
            member: member(&self.member)?,
            role: name(self.role)?,
            term: term(self.term)?,
            leader: optional_id("a leader's id", &self.leader)?.map(MemberId),
            commit: index(self.commit)?,
            applied: index(self.applied)?,
            last: index(self.last)?,
            last_term: term(self.last_term)?,
            value_version: self.value_version,
            base: index(self.base)?,
            // What a newer build says in a way that this one cannot read is no reason to know nothing else.
            config: config.and_then(|config| Config::from_core(&config).ok()).map(Box::new),
            lease_ms: self.lease_ms,
            durable: self.durable,
            arriving: self.arriving.map(WireTransfer::read),
            members: self.members.into_iter().map(WireMemberReport::read).collect::<Result<_, _>>()?,
        })
    }
}

impl WireMemberReport {
    fn of(report: &MemberReport) -> WireMemberReport {
        let (seat, replaces) = match report.seat {
            Seat::Voter | Seat::Learner(Promotion::WhenCaughtUp) => (0, Bytes::new()),
            seat => seat_number(seat),
        };
        WireMemberReport {
            id: id_bytes(report.id.0),
            contact: Some(WireContact::of(&report.contact)),
            voter: report.voter,
            matched: report.matched.map(|index| index.0),
            silent_for_ms: report.silent_for_ms,
            seat,
            replaces,
            sending: report.sending.map(WireTransfer::of),
            value_version: report.value_version,
        }
    }

    fn read(self) -> Result<MemberReport, Malformed> {
        let seat = match (self.seat, self.voter) {
            (0, true) => Seat::Voter,
            (0, false) => Seat::Learner(Promotion::WhenCaughtUp),
            (number, _) => read_seat(number, &self.replaces)?,
        };
        Ok(MemberReport {
            id: member(&self.id)?,
            contact: contact(self.contact)?,
            voter: self.voter,
            seat,
            matched: self.matched.map(index).transpose()?,
            silent_for_ms: self.silent_for_ms,
            sending: self.sending.map(WireTransfer::read),
            value_version: self.value_version,
        })
    }
}

impl WireTransfer {
    fn of(Transfer { done, total }: Transfer) -> WireTransfer {
        WireTransfer { done, total }
    }

    fn read(self) -> Transfer {
        Transfer { done: self.done, total: self.total }
    }
}
