//! The log on disk beside a database that is known to survive crashes: the same steps on both, the same kind of disk under
//! both, power lost at the same step in both; then both say the same.

use rafted_value::GroupId;
use rafted_value::storage::disk::Disk;
use rafted_value::storage::disk::simulated::{Fault, Loss, SimulatedDisk};
use rafted_value::storage::{Change, Wal, group_id, node_id};
use rafted_value_core::{HardState, MemberId, Term, Write};
use rafted_value_sim::storage_lab::workload::{OPTIONS, Step, View, Workload, World, digest, look, perform};
use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition, WriteTransaction};
use std::io;
use std::sync::Arc;

/// By group and index; at index 0 stands who the member is, its term and its vote.
const TABLE: TableDefinition<(u128, u64), &[u8]> = TableDefinition::new("groups");
const FILE: &str = "database";

struct Backend(Arc<SimulatedDisk>);

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(FILE)
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.size(FILE)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        out.copy_from_slice(&self.0.read_at(FILE, offset, out.len())?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.resize(FILE, len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync(FILE)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(FILE, offset, data).map(|_| ())
    }
}

type Failed = Box<dyn std::error::Error>;

fn open(disk: &Arc<SimulatedDisk>) -> Result<Database, Failed> {
    Ok(Database::builder().create_with_backend(Backend(disk.clone()))?)
}

/// One step is one transaction.
fn put(database: &Database, step: &Step) -> Result<(), Failed> {
    let transaction = database.begin_write()?;
    match step {
        Step::Commit(changes) => changes.iter().try_for_each(|change| put_change(&transaction, change))?,
        Step::Install(group, base, value, write) => {
            let member = put_head(&transaction, *group, None, write.hard_state)?;
            clear(&transaction, *group, 0)?;
            let mut table = transaction.open_table(TABLE)?;
            table.insert((number(*group), 0), &member[..])?;
            for (index, digest) in (1..=base.index.0).zip(value.chunks_exact(8)) {
                table.insert((number(*group), index), digest)?;
            }
        }
        // What is kept where is nothing that can be seen.
        Step::Snapshot(..) | Step::Purge => {}
    }
    Ok(transaction.commit()?)
}

fn put_change(transaction: &WriteTransaction, change: &Change) -> Result<(), Failed> {
    match change {
        Change::Begin(group, checkpoint) => {
            clear(transaction, *group, 0)?;
            put_head(transaction, *group, Some(checkpoint.member), Some(checkpoint.hard_state)).map(|_| ())
        }
        Change::Remove(group) => clear(transaction, *group, 0),
        Change::Compact(..) => Ok(()),
        Change::Write(group, Write { hard_state, append, .. }) => {
            if hard_state.is_some() {
                put_head(transaction, *group, None, *hard_state)?;
            }
            let Some(append) = append else { return Ok(()) };
            clear(transaction, *group, append.from.0)?;
            let mut table = transaction.open_table(TABLE)?;
            for entry in &append.entries {
                table.insert((number(*group), entry.id.index.0), &digest(entry)[..])?;
            }
            Ok(())
        }
    }
}

/// Who the member is, its term and vote, as they are after this.
fn put_head(
    transaction: &WriteTransaction,
    group: GroupId,
    member: Option<MemberId>,
    hard_state: Option<HardState>,
) -> Result<Vec<u8>, Failed> {
    let mut table = transaction.open_table(TABLE)?;
    let mut head = table.get((number(group), 0))?.map_or(vec![0; 40], |head| head.value().to_vec());
    if let Some(member) = member {
        head[..16].copy_from_slice(&member.0.to_be_bytes());
    }
    if let Some(hard_state) = hard_state {
        head[16..24].copy_from_slice(&hard_state.term().0.to_be_bytes());
        head[24..].copy_from_slice(&hard_state.voted_for().map_or(0, |vote| vote.0).to_be_bytes());
    }
    table.insert((number(group), 0), &head[..])?;
    Ok(head)
}

