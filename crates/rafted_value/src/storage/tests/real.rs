//! The machine's own directory: who may read it, who may have it, and what is not followed.

use super::*;
use crate::storage::disk::real::RealDisk;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

struct Dir(PathBuf);

impl Dir {
    fn new() -> Dir {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("rafted-storage-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Dir(path)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn wal(dir: &Dir) -> Result<(Wal, Arc<RealDisk>), String> {
    let disk = Arc::new(RealDisk::open(&dir.0).map_err(|error| error.to_string())?);
    let (wal, _) = Wal::open(disk.clone(), SMALL, (node_id(7), 3)).map_err(|error| error.to_string())?;
    Ok((wal, disk))
}

#[test]
fn everything_is_for_the_owner_alone() {
    let dir = Dir::new();
    let (mut wal, disk) = wal(&dir).unwrap();
    commit(&mut wal, [begin(1)]).unwrap();
    let meta = SnapshotMeta { last_included: EntryId::new(1, 1), ..SnapshotMeta::empty() };
    Wal::write_snapshot(&*disk, group_id(1), &meta, b"value").unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir.0), 0o700);
    let files: Vec<_> = fs::read_dir(&dir.0).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 4, "{files:?}");
    assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");
}

#[test]
fn one_has_it_at_a_time_and_nothing_is_written_after_it_is_let_go() {
    let dir = Dir::new();
    let (mut first, disk) = wal(&dir).unwrap();
    assert!(wal(&dir).err().expect("taken").contains("another node uses it"));
    disk.unlock();
    assert!(commit(&mut first, [begin(1)]).is_err());
    let (second, _) = wal(&dir).unwrap();
    assert!(second.groups().is_empty());
}

#[test]
fn planted_links_are_not_followed() {
    let dir = Dir::new();
    let (mut wal, disk) = wal(&dir).unwrap();
    let target = dir.0.with_extension("target");
    fs::write(&target, b"precious").unwrap();
    let meta = SnapshotMeta { last_included: EntryId::new(1, 1), ..SnapshotMeta::empty() };
    let name = format!("{:032x}-{:016x}-{:016x}.snapshot.aside", 1, 1, 1);
    symlink(&target, dir.0.join(name)).unwrap();
    symlink(&target, dir.0.join("log-0000000000000002")).unwrap();
    Wal::write_snapshot(&*disk, group_id(1), &meta, b"value").unwrap_err();
    let large = vec![entry(1, 8000)];
    commit(&mut wal, [begin(1), append(1, 1, large)]).unwrap_err();
    assert_eq!(fs::read(&target).unwrap(), b"precious");
    fs::remove_file(&target).unwrap();
}
