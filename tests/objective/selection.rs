//! Gradients from the examples of a mini-batch that a draw keeps.

use crate::common::problem::Problem;
use crate::common::twin::{dot, relative_error};
use crate::common::{gpu, gpus_and_cases};
use crate::{NETS, OnDevice, problem};
use gpu_subset::batch::{Batch, Chosen, Draw};
use gpu_subset::kernels::selection::reference as selection;
use gpu_subset::kernels::softmax_xent::reference as xent;
use gpu_subset::model::reference::Maps;

pub const SEED: u64 = 0x5eed_0123_4567_89ab;
const KEY: [u32; 2] = [0x4567_89ab, 0x5eed_0123];

/// Logits of the examples of a problem, in its order, each with its label.
fn logits(problem: &Problem, theta: &[f64]) -> Vec<(Vec<f64>, usize)> {
    let x = problem.activations(theta);
    let rows = x[x.len() - 1].chunks_exact(problem.twin.model.classes).map(<[f64]>::to_vec);
    rows.zip(&problem.indices).map(|(z, &i)| (z, problem.label(i))).collect()
}

/// The sum of the gradients of some examples, each so many times, which count `shares` in means over examples.
fn sums(
    problem: &Problem,
    theta: &[f64],
    logits: &[(Vec<f64>, usize)],
    of: &[(usize, f64)],
    shares: Option<Vec<f64>>,
) -> Vec<f64> {
    let mut dz = vec![0.0; logits.len() * problem.twin.model.classes];
    for &(n, weight) in of {
        let row = xent::gradient(&logits[n].0, logits[n].1, problem.smoothing);
        dz[n * row.len()..(n + 1) * row.len()].iter_mut().zip(row).for_each(|(dz, r)| *dz = weight * r);
    }
    let ops = Maps { shares, ..problem.twin.ops.clone() };
    ops.vjp(theta, &problem.activations(theta), dz, |_, _| {})
}

/// The gradient of the examples kept, each counting as `weights` say, with that of the last layer's weights from all,
/// and how many are kept; nothing where rounding may decide whether one is.
pub fn expected(problem: &Problem, theta: &[f64], step: u32, weights: Option<&[f32]>) -> Option<(Vec<f64>, usize)> {
    let logits = logits(problem, theta);
    let weight = |n: usize| weights.map_or(1.0, |weights| f64::from(weights[n]));
    let score: Vec<f64> = logits
        .iter()
        .enumerate()
        .map(|(n, (z, label))| weight(n) * xent::residual(z, *label, problem.smoothing))
        .collect();
    let tau = selection::threshold(&score);
    let is_clear = |(s, &i): (&f64, &u32)| (selection::uniform(i, step, KEY) * tau - s).abs() > 1e-3 * s;
    if !score.iter().zip(&problem.indices).all(is_clear) {
        return None;
    }
    let kept = selection::choose(&score, &problem.indices, step, KEY);
    let mut shares = vec![0.0; logits.len()];
    kept.iter().for_each(|&(n, factor)| shares[n] = factor);
    let kept: Vec<_> = kept.into_iter().map(|(n, factor)| (n, weight(n) * factor)).collect();
    let sums = |of: &[(usize, f64)], shares| sums(problem, theta, &logits, of, shares);
    let (mut gradient, last) =
        (sums(&kept, Some(shares)), problem.twin.ops.maps.last().map_or(0, |op| op.parameters()));
    let head = gradient.len() - last..;
    let all: Vec<_> = (0..logits.len()).map(|n| (n, weight(n))).collect();
    gradient[head.clone()].copy_from_slice(&sums(&all, None)[head]);
    Some((problem.mean_and_decay(gradient, theta), kept.len()))
}

