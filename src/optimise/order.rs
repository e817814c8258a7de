//! The order of the examples: every epoch a permutation of its own, or a part of one.

use super::batch_plan::BatchPlan;
use crate::batch::{Batch, Draw};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// How likely each example is to be one of an epoch's.
#[derive(Clone, Debug, PartialEq)]
pub struct Inclusion {
    probability: Vec<f64>,
    mean: f64,
}

impl Inclusion {
    /// From the probabilities, each above 0 and at most 1.
    pub fn new(probability: Vec<f64>) -> Self {
        assert!(!probability.is_empty() && probability.iter().all(|&p| p > 0.0 && p <= 1.0));
        let mean = probability.iter().sum::<f64>() / probability.len() as f64;
        Self { probability, mean }
    }

    /// The share of the examples that an epoch takes.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Examples of an epoch, the fewest that a draw has.
    pub fn drawn(&self) -> usize {
        // the sum is taken in another order there, so it may round otherwise
        (self.mean * self.probability.len() as f64 - 1e-3) as usize
    }

    /// Those of `positions` that are drawn: systematic sampling (Madow and Madow 1944, Ann. Math. Statist. 15), whose
    /// number is that of the mean, up to one.
    fn draw(&self, positions: &mut Vec<u32>, rng: &mut impl Rng) {
        let mut reached: f64 = rng.random();
        positions.retain(|&position| {
            let before = reached.floor();
            reached += self.probability[position as usize];
            reached.floor() > before
        });
    }

    /// What an example counts: with power 1, so that the mean over draws is that of all examples.
    fn weight(&self, position: u32, power: f64) -> f32 {
        let inverse = self.mean / self.probability[position as usize];
        (if power == 1.0 { inverse } else { inverse.powf(power) }) as f32
    }
}

/// The mini-batches of one epoch after another, which follow from seed and epoch.
#[derive(Debug)]
pub(super) struct Order {
    plan: BatchPlan,
    seed: u64,
    examples: usize,
    inclusion: Option<Arc<Inclusion>>,
    /// Their classes, if these are to be spread.
    labels: Option<Vec<u32>>,
    epoch: Option<u64>,
    positions: Vec<u32>,
    /// What they count, where an epoch takes a part of the examples.
    weights: Vec<f32>,
}

impl Order {
    /// Over so many examples, in mini-batches as the plan says; with labels, classes are spread. What would leave less
    /// than one of an epoch is left alone.
    pub(super) fn new(
        plan: BatchPlan,
        seed: u64,
        examples: usize,
        inclusion: Option<Arc<Inclusion>>,
        labels: Option<Vec<u32>>,
    ) -> Self {
        let batch = plan.batch_of(examples);
        assert!(inclusion.iter().all(|inclusion| inclusion.probability.len() == examples));
        let inclusion = inclusion.filter(|inclusion| inclusion.drawn() >= batch);
        Self { plan, seed, examples, inclusion, labels, epoch: None, positions: Vec::new(), weights: Vec::new() }
    }

    /// Mini-batches of an epoch.
    fn per_epoch(&self) -> u64 {
        let examples = self.inclusion.as_ref().map_or(self.examples, |inclusion| inclusion.drawn());
        (examples / self.plan.batch_of(self.examples)) as u64
    }

    /// The mini-batch after `updates` others.
    pub(super) fn batch(&mut self, updates: u64) -> Batch<'_> {
        let per_epoch = self.per_epoch();
        let (epoch, first) = (updates / per_epoch, (updates % per_epoch) as usize);
        if self.epoch != Some(epoch) {
            self.draw(epoch);
        }
        let batch = self.plan.batch_of(self.examples);
        let range = first * batch..(first + 1) * batch;
        Batch {
            positions: &self.positions[range.clone()],
            weights: self.inclusion.as_ref().map(|_| &self.weights[range]),
            epoch,
            draw: self.plan.select.then_some(Draw { seed: self.seed, step: updates }),
        }
    }

    fn draw(&mut self, epoch: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(epoch);
        self.positions = (0..self.examples as u32).collect();
        self.positions.shuffle(&mut rng);
        if let Some(inclusion) = &self.inclusion {
            inclusion.draw(&mut self.positions, &mut rng);
        }
        if let Some(labels) = &self.labels {
            spread(&mut self.positions, labels, &mut rng);
        }
        if let Some(inclusion) = &self.inclusion {
            let power = self.plan.importance.power;
            self.weights = self.positions.iter().map(|&position| inclusion.weight(position, power)).collect();
            if power != 1.0 {
                self.weights.chunks_mut(self.plan.batch_of(self.examples)).for_each(divide_by_mean);
            }
        }
        self.epoch = Some(epoch);
    }
}

