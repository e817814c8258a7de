//! Screening: a linear model is asked which examples are worth a forward pass of the network.
//!
//! The choice of examples in a batch saves backward passes; where most examples are easy, the forward passes that remain are what a
//! sweep costs. Softmax regression on coarse pixels costs a fiftieth of them, its subset minimum has a Q far above one, and an
//! example that it is sure of tells the network little. So an epoch of the sweep takes an example with the probability
//! P = max(0.15, 1 − p), p being what the linear model gives to the example's class, and counts it 1/P times: the mean over draws is
//! that of all examples. (Selection by proxy: Coleman and others 2020, arXiv 1906.11829, who leave out what is easy; importance
//! sampling: Katharopoulos and Fleuret 2018, arXiv 1803.00942.)

use super::{Subset, overdetermination};
use crate::device::Gpu;
use crate::error::Result;
use crate::model::{Description, Model};
use crate::objective::{Cost, Examples, Objective, Workspace};
use crate::optimise::{Inclusion, Lbfgs, OnGpu, Optimiser, lbfgs};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// No example is less likely: the linear model may be wrong about it, and then it counts 1/P times.
const LEAST: f64 = 0.15;

/// Pixels are averaged until the longer side has at most so many.
const LONGEST_SIDE: usize = 16;

/// The linear model learns from one in so many examples, …
const ONE_IN: usize = 20;

/// … in so many passes of L-BFGS, …
const PASSES: f64 = 12.0;

/// … with so much weight decay.
const WEIGHT_DECAY: f64 = 1e-2;

/// Q that its subset must have: with less, it learns its subset by heart and is sure of too much.
const LEAST_OVERDETERMINATION: f64 = 3.0;

/// Screening may take so much of the budget, …
const MOST_OF_BUDGET: f64 = 0.1;

/// … and has to leave no more than this of what a gradient of the same variance costs, …
const WORTH_IT: f64 = 0.75;

/// … by so many examples.
const LOOKED_AT: usize = 1000;

/// Device memory for the linear model's activations, in bytes.
const MEMORY: u64 = 64 << 20;

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
    /// What remains of the cost of a gradient of the same variance, if examples are as hard for the network as for the linear model.
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
    /// Screens the examples `full` for training `model` within `budget` units. None where the linear model would take too much of it, or has
    /// too few examples to learn from.
    ///
    /// # Errors
    /// What the device reports.
    pub fn new(gpu: &Gpu, train: &Arc<Examples>, full: &Subset, model: &Model, budget: f64) -> Result<Option<Self>> {
        let size = train.shape.height.max(train.shape.width).div_ceil(LONGEST_SIDE);
        if train.shape.height.min(train.shape.width) < size {
            return Ok(None);
        }
        let linear = Arc::new(Model::new(&Description::linear(size), train.shape, model.classes)?);
        let examples = full.len() / ONE_IN;
        let q = overdetermination(examples, linear.classes, linear.parameters());
        // an example forward and backward costs so much of one through the network
        let share = linear.multiply_adds() as f64 / model.multiply_adds() as f64;
        let most = (examples as f64 * PASSES + full.len() as f64 / 3.0) * share;
        if q < LEAST_OVERDETERMINATION || most > MOST_OF_BUDGET * budget {
            return Ok(None);
        }

        let workspace = Arc::new(Workspace::new(gpu, linear.clone(), MEMORY)?);
        let objective = |indices: &[u32]| Objective::new(gpu, &workspace, train, indices, WEIGHT_DECAY);
        let subset = Subset::draw(Default::default(), &train.labels, &full.indices, examples, (full.seed, 3));
        let mut problem = OnGpu::new(objective(&subset.indices)?)?;
        let start = problem.space.upload(&vec![0.0; linear.vector_len()])?;
        let mut lbfgs = Lbfgs::new(&mut problem, start, None, lbfgs::Settings::default())?;
        while problem.cost().units() < PASSES * examples as f64 {
            if lbfgs.step(&mut problem)?.stop.is_some() {
                break;
            }
        }
        let theta = Optimiser::<OnGpu>::parameters(&lbfgs);

        let chance = |losses: &[f32]| -> Vec<f64> {
            losses.iter().map(|&loss| (1.0 - f64::from(-loss).exp()).clamp(LEAST, 1.0)).collect()
        };
        let unseen = Subset::draw(
            Default::default(),
            &train.labels,
            &without(&full.indices, &subset.indices),
            LOOKED_AT.min(full.len() - examples),
            (full.seed, 4),
        );
        let mut look = objective(&unseen.indices)?;
        let (mut evaluation, losses) = look.losses(theta)?;
        let remaining_cost = remaining(&losses, &chance(&losses), share / 3.0);
        let mut spent = problem.cost().units() + look.cost().units();
        let mut inclusion = None;
        if remaining_cost < WORTH_IT {
            let mut all = objective(&full.indices)?;
            let (of_all, losses) = all.losses(theta)?;
            spent += all.cost().units();
            evaluation = of_all;
            inclusion = Some(Arc::new(Inclusion::new(chance(&losses))));
        }
        let cost = Cost { forward: (3.0 * spent * share).ceil() as u64, ..Cost::default() };
        let report = ScreeningReport {
            examples,
            overdetermination: q,
            units: cost.units(),
            accuracy: evaluation.accuracy,
            remaining_cost,
            share: inclusion.as_ref().map_or(1.0, |inclusion| inclusion.mean()),
        };
        Ok(Some(Self { inclusion, report, cost }))
    }
}

/// Those of `all` that are not among `some`; both ascend.
fn without(all: &[u32], some: &[u32]) -> Vec<u32> {
    all.iter().copied().filter(|i| some.binary_search(i).is_err()).collect()
}

/// Variance times cost of a gradient with examples drawn by P, relative to all as likely. Squares of gradients stand to one another as those of
/// 1 − p; an example drawn costs a unit at most, one that is screened `screening`.
fn remaining(losses: &[f32], probability: &[f64], screening: f64) -> f64 {
    let mean = |sum: f64| sum / losses.len() as f64;
    let square = |&loss: &f32| (1.0 - f64::from(-loss).exp()).powi(2);
    let all = mean(losses.iter().map(square).sum());
    let drawn = mean(losses.iter().zip(probability).map(|(loss, p)| square(loss) / p).sum());
    let cost = screening + mean(probability.iter().sum());
    drawn * cost / all
}
