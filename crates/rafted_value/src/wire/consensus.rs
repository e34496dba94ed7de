//! What members say to each other: one body per RPC and per reply. Group, sender and receiver are in the header.

use super::Malformed;
use super::fields::{self, COUNT_LIMIT, entry_id, index, term};
use super::frame::{self, Route, kind, routed};
use super::snapshot::{WireEntry, WireSnapshot};
use crate::contact::GroupId;
use bytes::Bytes;
use prost::Message as _;
use rafted_value_core::{self as raft, AppendResult, Ballot, Body, Message, Time};
use std::time::Duration;

#[derive(Clone, PartialEq, prost::Message)]
struct RequestVote {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(uint64, tag = "2")]
    ballot: u64,
    #[prost(uint64, tag = "3")]
    last_term: u64,
    #[prost(uint64, tag = "4")]
    last_index: u64,
    #[prost(uint64, tag = "5")]
    campaign: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RequestVoteReply {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(uint64, tag = "2")]
    ballot: u64,
    #[prost(bool, tag = "3")]
    granted: bool,
    #[prost(uint64, tag = "4")]
    campaign: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct AppendEntries {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(uint64, tag = "2")]
    prev_term: u64,
    #[prost(uint64, tag = "3")]
    prev_index: u64,
    #[prost(uint64, tag = "4")]
    commit: u64,
    #[prost(uint64, tag = "5")]
    round: u64,
    #[prost(uint64, tag = "6")]
    sent: u64,
    #[prost(message, repeated, tag = "7")]
    entries: Vec<WireEntry>,
    #[prost(uint64, tag = "8")]
    keep: u64,
    #[prost(bool, tag = "9")]
    quiesce: bool,
}
const ENTRIES: usize = 7;

#[derive(Clone, PartialEq, prost::Message)]
struct AppendEntriesReply {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(uint64, tag = "2")]
    result: u64,
    #[prost(uint64, tag = "3")]
    matched: u64,
    #[prost(uint64, tag = "4")]
    prev: u64,
    #[prost(uint64, tag = "5")]
    hint_term: u64,
    #[prost(uint64, tag = "6")]
    hint_index: u64,
    #[prost(uint64, tag = "7")]
    verified: u64,
    #[prost(uint64, tag = "8")]
    round: u64,
    #[prost(uint64, tag = "9")]
    sent: u64,
    #[prost(uint64, tag = "10")]
    promise_ns: u64,
}
const ACCEPTED: u64 = 1;
const REJECTED: u64 = 2;

#[derive(Clone, PartialEq, prost::Message)]
struct InstallSnapshot {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(message, optional, tag = "2")]
    snapshot: Option<WireSnapshot>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct InstallSnapshotReply {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(uint64, tag = "2")]
    matched: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct OnlyTerm {
    #[prost(uint64, tag = "1")]
    term: u64,
}

pub(super) fn encode(group: GroupId, message: &Message, limit: u32) -> Result<Bytes, Malformed> {
    let route = &Route { group, from: message.from, to: message.to };
    let term = message.term.0;
    match &message.body {
        Body::RequestVote(body) => routed(kind::REQUEST_VOTE, route, &RequestVote::of(term, body), limit),
        Body::RequestVoteReply(body) => {
            routed(kind::REQUEST_VOTE_REPLY, route, &RequestVoteReply::of(term, body), limit)
        }
        Body::AppendEntries(body) => routed(kind::APPEND_ENTRIES, route, &AppendEntries::of(term, body), limit),
        Body::AppendEntriesReply(body) => {
            routed(kind::APPEND_ENTRIES_REPLY, route, &AppendEntriesReply::of(term, body), limit)
        }
        Body::InstallSnapshot(body) => {
            let body = InstallSnapshot { term, snapshot: Some(WireSnapshot::of(&body.snapshot)) };
            routed(kind::INSTALL_SNAPSHOT, route, &body, limit)
        }
        Body::InstallSnapshotReply(body) => {
            let body = InstallSnapshotReply { term, matched: body.matched.0 };
            routed(kind::INSTALL_SNAPSHOT_REPLY, route, &body, limit)
        }
        Body::TimeoutNow => routed(kind::TIMEOUT_NOW, route, &OnlyTerm { term }, limit),
        Body::Removed => routed(kind::REMOVED, route, &OnlyTerm { term }, limit),
    }
}