/// Spreads the examples of each class evenly, in the order they have.
fn spread(positions: &mut [u32], labels: &[u32], rng: &mut impl Rng) {
    let class = |position: u32| labels[position as usize] as usize;
    let mut count = vec![0usize; labels.iter().max().map_or(0, |&most| most as usize + 1)];
    positions.iter().for_each(|&position| count[class(position)] += 1);
    let mut before = vec![0usize; count.len()];
    let place = |&position: &u32| {
        let class = class(position);
        let place = (before[class] as f64 + rng.random::<f64>()) / count[class] as f64;
        before[class] += 1;
        (place, position)
    };
    let mut placed: Vec<(f64, u32)> = positions.iter().map(place).collect();
    placed.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    positions.iter_mut().zip(placed).for_each(|(to, (_, position))| *to = position);
}

/// Makes the mean of the weights 1.
fn divide_by_mean(weights: &mut [f32]) {
    let mean = weights.iter().map(|&weight| f64::from(weight)).sum::<f64>() / weights.len() as f64;
    weights.iter_mut().for_each(|weight| *weight = (f64::from(*weight) / mean) as f32);
}

#[cfg(test)]
mod tests {
    use super::super::batch_plan::Importance;
    use super::*;

    const BATCH_PLAN: BatchPlan = BatchPlan {
        batch: 7,
        learning_rate: 0.5,
        warm_up: 1.0,
        decay: super::super::batch_plan::Decay::Linear,
        select: false,
        screen: false,
        average: false,
        batches_per_step: 0,
        importance: Importance::USUAL,
        spread: false,
    };
    /// Five are left over of an epoch.
    const EXAMPLES: usize = 75;

    fn over(plan: BatchPlan, seed: u64, examples: usize, inclusion: Option<Arc<Inclusion>>) -> Order {
        Order::new(plan, seed, examples, inclusion, None)
    }

