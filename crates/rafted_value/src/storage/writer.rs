//! The one thread that writes: it takes whatever waits, makes all of it durable with one sync, and says so.

use super::disk::Disk;
use super::disk::real::RealDisk;
use super::error::{Damage, OpenFailure, WriteFailure};
use super::record::Checkpoint;
use super::recovery::Found;
use super::snapshot;
use super::wal::{Change, Options, Stored, Wal};
use crate::contact::{ClusterId, GroupId, NodeId};
use rafted_value_core::{Append, EntryId, MemberId, SnapshotMeta, Write, WriteNo};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How many bytes of entries go into one sync, about: what comes later waits for the next.
const BATCH_BYTES: u64 = 8 << 20;

/// How long to wait for room on a full disk before asking again.
const PAUSE: Duration = Duration::from_millis(200);

/// What the thread says.
#[derive(Debug)]
pub(crate) enum Said {
    /// Everything up to this write of the member is durable.
    Persisted { group: GroupId, member: MemberId, no: WriteNo },
    /// The group's log is long: its value is to be kept.
    WantsSnapshot(GroupId),
    /// Nothing will be written any more.
    Failed(String),
}

/// A node's directory, and the thread that writes into it.
pub(crate) struct Storage {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    disk: Arc<dyn Disk>,
    wal: Mutex<Wal>,
    queue: Mutex<Queue>,
    more: Condvar,
    /// Values are written one after the other: two could be the same file.
    keeping: Mutex<()>,
    say: Box<dyn Fn(Said) + Send + Sync>,
    /// What was found when the directory was opened.
    found: Found,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    stopped: bool,
    /// What is written of groups that begin as soon as their value is kept.
    held: BTreeMap<GroupId, Vec<Job>>,
    /// Groups whose value is being kept; and from how many bytes of log on those whose value could not be are asked again.
    keeping: BTreeMap<GroupId, u64>,
}

enum Job {
    Write {
        group: GroupId,
        member: MemberId,
        write: Write,
    },
    /// Whoever waits is told.
    Changes(Vec<Change>, Box<dyn FnOnce(Result<(), String>) + Send>),
}

