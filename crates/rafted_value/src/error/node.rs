//! Why a node could not start, or a member not tell how it is.

use std::io;
use std::path::PathBuf;

/// Why a node could not start. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The transport could not start, as when its port is in use.
    #[error("the transport did not start: {0}")]
    Transport(#[source] io::Error),
    /// The process can have no more threads.
    #[error("the node's thread did not start: {0}")]
    Thread(#[source] io::Error),
    /// The directory cannot be used: another node has it, it is damaged, or of a newer format. Nothing in it was lost
    /// by trying.
    #[error("the directory {} cannot be used: {why}", dir.display())]
    Storage {
        /// The directory.
        dir: PathBuf,
        /// Which file, and what is wrong.
        why: String,
    },
}

/// Why a member did not tell how it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// Nobody answered in time.
    #[error("no answer about group {group:?} in time")]
    Timeout {
        /// The group.
        group: String,
    },
    /// No node can be reached at that address, or the connection to it broke.
    #[error("no node that could tell of group {group:?} can be reached at {address}")]
    Unreachable {
        /// The group.
        group: String,
        /// Where it was looked for.
        address: String,
    },
    /// The node that was asked has no member of this group.
    #[error("the node that was asked has no member of group {group:?}")]
    NoSuchGroup {
        /// The group.
        group: String,
    },
    /// There is no such member, or it is not there any more.
    #[doc(alias = "noproc")]
    #[error("group {group:?} has no such member as was asked")]
    NoSuchMember {
        /// The group.
        group: String,
    },
    /// The member was stopped, was removed, or halted.
    #[error("the member of group {group:?} stopped")]
    Stopped {
        /// The group.
        group: String,
    },
}
