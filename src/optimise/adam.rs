//! Adam: the conventional baseline, on mini-batches.

use super::batch_plan::BatchPlan;
use super::minibatched::{Update, UpdateRule};
use super::problem::{Calls, Stochastic, Vector};
use super::space::Elementwise;
use crate::error::Result;
use crate::update::AdamUpdate;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Adam with its corrections of the bias (Kingma and Ba 2015, arXiv 1412.6980, algorithm 1). The penalty λ/2 ‖x‖² is
/// part of the loss and of its gradient, as with `torch.optim.Adam(weight_decay = λ)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adam {
    /// β₁, how much of the mean of the gradients an update keeps.
    pub beta1: f64,
    /// β₂, how much of the mean of their squares it keeps.
    pub beta2: f64,
    /// ε, added to the root of the mean square; positive.
    pub epsilon: f64,
    /// Mini-batches and learning rate.
    pub batches: BatchPlan,
}

impl Default for Adam {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, batches: BatchPlan::default() }
    }
}

impl<P: Stochastic> UpdateRule<P> for Adam {
    const MEMORY: &'static [&'static str] = &["mean", "mean square"];

    fn batches(&self) -> &BatchPlan {
        &self.batches
    }

    fn work(&self, updates: Range<u64>) -> Calls {
        let updates = (updates.end - updates.start) as usize;
        Calls { vectors: updates * AdamUpdate::MULTIPLY_ADDS, ..Calls::default() }
    }

    fn update(
        &self,
        problem: &mut P,
        Update { number, rate }: Update,
        gradient: &Vector<P>,
        memory: &mut [Vector<P>],
        x: &mut Vector<P>,
    ) -> Result<()> {
        let [mean, square] = memory else { unreachable!("as many as MEMORY names") };
        let Self { beta1, beta2, epsilon, .. } = *self;
        let by = AdamUpdate { beta1, beta2, step: 0.0, epsilon }.at(number, rate);
        problem.space().adam(&by, gradient, [mean, square], x)
    }
}
