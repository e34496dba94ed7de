//! Members that outlive their process: what is written before a member begins, and what it begins from when it begins
//! again.

use crate::applier::Machine;
use crate::contact::{ClusterId, GroupId, MemberOf, NodeId};
use crate::error::StartError;
use crate::host::Host;
use crate::mailbox::{Event, Mailbox};
use crate::storage::{Checkpoint, Options, Said, Storage, Stored};
use crate::timers;
use rafted_value_core::{Append, Entry, EntryId, MemberId, Membership, Payload, Restored, SnapshotMeta};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Opens a node's directory; what it has to say goes to the loop.
pub(crate) fn open(dir: &Path, options: Options, mailbox: &Arc<Mailbox>) -> Result<Storage, StartError> {
    let mailbox = mailbox.clone();
    let say = move |said| {
        mailbox.post(match said {
            Said::Persisted { group, member, no } => Event::Persisted { group, member, no },
            Said::WantsSnapshot(group) => Event::WantsSnapshot(group),
            Said::Failed(why) => Event::StorageFailed(why),
        });
    };
    let identity = (NodeId(timers::identity()), timers::seed());
    Storage::open(dir, options, identity, say)
        .map_err(|error| StartError::Storage { dir: dir.to_owned(), why: error.to_string() })
}

/// Makes sure that a member that begins here will be known after a restart, before it says anything to anybody. Waits
/// for the disk.
pub(crate) fn begin(
    storage: &Storage,
    at: MemberOf,
    (name, value): (&str, &str),
    restored: &Restored,
    machine: &dyn Machine,
) -> Result<(), String> {
    let base = restored.base.last_included;
    if base != EntryId::ZERO {
        let (meta, bytes) = machine.snapshot()?;
        storage.keep_value(at.group, &meta, &bytes).map_err(|error| error.to_string())?;
    }
    storage.begin(at.group, checkpoint(at, (name, value), restored))
}

fn checkpoint(at: MemberOf, (name, value): (&str, &str), restored: &Restored) -> Checkpoint {
    Checkpoint {
        member: at.member,
        name: name.to_owned(),
        value: value.to_owned(),
        hard_state: restored.hard_state,
        base: restored.base.last_included,
        base_bytes: 0,
        continues: false,
    }
}

/// The member of `from` is of another incarnation of the group from now on, and knows nothing there. Whatever that
/// member wants written comes behind it.
pub(crate) fn rejoin(storage: &Storage, from: GroupId, at: MemberOf, names: (&str, &str)) {
    storage.move_to(from, at.group, checkpoint(at, names, &Restored::joining()));
}

/// The member of `from` is the first of another incarnation from now on, of all that it has. What that member wants
/// written is held, and so all that it has to say, until its value, once it is `there`, is in a file of its own.
pub(crate) fn recover(
    host: &Arc<Host>,
    (from, at): (GroupId, MemberOf),
    (name, value): (String, &'static str),
    restored: &Restored,
    (machine, there): (Arc<dyn Machine>, oneshot::Receiver<()>),
) {
    let Some(storage) = &host.storage else { return };
    storage.hold(at.group);
    let (host, restored) = (host.clone(), restored.clone());
    host.runtime.clone().spawn_blocking(move || {
        let Some(storage) = &host.storage else { return };
        let kept = there.blocking_recv().map_err(|_| "the value is gone".to_owned()).and_then(|()| {
            let (meta, bytes) = machine.snapshot()?;
            // Nothing is committed there before this member's own vote is written.
            let expected = restored.base.last_included;
            match meta.last_included == expected {
                true => storage.keep_value(at.group, &meta, &bytes).map_err(|error| error.to_string()),
                false => Err(format!("the value is of {:?}, not {expected:?}", meta.last_included)),
            }
        });
        match kept {
            Ok(()) => {
                let checkpoint = checkpoint(at, (&name, value), &restored);
                let append = Append { from: restored.base.index().next(), entries: restored.entries };
                storage.release(from, at.group, checkpoint, append);
            }
            Err(why) => {
                // A restart finds the member as it was before.
                tracing::error!(group = name, why, "the recovered group cannot be written");
                host.mailbox.post(Event::Failed { group: at.group, member: at.member });
            }
        }
    });
}

/// Keeps the value as of now in a file, apart from the loop, so that the log before it may go.
pub(crate) fn keep(group: GroupId, machine: Arc<dyn Machine>, host: Arc<Host>) {
    host.runtime.clone().spawn_blocking(move || {
        let Some(storage) = &host.storage else { return };
        let kept = machine.snapshot().and_then(|(meta, bytes)| {
            storage.keep_value(group, &meta, &bytes).map_err(|error| error.to_string())?;
            Ok(meta.last_included)
        });
        if let Err(why) = &kept {
            // The log is kept instead.
            tracing::warn!(?group, why, "a value could not be kept");
        }
        storage.value_kept(group, kept.ok());
    });
}

/// The cluster of this node, which it never forgets from here on. Waits for the disk.
pub(crate) fn remember_cluster(storage: &Storage, cluster: ClusterId) -> Result<(), String> {
    storage.set_cluster(cluster).map_err(|error| error.to_string())
}

/// Makes sure that nothing of a group that was removed here comes back after a restart.
pub(crate) async fn forget(group: GroupId, host: &Arc<Host>) -> Result<(), String> {
    let with = host.clone();
    let forget = move || with.storage.as_ref().map_or(Ok(()), |storage| storage.forget(group));
    match host.storage.is_some() {
        true => host.runtime.spawn_blocking(forget).await.unwrap_or_else(|error| Err(error.to_string())),
        false => Ok(()),
    }
}

/// Whether the member was in the group when it ended, as far as it knew. One that was not has nothing to lose, and
/// begins as another.
pub(crate) fn is_member(stored: &Stored, member: MemberId) -> bool {
    membership(&stored.entries, &stored.base).contains(member)
}

/// The membership in force.
pub(crate) fn membership<'a>(entries: &'a [Entry], base: &'a SnapshotMeta) -> &'a Membership {
    let latest = entries.iter().rev().find_map(|entry| match &entry.payload {
        Payload::Membership(membership) => Some(membership),
        _ => None,
    });
    latest.unwrap_or(&base.membership)
}
