//! The last record of a run.

use super::metrics::Metrics;
use crate::files::nan_if_null;
use crate::subset::{ScreeningReport, StageReport};
use crate::training::Traffic;
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
    /// What else the test set says, by the keys that an evaluation has as well. Runs of earlier versions lack it.
    #[serde(flatten)]
    pub metrics: Option<Metrics>,
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
    /// On how many ranks it was, if not one, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranks: Option<usize>,
    /// … and what exchanges between them have taken since it was begun or gone on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Traffic>,
}

impl RunRecord {
    /// Examples of the test set, of a run that counted them.
    pub fn test_examples(&self) -> Option<usize> {
        self.metrics.as_ref().map(|metrics| metrics.classes.iter().map(|class| class.support).sum())
    }

    /// Passes through the network alone; what a run of an earlier version says of its cost is these.
    pub fn network(&self) -> f64 {
        self.network_epochs.unwrap_or(self.cost_epochs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::ClassMetrics;

    #[test]
    fn metrics_are_beside_the_rest_and_an_earlier_version_has_none() {
        let earlier = serde_json::json!({
            "test_accuracy": 0.5, "test_loss": null, "train_loss": 0.1, "subset_loss": null, "cost_epochs": 1.5,
            "network_epochs": null, "reporting_epochs": 1.0, "wall_seconds": 1.0, "parameters": 9,
            "overdetermination": 1.0, "subset_examples": 10, "subset_sha256": "", "stages": [], "screening": null,
            "weights": "last iteration", "weights_sha256": "", "seed": 0, "model": "a", "data": "b",
            "data_sha256": "", "adapter": "", "backend": "", "driver": "", "version": ""
        });
        let mut record: RunRecord = serde_json::from_value(earlier.clone()).unwrap();
        assert!(record.metrics.is_none() && record.test_loss.is_nan());
        assert_eq!(serde_json::to_value(&record).unwrap(), earlier);
        let class = ClassMetrics { class: "a".to_owned(), support: 4, precision: None, recall: Some(0.5), f1: None };
        let (balanced_accuracy, top_5_accuracy, calibration_error) = (0.1 + 0.2, 1.0, 1e-17);
        let metrics = Metrics { balanced_accuracy, top_5_accuracy, calibration_error, classes: vec![class] };
        record.metrics = Some(metrics.clone());
        let text = serde_json::to_string(&record).unwrap();
        assert!(text.contains("\"balanced_accuracy\":0.30000000000000004,"), "{text}");
        let read: RunRecord = serde_json::from_str(&text).unwrap();
        assert_eq!((read.test_examples(), read.metrics), (Some(4), Some(metrics)));
    }
}
