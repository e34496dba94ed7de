//! The storage lab of the simulator does everything that a disk may do; here is what it does not ask.

mod golden;
mod real;

use super::disk::Disk;
use super::disk::simulated::{Fault, Loss, SimulatedDisk};
use super::*;
use bytes::Bytes;
use rafted_value_core::{
    Append, Entry, EntryId, HardState, LogIndex, MemberId, Payload, SnapshotMeta, Term, Write, WriteNo,
};
use std::sync::Arc;

const SMALL: Options = Options { segment_bytes: 4096, expansion_factor: 4, small_log_bytes: 1024, segments: 3 };

fn open_with(disk: &Arc<SimulatedDisk>, options: Options) -> (Wal, Found) {
    Wal::open(disk.clone(), options, (node_id(7), 0x1234_5678_9abc_def0)).expect("a log")
}

fn open(disk: &Arc<SimulatedDisk>) -> (Wal, Found) {
    open_with(disk, SMALL)
}

fn begin(group: u128) -> Change {
    let checkpoint = Checkpoint {
        member: MemberId(group + 100),
        name: format!("group {group}"),
        value: "value".to_owned(),
        hard_state: HardState::default(),
        base: EntryId::ZERO,
        base_bytes: 0,
        continues: false,
    };
    Change::Begin(group_id(group), checkpoint)
}

fn entry(index: u64, length: usize) -> Entry {
    Entry { id: EntryId::new(1, index), payload: Payload::Commands(Bytes::from(vec![index as u8; length])) }
}

fn append(group: u128, from: u64, entries: Vec<Entry>) -> Change {
    let hard_state = (from == 1).then(|| HardState::new(Term(1), Some(MemberId(5))));
    let append = Some(Append { from: LogIndex(from), entries });
    Change::Write(group_id(group), Write { no: WriteNo(1), hard_state, snapshot: None, append })
}

fn commit(wal: &mut Wal, changes: impl IntoIterator<Item = Change>) -> Result<(), WriteFailure> {
    let mut batch = wal.prepare(changes);
    wal.commit(&mut batch)
}

fn entries(wal: &Wal, group: u128) -> Vec<u64> {
    let stored = wal.load(group_id(group)).expect("no damage").expect("a member");
    stored.entries.iter().map(|entry| entry.id.index.0).collect()
}

fn segments(disk: &SimulatedDisk) -> usize {
    disk.list().unwrap().iter().filter(|name| name.starts_with("log-")).count()
}

#[test]
fn a_command_of_a_kilobyte_costs_little_more() {
    let disk = Arc::new(SimulatedDisk::new());
    let (mut wal, _) = open_with(&disk, Options::default());
    commit(&mut wal, [begin(1)]).unwrap();
    let before = disk.written();
    // Alone, one sync each: the worst case. The entry is what one command of 1 KiB becomes: 40 bytes more, about.
    for index in 1..=100 {
        commit(&mut wal, [append(1, index, vec![entry(index, 1024 + 40)])]).unwrap();
    }
    let written = disk.written() - before;
    assert!(written < 100 * 1024 * 13 / 10, "{written} bytes");
}

#[test]
fn an_idle_group_does_not_hold_up_the_log() {
    let disk = Arc::new(SimulatedDisk::new());
    let (mut wal, _) = open(&disk);
    commit(&mut wal, [begin(1), begin(2), append(1, 1, vec![entry(1, 10)])]).unwrap();
    for index in 1..=200 {
        commit(&mut wal, [append(2, index, vec![entry(index, 300)])]).unwrap();
        if index % 4 == 0 {
            let meta = SnapshotMeta { last_included: EntryId::new(1, index), ..SnapshotMeta::empty() };
            Wal::write_snapshot(&*disk, group_id(2), &meta, b"a value").unwrap();
            commit(&mut wal, [Change::Compact(group_id(2), meta.last_included)]).unwrap();
        }
        assert!(wal.purge().unwrap().is_empty(), "nobody is large");
    }
    assert!(segments(&disk) <= 6, "{:?}", disk.list());
    let (wal, found) = open(&Arc::new(disk.after(Loss::Everything)));
    assert_eq!(found, Found::default());
    assert_eq!(entries(&wal, 1), [1]);
    assert_eq!(wal.load(group_id(1)).unwrap().unwrap().hard_state.term(), Term(1));
}

