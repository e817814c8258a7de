//! Updates of a parameter vector from a gradient, element by element: Adam and momentum.

use super::grid::elementwise_grid;
use crate::device::{Buf, Gpu};
use crate::error::Result;
use crate::program::{Dispatch, Shader, shader};

pub(super) const ADAM: Shader = shader!("adam_update");
pub(super) const NATURAL: Shader = shader!("natural_update");
pub(super) const SGD: Shader = shader!("sgd_update");

/// What an update of Adam is made with. The corrections of the bias are in `step` and `epsilon`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// β₁, how much of the mean of the gradients is kept.
    pub beta1: f64,
    /// β₂, how much of the mean of their squares is kept.
    pub beta2: f64,
    /// The factor of the step.
    pub step: f64,
    /// ε, positive: what keeps the divisor from zero.
    pub epsilon: f64,
}

/// What an update with momentum is made with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Momentum {
    /// μ, how much of the velocity is kept.
    pub momentum: f64,
    /// a, the factor of the velocity.
    pub velocity: f64,
    /// b, the factor of the gradient.
    pub gradient: f64,
}

/// What an update along a natural gradient is made with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Natural {
    /// μ, how much of the velocity is kept.
    pub momentum: f64,
    /// s, the share of a full step.
    pub rate: f64,
    /// κ, twice the Kullback-Leibler divergence that a step may cause, by the quadratic model.
    pub divergence: f64,
    /// The longest step, as a multiple of the direction.
    pub most: f64,
}

impl Natural {
    /// As the kernel reads it.
    pub fn words(&self) -> [f32; 4] {
        [self.momentum, self.rate, self.divergence, self.most].map(|word| word as f32)
    }
}

impl Adam {
    /// As the kernel reads it. 1 − β is rounded once: from a rounded β₂ = 0.999 it would be off by 10⁻⁵.
    pub fn words(&self) -> [f32; 8] {
        let Self { beta1, beta2, step, epsilon } = *self;
        [beta1, 1.0 - beta1, beta2, 1.0 - beta2, step, epsilon, 0.0, 0.0].map(|word| word as f32)
    }
}

impl Momentum {
    /// As the kernel reads it.
    pub fn words(&self) -> [f32; 4] {
        [self.momentum, self.velocity, self.gradient, 0.0].map(|word| word as f32)
    }
}

/// m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², x ← x − step · m / (√v + ε). `coefficients` are [`Adam::words`], which may be
/// rewritten between runs. Lengths are multiples of 4.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn adam(gpu: &Gpu, coefficients: &Buf, g: &Buf, [m, v]: [&Buf; 2], x: &Buf) -> Result<Dispatch> {
    assert!([g, m, v].iter().all(|vector| vector.len() == x.len()) && coefficients.len() == 8);
    let bindings = [coefficients.into(), g.into(), m.into(), v.into(), x.into()];
    Dispatch::new(gpu, &ADAM, &[], &bindings, elementwise_grid(gpu, x.len() / 4))
}

/// v ← μ v + g, x ← x − a v − b g. `coefficients` are [`Momentum::words`]. Lengths are multiples of 4.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn momentum(gpu: &Gpu, coefficients: &Buf, g: &Buf, v: &Buf, x: &Buf) -> Result<Dispatch> {
    assert!(g.len() == x.len() && v.len() == x.len() && coefficients.len() == 4);
    let bindings = [coefficients.into(), g.into(), v.into(), x.into()];
    Dispatch::new(gpu, &SGD, &[], &bindings, elementwise_grid(gpu, x.len() / 4))
}

/// With a = s min(most, √(κ / slope)): u = μ v − a d, x ← x − μ v + (1 + μ) u, v ← u. `slope` is a word, gᵀd; `coefficients` are
/// [`Natural::words`]. Lengths are multiples of 4.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn natural(gpu: &Gpu, coefficients: &Buf, slope: &Buf, d: &Buf, v: &Buf, x: &Buf) -> Result<Dispatch> {
    assert!(d.len() == x.len() && v.len() == x.len() && coefficients.len() == 4 && slope.len() == 1);
    let bindings = [coefficients.into(), slope.into(), d.into(), v.into(), x.into()];
    Dispatch::new(gpu, &NATURAL, &[], &bindings, elementwise_grid(gpu, x.len() / 4))
}

/// The same in f64.
pub mod reference {
    use super::{Adam, Momentum, Natural};

    /// With a = s min(most, √(κ / slope)): u = μ v − a d, x ← x − μ v + (1 + μ) u, v ← u.
    pub fn natural(by: &Natural, slope: f64, d: &[f64], v: &mut [f64], x: &mut [f64]) {
        let step = by.rate * by.most.min((by.divergence / slope.max(1e-30)).sqrt());
        for ((x, v), d) in x.iter_mut().zip(v).zip(d) {
            let before = *v;
            *v = by.momentum * before - step * d;
            *x += (1.0 + by.momentum) * *v - by.momentum * before;
        }
    }

    /// m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², x ← x − step · m / (√v + ε)
    pub fn adam(by: &Adam, g: &[f64], [m, v]: [&mut [f64]; 2], x: &mut [f64]) {
        for (((x, m), v), g) in x.iter_mut().zip(m).zip(v).zip(g) {
            *m = by.beta1 * *m + (1.0 - by.beta1) * g;
            *v = by.beta2 * *v + (1.0 - by.beta2) * g * g;
            *x -= by.step * *m / (v.sqrt() + by.epsilon);
        }
    }

    /// v ← μ v + g, x ← x − a v − b g
    pub fn momentum(by: &Momentum, g: &[f64], v: &mut [f64], x: &mut [f64]) {
        for ((x, v), g) in x.iter_mut().zip(v).zip(g) {
            *v = by.momentum * *v + g;
            *x -= by.velocity * *v + by.gradient * g;
        }
    }
}
