//! Updates of a parameter vector from a gradient, element by element: their coefficients, and the formulas in f64. The
//! optimisers fill in the coefficients, the kernels run the formulas on a device. Muon's is by matrices.

pub mod muon;

pub use muon::{Matrix, MuonUpdate};

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
    /// t, counted from 1: of the slopes of earlier updates as many are known.
    pub number: u64,
}

impl AdamUpdate {
    /// The same at update t with a learning rate, means corrected for their start at zero (Kingma and Ba 2015,
    /// section 3): rate · (m/c₁) / (√(v/c₂) + ε) = rate √c₂/c₁ · m / (√v + ε √c₂), c = 1 − βᵗ.
    pub fn at(self, number: u64, rate: f64) -> Self {
        let [c1, c2] = [self.beta1, self.beta2].map(|beta| 1.0 - beta.powf(number as f64));
        Self { step: rate * c2.sqrt() / c1, epsilon: self.epsilon * c2.sqrt(), ..self }
    }

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

    /// Slopes that are remembered, the last of them.
    pub const SLOPES: usize = 16;

    /// A slope below this share of the mean of those before it counts as that much. Where most mini-batches have
    /// nothing to tell, since the class that is rare is not among them, steps as long as the others' would undo these.
    pub const LEAST_SLOPE: f64 = 0.1;

    /// Where the slope of this update is put among those that are remembered, and how many are known.
    pub fn place(&self, slopes: usize) -> [usize; 2] {
        let (ring, before) = (slopes.min(Self::SLOPES), self.number.saturating_sub(1) as usize);
        [before % ring, before.min(ring - 1)]
    }

    /// With slope = gᵀd, q = max(slope, m/10), m being the mean of the slopes before, and a = s min(most, √(κ / q)):
    /// u = μ v − a d, x ← x − μ v + (1 + μ) u, v ← u
    pub fn apply(&self, slope: f64, slopes: &mut [f64], d: &[f64], [v, x]: [&mut [f64]; 2]) {
        let [at, known] = self.place(slopes.len());
        slopes[at] = 0.0;
        let mean = slopes.iter().take(Self::SLOPES).sum::<f64>() / known.max(1) as f64;
        slopes[at] = slope;
        let slope = slope.max(Self::LEAST_SLOPE * mean).max(1e-30);
        let step = self.rate * self.most.min((self.divergence / slope).sqrt());
        for ((x, v), d) in x.iter_mut().zip(v).zip(d) {
            let before = *v;
            *v = self.momentum * before - step * d;
            *x += (1.0 + self.momentum) * *v - self.momentum * before;
        }
    }
}
