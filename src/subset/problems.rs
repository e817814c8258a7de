//! What the stages of a run minimise, and what comes before its first step.

use super::observer::Observer;
use super::plan::Plan;
use super::preparation::{Preparation, is_affordable, screened};
use super::screening::Screening;
use super::trainer::Trainer;
use crate::cost::Cost;
use crate::error::Result;
use crate::objective::{Objective, Whitening};
use crate::training::{LocalProblem, Request, SubsetProblem};

impl Trainer {
    /// The problem of a stage, some of whose passes may be spent already. Over mini-batches the method counts.
    pub(super) fn problem(&self, stage: usize, spent: Cost) -> Result<SubsetProblem> {
        if !self.team.is_alone() {
            self.team.ask(&Request::Open { stage }, &[])?;
        }
        let mut problem = SubsetProblem::of_team(self.objective(stage)?, self.team.clone())?;
        if let Plan::Stages { .. } = self.plan {
            problem
                .set_allowance(self.plan.rules(&self.prices, stage, problem.objective().len()).budget - spent.units());
        }
        Ok(problem)
    }

    /// This rank's share of it.
    pub(super) fn local(&self, stage: usize) -> Result<LocalProblem> {
        Ok(LocalProblem::new(self.objective(stage)?, self.team.share()))
    }

    /// The loss that a stage minimises.
    fn objective(&self, stage: usize) -> Result<Objective> {
        let (start, indices) = (&self.start, &self.sets.stages[stage].indices);
        let objective = Objective::new(self.gpu(), &self.workspace, &self.sets.train, indices, start.weight_decay)?;
        start.weighed(objective)
    }

    /// Screens the examples and finds a whitened start, as the plan asks. What the first steps run is recorded before,
    /// so that threads compile its kernels meanwhile.
    pub(super) fn prepare(&self, problem: &mut SubsetProblem, observer: &mut dyn Observer) -> Result<Preparation> {
        if let Some(rule) = self.plan.rule() {
            problem.prepare(rule)?;
        }
        // the last look for the moments of what is normalised is paid for before
        let mut preparation = Preparation { cost: self.sets.test.whole().cost_of_moments(), ..Preparation::default() };
        if let Some(batches) = screened(&self.plan) {
            let (full, model) = (self.first(), &self.workspace.model);
            let is_affordable = |cost| is_affordable(&self.plan, &self.prices, cost, Cost::default(), full.len());
            if let Some(screening) = Screening::new(self.gpu(), &self.sets.train, full, model, batches, is_affordable)?
            {
                observer.screening(&screening.report)?;
                preparation.screen(screening);
            }
            problem.set_inclusion(preparation.inclusion());
        }
        if self.start.whiten {
            preparation.whiten(&self.plan, &self.prices, self.first().len(), Whitening::of(problem.objective())?);
        }
        Ok(preparation)
    }
}