pub(super) fn decode(kind: u8, route: &Route, bytes: Bytes) -> Result<Message, Malformed> {
    let (term_of, body) = match kind {
        kind::REQUEST_VOTE => RequestVote::decode(bytes)?.read()?,
        kind::REQUEST_VOTE_REPLY => RequestVoteReply::decode(bytes)?.read()?,
        kind::APPEND_ENTRIES => {
            fields::check_count("entries", ENTRIES, &bytes)?;
            AppendEntries::decode(bytes)?.read()?
        }
        kind::APPEND_ENTRIES_REPLY => AppendEntriesReply::decode(bytes)?.read()?,
        kind::INSTALL_SNAPSHOT => {
            let InstallSnapshot { term, snapshot } = InstallSnapshot::decode(bytes)?;
            (term, Body::InstallSnapshot(raft::InstallSnapshot { snapshot: WireSnapshot::read(snapshot)? }))
        }
        kind::INSTALL_SNAPSHOT_REPLY => {
            let InstallSnapshotReply { term, matched } = InstallSnapshotReply::decode(bytes)?;
            (term, Body::InstallSnapshotReply(raft::InstallSnapshotReply { matched: index(matched)? }))
        }
        kind::TIMEOUT_NOW => (OnlyTerm::decode(bytes)?.term, Body::TimeoutNow),
        kind::REMOVED => (OnlyTerm::decode(bytes)?.term, Body::Removed),
        _ => return Err(frame::unknown(kind)),
    };
    Ok(Message { from: route.from, to: route.to, term: term(term_of)?, body })
}

fn ballot_number(ballot: Ballot) -> u64 {
    match ballot {
        Ballot::PreVote => 1,
        Ballot::Vote => 2,
        Ballot::Transfer => 3,
    }
}

fn ballot(number: u64) -> Result<Ballot, Malformed> {
    match number {
        1 => Ok(Ballot::PreVote),
        2 => Ok(Ballot::Vote),
        3 => Ok(Ballot::Transfer),
        kind => Err(Malformed::UnknownKind { what: "ballot", kind }),
    }
}

impl RequestVote {
    fn of(term: u64, body: &raft::RequestVote) -> RequestVote {
        RequestVote {
            term,
            ballot: ballot_number(body.ballot),
            last_term: body.last.term.0,
            last_index: body.last.index.0,
            campaign: body.campaign,
        }
    }

    fn read(self) -> Result<(u64, Body), Malformed> {
        let last = entry_id(self.last_term, self.last_index)?;
        let body = raft::RequestVote { ballot: ballot(self.ballot)?, last, campaign: self.campaign };
        Ok((self.term, Body::RequestVote(body)))
    }
}

impl RequestVoteReply {
    fn of(term: u64, body: &raft::RequestVoteReply) -> RequestVoteReply {
        let ballot = ballot_number(body.ballot);
        RequestVoteReply { term, ballot, granted: body.granted, campaign: body.campaign }
    }

    fn read(self) -> Result<(u64, Body), Malformed> {
        let ballot = ballot(self.ballot)?;
        let body = raft::RequestVoteReply { ballot, granted: self.granted, campaign: self.campaign };
        Ok((self.term, Body::RequestVoteReply(body)))
    }
}

impl AppendEntries {
    /// Entries beyond what one message may carry stay behind: the follower acknowledges what it got, and the leader
    /// finds out where to go on as after any loss.
    fn of(term: u64, body: &raft::AppendEntries) -> AppendEntries {
        AppendEntries {
            term,
            prev_term: body.prev.term.0,
            prev_index: body.prev.index.0,
            commit: body.commit.0,
            round: body.round,
            sent: body.sent.0,
            keep: body.keep.0,
            quiesce: body.quiesce,
            entries: body.entries.iter().take(COUNT_LIMIT).map(WireEntry::of).collect(),
        }
    }

    fn read(self) -> Result<(u64, Body), Malformed> {
        let body = raft::AppendEntries {
            prev: entry_id(self.prev_term, self.prev_index)?,
            entries: self.entries.into_iter().map(WireEntry::read).collect::<Result<_, _>>()?,
            commit: index(self.commit)?,
            round: self.round,
            sent: Time(self.sent),
            keep: index(self.keep)?,
            quiesce: self.quiesce,
        };
        Ok((self.term, Body::AppendEntries(body)))
    }
}

impl AppendEntriesReply {
    fn of(term: u64, body: &raft::AppendEntriesReply) -> AppendEntriesReply {
        let common = AppendEntriesReply {
            term,
            verified: body.verified.0,
            round: body.round,
            sent: body.sent.0,
            promise_ns: fields::nanos(body.promise),
            ..AppendEntriesReply::default()
        };
        match body.result {
            AppendResult::Accepted { matched } => AppendEntriesReply { result: ACCEPTED, matched: matched.0, ..common },
            AppendResult::Rejected { prev, hint } => AppendEntriesReply {
                result: REJECTED,
                prev: prev.0,
                hint_term: hint.term.0,
                hint_index: hint.index.0,
                ..common
            },
        }
    }

    fn read(self) -> Result<(u64, Body), Malformed> {
        let result = match self.result {
            ACCEPTED => AppendResult::Accepted { matched: index(self.matched)? },
            REJECTED => {
                AppendResult::Rejected { prev: index(self.prev)?, hint: entry_id(self.hint_term, self.hint_index)? }
            }
            kind => return Err(Malformed::UnknownKind { what: "result of an append", kind }),
        };
        let body = raft::AppendEntriesReply {
            result,
            verified: index(self.verified)?,
            round: self.round,
            sent: Time(self.sent),
            promise: Duration::from_nanos(self.promise_ns),
        };
        Ok((self.term, Body::AppendEntriesReply(body)))
    }
}
