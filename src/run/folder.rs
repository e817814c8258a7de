//! The run folder: `config.toml`, `steps.jsonl`, `checkpoint.safetensors` while it runs, then `weights.safetensors` and
//! `run.json`.

use super::record::RunRecord;
use crate::error::{Error, Result, RunError, UsageError};
use crate::files::{remove, write_atomically};
use crate::subset::StepRecord;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// A folder that one run owns.
pub struct RunFolder {
    path: PathBuf,
    steps: Option<File>,
}

impl RunFolder {
    /// Makes the folder. One that holds a run is not touched unless `overwrite`.
    ///
    /// # Errors
    /// [`Error::Usage`] when there is a run already, [`Error::Io`].
    pub fn create(path: &Path, overwrite: bool) -> Result<Self> {
        Self::check_free(path, overwrite)?;
        let folder = Self { path: path.to_owned(), steps: None };
        fs::create_dir_all(path).map_err(|e| Error::io("creating", path, e))?;
        for old in [folder.steps_path(), folder.checkpoint(), folder.weights(), folder.record()] {
            remove(&old)?;
        }
        Ok(folder)
    }

    /// Whether a run may be put there, without a trace of having asked.
    ///
    /// # Errors
    /// [`Error::Usage`] when it holds one that is not to be replaced.
    pub fn check_free(path: &Path, overwrite: bool) -> Result<()> {
        if overwrite || !(Self { path: path.to_owned(), steps: None }).config().exists() {
            return Ok(());
        }
        Err(UsageError::RunExists { path: path.to_owned() }.into())
    }

    /// Opens the folder of a run.
    ///
    /// # Errors
    /// [`Error::Data`] when it holds none.
    pub fn open(path: &Path) -> Result<Self> {
        let folder = Self { path: path.to_owned(), steps: None };
        if folder.config().is_file() { Ok(folder) } else { Err(RunError::NotARun { path: path.to_owned() }.into()) }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The resolved configuration.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// The latest checkpoint.
    pub fn checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint.safetensors")
    }

    /// The final weights.
    pub fn weights(&self) -> PathBuf {
        self.path.join("weights.safetensors")
    }

    /// The last record.
    pub fn record(&self) -> PathBuf {
        self.path.join("run.json")
    }

    fn steps_path(&self) -> PathBuf {
        self.path.join("steps.jsonl")
    }

