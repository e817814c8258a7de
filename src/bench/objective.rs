//! The passes of an objective on random images: what an evaluation of a whole subset costs, and one of a small block.

use super::network::{NETWORKS, Network};
use super::timed::median;
use crate::device::Gpu;
use crate::error::{DeviceError, Result};
use serde::Serialize;
use std::time::Instant;

/// One pass of one network over so many examples.
#[derive(Clone, Debug, Serialize)]
pub struct PassRow {
    /// Built-in network.
    pub model: &'static str,
    /// What was evaluated.
    pub pass: &'static str,
    /// Examples.
    pub examples: usize,
    /// Seconds of the first evaluation. That of a network's first row has the kernels of all of its passes compiled, as
    /// a training does.
    pub first: f64,
    /// Median of the seconds after it.
    pub seconds: f64,
    /// Least and most.
    pub spread: [f64; 2],
    /// 10⁹ products and sums a second: units (an example forward and backward) · 6 · multiply-adds.
    pub gflops: f64,
    /// Seconds as a multiple of the gradient's over as many examples.
    pub of_gradient: f64,
    /// Examples a second, as a share of the gradient's over the most examples.
    pub rate: f64,
}

/// Sizes of the blocks that a sweep over disjoint subsets lives on.
const BLOCKS: [usize; 2] = [192, 469];

/// Name, and units an example.
const PASSES: [(&str, f64); 4] =
    [("gradient", 1.0), ("forward", 1.0 / 3.0), ("r-forward", 1.0), ("gauss-newton", 5.0 / 3.0)];

/// Every pass over `examples` random images, and the gradient over small blocks, `repetitions` times each in turns.
///
/// # Errors
/// What the device reports.
pub fn passes(
    gpu: &Gpu,
    filter: &str,
    examples: usize,
    memory: u64,
    repetitions: usize,
    mut progress: impl FnMut(&str),
) -> Result<Vec<PassRow>> {
    let mut rows = Vec::new();
    for (name, shape) in NETWORKS.into_iter().filter(|(name, _)| name.contains(filter)) {
        let network = Network::new(gpu, name, shape, examples, memory)?;
        let Network { model, theta, gradient, .. } = &network;
        let mut timed = Vec::new();
        let sizes = BLOCKS.into_iter().filter(|&block| block < examples).map(|block| (block, 1));
        for (size, count) in std::iter::once((examples, PASSES.len())).chain(sizes) {
            for (pass, units) in &PASSES[..count] {
                timed.push((network.objective(gpu, size)?, *pass, *units, Vec::new()));
            }
        }
        for round in 0..=repetitions {
            progress(&format!("{name}, round {round} of {repetitions}"));
            if round == 1 {
                gpu.wait_for_kernels()?; // no thread is to disturb what is timed
            }
            for (i, (objective, pass, _, seconds)) in timed.iter_mut().enumerate() {
                let start = Instant::now();
                if round == 0 && i == 0 {
                    objective.prepare()?;
                }
                let evaluation = match *pass {
                    "gradient" => objective.loss_and_gradient(theta, gradient)?,
                    "forward" => objective.loss(theta)?,
                    "r-forward" => objective.tangent(theta, theta)?.0,
                    _ => objective.gauss_newton_product(theta, theta, gradient)?,
                };
                seconds.push(start.elapsed().as_secs_f64());
                if let Some(what) = evaluation.not_finite {
                    let what = format!("{name}, {pass}: {what}");
                    return Err(DeviceError::NotFinite { adapter: gpu.info.name.clone(), what }.into());
                }
            }
        }
        let sorted = |seconds: &[f64]| {
            let mut after = seconds[1..].to_vec();
            after.sort_by(f64::total_cmp);
            after
        };
        let of_gradient = median(&sorted(&timed[0].3));
        let whole_rate = examples as f64 / of_gradient;
        rows.extend(timed.iter().map(|(objective, pass, units, seconds)| {
            let (size, sorted) = (objective.len(), sorted(seconds));
            let seconds_of = median(&sorted);
            PassRow {
                model: name,
                pass,
                examples: size,
                first: seconds[0],
                seconds: seconds_of,
                spread: [sorted[0], sorted[sorted.len() - 1]],
                gflops: 6e-9 * units * (model.multiply_adds() * size) as f64 / seconds_of,
                of_gradient: seconds_of / of_gradient * examples as f64 / size as f64,
                rate: size as f64 / seconds_of / whole_rate,
            }
        }));
    }
    Ok(rows)
}
