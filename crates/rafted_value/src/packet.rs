//! What nodes say to each other, as structs: the loopback transport passes them as they are, the others as bytes.

use crate::command_id::CommandId;
use crate::contact::{Contact, GroupId};
use crate::profile::Profile;
use crate::report::StatusReport;
use bytes::Bytes;
use rafted_value_core::{Config, LogIndex, MemberId, Message, SnapshotMeta, Term};
use std::fmt;
use std::sync::Arc;

/// One thing that a node sends to another.
#[derive(Clone, Debug, PartialEq)]
pub enum Packet {
    /// Consensus, between two members of one group.
    Raft {
        /// The group.
        group: GroupId,
        /// The message; names both members.
        message: Message,
    },
    /// A piece of a value on its way to a member.
    Chunk(Chunk),
    /// Somebody wants something from whatever group; answered with the same number, on the same connection.
    Request {
        /// Chosen by the asking side; unique among its unanswered requests.
        number: u64,
        /// What is wanted.
        request: Request,
    },
    /// The answer.
    Response {
        /// The number of the request.
        number: u64,
        /// What became of it.
        response: Response,
    },
}

/// A piece of a value on its way to a member. Pieces of one transfer come in order on one connection.
#[derive(Clone, PartialEq)]
pub struct Chunk {
    /// The group.
    pub group: GroupId,
    /// The leader that sends it.
    pub from: MemberId,
    /// The member that needs it.
    pub to: MemberId,
    /// The leader's term.
    pub term: Term,
    /// What the whole value contains.
    pub snapshot: SnapshotMeta,
    /// The length of the whole, in bytes.
    pub total: u64,
    /// Where this piece belongs.
    pub offset: u64,
    /// The piece.
    pub data: Bytes,
}

/// What a caller, a joining member or an operator wants of a group.
#[derive(Clone, PartialEq)]
pub enum Request {
    /// To become a member.
    Join(Join),
    /// To have a command applied, or a session registered.
    Command {
        /// The name of the group.
        group: String,
        /// The name of the value's type, which must be the group's.
        value: String,
        /// The command with its session.
        envelope: Envelope,
    },
    /// To have commands of one session applied in their order, one right after the other.
    Commands {
        /// The name of the group.
        group: String,
        /// The name of the value's type.
        value: String,
        /// The commands with their session.
        envelopes: Vec<Envelope>,
    },
    /// To have a query answered.
    Query {
        /// The name of the group.
        group: String,
        /// The name of the value's type.
        value: String,
        /// The query, encoded.
        query: Bytes,
        /// From which value.
        freshness: Freshness,
    },
    /// To learn up to where a value must be applied to be current: a linearizable read elsewhere.
    ReadIndex {
        /// The name of the group.
        group: String,
    },
    /// To know how a member is.
    Status {
        /// The name of the group.
        group: String,
    },
    /// To have something about the group changed.
    Change {
        /// The name of the group.
        group: String,
        /// What.
        change: Change,
    },
    /// Any of these of this very member, whoever else the node may host.
    Of(MemberId, Box<Request>),
}

/// From which value a query is to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// One that contains every command answered before: the leader's.
    Linearizable,
    /// The member's own copy, whatever it lacks, once it contains this entry.
    AtLeast(LogIndex),
}

/// A change of a group: of its members, its settings, its leader.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A member goes.
    Remove(MemberId),
    /// Other settings.
    Configure(Box<Config>),
    /// Another leader; nobody cancels a transfer that has not happened.
    Lead(Option<MemberId>),
}

/// Asks a group to take in a member.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    /// The name of the group.
    pub group: String,
    /// The name of the value's type, which must be the group's.
    pub value: String,
    /// The new member.
    pub member: MemberId,
    /// Where it is, and what it can do.
    pub profile: Profile,
    /// The incarnation that it replaces, if it knows one.
    pub replaces: Option<MemberId>,
    /// Whether it stays a learner.
    pub learner: bool,
}

