//! One packet of each kind, with every field used.

use crate::command_id::CommandId;
use crate::contact::{ClusterId, Contact, GroupId, NodeId};
use crate::packet::{
    Change, ChangeRefused, Chunk, Envelope, Freshness, Join, Packet, Refused, Request, Response, Session, SessionId,
};
use crate::profile::Profile;
use crate::report::{MemberReport, StatusReport, Transfer};
use crate::wire::{Hello, Purpose, Role};
use bytes::Bytes;
use rafted_value_core::*;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn group() -> GroupId {
    GroupId(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff)
}

pub(super) fn member(n: u128) -> MemberId {
    MemberId(n << 120 | n)
}

pub(super) fn raft(body: Body) -> Packet {
    Packet::Raft { group: group(), message: Message { from: member(1), to: member(2), term: Term(300), body } }
}

fn contact() -> Contact {
    Contact { address: "a:1".into(), node: Some(NodeId(0xabcd)) }
}

fn membership() -> Arc<Membership> {
    let seats = [
        Seat::Voter,
        Seat::Incoming,
        Seat::Outgoing,
        Seat::Learner(Promotion::Never),
        Seat::Learner(Promotion::WhenCaughtUp),
        Seat::Learner(Promotion::Replacing(member(9))),
    ];
    let members =
        seats.into_iter().zip(1..).map(|(seat, n)| (member(n), Member { contact: Bytes::from_static(b"a:1"), seat }));
    Arc::new(Membership::new(members))
}

fn snapshot() -> SnapshotMeta {
    let config = Config { extra: Bytes::from_static(b"more"), ..Config::default() };
    SnapshotMeta { last_included: EntryId::new(299, 70_000), membership: membership(), config: Arc::new(config) }
}

pub(super) fn chunk(data: Bytes) -> Chunk {
    Chunk {
        group: group(),
        from: member(1),
        to: member(2),
        term: Term(300),
        snapshot: snapshot(),
        total: 1 << 20,
        offset: 4096,
        data,
    }
}

fn append_entries() -> Body {
    let payloads = [
        Payload::Noop,
        Payload::Commands(Bytes::from_static(b"commands")),
        Payload::Membership(membership()),
        Payload::Config(Arc::default()),
    ];
    let entries = payloads.into_iter().zip(5..).map(|(payload, n)| Entry { id: EntryId::new(300, n), payload });
    Body::AppendEntries(AppendEntries {
        prev: EntryId::new(299, 4),
        entries: entries.collect(),
        commit: LogIndex(3),
        round: 17,
        sent: Time(123_456_789),
        keep: LogIndex(2),
        quiesce: false,
    })
}

fn append_reply(result: AppendResult) -> Body {
    let promise = Duration::from_secs(1);
    Body::AppendEntriesReply(AppendEntriesReply {
        result,
        verified: LogIndex(8),
        round: 17,
        sent: Time(1 << 40),
        promise,
    })
}

fn consensus() -> Vec<(&'static str, Packet)> {
    let heartbeat = AppendEntries {
        prev: EntryId::new(299, 4),
        entries: vec![],
        commit: LogIndex(4),
        round: 18,
        sent: Time(5),
        keep: LogIndex(2),
        quiesce: false,
    };
    let sleep = AppendEntries { quiesce: true, ..heartbeat.clone() };
    let rejected = AppendResult::Rejected { prev: LogIndex(4), hint: EntryId::new(298, 2) };
    let bodies = [
        (
            "request_vote",
            Body::RequestVote(RequestVote { ballot: Ballot::PreVote, last: EntryId::new(299, 8), campaign: 3 }),
        ),
        (
            "request_vote_reply",
            Body::RequestVoteReply(RequestVoteReply { ballot: Ballot::Transfer, granted: true, campaign: 3 }),
        ),
        ("heartbeat", Body::AppendEntries(heartbeat)),
        ("append_entries", append_entries()),
        ("append_accepted", append_reply(AppendResult::Accepted { matched: LogIndex(8) })),
        ("append_rejected", append_reply(rejected)),
        ("install_snapshot", Body::InstallSnapshot(InstallSnapshot { snapshot: snapshot() })),
        ("install_snapshot_reply", Body::InstallSnapshotReply(InstallSnapshotReply { matched: LogIndex(70_000) })),
        ("timeout_now", Body::TimeoutNow),
        ("removed", Body::Removed),
        ("sleep", Body::AppendEntries(sleep)),
    ];
    bodies.into_iter().map(|(name, body)| (name, raft(body))).collect()
}

