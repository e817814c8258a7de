//! K-FAC with a cheaper factor of the inputs: A is taken as σ² I about their mean m, σ² being their mean variance, so
//! that its inverse is a shift and a scale, and a layer is divided by G alone.
//!
//! With the bias, A = T \[σ² I + m mᵀ, m; mᵀ, 1\] for T places of an image: the mean is what makes gradients of weights
//! and of the bias depend on each other most (centring: LeCun and others 1998, *Efficient BackProp*, section 4.3), and
//! is kept exactly. A + δI is a diagonal and one product of a vector with itself.

use super::blocks::{Blocks, Centre};
use super::grid::{check_turns, turns};
use super::jobs::{CentredJob, word};
use crate::device::{Buf, Gpu, Quads};
use crate::error::Result;
use crate::program::{Dispatch, Shader, shader};

pub(super) const MOMENTS: Shader = shader!("moments_update");
pub(super) const DAMPING: Shader = shader!("centred_damping");

/// Mean and variance of each feature of a layer's inputs, `[2][features]`.
#[derive(Clone, Debug)]
pub struct Moments {
    /// R, features of a patch.
    pub features: usize,
    /// Places of an image at which they are looked at.
    pub places: usize,
    /// The means, and then the variances.
    pub words: Buf,
    /// \[keep, 1 / (examples · places)\] of the next update.
    pub coefficients: Buf,
}

impl Moments {
    /// Kept in `words`, two for each feature.
    ///
    /// # Errors
    /// As [`Gpu::alloc`].
    pub fn new(gpu: &Gpu, features: usize, places: usize, words: Buf) -> Result<Self> {
        assert_eq!(words.len(), 2 * features);
        Ok(Self { features, places, words, coefficients: gpu.alloc("moments.coefficients", 2)? })
    }

    /// How much the next update keeps of those before, and how many examples it is of.
    pub fn weigh(&self, gpu: &Gpu, keep: f64, examples: usize) {
        gpu.write(&self.coefficients, &[keep as f32, (1.0 / (examples * self.places) as f64) as f32]);
    }

    /// mean = keep · mean + (1 − keep) E\[x\], variance = keep · variance + (1 − keep) E\[(x − mean)²\] about the new
    /// mean; `x` is `[N/B][R][places][B]`, zero for padded examples.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub fn update(&self, gpu: &Gpu, x: &Quads) -> Result<Dispatch> {
        let example = self.features * self.places;
        let blocks = x.len() / (example * gpu.profile.block);
        assert_eq!(x.len(), blocks * example * gpu.profile.block);
        let (lanes, width) = (gpu.profile.lanes(), gpu.profile.width());
        let items = blocks * self.places * lanes;
        check_turns(gpu, MOMENTS.name, turns(items.div_ceil(width), 0) + turns(width, 0))?;
        let constants = [("FEATURES", self.features), ("PLACES", self.places), ("LANES", lanes), ("WIDTH", width)];
        let bindings = [x.into(), gpu.uniform(blocks)?.into(), (&self.coefficients).into(), (&self.words).into()];
        Dispatch::new(gpu, &MOMENTS, &constants, &bindings, [self.features, 1, 1])
    }
}

/// The deltas of `blocks`, whose matrices are the G of each layer, and `scales`, four words a layer: what the inverse
/// of A + δI is made of. λ, a word on the device, is shared out between A and G (Martens and Grosse 2015, section 6.3).
///
/// # Errors
/// As [`Dispatch::new`].
pub fn damping(
    gpu: &Gpu,
    blocks: &Blocks,
    centres: &[Centre],
    moments: &Buf,
    lambda: &Buf,
    scales: &Buf,
) -> Result<Vec<Dispatch>> {
    assert!(centres.len() == blocks.count() && scales.len() == 4 * centres.len());
    let layers: Vec<_> = centres.iter().enumerate().map(|(l, centre)| (l, centre, blocks.place(l))).collect();
    // those that share a buffer share a dispatch
    type CentredLayer<'a> = (usize, &'a Centre, (&'a Buf, [usize; 2]));
    let dispatch = |layers: &[CentredLayer<'_>]| {
        let job = |&(l, centre, (_, [g, side])): &CentredLayer<'_>| {
            let [layer, moments, features, places, g, side_g] =
                [l, centre.start, centre.features, centre.places, g, side].map(word);
            CentredJob { layer, moments, features, places, g, side_g }
        };
        let jobs: Vec<CentredJob> = layers.iter().map(job).collect();
        let table = gpu.upload("centred.jobs", &jobs)?;
        let (_, _, (g, _)) = layers[0];
        let bindings = [table.into(), moments.into(), g.into(), lambda.into(), (&blocks.deltas).into(), scales.into()];
        Dispatch::new(gpu, &DAMPING, &[], &bindings, [jobs.len(), 1, 1])
    };
    layers.chunk_by(|(_, _, (a, _)), (_, _, (b, _))| a.is(b)).map(dispatch).collect()
}

