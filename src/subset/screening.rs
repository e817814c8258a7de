//! Screening: a linear model is asked which examples are worth a forward pass of the network.
//!
//! The choice of examples in a batch saves backward passes; where most examples are easy, the forward passes that
//! remain are what a sweep costs. Softmax regression on coarse pixels costs next to nothing beside them, its subset
//! minimum has a Q far above one, and an example that it is sure of tells the network little. So an epoch of the sweep
//! takes an example with the probability P = max(0.05, 1 − p), p being what the linear model gives to the example's
//! class, and counts it 1/P times, to a power below one: with power one the mean over draws is that of all examples.
//! ([`Importance`] has these numbers. Selection by
//! proxy: Coleman and others 2020, arXiv 1906.11829, who leave out what is easy; importance sampling: Katharopoulos and
//! Fleuret 2018, arXiv 1803.00942.)

use super::overdetermination::overdetermination;
use super::sampling::{Sampling, Subset};
use crate::batch::Looks;
use crate::cost::{Cost, Units, Yardstick};
use crate::device::{Buf, Gpu};
use crate::error::{Error, Result};
use crate::model::{Description, Model};
use crate::objective::{Examples, Objective, Workspace};
use crate::optimise::{BatchPlan, Calls, Importance, Inclusion, Lbfgs, LbfgsSettings, Method, Optimiser, Problem};
use crate::training::{Prices, SubsetProblem};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The linear model learns in so many passes of L-BFGS, …
const PASSES: usize = 12;

/// … with so much weight decay.
const WEIGHT_DECAY: f64 = 1e-2;

/// Q that its subset must have: with less, it learns its subset by heart and is sure of too much.
const LEAST_OVERDETERMINATION: f64 = 3.0;

/// More than this tells it nothing new.
const MOST_OVERDETERMINATION: f64 = 20.0;

/// It has to leave no more than this of what a gradient of the same variance costs, …
const WORTH_IT: f64 = 0.75;

/// … judged by so many examples.
const LOOKED_AT: usize = 1000;

/// Device memory for the linear model's activations, in bytes.
const MEMORY: u64 = 256 << 20;

/// Keep its draws apart from others of the same seed.
const STREAMS: [u64; 2] = [u64::MAX, u64::MAX - 1];

/// What screening came to, for `run.json`. Costs are in examples forward and backward.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScreeningReport {
    /// Examples that the linear model learned from, and its Q = K·M/P.
    pub examples: usize,
    /// Q
    pub overdetermination: f64,
    /// What the choice costs, the linear model's training included.
    pub units: f64,
    /// Share of the examples that it classifies right; of some, where it was not used.
    pub accuracy: f64,
    /// What remains of the cost of a gradient of the same variance, if examples are as hard for the network as for the
    /// linear model.
    pub remaining_cost: f64,
    /// Share of the examples in an epoch: all where it is not worth it.
    pub share: f64,
}

/// The probabilities it found, if it is worth it, and what it came to.
pub struct Screening {
    /// Of the examples of the full set, in its order.
    pub inclusion: Option<Arc<Inclusion>>,
    /// For the record.
    pub report: ScreeningReport,
    /// As passes of the network.
    pub cost: Cost,
}

impl Screening {
    /// Screens the examples `full`, or those that they are copies of, for training `model` in mini-batches. None where
    /// the cost is not affordable, where the linear model has too few examples to learn from, or where the images are
    /// too large, or too thin, for it.
    ///
    /// # Errors
    /// What the device reports.
    pub fn new(
        gpu: &Gpu,
        train: &Arc<Examples>,
        full: &Subset,
        model: &Model,
        batches: &BatchPlan,
        is_affordable: impl Fn(Cost) -> bool,
    ) -> Result<Option<Self>> {
        let Importance { one_in, side, least, .. } = batches.importance;
        let size = train.shape.height.max(train.shape.width).div_ceil(side);
        let linear = Model::new(&Description::linear(size), train.shape, model.classes);
        let Some(linear) = linear.ok().filter(|linear| linear.classes > 1) else { return Ok(None) };
        let enough = MOST_OVERDETERMINATION * linear.parameters() as f64 / linear.classes as f64;
        let examples = (full.len() / one_in).min(enough.ceil() as usize);
        let q = overdetermination(examples, linear.classes, linear.parameters());
        let multiply_adds = [&linear, model].map(Model::multiply_adds);
        let likely =
            || likely_cost(&Prices::new(&linear, train.multiply_adds_of_copy(), Looks::USUAL), examples, full.len());
        if q < LEAST_OVERDETERMINATION || !is_affordable(of_network(likely(), multiply_adds)) {
            return Ok(None);
        }

        let start = vec![0.0; linear.vector_len()];
        let workspace = match Workspace::new(gpu, Arc::new(linear), MEMORY) {
            Err(Error::OutOfMemory(why)) => {
                tracing::info!("no screening: {why}");
                return Ok(None);
            }
            other => Arc::new(other?),
        };
        // unchanged: what a copy is like differs from epoch to epoch
        let unchanged: Vec<u32> = full.indices.iter().map(|i| i % train.len() as u32).collect();
        let objective = |indices: &[u32]| Objective::new(gpu, &workspace, train, indices, WEIGHT_DECAY);
        let draw =
            |sampling, of: &[u32], count, stream| Subset::draw(sampling, &train.labels, of, count, (full.seed, stream));
        let subset = draw(Sampling::Balanced, &unchanged, examples, STREAMS[0]);
        let mut problem = SubsetProblem::new(objective(&subset.indices)?)?;
        let start = problem.space().upload(&start)?;
        let lbfgs = learned(&mut problem, start, examples)?;
        let theta = lbfgs.parameters();

        // as an epoch would have them
        let others = without(&unchanged, &subset.indices);
        let unseen = draw(Sampling::Uniform, &others, LOOKED_AT.min(others.len()), STREAMS[1]);
        let mut unseen_loss = objective(&unseen.indices)?;
        let (mut evaluation, losses) = unseen_loss.losses(theta)?;
        let screening = multiply_adds[0] as f64 / multiply_adds[1] as f64 / 3.0;
        let remaining_cost = remaining(&doubts(&losses), least, screening);
        let mut spent = problem.cost() + unseen_loss.cost();
        let mut inclusion = None;
        if remaining_cost < WORTH_IT {
            let mut all = objective(&unchanged)?;
            let (of_all, losses) = all.losses(theta)?;
            spent += all.cost();
            evaluation = of_all;
            // an epoch has to fill a mini-batch
            let chances = doubts(&losses).into_iter().map(|doubt| chance(doubt, least));
            inclusion = Some(Arc::new(Inclusion::new(chances.collect())))
                .filter(|found| found.drawn() >= batches.batch_of(full.len()));
        }
        let cost = of_network(spent, multiply_adds);
        let report = ScreeningReport {
            examples,
            overdetermination: q,
            units: cost.units().count(),
            accuracy: evaluation.accuracy,
            remaining_cost,
            share: inclusion.as_ref().map_or(1.0, |inclusion| inclusion.mean()),
        };
        Ok(Some(Self { inclusion, report, cost }))
    }
}

