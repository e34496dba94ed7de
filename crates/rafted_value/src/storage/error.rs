//! What storage says when it cannot do what it should.

use crate::contact::GroupId;
use std::io;

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenFailure {
    /// The system refused something.
    #[error("{file}: {error}")]
    Io {
        /// Which file, or what of the directory.
        file: String,
        /// What it said.
        error: io::Error,
    },
    /// Both copies of the identity block are damaged.
    #[error("identity: damaged, or not a file of rafted_value; nothing was changed")]
    Identity,
    /// A later build wrote it.
    #[error("the format is version {found}, this build knows version {known}: use the newer build")]
    Newer {
        /// Its version.
        found: u32,
        /// The newest this build knows.
        known: u32,
    },
    /// There is no identity.
    #[error("this is not the directory of a node")]
    NoNode,
    /// There is an identity and no log.
    #[error("the files of the log are missing: this is not the whole directory of a node")]
    NoLog,
}

/// Bytes that were durable and are not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} is damaged at byte {offset}: {what}")]
pub struct Damage {
    /// Which file.
    pub file: String,
    /// Where in it.
    pub offset: u64,
    /// What is wrong.
    pub what: String,
    /// Whose bytes they were, if that can be told.
    pub group: Option<GroupId>,
}

/// Why something was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteFailure {
    /// There is no room. Nothing was written that counts: the same can be tried again.
    #[error("the disk is full")]
    Full,
    /// A write or a sync failed: what is durable is known only after a restart. Nothing is written any more.
    #[error("the disk failed: {0}; nothing is written until the node starts again")]
    Poisoned(String),
}
