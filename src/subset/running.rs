//! A stage in the middle.

use super::progress::Progress;
use crate::cost::Cost;
use crate::device::Buf;
use crate::error::Result;
use crate::objective::Evaluation;
use crate::optimise::{Optimiser, Outcome, Problem};
use crate::training::SubsetProblem;

/// A stage in the middle, with what works on it.
pub(super) struct Running {
    pub progress: Progress<Buf>,
    pub problem: SubsetProblem,
    pub optimiser: Box<dyn Optimiser<SubsetProblem>>,
    /// What the stage's examples cost before the problem was set up.
    pub cost_before: Cost,
}

impl Running {
    /// Where it stands. What else it holds of the device's memory is the next stage's.
    pub(super) fn end(self) -> Progress<Buf> {
        self.progress
    }

    /// One step of the optimiser, taken note of.
    pub(super) fn step(&mut self) -> Result<Outcome> {
        let scalars = &mut self.progress.scalars;
        scalars.earlier_losses = [scalars.state.loss, scalars.earlier_losses[0]];
        let outcome = self.optimiser.step(&mut self.problem)?;
        if let Some(cross_entropy) = self.taken(&outcome).map(|found| found.cross_entropy) {
            self.progress.scalars.cross_entropy = cross_entropy;
        }
        self.progress.take(self.optimiser.state(), self.problem.memory());
        let scalars = &mut self.progress.scalars;
        scalars.stage_cost = self.cost_before + self.problem.cost();
        if scalars.initial_gradient_norm.is_infinite() {
            scalars.initial_gradient_norm = scalars.state.gradient_norm;
        }
        Ok(outcome)
    }

    /// What was found where a step ended, unless it was not taken.
    pub(super) fn taken(&self, outcome: &Outcome) -> Option<&Evaluation> {
        self.optimiser.snapshot().evaluation.filter(|_| outcome.rejected.is_none())
    }
}
