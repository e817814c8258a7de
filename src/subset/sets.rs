//! What a run is given and what it ends with.

use super::progress::Progress;
use super::sampling::Subset;
use super::screening::ScreeningReport;
use crate::device::Buf;
use crate::objective::{Examples, Objective};
use std::sync::Arc;

/// How a run starts, and what it adds to the loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StartOptions {
    /// λ of the penalty λ/2 ‖θ‖².
    pub weight_decay: f64,
    /// Whether the first layer starts as whitened components of what it reads.
    pub whiten: bool,
    /// Of everything random.
    pub seed: u64,
}

/// The examples of a run, and the losses over them that decide or report.
pub struct TrainingSets {
    /// Training examples.
    pub train: Arc<Examples>,
    /// Those of each stage of the plan, in order.
    pub stages: Vec<Subset>,
    /// Training examples that only decisions use.
    pub held_out: Option<Objective>,
    /// The whole training set, for reports.
    pub train_loss: Objective,
    /// The test set, for reports.
    pub test: Objective,
}

/// A run that is over.
pub struct Finished {
    /// Where it ended.
    pub progress: Progress<Buf>,
    /// What a linear model said of the examples, where it was asked.
    pub screening: Option<ScreeningReport>,
}
