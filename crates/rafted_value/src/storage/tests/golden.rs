//! The bytes of format 1, for ever: files that a build of this version wrote, which every later build must read. They
//! are drawn in `docs/disk_format.md`. To write them anew, which only a format that nobody has ever used may be: `UPDATE=1`.

use super::*;
use rafted_value_core::{Config, Member, Membership, Seat};

const FILES: [(&str, &[u8]); 3] = [
    ("identity", include_bytes!("v1/identity")),
    ("log-0000000000000001", include_bytes!("v1/log-0000000000000001")),
    (SNAPSHOT, include_bytes!("v1/00000000000000000000000000000001-0000000000000001-0000000000000002.snapshot")),
];
const SNAPSHOT: &str = "00000000000000000000000000000001-0000000000000001-0000000000000002.snapshot";

fn meta() -> SnapshotMeta {
    let member = Member { contact: Bytes::from_static(b"here"), seat: Seat::Voter };
    let membership = Arc::new(Membership::new([(MemberId(101), member)]));
    SnapshotMeta { last_included: EntryId::new(1, 2), membership, config: Arc::new(Config::default()) }
}

/// Every kind of record, and of entry.
fn story(disk: &Arc<SimulatedDisk>) -> Wal {
    let options = Options { segment_bytes: 2048, ..SMALL };
    let (mut wal, _) = open_with(disk, options);
    wal.set_cluster(crate::contact::ClusterId(0xc1)).unwrap();
    commit(&mut wal, [begin(1), begin(2)]).unwrap();
    let noop = Entry { id: EntryId::new(1, 1), payload: Payload::Noop };
    commit(&mut wal, [append(1, 1, vec![noop, entry(2, 70), entry(3, 9)])]).unwrap();
    Wal::write_snapshot(&**disk, group_id(1), &meta(), &b"value ".repeat(20)).unwrap();
    let membership = Entry { id: EntryId::new(1, 4), payload: Payload::Membership(meta().membership) };
    let config = Entry { id: EntryId::new(1, 5), payload: Payload::Config(meta().config) };
    commit(&mut wal, [Change::Compact(group_id(1), EntryId::new(1, 2)), append(1, 4, vec![membership, config])])
        .unwrap();
    commit(&mut wal, [Change::Remove(group_id(2))]).unwrap();
    wal
}

fn check(wal: &Wal) {
    let identity = wal.identity();
    assert_eq!((identity.node, identity.cluster), (node_id(7), Some(crate::contact::ClusterId(0xc1))));
    assert!(wal.load(group_id(2)).unwrap().is_none());
    let stored = wal.load(group_id(1)).unwrap().unwrap();
    assert_eq!((stored.checkpoint.member, stored.checkpoint.name.as_str()), (MemberId(101), "group 1"));
    assert_eq!(stored.hard_state, HardState::new(Term(1), Some(MemberId(5))));
    assert_eq!((stored.base, stored.value), (meta(), Some(Bytes::from(b"value ".repeat(20)))));
    let payloads: Vec<_> = stored.entries.into_iter().map(|entry| (entry.id.index.0, entry.payload)).collect();
    let expected = [
        (3, Payload::Commands(Bytes::from(vec![3; 9]))),
        (4, Payload::Membership(meta().membership)),
        (5, Payload::Config(meta().config)),
    ];
    assert_eq!(payloads, expected);
}

#[test]
fn files_of_format_1_are_read() {
    let disk = Arc::new(SimulatedDisk::new());
    for (name, bytes) in FILES {
        disk.create(name, bytes.len() as u64).unwrap();
        disk.write_at(name, 0, bytes).unwrap();
    }
    let (wal, found) = open(&disk);
    assert_eq!(found, Found::default());
    check(&wal);
}

#[test]
fn this_build_writes_format_1() {
    let disk = Arc::new(SimulatedDisk::new());
    check(&story(&disk));
    for (name, expected) in FILES {
        let bytes = disk.read(name).unwrap();
        if std::env::var_os("UPDATE").is_some() {
            let path = format!("{}/src/storage/tests/v1/{name}", env!("CARGO_MANIFEST_DIR"));
            std::fs::write(path, &bytes).unwrap();
        } else {
            assert!(bytes == expected, "{name} is written differently");
        }
    }
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let disk = Arc::new(SimulatedDisk::new());
    story(&disk);
    let mut block = disk.read("identity").unwrap();
    for copy in [0, 512] {
        block[copy + 8] = 2;
        let checksum = crc32c::crc32c(&block[copy..copy + 60]).to_le_bytes();
        block[copy + 60..copy + 64].copy_from_slice(&checksum);
    }
    disk.write_at("identity", 0, &block).unwrap();
    let error = Wal::open(disk, SMALL, (node_id(1), 1)).err().expect("a refusal").to_string();
    assert_eq!(error, "the format is version 2, this build knows version 1: use the newer build");
}
