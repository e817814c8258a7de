//! Updates of a parameter vector from a gradient, element by element: their coefficients, and the formulas in f64. The
//! optimisers fill in the coefficients, the kernels run the formulas on a device.

/// Coefficients of an update of Adam. The corrections of the bias are in `step` and `epsilon`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamUpdate {
    /// β₁, how much of the mean of the gradients is kept.
    pub beta1: f64,
    /// β₂, how much of the mean of their squares is kept.
    pub beta2: f64,
    /// The factor of the step.
    pub step: f64,
    /// ε, positive: what keeps the divisor from zero.
    pub epsilon: f64,
}

/// Coefficients of an update with momentum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MomentumUpdate {
    /// μ, how much of the velocity is kept.
    pub momentum: f64,
    /// a, the factor of the velocity.
    pub velocity: f64,
    /// b, the factor of the gradient.
    pub gradient: f64,
}

/// Coefficients of an update along a natural gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NaturalUpdate {
    /// μ, how much of the velocity is kept.
    pub momentum: f64,
    /// s, the share of a full step.
    pub rate: f64,
    /// κ, twice the Kullback-Leibler divergence that a step may cause, by the quadratic model.
    pub divergence: f64,
    /// The longest step, as a multiple of the direction.
    pub most: f64,
}

impl AdamUpdate {
    /// Multiply-adds of an element: two of m, three of v, a product, a root and a division of x.
    pub const MULTIPLY_ADDS: usize = 8;

    /// m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², x ← x − step · m / (√v + ε)
    pub fn apply(&self, g: &[f64], [m, v]: [&mut [f64]; 2], x: &mut [f64]) {
        for (((x, m), v), g) in x.iter_mut().zip(m).zip(v).zip(g) {
            *m = self.beta1 * *m + (1.0 - self.beta1) * g;
            *v = self.beta2 * *v + (1.0 - self.beta2) * g * g;
            *x -= self.step * *m / (v.sqrt() + self.epsilon);
        }
    }
}

impl MomentumUpdate {
    /// Multiply-adds of an element.
    pub const MULTIPLY_ADDS: usize = 3;

    /// v ← μ v + g, x ← x − a v − b g
    pub fn apply(&self, g: &[f64], v: &mut [f64], x: &mut [f64]) {
        for ((x, v), g) in x.iter_mut().zip(v).zip(g) {
            *v = self.momentum * *v + g;
            *x -= self.velocity * *v + self.gradient * g;
        }
    }
}

impl NaturalUpdate {
    /// Multiply-adds of an element: two of u, two of x, and one of gᵀd.
    pub const MULTIPLY_ADDS: usize = 5;

    /// With a = s min(most, √(κ / slope)) and slope = gᵀd: u = μ v − a d, x ← x − μ v + (1 + μ) u, v ← u
    pub fn apply(&self, slope: f64, d: &[f64], v: &mut [f64], x: &mut [f64]) {
        let step = self.rate * self.most.min((self.divergence / slope.max(1e-30)).sqrt());
        for ((x, v), d) in x.iter_mut().zip(v).zip(d) {
            let before = *v;
            *v = self.momentum * before - step * d;
            *x += (1.0 + self.momentum) * *v - self.momentum * before;
        }
    }
}
