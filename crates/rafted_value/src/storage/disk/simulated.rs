//! A disk that fails and forgets as real ones may, and nothing else.
//!
//! A write is in the cache at once, and on the device when it is synced. When power is lost, each sector of each write
//! that was not synced is on the device or is not, each name that was not synced is old or new, in any combination.

use super::Disk;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a device writes as one.
pub const SECTOR: usize = 512;

/// The disk. Calls that change something are counted from 1.
#[derive(Default)]
pub struct SimulatedDisk {
    inner: Mutex<Inner>,
}

#[derive(Clone, Default)]
struct Inner {
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Changes of names that are not synced.
    renamings: Vec<Renaming>,
    calls: u64,
    fault: Option<(u64, Fault)>,
    off: bool,
    /// Bytes handed to `write_at`.
    written: u64,
    log: Vec<Call>,
}

#[derive(Clone, Default)]
struct Content {
    cached: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Unsynced>,
}

#[derive(Clone)]
enum Unsynced {
    Size(usize),
    Bytes(usize, Vec<u8>),
}

#[derive(Clone)]
enum Renaming {
    Set(String, usize),
    Unset(String),
}

/// What goes wrong, at one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing works from that call on.
    PowerLoss,
    /// The device fails this call.
    Io,
    /// There is no room, this once.
    Full,
    /// A write writes half of what it was given; another call fails.
    Short,
}

/// Which kind of call it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Call {
    Create,
    Write,
    Sync,
    SyncDir,
    Rename,
    Unlink,
}

/// What of that which was not synced is lost.
#[derive(Clone, Copy, Debug)]
pub enum Loss {
    /// All of it.
    Everything,
    /// None of it.
    Nothing,
    /// Each sector and each name by the toss of a coin.
    Random(u64),
    /// Of the last write everything behind so many bytes; nothing else.
    LastWriteAfter(usize),
}

impl SimulatedDisk {
    /// An empty one.
    pub fn new() -> SimulatedDisk {
        SimulatedDisk::default()
    }

    /// At this call, that happens.
    pub fn fail_at(&self, call: u64, fault: Fault) {
        self.inner().fault = Some((call, fault));
    }

    /// How many calls there were.
    pub fn calls(&self) -> u64 {
        self.inner().calls
    }

    /// Every call so far.
    pub fn log(&self) -> Vec<Call> {
        self.inner().log.clone()
    }

    /// How many bytes were written.
    pub fn written(&self) -> u64 {
        self.inner().written
    }

    /// How long the latest unsynced write of any file is.
    pub fn last_write(&self) -> usize {
        let inner = self.inner();
        let last = inner.files.iter().filter_map(|file| file.unsynced.last());
        let length = |write: &Unsynced| if let Unsynced::Bytes(_, bytes) = write { bytes.len() } else { 0 };
        last.map(length).max().unwrap_or(0)
    }

    /// The disk as it is found when power is back.
    pub fn after(&self, loss: Loss) -> SimulatedDisk {
        let mut inner = self.inner().clone();
        let mut coin = Coin(match loss {
            Loss::Random(seed) => seed | 1 << 63,
            _ => 0,
        });
        let mut keep = |_: &Renaming| match loss {
            Loss::Everything => false,
            Loss::Nothing | Loss::LastWriteAfter(_) => true,
            Loss::Random(_) => coin.toss(),
        };
        let mut names = inner.durable_names.clone();
        for renaming in inner.renamings.iter().filter(|renaming| keep(renaming)) {
            renaming.apply(&mut names);
        }
        for file in &mut inner.files {
            file.lose(loss, &mut coin);
        }
        inner.names.clone_from(&names);
        inner.durable_names = names;
        inner.renamings.clear();
        inner.fault = None;
        inner.off = false;
        inner.calls = 0;
        inner.log.clear();
        inner.written = 0;
        SimulatedDisk { inner: Mutex::new(inner) }
    }

    /// Changes how long a file is, for a database that wants that.
    ///
    /// # Errors
    ///
    /// As every call.
    pub fn resize(&self, name: &str, size: u64) -> io::Result<()> {
        let mut inner = self.inner();
        inner.call(Call::Write)?;
        inner.file(name)?.write(Unsynced::Size(size as usize));
        Ok(())
    }

    /// Changes one bit of a file, as a device that decays does.
    pub fn flip(&self, name: &str, byte: usize, bit: u8) {
        let mut inner = self.inner();
        if let Some(at) = inner.names.get(name).copied() {
            let file = &mut inner.files[at];
            file.cached[byte] ^= 1 << bit;
            file.durable[byte] ^= 1 << bit;
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Counts a call that changes something, and fails it if its time has come.
    fn call(&mut self, call: Call) -> io::Result<Option<Fault>> {
        self.calls += 1;
        self.log.push(call);
        if let Some((at, fault)) = self.fault
            && at == self.calls
        {
            match fault {
                Fault::PowerLoss => self.off = true,
                Fault::Io => return Err(io::Error::other("the device failed")),
                Fault::Full if matches!(call, Call::Create | Call::Write) => {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                Fault::Short if call == Call::Write => return Ok(Some(fault)),
                Fault::Full | Fault::Short => return Err(io::Error::other("the device failed")),
            }
        }
        if self.off { Err(io::Error::other("there is no power")) } else { Ok(None) }
    }

    fn file(&mut self, name: &str) -> io::Result<&mut Content> {
        let at = *self.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(&mut self.files[at])
    }

    fn rename(&mut self, renaming: Renaming) {
        renaming.apply(&mut self.names);
        self.renamings.push(renaming);
    }
}

impl Renaming {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Renaming::Set(name, file) => drop(names.insert(name.clone(), *file)),
            Renaming::Unset(name) => drop(names.remove(name)),
        }
    }
}

impl Content {
    fn write(&mut self, change: Unsynced) {
        change.apply(&mut self.cached);
        self.unsynced.push(change);
    }

