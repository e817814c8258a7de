//! The orthogonalisation of a matrix, checked and timed.

use super::check::error_of;
use super::factors::{FactorStep, time};
use crate::device::Gpu;
use crate::error::{DeviceError, Result};
use crate::kernels::newton_schulz::{NewtonSchulz, Squares, reference};
use crate::program::Program;
use crate::update::Matrix;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// 3 × 3 filters of 64 and 96 channels, and a dense layer.
const SHAPES: [[usize; 2]; 3] = [[64, 576], [96, 864], [256, 1024]];

/// Errors beyond this share of the largest value are faults. Rounding grows by some hundreds in five iterations.
const TOLERANCE: f64 = 1e-3;

/// That of every shape whose name contains `filter`, `repetitions` times.
///
/// # Errors
/// What the device reports; [`Error::Device`](crate::error::Error::Device) for a result that is wrong.
pub fn orthogonalisations(gpu: &Gpu, filter: &str, repetitions: usize) -> Result<Vec<FactorStep>> {
    let named = SHAPES.map(|[rows, columns]| (format!("orthogonalise {rows}x{columns}"), [rows, columns]));
    let chosen = named.into_iter().filter(|(name, _)| name.contains(filter));
    chosen.map(|(name, shape)| orthogonalise(gpu, name, shape, repetitions)).collect()
}

fn orthogonalise(gpu: &Gpu, name: String, [rows, columns]: [usize; 2], repetitions: usize) -> Result<FactorStep> {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let matrix = Matrix { start: 0, rows, columns };
    let u: Vec<f32> = (0..rows * columns).map(|_| rng.random_range(-1.0..1.0)).collect();
    let exact: Vec<f64> = u.iter().map(|&u| f64::from(u)).collect();
    let sums = gpu.upload("bench.squares", &[matrix.norm(&exact).powi(2) as f32])?;
    let room = NewtonSchulz::new(gpu, &[matrix])?;
    let mut program = Program::default();
    program.extend(room.orthogonalise(gpu, &gpu.upload("bench.matrix", &u)?, &Squares { sums, parts: 1 })?);
    let seconds = time(gpu, repetitions, |_| program.run(gpu))?;
    let error = error_of(&room.read(gpu, 0)?, &reference::orthogonalise(&matrix, &exact));
    if error <= TOLERANCE {
        Ok(FactorStep { name, seconds, of_gradient: None, residual: Some(error) })
    } else {
        Err(DeviceError::Wrong { adapter: gpu.info.name.clone(), what: name, error }.into())
    }
}
