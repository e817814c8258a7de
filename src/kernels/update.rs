//! Updates of a parameter vector from a gradient, element by element: Adam, momentum, a natural gradient.

use super::grid::elementwise_grid;
use crate::device::{Buf, Gpu};
use crate::error::Result;
use crate::program::{Dispatch, Shader, shader};
use crate::update::{AdamUpdate, MomentumUpdate, NaturalUpdate};

pub(super) const ADAM: Shader = shader!("adam_update");
pub(super) const NATURAL: Shader = shader!("natural_update");
pub(super) const SGD: Shader = shader!("sgd_update");

impl NaturalUpdate {
    /// As the kernel reads it.
    pub fn words(&self) -> [f32; 8] {
        let [at, known] = self.place(Self::SLOPES).map(|word| word as f64);
        [self.momentum, self.rate, self.divergence, self.most, at, known, Self::LEAST_SLOPE, 0.0]
            .map(|word| word as f32)
    }
}

impl AdamUpdate {
    /// As the kernel reads it. 1 − β is rounded once: from a rounded β₂ = 0.999 it would be off by 10⁻⁵.
    pub fn words(&self) -> [f32; 8] {
        let Self { beta1, beta2, step, epsilon } = *self;
        [beta1, 1.0 - beta1, beta2, 1.0 - beta2, step, epsilon, 0.0, 0.0].map(|word| word as f32)
    }
}

impl MomentumUpdate {
    /// As the kernel reads it.
    pub fn words(&self) -> [f32; 4] {
        [self.momentum, self.velocity, self.gradient, 0.0].map(|word| word as f32)
    }
}

/// m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², x ← x − step · m / (√v + ε). `coefficients` are
/// [`AdamUpdate::words`], which may be rewritten between runs. Lengths are multiples of 4.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn adam(gpu: &Gpu, coefficients: &Buf, g: &Buf, [m, v]: [&Buf; 2], x: &Buf) -> Result<Dispatch> {
    assert!([g, m, v].iter().all(|vector| vector.len() == x.len()) && coefficients.len() == 8);
    let bindings = [coefficients.into(), g.into(), m.into(), v.into(), x.into()];
    Dispatch::new(gpu, &ADAM, &[], &bindings, elementwise_grid(gpu, x.len() / 4))
}

/// v ← μ v + g, x ← x − a v − b g. `coefficients` are [`MomentumUpdate::words`]. Lengths are multiples of 4.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn momentum(gpu: &Gpu, coefficients: &Buf, g: &Buf, v: &Buf, x: &Buf) -> Result<Dispatch> {
    assert!(g.len() == x.len() && v.len() == x.len() && coefficients.len() == 4);
    let bindings = [coefficients.into(), g.into(), v.into(), x.into()];
    Dispatch::new(gpu, &SGD, &[], &bindings, elementwise_grid(gpu, x.len() / 4))
}

/// With q = max(gᵀd, m/10) and a = s min(most, √(κ / q)): u = μ v − a d, x ← x − μ v + (1 + μ) u, v ← u. `slope` holds
/// the parts of gᵀd, `slopes` those of the updates before, whose mean is m, and this one's; `coefficients` are
/// [`NaturalUpdate::words`]. Lengths are multiples of 4.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn natural(
    gpu: &Gpu,
    coefficients: &Buf,
    [slope, slopes]: [&Buf; 2],
    d: &Buf,
    [v, x]: [&Buf; 2],
) -> Result<Dispatch> {
    assert!(d.len() == x.len() && v.len() == x.len() && coefficients.len() == 8);
    assert!(slopes.len() >= NaturalUpdate::SLOPES);
    let constants = [("SLOPES", NaturalUpdate::SLOPES)];
    let bindings = [coefficients.into(), slope.into(), d.into(), slopes.into(), v.into(), x.into()];
    Dispatch::new(gpu, &NATURAL, &constants, &bindings, elementwise_grid(gpu, x.len() / 4))
}

/// The same in f64.
pub mod reference {
    use crate::kernels::update::{AdamUpdate, MomentumUpdate, NaturalUpdate};

    /// [`NaturalUpdate::apply`]
    pub fn natural(by: &NaturalUpdate, slope: f64, slopes: &mut [f64], d: &[f64], at: [&mut [f64]; 2]) {
        by.apply(slope, slopes, d, at);
    }

    /// [`AdamUpdate::apply`]
    pub fn adam(by: &AdamUpdate, g: &[f64], moments: [&mut [f64]; 2], x: &mut [f64]) {
        by.apply(g, moments, x);
    }

    /// [`MomentumUpdate::apply`]
    pub fn momentum(by: &MomentumUpdate, g: &[f64], v: &mut [f64], x: &mut [f64]) {
        by.apply(g, v, x);
    }
}