/// Where L-BFGS ends after its passes over so many examples.
fn learned(problem: &mut SubsetProblem, start: Buf, examples: usize) -> Result<Lbfgs<SubsetProblem>> {
    let mut lbfgs = Lbfgs::new(problem, start, None, LbfgsSettings::default())?;
    while problem.cost().network_units() < Units::of_passes(PASSES as f64, examples) {
        if lbfgs.step(problem)?.stop.is_some() {
            break;
        }
    }
    Ok(lbfgs)
}

/// What it costs, about, to train the linear model on so many examples and to ask it about so many.
fn likely_cost(prices: &Prices, examples: usize, asked: usize) -> Cost {
    let vectors = PASSES * Method::Lbfgs(LbfgsSettings::default()).first_step().vectors;
    prices.of(Calls { vectors, ..Calls::of_evaluations(PASSES) }, examples, None) + prices.loss(asked)
}

/// What was done with the linear model as passes of the network, these being so many multiply-adds each.
fn of_network(spent: Cost, [linear, model]: [usize; 2]) -> Cost {
    let passes = 3.0 * spent.network_units().count() * (linear as f64 / model as f64);
    let besides = Yardstick::new(linear).multiply_adds(spent.units() - spent.network_units());
    Cost { forward: passes.ceil() as u64, ..Yardstick::new(model).cost(besides) }
}

/// Those of `all` that are not among `some`; both ascend.
fn without(all: &[u32], some: &[u32]) -> Vec<u32> {
    all.iter().copied().filter(|i| some.binary_search(i).is_err()).collect()
}

/// 1 − p of each example.
fn doubts(losses: &[f32]) -> Vec<f64> {
    losses.iter().map(|&loss| 1.0 - f64::from(-loss).exp()).collect()
}

/// P of an example, no less than `least`.
fn chance(doubt: f64, least: f64) -> f64 {
    doubt.clamp(least, 1.0)
}

/// Variance times cost of a gradient with examples drawn by P, relative to all as likely. Squares of gradients stand to
/// one another as those of 1 − p; an example drawn costs a unit at most, one that is screened `screening`.
fn remaining(doubts: &[f64], least: f64, screening: f64) -> f64 {
    let mean = |of: &dyn Fn(f64) -> f64| doubts.iter().map(|&doubt| of(doubt)).sum::<f64>() / doubts.len() as f64;
    let all = mean(&|doubt| doubt * doubt);
    if all == 0.0 {
        return 1.0; // nothing is left to learn
    }
    let drawn = mean(&|doubt| doubt * doubt / chance(doubt, least));
    let cost = screening + mean(&|doubt| chance(doubt, least));
    drawn * cost / all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The loss of an example to whose class the model gives p.
    fn loss(p: f64) -> f32 {
        -p.ln() as f32
    }

    #[test]
    fn what_remains_is_variance_times_cost() {
        // of ten examples nine are all but known; drawn in proportion, a tenth of the cost and of the variance
        let mut losses = vec![loss(0.99); 9];
        losses.push(loss(1e-9));
        let mean_square = (9.0 * 1e-4 + 1.0) / 10.0;
        let drawn = (9.0 * 1e-4 / 0.15 + 1.0) / 10.0 * (0.01 + (9.0 * 0.15 + 1.0) / 10.0);
        assert!((remaining(&doubts(&losses), 0.15, 0.01) - drawn / mean_square).abs() < 1e-6);
        // all as hard: nothing is gained, and the screening is paid for
        assert!((remaining(&doubts(&[loss(0.5); 4]), 0.15, 0.01) - 0.51 / 0.5).abs() < 1e-6);
        assert_eq!(remaining(&doubts(&[0.0; 4]), 0.15, 0.01), 1.0);
    }

    #[test]
    fn what_is_left_of_a_set_is_in_order() {
        assert_eq!(without(&[0, 2, 3, 7, 9], &[2, 9]), [0, 3, 7]);
    }
}
