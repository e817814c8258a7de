//! A loss and its derivatives in f64, by the references of the kernels: what a device is compared with.

use super::factors::parts;
use crate::batch::Looks;
use crate::kernels::batch_norm::reference as batch_norm;
use crate::kernels::blocks::reference as blocks;
use crate::kernels::centred::reference as centred;
use crate::kernels::conv2d::Conv2d;
use crate::kernels::group_norm::reference as group_norm;
use crate::kernels::kronecker::reference as factors;
use crate::kernels::patches::{PatchSample, reference as patches};
use crate::kernels::softmax_xent::reference as xent;
use crate::model::reference::{Map, Maps};
use std::ops::Range;

/// The mean cross entropy of a graph of maps over K examples, plus λ/2 ‖θ‖². Parameters are compact.
#[derive(Clone, Copy, Debug)]
pub struct Loss<'a> {
    /// The maps.
    pub maps: &'a Maps,
    /// Features of the examples, plain `[K][C][H][W]`.
    pub x: &'a [f64],
    /// Class of each example.
    pub labels: &'a [u32],
    /// λ
    pub weight_decay: f64,
    /// s of the targets (1 − s) onehot + s/M.
    pub smoothing: f64,
}

/// What Kronecker factors are taken from: examples, what is random about them, and where patches are looked at.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// The examples' indices, from which with the seed their random signs and places follow.
    pub indices: &'a [u32],
    /// The seed.
    pub seed: u32,
    /// At how many places, and what of the inputs is taken into account.
    pub looks: Looks,
}

impl Loss<'_> {
    /// Every value, last the logits `[K][M]`.
    pub fn activations(&self, theta: &[f64]) -> Vec<Vec<f64>> {
        self.maps.forward(theta, self.x.to_vec())
    }

    /// (logits, label) of each example.
    fn rows<'a>(&'a self, x: &'a [Vec<f64>]) -> impl Iterator<Item = (&'a [f64], usize)> {
        let logits = &x[x.len() - 1];
        let labels = self.labels.iter().map(|&label| label as usize);
        logits.chunks_exact(logits.len() / self.labels.len()).zip(labels)
    }

    /// (1/K) Σ + λ at
    pub fn mean_and_decay(&self, sums: Vec<f64>, at: &[f64]) -> Vec<f64> {
        sums.iter().zip(at).map(|(sum, at)| sum / self.labels.len() as f64 + self.weight_decay * at).collect()
    }

    /// The cross entropy alone, where activations are known.
    pub fn cross_entropy(&self, x: &[Vec<f64>]) -> f64 {
        self.rows(x).map(|(z, label)| xent::loss(z, label, self.smoothing)).sum::<f64>() / self.labels.len() as f64
    }

    /// The share of examples whose largest logit is their class's.
    pub fn accuracy(&self, x: &[Vec<f64>]) -> f64 {
        let hits = self.rows(x).filter(|(z, label)| xent::correct(z, *label)).count();
        hits as f64 / self.labels.len() as f64
    }

    /// f(θ)
    pub fn loss(&self, theta: &[f64], x: &[Vec<f64>]) -> f64 {
        self.cross_entropy(x) + 0.5 * self.weight_decay * theta.iter().map(|p| p * p).sum::<f64>()
    }

    /// ∇f(θ)
    pub fn gradient(&self, theta: &[f64], x: &[Vec<f64>]) -> Vec<f64> {
        let dz = self.rows(x).flat_map(|(z, label)| xent::gradient(z, label, self.smoothing)).collect();
        self.mean_and_decay(self.maps.vjp(theta, x, dz, |_, _| {}), theta)
    }

    /// (G + λI) v, G the Gauss-Newton matrix (1/K) Σ JᵀHJ.
    pub fn gauss_newton_product(&self, theta: &[f64], x: &[Vec<f64>], v: &[f64]) -> Vec<f64> {
        let u = self.maps.jvp(theta, x, v);
        let rows = self.rows(x).zip(u.chunks_exact(u.len() / self.labels.len()));
        let dz = rows.flat_map(|((z, _), u)| xent::hvp(z, u)).collect();
        self.mean_and_decay(self.maps.vjp(theta, x, dz, |_, _| {}), v)
    }

    /// G⁻¹ V A⁻¹ of every layer: v divided by the Kronecker factors over all examples, damped by λ.
    ///
    /// # Panics
    /// When a product has no patches.
    pub fn divided(&self, theta: &[f64], x: &[Vec<f64>], look: Look<'_>, lambda: f64, v: &[f64]) -> Vec<f64> {
        let rows = self.rows(x).zip(look.indices);
        let dz = rows.flat_map(|((z, _), &index)| xent::root(z, index, look.seed)).collect();
        let v = self.maps.split(v);
        let mut parts = Vec::new();
        self.maps.vjp(theta, x, dz, |i, dy| {
            let x = &x[self.maps.edges[i].x.index()];
            match &self.maps.maps[i] {
                Map::Affine(product) => {
                    let patches = product.patches().expect("a product with patches has factors");
                    parts.push(divided_in_blocks(&patches, [x, dy], look, lambda, v[i]));
                }
                Map::Norm(norm, group) => {
                    let blocks = batch_norm::fisher(&batch_norm::statistics(*norm, x, *group), [dy, x]);
                    let examples = look.indices.len() as f64;
                    parts.push(batch_norm::divide(&mean(blocks, examples), lambda, v[i]));
                }
                Map::GroupNorm(norm) => {
                    let blocks = group_norm::fisher(*norm, [dy, x]);
                    parts.push(batch_norm::divide(&mean(blocks, look.indices.len() as f64), lambda, v[i]));
                }
                _ => {}
            }
        });
        parts.into_iter().rev().flatten().collect()
    }
}