fn requests() -> Vec<(&'static str, Packet)> {
    let (name, value) = (|| "tasks".to_owned(), || "jobs".to_owned());
    let session = Session::Command {
        id: SessionId { index: LogIndex(77), offset: 2, nonce: 99 },
        number: 12,
        unacknowledged: 10,
    };
    let with_id = |session, id, command| Request::Command {
        group: name(),
        value: value(),
        envelope: Envelope { session, id, command },
    };
    let command = |session, command| with_id(session, None, command);
    let id = Some(Arc::new(CommandId::new("billing", "17")));
    let join = Join {
        group: name(),
        value: value(),
        member: member(3),
        profile: Profile { contact: contact(), hooks: vec![], value_version: 0 },
        replaces: Some(member(2)),
        learner: true,
    };
    let profile = Profile { hooks: vec!["mail".into()], ..join.profile.clone() };
    let join_with_hooks = Join { profile, ..join.clone() };
    let profile = Profile { value_version: 3, ..join.profile.clone() };
    let join_of_a_version = Join { profile, ..join.clone() };
    let query = |freshness| {
        let query = Bytes::from_static(b"query");
        Request::Query { group: name(), value: value(), query, freshness }
    };
    let of_one = |request| Request::Of(member(3), Box::new(request));
    let envelopes = [None, id.clone()].map(|id| Envelope { session, id, command: Bytes::from_static(b"command") });
    let commands = Request::Commands { group: name(), value: value(), envelopes: envelopes.to_vec() };
    let requests = [
        ("join", Request::Join(join)),
        ("register", command(Session::Register, Bytes::new())),
        ("command", command(session, Bytes::from_static(b"command"))),
        ("query", query(Freshness::Linearizable)),
        ("read_index", Request::ReadIndex { group: name() }),
        ("status", Request::Status { group: name() }),
        ("lead", Request::Change { group: name(), change: Change::Lead(Some(member(3))) }),
        ("configure", Request::Change { group: name(), change: Change::Configure(Box::default()) }),
        ("remove", Request::Change { group: name(), change: Change::Remove(member(3)) }),
        ("command_with_id", with_id(session, id, Bytes::from_static(b"command"))),
        ("join_with_hooks", Request::Join(join_with_hooks)),
        ("commands", commands.clone()),
        ("commands_of_one", of_one(commands)),
        ("command_of_one", of_one(command(session, Bytes::from_static(b"command")))),
        ("query_of_one", of_one(query(Freshness::Linearizable))),
        ("query_at_least", query(Freshness::AtLeast(LogIndex(70)))),
        ("query_stale", query(Freshness::AtLeast(LogIndex(0)))),
        ("status_of_one", of_one(Request::Status { group: name() })),
        ("join_of_a_version", Request::Join(join_of_a_version)),
    ];
    requests.into_iter().zip(1..).map(|((name, request), number)| (name, Packet::Request { number, request })).collect()
}

fn status() -> StatusReport {
    let leads = MemberReport {
        id: member(1),
        contact: contact(),
        voter: true,
        seat: Seat::Voter,
        value_version: 0,
        matched: Some(LogIndex(0)),
        silent_for_ms: Some(20),
        sending: None,
    };
    let other = MemberReport {
        id: member(2),
        voter: false,
        seat: Seat::Learner(Promotion::WhenCaughtUp),
        matched: None,
        silent_for_ms: None,
        ..leads.clone()
    };
    StatusReport {
        group: group(),
        member: member(1),
        role: "leader".into(),
        term: Term(300),
        leader: Some(member(1)),
        commit: LogIndex(8),
        applied: LogIndex(7),
        last: LogIndex(9),
        value_version: 0,
        last_term: Term(0),
        base: LogIndex(0),
        config: None,
        lease_ms: None,
        durable: false,
        arriving: None,
        members: vec![leads, other],
    }
}