fn clear(transaction: &WriteTransaction, group: GroupId, from: u64) -> Result<(), Failed> {
    let mut table = transaction.open_table(TABLE)?;
    table.retain_in((number(group), from)..=(number(group), u64::MAX), |_, _| false)?;
    Ok(())
}

fn number(group: GroupId) -> u128 {
    (1..=9).find(|number| group_id(*number) == group).expect("a group of the workload")
}

fn see(database: &Database) -> Result<World, Failed> {
    let mut world = World::new();
    let transaction = database.begin_read()?;
    let table = match transaction.open_table(TABLE) {
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(world),
        table => table?,
    };
    for row in table.range::<(u128, u64)>(..)? {
        let (key, value) = row?;
        let ((group, index), value) = (key.value(), value.value());
        let view: &mut View = world.entry(group_id(group)).or_default();
        if index > 0 {
            view.entries.push(value.try_into()?);
            continue;
        }
        let vote = u128::from_be_bytes(value[24..].try_into()?);
        view.member = u128::from_be_bytes(value[..16].try_into()?);
        let term = Term(u64::from_be_bytes(value[16..24].try_into()?));
        view.hard_state = HardState::new(term, (vote != 0).then_some(MemberId(vote)));
    }
    Ok(world)
}

/// The steps that the database confirmed before its power was lost in this call, and what it says afterwards.
fn database_after(workload: &Workload, call: u64, loss: Loss) -> (usize, World) {
    let disk = Arc::new(SimulatedDisk::new());
    disk.create(FILE, 0).expect("a file");
    disk.sync_dir().expect("a name");
    drop(open(&disk).expect("a database"));
    disk.fail_at(disk.calls() + call, Fault::PowerLoss);
    let done = match open(&disk) {
        Ok(database) => workload.steps.iter().take_while(|step| put(&database, step).is_ok()).count(),
        Err(_) => 0,
    };
    let database = open(&Arc::new(disk.after(loss))).expect("a database survives crashes");
    (done, see(&database).expect("a state"))
}

/// The same of the log, whose power is lost in the step that follows so many.
fn log_after(workload: &Workload, done: usize, call: u64, loss: Loss) -> World {
    let disk = Arc::new(SimulatedDisk::new());
    let open = |disk: &Arc<SimulatedDisk>| Wal::open(disk.clone(), OPTIONS, (node_id(7), 9)).expect("a log").0;
    let mut wal = open(&disk);
    for step in &workload.steps[..done] {
        perform(&mut wal, &*disk, step).expect("nothing fails yet");
    }
    disk.fail_at(disk.calls() + call, Fault::PowerLoss);
    if let Some(step) = workload.steps.get(done) {
        // Whether it is confirmed depends on which call fails.
        let _ = perform(&mut wal, &*disk, step);
    }
    look(&open(&Arc::new(disk.after(loss)))).0
}

#[test]
fn both_say_the_same_after_any_crash() {
    let workload = Workload::new(11, 40);
    let mut compared = 0;
    for point in 1..=60 {
        let call = point * 13;
        for loss in [Loss::Everything, Loss::Random(point)] {
            let (done, theirs) = database_after(&workload, call, loss);
            let possible = &workload.worlds[done..=(done + 1).min(workload.steps.len())];
            assert!(possible.contains(&theirs), "the database itself, at call {call}");
            // The step under way is there or is not, in each of them; what was confirmed is in both.
            let ours = (1..=4).map(|call| log_after(&workload, done, call, loss));
            for ours in ours {
                assert!(possible.contains(&ours), "after {done} steps: {ours:?}");
                if ours == theirs {
                    compared += 1;
                } else {
                    assert_eq!(possible.len(), 2, "they differ by the step under way at most");
                }
            }
        }
    }
    assert!(compared > 100, "{compared}");
}
