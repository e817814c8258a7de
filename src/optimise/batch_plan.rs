//! What methods on mini-batches share: how large a mini-batch is, which examples are worth one, and the learning rate
//! along a run. The order of the examples is in `order`.

use crate::cost::Units;
use serde::{Deserialize, Serialize};

/// How the learning rate falls after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// Not at all; the method goes on beyond its budget.
    Constant,
    /// Along half a period of the cosine to 0 (Loshchilov and Hutter 2017, arXiv 1608.03983, equation 5).
    Cosine,
    /// Linearly to 0.
    #[default]
    Linear,
}

/// How examples are screened, and what those that are drawn count.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Importance {
    /// The linear model learns from one in so many examples.
    pub one_in: usize,
    /// It sees means of pixels: the longer side of an image has so many of them at most.
    pub side: usize,
    /// No example is less likely than this: the linear model may be wrong about it.
    pub least: f64,
    /// α: an example drawn with probability P counts (mean P / P)^α, divided by the mean of that over its mini-batch.
    /// 1, where nothing is divided: the mean over draws is that of all examples. Below, weights differ less and so does
    /// the gradient from one mini-batch to the next; but what is unlikely, the easy examples, counts too little: the
    /// loss that is minimised weighs examples by P^(1 − α).
    pub power: f64,
}

impl Importance {
    /// With a little bias and less noise.
    pub const USUAL: Self = Self { one_in: 20, side: 8, least: 0.05, power: 0.6 };
}

impl Default for Importance {
    fn default() -> Self {
        Self::USUAL
    }
}

/// The choices of a run over mini-batches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchPlan {
    /// The learning rate at the end of the warm-up, the largest.
    pub learning_rate: f64,
    /// Examples of a mini-batch. Those that are left over at the end of an epoch, fewer than a mini-batch, are dropped
    /// from it.
    pub batch: usize,
    /// Epochs over which the learning rate rises linearly from 0, counted by what the mini-batches cost.
    pub warm_up: f64,
    /// What follows the warm-up.
    pub decay: Decay,
    /// Whether only those examples of a mini-batch go backward that are worth it.
    pub select: bool,
    /// Whether a linear model is asked first which examples are worth the forward pass.
    pub screen: bool,
    /// Whether the parameters reported are a running average of the iterates.
    pub average: bool,
    /// Mini-batches of one step of the optimiser; 0: a twentieth of an epoch.
    pub batches_per_step: usize,
    /// How it asks it, and what becomes of the answer.
    pub importance: Importance,
    /// Whether the examples of each class are spread evenly over an epoch, so that all mini-batches have about as many.
    pub spread: bool,
}

impl Default for BatchPlan {
    /// What served Adam best on MNIST.
    fn default() -> Self {
        Self {
            learning_rate: 8e-3,
            batch: 32,
            warm_up: 0.1,
            decay: Decay::Linear,
            select: false,
            screen: false,
            average: false,
            batches_per_step: 0,
            importance: Importance::USUAL,
            spread: false,
        }
    }
}

impl BatchPlan {
    /// Mini-batches of an epoch over so many examples.
    fn per_epoch(&self, examples: usize) -> u64 {
        (examples / self.batch_of(examples)) as u64
    }

    /// Examples of a mini-batch: all, where there are fewer than asked for.
    pub fn batch_of(&self, examples: usize) -> usize {
        self.batch.clamp(1, examples.max(1))
    }

    /// An amount of computing in mini-batches, all of whose examples go forward and backward.
    fn batches(&self, units: f64, examples: usize) -> f64 {
        units / self.batch_of(examples) as f64
    }

    /// Mini-batches of the next step, so much of the budget being spent, where so many `cost` that at most: none at its
    /// end. One is begun as long as those before it leave something.
    pub(super) fn next_step(&self, examples: usize, budget: Units, spent: Units, cost: impl Fn(u64) -> Units) -> u64 {
        let per_epoch = self.per_epoch(examples);
        let step = if self.batches_per_step == 0 { per_epoch.div_ceil(20) } else { self.batches_per_step as u64 };
        if self.decay == Decay::Constant {
            return step;
        }
        (0..step).take_while(|&before| spent + cost(before) < budget).count() as u64
    }

