//! A start for the first layer that comes from the data: its filters are principal components of the patches that they
//! read, whitened and turned at random.
//!
//! Neighbouring pixels say nearly the same, so random filters all see the mean of their patch, and training spends its
//! first passes on telling them apart. Outputs that are not correlated, and as large as one another, spare it that
//! (data-dependent initialisation: Krähenbühl and others 2016, arXiv 1511.06856; as fixed filters: Page 2019, Jordan
//! 2024, arXiv 2404.00498).

use super::loss::Objective;
use crate::cost::{Cost, Yardstick};
use crate::error::Result;
use crate::kernels::conv2d::Conv2d;
use crate::kernels::kronecker::{Factor, factor_multiply_adds, factor_side};
use crate::model::{Edges, Value};
use crate::program::Program;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Examples whose patches are looked at.
const EXAMPLES: usize = 512;

/// Inputs of a filter, at most: the host finds the components, in time that grows with their cube.
const MOST_INPUTS: usize = 256;

/// Added to every variance, as a part of the largest: components that are all noise stay small.
const FLOOR: f64 = 1e-2;

/// Multiply-adds of the components, in cubes of the inputs: ten turns over all pairs, of six each.
const EIGENPAIRS: u64 = 60;

/// Keeps its draws apart from others of the same seed.
const STREAM: u64 = u64::MAX - 2;

/// What the first layer of a model reads.
pub struct Whitening {
    sample: Objective,
    /// The layer that reads the examples.
    layer: usize,
    patches: Conv2d,
}

impl Whitening {
    /// For the model and the examples of an objective, unless what reads the examples are several layers, or one
    /// without weights, in groups, or with filters that are too large.
    ///
    /// # Errors
    /// As [`Objective::new`].
    pub fn of(objective: &Objective) -> Result<Option<Self>> {
        let model = &objective.workspace.model;
        let reads = |edges: &Edges| edges.values().any(|value| value == Value::EXAMPLE);
        let mut readers = (0..).zip(model.edges()).filter(|(_, edges)| reads(edges)).map(|(i, _)| i);
        let (Some(layer), None) = (readers.next(), readers.next()) else { return Ok(None) };
        let is_small = |patches: &Conv2d| patches.groups == 1 && patches.weights().patches() <= MOST_INPUTS;
        let patches = model.layers()[layer].patches().filter(is_small);
        let Some(patches) = patches else { return Ok(None) };
        Ok(Some(Self { sample: objective.sample_in_blocks(EXAMPLES)?, layer, patches }))
    }

    /// The sums over the patches, the components and what becomes of them.
    pub fn cost(&self) -> Cost {
        let (outputs, inputs) = (self.patches.channels, self.patches.weights().patches());
        let pixels = self.patches.output().expect("checked when the layer was made: the filter fits").pixels();
        let sums = factor_multiply_adds(factor_side(&self.patches, true), (self.sample.len * pixels) as u64);
        let components = EIGENPAIRS * (inputs as u64).pow(3);
        let turned = outputs.min(inputs);
        // each row of a rotation is made orthogonal to those before, twice
        let filters = 2 * turned.pow(3) * outputs.div_ceil(turned) + outputs * turned * inputs;
        let yardstick = Yardstick::new(self.sample.workspace.model.multiply_adds());
        let copies = self.sample.examples.multiply_adds(&self.sample.indices);
        let work = yardstick.cost(copies + sums + components + filters as u64);
        Cost { in_place: self.sample.len as u64, ..work }
    }

    /// Puts whitened filters in place of those that θ starts with. Where all images are the same, nothing happens.
    ///
    /// # Errors
    /// What the device reports.
    pub fn apply(&self, theta: &mut [f32], seed: u64) -> Result<()> {
        let (outputs, inputs) = (self.patches.channels, self.patches.weights().patches());
        let covariance = covariance(&self.moments()?, inputs);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(STREAM);
        if let Some(filters) = whitened(&covariance, inputs, outputs, &mut rng) {
            let range =
                self.sample.workspace.model.ranges()[self.layer].as_ref().expect("a layer with patches has parameters");
            for (to, from) in theta[range.start..].iter_mut().zip(&filters) {
                *to = *from as f32;
            }
        }
        Ok(())
    }

