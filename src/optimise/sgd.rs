//! Stochastic gradient descent with momentum: the other conventional baseline, on mini-batches.

use super::batch_plan::BatchPlan;
use super::minibatched::{Update, UpdateRule};
use super::problem::{Calls, Stochastic, Vector};
use super::space::Elementwise;
use crate::error::Result;
use crate::update::MomentumUpdate;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Stochastic gradient descent with momentum as in PyTorch, v ← μ v + g, x ← x − η v (Sutskever and others 2013, ICML,
/// with the learning rate η outside of v); Nesterov's takes g + μ v for v.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sgd {
    /// μ, how much of the velocity an update keeps.
    pub momentum: f64,
    /// Whether the momentum is Nesterov's.
    pub nesterov: bool,
    /// Mini-batches and learning rate.
    pub batches: BatchPlan,
}

impl Default for Sgd {
    fn default() -> Self {
        let batches = BatchPlan { learning_rate: 0.05, ..BatchPlan::default() };
        Self { momentum: 0.9, nesterov: false, batches }
    }
}

impl<P: Stochastic> UpdateRule<P> for Sgd {
    const MEMORY: &'static [&'static str] = &["velocity"];

    fn batches(&self) -> &BatchPlan {
        &self.batches
    }

    fn work(&self, updates: Range<u64>) -> Calls {
        let updates = (updates.end - updates.start) as usize;
        Calls { vectors: updates * MomentumUpdate::MULTIPLY_ADDS, ..Calls::default() }
    }

    fn update(
        &self,
        problem: &mut P,
        Update { rate, .. }: Update,
        gradient: &Vector<P>,
        memory: &mut [Vector<P>],
        x: &mut Vector<P>,
    ) -> Result<()> {
        let (velocity, along) = if self.nesterov { (rate * self.momentum, rate) } else { (rate, 0.0) };
        let by = MomentumUpdate { momentum: self.momentum, velocity, gradient: along };
        problem.space().momentum(&by, gradient, &mut memory[0], x)
    }
}