    fn lose(&mut self, loss: Loss, coin: &mut Coin) {
        let last = self.unsynced.len().saturating_sub(1);
        for (n, change) in std::mem::take(&mut self.unsynced).into_iter().enumerate() {
            match (loss, change) {
                (Loss::Everything, _) => {}
                (Loss::LastWriteAfter(kept), Unsynced::Bytes(at, mut bytes)) if n == last => {
                    bytes.truncate(kept);
                    Unsynced::Bytes(at, bytes).apply(&mut self.durable);
                }
                (Loss::Nothing | Loss::LastWriteAfter(_), change) => change.apply(&mut self.durable),
                (Loss::Random(_), Unsynced::Size(size)) => {
                    if coin.toss() {
                        Unsynced::Size(size).apply(&mut self.durable);
                    }
                }
                (Loss::Random(_), Unsynced::Bytes(at, bytes)) => {
                    for (at, sector) in sectors(at, &bytes) {
                        if coin.toss() {
                            Unsynced::Bytes(at, sector.to_vec()).apply(&mut self.durable);
                        }
                    }
                }
            }
        }
        self.cached.clone_from(&self.durable);
    }
}

/// The bytes cut where the device's sectors are.
fn sectors(mut at: usize, mut bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let mut sectors = Vec::new();
    while !bytes.is_empty() {
        let (sector, rest) = bytes.split_at(bytes.len().min(SECTOR - at % SECTOR));
        sectors.push((at, sector));
        at += sector.len();
        bytes = rest;
    }
    sectors
}

impl Unsynced {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Unsynced::Size(size) => content.resize(*size, 0),
            Unsynced::Bytes(at, bytes) => {
                let end = at + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*at..end].copy_from_slice(bytes);
            }
        }
    }
}

/// A fair coin that falls the same way every time.
struct Coin(u64);

impl Coin {
    fn toss(&mut self) -> bool {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 63 == 1
    }
}

impl Disk for SimulatedDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.inner().names.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        Ok(self.inner().file(name)?.cached.clone())
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        Ok(self.inner().file(name)?.cached.len() as u64)
    }

    fn read_at(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut inner = self.inner();
        let cached = &inner.file(name)?.cached;
        let range = cached.get(offset as usize..offset as usize + length);
        Ok(range.ok_or(io::ErrorKind::UnexpectedEof)?.to_vec())
    }

    fn create(&self, name: &str, size: u64) -> io::Result<()> {
        let mut inner = self.inner();
        inner.call(Call::Create)?;
        let file = inner.files.len();
        inner.files.push(Content::default());
        inner.files[file].write(Unsynced::Size(size as usize));
        inner.rename(Renaming::Set(name.to_owned(), file));
        Ok(())
    }

    fn write_at(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let mut inner = self.inner();
        let called = inner.call(Call::Write);
        let written = match called {
            Ok(Some(Fault::Short)) => bytes.len().div_ceil(2),
            Ok(_) => bytes.len(),
            // What was on its way when power went may be on the device; a device that fails may have written as well.
            Err(_) if inner.fault.is_some_and(|(at, fault)| at == inner.calls && fault != Fault::Full) => bytes.len(),
            Err(error) => return Err(error),
        };
        inner.written += written as u64;
        inner.file(name)?.write(Unsynced::Bytes(offset as usize, bytes[..written].to_vec()));
        called.map(|_| written)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        let mut inner = self.inner();
        let called = inner.call(Call::Sync);
        let powered = !inner.off;
        let file = inner.file(name)?;
        if called.is_ok() {
            let Content { durable, unsynced, .. } = file;
            unsynced.drain(..).for_each(|change| change.apply(durable));
        } else if powered {
            // A cache that could not be written takes itself for clean: the next sync succeeds, and the bytes are lost.
            file.unsynced.clear();
        }
        called.map(|_| ())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut inner = self.inner();
        inner.call(Call::SyncDir)?;
        inner.durable_names = inner.names.clone();
        inner.renamings.clear();
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut inner = self.inner();
        inner.call(Call::Rename)?;
        let file = *inner.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        inner.rename(Renaming::Set(to.to_owned(), file));
        inner.rename(Renaming::Unset(from.to_owned()));
        Ok(())
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        let mut inner = self.inner();
        inner.call(Call::Unlink)?;
        inner.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        inner.rename(Renaming::Unset(name.to_owned()));
        Ok(())
    }

    fn close(&self, _: &str) {}

    fn unlock(&self) {}
}