/// A command on its way to the log, with what makes it happen once.
#[derive(Clone, PartialEq)]
pub struct Envelope {
    /// What it is.
    pub session: Session,
    /// The id that its caller gave it, if any: what makes it happen once beyond its session.
    pub id: Option<Arc<CommandId>>,
    /// The command, encoded; empty for a registration.
    pub command: Bytes,
}

impl Envelope {
    /// How much memory it takes, about.
    pub(crate) fn bytes(&self) -> usize {
        64 + self.command.len()
    }
}

/// How a command is told from its own retries (thesis §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// Asks for a session; its id will be where this entry stands in the log.
    Register,
    /// A command of a session.
    Command {
        /// The session.
        id: SessionId,
        /// The number of the command within its session.
        number: u64,
        /// The smallest number whose result the caller still waits for: smaller ones may be forgotten.
        unacknowledged: u64,
    },
}

/// A session: where its registration stands in the log, and a number that tells it from one that stands at the same place
/// in the log of another incarnation of the group. Never chosen by a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId {
    /// The entry.
    pub index: LogIndex,
    /// Which command of the entry.
    pub offset: u32,
    /// Drawn by the leader that proposed the entry.
    pub nonce: u64,
}

/// What became of a request.
#[derive(Clone, PartialEq)]
pub enum Response {
    /// The member is in the group, as a learner at first.
    Joined {
        /// The group's incarnation.
        group: GroupId,
        /// The cluster.
        cluster: crate::contact::ClusterId,
    },
    /// The session is registered.
    Registered(SessionId),
    /// The command was applied; its reply, encoded.
    Applied(Bytes),
    /// What became of each of several commands, in their order.
    Many(Vec<Response>),
    /// The query was answered.
    Answered {
        /// The answer, encoded.
        answer: Bytes,
        /// The last entry that the value contained.
        applied: LogIndex,
    },
    /// A value that contains this entry is current.
    ReadIndex(LogIndex),
    /// How the member is.
    Status(Box<StatusReport>),
    /// The change is committed.
    Done,
    /// It was not to be.
    Refused(Refused),
}

/// Why a request came to nothing, and what may be concluded: only `OutcomeUnknown` leaves it open whether a command
/// was or will be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Not applied: this node has no member of a group of that name.
    NoSuchGroup,
    /// Not applied: the node has another member of the group, or it was asked for one that the group does not have.
    NoSuchMember,
    /// Not answered: the member's copy contains no more than this yet.
    Behind {
        /// The last entry that it contains.
        applied: LogIndex,
    },
    /// Not applied: the joiner's build knows an older version of the value's type.
    OlderValue {
        /// The version that the leader's build knows, and in which it sends the value.
        needed: u32,
    },
    /// Not applied: the member of that group was removed from this node, for good.
    GroupRemoved,
    /// Not applied: the group's value is of another type.
    OtherValue {
        /// The type of the group's value.
        value: String,
    },
    /// Not applied: ask the leader instead, if it is known.
    NotLeader {
        /// Where the leader is.
        leader: Option<Contact>,
    },
    /// Not applied: too much waits already.
    Busy,
    /// Not applied: too long.
    TooLarge {
        /// What is allowed, in bytes.
        limit: u64,
    },
    /// Unknown: leadership went while the command waited.
    OutcomeUnknown,
    /// Not applied: the session is unknown, it expired or never was.
    NoSuchSession,
    /// It was applied or refused earlier, and its result was acknowledged: it is forgotten.
    Forgotten,
    /// Not applied: the same id was given to another command.
    IdReused,
    /// Applied, but the command panicked: the same error on every member.
    Panicked {
        /// What the panic said.
        message: String,
    },
    /// The bytes of a command or query cannot be decoded: the same error on every member.
    Undecodable {
        /// What is wrong with them.
        message: String,
    },
    /// A change was refused; nothing of it was done.
    Change(ChangeRefused),
    /// The member halted, or is stopping.
    Stopped,
}