impl Storage {
    /// Opens the directory. `identity` is that of a new one: both numbers are random.
    pub(crate) fn open(
        path: &Path,
        options: Options,
        identity: (NodeId, u64),
        say: impl Fn(Said) + Send + Sync + 'static,
    ) -> Result<Storage, OpenFailure> {
        let in_directory = |error| OpenFailure::Io { file: "the directory".to_owned(), error };
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(path).map_err(in_directory)?);
        let (wal, found) = Wal::open(disk.clone(), options, identity).inspect_err(|_| disk.unlock())?;
        for damage in &found.damage {
            tracing::error!(%damage, "the disk lost something");
        }
        if let Some((file, offset)) = &found.torn {
            tracing::info!(file, offset, "cut off what was not confirmed");
        }
        let (wal, queue, more) = (Mutex::new(wal), Mutex::default(), Condvar::new());
        let (keeping, say) = (Mutex::default(), Box::new(say));
        let shared = Arc::new(Shared { disk, wal, queue, more, keeping, say, found });
        let writer = shared.clone();
        let thread = std::thread::Builder::new().name("rafted-disk".to_owned()).spawn(move || writer.run());
        let thread = thread.map_err(|error| OpenFailure::Io { file: "the writer's thread".to_owned(), error })?;
        Ok(Storage { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Whose directory it is.
    pub(crate) fn identity(&self) -> (NodeId, Option<ClusterId>) {
        let identity = self.shared.wal().identity();
        (identity.node, identity.cluster)
    }

    /// What the disk lost of groups that cannot be named.
    pub(crate) fn unnamed_damage(&self) -> Option<&Damage> {
        self.shared.found.damage.iter().find(|damage| damage.group.is_none())
    }

    /// The node's cluster, for ever. Waits for the disk.
    pub(crate) fn set_cluster(&self, cluster: ClusterId) -> io::Result<()> {
        let mut wal = self.shared.wal();
        match wal.identity().cluster {
            Some(known) if known == cluster => Ok(()),
            _ => wal.set_cluster(cluster),
        }
    }

    /// What the member of this name starts from. Waits for the disk.
    pub(crate) fn load(&self, name: &str) -> Option<Result<(GroupId, Stored), Damage>> {
        let wal = self.shared.wal();
        let group = wal.named(name).next()?;
        wal.load(group).transpose().map(|stored| stored.map(|stored| (group, stored)))
    }

    /// Writes what a member's core wants written, some time; [`Said::Persisted`] says when it is durable.
    pub(crate) fn write(&self, group: GroupId, member: MemberId, write: Write) {
        self.post(Job::Write { group, member, write });
    }

    /// There is a member, in place of any other of that name. Waits for the disk.
    pub(crate) fn begin(&self, group: GroupId, checkpoint: Checkpoint) -> Result<(), String> {
        let namesakes: Vec<GroupId> = self.shared.wal().named(&checkpoint.name).collect();
        namesakes.into_iter().filter(|other| *other != group).for_each(|other| self.remove(other));
        let (done, begun) = std::sync::mpsc::channel();
        let done = move |result| drop(done.send(result));
        self.post(Job::Changes(vec![Change::Begin(group, checkpoint)], Box::new(done)));
        begun.recv().unwrap_or_else(|_| Err("the node stopped".to_owned()))
    }

    /// The member of `from` has gone over to `to`, where it starts from nothing that has to be written first. What it
    /// wants written later comes later.
    pub(crate) fn move_to(&self, from: GroupId, to: GroupId, checkpoint: Checkpoint) {
        self.post(Job::Changes(vec![Change::Remove(from), Change::Begin(to, checkpoint)], Box::new(|_| {})));
    }

    /// Holds what is written of a group until [`release`](Storage::release).
    pub(crate) fn hold(&self, group: GroupId) {
        self.shared.queue().held.insert(group, Vec::new());
    }

    /// The member of `from` has gone over to `to`, where it starts from this, in one sync; then what was held follows.
    pub(crate) fn release(&self, from: GroupId, to: GroupId, checkpoint: Checkpoint, append: Append) {
        let write = Write { no: WriteNo(0), hard_state: None, snapshot: None, append: Some(append) };
        let changes = vec![Change::Remove(from), Change::Begin(to, checkpoint), Change::Write(to, write)];
        let mut queue = self.shared.queue();
        queue.jobs.push_back(Job::Changes(changes, Box::new(|_| {})));
        let held = queue.held.remove(&to).unwrap_or_default();
        queue.jobs.extend(held);
        drop(queue);
        self.shared.more.notify_one();
    }

    /// There is no member any more.
    pub(crate) fn remove(&self, group: GroupId) {
        self.post(Job::Changes(vec![Change::Remove(group)], Box::new(|_| {})));
    }

    /// There is no member any more, and never will be again, whatever happens next. Waits for the disk.
    pub(crate) fn forget(&self, group: GroupId) -> Result<(), String> {
        let (done, forgotten) = std::sync::mpsc::channel();
        let done = move |result| drop(done.send(result));
        self.post(Job::Changes(vec![Change::Remove(group)], Box::new(done)));
        forgotten.recv().unwrap_or_else(|_| Err("the node stopped".to_owned()))
    }

    /// Writes a value into a file; durable when this returns. Waits for the disk.
    pub(crate) fn keep_value(&self, group: GroupId, meta: &SnapshotMeta, value: &[u8]) -> io::Result<()> {
        let _alone = self.shared.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        snapshot::write(&*self.shared.disk, group, meta, value)
    }

    /// A value that was wanted is in its file, or could not be: then it is wanted again when the log has grown.
    pub(crate) fn value_kept(&self, group: GroupId, base: Option<EntryId>) {
        let shared = self.shared.clone();
        match base {
            Some(base) => {
                let done = move |_| {
                    shared.queue().keeping.remove(&group);
                };
                self.post(Job::Changes(vec![Change::Compact(group, base)], Box::new(done)));
            }
            None => {
                let again = shared.wal().again(group);
                shared.queue().keeping.insert(group, again);
            }
        }
    }

    /// Writes what waits and nothing more, and lets others have the directory.
    pub(crate) fn close(&self) {
        self.shared.queue().stopped = true;
        self.shared.more.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A thread that panicked wrote nothing more either.
            let _ = thread.join();
        }
        self.shared.disk.unlock();
    }

    fn post(&self, job: Job) {
        let mut queue = self.shared.queue();
        if queue.stopped {
            // Dropping it tells whoever waits.
            drop(queue);
            return drop(job);
        }
        match &job {
            Job::Write { group, .. } if queue.held.contains_key(group) => {
                return queue.held.entry(*group).or_default().push(job);
            }
            _ => queue.jobs.push_back(job),
        }
        drop(queue);
        self.shared.more.notify_one();
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn run(&self) {
        while let Some(jobs) = self.next() {
            if let Err(why) = self.perform(jobs) {
                tracing::error!(%why, "storage failed");
                self.queue().stopped = true;
                self.queue().jobs.clear();
                return (self.say)(Said::Failed(why));
            }
        }
    }

    /// Whatever waits, up to what is good for one sync.
    fn next(&self) -> Option<Vec<Job>> {
        let queue = self.queue();
        let idle = |queue: &mut Queue| queue.jobs.is_empty() && !queue.stopped;
        let mut queue = self.more.wait_while(queue, idle).unwrap_or_else(PoisonError::into_inner);
        if queue.jobs.is_empty() {
            return None;
        }
        let (mut jobs, mut bytes) = (Vec::new(), 0);
        while bytes < BATCH_BYTES
            && let Some(job) = queue.jobs.pop_front()
        {
            bytes += job.bytes();
            jobs.push(job);
        }
        Some(jobs)
    }

    fn perform(&self, jobs: Vec<Job>) -> Result<(), String> {
        let (mut changes, mut confirmations) = (Vec::new(), Vec::new());
        let mut groups = Vec::new();
        {
            let wal = self.wal();
            for job in jobs {
                match job {
                    // Of a member that is no more.
                    Job::Write { group, .. } if !wal.has(group, &changes) => {}
                    Job::Write { group, member, write } => {
                        confirmations.push(Confirmation::Write { group, member, no: write.no });
                        groups.push(group);
                        changes.push(Change::Write(group, write));
                    }
                    Job::Changes(more, done) => {
                        changes.extend(more);
                        confirmations.push(Confirmation::Changes(done));
                    }
                }
            }
        }
        let committed = self.commit(changes);
        for confirmation in confirmations {
            match (confirmation, &committed) {
                (Confirmation::Write { group, member, no }, Ok(_)) => (self.say)(Said::Persisted { group, member, no }),
                (Confirmation::Write { .. }, Err(_)) => {}
                (Confirmation::Changes(done), Ok(_)) => done(Ok(())),
                (Confirmation::Changes(done), Err(why)) => done(Err(why.clone())),
            }
        }
        self.ask_for_snapshots(groups, &committed?);
        Ok(())
    }

    /// One sync for all of it; groups that hold up the log with much are returned.
    fn commit(&self, changes: Vec<Change>) -> Result<Vec<GroupId>, String> {
        let mut batch = self.wal().prepare(changes);
        let mut told = false;
        loop {
            let mut wal = self.wal();
            let segment = wal.segment();
            match wal.commit(&mut batch) {
                Ok(()) if wal.segment() == segment => return Ok(Vec::new()),
                Ok(()) => {
                    return match wal.purge() {
                        // What holds up the log holds up nothing else: there will be another time.
                        Err(WriteFailure::Full) => Ok(Vec::new()),
                        purged => purged.map_err(|error| error.to_string()),
                    };
                }
                Err(WriteFailure::Full) => drop(wal),
                Err(error) => return Err(error.to_string()),
            }
            if !std::mem::replace(&mut told, true) {
                tracing::error!("the disk is full: nothing is confirmed until there is room");
            }
            let queue = self.queue();
            let paused = self.more.wait_timeout_while(queue, PAUSE, |queue| !queue.stopped);
            if paused.unwrap_or_else(PoisonError::into_inner).0.stopped {
                return Err("the node stopped while the disk was full".to_owned());
            }
        }
    }

    /// Of groups whose log has become long, and of those that hold up the log of all however long theirs is.
    fn ask_for_snapshots(&self, written: Vec<GroupId>, holding: &[GroupId]) {
        let wanting: Vec<(GroupId, u64)> = {
            let wal = self.wal();
            let wanting = written.into_iter().filter(|group| wal.wants_snapshot(*group) && !holding.contains(group));
            let wanting = wanting.chain(holding.iter().copied());
            wanting.map(|group| (group, wal.log_bytes(group))).collect()
        };
        for (group, bytes) in wanting {
            let wanted = {
                let mut queue = self.queue();
                let wanted = queue.keeping.get(&group).is_none_or(|from| bytes >= *from);
                if wanted {
                    queue.keeping.insert(group, u64::MAX);
                }
                wanted
            };
            if wanted {
                (self.say)(Said::WantsSnapshot(group));
            }
        }
    }

    fn wal(&self) -> MutexGuard<'_, Wal> {
        self.wal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Confirmation {
    Write { group: GroupId, member: MemberId, no: WriteNo },
    Changes(Box<dyn FnOnce(Result<(), String>) + Send>),
}

impl Job {
    fn bytes(&self) -> u64 {
        match self {
            Job::Write { write, .. } => {
                let entries = write.append.iter().flat_map(|append| &append.entries);
                entries.map(|entry| entry.payload.size()).sum()
            }
            Job::Changes(..) => 0,
        }
    }
}