    /// The mean over examples of Σ p pᵀ over their patches p, each followed by a 1.
    fn moments(&self) -> Result<Vec<f64>> {
        let Objective { gpu, workspace, examples, index, len, .. } = &self.sample;
        let side = factor_side(&self.patches, true);
        let factor = Factor::new(gpu, self.patches, true, gpu.alloc("whitening.moments", side * side)?)?;
        factor.weigh(gpu, 0.0, 1.0 / *len as f64, *len);
        let x = gpu.alloc_quads("whitening.x", workspace.model.input.len() * index.len(), false)?;
        let scratch = workspace.passing[0].like(&x);
        let partial = gpu.alloc("whitening.partial", factor.partial_len(gpu, index.len() / gpu.profile.block))?;
        let mut program = Program::default();
        examples.record_gather(gpu, &mut program, index, [&x, &scratch])?;
        program.extend(factor.accumulate(gpu, &x, &partial)?);
        program.run(gpu)?;
        Ok(gpu.read::<f32>(&factor.matrix)?.iter().map(|&sum| f64::from(sum)).collect())
    }
}

/// The covariance of `inputs` values from the sums of their products, and of them times 1.
fn covariance(moments: &[f64], inputs: usize) -> Vec<f64> {
    let side = inputs + 1;
    let count = moments[side * side - 1];
    let mean = |i: usize| moments[i * side + inputs] / count;
    let entries = (0..inputs).flat_map(|i| (0..inputs).map(move |j| (i, j)));
    entries.map(|(i, j)| moments[i * side + j] / count - mean(i) * mean(j)).collect()
}

/// `outputs` filters, whose outputs have a variance of one but for the floor, on the components of largest variance; if
/// anything varies.
fn whitened(covariance: &[f64], inputs: usize, outputs: usize, rng: &mut ChaCha8Rng) -> Option<Vec<f64>> {
    let mut components = eigenpairs(covariance, inputs);
    components.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    components.truncate(outputs);
    let largest = components.first().map(|(variance, _)| *variance).filter(|&variance| variance > 0.0)?;
    let count = components.len();
    let mut filters = Vec::with_capacity(outputs * inputs);
    while filters.len() < outputs * inputs {
        for turned in rotation(count, rng) {
            let mut filter = vec![0.0; inputs];
            for (share, (variance, component)) in turned.iter().zip(&components) {
                let scale = share / (variance.max(0.0) + FLOOR * largest).sqrt();
                filter.iter_mut().zip(component).for_each(|(f, c)| *f += scale * c);
            }
            filters.extend(filter);
        }
    }
    filters.truncate(outputs * inputs);
    Some(filters)
}

/// Orthonormal rows, any as likely: Gram and Schmidt on normal ones.
fn rotation(side: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let mut rows: Vec<Vec<f64>> = Vec::with_capacity(side);
    while rows.len() < side {
        let mut row: Vec<f64> = (0..side).map(|_| StandardNormal.sample(rng)).collect();
        for _ in 0..2 {
            // twice, for the rounding of the first
            for other in &rows {
                let product: f64 = row.iter().zip(other).map(|(a, b)| a * b).sum();
                row.iter_mut().zip(other).for_each(|(a, b)| *a -= product * b);
            }
        }
        let norm = row.iter().map(|a| a * a).sum::<f64>().sqrt();
        if norm > 1e-6 {
            rows.push(row.into_iter().map(|a| a / norm).collect());
        }
    }
    rows
}