/// With everything that came later; but for the settings, of which there will be more.
pub(super) fn full_status() -> StatusReport {
    let mut report = status();
    report.base = LogIndex(3);
    report.lease_ms = Some(700);
    report.durable = true;
    report.arriving = Some(Transfer { done: 1, total: 300 });
    report.members[0].seat = Seat::Outgoing;
    report.members[1].seat = Seat::Learner(Promotion::Replacing(member(1)));
    report.members[1].sending = Some(Transfer { done: 0, total: 300 });
    report
}

fn responses() -> Vec<(&'static str, Packet)> {
    let why = || "why".to_owned();
    let mut of_a_version = status();
    of_a_version.value_version = 3;
    of_a_version.members[0].value_version = 4;
    let no_such_hook = ChangeRefused::NoSuchHook { member: member(3), hook: "mail".into() };
    let too_large = Response::Refused(Refused::TooLarge { limit: 1 << 20 });
    let many = Response::Many(vec![Response::Applied(Bytes::from_static(b"reply")), too_large]);
    let responses = [
        ("joined", Response::Joined { group: group(), cluster: ClusterId(5) }),
        ("registered", Response::Registered(SessionId { index: LogIndex(77), offset: 2, nonce: 99 })),
        ("applied", Response::Applied(Bytes::from_static(b"reply"))),
        ("answered", Response::Answered { answer: Bytes::from_static(b"answer"), applied: LogIndex(0) }),
        ("read_index_is", Response::ReadIndex(LogIndex(8))),
        ("status_is", Response::Status(Box::new(status()))),
        ("done", Response::Done),
        ("no_such_group", Response::Refused(Refused::NoSuchGroup)),
        ("other_value", Response::Refused(Refused::OtherValue { value: "other".into() })),
        ("not_leader", Response::Refused(Refused::NotLeader { leader: Some(contact()) })),
        ("no_leader", Response::Refused(Refused::NotLeader { leader: None })),
        ("busy", Response::Refused(Refused::Busy)),
        ("too_large", Response::Refused(Refused::TooLarge { limit: 1 << 20 })),
        ("outcome_unknown", Response::Refused(Refused::OutcomeUnknown)),
        ("no_such_session", Response::Refused(Refused::NoSuchSession)),
        ("forgotten", Response::Refused(Refused::Forgotten)),
        ("panicked", Response::Refused(Refused::Panicked { message: why() })),
        ("undecodable", Response::Refused(Refused::Undecodable { message: why() })),
        ("change_refused", Response::Refused(Refused::Change(ChangeRefused::NotCaughtUp(member(3))))),
        ("stopped", Response::Refused(Refused::Stopped)),
        ("id_reused", Response::Refused(Refused::IdReused)),
        ("no_such_hook", Response::Refused(Refused::Change(no_such_hook))),
        ("full_status", Response::Status(Box::new(full_status()))),
        ("status_tells_last_term", Response::Status(Box::new(StatusReport { last_term: Term(299), ..status() }))),
        ("answered_at", Response::Answered { answer: Bytes::from_static(b"answer"), applied: LogIndex(70) }),
        ("many", many),
        ("no_such_member", Response::Refused(Refused::NoSuchMember)),
        ("behind", Response::Refused(Refused::Behind { applied: LogIndex(70) })),
        ("group_removed", Response::Refused(Refused::GroupRemoved)),
        ("transferring", Response::Refused(Refused::Change(ChangeRefused::Transferring))),
        ("older_value", Response::Refused(Refused::OlderValue { needed: 3 })),
        ("status_of_a_version", Response::Status(Box::new(of_a_version))),
    ];
    let number = |((name, response), number)| (name, Packet::Response { number, response });
    responses.into_iter().zip(1..).map(number).collect()
}

pub(super) fn packets() -> Vec<(&'static str, Packet)> {
    let chunk = Packet::Chunk(chunk(Bytes::from_static(b"a piece")));
    [consensus(), vec![("chunk", chunk)], requests(), responses()].concat()
}

pub(super) fn hello() -> Hello {
    Hello {
        newest: 1,
        oldest: 1,
        cluster: Some(ClusterId(5)),
        node: NodeId(6),
        expected: Some(NodeId(7)),
        role: Role::Node,
        purpose: Purpose::Bulk,
        address: "a:1".into(),
    }
}
