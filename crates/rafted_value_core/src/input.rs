//! Everything that can happen to a member.

use crate::config::Config;
use crate::membership::Change;
use crate::message::Message;
use crate::types::{LogIndex, MemberId, ReadId, RequestId, WriteNo};
use bytes::Bytes;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// The instant asked for with [`Ready::timer`](crate::Ready::timer) has come.
    Timer,
    /// Another member said something.
    Message(Message),
    /// Somebody wants something in the log. Answered once, see [`Answer`](crate::Answer).
    Propose {
        /// The driver's name for the request.
        id: RequestId,
        /// What is proposed.
        proposal: Proposal,
    },
    /// Somebody wants to read. How many may wait is the driver's to bound. Answered once, see [`ReadAnswer`](crate::ReadAnswer).
    Read(ReadId),
    /// Somebody wants another leader. Answered once: when this member no longer leads because of a higher term, or
    /// when it came to nothing.
    TransferLeadership {
        /// The driver's name for the request.
        id: RequestId,
        /// Who shall lead; nobody cancels a transfer that has not happened.
        to: Option<MemberId>,
    },
    /// The group is idle. A leader whose followers have everything tells them so, and all of them fall asleep: no timer, no
    /// message, no lease, until something wakes them. Anybody else pays no heed. [`Notice::Quiescent`](crate::Notice) says
    /// whether it happened.
    ///
    /// From then on the driver answers for the leader: it says [`Input::Wake`] to a sleeping follower once it cannot be
    /// sure that the leader's node is up and that the leader still leads.
    Quiesce,
    /// Whoever sleeps shall be awake: a leader makes sure that it still leads, a follower that somebody does.
    Wake,
    /// Every write up to this one is durable.
    Persisted(WriteNo),
    /// A write failed, or may have. The member is silent from here on.
    StorageFailed,
    /// The value contains every entry up to this one, so that the log may let go of them.
    Applied(LogIndex),
    /// The value was sent in full to a member that [`Ready::snapshots`](crate::Ready::snapshots) named.
    SnapshotSent {
        /// To whom.
        to: MemberId,
        /// What it contains.
        last_included: LogIndex,
    },
    /// The value could not be sent.
    SnapshotFailed {
        /// To whom.
        to: MemberId,
    },
}

/// What a driver may want in the log.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Proposal {
    /// Commands, encoded.
    Commands(Bytes),
    /// Other settings; valid ones.
    Config(Config),
    /// A change of membership.
    Membership(Change),
}

impl core::fmt::Debug for Proposal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Proposal::Commands(bytes) => write!(f, "Commands({} bytes)", bytes.len()),
            Proposal::Config(_) => write!(f, "Config"),
            Proposal::Membership(change) => write!(f, "{change:?}"),
        }
    }
}
