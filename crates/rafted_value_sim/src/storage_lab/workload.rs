//! What the lab writes: members that begin, vote, append, overwrite, take and receive snapshots, and go. Small, and full
//! of rare things: segments of a few kilobytes, logs that are overwritten, idle groups that hold up the log.

use bytes::Bytes;
use rafted_value::GroupId;
use rafted_value::storage::disk::Disk;
use rafted_value::storage::{Change, Checkpoint, Options, Wal, WriteFailure, group_id};
use rafted_value_core::{
    Append, Entry, EntryId, HardState, LogIndex, MemberId, Payload, SnapshotMeta, Term, Write, WriteNo,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Small, so that segments are made, moved and removed all the time.
pub const OPTIONS: Options = Options { segment_bytes: 4096, expansion_factor: 4, small_log_bytes: 1024, segments: 3 };

/// One group as anybody can see it, told apart from where its parts are: the value's content is the list of all
/// entries up to the base, and the log goes on from there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Which member.
    pub member: u128,
    /// Its term and vote.
    pub hard_state: HardState,
    /// A digest of each entry.
    pub entries: Vec<[u8; 8]>,
}

/// Every group.
pub type World = BTreeMap<GroupId, View>;

/// One thing that is confirmed as a whole.
#[derive(Clone, Debug)]
pub enum Step {
    /// These, in one sync.
    Commit(Vec<Change>),
    /// The group's value as of this entry goes into a file.
    Snapshot(GroupId, EntryId, Bytes),
    /// A value arrives from elsewhere.
    Install(GroupId, EntryId, Bytes, Write),
    /// What nobody needs goes.
    Purge,
}

/// Steps, and what is to be seen after so many of them.
pub struct Workload {
    /// The steps.
    pub steps: Vec<Step>,
    /// One more than there are steps.
    pub worlds: Vec<World>,
}

struct Die(u64);

