//! The last record of a run.

use crate::files::nan_if_null;
use crate::subset::{ScreeningReport, StageReport};
use serde::{Deserialize, Serialize};

/// The last record of a run, `run.json`. Losses are means over examples; `subset_loss` and the stages' include weight
/// decay.
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
    /// Units spent / N: passes over the training set, all other work and validations included.
    pub cost_epochs: f64,
    /// The same by the count of passes through the network alone, the only one of earlier versions.
    pub network_epochs: Option<f64>,
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

impl RunRecord {
    /// Passes through the network alone; what a run of an earlier version says of its cost is these.
    pub fn network(&self) -> f64 {
        self.network_epochs.unwrap_or(self.cost_epochs)
    }
}
