//! What a run says of each step and of each stage.

use crate::files::nan_if_null;
use crate::optimise::Outcome;
use crate::training::Traffic;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a stage works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StageKind {
    /// A subset, to its minimum.
    Subset,
    /// The full training set, for a short adaptation.
    Full,
}

impl fmt::Display for StageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Subset => "subset",
            Self::Full => "full set",
        })
    }
}

/// A validation: what the held-out examples say of the parameters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// Mean cross entropy.
    #[serde(deserialize_with = "nan_if_null")]
    pub loss: f64,
    /// Share classified right.
    #[serde(deserialize_with = "nan_if_null")]
    pub accuracy: f64,
}

/// The record of one iteration, a line of `steps.jsonl`. Runs of earlier versions lack what is optional.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Stage.
    pub stage: StageKind,
    /// Examples it works on.
    pub examples: usize,
    /// Iteration of the stage, from 1.
    pub iteration: u64,
    /// Loss over the stage's examples (weight decay included), norms, evaluations.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The loss without weight decay: the mean cross entropy alone.
    pub cross_entropy: Option<f64>,
    /// Share classified right of what the loss is over.
    pub accuracy: Option<f64>,
    /// Share of the examples that went backward, where they are chosen.
    pub kept: Option<f64>,
    /// The validation that followed, if any.
    pub held_out: Option<HeldOut>,
    /// Units spent since the start of the run, everything included.
    pub units: f64,
    /// The same in passes over the training set.
    pub cost_epochs: f64,
    /// Of these, by the count of passes through the network alone. Runs of earlier versions have no other.
    pub network_epochs: Option<f64>,
    /// Seconds since the start of the run.
    pub wall_seconds: f64,
    /// What exchanges between ranks have taken since the step before, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Traffic>,
}

/// What a stage came to. Runs of earlier versions lack what is optional.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageReport {
    /// Stage.
    pub stage: StageKind,
    /// Examples it worked on.
    pub examples: usize,
    /// Q = K·M/P
    pub overdetermination: f64,
    /// Iterations.
    pub iterations: u64,
    /// Units spent on the stage's own examples, in passes over them.
    pub passes: f64,
    /// Loss at its end, weight decay included.
    #[serde(deserialize_with = "nan_if_null")]
    pub loss: f64,
    /// Cross entropy at its end over the stage's own examples (on mini-batches: the mean over the last of them) …
    pub cross_entropy: Option<f64>,
    /// … and over the whole training set. Reported, as the test set is.
    pub train_loss: Option<f64>,
    /// ‖∇f‖ at its end, relative to its start.
    #[serde(deserialize_with = "nan_if_null")]
    pub gradient_reduction: f64,
    /// Held-out loss and accuracy at its end.
    pub held_out: Option<HeldOut>,
    /// Test accuracy at its end. Reported; nothing is decided by it.
    #[serde(deserialize_with = "nan_if_null")]
    pub test_accuracy: f64,
    /// Cross entropy over the test set at its end.
    pub test_loss: Option<f64>,
    /// Why it ended.
    pub stopped: String,
}
