//! What storage needs of a file system: one flat directory of files. Everything that can fail or be lost goes through
//! here, so that a simulated disk can fail and lose each of it.

pub mod real;
pub mod simulated;

use std::io;

/// One directory. A name is a file in it, never a path.
///
/// Nothing is durable before it is synced: bytes by [`sync`](Disk::sync), names by [`sync_dir`](Disk::sync_dir).
pub trait Disk: Send + Sync {
    /// The names of all files.
    fn list(&self) -> io::Result<Vec<String>>;
    /// The whole file, as the device has it: what only a cache believes does not count.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;
    /// How many bytes the file has.
    fn size(&self, name: &str) -> io::Result<u64>;
    /// `length` bytes at `offset`.
    fn read_at(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>>;
    /// A new file of `size` zero bytes with room on the device for all of them, in place of any of that name.
    fn create(&self, name: &str, size: u64) -> io::Result<()>;
    /// Writes some of the bytes, at least one; how many.
    fn write_at(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<usize>;
    /// The bytes of the file are durable.
    fn sync(&self, name: &str) -> io::Result<()>;
    /// The names in the directory are durable.
    fn sync_dir(&self) -> io::Result<()>;
    /// Gives a file another name, in place of any of that name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn unlink(&self, name: &str) -> io::Result<()>;
    /// The file is not going to be written any more.
    fn close(&self, name: &str);
    /// Nobody else may have the directory until this; nothing is written after it.
    fn unlock(&self);
}

/// Writes all of the bytes.
pub(super) fn write_all(disk: &dyn Disk, name: &str, mut offset: u64, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match disk.write_at(name, offset, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                offset += written as u64;
                bytes = &bytes[written..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A file that is there in full or not at all: written aside, synced, renamed, and the name synced.
pub(super) fn replace(disk: &dyn Disk, name: &str, bytes: &[u8]) -> io::Result<()> {
    let aside = format!("{name}{ASIDE}");
    disk.create(&aside, bytes.len() as u64)?;
    write_all(disk, &aside, 0, bytes)?;
    disk.sync(&aside)?;
    disk.close(&aside);
    disk.rename(&aside, name)?;
    disk.sync_dir()
}

/// How the name of a file ends that is not in place yet.
pub(super) const ASIDE: &str = ".aside";

/// Whether there may be room later.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
