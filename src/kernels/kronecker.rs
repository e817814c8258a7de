//! The Kronecker factors of a layer's Gauss-Newton matrix, A ⊗ G: A = E\[Σ a aᵀ\] of its input patches with a bias row,
//! G the mean of g gᵀ over examples and pixels, g the cotangents of its outputs (Martens and Grosse 2015; Grosse and
//! Martens 2016 for convolutions, their equations 28 and 29).

use super::blocks::Blocks;
use super::conv2d::Conv2d;
use super::grid::{elementwise_grid, looping_grid, turns};
use super::jobs::{DampingJob, word};
use crate::device::{Buf, Gpu, Quads};
use crate::error::Result;
use crate::program::{Dispatch, Shader, shader};

pub(super) const REDUCE: Shader = shader!("factor_reduce");
pub(super) const DIAGONAL: Shader = shader!("kronecker_diagonal");
pub(super) const DAMPING: Shader = shader!("kronecker_damping");

/// A symmetric factor and where its sums are collected.
#[derive(Clone, Debug)]
pub struct Factor {
    /// The patches of which it holds the products.
    pub patches: Conv2d,
    /// Whether an input that is always 1 is among them.
    pub with_bias: bool,
    /// The factor, `[side][side]`.
    pub matrix: Buf,
    /// \[keep, scale, count\] of the next reduction.
    pub coefficients: Buf,
}

impl Factor {
    /// A factor that is kept in `matrix`, [`factor_side`] squared.
    ///
    /// # Errors
    /// As [`Gpu::alloc`].
    pub fn new(gpu: &Gpu, patches: Conv2d, with_bias: bool, matrix: Buf) -> Result<Self> {
        assert_eq!(matrix.len(), factor_side(&patches, with_bias).pow(2));
        Ok(Self { patches, with_bias, matrix, coefficients: gpu.alloc("factor.coefficients", 4)? })
    }

    /// Rows, and columns.
    pub fn side(&self) -> usize {
        factor_side(&self.patches, self.with_bias)
    }

    /// What the next reduction, of the sums over so many examples, scales them with, and how much it keeps of those
    /// before.
    pub fn weigh(&self, gpu: &Gpu, keep: f64, scale: f64, examples: usize) {
        let pixels = self.patches.output().expect("checked when the layer was made: the filter fits").pixels();
        gpu.write(&self.coefficients, &[keep as f32, scale as f32, (examples * pixels) as f32]);
    }

    /// Words of partial sums over so many batch blocks.
    pub fn partial_len(&self, gpu: &Gpu, blocks: usize) -> usize {
        self.patches.gram_splits(gpu, blocks) * self.patches.gram_shape().partial_len()
    }

    /// matrix ← keep · matrix + scale · Σ over examples and pixels of patch patchᵀ, `x` `[N/B][C][H][W][B]`; every
    /// example counts, so a padded block has to hold real ones. `partial` holds [`Factor::partial_len`].
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub fn accumulate(&self, gpu: &Gpu, x: &Quads, partial: &Buf) -> Result<[Dispatch; 2]> {
        let constants = [("SIDE", self.side()), ("BIAS", usize::from(self.with_bias))];
        let bindings = [partial.into(), (&self.coefficients).into(), (&self.matrix).into()];
        let of_splits = turns(partial.len() / self.patches.gram_shape().partial_len(), 0);
        let grid = looping_grid(gpu, &REDUCE, self.matrix.len(), of_splits)?;
        Ok([self.patches.gram(gpu, x, partial)?, Dispatch::new(gpu, &REDUCE, &constants, &bindings, grid)?])
    }
}

/// Rows of the factor of patches.
pub fn factor_side(patches: &Conv2d, with_bias: bool) -> usize {
    patches.weights().patches() + usize::from(with_bias)
}

/// Multiply-adds of the sums of a factor of so many rows over patches, one at every pixel of every example: the entries
/// on the diagonal and above it.
pub fn factor_multiply_adds(side: usize, patches: u64) -> u64 {
    let side = side as u64;
    (side.saturating_mul(side + 1) / 2).saturating_mul(patches)
}

/// Words of the largest array that a kernel binds of the factor of patches: of the factor, or of a split of its sums.
pub fn factor_words(patches: &Conv2d, with_bias: bool) -> usize {
    let side = factor_side(patches, with_bias);
    side.saturating_mul(side).max(patches.gram_shape().partial_len())
}

