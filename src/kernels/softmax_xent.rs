//! Softmax cross-entropy with example weights: loss and hits of each example, gradient, Hessian product.

use super::grid;
use crate::device::{Binding, Buf, Gpu, Quads};
use crate::error::Result;
use crate::program::{Dispatch, Shader, shader};

pub(super) const LOSS: Shader = shader!("softmax_xent_loss");
pub(super) const GRADIENT: Shader = shader!("softmax_xent_gradient");
pub(super) const CURVATURE: Shader = shader!("softmax_xent_curvature");
pub(super) const ROOT: Shader = shader!("softmax_xent_root");
pub(super) const HVP: Shader = shader!("softmax_xent_hvp");

/// What a batch of examples is compared with: one word an example, whole blocks, weight 0 on padding.
#[derive(Clone, Debug)]
pub struct Targets {
    /// Class of each example, u32 `[N/B][B]`.
    pub label: Buf,
    /// Weight of each example, f32 `[N/B][B]`.
    pub weight: Buf,
    /// s of the smoothed targets t = (1 − s) onehot + s/M (Szegedy and others 2016, arXiv 1512.00567), one word; none
    /// where t is onehot.
    pub smoothing: Option<Buf>,
}

impl Targets {
    /// What is bound for s, and whether it is read.
    fn smoothing(&self) -> (Binding, (&'static str, usize)) {
        let constant = ("SMOOTHS", usize::from(self.smoothing.is_some()));
        (self.smoothing.as_ref().unwrap_or(&self.weight).into(), constant)
    }
}

/// Loops over the classes of an example, at most.
const LOOPS: usize = 4;

/// Turns of the loops over the classes of an example, at most.
pub fn turns(classes: usize) -> usize {
    grid::turns(1, LOOPS * grid::turns(classes, 0))
}

/// A kernel over so many examples, whole blocks, and their logits.
fn over_examples(
    gpu: &Gpu,
    shader: &Shader,
    z: &Quads,
    examples: usize,
    more: &[(&'static str, usize)],
    bindings: &[Binding],
) -> Result<Dispatch> {
    let classes = z.len() / examples;
    let constants = [&[("CLASSES", classes), ("LANES", gpu.profile.lanes())], more].concat();
    let grid = grid::looping_grid(gpu, shader, examples / 4, LOOPS * grid::turns(classes, 0))?;
    Dispatch::new(gpu, shader, &constants, bindings, grid)
}

/// How many these are.
fn examples(z: &Quads, targets: &Targets) -> usize {
    assert_eq!(targets.label.len(), targets.weight.len());
    assert!(z.len().is_multiple_of(targets.label.len()));
    targets.label.len()
}

/// loss\[n\] = weight · cross entropy of targets t and logits `z` `[N/B][M][B]`; correct\[n\] = weight where the
/// largest logit is the label's; score\[n\] = weight (|p − t| + 10⁻⁴), if asked for.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn loss(
    gpu: &Gpu,
    z: &Quads,
    targets: &Targets,
    [loss, correct]: [&Buf; 2],
    score: Option<&Buf>,
) -> Result<Dispatch> {
    assert!([Some(loss), Some(correct), score].into_iter().flatten().all(|of| of.len() == targets.label.len()));
    let examples = examples(z, targets);
    let (_, unused) = gpu.placeholder()?;
    let Targets { label, weight, .. } = targets;
    let (smoothing, smooths) = targets.smoothing();
    let outputs = [loss.into(), correct.into(), score.unwrap_or(&unused).into()];
    let bindings: Vec<Binding> =
        [z.into(), label.into(), weight.into(), smoothing].into_iter().chain(outputs).collect();
    over_examples(gpu, &LOSS, z, examples, &[("SCORES", usize::from(score.is_some())), smooths], &bindings)
}

/// dz = weight (p − t).
///
/// # Errors
/// As [`Dispatch::new`].
pub fn gradient(gpu: &Gpu, z: &Quads, targets: &Targets, dz: &Quads) -> Result<Dispatch> {
    assert_eq!(z.len(), dz.len());
    let (smoothing, smooths) = targets.smoothing();
    let bindings = [z.into(), (&targets.label).into(), (&targets.weight).into(), smoothing, dz.into()];
    over_examples(gpu, &GRADIENT, z, examples(z, targets), &[smooths], &bindings)
}

/// h = weight (diag p − p pᵀ) u.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn hvp(gpu: &Gpu, z: &Quads, u: &Quads, targets: &Targets, h: &Quads) -> Result<Dispatch> {
    assert!(z.len() == u.len() && z.len() == h.len());
    let bindings = [z.into(), u.into(), (&targets.weight).into(), h.into()];
    over_examples(gpu, &HVP, z, examples(z, targets), &[], &bindings)
}

/// dz = (diag √p − p √pᵀ) e with random signs e: E\[dz dzᵀ\] is the loss Hessian. The signs of an example follow from
/// its `index` and the word `seed`; weights play no part. Zero where the index is
/// [`PADDING`](super::gather::PADDING).
///
/// # Errors
/// As [`Dispatch::new`].
pub fn root(gpu: &Gpu, z: &Quads, index: &Buf, seed: &Buf, dz: &Quads) -> Result<Dispatch> {
    assert_eq!(z.len(), dz.len());
    let bindings = [z.into(), index.into(), seed.into(), dz.into()];
    over_examples(gpu, &ROOT, z, index.len(), &[], &bindings)
}

/// products = \[weight uᵀHu, weight uᵀHv, weight vᵀHv\] of every example, H the loss Hessian at `z`, for the logit
/// tangents u and v.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn curvature(
    gpu: &Gpu,
    z: &Quads,
    [u, v]: [&Quads; 2],
    targets: &Targets,
    products: [&Buf; 3],
) -> Result<Dispatch> {
    assert!(z.len() == u.len() && z.len() == v.len());
    assert!(products.iter().all(|product| product.len() == targets.weight.len()));
    let [uu, uv, vv] = products;
    let bindings = [z.into(), u.into(), v.into(), (&targets.weight).into(), uu.into(), uv.into(), vv.into()];
    over_examples(gpu, &CURVATURE, z, examples(z, targets), &[], &bindings)
}

