//! What a node keeps on disk: one log for all of its groups, and snapshots. Synchronous; knows nothing of networks,
//! members or values.
//!
//! ```text
//! DIRECTORY/identity                          whose directory it is
//!           lock                              held while a node runs
//!           log-0000000000000001              segments of the log; the highest number is being written
//!           GROUP-TERM-INDEX.snapshot         a group's value as of that entry
//! ```

pub mod disk;
mod error;
mod identity;
mod index;
mod record;
mod recovery;
mod snapshot;
#[cfg(test)]
mod tests;
mod wal;
mod writer;

pub use error::{Damage, OpenFailure, WriteFailure};
pub use identity::Identity;
pub use record::Checkpoint;
pub use recovery::{Found, look};
pub use wal::{Batch, Change, Options, Stored, Wal};
pub(crate) use writer::{Said, Storage};

use crate::contact::{GroupId, NodeId};

/// The group of this number, for the lab.
pub fn group_id(number: u128) -> GroupId {
    GroupId(number)
}

/// The node of this number, for the lab.
pub fn node_id(number: u128) -> NodeId {
    NodeId(number)
}
