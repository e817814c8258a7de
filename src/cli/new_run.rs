//! The folder of a new run, which is taken back when nothing comes of the run.

use super::report::remove_report;
use crate::error::{Error, Result};
use crate::run::{Config, RunFolder};
use std::fs;
use std::path::{Path, PathBuf};

/// A folder for a run that has not made a step.
pub(super) struct NewRun {
    pub folder: RunFolder,
    /// Folders that were made for it, the innermost first.
    made: Vec<PathBuf>,
}

impl NewRun {
    /// Makes it, with the configuration in it: from there on the run can be gone on with.
    ///
    /// # Errors
    /// [`Error::Usage`] when it holds a run already, [`Error::Io`].
    pub(super) fn create(path: &Path, overwrite: bool, config: &Config) -> Result<Self> {
        let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
        let made: Vec<PathBuf> = path.ancestors().take_while(is_missing).map(Path::to_owned).collect();
        let folder = RunFolder::create(path, overwrite, config).inspect_err(|_| remove_empty(&made))?;
        let new = Self { folder, made };
        remove_report(path).inspect_err(|_| new.take_back())?;
        Ok(new)
    }

    /// Leaves nothing behind where the run was refused, or came to nothing before its first step. One that was stopped,
    /// or lost its device or the room on its disk, stays: it starts anew from its configuration.
    pub(super) fn take_back_after(&self, error: &Error) {
        let is_in_vain =
            matches!(error, Error::Usage(_) | Error::Data(_) | Error::OutOfMemory(_) | Error::Diverged { .. });
        if is_in_vain && !self.folder.is_begun() {
            self.take_back();
        }
    }

    /// Only what was made for the run: what else there is stays, and so do the folders that hold it.
    fn take_back(&self) {
        self.folder.remove_run();
        remove_empty(&self.made);
    }
}

/// Removes folders, the innermost first, as far as nothing is in them.
fn remove_empty(folders: &[PathBuf]) {
    folders.iter().take_while(|folder| fs::remove_dir(folder).is_ok()).for_each(drop);
}

/// `runs/DATA-MODEL-SEED`, numbered from the second on.
pub(super) fn unused_folder(data: &str, config: &Config) -> PathBuf {
    let plain = |name: &str| name.replace(|c: char| !c.is_alphanumeric() && c != '-', "_");
    let base = format!("{}-{}-{}", plain(data), plain(&config.model.name), config.seed);
    let candidates = (1..).map(|k| if k == 1 { base.clone() } else { format!("{base}-{k}") });
    candidates.map(|name| Path::new("runs").join(name)).find(|path| !path.exists()).expect("the names never end")
}
