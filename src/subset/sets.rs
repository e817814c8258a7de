//! What a run is given and what it ends with.

use super::overdetermination::overdetermination;
use super::progress::Progress;
use super::record::{HeldOut, StageKind, StageReport};
use super::sampling::Subset;
use super::screening::ScreeningReport;
use crate::device::{Buf, Gpu};
use crate::error::Result;
use crate::model::Model;
use crate::objective::{Examples, Objective};
use crate::training::SharedLoss;
use std::sync::Arc;

/// How a run starts, and the loss that it minimises.
#[derive(Clone, Debug, PartialEq)]
pub struct StartOptions {
    /// λ of the penalty λ/2 ‖θ‖².
    pub weight_decay: f64,
    /// s of the targets (1 − s) onehot + s/M.
    pub label_smoothing: f64,
    /// What each training example counts, if not 1.
    pub weights: Option<Arc<[f64]>>,
    /// Whether the first layer starts as whitened components of what it reads.
    pub whiten: bool,
    /// Of everything random.
    pub seed: u64,
}

impl StartOptions {
    /// The same loss of the targets and weights that are asked for.
    pub(super) fn weighed(&self, objective: Objective) -> Result<Objective> {
        objective.smoothed(self.label_smoothing)?.weighted(self.weights.as_ref())
    }
}

/// The examples of a run, and the losses over them that decide or report.
pub struct TrainingSets {
    /// Training examples.
    pub train: Arc<Examples>,
    /// Those of each stage of the plan, in order.
    pub stages: Vec<Subset>,
    /// Training examples that only decisions use.
    pub held_out: Option<SharedLoss>,
    /// The whole training set, for reports.
    pub train_loss: SharedLoss,
    /// The test set, for reports.
    pub test: SharedLoss,
}

impl TrainingSets {
    /// The device that they are on.
    pub fn gpu(&self) -> &Gpu {
        self.test.whole().gpu()
    }

    /// What the stage came to where a run stands, and why it ended.
    ///
    /// # Errors
    /// What the device reports.
    pub(super) fn report(
        &mut self,
        stage: StageKind,
        model: &Model,
        progress: &Progress<Buf>,
        held_out: Option<HeldOut>,
        stopped: String,
    ) -> Result<StageReport> {
        let (scalars, theta) = (&progress.scalars, &progress.vectors.parameters);
        let examples = self.stages[scalars.stages.len()].len();
        let (train, test) = (self.train_loss.loss(theta)?, self.test.loss(theta)?);
        Ok(StageReport {
            stage,
            examples,
            overdetermination: overdetermination(examples, model.classes, model.parameters()),
            iterations: scalars.state.iteration,
            passes: scalars.stage_cost.units().passes(examples),
            loss: scalars.state.loss,
            cross_entropy: Some(scalars.cross_entropy),
            train_loss: Some(train.cross_entropy),
            gradient_reduction: scalars.state.gradient_norm / scalars.initial_gradient_norm,
            held_out,
            test_accuracy: test.accuracy,
            test_loss: Some(test.cross_entropy),
            stopped,
        })
    }
}

/// A run that is over.
pub struct Finished {
    /// Where it ended.
    pub progress: Progress<Buf>,
    /// What a linear model said of the examples, where it was asked.
    pub screening: Option<ScreeningReport>,
}
