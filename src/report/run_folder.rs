//! The run folder: `config.toml`, `steps.jsonl`, `checkpoint.safetensors` while it runs, then `weights.safetensors` and `run.json`.

use super::{charts, is_page};
use crate::error::{Error, Result, RunError, UsageError};
use crate::export::{remove, write_atomically};
use crate::optimise::nan_if_null;
use crate::subset::{ScreeningReport, StageReport, StepRecord};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The last record of a run, `run.json`. Losses are means over examples; `subset_loss` and the stages' include weight decay.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunRecord {
    /// Share of the test set classified right, 0 to 1.
    #[serde(deserialize_with = "nan_if_null")]
    pub test_accuracy: f64,
    /// Cross entropy over the test set.
    #[serde(deserialize_with = "nan_if_null")]
    pub test_loss: f64,
    /// Cross entropy over the whole training set.
    #[serde(deserialize_with = "nan_if_null")]
    pub train_loss: f64,
    /// Loss at the end of the subset stage, weight decay included.
    pub subset_loss: Option<f64>,
    /// Units spent / N: passes over the training set, held-out looks included.
    pub cost_epochs: f64,
    /// Passes over data made only to report (training and test loss); not part of `cost_epochs`.
    pub reporting_epochs: f64,
    /// Seconds from the first kernel to the last weight, pauses between resumed runs left out.
    pub wall_seconds: f64,
    /// P
    pub parameters: usize,
    /// Q = K·M/P of the subset.
    pub overdetermination: f64,
    /// Examples of the subset.
    pub subset_examples: usize,
    /// SHA-256 of the subset's indices.
    pub subset_sha256: String,
    /// Stages in order.
    pub stages: Vec<StageReport>,
    /// What a linear model said of the examples, where it was asked.
    pub screening: Option<ScreeningReport>,
    /// Which weights were kept: those of the lowest held-out loss, or the last.
    pub weights: String,
    /// SHA-256 of the weights, for comparing two runs bit for bit.
    pub weights_sha256: String,
    /// Seed of everything random.
    pub seed: u64,
    /// Model's name.
    pub model: String,
    /// Data set.
    pub data: String,
    /// SHA-256 over images and labels.
    pub data_sha256: String,
    /// Adapter's name.
    pub adapter: String,
    /// Vulkan, Metal, Dx12 or Gl.
    pub backend: String,
    /// Driver and its version.
    pub driver: String,
    /// Version of this program.
    pub version: String,
}

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
        folder.remove_report()?;
        Ok(folder)
    }

    /// Removes the report of the run before and its charts, if there is one.
    fn remove_report(&self) -> Result<()> {
        let page = self.path.join("report.html");
        if !fs::read(&page).is_ok_and(|bytes| is_page(&bytes)) {
            return Ok(());
        }
        let plots = self.path.join("plots");
        charts(&[]).iter().flat_map(|chart| chart.files(&plots)).try_for_each(|path| remove(&path))?;
        remove(&page)
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

    const STEP: &str = r#"{"stage":"full","examples":60000,"iteration":1,"loss":null,"gradient_norm":0.5,"step_norm":0.1,
        "step_length":1.0,"evaluations":16,"restarted":false,"damping":null,"rho":null,"inner_iterations":0,"rejected":null,
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
        assert_eq!(steps[1].held_out.map(|look| look.accuracy), Some(0.9));
        let again = serde_json::to_string(&steps[0]).unwrap();
        assert!(serde_json::from_str::<StepRecord>(&again).unwrap().outcome.loss.is_nan());
        let look: crate::subset::HeldOut = serde_json::from_str(r#"{"loss":null,"accuracy":0.5}"#).unwrap();
        assert!(look.loss.is_nan());
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
