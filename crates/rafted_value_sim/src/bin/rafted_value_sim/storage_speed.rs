//! `storage-speed`: how fast the log is on a real disk of this machine, and how fast it is read again.

use bytes::Bytes;
use clap::Args;
use rafted_value::storage::disk::Disk;
use rafted_value::storage::disk::real::RealDisk;
use rafted_value::storage::{Change, Checkpoint, Options, Wal, group_id, node_id};
use rafted_value_core::{Append, Entry, EntryId, HardState, LogIndex, MemberId, Payload, Term, Write, WriteNo};
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where, and how much.
#[derive(Args)]
pub(crate) struct StorageSpeed {
    /// A directory on the disk to measure; what it writes there is removed
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
    /// How long an entry is.
    #[arg(long, default_value_t = 128)]
    bytes: usize,
    /// For how long each row is measured.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// How many entries the log has that is read again.
    #[arg(long, default_value_t = 1_000_000)]
    entries: u64,
}

impl StorageSpeed {
    pub(crate) fn run(&self) -> ExitCode {
        match self.measure() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("storage-speed: {error}");
                ExitCode::FAILURE
            }
        }
    }

    fn measure(&self) -> Result<(), Box<dyn Error>> {
        let root = self.dir.clone().unwrap_or_else(std::env::temp_dir);
        let dir = root.join(format!("storage-speed-{}", std::process::id()));
        let measured = self.rows(&dir);
        std::fs::remove_dir_all(&dir)?;
        measured
    }

    fn rows(&self, dir: &std::path::Path) -> Result<(), Box<dyn Error>> {
        for batch in [1, 16, 256] {
            let floor = self.floor(&dir.join(format!("floor-{batch}")))?;
            println!("{floor:>12.0} syncs/s of 4 KiB each, by nobody's log");
            let mut log = Log::open(&dir.join(batch.to_string()))?;
            let (mut entries, began) = (0, now());
            while began.elapsed() < Duration::from_secs_f64(self.seconds) {
                log.append(batch, self.bytes)?;
                entries += batch;
            }
            let rate = entries as f64 / began.elapsed().as_secs_f64();
            println!("{rate:>12.0} entries/s, synced {batch} at a time: {:.2} of that", rate / batch as f64 / floor);
        }
        let again = dir.join("again");
        let mut log = Log::open(&again)?;
        for _ in 0..self.entries / 1000 {
            log.append(1000, self.bytes)?;
        }
        log.disk.unlock();
        let began = now();
        let log = Log::open(&again)?;
        let stored = log.wal.load(group_id(1))?.ok_or("nothing is there")?;
        let rate = stored.entries.len() as f64 / began.elapsed().as_secs_f64();
        println!("{rate:>12.0} entries/s, read again ({} of them)", stored.entries.len());
        Ok(())
    }
}

impl StorageSpeed {
    /// What the disk gives whoever writes and syncs, into room that was reserved, as the log does.
    fn floor(&self, dir: &std::path::Path) -> Result<f64, Box<dyn Error>> {
        const PAGE: u64 = 4096;
        let disk = RealDisk::open(dir)?;
        let room = Options::default().segment_bytes;
        disk.create("floor", room)?;
        disk.sync_dir()?;
        let (mut syncs, began) = (0, now());
        while began.elapsed() < Duration::from_secs_f64(self.seconds) {
            disk.write_at("floor", syncs * PAGE % room, &[7; PAGE as usize])?;
            disk.sync("floor")?;
            syncs += 1;
        }
        Ok(syncs as f64 / began.elapsed().as_secs_f64())
    }
}

struct Log {
    wal: Wal,
    disk: Arc<RealDisk>,
    next: u64,
}

impl Log {
    fn open(dir: &std::path::Path) -> Result<Log, Box<dyn Error>> {
        let disk = Arc::new(RealDisk::open(dir)?);
        let (mut wal, _) = Wal::open(disk.clone(), Options::default(), (node_id(1), 7))?;
        if wal.groups().is_empty() {
            let checkpoint = Checkpoint {
                member: MemberId(1),
                name: "speed".to_owned(),
                value: "speed".to_owned(),
                hard_state: HardState::new(Term(1), None),
                base: EntryId::ZERO,
                base_bytes: 0,
                continues: false,
            };
            wal.commit(&mut wal.prepare([Change::Begin(group_id(1), checkpoint)]))?;
        }
        Ok(Log { wal, disk, next: 1 })
    }

    fn append(&mut self, count: u64, bytes: usize) -> Result<(), Box<dyn Error>> {
        let payload = Payload::Commands(Bytes::from(vec![7; bytes]));
        let from = LogIndex(self.next);
        let indexes = self.next..self.next + count;
        let entries = indexes.map(|index| Entry { id: EntryId::new(1, index), payload: payload.clone() }).collect();
        let append = Some(Append { from, entries });
        let write = Write { no: WriteNo(1), hard_state: None, snapshot: None, append };
        let segment = self.wal.segment();
        self.wal.commit(&mut self.wal.prepare([Change::Write(group_id(1), write)]))?;
        if self.wal.segment() != segment {
            self.wal.purge()?;
        }
        self.next += count;
        Ok(())
    }
}

/// How fast the disk is; nothing that is measured knows.
#[expect(clippy::disallowed_methods, reason = "measures the log from outside")]
fn now() -> Instant {
    Instant::now()
}
