//! Large Kronecker factors: those of a dense layer, the damped inverse of the larger one and a product with both, each
//! against f64.
//!
//! The layer reads a block of examples, so that its factors A = ZᵀZ / n are of low rank and (A + δI)⁻¹ =
//! (I − Zᵀ M⁻¹ Z) / δ with M = nδI + ZZᵀ (Woodbury 1950): every entry is known without inverting anything large.

use super::random::random_blocks;
use crate::batch::Looks;
use crate::device::{Buf, Gpu, Quads};
use crate::error::{DeviceError, Result};
use crate::kernels::blocks::{Blocks, Part, reference};
use crate::kernels::conv2d::Conv2d;
use crate::kernels::kronecker::reference::shared_damping;
use crate::kernels::kronecker::{Factor, damping};
use crate::model::{Description, Model};
use crate::objective::Kronecker;
use crate::program::Program;
use crate::shape::Shape;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::time::Instant;

/// How far from f64 the factors of one layer are: largest errors as parts of the largest entry.
#[derive(Clone, Debug, Serialize)]
pub struct FactorChain {
    /// Rows of the larger factor: inputs of the layer, and one.
    pub rows: usize,
    /// Error of the factor.
    pub factor: f64,
    /// Error of its damped inverse.
    pub inverse: f64,
    /// Error of a product with the inverses of both factors.
    pub product: f64,
    /// Seconds of factor, inverse and product, kernels compiled on the way.
    pub seconds: [f64; 3],
}

/// Units of the layer.
const OUTPUTS: usize = 10;

/// Damping.
const LAMBDA: f64 = 1e-2;

/// Errors beyond this are faults.
const TOLERANCE: f64 = 1e-4;

/// Factors, their inverses and a product, of a dense layer whose larger factor has so many rows.
///
/// # Errors
/// As [`Kronecker::check`] where the device cannot bind them; [`Error::Device`](crate::error::Error::Device) for values
/// that are wrong, and for what the device reports.
pub fn factor_chain(gpu: &Gpu, rows: usize) -> Result<FactorChain> {
    let (inputs, examples) = (rows - 1, gpu.profile.block);
    Kronecker::check(gpu, &Model::new(&Description::linear(1), Shape::vector(inputs), OUTPUTS)?, &Looks::USUAL)?;
    let mut rng = ChaCha8Rng::seed_from_u64(rows as u64);
    let (x, x_quads) = random_blocks(gpu, &mut rng, examples, inputs)?;
    let (dy, dy_quads) = random_blocks(gpu, &mut rng, examples, OUTPUTS)?;
    let v: Vec<f32> = (0..rows * OUTPUTS).map(|_| rng.random_range(-1.0..1.0)).collect();

    let room = Blocks::new(gpu, &[[rows, OUTPUTS], [OUTPUTS, rows]])?;
    let mut accumulate = Program::default();
    record_factor(gpu, &mut accumulate, (Conv2d::dense(inputs, OUTPUTS), true), &x_quads, room.matrix(0))?;
    record_factor(gpu, &mut accumulate, (Conv2d::dense(OUTPUTS, 1), false), &dy_quads, room.matrix(1))?;
    let (lambda, direction) = (gpu.upload("lambda", &[LAMBDA as f32])?, gpu.alloc("bench.direction", v.len())?);
    let (mut invert, mut apply) = (Program::default(), Program::default());
    invert.extend(damping(gpu, &room, &lambda)?);
    invert.extend(room.invert(gpu)?);
    let part = Part::whole(0, OUTPUTS, inputs);
    apply.extend(room.apply_inverse(gpu, &[part], &gpu.upload("bench.v", &v)?, &direction)?);
    let seconds = [time(gpu, &accumulate)?, time(gpu, &invert)?, time(gpu, &apply)?];

    let with_bias = x.chunks_exact(inputs).flat_map(|x| x.iter().copied().chain([1.0])).collect();
    let (a, g) = (LowRank { z: with_bias, side: rows }, LowRank { z: dy, side: OUTPUTS });
    let [delta_a, delta_g] = shared_damping([a.mean_of_diagonal(), g.mean_of_diagonal()], LAMBDA);
    let (a_damped, g_damped) = (a.damped(delta_a), g.damped(delta_g));
    let factor = error(&gpu.read(&room.matrix(0))?, rows, |i| a.row(i));
    let inverse = error(&room.read_inverse(gpu, 0)?, rows, |i| a_damped.row(i));
    let want = direction_of(&v, &a_damped, &g_damped);
    let product = error(&gpu.read(&direction)?, want.len(), |_| want.clone());
    let chain = FactorChain { rows, factor, inverse, product, seconds };
    match [factor, inverse, product].into_iter().find(|error| *error > TOLERANCE) {
        None => Ok(chain),
        Some(error) => {
            let what = format!("factor {factor:.0e}, inverse {inverse:.0e}, product {product:.0e} at {rows} rows");
            Err(DeviceError::Wrong { adapter: gpu.info.name.clone(), what, error }.into())
        }
    }
}

