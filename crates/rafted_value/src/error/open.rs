//! Why a group could not be opened.

use crate::config::InvalidConfig;
use std::time::Duration;

/// Why a member of a group could not be opened. Nothing of it is left on this node; what `NoAnswer` left at the
/// group, a learner at most, the group drops by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A listed address hosts the group already: join it instead of making another one.
    #[error("group {group:?} exists already, at {address}: join it")]
    AlreadyExists {
        /// The group.
        group: String,
        /// Where it was found.
        address: String,
    },
    /// There is nothing to open: nothing on disk, no address to join at, and no leave to begin a new group.
    #[error("group {group:?} is not on this node, and neither `join` nor `bootstrap` says where it is to come from")]
    NothingToOpen {
        /// The group.
        group: String,
    },
    /// A group's name is neither empty nor longer than 255 bytes.
    #[error("{group:?} is no name for a group: it must have 1 to 255 bytes")]
    InvalidName {
        /// The name, or its beginning.
        group: String,
    },
    /// The group's value is of another type.
    #[error("the value of group {group:?} is of type {found:?}, not {expected:?}")]
    OtherValue {
        /// The group.
        group: String,
        /// The name of the type of its value.
        found: String,
        /// The name of the type that was to be opened.
        expected: String,
    },
    /// The leader's build knows a newer version of the value's type, and sends the value in that one.
    #[error("the value of group {group:?} is of version {needed}, this build knows version {known}")]
    OlderValue {
        /// The group.
        group: String,
        /// The version of the leader's build.
        needed: u32,
        /// The version of this build: [`Value::VERSION`](crate::Value::VERSION).
        known: u32,
    },
    /// This node belongs to another cluster.
    #[error("group {group:?} at {address} belongs to another cluster than this node")]
    OtherCluster {
        /// The group.
        group: String,
        /// Where it was found.
        address: String,
    },
    /// None of the addresses led to a leader of the group within the deadline.
    #[error("no leader of group {group:?} answered within {waited:?}; asked: {}", asked.join(", "))]
    NoAnswer {
        /// The group.
        group: String,
        /// How long it was tried.
        waited: Duration,
        /// The addresses, and what each said.
        asked: Vec<String>,
    },
    /// The settings cannot be used.
    #[error("the config of group {group:?} cannot be used: {invalid}")]
    InvalidConfig {
        /// The group.
        group: String,
        /// Which field, and what it must be.
        invalid: InvalidConfig,
    },
    /// The group's settings name a hook that is not registered on this node.
    #[error("group {group:?} needs the hook {hook:?}, which is not registered on this node")]
    NoSuchHook {
        /// The group.
        group: String,
        /// The name of the hook.
        hook: String,
    },
    /// The member of this very group was removed from this node, for good: see [`Node::remove_group`](crate::Node::remove_group).
    #[error("group {group:?} was removed from this node: only another group of that name can be opened on it")]
    Removed {
        /// The group.
        group: String,
    },
    /// A hook's name is neither empty nor longer than 255 bytes, and a member has 64 hooks at most.
    #[error("the hooks of group {group:?} cannot be announced: {why}")]
    InvalidHooks {
        /// The group.
        group: String,
        /// What is wrong with them.
        why: String,
    },
    /// What is on disk cannot be used.
    #[error("group {group:?} cannot be restored: {why}")]
    Damaged {
        /// The group.
        group: String,
        /// What is wrong with it.
        why: String,
    },
    /// The member could not be written to disk, so that it did not begin.
    #[error("a member of group {group:?} cannot be written to disk: {why}")]
    Storage {
        /// The group.
        group: String,
        /// What is wrong.
        why: String,
    },
    /// The node stops.
    #[error("the node stopped before group {group:?} was open")]
    Stopped {
        /// The group.
        group: String,
    },
}
