//! The Kronecker factors: what looking at them, inverting them and dividing by them takes, and a large inverse,
//! checked.

use super::network::{NETWORKS, Network};
use super::timed::median;
use crate::batch::Looks;
use crate::device::Gpu;
use crate::error::{DeviceError, Result};
use crate::kernels::blocks::Blocks;
use crate::objective::Kronecker;
use crate::program::Program;
use crate::shape::Shape;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::time::Instant;

/// A step of K-FAC on one network, the inverse of one factor, or the orthogonalisation of one matrix.
#[derive(Clone, Debug, Serialize)]
pub struct FactorStep {
    /// `mnist-14k factors`, `inverse 1152x1152`, …
    pub name: String,
    /// Median of the seconds after the first run.
    pub seconds: f64,
    /// Seconds as a multiple of those of a gradient over 1,875 examples, for a network's.
    pub of_gradient: Option<f64>,
    /// ‖A X − I‖ / (‖A‖ ‖X‖) of an inverse X, largest entries; of an orthogonalised matrix the largest error as a share
    /// of the largest entry.
    pub residual: Option<f64>,
}

/// Examples of the gradient that steps are compared with, and of the factors.
pub(super) const SUBSET: usize = 1875;
const SAMPLE: usize = 512;

/// Rows of the inverses that are checked: the patches of 128 channels under a 3 × 3 filter, and net C's largest factor.
const SIDES: [usize; 2] = [513, 1152];

/// Residuals beyond this are faults.
const TOLERANCE: f64 = 1e-5;

/// Every step whose name contains `filter`, `repetitions` times.
///
/// # Errors
/// What the device reports; [`Error::Device`](crate::error::Error::Device) for an inverse that is wrong.
pub fn factors(gpu: &Gpu, filter: &str, memory: u64, repetitions: usize) -> Result<Vec<FactorStep>> {
    let mut rows = Vec::new();
    for (name, shape) in NETWORKS.into_iter().filter(|(name, _)| name.contains(filter)) {
        rows.extend(network(gpu, name, shape, memory, repetitions)?);
    }
    for side in SIDES {
        let name = format!("inverse {side}x{side}");
        if name.contains(filter) {
            rows.push(inverse(gpu, name, side, repetitions)?);
        }
    }
    Ok(rows)
}

/// Median seconds of a step after a first run; `run` leaves work on the device, which is waited for.
pub(super) fn time(gpu: &Gpu, repetitions: usize, mut run: impl FnMut(u64) -> Result<()>) -> Result<f64> {
    let mut seconds = Vec::new();
    for round in 0..=repetitions {
        gpu.wait()?;
        let start = Instant::now();
        run(round as u64)?;
        gpu.wait()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    let mut after = seconds.split_off(1);
    after.sort_by(f64::total_cmp);
    Ok(median(&after))
}

fn network(gpu: &Gpu, name: &str, shape: Shape, memory: u64, repetitions: usize) -> Result<Vec<FactorStep>> {
    let network = Network::new(gpu, name, shape, SUBSET, memory)?;
    let Network { theta, gradient, .. } = &network;
    let direction = gpu.alloc("bench.direction", theta.len())?;
    let mut objective = network.objective(gpu, SUBSET)?;
    let mut kronecker = Kronecker::new(&objective, Looks::USUAL.at(SAMPLE))?;

    let of_gradient = time(gpu, repetitions, |_| objective.loss_and_gradient(theta, gradient).map(|_| ()))?;
    let looks = time(gpu, repetitions, |round| kronecker.update(theta, round, 0.0).map(drop))?;
    // another λ each time, or the inverses are still there
    let all = time(gpu, repetitions, |round| kronecker.precondition(0.01 + 0.01 * round as f64, gradient, &direction))?;
    let product = time(gpu, repetitions, |_| kronecker.precondition(1.0, gradient, &direction))?;
    if gpu.read::<f32>(&direction)?.iter().any(|x| !x.is_finite()) {
        let what = format!("{name}: the direction");
        return Err(DeviceError::NotFinite { adapter: gpu.info.name.clone(), what }.into());
    }
    let row = |step: &str, seconds: f64| FactorStep {
        name: format!("{name} {step}"),
        seconds,
        of_gradient: Some(seconds / of_gradient),
        residual: None,
    };
    Ok(vec![
        row(&format!("gradient over {SUBSET}"), of_gradient),
        row(&format!("factors from {SAMPLE}"), looks),
        row("inverses", (all - product).max(0.0)),
        row("product with them", product),
    ])
}

/// The damped inverse of a random factor of half its rank.
fn inverse(gpu: &Gpu, name: String, side: usize, repetitions: usize) -> Result<FactorStep> {
    let (mut rng, rank, delta) = (ChaCha8Rng::seed_from_u64(1), side / 2, 1e-2f32);
    let x: Vec<f64> = (0..rank * side).map(|_| rng.random_range(-1.0..1.0)).collect();
    let entry = |i: usize, j: usize| (0..rank).map(|k| x[k * side + i] * x[k * side + j]).sum::<f64>() / rank as f64;
    let half: Vec<Vec<f32>> = (0..side).map(|i| (0..=i).map(|j| entry(i, j) as f32).collect()).collect();
    let a: Vec<f32> = (0..side * side).map(|at| half[(at / side).max(at % side)][(at / side).min(at % side)]).collect();
    let room = Blocks::new(gpu, &[[side, 1]])?;
    gpu.write(&room.matrix(0), &a);
    gpu.write(&room.deltas, &[delta]);
    let mut program = Program::default();
    program.extend(room.invert(gpu)?);
    let seconds = time(gpu, repetitions, |_| program.run(gpu))?;

    let inverse = room.read_inverse(gpu, 0)?;
    let largest = |m: &[f32]| m.iter().fold(0f64, |most, x| most.max(f64::from(x.abs())));
    let mut worst = 0f64;
    for i in (0..side).step_by(7) {
        for j in 0..side {
            let damped = |k: usize| f64::from(a[i * side + k]) + if i == k { f64::from(delta) } else { 0.0 };
            let product: f64 = (0..side).map(|k| damped(k) * f64::from(inverse[k * side + j])).sum();
            worst = worst.max((product - f64::from(u8::from(i == j))).abs()); // NaN shows in the scale below
        }
    }
    let residual = worst / (largest(&a) * largest(&inverse));
    if !(residual <= TOLERANCE && inverse.iter().all(|x| x.is_finite())) {
        return Err(DeviceError::Wrong { adapter: gpu.info.name.clone(), what: name, error: residual }.into());
    }
    Ok(FactorStep { name, seconds, of_gradient: None, residual: Some(residual) })
}