    /// The learning rate of an update before which so many units of the budget were spent, about. The last of the
    /// warm-up is the first with all of it.
    pub fn rate(&self, examples: usize, budget: Units, spent: f64) -> f64 {
        let warm_up = self.batches(self.warm_up * examples as f64, examples);
        let (end, at) = (self.batches(budget.count(), examples), self.batches(spent, examples));
        if at + 1.0 < warm_up {
            return self.learning_rate * (at + 1.0) / warm_up;
        }
        let progress = ((at - warm_up) / (end - warm_up).max(1.0)).clamp(0.0, 1.0);
        self.learning_rate
            * match self.decay {
                Decay::Constant => 1.0,
                Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
                Decay::Linear => 1.0 - progress,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten mini-batches an epoch, one epoch of warm-up.
    const BATCH_PLAN: BatchPlan = BatchPlan {
        learning_rate: 0.5,
        batch: 7,
        warm_up: 1.0,
        decay: Decay::Linear,
        select: false,
        screen: false,
        average: false,
        batches_per_step: 0,
        importance: Importance::USUAL,
        spread: false,
    };
    const EXAMPLES: usize = 70;

    /// Three epochs.
    const BUDGET: Units = Units::new(210.0);

    /// What so many mini-batches cost.
    fn spent(updates: u32) -> Units {
        Units::new(7.0 * f64::from(updates))
    }

    #[test]
    fn the_learning_rate_rises_and_falls_as_it_should() {
        for decay in [Decay::Constant, Decay::Cosine, Decay::Linear] {
            let rate = |updates| BatchPlan { decay, ..BATCH_PLAN }.rate(EXAMPLES, BUDGET, spent(updates).count());
            let close = |got: f64, want: f64| assert!((got - want).abs() < 1e-15, "{decay:?}: {got}, not {want}");
            close(rate(0), 0.05);
            close(rate(4), 0.25);
            close(rate(9), 0.5);
            close(rate(10), 0.5);
            let (quarter, half, end) = match decay {
                Decay::Constant => (0.5, 0.5, 0.5),
                Decay::Cosine => (0.25 * (1.0 + 0.5f64.sqrt()), 0.25, 0.0),
                Decay::Linear => (0.375, 0.25, 0.0),
            };
            close(rate(15), quarter);
            close(rate(20), half);
            close(rate(30), end);
            close(rate(31), end);
        }
        let cold = BatchPlan { warm_up: 0.0, ..BATCH_PLAN };
        assert_eq!(cold.rate(EXAMPLES, BUDGET, 0.0), 0.5);
    }

    /// Mini-batches of the next step where each costs its examples.
    fn next_step(plan: &BatchPlan, examples: usize, budget: Units, spent: Units) -> u64 {
        plan.next_step(examples, budget, spent, |count| Units::new((count * plan.batch as u64) as f64))
    }

    #[test]
    fn a_step_may_cost_more_than_its_examples() {
        let plan = BatchPlan { batches_per_step: 40, ..BATCH_PLAN };
        let of_work =
            |of_one: f64| plan.next_step(EXAMPLES, BUDGET, Units::default(), |n| Units::new(of_one * n as f64));
        assert_eq!([7.0, 8.0, 210.0, 211.0].map(of_work), [30, 27, 1, 1]);
    }

    #[test]
    fn steps_are_stretches_that_end_with_the_budget() {
        let plan = BatchPlan { batches_per_step: 4, ..BATCH_PLAN };
        let steps = [0, 4, 26, 28, 30, 34].map(|updates| next_step(&plan, EXAMPLES, BUDGET, spent(updates)));
        assert_eq!(steps, [4, 4, 4, 2, 0, 0]);
        let constant = BatchPlan { decay: Decay::Constant, ..plan };
        assert_eq!(next_step(&constant, EXAMPLES, BUDGET, Units::new(7000.0)), 4);
        let epochs = Units::of_passes(1.5, 57_000);
        assert_eq!(next_step(&BatchPlan::default(), 57_000, epochs, Units::default()), 90);
    }

    #[test]
    fn what_is_dropped_from_an_epoch_does_not_shorten_the_run() {
        let plan = BatchPlan { batches_per_step: 4, batch: 40, ..BATCH_PLAN };
        // 3 epochs of 70 are 210 units, though an epoch is one mini-batch of 40
        let steps = [180.0, 210.0].map(|spent| next_step(&plan, EXAMPLES, BUDGET, Units::new(spent)));
        assert_eq!(steps, [1, 0]);
        assert!(plan.rate(EXAMPLES, BUDGET, 200.0) > 0.0);
    }
}
