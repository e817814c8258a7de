//! Which examples of a batch are worth a backward pass: kept with a probability by their residuals, weighted by its
//! inverse, so that the mean over draws is the full gradient; and brought together.
//!
//! Scores stand for gradient norms (Katharopoulos and Fleuret 2018, arXiv 1803.00942, section 3.2). Forward costs ⅓ an
//! example, backward ⅔; P ∝ score minimises the variance at a given cost, and the fixed point variance times cost, so
//! there is nothing to tune.

use super::jobs::{RowsJob, word};
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

/// Features that an invocation moves, at least and at most: more where there would be more workgroups than keep the
/// device busy.
const EACH: usize = 8;
const MOST_EACH: usize = 64;

/// The examples kept of a batch, one after another and then padding: views of one array, as long as the batch.
#[derive(Clone, Debug)]
pub struct Kept {
    /// `[5][stride]`, the five that follow.
    all: Buf,
    /// Position in the batch, u32; 0 on padding.
    pub position: Buf,
    /// Index in the data set, u32; [`PADDING`](crate::kernels::gather::PADDING).
    pub index: Buf,
    /// Class, u32; 0.
    pub label: Buf,
    /// Weight, f32; 0.
    pub weight: Buf,
    /// What its own weight was multiplied by, the inverse of the probability with which it is kept, f32; 0.
    pub inverse: Buf,
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
        let all = gpu.alloc("selection.kept", 5 * stride)?;
        let part = |i: usize| all.view(i * stride..i * stride + padded);
        let [position, index, label, weight, inverse] = [0, 1, 2, 3, 4].map(part);
        Ok(Self { position, index, label, weight, inverse, count: gpu.alloc("selection.count", 1)?, all })
    }
}

/// Chooses among the examples of a batch with `score` (not negative), `index`, label and weight `[N/B][B]`, into `kept`
/// and the blocks of `live`. `draw` is u32 \[key, key, step, examples, τ\]: who is drawn follows from key, step and
/// index. With it, whether its τ (f32, [`threshold`]) is given; it follows from `score` otherwise.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn choose(
    gpu: &Gpu,
    score: &Buf,
    [index, label, weight]: [&Buf; 3],
    (draw, is_given): (&Buf, bool),
    kept: &Kept,
    live: &BlockCount,
) -> Result<Dispatch> {
    assert!([index, label, weight, &kept.index].iter().all(|of| of.len() == score.len()) && draw.len() == 5);
    let [stride, iterations] = [kept.all.len() / 5, if is_given { 0 } else { ITERATIONS as usize }];
    let (block, width) = (gpu.profile.block, gpu.profile.width());
    let constants = [("STRIDE", stride), ("BLOCK", block), ("WIDTH", width), ("ITERATIONS", iterations)];
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

/// τ of the examples' scores: those of `[N/B][B]` on several devices together. 0 where all are 0.
pub fn threshold(score: &[f64]) -> f64 {
    let count = score.len() as f64;
    (0..ITERATIONS).fold(0.0, |tau: f64, _| {
        let squares: f64 = score.iter().map(|s| s * s.max(tau)).sum();
        let kept: f64 = score.iter().map(|s| if tau == 0.0 { 1.0 } else { s / s.max(tau) }).sum();
        (2.0 * squares / (count + 2.0 * kept)).sqrt()
    })
}

/// y\[j\] = x\[position\[j\]\] of each pair (x, y), `[N/B][features][B]`: as few steps as their arrays allow.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn rows(gpu: &Gpu, pairs: &[(Quads, Quads)], position: &Buf) -> Result<Vec<Dispatch>> {
    let (mut steps, mut rest) = (Vec::new(), pairs);
    while let Some((first, _)) = rest.split_first() {
        // whichever array is not that of the first
        let other = |together: &[(Quads, Quads)]| together.iter().map(|(x, _)| x.clone()).find(|x| !x.shares(&first.0));
        let is_bound = |n: usize| {
            let (x, y) = &rest[n];
            let second = other(&rest[..n]);
            y.shares(&first.1) && (x.shares(&first.0) || second.is_none_or(|second| x.shares(&second)))
        };
        let count = (0..rest.len()).take_while(|&n| is_bound(n)).count();
        let (together, others) = rest.split_at(count);
        steps.push(rows_of(gpu, together, [&first.0, &other(together).unwrap_or_else(|| first.0.clone())], position)?);
        rest = others;
    }
    Ok(steps)
}

/// The step of pairs whose first are views of two arrays, and whose second of one.
fn rows_of(gpu: &Gpu, pairs: &[(Quads, Quads)], arrays: [&Quads; 2], position: &Buf) -> Result<Dispatch> {
    let (block, rows) = (gpu.profile.block, gpu.profile.rows);
    let [even, odd] = arrays.map(|quads| quads.array().0);
    let y = &pairs[0].1;
    let job = |(x, y): &(Quads, Quads)| {
        let features = y.len() / position.len();
        assert!(y.len() == features * position.len() && x.len().is_multiple_of(features * block));
        let ((_, source), (_, target_quad)) = (x.array(), y.array());
        let side = u32::from(!x.shares(arrays[0]));
        RowsJob { source: word(source), target_quad: word(target_quad), features: word(features), side }
    };
    let jobs: Vec<RowsJob> = pairs.iter().map(job).collect();
    let features = pairs.iter().map(|(_, y)| y.len() / position.len()).max().unwrap_or(1);
    let each = features.div_ceil(rows * gpu.profile.workgroups).clamp(EACH, MOST_EACH);
    let constants = [("LANES", gpu.profile.lanes()), ("ROWS", rows), ("EACH", each)];
    let table = gpu.upload("rows.jobs", &jobs)?;
    let (to, _) = y.array();
    let bindings = [table.into(), (&even).into(), (&odd).into(), position.into(), (&to).into()];
    let most = [features.div_ceil(rows * each), position.len() / block, jobs.len()];
    Dispatch::new(gpu, &ROWS, &constants, &bindings, y.grid(gpu, most, 1, 1)?)
}

/// The same in f64.
pub mod reference {
    use crate::kernels::gather::PADDING;
    pub use crate::kernels::selection::threshold;

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
