//! Which examples of a batch are worth a backward pass: kept with a probability by their residuals, weighted by its
//! inverse, so that the mean over draws is the full gradient; and brought together.
//!
//! Scores stand for gradient norms (Katharopoulos and Fleuret 2018, arXiv 1803.00942, section 3.2). Forward costs ⅓ an
//! example, backward ⅔; P ∝ score minimises the variance at a given cost, and the fixed point variance times cost, so
//! there is nothing to tune.

use crate::device::{BlockCount, Buf, Gpu, Quads};
use crate::error::Result;
use crate::program::{Dispatch, Shader, shader};

pub(super) const CHOOSE: Shader = shader!("selection_choose");
pub(super) const ROWS: Shader = shader!("rows_select");

/// Iterations for the threshold.
const ITERATIONS: u64 = 12;

/// Multiply-adds of a choice among so many examples with residuals of so many classes: scores, two sums an iteration,
/// the draw and the weight. Philox multiplies integers, which is not counted.
pub fn multiply_adds(examples: usize, classes: usize) -> u64 {
    examples as u64 * (classes as u64 + 2 * ITERATIONS + 2)
}

/// Features that an invocation moves.
const EACH: usize = 8;

/// The examples kept of a batch, one after another and then padding: views of one array, as long as the batch.
#[derive(Clone, Debug)]
pub struct Kept {
    /// `[4][stride]`, the four that follow.
    all: Buf,
    /// Position in the batch, u32; 0 on padding.
    pub position: Buf,
    /// Index in the data set, u32; [`PADDING`](crate::kernels::gather::PADDING).
    pub index: Buf,
    /// Class, u32; 0.
    pub label: Buf,
    /// Weight, f32; 0.
    pub weight: Buf,
    /// How many, a word.
    pub count: Buf,
}

impl Kept {
    /// Room for all of a batch of so many examples, padding included.
    ///
    /// # Errors
    /// As [`Gpu::alloc`].
    pub fn new(gpu: &Gpu, padded: usize) -> Result<Self> {
        let stride = padded.next_multiple_of(crate::device::ALIGNMENT);
        let all = gpu.alloc("selection.kept", 4 * stride)?;
        let part = |i: usize| all.view(i * stride..i * stride + padded);
        let [position, index, label, weight] = [part(0), part(1), part(2), part(3)];
        Ok(Self { position, index, label, weight, count: gpu.alloc("selection.count", 1)?, all })
    }
}

/// Chooses among the examples of a batch with `score` (not negative), `index`, label and weight `[N/B][B]`, into `kept`
/// and the blocks of `live`. `draw` is u32 \[key, key, step, examples\]: who is drawn follows from key, step and index.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn choose(
    gpu: &Gpu,
    score: &Buf,
    [index, label, weight]: [&Buf; 3],
    draw: &Buf,
    kept: &Kept,
    live: &BlockCount,
) -> Result<Dispatch> {
    assert!([index, label, weight, &kept.index].iter().all(|of| of.len() == score.len()) && draw.len() == 4);
    let constants = [("STRIDE", kept.all.len() / 4), ("BLOCK", gpu.profile.block), ("WIDTH", gpu.profile.width())];
    let bindings = [
        score.into(),
        index.into(),
        label.into(),
        weight.into(),
        draw.into(),
        (&kept.all).into(),
        (&kept.count).into(),
        (&live.blocks).into(),
    ];
    Dispatch::new(gpu, &CHOOSE, &constants, &bindings, [1, 1, 1])
}

/// y\[j\] = x\[position\[j\]\], for `x` and `y` `[N/B][features][B]`.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn rows(gpu: &Gpu, x: &Quads, position: &Buf, y: &Quads) -> Result<Dispatch> {
    let (block, rows) = (gpu.profile.block, gpu.profile.rows);
    let (blocks, features) = (position.len() / block, y.len() / position.len());
    assert!(y.len() == features * position.len() && x.len().is_multiple_of(features * block));
    let constants = [("FEATURES", features), ("LANES", gpu.profile.lanes()), ("ROWS", rows), ("EACH", EACH)];
    let bindings = [x.into(), position.into(), y.into()];
    let grid = y.grid(gpu, [features.div_ceil(rows * EACH), blocks, 1], 1, 1)?;
    Dispatch::new(gpu, &ROWS, &constants, &bindings, grid)
}

/// The same in f64.
pub mod reference {
    use crate::kernels::gather::PADDING;

    /// τ of the examples' scores.
    pub fn threshold(score: &[f64]) -> f64 {
        let count = score.len() as f64;
        (0..12).fold(0.0, |tau: f64, _| {
            let squares: f64 = score.iter().map(|s| s * s.max(tau)).sum();
            let kept: f64 = score.iter().map(|s| if tau == 0.0 { 1.0 } else { s / s.max(tau) }).sum();
            (2.0 * squares / (count + 2.0 * kept)).sqrt()
        })
    }

    /// The uniform number of an example.
    pub fn uniform(index: u32, step: u32, key: [u32; 2]) -> f64 {
        f64::from(philox([index, step, 0, 0], key)[0] >> 8) / f64::from(1 << 24)
    }

    /// Philox4x32-10.
    pub fn philox(mut c: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
        let product = |a: u32, b: u32| {
            let wide = u64::from(a) * u64::from(b);
            [(wide >> 32) as u32, wide as u32]
        };
        for _ in 0..10 {
            let ([a_high, a_low], [b_high, b_low]) = (product(0xd251_1f53, c[0]), product(0xcd9e_8d57, c[2]));
            c = [b_high ^ c[1] ^ key[0], b_low, a_high ^ c[3] ^ key[1], a_low];
            key = [key[0].wrapping_add(0x9e37_79b9), key[1].wrapping_add(0xbb67_ae85)];
        }
        c
    }

    /// Positions kept of the first examples of a batch, and the factors of their weights.
    pub fn choose(score: &[f64], index: &[u32], step: u32, key: [u32; 2]) -> Vec<(usize, f64)> {
        let tau = threshold(score);
        let kept = |n: &usize| index[*n] != PADDING && uniform(index[*n], step, key) * tau < score[*n];
        (0..score.len()).filter(kept).map(|n| (n, (tau / score[n]).max(1.0))).collect()
    }
}
