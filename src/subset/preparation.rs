//! What comes before the first step of a run: screening, and a whitened start. Both follow from the seed, so a resumed
//! run does them again.

use super::plan::Plan;
use super::screening::Screening;
use crate::cost::{Cost, Units};
use crate::error::Result;
use crate::objective::Whitening;
use crate::optimise::{BatchPlan, Inclusion};
use crate::training::Prices;
use std::sync::Arc;

/// Screening, and whitening, may each take so much of a budget.
const MOST_OF_BUDGET: f64 = 0.1;

/// What was prepared, and what that cost.
#[derive(Default)]
pub(super) struct Preparation {
    pub cost: Cost,
    /// What a linear model said of the examples, where it was asked.
    pub screening: Option<Screening>,
    pub whitening: Option<Whitening>,
}

/// Whether a part of a preparation leaves the training nine tenths of its budget, if it has one, and after what was
/// spent before that a first step on so many examples.
pub(super) fn is_affordable(plan: &Plan, prices: &Prices, cost: Cost, before: Cost, examples: usize) -> bool {
    let is_small = |budget: Units| cost.units().count() <= MOST_OF_BUDGET * budget.count();
    plan.budget_of_preparation().is_none_or(is_small) && plan.affords_first_step(prices, examples, before + cost)
}

/// The mini-batches of a plan whose examples are to be screened.
pub(super) fn screened(plan: &Plan) -> Option<&BatchPlan> {
    plan.rule().map(|rule| rule.batches()).filter(|batches| batches.screen)
}

impl Preparation {
    /// Takes over what screening found.
    pub(super) fn screen(&mut self, screening: Screening) {
        self.cost += screening.cost;
        self.screening = Some(screening);
    }

    /// Takes over a whitened start that the plan can pay for beside a first step on so many examples.
    pub(super) fn whiten(&mut self, plan: &Plan, prices: &Prices, examples: usize, whitening: Option<Whitening>) {
        self.whitening = whitening.filter(|found| is_affordable(plan, prices, found.cost(), self.cost, examples));
        self.cost += self.whitening.as_ref().map_or(Cost::default(), Whitening::cost);
    }

    /// How likely each example is to be one of an epoch's, where not all are.
    pub(super) fn inclusion(&self) -> Option<Arc<Inclusion>> {
        self.screening.as_ref().and_then(|screening| screening.inclusion.clone())
    }

    /// Puts the whitened filters into the parameters that a run starts from.
    ///
    /// # Errors
    /// What the device reports.
    pub(super) fn apply(&self, theta: &mut [f32], seed: u64) -> Result<()> {
        self.whitening.as_ref().map_or(Ok(()), |whitening| whitening.apply(theta, seed))
    }
}
