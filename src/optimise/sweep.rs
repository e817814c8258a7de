//! The subset sweep: one small disjoint subset after another, a natural gradient step on each.
//!
//! Directions are K⁻¹g with the Kronecker factors of recent subsets; a step is as long as the divergence of the predictions allows, by
//! the quadratic model, and that radius falls with the budget (Ba, Grosse and Martens 2017, ICLR, section 5; Osawa and others
//! 2019, arXiv 1811.12019). There is no learning rate, no line search and no loss to look at.

use super::first_order::{Rule, Update};
use super::{BatchPlan, Curved, Elementwise, Look, Outcome, Stochastic, Vector};
use crate::error::Result;
use crate::kernels::update::Natural;
use serde::{Deserialize, Serialize};

/// The choices of a sweep. `training` has no learning rate: what falls is the share of the radius.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// κ of a subset of 128 examples; it grows with the subset.
    pub divergence: f64,
    /// μ of Nesterov's momentum.
    pub momentum: f64,
    /// λ at the start, halved every twenty updates …
    pub damping: f64,
    /// … and at the end.
    pub least_damping: f64,
    /// Updates from one look at the factors to the next.
    pub look_every: u64,
    /// Subsets and budget.
    pub training: BatchPlan,
}

impl Default for Sweep {
    fn default() -> Self {
        let training = BatchPlan {
            learning_rate: 1.0,
            batch: 192,
            epochs: 1.0,
            warm_up: 0.0,
            select: true,
            screen: true,
            average: true,
            batches_per_step: 16,
            ..BatchPlan::default()
        };
        Self { divergence: 1.7e-3, momentum: 0.9, damping: 0.1, least_damping: 3e-3, look_every: 16, training }
    }
}

/// The longest step, as a multiple of K⁻¹g.
const MOST: f64 = 10.0;

/// Of the looks before, at most so much is kept.
const KEEP: f64 = 0.95;

impl Sweep {
    /// Updates since the last look at the factors.
    fn since_look(&self, update: u64) -> u64 {
        (update - 1) % self.look_every
    }

    /// λ of an update: that of the look before it.
    fn damping_at(&self, update: u64) -> f64 {
        let looked_at = (update - 1 - self.since_look(update)) as f64;
        self.least_damping.max(self.damping * 0.5f64.powf(looked_at / 20.0))
    }

    /// κ of a subset out of so many examples.
    fn divergence_of(&self, examples: usize) -> f64 {
        self.divergence * self.training.batch_of(examples) as f64 / 128.0
    }
}

impl<P: Stochastic + Curved> Rule<P> for Sweep {
    const MEMORY: &'static [&'static str] = &["velocity", "direction"];

    fn training(&self) -> &BatchPlan {
        &self.training
    }

    /// The radius has fallen to nothing at the end, so only the last iterates are worth an average.
    fn averaging(&self) -> f64 {
        11.0
    }

    fn start(&self, problem: &mut P, x: &Vector<P>) -> Result<()> {
        problem.update_preconditioner(x, Look::anew(1))
    }

    fn update(
        &self,
        problem: &mut P,
        Update { number, rate }: Update,
        gradient: &Vector<P>,
        memory: &mut [Vector<P>],
        x: &mut Vector<P>,
    ) -> Result<()> {
        let [velocity, direction] = memory else { unreachable!("as many as MEMORY names") };
        if number > 1 && self.since_look(number) == 0 {
            let look = ((number - 1) / self.look_every) as f64;
            let keep = KEEP.min(look / (look + 2.0));
            problem.update_preconditioner(x, Look { seed: number, keep, at_minibatch: true })?;
        }
        problem.precondition(self.damping_at(number), gradient, direction)?;
        let divergence = self.divergence_of(problem.examples());
        let by = Natural { momentum: self.momentum, rate, divergence, most: MOST };
        problem.space().natural(&by, gradient, direction, velocity, x)
    }

    fn describe(&self, Update { number, rate }: Update, examples: usize, outcome: &mut Outcome) {
        outcome.damping = Some(self.damping_at(number));
        outcome.radius = Some(rate * self.divergence_of(examples).sqrt());
    }
}