/// Eigenvalues and unit eigenvectors of a symmetric matrix, in no order: Jacobi's method, row by row (Golub and Van
/// Loan, *Matrix Computations*, 4th edition, section 8.5).
fn eigenpairs(matrix: &[f64], side: usize) -> Vec<(f64, Vec<f64>)> {
    const SWEEPS: usize = 30;
    let mut a = matrix.to_vec();
    // rows are the eigenvectors
    let mut v: Vec<f64> = (0..side * side).map(|i| f64::from(u8::from(i % (side + 1) == 0))).collect();
    let norm2: f64 = a.iter().map(|x| x * x).sum();
    for _ in 0..SWEEPS {
        let off: f64 = (0..side).flat_map(|p| (0..p).map(move |q| (p, q))).map(|(p, q)| a[p * side + q].powi(2)).sum();
        if off <= 1e-28 * norm2 {
            break;
        }
        for (p, q) in (0..side).flat_map(|p| (p + 1..side).map(move |q| (p, q))) {
            let apq = a[p * side + q];
            if apq == 0.0 {
                continue;
            }
            let tau = (a[q * side + q] - a[p * side + p]) / (2.0 * apq);
            let t = tau.signum() / (tau.abs() + tau.hypot(1.0));
            let (c, s) = (1.0 / t.hypot(1.0), t / t.hypot(1.0));
            for k in 0..side {
                let (x, y) = (a[k * side + p], a[k * side + q]);
                (a[k * side + p], a[k * side + q]) = (c * x - s * y, s * x + c * y);
            }
            for matrix in [&mut a, &mut v] {
                for k in 0..side {
                    let (x, y) = (matrix[p * side + k], matrix[q * side + k]);
                    (matrix[p * side + k], matrix[q * side + k]) = (c * x - s * y, s * x + c * y);
                }
            }
        }
    }
    (0..side).map(|i| (a[i * side + i], v[i * side..(i + 1) * side].to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B Bᵀ with few columns, so that some eigenvalues vanish, and its side.
    fn singular(rng: &mut ChaCha8Rng) -> (Vec<f64>, usize) {
        let (side, rank) = (17, 11);
        let b: Vec<f64> = (0..side * rank).map(|_| StandardNormal.sample(rng)).collect();
        let row = |i: usize| &b[i * rank..(i + 1) * rank];
        let product = |i, j| row(i).iter().zip(row(j)).map(|(a, b)| a * b).sum::<f64>();
        ((0..side * side).map(|n| product(n / side, n % side)).collect(), side)
    }

    #[test]
    fn eigenpairs_are_those_of_the_matrix() {
        let (matrix, side) = singular(&mut ChaCha8Rng::seed_from_u64(1));
        let pairs = eigenpairs(&matrix, side);
        assert_eq!(pairs.iter().filter(|(value, _)| value.abs() < 1e-10).count(), 6);
        for (i, (value, vector)) in pairs.iter().enumerate() {
            for (row, component) in matrix.chunks(side).zip(vector) {
                let product: f64 = row.iter().zip(vector).map(|(a, v)| a * v).sum();
                assert!((product - value * component).abs() < 1e-10);
            }
            for (j, (_, other)) in pairs.iter().enumerate() {
                let product: f64 = vector.iter().zip(other).map(|(a, b)| a * b).sum();
                assert!((product - f64::from(u8::from(i == j))).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn outputs_of_whitened_filters_are_not_correlated() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let (matrix, side) = singular(&mut rng);
        // fewer than components that vary, and more than inputs: several turns of all
        for outputs in [5, 17, 20] {
            let filters = whitened(&matrix, side, outputs, &mut rng).unwrap();
            assert_eq!(filters.len(), outputs * side);
            let filter = |o: usize| &filters[o * side..(o + 1) * side];
            let of_matrix = |o: usize| -> Vec<f64> {
                matrix.chunks(side).map(|row| row.iter().zip(filter(o)).map(|(a, f)| a * f).sum()).collect()
            };
            for (i, j) in (0..outputs.min(side)).flat_map(|i| (0..=i).map(move |j| (i, j))) {
                let covariance: f64 = of_matrix(i).iter().zip(filter(j)).map(|(a, f)| a * f).sum();
                // up to the floor, which counts where the variance of a component is small
                let want = f64::from(u8::from(i == j));
                let slack = if outputs == 5 { 0.1 } else { 1.0 + 1e-9 };
                assert!((covariance - want).abs() <= slack, "{outputs} outputs: {i} with {j}: {covariance}");
            }
        }
        assert!(whitened(&[0.0; 4], 2, 1, &mut rng).is_none(), "nothing varies");
    }
}