#[test]
fn a_group_with_much_that_holds_up_the_log_is_asked_for_a_snapshot() {
    let disk = Arc::new(SimulatedDisk::new());
    let (mut wal, _) = open(&disk);
    commit(&mut wal, [begin(1), begin(2)]).unwrap();
    let mut asked = false;
    for index in 1..=20 {
        commit(&mut wal, [append(1, index, vec![entry(index, 900)])]).unwrap();
        asked |= wal.purge().unwrap() == [group_id(1)];
    }
    assert!(asked);
    assert_eq!(entries(&wal, 1).len(), 20, "and loses nothing meanwhile");
}

#[test]
fn a_full_disk_is_asked_again_and_a_failed_sync_never() {
    let disk = Arc::new(SimulatedDisk::new());
    let (mut wal, _) = open(&disk);
    commit(&mut wal, [begin(1)]).unwrap();
    disk.fail_at(disk.calls() + 1, Fault::Full);
    let mut batch = wal.prepare([append(1, 1, vec![entry(1, 10)])]);
    assert!(matches!(wal.commit(&mut batch), Err(WriteFailure::Full)));
    wal.commit(&mut batch).expect("there is room again");
    assert_eq!(entries(&wal, 1), [1]);

    // The write, then its sync.
    disk.fail_at(disk.calls() + 2, Fault::Io);
    let mut batch = wal.prepare([append(1, 2, vec![entry(2, 10)])]);
    assert!(matches!(wal.commit(&mut batch), Err(WriteFailure::Poisoned(_))));
    assert!(matches!(wal.commit(&mut batch), Err(WriteFailure::Poisoned(_))), "a second sync would lie");
    assert!(wal.poisoned().is_some());
    let (wal, _) = open(&Arc::new(disk.after(Loss::Everything)));
    assert_eq!(entries(&wal, 1), [1]);
}

#[test]
fn damage_to_one_group_is_that_group_s_alone() {
    let disk = Arc::new(SimulatedDisk::new());
    let (mut wal, _) = open_with(&disk, Options::default());
    commit(&mut wal, [begin(1), begin(2)]).unwrap();
    for index in 1..=4 {
        let payload = vec![entry(index, 100)];
        commit(&mut wal, [append(1, index, payload.clone()), append(2, index, payload)]).unwrap();
    }
    // In a payload of the first group: its bytes are the index.
    let name = "log-0000000000000001";
    let bytes = disk.read(name).unwrap();
    let payload = bytes.windows(50).position(|window| window == [2; 50]).unwrap();
    disk.flip(name, payload, 0);
    let (wal, found) = open(&disk);
    assert_eq!(found.damage.len(), 1);
    let damage = wal.load(group_id(1)).unwrap_err();
    assert_eq!((damage.file.as_str(), damage.group), (name, Some(group_id(1))));
    assert!(damage.offset < payload as u64 && damage.offset + 100 > payload as u64, "{damage}");
    assert_eq!(entries(&wal, 2), [1, 2, 3, 4]);
}

#[test]
fn what_looks_like_a_header_in_a_command_is_a_command() {
    let disk = Arc::new(SimulatedDisk::new());
    let (mut wal, _) = open(&disk);
    commit(&mut wal, [begin(1), append(1, 1, vec![entry(1, 10)])]).unwrap();
    // A caller who has seen another directory's bytes hands them in as a command; then the end of the log is torn.
    let other = Arc::new(SimulatedDisk::new());
    let mut theirs = Wal::open(other.clone(), SMALL, (node_id(8), 99)).expect("a log").0;
    for index in 1..=9 {
        commit(&mut theirs, [begin(1), append(1, index, vec![entry(index, 10)])]).unwrap();
    }
    let log = other.read("log-0000000000000001").unwrap();
    let hostile = Bytes::from([&log[..2048 - 3], b"end"].concat());
    let command = Entry { id: EntryId::new(1, 2), payload: Payload::Commands(hostile) };
    disk.fail_at(disk.calls() + 2, Fault::PowerLoss);
    commit(&mut wal, [append(1, 2, vec![command])]).unwrap_err();
    for kept in 0..2048 {
        let (wal, found) = open(&Arc::new(disk.after(Loss::LastWriteAfter(kept))));
        assert!(found.damage.is_empty(), "{kept}: {found:?}");
        assert_eq!(entries(&wal, 1), [1], "{kept}");
    }
}