/// A layer's part, by its inputs and the gradients to its outputs: as if each group, and of its outputs each block, was
/// a layer.
fn divided_in_blocks(conv: &Conv2d, [x, dy]: [&[f64]; 2], look: Look<'_>, lambda: f64, v: &[f64]) -> Vec<f64> {
    let (patches, outputs) = (conv.weights().patches(), conv.channels);
    let pixels = conv.output().expect("the filter fits").pixels();
    let (mut weights, mut biases) = (Vec::new(), Vec::new());
    let of_group = conv.of_group();
    for (group, block) in parts(conv, look.looks) {
        let (from, to) = (block.start, block.end);
        let channels = |values: &[f64], pixels: usize, all: usize, some: Range<usize>| -> Vec<f64> {
            let of_image = |image: &[f64]| image[some.start * pixels..some.end * pixels].to_vec();
            values.chunks_exact(all * pixels).flat_map(of_image).collect()
        };
        let read = group * of_group.input.channels..(group + 1) * of_group.input.channels;
        let x = channels(x, conv.input.pixels(), conv.input.channels, read);
        let dy = channels(dy, pixels, outputs, block.clone());
        let v = [&v[from * patches..to * patches], &v[outputs * patches..][block]].concat();
        let part = divided_layer(&Conv2d { channels: to - from, ..of_group }, [&x, &dy], look, lambda, &v);
        let (of_weights, of_biases) = part.split_at((to - from) * patches);
        weights.extend_from_slice(of_weights);
        biases.extend_from_slice(of_biases);
    }
    weights.extend(biases);
    weights
}

/// The part of some outputs, by the layer's inputs and the gradients to them.
fn divided_layer(conv: &Conv2d, [x, dy]: [&[f64]; 2], look: Look<'_>, lambda: f64, v: &[f64]) -> Vec<f64> {
    let out = conv.output().expect("the filter fits");
    let pixels = Conv2d { input: out, channels: 1, size: 1, stride: 1, padding: 0, groups: 1 };
    let examples = look.indices.len() as f64;
    let g = mean(factors::gram(&pixels, dy, false), examples * out.pixels() as f64);
    let positions = look.looks.positions;
    if !look.looks.takes_whole(conv.weights().patches()) {
        let positions = if positions == 0 { out.pixels() } else { positions };
        let sample = PatchSample::new(*conv, positions);
        let patches = patches::gather(&sample, x, look.indices, look.seed);
        let nothing = vec![0.0; conv.weights().patches()];
        let [means, variances] = centred::update(0.0, [&nothing, &nothing], &patches, sample.positions);
        let moments = [&means[..], &variances];
        let [delta_a, delta_g] = centred::damping(moments, out.pixels(), &g, lambda);
        return centred::direction(v, moments, (out.pixels(), delta_a), &inverse(g, delta_g));
    }
    let a = if (1..out.pixels()).contains(&positions) {
        let sample = PatchSample::new(*conv, positions);
        let patches = patches::gather(&sample, x, look.indices, look.seed);
        let share = positions as f64 / out.pixels() as f64;
        mean(factors::gram(&sample.patches(), &patches, true), examples * share)
    } else {
        mean(factors::gram(conv, x, true), examples)
    };
    let [delta_a, delta_g] = factors::damping(&a, &g, lambda);
    // weights and then biases, as a matrix with the biases as its last column
    let (outputs, patches) = (conv.channels, conv.weights().patches());
    let at = |o: usize, r: usize| if r == patches { outputs * patches + o } else { o * patches + r };
    let entries = || (0..outputs).flat_map(|o| (0..=patches).map(move |r| at(o, r)));
    let matrix: Vec<f64> = entries().map(|i| v[i]).collect();
    let product = blocks::between(&inverse(g, delta_g), &matrix, &inverse(a, delta_a));
    let mut part = vec![0.0; v.len()];
    entries().zip(product).for_each(|(i, value)| part[i] = value);
    part
}

fn mean(sum: Vec<f64>, count: f64) -> Vec<f64> {
    sum.into_iter().map(|s| s / count).collect()
}

/// (S + δI)⁻¹
fn inverse(mut s: Vec<f64>, delta: f64) -> Vec<f64> {
    let side = s.len().isqrt();
    (0..side).for_each(|i| s[i * side + i] += delta);
    blocks::inverse(&s)
}
