//! The subset sweep: one small disjoint subset after another, a natural gradient step on each.
//!
//! Directions are K⁻¹g with the Kronecker factors of recent subsets. A step is as long as the divergence of the
//! predictions allows, by the quadratic model, and that radius falls with the budget (Ba, Grosse and Martens 2017,
//! ICLR, section 5; Osawa and others 2019, arXiv 1811.12019). There is no learning rate, no line search and no loss to
//! look at.

use super::batch_plan::BatchPlan;
use super::minibatched::{Update, UpdateRule};
use super::outcome::Outcome;
use super::problem::{Calls, Curved, Refresh, Stochastic, Vector};
use super::space::Elementwise;
use crate::batch::Looks;
use crate::error::Result;
use crate::update::NaturalUpdate;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The choices of a sweep. `batches` has no learning rate: what falls is the share of the radius.
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
    /// Updates from one refresh of the factors to the next.
    pub refresh_every: u64,
    /// What the factors are estimated from.
    pub looks: Looks,
    /// The subsets.
    pub batches: BatchPlan,
}

impl Default for Sweep {
    fn default() -> Self {
        let batches = BatchPlan {
            learning_rate: 1.0,
            batch: 192,
            warm_up: 0.0,
            select: true,
            screen: true,
            average: true,
            batches_per_step: 16,
            ..BatchPlan::default()
        };
        Self {
            divergence: 1.7e-3,
            momentum: 0.9,
            damping: 0.1,
            least_damping: 3e-3,
            refresh_every: 16,
            looks: Looks::USUAL,
            batches,
        }
    }
}

/// The longest step, as a multiple of K⁻¹g.
const MOST: f64 = 10.0;

/// Of the factors before, a refresh keeps at most so much.
const KEEP: f64 = 0.95;

impl Sweep {
    /// Updates since the last refresh of the factors.
    fn since_refresh(&self, update: u64) -> u64 {
        (update - 1) % self.refresh_every
    }

    /// λ of an update: that of the refresh before it.
    fn damping_at(&self, update: u64) -> f64 {
        let refreshed_at = (update - 1 - self.since_refresh(update)) as f64;
        self.least_damping.max(self.damping * 0.5f64.powf(refreshed_at / 20.0))
    }

    /// κ of a subset out of so many examples.
    fn divergence_of(&self, examples: usize) -> f64 {
        self.divergence * self.batches.batch_of(examples) as f64 / 128.0
    }
}

impl<P: Stochastic + Curved> UpdateRule<P> for Sweep {
    const MEMORY: &'static [&'static str] = &["velocity", "direction"];

    fn batches(&self) -> &BatchPlan {
        &self.batches
    }

    /// The radius has fallen to nothing at the end, so only the last iterates are worth an average.
    fn averaging(&self) -> f64 {
        11.0
    }

    fn work(&self, Range { start, end }: Range<u64>) -> Calls {
        // the first update inverts, and none looks at its mini-batch before it
        let inversions = end.div_ceil(self.refresh_every) - start.div_ceil(self.refresh_every);
        let looks = inversions - u64::from(start == 0 && end > 0);
        let updates = (end - start) as usize;
        let (preconditions, vectors) = (updates, updates * NaturalUpdate::MULTIPLY_ADDS);
        let [looks, inversions] = [looks, inversions].map(|count| count as usize);
        Calls { looks, preconditions, inversions, vectors, ..Calls::default() }
    }

    fn start(&self, problem: &mut P, x: &Vector<P>) -> Result<()> {
        problem.refresh_preconditioner(x, Refresh::anew(1))
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
        if number > 1 && self.since_refresh(number) == 0 {
            let refreshes = ((number - 1) / self.refresh_every) as f64;
            let keep = KEEP.min(refreshes / (refreshes + 2.0));
            problem.refresh_preconditioner(x, Refresh { seed: number, keep, at_minibatch: true })?;
        }
        problem.precondition(self.damping_at(number), gradient, direction)?;
        let divergence = self.divergence_of(problem.examples());
        let by = NaturalUpdate { momentum: self.momentum, rate, divergence, most: MOST };
        problem.space().natural(&by, gradient, direction, velocity, x)
    }

    fn describe(&self, Update { number, rate }: Update, examples: usize, outcome: &mut Outcome) {
        outcome.damping = Some(self.damping_at(number));
        outcome.radius = Some(rate * self.divergence_of(examples).sqrt());
    }
}