    #[test]
    fn classes_are_spread_evenly_where_that_is_asked_for() {
        // a fifth are of class 1, one alone of class 3
        let labels: Vec<u32> = (0..EXAMPLES).map(|i| if i == 70 { 3 } else { u32::from(i % 5 == 0) }).collect();
        let plan = BatchPlan { spread: true, ..BATCH_PLAN };
        let epoch = |epoch: u64| {
            let mut order = Order::new(plan, 3, EXAMPLES, None, Some(labels.clone()));
            let batches = (0..10).map(|i| order.batch(10 * epoch + i).positions.to_vec());
            batches.collect::<Vec<_>>()
        };
        let (mut first, second) = (epoch(0), epoch(1));
        for batch in first.iter().chain(&second) {
            let rare = batch.iter().filter(|&&i| labels[i as usize] == 1).count();
            assert!((0..=3).contains(&rare), "{rare} of 7, 1.3 on average");
        }
        for part in [&first[..5], &first[5..]] {
            let rare = part.iter().flatten().filter(|&&i| labels[i as usize] == 1).count();
            assert!((6..=8).contains(&rare), "{rare} of 35, 6.5 on average");
        }
        assert_ne!(first, second);
        let mut all: Vec<u32> = first.drain(..).flatten().collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 70);
    }

    #[test]
    fn every_epoch_takes_other_examples_in_another_order_once_each() {
        let epoch = |epoch: u64, seed: u64| {
            let mut order = over(BATCH_PLAN, seed, EXAMPLES, None);
            let mut all: Vec<u32> = Vec::new();
            for i in 0..10 {
                let batch = order.batch(10 * epoch + i);
                assert_eq!((batch.positions.len(), batch.epoch, batch.weights), (7, epoch, None));
                all.extend(batch.positions);
            }
            let mut sorted = all.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert!(sorted.len() == 70 && sorted.iter().all(|&i| i < EXAMPLES as u32));
            all
        };
        let (first, second) = (epoch(0, 3), epoch(1, 3));
        assert_ne!(first, second);
        assert_eq!(first, epoch(0, 3));
        assert_ne!(second, epoch(1, 4));
        let large = BatchPlan { batch: 1000, ..BATCH_PLAN };
        assert_eq!(over(large, 3, EXAMPLES, None).batch(5).positions.len(), EXAMPLES);
    }

    #[test]
    fn a_part_of_the_examples_stands_for_all_of_them() {
        let probability: Vec<f64> =
            (0..EXAMPLES).map(|i| if i % 3 == 0 { 1.0 } else { 0.2 + 0.001 * i as f64 }).collect();
        let inclusion = Arc::new(Inclusion::new(probability.clone()));
        let mut order = over(BATCH_PLAN, 3, EXAMPLES, Some(inclusion.clone()));
        let value = |i: u32| f64::from(i * i % 11);
        let (epochs, per_epoch) = (20_000, order.per_epoch());
        assert_eq!(per_epoch, (inclusion.mean() * EXAMPLES as f64 / 7.0) as u64);
        let (mut drawn, mut sum) = (vec![0.0; EXAMPLES], 0.0);
        for update in 0..epochs * per_epoch {
            let batch = order.batch(update);
            for (&i, &weight) in batch.positions.iter().zip(batch.weights.unwrap()) {
                drawn[i as usize] += 1.0;
                sum += value(i) * f64::from(weight);
            }
        }
        // of those drawn some are left over, all as likely
        let total = (epochs * per_epoch * 7) as f64;
        for (drawn, p) in drawn.iter().zip(&probability) {
            let expected = total * p / (inclusion.mean() * EXAMPLES as f64);
            assert!((drawn / expected - 1.0).abs() < 0.05, "{drawn} draws, {expected} expected");
        }
        let mean = (0..EXAMPLES as u32).map(value).sum::<f64>() / EXAMPLES as f64;
        assert!((sum / total / mean - 1.0).abs() < 5e-3, "{} for {mean}", sum / total);
    }

    #[test]
    fn weights_to_a_power_differ_less_and_are_one_on_average() {
        let probability: Vec<f64> = (0..EXAMPLES).map(|i| 0.2 + 0.01 * i as f64).collect();
        let inclusion = Arc::new(Inclusion::new(probability.clone()));
        for power in [0.0, 0.6, 2.0] {
            let plan = BatchPlan { importance: Importance { power, ..Importance::USUAL }, ..BATCH_PLAN };
            let mut order = over(plan, 3, EXAMPLES, Some(inclusion.clone()));
            for update in 0..12 {
                let batch = order.batch(update);
                let weights: Vec<f64> = batch.weights.unwrap().iter().map(|&w| f64::from(w)).collect();
                assert!((weights.iter().sum::<f64>() / 7.0 - 1.0).abs() < 1e-6, "power {power}: {weights:?}");
                let p = |n: usize| probability[batch.positions[n] as usize];
                for n in 1..7 {
                    let want = (p(0) / p(n)).powf(power);
                    assert!((weights[n] / weights[0] / want - 1.0).abs() < 1e-6, "power {power}: {weights:?}");
                }
            }
        }
    }

    #[test]
    fn what_would_leave_less_than_a_mini_batch_is_left_alone() {
        let few = Arc::new(Inclusion::new(vec![0.05; EXAMPLES]));
        assert_eq!(over(BATCH_PLAN, 3, EXAMPLES, Some(few)).batch(0).weights, None);
    }
}