/// Σ of the products of the patches of x, as a mean over the examples.
fn record_factor(
    gpu: &Gpu,
    program: &mut Program,
    (patches, with_bias): (Conv2d, bool),
    x: &Quads,
    matrix: Buf,
) -> Result<()> {
    let factor = Factor::new(gpu, patches, with_bias, matrix)?;
    let examples = gpu.profile.block;
    factor.weigh(gpu, 0.0, 1.0 / examples as f64, examples);
    let partial = gpu.alloc("bench.partial", factor.partial_len(gpu, 1))?;
    program.extend(factor.accumulate(gpu, x, &partial)?);
    Ok(())
}

/// Seconds of a program, its first run.
fn time(gpu: &Gpu, program: &Program) -> Result<f64> {
    gpu.wait()?;
    let start = Instant::now();
    program.run(gpu)?;
    gpu.wait()?;
    Ok(start.elapsed().as_secs_f64())
}

/// A = ZᵀZ / n of so many examples, `z` `[n][side]`.
struct LowRank {
    z: Vec<f64>,
    side: usize,
}

/// (A + δI)⁻¹ = (I − Zᵀ Y) / δ with Y = M⁻¹ Z `[n][side]`.
struct Damped<'a> {
    of: &'a LowRank,
    y: Vec<f64>,
    delta: f64,
}

/// Σ over k of c\[k\] times row k of a matrix with so many columns.
fn combine(c: &[f64], rows: &[f64], columns: usize) -> Vec<f64> {
    let mut sum = vec![0.0; columns];
    for (c, row) in c.iter().zip(rows.chunks_exact(columns)) {
        sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += c * x);
    }
    sum
}

impl LowRank {
    fn examples(&self) -> usize {
        self.z.len() / self.side
    }

    fn column(&self, i: usize) -> Vec<f64> {
        self.z[i..].iter().step_by(self.side).copied().collect()
    }

    fn row(&self, i: usize) -> Vec<f64> {
        let mut row = combine(&self.column(i), &self.z, self.side);
        row.iter_mut().for_each(|sum| *sum /= self.examples() as f64);
        row
    }

    fn mean_of_diagonal(&self) -> f64 {
        self.z.iter().map(|z| z * z).sum::<f64>() / self.z.len() as f64
    }

    /// z\[k\] · v of every example.
    fn along(&self, v: &[f64]) -> Vec<f64> {
        self.z.chunks_exact(self.side).map(|z| z.iter().zip(v).map(|(z, v)| z * v).sum()).collect()
    }

    fn damped(&self, delta: f64) -> Damped<'_> {
        let mut m: Vec<f64> = self.z.chunks_exact(self.side).flat_map(|z| self.along(z)).collect();
        let n = self.examples();
        (0..n).for_each(|k| m[k * n + k] += n as f64 * delta);
        let inverse = reference::inverse(&m);
        let y = inverse.chunks_exact(n).flat_map(|c| combine(c, &self.z, self.side)).collect();
        Damped { of: self, y, delta }
    }
}

impl Damped<'_> {
    /// (v − Σ c\[k\] y\[k\]) / δ
    fn less(&self, v: &[f64], c: &[f64]) -> Vec<f64> {
        let sums = combine(c, &self.y, self.of.side);
        v.iter().zip(sums).map(|(v, sum)| (v - sum) / self.delta).collect()
    }

    fn row(&self, i: usize) -> Vec<f64> {
        let mut unit = vec![0.0; self.of.side];
        unit[i] = 1.0;
        self.less(&unit, &self.of.column(i))
    }

    /// (A + δI)⁻¹ v
    fn times(&self, v: &[f64]) -> Vec<f64> {
        self.less(v, &self.of.along(v))
    }
}

/// G⁻¹ V A⁻¹ of a part of a parameter vector: weights, then biases.
fn direction_of(v: &[f32], a: &Damped<'_>, g: &Damped<'_>) -> Vec<f64> {
    let inputs = a.of.side - 1;
    let (weights, biases) = v.split_at(OUTPUTS * inputs);
    let of_output = weights.chunks_exact(inputs).zip(biases);
    let rows = of_output.flat_map(|(w, &b)| {
        let row: Vec<f64> = w.iter().copied().chain([b]).map(f64::from).collect();
        a.times(&row)
    });
    let rows: Vec<f64> = rows.collect();
    let product: Vec<Vec<f64>> = (0..OUTPUTS).map(|o| combine(&g.row(o), &rows, inputs + 1)).collect();
    let weights = product.iter().flat_map(|row| row[..inputs].iter().copied());
    weights.chain(product.iter().map(|row| row[inputs])).collect()
}

/// The largest distance from a reference that is made in pieces of so many values, as a part of the largest of these;
/// infinite where anything is not finite.
fn error(got: &[f32], piece: usize, want: impl Fn(usize) -> Vec<f64>) -> f64 {
    let (mut worst, mut largest) = (0.0f64, 1e-30f64);
    for (i, got) in got.chunks(piece).enumerate() {
        for (&got, want) in got.iter().zip(want(i)) {
            if !got.is_finite() {
                return f64::INFINITY;
            }
            worst = worst.max((f64::from(got) - want).abs());
            largest = largest.max(want.abs());
        }
    }
    worst / largest
}