#[test]
fn a_directory_that_is_not_whole_is_refused() {
    let fresh = || {
        let disk = Arc::new(SimulatedDisk::new());
        let (mut wal, _) = open(&disk);
        for index in 1..=20 {
            let begun = (index == 1).then(|| begin(1));
            commit(&mut wal, begun.into_iter().chain([append(1, index, vec![entry(index, 500)])])).unwrap();
        }
        disk
    };
    let refused = |disk: &Arc<SimulatedDisk>| match Wal::open(disk.clone(), SMALL, (node_id(7), 1)) {
        Ok((wal, found)) => {
            assert!(!found.damage.is_empty());
            wal.load(group_id(1)).err().map(|damage| damage.to_string()).unwrap_or_default()
        }
        Err(error) => error.to_string(),
    };
    let disk = fresh();
    disk.unlink("identity").unwrap();
    assert!(refused(&disk).contains("there is no identity"), "{}", refused(&disk));

    let disk = fresh();
    for name in disk.list().unwrap().iter().filter(|name| name.starts_with("log-")) {
        disk.unlink(name).unwrap();
    }
    assert!(refused(&disk).contains("files of the log are missing"), "{}", refused(&disk));

    for missing in ["log-0000000000000001", "log-0000000000000002"] {
        let disk = fresh();
        disk.unlink(missing).unwrap();
        assert!(refused(&disk).contains("missing"), "{missing}: {}", refused(&disk));
    }
}

#[test]
fn no_bytes_make_a_start_panic() {
    let sound = Arc::new(SimulatedDisk::new());
    let (mut wal, _) = open(&sound);
    commit(&mut wal, [begin(1), begin(2), append(2, 1, vec![entry(1, 300)])]).unwrap();
    for index in 1..=12 {
        commit(&mut wal, [append(1, index, vec![entry(index, 300)])]).unwrap();
        if index % 4 == 0 {
            let meta = SnapshotMeta { last_included: EntryId::new(1, index), ..SnapshotMeta::empty() };
            Wal::write_snapshot(&*sound, group_id(1), &meta, &[7; 900]).unwrap();
            commit(&mut wal, [Change::Compact(group_id(1), meta.last_included)]).unwrap();
        }
    }
    let names = sound.list().unwrap();
    let mut dice = fastrand::Rng::with_seed(7);
    for _ in 0..3000 {
        let disk = Arc::new(sound.after(Loss::Nothing));
        let name = &names[dice.usize(..names.len())];
        let mut bytes = disk.read(name).unwrap();
        let at = dice.usize(..bytes.len());
        let end = (at + 1 + dice.usize(..40)).min(bytes.len());
        match dice.u8(..4) {
            0 => bytes[at..end].iter_mut().for_each(|byte| *byte = dice.u8(..)),
            1 => bytes[at..end].fill(0xff),
            2 => bytes.truncate(at),
            _ => drop(bytes.splice(at..at, (0..end - at).map(|_| dice.u8(..)).collect::<Vec<_>>())),
        }
        disk.create(name, 0).unwrap();
        disk.write_at(name, 0, &bytes).unwrap();
        let Ok((wal, _)) = Wal::open(disk, SMALL, (node_id(7), 1)) else { continue };
        for (group, ..) in wal.groups() {
            // Whatever it says, it says it in words.
            let _ = wal.load(group).map_err(|damage| damage.to_string());
        }
    }
}
