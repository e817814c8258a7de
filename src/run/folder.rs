//! The run folder: `config.toml`, `steps.jsonl`, `checkpoint.safetensors` and the one before it while it runs, then
//! `weights.safetensors` and `run.json`. One process at a time works in it.

use super::config::Config;
use super::contents;
use super::lock::FolderLock;
use super::record::RunRecord;
use super::step_log::{LogFormat, StepLogs};
use super::steps::{StepLog, read_steps};
use crate::checkpoint::{self, Provenance};
use crate::error::{DataError, Error, Result, RunError};
use crate::files::{RECORDS, read_text, remove, rename_if_there, write_atomically};
use crate::subset::{Progress, StageReport, StepRecord};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A folder that one run owns.
pub struct RunFolder {
    path: PathBuf,
    steps: StepLog,
    logs: StepLogs,
    /// None for somebody who only reads.
    lock: Option<FolderLock>,
    /// Digests of the configurations that a checkpoint may go on with.
    configurations: Vec<String>,
}

/// Where a run goes on.
#[derive(Debug, Default)]
pub struct Resumed {
    /// Where its checkpoint stands; none where there is no checkpoint, so that it is at its start.
    pub progress: Option<Progress<Vec<f32>>>,
    /// Why that is not the latest one, if it is not.
    pub fault: Option<Error>,
}

impl RunFolder {
    /// Makes the folder of a run of this configuration, and locks it. One that holds a run is not touched unless
    /// `overwrite`; then that run is set aside until the new one has weights of its own.
    ///
    /// # Errors
    /// As [`RunFolder::check_free`]; [`Error::Io`].
    pub fn create(path: &Path, overwrite: bool, config: &Config) -> Result<Self> {
        Self::check_free(path, overwrite)?;
        fs::create_dir_all(path).map_err(|e| Error::io("creating", path, e))?;
        let lock = FolderLock::take(path)?;
        contents::check(path, overwrite)?; // another process may have been there since
        contents::set_aside(path)?;
        let mut folder = Self { lock: Some(lock), ..Self::at(path) };
        folder.configure(config).inspect_err(|_| folder.remove_run())?;
        Ok(folder)
    }

    /// Whether a run may be put there, without a trace of having asked.
    ///
    /// # Errors
    /// [`Error::Usage`] when it holds one that is not to be replaced or that another process works on, or files of
    /// such names that are no run's.
    pub fn check_free(path: &Path, overwrite: bool) -> Result<()> {
        contents::check(path, overwrite)?;
        FolderLock::check_free(path)
    }

    /// Opens the folder of a run to read it.
    ///
    /// # Errors
    /// [`Error::Data`] when it holds none.
    pub fn open(path: &Path) -> Result<Self> {
        let folder = Self::at(path);
        if folder.config().is_file() { Ok(folder) } else { Err(RunError::NotARun { path: path.to_owned() }.into()) }
    }

    /// Opens and locks it, to go on with the run.
    ///
    /// # Errors
    /// As [`RunFolder::open`]; [`Error::Usage`] when another process works on it.
    pub fn take(path: &Path) -> Result<Self> {
        let folder = Self::open(path)?;
        Ok(Self { lock: Some(FolderLock::take(path)?), ..folder })
    }