/// Stands for bytes of the user's in what is printed: they are never shown, only how many.
struct Hidden<'a>(&'a Bytes);

impl fmt::Debug for Hidden<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk")
            .field("group", &self.group)
            .field("from", &self.from)
            .field("to", &self.to)
            .field("term", &self.term)
            .field("last_included", &self.snapshot.last_included)
            .field("total", &self.total)
            .field("offset", &self.offset)
            .field("data", &Hidden(&self.data))
            .finish()
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("session", &self.session)
            .field("id", &self.id)
            .field("command", &Hidden(&self.command))
            .finish()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::Join(join) => join.fmt(f),
            Request::Command { group, value, envelope } => f
                .debug_struct("Command")
                .field("group", group)
                .field("value", value)
                .field("envelope", envelope)
                .finish(),
            Request::Commands { group, value, envelopes } => f
                .debug_struct("Commands")
                .field("group", group)
                .field("value", value)
                .field("envelopes", envelopes)
                .finish(),
            Request::Query { group, value, query, freshness } => f
                .debug_struct("Query")
                .field("group", group)
                .field("value", value)
                .field("query", &Hidden(query))
                .field("freshness", freshness)
                .finish(),
            Request::ReadIndex { group } => f.debug_struct("ReadIndex").field("group", group).finish(),
            Request::Status { group } => f.debug_struct("Status").field("group", group).finish(),
            Request::Change { group, change } => {
                f.debug_struct("Change").field("group", group).field("change", change).finish()
            }
            Request::Of(member, request) => f.debug_tuple("Of").field(member).field(request).finish(),
        }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Response::Joined { group, cluster } => {
                f.debug_struct("Joined").field("group", group).field("cluster", cluster).finish()
            }
            Response::Registered(session) => f.debug_tuple("Registered").field(session).finish(),
            Response::Applied(reply) => f.debug_tuple("Applied").field(&Hidden(reply)).finish(),
            Response::Many(responses) => f.debug_tuple("Many").field(responses).finish(),
            Response::Answered { answer, applied } => {
                f.debug_struct("Answered").field("answer", &Hidden(answer)).field("applied", applied).finish()
            }
            Response::ReadIndex(index) => f.debug_tuple("ReadIndex").field(index).finish(),
            Response::Status(report) => report.fmt(f),
            Response::Done => f.write_str("Done"),
            Response::Refused(why) => f.debug_tuple("Refused").field(why).finish(),
        }
    }
}

/// Why a change was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeRefused {
    /// The leader must commit something else first: it may succeed later as it is.
    Uncommitted,
    /// Leadership is on its way to another member: it may succeed later as it is.
    Transferring,
    /// No such member.
    NotMember(MemberId),
    /// A member already.
    AlreadyMember(MemberId),
    /// The leader itself cannot be removed, or replaced by a joiner.
    CannotRemoveLeader,
    /// The members that answer would not be a majority.
    WouldBreakQuorum,
    /// As a voter it would hold up every commit.
    NotCaughtUp(MemberId),
    /// No voter would be left.
    NoVoters,
    /// It leads already.
    AlreadyLeader,
    /// It does not vote, so it cannot lead.
    NotVoter(MemberId),
    /// It does not answer, or did not take over in time.
    Unresponsive(MemberId),
    /// Another request took this one's place.
    Overridden,
    /// The settings cannot be used.
    InvalidConfig(String),
    /// The settings name a hook that this member did not register.
    NoSuchHook {
        /// The member.
        member: MemberId,
        /// The name of the hook.
        hook: String,
    },
}

impl ChangeRefused {
    /// Whether what stands in the way passes by itself.
    pub(crate) fn passes(&self) -> bool {
        matches!(self, ChangeRefused::Uncommitted | ChangeRefused::Transferring)
    }
}
