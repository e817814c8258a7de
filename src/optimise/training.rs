//! What first-order methods share: the learning rate along a run. The order of the examples is in [`super::order`].

use serde::{Deserialize, Serialize};

/// How the learning rate falls after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// Not at all; the method goes on beyond its horizon.
    Constant,
    /// Along half a period of the cosine to 0 (Loshchilov and Hutter 2017, arXiv 1608.03983, equation 5).
    Cosine,
    /// Linearly to 0.
    #[default]
    Linear,
}

/// The choices of a run over mini-batches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchPlan {
    /// The learning rate at the end of the warm-up, the largest.
    pub learning_rate: f64,
    /// Examples of a mini-batch. Those that are left over at the end of an epoch, fewer than a mini-batch, are dropped from it.
    pub batch: usize,
    /// Epochs at whose end the learning rate is 0 and the run over, unless it is constant. They are counted by what the mini-batches cost: one
    /// is as many units as there are examples.
    pub epochs: f64,
    /// Epochs over which the learning rate rises linearly from 0.
    pub warm_up: f64,
    /// What follows the warm-up.
    pub schedule: Decay,
    /// Whether only those examples of a mini-batch go backward that are worth it.
    pub select: bool,
    /// Whether a linear model is asked first which examples are worth the forward pass.
    #[serde(default)]
    pub screen: bool,
    /// Whether the parameters reported are a running average of the iterates.
    pub average: bool,
    /// Of the order of the examples.
    pub seed: u64,
    /// Mini-batches of one step of the optimiser; 0: a twentieth of an epoch.
    pub batches_per_step: usize,
}

impl Default for BatchPlan {
    /// What served Adam best on MNIST.
    fn default() -> Self {
        Self {
            learning_rate: 8e-3,
            batch: 32,
            epochs: 1.5,
            warm_up: 0.1,
            schedule: Decay::Linear,
            select: false,
            screen: false,
            average: false,
            seed: 0,
            batches_per_step: 0,
        }
    }
}

impl BatchPlan {
    /// Mini-batches of an epoch over so many examples.
    fn per_epoch(&self, examples: usize) -> u64 {
        (examples / self.batch_of(examples)) as u64
    }

    /// Mini-batches that cost as much as an epoch: one that is left over counts in part, though it is dropped.
    fn batches(&self, examples: usize) -> f64 {
        examples as f64 / self.batch_of(examples) as f64
    }

    /// Examples of a mini-batch: all, where there are fewer than asked for.
    pub fn batch_of(&self, examples: usize) -> usize {
        self.batch.clamp(1, examples.max(1))
    }

    /// Mini-batches of the next step, `units` being spent: none at the end of the horizon.
    pub(super) fn next_step(&self, examples: usize, units: f64) -> u64 {
        let per_epoch = self.per_epoch(examples);
        let step = if self.batches_per_step == 0 { per_epoch.div_ceil(20) } else { self.batches_per_step as u64 };
        let horizon = (self.epochs * self.batches(examples)).ceil();
        // none costs more than all of its examples, forward and backward
        let left = (horizon - units / self.batch_of(examples) as f64).max(0.0) as u64;
        if self.schedule == Decay::Constant { step } else { step.min(left) }
    }

    /// The learning rate of an update before which so many `units` were spent. The last of the warm-up is the first with all of it.
    pub fn rate(&self, examples: usize, units: f64) -> f64 {
        let epoch = self.batches(examples);
        let (warm_up, end, at) = (self.warm_up * epoch, self.epochs * epoch, units / self.batch_of(examples) as f64);
        if at + 1.0 < warm_up {
            return self.learning_rate * (at + 1.0) / warm_up;
        }
        let progress = ((at - warm_up) / (end - warm_up).max(1.0)).clamp(0.0, 1.0);
        self.learning_rate
            * match self.schedule {
                Decay::Constant => 1.0,
                Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
                Decay::Linear => 1.0 - progress,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten mini-batches an epoch, 1 epoch of warm-up, 3 in all.
    const BATCH_PLAN: BatchPlan = BatchPlan {
        learning_rate: 0.5,
        batch: 7,
        epochs: 3.0,
        warm_up: 1.0,
        schedule: Decay::Linear,
        select: false,
        screen: false,
        average: false,
        seed: 3,
        batches_per_step: 0,
    };
    const EXAMPLES: usize = 70;

    #[test]
    fn the_learning_rate_rises_and_falls_as_it_should() {
        for schedule in [Decay::Constant, Decay::Cosine, Decay::Linear] {
            let rate = |updates| BatchPlan { schedule, ..BATCH_PLAN }.rate(EXAMPLES, 7.0 * f64::from(updates));
            let close = |got: f64, want: f64| assert!((got - want).abs() < 1e-15, "{schedule:?}: {got}, not {want}");
            close(rate(0), 0.05);
            close(rate(4), 0.25);
            close(rate(9), 0.5);
            close(rate(10), 0.5);
            let (quarter, half, end) = match schedule {
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
        assert_eq!(cold.rate(EXAMPLES, 0.0), 0.5);
    }

    #[test]
    fn steps_are_stretches_that_end_with_the_horizon() {
        let training = BatchPlan { batches_per_step: 4, ..BATCH_PLAN };
        assert_eq!(
            [0, 4, 26, 28, 30, 34].map(|updates| training.next_step(EXAMPLES, 7.0 * f64::from(updates))),
            [4, 4, 4, 2, 0, 0]
        );
        let constant = BatchPlan { schedule: Decay::Constant, ..training };
        assert_eq!(constant.next_step(EXAMPLES, 7000.0), 4);
        assert_eq!(BatchPlan::default().next_step(57_000, 0.0), 90);
    }

    #[test]
    fn what_is_dropped_from_an_epoch_does_not_shorten_the_run() {
        let training = BatchPlan { batches_per_step: 4, batch: 40, ..BATCH_PLAN };
        // 3 epochs of 70 are 210 units, though an epoch is one mini-batch of 40
        assert_eq!((training.next_step(EXAMPLES, 180.0), training.next_step(EXAMPLES, 210.0)), (1, 0));
        assert!(training.rate(EXAMPLES, 200.0) > 0.0);
    }
}