    fn at(path: &Path) -> Self {
        let steps = StepLog::new(path.join(contents::STEPS));
        Self { path: path.to_owned(), steps, logs: StepLogs::default(), lock: None, configurations: Vec::new() }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The resolved configuration.
    pub fn config(&self) -> PathBuf {
        self.path.join(contents::CONFIG)
    }

    /// The latest checkpoint.
    pub fn checkpoint(&self) -> PathBuf {
        self.path.join(contents::CHECKPOINT)
    }

    /// The checkpoint before it.
    pub fn previous_checkpoint(&self) -> PathBuf {
        self.path.join(contents::PREVIOUS)
    }

    /// The latest checkpoint that is there, if one is.
    pub fn found_checkpoint(&self) -> Option<PathBuf> {
        [self.checkpoint(), self.previous_checkpoint()].into_iter().find(|path| path.exists())
    }

    /// The final weights.
    pub fn weights(&self) -> PathBuf {
        self.path.join(contents::WEIGHTS)
    }

    /// The last record.
    pub fn record(&self) -> PathBuf {
        self.path.join(contents::RECORD)
    }

    /// Reads `run.json`; none where the run is not over.
    ///
    /// # Errors
    /// [`Error::Data`] when it is damaged.
    pub fn read_record(&self) -> Result<Option<RunRecord>> {
        let path = self.record();
        let text = match read_text(&path, RECORDS) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|e| Error::unreadable(&path, e))?,
        };
        serde_json::from_str(&text).map(Some).map_err(|source| RunError::Record { path, line: None, source }.into())
    }

    /// Reads `steps.jsonl`. The end of a last line may still be missing: its run goes on, or was killed there.
    ///
    /// # Errors
    /// [`Error::Data`] naming the line that is damaged or does not follow the one before, or when a complete run made
    /// another number of steps.
    pub fn read_steps(&self) -> Result<Vec<StepRecord>> {
        let made = self.read_record()?.map(|record| record.stages.iter().map(|stage| stage.iterations).sum());
        read_steps(&self.path.join(contents::STEPS), made)
    }

    /// Writes the configuration; a checkpoint from now on goes with it.
    ///
    /// # Errors
    /// [`Error::Io`]
    pub fn configure(&mut self, config: &Config) -> Result<()> {
        self.configurations = vec![config.digest()];
        config.save(&self.config())
    }

    /// Puts another configuration in the place of the one that the run in the middle was resumed with. A crash in
    /// between leaves one or the other, and checkpoints that go on with either.
    ///
    /// # Errors
    /// As [`RunFolder::save_checkpoint`].
    pub fn reconfigure(&mut self, config: &Config, progress: &Progress<Vec<f32>>) -> Result<()> {
        self.configurations.push(config.digest());
        self.save_checkpoint(progress)?;
        self.save_checkpoint(progress)?; // the one before it as well
        self.configure(config)
    }

    /// Has steps written in these formats as well, and in those that the folder has already. What `steps.jsonl` holds
    /// is written there anew, so that a run that goes on has no step twice; `stages` are those that have ended.
    ///
    /// # Errors
    /// As [`RunFolder::read_steps`]; [`Error::Io`].
    pub fn log(&mut self, formats: &[LogFormat], stages: &[StageReport]) -> Result<()> {
        self.logs = StepLogs::new(&self.path, formats)?;
        if self.logs.is_none() {
            return Ok(());
        }
        self.logs.replay(&read_steps(&self.path.join(contents::STEPS), None)?, stages)
    }

    /// Appends a line to `steps.jsonl`, and to the other logs.
    ///
    /// # Errors
    /// [`Error::Io`]
    pub fn append(&mut self, record: &StepRecord) -> Result<()> {
        self.steps.append(record)?;
        self.logs.append(record)
    }

    /// Has the other logs say what a stage came to that ended with the last step.
    ///
    /// # Errors
    /// [`Error::Io`]
    pub fn end_stage(&mut self, report: &StageReport) -> Result<()> {
        self.logs.end_stage(report)
    }

    /// Writes a checkpoint, and keeps the one before it.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Data`] when `steps.jsonl` lacks records.
    pub fn save_checkpoint(&mut self, progress: &Progress<Vec<f32>>) -> Result<()> {
        let path = self.checkpoint();
        let provenance = self.provenance(progress, &path)?;
        checkpoint::save(&path, Some(&self.previous_checkpoint()), progress, &provenance)
    }

    /// Keeps where a run ended, a checkpoint beside its weights: from there it goes on when it is given more.
    ///
    /// # Errors
    /// As [`RunFolder::save_checkpoint`].
    pub fn save_state(&mut self, progress: &Progress<Vec<f32>>) -> Result<()> {
        let path = self.path.join(contents::STATE);
        let provenance = self.provenance(progress, &path)?;
        checkpoint::save(&path, None, progress, &provenance)
    }

    fn provenance(&mut self, progress: &Progress<Vec<f32>>, path: &Path) -> Result<Provenance> {
        let steps_sha256 = self.steps.seal(progress.scalars.steps(), path)?;
        Ok(Provenance { configurations: self.configurations.clone(), steps_sha256 })
    }

    /// Whether the run has recorded a step since it was made, or gone on with.
    pub fn is_begun(&self) -> bool {
        self.steps.count() > 0
    }

    /// Makes a complete run of this configuration one in the middle again, where it ended. Its weights stay until it
    /// has others.
    ///
    /// # Errors
    /// As [`RunFolder::resume`], and [`Error::Data`] when it kept no state; then nothing has changed.
    pub fn reopen(&mut self, config: &Config, len: usize) -> Result<Progress<Vec<f32>>> {
        self.configurations = vec![config.digest()];
        let (state, checkpoint) = (self.path.join(contents::STATE), self.checkpoint());
        // a crash may have come between the two changes below
        let found = [&state, &checkpoint].into_iter().find(|path| path.exists());
        let found = found.ok_or_else(|| RunError::NoState { path: self.path.clone() })?;
        let progress = self.resume_from(found, len)?;
        rename_if_there(&state, &checkpoint).map_err(|e| Error::io("moving", &state, e))?;
        remove(&self.record())?;
        Ok(progress)
    }

    /// Reads the latest checkpoint of a run of this configuration, whose vectors have `len` words, and cuts
    /// `steps.jsonl` back to it: the run will write what comes after it again. Where it cannot be gone on from, so with
    /// the one before it.
    ///
    /// # Errors
    /// [`Error::Data`] naming the file that is damaged or not of this run; [`Error::Io`].
    pub fn resume(&mut self, config: &Config, len: usize) -> Result<Resumed> {
        contents::remove_partial(&self.path)?;
        self.configurations = vec![config.digest()];
        let (path, previous) = (self.checkpoint(), self.previous_checkpoint());
        if self.found_checkpoint().is_none() {
            self.steps.cut_back(0, None, &path)?;
            return Ok(Resumed::default());
        }
        let why = match self.resume_from(&path, len) {
            Ok(progress) => return Ok(Resumed { progress: Some(progress), fault: None }),
            Err(why @ Error::Io(_)) => return Err(why),
            Err(why) => why,
        };
        let progress = match self.resume_from(&previous, len) {
            Ok(progress) => progress,
            Err(of_previous) => return Err(if path.exists() { why } else { of_previous }),
        };
        // in the other's place, so that the next one keeps it
        rename_if_there(&previous, &path).map_err(|e| Error::io("moving", &previous, e))?;
        Ok(Resumed { progress: Some(progress), fault: Some(why) })
    }

    fn resume_from(&mut self, path: &Path, len: usize) -> Result<Progress<Vec<f32>>> {
        let (progress, provenance) = checkpoint::load(path, len)?;
        if self.configurations.iter().all(|digest| !provenance.configurations.contains(digest)) {
            let (path, checkpoint) = (self.config(), path.to_owned());
            return Err(RunError::OtherConfiguration { path, checkpoint }.into());
        }
        self.steps.cut_back(progress.scalars.steps(), Some(&provenance.steps_sha256), path)?;
        Ok(progress)
    }

    /// An error of a run that was resumed: where its checkpoint lacks something, that is named.
    pub fn of_checkpoint(&self, error: Error) -> Error {
        match error {
            Error::Data(DataError::Run(cause @ RunError::State { .. })) => {
                RunError::Vectors { path: self.checkpoint(), source: Box::new(cause) }.into()
            }
            other => other,
        }
    }

    /// Writes `run.json`: the run is over. What it does not need any more goes, as far as that can be removed.
    ///
    /// # Errors
    /// [`Error::Io`]
    pub fn finish(&self, record: &RunRecord) -> Result<()> {
        let json = serde_json::to_string_pretty(record).expect("a record is plain data");
        write_atomically(&self.record(), format!("{json}\n").as_bytes())?;
        for removed in [contents::remove_passing(&self.path), contents::remove_replaced(&self.path)] {
            removed.unwrap_or_else(|why| warn(&why));
        }
        Ok(())
    }

    /// Removes what a run that came to nothing has left, as far as that can be removed. The run that it was to replace
    /// is as it was. The folder itself stays.
    pub fn remove_run(&self) {
        let removed = contents::clear(&self.path).and_then(|()| contents::bring_back(&self.path));
        removed.unwrap_or_else(|why| warn(&why));
        self.lock.iter().for_each(|lock| lock.remove_file(&self.path));
    }
}

/// Of what is no failure.
fn warn(why: &Error) {
    tracing::warn!("{why}: {:?}", std::error::Error::source(why));
}
