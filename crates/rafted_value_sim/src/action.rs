//! Everything that can be done to a cluster.

use crate::clients::{Ask, CallId};
use crate::name::Node;
use crate::network::PacketNo;
use rafted_value_core::{MemberId, Proposal};
use std::time::Duration;

/// One thing that happens next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Time passes, and nothing else.
    Pass(Duration),
    /// A packet arrives.
    Deliver(PacketNo),
    /// A packet is lost.
    Drop(PacketNo),
    /// A packet is repeated.
    Duplicate(PacketNo),
    /// A packet arrives at somebody else.
    Misroute(PacketNo, MemberId),
    /// A member's timer fires, as early as it may; time passes until then.
    Fire(MemberId),
    /// A member's oldest write is synced.
    Sync(MemberId),
    /// All of a member's writes are synced at once, and only the last is reported: that covers the others.
    Flush(MemberId),
    /// A member's disk fails.
    FailDisk(MemberId),
    /// A member's driver finds its group idle.
    Quiesce(MemberId),
    /// A member's driver cannot be sure any more that the leader is alive, or has work for it.
    Wake(MemberId),
    /// A member's process ends.
    Crash(MemberId),
    /// A node's process begins again: a durable member as itself, another one as a new member.
    Restart(MemberId),
    /// A new member starts that knows nothing and waits for a leader.
    Join(MemberId),
    /// A link is cut in one direction.
    Cut(Node, Node),
    /// A link is joined in one direction.
    Mend(Node, Node),
    /// All links are joined.
    Heal,
    /// A member's clock runs at another rate from now on.
    Drift(MemberId, u32),
    /// A client proposes something.
    Propose {
        /// To whom.
        at: MemberId,
        /// The client's name for it.
        label: String,
        /// What.
        proposal: Proposal,
    },
    /// A client reads.
    Read {
        /// At whom.
        at: MemberId,
        /// The client's name for it.
        label: String,
    },
    /// An operator gives up members that are lost for good: another incarnation of the group begins at a survivor.
    Recover {
        /// The survivor.
        at: MemberId,
        /// The operator's name for it.
        label: String,
        /// Who is lost.
        lost: Vec<MemberId>,
    },
    /// A client of a session calls for the first time.
    Call {
        /// Which call.
        id: CallId,
        /// To whom.
        at: MemberId,
        /// What for.
        ask: Ask,
        /// Whether the member takes it together with its next call.
        held: bool,
    },
    /// A client asks again.
    CallAgain {
        /// Which call.
        id: CallId,
        /// To whom, this time.
        at: MemberId,
    },
    /// A client waits no longer: it will never know.
    GiveUp(CallId),
    /// A durable member writes its value, so that it need not keep the log before it.
    Save(MemberId),
    /// A member's process ends when so many of its writes were synced, and it was not told.
    CrashAfter(MemberId, usize),
    /// A client wants another leader.
    Transfer {
        /// At whom.
        at: MemberId,
        /// The client's name for it.
        label: String,
        /// Who shall lead; nobody cancels.
        to: Option<MemberId>,
    },
}