#[test]
fn the_gradient_is_that_of_the_examples_kept_with_their_weights() {
    for (gpu, nets) in gpus_and_cases(NETS.len()) {
        for which in nets {
            for (examples, chunk) in [(33, 64), (192, 192), (257, 320)] {
                let smoothing = if which % 3 == 1 { 0.15 } else { 0.0 };
                let problem = problem(which, examples, 1e-2).minibatch().smoothed(smoothing);
                let theta = problem.parameters(61);
                let on_device = OnDevice::with_chunks(&gpu, &problem, chunk);
                let [mut minibatches, mut shared] =
                    [Chosen::Own, Chosen::Common].map(|choice| on_device.minibatches(examples, choice));
                let positions: Vec<u32> = (0..examples as u32).collect();
                let mut compared = 0;
                let uneven: Vec<f32> = (0..examples).map(|n| 0.25 + 0.5 * (n % 4) as f32).collect();
                for step in 0..6 {
                    let weights = (step % 2 == 1).then_some(&uneven[..]);
                    let Some((want, kept)) = expected(&problem, &theta, step, weights) else { continue };
                    let before = minibatches.cost();
                    let (theta, gradient) = (on_device.vector(&theta), on_device.unwritten());
                    let draw = Draw { seed: SEED, step: u64::from(step) };
                    let batch = Batch { positions: &positions, weights, epoch: 0, draw: Some(draw) };
                    minibatches.gradient(&theta, batch, &gradient).unwrap();
                    minibatches.take_evaluation().unwrap();
                    let error = relative_error(&on_device.compact(&gradient), &want);
                    assert!(error <= 1e-5, "net {which}, {examples} examples, draw {step}: off by {error:e}");
                    let scores = shared.scores(&theta, batch).unwrap().into_iter().map(f64::from).collect::<Vec<_>>();
                    let gradient = on_device.unwritten();
                    shared.gradient_by(selection::threshold(&scores) as f32, &gradient).unwrap();
                    assert_eq!(scores.len(), examples);
                    let error = relative_error(&on_device.compact(&gradient), &want);
                    assert!(error <= 1e-5, "net {which}, {examples} examples, a threshold that is given: {error:e}");
                    let cost = minibatches.cost();
                    let spent = (cost.forward - before.forward, cost.backward - before.backward);
                    assert_eq!(spent, (examples as u64, kept as u64), "net {which}: counts what it does");
                    shared.take_evaluation().unwrap();
                    compared += 1;
                }
                assert!(compared > 1, "net {which}, {examples} examples: draws are near a threshold");
            }
        }
    }
}

#[test]
fn the_mean_over_many_draws_is_the_gradient_of_all() {
    const DRAWS: u64 = 10_000;
    const READ: u64 = 400;
    let Some(gpu) = gpu() else { return };
    let problem = problem(2, 64, 1e-2);
    let theta = problem.parameters(62);
    // some count more than others, so that probabilities differ
    let weights: Vec<f32> = (0..64).map(|n| if n % 4 == 0 { 3.25 } else { 0.25 }).collect();
    let of_all: Vec<_> = weights.iter().enumerate().map(|(n, &weight)| (n, f64::from(weight))).collect();
    let full = problem.mean_and_decay(sums(&problem, &theta, &logits(&problem, &theta), &of_all, None), &theta);
    let on_device = OnDevice::with_chunks(&gpu, &problem, 64);
    let mut minibatches = on_device.minibatches(64, Chosen::Own);
    let positions: Vec<u32> = (0..64).collect();
    let (theta, gradient) = (on_device.vector(&theta), on_device.unwritten());
    let directions: Vec<Vec<f64>> = (0..5).map(|seed| problem.direction(seed)).collect();
    let along = |g: &[f64]| directions.iter().map(|v| dot(g, v)).collect::<Vec<f64>>();
    let (mut sum, mut squares, mut mean) = (vec![0.0; 5], vec![0.0; 5], vec![0.0; full.len()]);
    for step in 0..DRAWS {
        let draw = Draw { seed: SEED, step };
        let batch = Batch { positions: &positions, weights: Some(&weights), epoch: 0, draw: Some(draw) };
        minibatches.gradient(&theta, batch, &gradient).unwrap();
        let g = on_device.compact(&gradient);
        mean.iter_mut().zip(&g).for_each(|(mean, g)| *mean += g / DRAWS as f64);
        if step < READ {
            for ((along, sum), square) in along(&g).into_iter().zip(&mut sum).zip(&mut squares) {
                *sum += along / READ as f64;
                *square += along * along / READ as f64;
            }
        }
    }
    minibatches.take_evaluation().unwrap();
    let kept = minibatches.cost().backward as f64 / (64 * DRAWS) as f64;
    assert!((0.05..0.95).contains(&kept), "{kept} are kept: nothing is chosen");
    for (i, (mean, full)) in along(&mean).into_iter().zip(along(&full)).enumerate() {
        let deviation = (squares[i] - sum[i] * sum[i]).sqrt();
        let error = deviation / (DRAWS as f64).sqrt();
        assert!(deviation > 0.0, "draws differ");
        assert!(
            (mean - full).abs() <= 4.0 * error,
            "{mean} is {:.1} standard errors from {full}",
            (mean - full) / error
        );
    }
}
