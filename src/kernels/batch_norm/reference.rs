//! The same in f64, on plain `[N][C][H·W]`, real examples alone.

use super::norm::{BatchNorm, EPSILON};

/// Mean, biased variance and number of the values of one channel of a group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChannelMoments {
    /// m
    pub mean: f64,
    /// v
    pub variance: f64,
    /// n
    pub count: f64,
}

impl ChannelMoments {
    /// r = (v + ε)^−½
    pub fn scale(&self) -> f64 {
        1.0 / (self.variance + EPSILON).sqrt()
    }
}

/// What the values of some examples are normalised by.
#[derive(Clone, Debug)]
pub struct Groups {
    /// The normalisation.
    pub norm: BatchNorm,
    /// Examples of a group.
    pub examples: usize,
    /// Of each group the channels' moments.
    pub moments: Vec<ChannelMoments>,
    /// Whether the moments do not depend on the values, as running ones.
    pub are_fixed: bool,
}

impl Groups {
    /// Running means and variances, `[C]` each.
    pub fn running(norm: BatchNorm, running: &[f64]) -> Self {
        let (means, variances) = running.split_at(norm.shape.channels);
        let moments =
            means.iter().zip(variances).map(|(&mean, &variance)| ChannelMoments { mean, variance, count: 1.0 });
        Self { norm, examples: usize::MAX, moments: moments.collect(), are_fixed: true }
    }

    /// Group and channel of a value, as one number.
    fn place(&self, i: usize) -> usize {
        let shape = self.norm.shape;
        i / shape.len() / self.examples * shape.channels + i / shape.pixels() % shape.channels
    }

    fn of(&self, i: usize) -> ChannelMoments {
        self.moments[self.place(i)]
    }

    /// x̂ of a value.
    fn normalised(&self, x: &[f64], i: usize) -> f64 {
        (x[i] - self.of(i).mean) * self.of(i).scale()
    }

    /// γ and β, or their tangents, of a value.
    fn parameters(&self, theta: &[f64], i: usize) -> [f64; 2] {
        let shape = self.norm.shape;
        let channel = i / shape.pixels() % shape.channels;
        [theta[channel], theta[shape.channels + channel]]
    }
}

/// The statistics of groups of so many examples.
pub fn statistics(norm: BatchNorm, x: &[f64], examples: usize) -> Groups {
    let (channels, pixels) = (norm.shape.channels, norm.shape.pixels());
    let mut moments = Vec::new();
    for group in x.chunks(examples.saturating_mul(norm.shape.len())) {
        for channel in 0..channels {
            let planes = group.chunks_exact(pixels).skip(channel).step_by(channels);
            let values: Vec<f64> = planes.flatten().copied().collect();
            let count = values.len() as f64;
            let mean = values.iter().sum::<f64>() / count;
            let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
            moments.push(ChannelMoments { mean, variance, count });
        }
    }
    Groups { norm, examples, moments, are_fixed: false }
}

/// γ x̂ + β (+ skip)
pub fn forward(groups: &Groups, x: &[f64], skip: Option<&[f64]>, theta: &[f64]) -> Vec<f64> {
    let value = |i: usize| {
        let [gamma, beta] = groups.parameters(theta, i);
        gamma * groups.normalised(x, i) + beta + skip.map_or(0.0, |skip| skip[i])
    };
    (0..x.len()).map(value).collect()
}

/// Of each group and channel Σ u x̂ and Σ u.
pub fn products(groups: &Groups, [u, x]: [&[f64]; 2]) -> Vec<[f64; 2]> {
    let mut sums = vec![[0.0; 2]; groups.moments.len()];
    for (i, u) in u.iter().enumerate() {
        let [with_x, alone] = &mut sums[groups.place(i)];
        *with_x += u * groups.normalised(x, i);
        *alone += u;
    }
    sums
}

/// ty along `tx` and `v`.
pub fn jvp(groups: &Groups, x: &[f64], [theta, v]: [&[f64]; 2], tx: Option<&[f64]>) -> Vec<f64> {
    let sums = tx.map(|tx| products(groups, [tx, x]));
    let value = |i: usize| {
        let (normalised, moments) = (groups.normalised(x, i), groups.of(i));
        let ([gamma, _], [d_gamma, d_beta]) = (groups.parameters(theta, i), groups.parameters(v, i));
        let along = tx.zip(sums.as_ref()).map_or(0.0, |(tx, sums)| {
            let [with_x, alone] = sums[groups.place(i)].map(|sum| sum / moments.count);
            let mean = if groups.are_fixed { 0.0 } else { alone + normalised * with_x };
            gamma * moments.scale() * (tx[i] - mean)
        });
        along + d_gamma * normalised + d_beta
    };
    (0..x.len()).map(value).collect()
}

/// dx of examples with weights w, 1 for all but those kept of a larger batch that the statistics are of.
pub fn grad_input(groups: &Groups, [dy, x]: [&[f64]; 2], theta: &[f64], w: &[f64]) -> Vec<f64> {
    let sums = products(groups, [dy, x]);
    let value = |i: usize| {
        let ([gamma, _], moments) = (groups.parameters(theta, i), groups.of(i));
        let [e, c] = sums[groups.place(i)].map(|sum| sum / moments.count);
        let mean = if groups.are_fixed { 0.0 } else { c + groups.normalised(x, i) * e };
        gamma * moments.scale() * (dy[i] - w[i / groups.norm.shape.len()] * mean)
    };
    (0..x.len()).map(value).collect()
}

/// Of each channel Σ over examples of (a², a b, b²), `[C][3]`, a and b an example's sums of dy x̂ and dy.
pub fn fisher(groups: &Groups, [dy, x]: [&[f64]; 2]) -> Vec<f64> {
    let (channels, pixels) = (groups.norm.shape.channels, groups.norm.shape.pixels());
    let mut f = vec![0.0; 3 * channels];
    for (plane, dy) in dy.chunks_exact(pixels).enumerate() {
        let terms = dy.iter().zip(plane * pixels..);
        let a = terms.map(|(dy, i)| dy * groups.normalised(x, i)).sum::<f64>();
        let b = dy.iter().sum::<f64>();
        let of_channel = &mut f[3 * (plane % channels)..][..3];
        of_channel.iter_mut().zip([a * a, a * b, b * b]).for_each(|(sum, term)| *sum += term);
    }
    f
}

/// (F + λ I)⁻¹ g of each channel, γ and then β.
pub fn divide(f: &[f64], lambda: f64, g: &[f64]) -> Vec<f64> {
    let channels = g.len() / 2;
    let mut d = vec![0.0; g.len()];
    for (c, f) in f.chunks_exact(3).enumerate() {
        let [a, b, c_] = [f[0] + lambda, f[1], f[2] + lambda];
        let determinant = a * c_ - b * b;
        d[c] = (c_ * g[c] - b * g[channels + c]) / determinant;
        d[channels + c] = (a * g[channels + c] - b * g[c]) / determinant;
    }
    d
}

/// Σ over groups of the means and of the variances without bias, `[C]` each.
pub fn collect(groups: &Groups) -> Vec<f64> {
    let channels = groups.norm.shape.channels;
    let mut sums = vec![0.0; 2 * channels];
    for (i, moments) in groups.moments.iter().enumerate() {
        sums[i % channels] += moments.mean;
        sums[channels + i % channels] += moments.variance * moments.count / (moments.count - 1.0).max(1.0);
    }
    sums
}
