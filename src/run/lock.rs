//! One process at a time in a folder.

use crate::error::{Error, Result, UsageError};
use fs4::{FileExt, TryLockError};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

/// Its file. It stays, so that nobody locks one that is about to go.
const NAME: &str = ".lock";

/// A folder that this process alone works in, until it is dropped. The system holds the lock: it ends with the process,
/// however that ends.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Locks a folder, and names this process in it.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the process that has it, [`Error::Io`].
    pub fn take(folder: &Path) -> Result<Self> {
        let path = folder.join(NAME);
        // not truncated: the name in it is another's as long as that has the lock
        let options = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let mut file = options.map_err(|e| Error::io("creating", &path, e))?;
        locked(FileExt::try_lock(&file), folder)?;
        let holder = format!("process {} on {}\n", std::process::id(), gethostname::gethostname().display());
        if let Err(error) = file.set_len(0).and_then(|()| file.write_all(holder.as_bytes())) {
            tracing::warn!("{}: cannot name this process: {error}", path.display()); // it is locked all the same
        }
        Ok(Self { _file: file })
    }

    /// Whether nobody has a folder, which need not be there.
    ///
    /// # Errors
    /// As [`FolderLock::take`].
    pub fn check_free(folder: &Path) -> Result<()> {
        File::open(folder.join(NAME)).map_or(Ok(()), |file| locked(FileExt::try_lock_shared(&file), folder))
    }

    /// Removes its file, before the folder goes: the last thing that this process does there.
    pub(super) fn remove_file(&self, folder: &Path) {
        _ = fs::remove_file(folder.join(NAME)); // if it stays, it does no harm
    }
}

/// Whether a file of this folder was locked, until it is closed. Where the file system knows no locks, there is none.
fn locked(attempt: std::result::Result<(), TryLockError>, folder: &Path) -> Result<()> {
    match attempt {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let named = fs::read_to_string(folder.join(NAME)).unwrap_or_default();
            let holder = if named.trim().is_empty() { "another process" } else { named.trim() }.to_owned();
            Err(UsageError::RunInUse { path: folder.to_owned(), holder }.into())
        }
        Err(TryLockError::Error(error)) => {
            tracing::warn!("{}: cannot be locked: {error}", folder.display());
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_a_stale_lock_is_taken_over() {
        let at = tempfile::tempdir().unwrap();
        FolderLock::check_free(at.path()).unwrap();
        FolderLock::check_free(&at.path().join("not there")).unwrap();
        let first = FolderLock::take(at.path()).unwrap();
        for why in [FolderLock::take(at.path()).map(|_| ()), FolderLock::check_free(at.path())] {
            let why = why.unwrap_err();
            let holder = format!("in use by process {} on ", std::process::id());
            assert!(matches!(&why, Error::Usage(_)) && why.to_string().contains(&holder), "{why}");
        }
        drop(first);
        fs::write(at.path().join(NAME), "process 1 on a machine that is no more, a long name\n").unwrap();
        FolderLock::check_free(at.path()).unwrap();
        FolderLock::take(at.path()).unwrap();
        let named = fs::read_to_string(at.path().join(NAME)).unwrap();
        assert!(named.starts_with(&format!("process {} on ", std::process::id())) && named.lines().count() == 1);
    }
}