    /// Reads `run.json`; none where the run is not over.
    ///
    /// # Errors
    /// [`Error::Data`] when it is damaged.
    pub fn read_record(&self) -> Result<Option<RunRecord>> {
        let path = self.record();
        let text = match fs::read_to_string(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|e| Error::unreadable(&path, e))?,
        };
        serde_json::from_str(&text).map(Some).map_err(|source| RunError::Record { path, line: None, source }.into())
    }

    /// Reads `steps.jsonl`. The end of a last line may still be missing: its run goes on, or was killed there.
    ///
    /// # Errors
    /// [`Error::Data`] naming the line that is damaged.
    pub fn read_steps(&self) -> Result<Vec<StepRecord>> {
        let path = self.steps_path();
        let bytes = match fs::read(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            bytes => bytes.map_err(|e| Error::unreadable(&path, e))?,
        };
        let is_whole = |line: &&[u8]| line.ends_with(b"\n") || self.record().exists();
        let lines = bytes.split_inclusive(|&byte| byte == b'\n').filter(is_whole).enumerate();
        let step = |(i, line)| {
            let invalid = |source| RunError::Record { path: path.clone(), line: Some(i + 1), source }.into();
            serde_json::from_slice(line).map_err(invalid)
        };
        lines.map(step).collect()
    }

    /// Appends a line to `steps.jsonl`.
    ///
    /// # Errors
    /// [`Error::Io`]
    pub fn append(&mut self, record: &StepRecord) -> Result<()> {
        let path = self.steps_path();
        let error = |e: std::io::Error| Error::io("writing", &path, e);
        if self.steps.is_none() {
            self.steps = Some(OpenOptions::new().create(true).append(true).open(&path).map_err(error)?);
        }
        let steps = self.steps.as_mut().expect("opened above");
        let line = serde_json::to_string(record).expect("a record is plain data");
        writeln!(steps, "{line}").map_err(error)
    }

    /// Drops the records that came after the checkpoint a run resumes from: it will write them again.
    ///
    /// # Errors
    /// [`Error::Io`]
    pub fn keep_steps(&self, count: u64) -> Result<()> {
        let path = self.steps_path();
        let Ok(text) = fs::read_to_string(&path) else { return Ok(()) };
        let kept: String = text.split_inclusive('\n').take(count as usize).collect();
        write_atomically(&path, kept.as_bytes())
    }

    /// Removes what a run that came to nothing has left: its configuration and its records.
    pub fn remove_run(&self) {
        for left in [self.config(), self.steps_path()] {
            fs::remove_file(left).ok(); // it may not have come so far
        }
    }

    /// Writes `run.json` and removes the checkpoint: the run is over.
    ///
    /// # Errors
    /// [`Error::Io`]
    pub fn finish(&self, record: &RunRecord) -> Result<()> {
        let json = serde_json::to_string_pretty(record).expect("a record is plain data");
        write_atomically(&self.record(), format!("{json}\n").as_bytes())?;
        remove(&self.checkpoint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: &str = r#"{"stage":"full","examples":60000,"iteration":1,"loss":null,"gradient_norm":0.5,
        "step_norm":0.1,"step_length":1.0,"evaluations":16,"restarted":false,"damping":null,"rho":null,
        "inner_iterations":0,"rejected":null,
        "held_out":{"loss":0.5,"accuracy":0.9},"units":3000.0,"cost_epochs":0.05,"wall_seconds":1.5}"#;

    fn folder(steps: &str) -> (tempfile::TempDir, RunFolder) {
        let at = tempfile::tempdir().unwrap();
        fs::write(at.path().join("config.toml"), "").unwrap();
        fs::write(at.path().join("steps.jsonl"), steps).unwrap();
        let folder = RunFolder::open(at.path()).unwrap();
        (at, folder)
    }

    #[test]
    fn steps_of_an_earlier_version_are_read_and_null_is_not_a_number() {
        let line = STEP.replace('\n', "") + "\n";
        let (_at, folder) = folder(&line.repeat(2));
        let steps = folder.read_steps().unwrap();
        assert!(steps.len() == 2 && steps[0].outcome.loss.is_nan() && steps[0].accuracy.is_none());
        assert_eq!(steps[1].held_out.map(|found| found.accuracy), Some(0.9));
        let again = serde_json::to_string(&steps[0]).unwrap();
        assert!(serde_json::from_str::<StepRecord>(&again).unwrap().outcome.loss.is_nan());
        let held_out: crate::subset::HeldOut = serde_json::from_str(r#"{"loss":null,"accuracy":0.5}"#).unwrap();
        assert!(held_out.loss.is_nan());
    }

    #[test]
    fn a_last_line_may_be_cut_off_while_the_run_goes_on_and_no_other() {
        let line = STEP.replace('\n', "") + "\n";
        let (at, cut) = folder(&format!("{line}{}", &line[..40]));
        assert_eq!(cut.read_steps().unwrap().len(), 1);
        fs::write(at.path().join("run.json"), "{}").unwrap();
        assert!(cut.read_steps().unwrap_err().to_string().contains("steps.jsonl: line 2"));
        assert!(cut.read_record().unwrap_err().to_string().contains("run.json"));
        let (_at, damaged) = folder(&format!("{}\n{line}", &line[..40]));
        assert!(damaged.read_steps().unwrap_err().to_string().contains("line 1"));
        let (_at, damaged) = folder("\u{fffd}\n");
        assert!(matches!(damaged.read_steps(), Err(Error::Data(_))));
        let (at, none) = folder("");
        assert_eq!(none.read_steps().unwrap(), []);
        fs::remove_file(at.path().join("steps.jsonl")).unwrap();
        assert_eq!(none.read_steps().unwrap(), []);
    }
}