/// The same in f64, on one example's logits.
pub mod reference {
    /// softmax(z)
    pub fn softmax(z: &[f64]) -> Vec<f64> {
        let largest = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let e: Vec<f64> = z.iter().map(|z| (z - largest).exp()).collect();
        let sum: f64 = e.iter().sum();
        e.iter().map(|e| e / sum).collect()
    }

    /// t = (1 − s) onehot + s/M of so many classes.
    pub fn targets(classes: usize, label: usize, s: f64) -> Vec<f64> {
        let onehot = |m: usize| f64::from(u8::from(m == label));
        (0..classes).map(|m| (1.0 - s) * onehot(m) + s / classes as f64).collect()
    }

    /// −Σ t ln softmax(z), t being the targets of a label, smoothed by s.
    pub fn loss(z: &[f64], label: usize, s: f64) -> f64 {
        let largest = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let log_sum = z.iter().map(|z| (z - largest).exp()).sum::<f64>().ln() + largest;
        log_sum - targets(z.len(), label, s).iter().zip(z).map(|(t, z)| t * z).sum::<f64>()
    }

    /// Whether the first largest logit is the label's.
    pub fn correct(z: &[f64], label: usize) -> bool {
        z.iter().enumerate().all(|(m, &other)| if m < label { other < z[label] } else { other <= z[label] })
    }

    /// p − t
    pub fn gradient(z: &[f64], label: usize, s: f64) -> Vec<f64> {
        softmax(z).into_iter().zip(targets(z.len(), label, s)).map(|(p, t)| p - t).collect()
    }

    /// |p − t| + 10⁻⁴
    pub fn residual(z: &[f64], label: usize, s: f64) -> f64 {
        gradient(z, label, s).iter().map(|r| r * r).sum::<f64>().sqrt() + 1e-4
    }

    /// √p ⊙ e − p √pᵀe with the signs e of an example.
    pub fn root(z: &[f64], index: u32, seed: u32) -> Vec<f64> {
        let hash = |mut h: u32| {
            h = (h ^ (h >> 16)).wrapping_mul(0x7feb_352d);
            h = (h ^ (h >> 15)).wrapping_mul(0x846c_a68b);
            h ^ (h >> 16)
        };
        let sign = |m: u32| if hash(hash(index ^ seed).wrapping_add(m)) & 1 == 0 { 1.0 } else { -1.0 };
        let p = softmax(z);
        let signed: Vec<f64> = p.iter().zip(0..).map(|(p, m)| p.sqrt() * sign(m)).collect();
        let mean: f64 = signed.iter().sum();
        p.iter().zip(signed).map(|(p, signed)| signed - p * mean).collect()
    }

    /// (diag p − p pᵀ) u
    pub fn hvp(z: &[f64], u: &[f64]) -> Vec<f64> {
        let p = softmax(z);
        let mean: f64 = p.iter().zip(u).map(|(p, u)| p * u).sum();
        p.iter().zip(u).map(|(p, u)| p * (u - mean)).collect()
    }
}
