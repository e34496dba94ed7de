//! A directory of the machine's.

use super::Disk;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const LOCK: &str = "lock";

/// A directory that this process has to itself.
pub struct RealDisk {
    path: PathBuf,
    /// Files that are being written.
    open: Mutex<HashMap<String, Arc<File>>>,
    /// The operating system lets go of the lock with the file, however the process ends.
    lock: Mutex<Option<File>>,
}

impl RealDisk {
    /// Takes the directory, which is made if it is not there, for this process alone.
    ///
    /// # Errors
    ///
    /// `ResourceBusy` if another process, or another node of this one, has it; else what the system says.
    pub fn open(path: &Path) -> io::Result<RealDisk> {
        make_private(path)?;
        let lock = options().write(true).create(true).truncate(false).open(path.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, "another node uses it"));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(RealDisk { path: path.to_owned(), open: Mutex::default(), lock: Mutex::new(Some(lock)) })
    }

    fn files(&self) -> MutexGuard<'_, HashMap<String, Arc<File>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Only while the directory is ours.
    fn ours(&self) -> io::Result<MutexGuard<'_, Option<File>>> {
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if lock.is_some() { Ok(lock) } else { Err(io::Error::other("the directory was closed")) }
    }

    fn writable(&self, name: &str) -> io::Result<Arc<File>> {
        let mut files = self.files();
        if let Some(file) = files.get(name) {
            return Ok(file.clone());
        }
        let file = Arc::new(options().read(true).write(true).open(self.path.join(name))?);
        files.insert(name.to_owned(), file.clone());
        Ok(file)
    }
}

impl Disk for RealDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            // A name that is not text is none of ours.
            names.extend(entry?.file_name().into_string().ok().filter(|name| name != LOCK));
        }
        names.sort();
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut file = options().read(true).open(self.path.join(name))?;
        forget_cache(&file);
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut file, &mut bytes)?;
        Ok(bytes)
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        Ok(fs::symlink_metadata(self.path.join(name))?.len())
    }

    fn read_at(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let file = options().read(true).open(self.path.join(name))?;
        let mut bytes = vec![0; length];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, offset)?;
        Ok(bytes)
    }

    fn create(&self, name: &str, size: u64) -> io::Result<()> {
        let _ours = self.ours()?;
        let file = options().read(true).write(true).create(true).truncate(true).open(self.path.join(name))?;
        if size > 0 {
            reserve(&file, size)?;
        }
        self.files().insert(name.to_owned(), Arc::new(file));
        Ok(())
    }

    fn write_at(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let _ours = self.ours()?;
        std::os::unix::fs::FileExt::write_at(&*self.writable(name)?, bytes, offset)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        self.writable(name)?.sync_data()
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let _ours = self.ours()?;
        self.files().remove(to);
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        let _ours = self.ours()?;
        self.close(name);
        fs::remove_file(self.path.join(name))
    }

    fn close(&self, name: &str) {
        self.files().remove(name);
    }

    fn unlock(&self) {
        self.files().clear();
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// For the owner alone, whatever the umask says, and never through a link that somebody planted.
fn options() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32);
    options
}

fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        fs::create_dir_all(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// Room for the whole file at once, so that a write that fits is not refused later, and a sync writes no metadata.
fn reserve(file: &File, size: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::io::Errno;
        match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, size) {
            Ok(()) => return Ok(()),
            // Not every file system can; it works without.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
            Err(error) => return Err(error.into()),
        }
    }
    file.set_len(size)
}

/// After a failed sync the cache may hold what the device does not.
fn forget_cache(file: &File) {
    #[cfg(target_os = "linux")]
    {
        // Only advice.
        let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}