impl Die {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What stands for an entry.
pub fn digest(entry: &Entry) -> [u8; 8] {
    let mut hash = entry.id.term.0 ^ 0x9e37_79b9_7f4a_7c15;
    if let Payload::Commands(bytes) = &entry.payload {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash.to_le_bytes()
}

/// A value that contains these entries.
fn value(entries: &[[u8; 8]]) -> Bytes {
    entries.concat().into()
}

impl Workload {
    /// The one of this seed.
    pub fn new(seed: u64, steps: usize) -> Workload {
        let mut maker = Maker {
            die: Die(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            world: World::new(),
            bases: BTreeMap::new(),
            terms: BTreeMap::new(),
        };
        let mut workload = Workload { steps: Vec::new(), worlds: vec![World::new()] };
        while workload.steps.len() < steps {
            if let Some(step) = maker.step() {
                workload.steps.push(step);
                workload.worlds.push(maker.world.clone());
            }
        }
        workload
    }

    /// Does the steps from `first` on, as far as the disk lets it; how many are done.
    pub fn run(&self, wal: &mut Wal, disk: &Arc<dyn Disk>, first: usize) -> Result<(), (usize, String)> {
        for (n, step) in self.steps.iter().enumerate().skip(first) {
            perform(wal, &**disk, step).map_err(|why| (n, why))?;
        }
        Ok(())
    }
}

/// The dumb model beside the clever log: it knows no files.
struct Maker {
    die: Die,
    world: World,
    bases: BTreeMap<GroupId, u64>,
    /// The term of each entry.
    terms: BTreeMap<GroupId, Vec<u64>>,
}

impl Maker {
    fn step(&mut self) -> Option<Step> {
        let group = group_id(1 + u128::from(self.die.roll(6)));
        if !self.world.contains_key(&group) {
            return Some(Step::Commit(vec![self.begin(group)]));
        }
        // The last groups are idle: they hold up the log.
        if group >= group_id(5) && self.die.roll(8) > 0 {
            return None;
        }
        match self.die.roll(40) {
            0 => Some(Step::Commit(vec![self.remove(group)])),
            1..=4 => self.snapshot(group),
            5 => Some(self.install(group)),
            6..=9 => Some(Step::Purge),
            10..=24 => Some(Step::Commit(vec![self.write(group)])),
            _ => {
                let others: Vec<GroupId> = self.world.keys().copied().filter(|other| *other < group_id(5)).collect();
                Some(Step::Commit(others.into_iter().map(|other| self.write(other)).collect()))
            }
        }
        .filter(|step| !matches!(step, Step::Commit(changes) if changes.is_empty()))
    }

    fn begin(&mut self, group: GroupId) -> Change {
        let member = u128::from(self.die.roll(1 << 30)) + 1;
        self.world.insert(group, View { member, ..View::default() });
        self.bases.insert(group, 0);
        self.terms.insert(group, Vec::new());
        Change::Begin(
            group,
            Checkpoint {
                member: MemberId(member),
                name: format!("group {group:?}"),
                value: "lab".to_owned(),
                hard_state: HardState::default(),
                base: EntryId::ZERO,
                base_bytes: 0,
                continues: false,
            },
        )
    }

    fn remove(&mut self, group: GroupId) -> Change {
        self.world.remove(&group);
        Change::Remove(group)
    }

    fn write(&mut self, group: GroupId) -> Change {
        let base = self.bases[&group];
        let view = self.world.get_mut(&group).expect("a member");
        let terms = self.terms.get_mut(&group).expect("a member");
        let mut hard_state = None;
        if view.hard_state.term() == Term(0) || self.die.roll(6) == 0 {
            let vote = (self.die.roll(2) == 0).then(|| MemberId(u128::from(self.die.roll(3)) + 1));
            view.hard_state = HardState::new(Term(view.hard_state.term().0 + 1 + self.die.roll(2)), vote);
            hard_state = Some(view.hard_state);
        }
        let term = view.hard_state.term();
        let last = view.entries.len() as u64;
        // Sometimes an uncommitted tail is replaced, or only cut.
        let back = if self.die.roll(5) == 0 { self.die.roll(last - base + 1) } else { 0 };
        let from = last - back + 1;
        view.entries.truncate(from as usize - 1);
        terms.truncate(from as usize - 1);
        let count = self.die.roll(4);
        let entries: Vec<Entry> = (from..from + count)
            .map(|index| {
                let length = [0, 3, 40, 300, 1100][self.die.roll(5) as usize];
                let byte = self.die.roll(256) as u8;
                Entry { id: EntryId::new(term.0, index), payload: Payload::Commands(vec![byte; length].into()) }
            })
            .collect();
        view.entries.extend(entries.iter().map(digest));
        terms.extend(entries.iter().map(|entry| entry.id.term.0));
        let append = (back > 0 || count > 0).then_some(Append { from: LogIndex(from), entries });
        Change::Write(group, Write { no: WriteNo(1), hard_state, snapshot: None, append })
    }

    fn snapshot(&mut self, group: GroupId) -> Option<Step> {
        let base = self.bases.get_mut(&group)?;
        let entries = &self.world.get(&group)?.entries;
        let ahead = (entries.len() as u64).checked_sub(*base).filter(|ahead| *ahead > 0)?;
        let index = *base + 1 + self.die.roll(ahead);
        *base = index;
        let id = EntryId::new(self.terms[&group][index as usize - 1], index);
        Some(Step::Snapshot(group, id, value(&entries[..index as usize])))
    }

    fn install(&mut self, group: GroupId) -> Step {
        let view = self.world.get_mut(&group).expect("a member");
        let index = view.entries.len() as u64 + 1 + self.die.roll(20);
        let term = view.hard_state.term().0 + 1;
        view.hard_state = HardState::new(Term(term), None);
        view.entries = (0..index).map(|n| (n ^ (index << 32)).to_le_bytes()).collect();
        let terms = self.terms.get_mut(&group).expect("a member");
        terms.clear();
        terms.resize(index as usize, term);
        self.bases.insert(group, index);
        let id = EntryId::new(term, index);
        let append = Append { from: LogIndex(index + 1), entries: Vec::new() };
        let hard_state = Some(view.hard_state);
        let write = Write { no: WriteNo(1), hard_state, snapshot: Some(meta(id)), append: Some(append) };
        Step::Install(group, id, value(&view.entries), write)
    }
}

fn meta(last_included: EntryId) -> SnapshotMeta {
    SnapshotMeta { last_included, ..SnapshotMeta::empty() }
}

/// Does one step.
///
/// # Errors
///
/// Why it is not confirmed.
pub fn perform(wal: &mut Wal, disk: &dyn Disk, step: &Step) -> Result<(), String> {
    let mut commit = |changes: Vec<Change>| {
        let mut batch = wal.prepare(changes);
        // A disk that is full has room again when it is asked again.
        let mut tries = 0;
        loop {
            match wal.commit(&mut batch) {
                Err(WriteFailure::Full) if tries < 3 => tries += 1,
                other => return other.map_err(|error| error.to_string()),
            }
        }
    };
    match step {
        Step::Commit(changes) => commit(changes.clone()),
        Step::Snapshot(group, id, value) => match Wal::write_snapshot(disk, *group, &meta(*id), value) {
            Ok(()) => commit(vec![Change::Compact(*group, *id)]),
            // Nothing depends on it: the log goes on without.
            Err(_) => Ok(()),
        },
        Step::Install(group, id, value, write) => {
            // As for a value that cannot be kept: the core would not hear of it, so the story ends here.
            Wal::write_snapshot(disk, *group, &meta(*id), value).map_err(|error| error.to_string())?;
            commit(vec![Change::Write(*group, write.clone())])
        }
        Step::Purge => match wal.purge() {
            Ok(_) | Err(WriteFailure::Full) => Ok(()),
            Err(error) => Err(error.to_string()),
        },
    }
}

/// What is to be seen of a log; or which groups say that they are damaged.
pub fn look(wal: &Wal) -> (World, Vec<(GroupId, String)>) {
    let (mut world, mut damaged) = (World::new(), Vec::new());
    for (group, _, _) in wal.groups() {
        match wal.load(group) {
            Ok(Some(stored)) => {
                let contained = stored.value.iter().flat_map(|value| value.chunks_exact(8));
                let mut entries: Vec<[u8; 8]> =
                    contained.map(|digest| digest.try_into().expect("eight bytes")).collect();
                entries.extend(stored.entries.iter().map(digest));
                let (member, hard_state) = (stored.checkpoint.member.0, stored.hard_state);
                world.insert(group, View { member, hard_state, entries });
            }
            Ok(None) => {}
            Err(damage) => damaged.push((group, damage.to_string())),
        }
    }
    (world, damaged)
}