/// The deltas of `blocks`, whose matrices are A and G of each layer in turn: λ, a word on the device, shared out
/// between the two (Martens and Grosse 2015, section 6.3).
///
/// # Errors
/// As [`Dispatch::new`].
pub fn damping(gpu: &Gpu, blocks: &Blocks, lambda: &Buf) -> Result<Vec<Dispatch>> {
    let layers: Vec<_> = (0..blocks.count() / 2).map(|l| (l, blocks.place(2 * l), blocks.place(2 * l + 1))).collect();
    // those that share their buffers share a dispatch
    let shared = layers.chunk_by(|(_, (a, _), (g, _)), (_, (b, _), (h, _))| a.is(b) && g.is(h));
    type DampedLayer<'a> = (usize, (&'a Buf, [usize; 2]), (&'a Buf, [usize; 2]));
    let dispatch = |layers: &[DampedLayer<'_>]| {
        let job = |&(l, (_, a), (_, g)): &DampedLayer<'_>| {
            let [[a, side_a], [g, side_g]] = [a, g].map(|place| place.map(word));
            DampingJob { layer: word(l), a, side_a, g, side_g }
        };
        let jobs: Vec<DampingJob> = layers.iter().map(job).collect();
        let table = gpu.upload("damping.jobs", &jobs)?;
        let (_, (a, _), (g, _)) = layers[0];
        let bindings = [table.into(), a.into(), g.into(), lambda.into(), (&blocks.deltas).into()];
        Dispatch::new(gpu, &DAMPING, &[], &bindings, [jobs.len(), 1, 1])
    };
    shared.map(dispatch).collect()
}

/// d = v / (diag A ⊗ diag G + λ), a layer's part of a parameter vector; λ is a word on the device.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn diagonal(gpu: &Gpu, [a, g]: [&Factor; 2], lambda: &Buf, v: &Buf, d: &Buf) -> Result<Dispatch> {
    assert!(v.len() == a.side() * g.side() && d.len() == v.len());
    let constants = [("OUTPUTS", g.side()), ("PATCHES", a.side() - 1)];
    let bindings = [(&a.matrix).into(), (&g.matrix).into(), lambda.into(), v.into(), d.into()];
    Dispatch::new(gpu, &DIAGONAL, &constants, &bindings, elementwise_grid(gpu, d.len()))
}

/// The same in f64.
pub mod reference {
    use crate::kernels::conv2d::Conv2d;

    /// v / (diag A ⊗ diag G + λ), weights and then biases.
    pub fn diagonal(a: &[f64], g: &[f64], lambda: f64, v: &[f64]) -> Vec<f64> {
        let (columns, outputs) = (a.len().isqrt(), g.len().isqrt());
        let patches = columns - 1;
        let weights = (0..outputs).flat_map(|o| (0..patches).map(move |r| (o, r)));
        let entries = weights.chain((0..outputs).map(|o| (o, patches)));
        entries.zip(v).map(|((o, r), v)| v / (a[r * columns + r] * g[o * outputs + o] + lambda)).collect()
    }

    /// The patch that a filter reads at a place of one image `[C][H][W]`, places counted along rows.
    pub fn patch(filter: &Conv2d, image: &[f64], place: usize) -> Vec<f64> {
        let out = filter.output().expect("the filter fits");
        let (oh, ow) = (place / out.width, place % out.width);
        let taps = (0..filter.weights().patches()).map(|r| {
            let (ci, kh, kw) = (r / (filter.size * filter.size), r / filter.size % filter.size, r % filter.size);
            let ih = (oh * filter.stride + kh).wrapping_sub(filter.padding); // wraps above H in the padding
            let iw = (ow * filter.stride + kw).wrapping_sub(filter.padding);
            let is_inside = ih < filter.input.height && iw < filter.input.width;
            let at = (ci * filter.input.height + ih.min(filter.input.height - 1)) * filter.input.width;
            if is_inside { image[at + iw] } else { 0.0 }
        });
        taps.collect()
    }

    /// Σ over examples and pixels of patch patchᵀ, on plain `[N][C][H][W]`; with a bias, one more row and column for an
    /// input of 1.
    pub fn gram(patches: &Conv2d, x: &[f64], with_bias: bool) -> Vec<f64> {
        let places = patches.output().expect("the filter fits").pixels();
        let side = patches.weights().patches() + usize::from(with_bias);
        let mut sum = vec![0.0; side * side];
        for image in x.chunks_exact(patches.input.len()) {
            for place in 0..places {
                let mut patch = patch(patches, image, place);
                patch.resize(side, 1.0);
                for (row, sums) in patch.iter().zip(sum.chunks_exact_mut(side)) {
                    sums.iter_mut().zip(&patch).for_each(|(sum, col)| *sum += row * col);
                }
            }
        }
        sum
    }

    /// \[δ_A, δ_G\] of λ and the factors `[side][side]`.
    pub fn damping(a: &[f64], g: &[f64], lambda: f64) -> [f64; 2] {
        let mean = |m: &[f64]| {
            let side = m.len().isqrt();
            (0..side).map(|i| m[i * side + i]).sum::<f64>() / side as f64
        };
        shared_damping([mean(a), mean(g)], lambda)
    }

    /// The same of the means of their diagonals.
    pub fn shared_damping(means: [f64; 2], lambda: f64) -> [f64; 2] {
        let [a, g] = means.map(|mean| mean.max(1e-20));
        let pi = (a / g).sqrt().clamp(1e-5, 1e5);
        [pi * lambda.sqrt(), lambda.sqrt() / pi]
    }
}
