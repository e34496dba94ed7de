//! What is in a node's directory, for people.

use crate::contact::{ClusterId, GroupId, NodeId};
use crate::error::StartError;
use crate::storage::{self, disk::Disk as _, disk::real::RealDisk};
use rafted_value_core::{LogIndex, MemberId, Term};
use std::path::Path;
use std::sync::Arc;

/// What is in a node's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// The node.
    pub node: NodeId,
    /// Its cluster, if it has one.
    pub cluster: Option<ClusterId>,
    /// The members on it, in the order of their groups' ids.
    pub groups: Vec<StoredMember>,
    /// Everything that the disk lost: which file, where in it, and what. Empty if all is sound.
    pub damage: Vec<String>,
    /// The file and the offset at which a write was not finished, if one was not; it was never confirmed.
    pub unfinished: Option<(String, u64)>,
}

/// A member in a node's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredMember {
    /// The group's name.
    pub name: String,
    /// The name of the type of its value.
    pub value: String,
    /// Which incarnation of the group.
    pub group: GroupId,
    /// Which member.
    pub member: MemberId,
    /// The latest term that it has seen.
    pub term: Term,
    /// The last entry that its snapshot contains; zero if there is none.
    pub base: LogIndex,
    /// The last entry of its log.
    pub last: LogIndex,
    /// Why it cannot be opened, if it cannot.
    pub damage: Option<String>,
}

/// Reads everything in the directory of a node that is not running, every snapshot included, and says what is there and
/// whether it is sound. Changes nothing. Waits for the disk, so not for an async task.
///
/// # Errors
///
/// [`StartError::Storage`] if there is no node's directory, a node is using it, or it cannot be read as a whole.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = std::env::temp_dir().join(format!("rafted-inspect-{}", std::process::id()));
/// let node = rafted_value::Node::builder().data_dir(&dir).start().await?;
/// assert!(rafted_value::inspect(&dir).is_err(), "the node is using it");
/// node.stop().await;
/// let found = rafted_value::inspect(&dir)?;
/// assert_eq!((found.node, found.groups.len(), found.damage.len()), (node.id(), 0, 0));
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok(()) }
/// ```
#[doc(alias = "read_last_log_index")]
pub fn inspect(dir: impl AsRef<Path>) -> Result<Inspection, StartError> {
    let dir = dir.as_ref();
    let unusable = |why: String| StartError::Storage { dir: dir.to_owned(), why };
    if !dir.join("identity").exists() {
        // Taking it would make it one.
        return Err(unusable(storage::OpenFailure::NoNode.to_string()));
    }
    let disk = Arc::new(RealDisk::open(dir).map_err(|error| unusable(error.to_string()))?);
    let looked = storage::look(disk.clone()).map_err(|error| unusable(error.to_string()));
    let inspection = looked.map(|(wal, found)| {
        let identity = wal.identity();
        let members = wal.groups().into_iter();
        let groups: Vec<StoredMember> = members.filter_map(|(group, ..)| stored_member(&wal, group)).collect();
        let found_in_log = found.damage.iter().map(ToString::to_string);
        let mut damage: Vec<String> = found_in_log.chain(groups.iter().filter_map(|it| it.damage.clone())).collect();
        damage.dedup();
        Inspection { node: identity.node, cluster: identity.cluster, groups, damage, unfinished: found.torn }
    });
    disk.unlock();
    inspection
}

fn stored_member(wal: &storage::Wal, group: GroupId) -> Option<StoredMember> {
    let (_, checkpoint, _) = wal.groups().into_iter().find(|(id, ..)| *id == group)?;
    let checkpoint = checkpoint?;
    let loaded = wal.load(group);
    let damage = loaded.as_ref().err().map(ToString::to_string);
    let hard_state = loaded.ok().flatten().map_or(checkpoint.hard_state, |stored| stored.hard_state);
    Some(StoredMember {
        name: checkpoint.name,
        value: checkpoint.value,
        group,
        member: checkpoint.member,
        term: hard_state.term(),
        base: checkpoint.base.index,
        last: wal.last(group)?,
        damage,
    })
}
