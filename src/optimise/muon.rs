//! Muon: a conventional baseline whose steps of matrices are orthogonalised momentum, on mini-batches.

use super::batch_plan::BatchPlan;
use super::minibatched::{Update, UpdateRule};
use super::problem::{Calls, Stochastic, Vector};
use super::space::Elementwise;
use crate::error::Result;
use crate::update::{AdamUpdate, MuonUpdate};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Muon with Nesterov's momentum (K. Jordan and others 2024, kellerjordan.github.io/posts/muon) for the matrices of the
/// space, the weights of hidden layers; [Adam](super::Adam) for all else, as its authors have it: biases, the first
/// layer with parameters and the last. Its learning rate is a share of the norm that a matrix began with. The penalty
/// λ/2 ‖x‖² is part of the loss and of its gradient, as with Adam here, and not a decay of its own.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Muon {
    /// μ, how much of the velocity an update keeps.
    pub momentum: f64,
    /// Whether each matrix is scaled back, after an update, to the norm that it began with.
    pub hold: bool,
    /// Adam's learning rate at the end of the warm-up; it rises and falls with the other.
    pub adam_rate: f64,
    /// Mini-batches and learning rate.
    pub batches: BatchPlan,
}

/// β₁, β₂ and ε of Adam.
const ADAM: AdamUpdate = AdamUpdate { beta1: 0.9, beta2: 0.999, step: 0.0, epsilon: 1e-8 };

impl Default for Muon {
    fn default() -> Self {
        let batches = BatchPlan { learning_rate: 0.1, batch: 128, warm_up: 0.05, ..BatchPlan::default() };
        Self { momentum: 0.9, hold: true, adam_rate: 8e-3, batches }
    }
}

impl Muon {
    /// What it takes before the first mini-batch: the norms of the matrices.
    pub(super) const START: Calls = Calls { vectors: 1, ..Calls::of_evaluations(0) };

    /// Adam's learning rate beside this one of the matrices.
    fn adam_rate_at(&self, rate: f64) -> f64 {
        let share = if self.batches.learning_rate > 0.0 { rate / self.batches.learning_rate } else { 0.0 };
        share * self.adam_rate
    }
}

impl<P: Stochastic> UpdateRule<P> for Muon {
    /// The velocities of matrices and, between them, the means of Adam; its mean squares; the norms that the matrices
    /// began with, as many as there are at the front of a vector.
    const MEMORY: &'static [&'static str] = &["velocity", "mean square", "first norms"];

    fn batches(&self) -> &BatchPlan {
        &self.batches
    }

    fn start(&self, problem: &mut P, x: &Vector<P>, memory: &mut [Vector<P>]) -> Result<()> {
        problem.space().norms(x, &mut memory[2])
    }

    fn work(&self, updates: Range<u64>) -> Calls {
        let updates = (updates.end - updates.start) as usize;
        let vectors = updates * MuonUpdate::MULTIPLY_ADDS;
        Calls { vectors, orthogonalisations: updates, ..Calls::default() }
    }

    fn update(
        &self,
        problem: &mut P,
        Update { number, rate }: Update,
        gradient: &Vector<P>,
        memory: &mut [Vector<P>],
        x: &mut Vector<P>,
    ) -> Result<()> {
        let [velocity, square, norms] = memory else { unreachable!("as many as MEMORY names") };
        let others = ADAM.at(number, self.adam_rate_at(rate));
        let by = MuonUpdate { momentum: self.momentum, rate, hold: self.hold, others };
        problem.space().muon(&by, gradient, [velocity, square, norms], x)
    }
}
