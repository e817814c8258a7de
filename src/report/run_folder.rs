//! The run folder: `config.toml`, `steps.jsonl`, `checkpoint.safetensors` while it runs, then `weights.safetensors` and `run.json`.

use crate::error::{Error, Result};
use crate::export::write_atomically;
use crate::subset::{StageReport, StepRecord};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The last record of a run, `run.json`. Losses are means over examples; `subset_loss` and the stages' include weight decay.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunRecord {
    /// Share of the test set classified right, 0 to 1.
    pub test_accuracy: f64,
    /// Cross entropy over the test set.
    pub test_loss: f64,
    /// Cross entropy over the whole training set.
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
        fs::create_dir_all(path).map_err(|e| Error::io("creating", path, &e))?;
        for old in [folder.steps_path(), folder.checkpoint(), folder.weights(), folder.record()] {
            if old.exists() {
                fs::remove_file(&old).map_err(|e| Error::io("removing", &old, &e))?;
            }
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
        Err(Error::usage(format!(
            "--out {}: holds a run already; choose another folder, go on with it by --resume, or replace it with --overwrite",
            path.display()
        )))
    }

    /// Opens the folder of a run.
    ///
    /// # Errors
    /// [`Error::Data`] when it holds none.
    pub fn open(path: &Path) -> Result<Self> {
        let folder = Self { path: path.to_owned(), steps: None };
        if folder.config().is_file() {
            Ok(folder)
        } else {
            Err(Error::data(format!("{}: not a run folder: it has no config.toml", path.display())))
        }
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

    /// Appends a line to `steps.jsonl`.
    ///
    /// # Errors
    /// [`Error::Io`]
    pub fn append(&mut self, record: &StepRecord) -> Result<()> {
        let path = self.steps_path();
        let error = |e: std::io::Error| Error::io("writing", &path, &e);
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
        let checkpoint = self.checkpoint();
        if checkpoint.exists() {
            fs::remove_file(&checkpoint).map_err(|e| Error::io("removing", &checkpoint, &e))?;
        }
        Ok(())
    }
}
