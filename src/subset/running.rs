//! A stage in the middle.

use super::progress::Progress;
use super::record::{HeldOut, StageKind, StepRecord};
use crate::cost::Cost;
use crate::device::Buf;
use crate::error::Result;
use crate::objective::Evaluation;
use crate::optimise::{Optimiser, Outcome, Problem, Stop};
use crate::training::{SubsetProblem, Traffic};
use std::time::Duration;

/// An iteration over mini-batches that takes longer is paused once in a while, to see whether the run is to stop.
const PAUSE_AFTER: Duration = Duration::from_secs(1);

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

    /// One step of the optimiser, or a part of one that is paused, taken note of.
    pub(super) fn step(&mut self) -> Result<Outcome> {
        let scalars = &self.progress.scalars;
        let earlier_losses = [scalars.state.loss, scalars.earlier_losses[0]];
        self.problem.pause_after(PAUSE_AFTER);
        let outcome = self.optimiser.step(&mut self.problem)?;
        if outcome.stop == Some(Stop::Paused) {
            self.progress.take(self.optimiser.state(), self.problem.memory(), self.problem.paid_for());
            self.progress.scalars.stage_cost = self.cost_before + self.problem.cost();
            self.progress.scalars.is_within = true;
            return Ok(outcome);
        }
        if let Some(cross_entropy) = self.taken(&outcome).map(|found| found.cross_entropy) {
            self.progress.scalars.cross_entropy = cross_entropy;
        }
        self.progress.take(self.optimiser.state(), self.problem.memory(), self.problem.paid_for());
        let scalars = &mut self.progress.scalars;
        (scalars.earlier_losses, scalars.is_within) = (earlier_losses, false);
        scalars.stage_cost = self.cost_before + self.problem.cost();
        if scalars.initial_gradient_norm.is_infinite() {
            scalars.initial_gradient_norm = scalars.state.gradient_norm;
        }
        Ok(outcome)
    }

    /// What was found where a step ended, unless it was not taken.
    fn taken(&self, outcome: &Outcome) -> Option<&Evaluation> {
        self.optimiser.snapshot().evaluation.filter(|_| outcome.rejected.is_none())
    }

    /// The record of a step of this stage, which works on so many `examples` of `all`, and of what exchanges took in
    /// it.
    pub(super) fn record(
        &self,
        stage: StageKind,
        [examples, all]: [usize; 2],
        exchange: Option<Traffic>,
        outcome: &Outcome,
        held_out: Option<HeldOut>,
    ) -> StepRecord {
        let scalars = &self.progress.scalars;
        let found = self.taken(outcome);
        let (units, network) = (scalars.cost().units(), scalars.cost().network_units());
        StepRecord {
            stage,
            examples,
            iteration: scalars.state.iteration,
            outcome: *outcome,
            cross_entropy: found.map(|evaluation| evaluation.cross_entropy),
            accuracy: found.map(|evaluation| evaluation.accuracy),
            kept: found.and_then(|evaluation| evaluation.kept),
            held_out,
            units: units.count(),
            cost_epochs: units.passes(all),
            network_epochs: Some(network.passes(all)),
            wall_seconds: scalars.wall_seconds,
            exchange,
        }
    }
}