/// The same in f64.
pub mod reference {
    use crate::kernels::kronecker::reference::shared_damping;

    /// \[means, variances\] after values `x` `[examples][R][places]`, so much of those before being kept.
    pub fn update(keep: f64, before: [&[f64]; 2], x: &[f64], places: usize) -> [Vec<f64>; 2] {
        let features = before[0].len();
        let count = (x.len() / features) as f64;
        let values = |r: usize| {
            let of_image = move |image: &'_ [f64]| image[r * places..(r + 1) * places].to_vec();
            x.chunks_exact(features * places).flat_map(of_image)
        };
        let mix = |before: f64, now: f64| if keep == 0.0 { now } else { keep * before + (1.0 - keep) * now };
        let mean = |r: usize| mix(before[0][r], values(r).sum::<f64>() / count);
        let means: Vec<f64> = (0..features).map(mean).collect();
        let variance = |r: usize| mix(before[1][r], values(r).map(|x| (x - means[r]).powi(2)).sum::<f64>() / count);
        let variances = (0..features).map(variance).collect();
        [means, variances]
    }

    /// \[δ_A, δ_G\] of λ.
    pub fn damping([means, variances]: [&[f64]; 2], places: usize, g: &[f64], lambda: f64) -> [f64; 2] {
        let (features, side) = (means.len() as f64, g.len().isqrt());
        let (square, variance) = (means.iter().map(|m| m * m).sum::<f64>(), variances.iter().sum::<f64>());
        let a = places as f64 * (variance + square + 1.0) / (features + 1.0);
        let trace = (0..side).map(|i| g[i * side + i]).sum::<f64>();
        shared_damping([a, trace / side as f64], lambda)
    }

    /// d = G⁻¹ V (A + δI)⁻¹ of a layer's gradient v, weights and then biases, from G⁻¹ and the moments.
    pub fn direction(
        v: &[f64],
        [means, variances]: [&[f64]; 2],
        (places, delta): (usize, f64),
        g_inverse: &[f64],
    ) -> Vec<f64> {
        let (patches, outputs, places) = (means.len(), g_inverse.len().isqrt(), places as f64);
        let divided = |o: usize, of: &dyn Fn(usize) -> f64| -> f64 {
            (0..outputs).map(|k| g_inverse[o * outputs + k] * of(k)).sum()
        };
        // A + δI = D + T a aᵀ with a = (m, 1): Sherman and Morrison
        let weight = places * variances.iter().sum::<f64>() / patches as f64 + delta;
        let of_square = means.iter().map(|m| m * m).sum::<f64>() / weight + 1.0 / delta;
        let (mut d, mut biases) = (Vec::new(), Vec::new());
        for o in 0..outputs {
            let row: Vec<f64> = (0..patches).map(|r| divided(o, &|k| v[k * patches + r])).collect();
            let bias = divided(o, &|k| v[outputs * patches + k]);
            let along = row.iter().zip(means).map(|(y, m)| y * m).sum::<f64>() / weight + bias / delta;
            let c = places * along / (1.0 + places * of_square);
            d.extend(row.iter().zip(means).map(|(y, m)| (y - c * m) / weight));
            biases.push((bias - c) / delta);
        }
        d.extend(biases);
        d
    }
}
