//! The same in f64, on plain `[N][C][H·W]`: a group of channels of an example is normalised as a channel of a batch of
//! one example is.

use super::norm::GroupNorm;
use crate::kernels::batch_norm::reference::{self as batch_norm, Groups};

/// Mean and variance of each group of each example.
pub fn statistics(norm: GroupNorm, x: &[f64]) -> Groups {
    batch_norm::statistics(norm.all_of_group(), x, 1)
}

/// γ = 1 and β = 0 of each group.
fn plain(norm: GroupNorm) -> Vec<f64> {
    [vec![1.0; norm.groups], vec![0.0; norm.groups]].concat()
}

/// γ x̂ + β of each channel.
fn scaled(norm: GroupNorm, normalised: &[f64], theta: &[f64]) -> Vec<f64> {
    let (channels, pixels) = (norm.shape.channels, norm.shape.pixels());
    let of = |(i, x): (usize, &f64)| theta[i / pixels % channels] * x + theta[channels + i / pixels % channels];
    normalised.iter().enumerate().map(of).collect()
}

/// x̂
fn normalised(norm: GroupNorm, x: &[f64]) -> Vec<f64> {
    batch_norm::forward(&statistics(norm, x), x, None, &plain(norm))
}

/// γ x̂ + β
pub fn forward(norm: GroupNorm, x: &[f64], theta: &[f64]) -> Vec<f64> {
    scaled(norm, &normalised(norm, x), theta)
}

/// ty along `tx` and `v`.
pub fn jvp(norm: GroupNorm, x: &[f64], [theta, v]: [&[f64]; 2], tx: Option<&[f64]>) -> Vec<f64> {
    let of_theta = scaled(norm, &normalised(norm, x), v);
    let Some(tx) = tx else { return of_theta };
    let still = vec![0.0; 2 * norm.groups];
    let along = batch_norm::jvp(&statistics(norm, x), x, [&plain(norm), &still], Some(tx));
    let of_x = scaled(norm, &along, &without_shifts(norm, theta));
    of_x.iter().zip(of_theta).map(|(a, b)| a + b).collect()
}

/// γ, and zeros for β.
fn without_shifts(norm: GroupNorm, theta: &[f64]) -> Vec<f64> {
    let channels = norm.shape.channels;
    [&theta[..channels], &vec![0.0; channels]].concat()
}

/// Of each channel of each example Σ dy x̂ and Σ dy over its pixels.
pub fn products(norm: GroupNorm, [dy, x]: [&[f64]; 2]) -> Vec<[f64; 2]> {
    let normalised = normalised(norm, x);
    let planes = dy.chunks_exact(norm.shape.pixels()).zip(normalised.chunks_exact(norm.shape.pixels()));
    planes.map(|(dy, x)| [dy.iter().zip(x).map(|(dy, x)| dy * x).sum(), dy.iter().sum()]).collect()
}

/// The gradient to γ, then β.
pub fn grad_weight(norm: GroupNorm, of: [&[f64]; 2]) -> Vec<f64> {
    let channels = norm.shape.channels;
    let mut g = vec![0.0; 2 * channels];
    for (i, [scale, shift]) in products(norm, of).into_iter().enumerate() {
        g[i % channels] += scale;
        g[channels + i % channels] += shift;
    }
    g
}

/// dx
pub fn grad_input(norm: GroupNorm, [dy, x]: [&[f64]; 2], theta: &[f64]) -> Vec<f64> {
    let scaled = scaled(norm, dy, &without_shifts(norm, theta));
    let ones = vec![1.0; x.len() / norm.shape.len()];
    batch_norm::grad_input(&statistics(norm, x), [&scaled, x], &plain(norm), &ones)
}

/// Of each channel Σ over examples of (a², a b, b²), `[C][3]`, a and b an example's sums of dy x̂ and dy.
pub fn fisher(norm: GroupNorm, of: [&[f64]; 2]) -> Vec<f64> {
    let mut f = vec![0.0; norm.fisher_len()];
    for (i, [a, b]) in products(norm, of).into_iter().enumerate() {
        let of_channel = &mut f[3 * (i % norm.shape.channels)..][..3];
        of_channel.iter_mut().zip([a * a, a * b, b * b]).for_each(|(sum, term)| *sum += term);
    }
    f
}
