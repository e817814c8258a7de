//! Element-wise activations and the product with their diagonal Jacobian.

use super::grid::elementwise_grid;
use crate::device::{Gpu, Quads};
use crate::error::Result;
use crate::program::{Dispatch, KIND, Shader, shader};
use serde::{Deserialize, Serialize};

pub(super) const FORWARD: Shader = shader!("activation_forward");
pub(super) const PRODUCT: Shader = shader!("activation_product");

/// An element-wise non-linearity; the discriminant is the shaders' `KIND`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// max(x, 0)
    Relu = 0,
    /// tanh x
    Tanh = 1,
    /// x σ(x)
    Silu = 2,
    /// ln(1 + eˣ)
    Softplus = 3,
}

impl Activation {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Relu, Self::Tanh, Self::Silu, Self::Softplus];

    /// Name as written in a model description.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::Tanh => "tanh",
            Self::Silu => "silu",
            Self::Softplus => "softplus",
        }
    }

    /// `KIND` of the shaders, which have one for none.
    pub(super) fn kind(activation: Option<Self>) -> usize {
        activation.map_or(Self::ALL.len(), |f| f as usize)
    }
}

/// y = f(x), element by element.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn forward(gpu: &Gpu, f: Activation, x: &Quads, y: &Quads) -> Result<Dispatch> {
    assert_eq!(x.len(), y.len());
    let count = y.len() / 4;
    let bindings = [x.into(), gpu.uniform(count)?.into(), y.into()];
    Dispatch::new(gpu, &FORWARD, &[(KIND, f as usize)], &bindings, elementwise_grid(gpu, count))
}

/// out = v ⊙ f'(x): both jvp and vjp of the activation at its input x.
///
/// # Errors
/// As [`Dispatch::new`].
pub fn product(gpu: &Gpu, f: Activation, x: &Quads, v: &Quads, out: &Quads) -> Result<Dispatch> {
    assert!(x.len() == v.len() && x.len() == out.len());
    let count = out.len() / 4;
    let bindings = [x.into(), v.into(), gpu.uniform(count)?.into(), out.into()];
    Dispatch::new(gpu, &PRODUCT, &[(KIND, f as usize)], &bindings, elementwise_grid(gpu, count))
}

/// The same in f64.
pub mod reference {
    use crate::kernels::activation::Activation;

    /// f(x)
    pub fn forward(f: Activation, x: f64) -> f64 {
        match f {
            Activation::Relu => x.max(0.0),
            Activation::Tanh => x.tanh(),
            Activation::Silu => x * sigmoid(x),
            Activation::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
        }
    }

    /// f'(x)
    pub fn derivative(f: Activation, x: f64) -> f64 {
        match f {
            Activation::Relu => f64::from(x > 0.0),
            Activation::Tanh => 1.0 / (x.cosh() * x.cosh()),
            Activation::Silu => sigmoid(x) * (1.0 + x * sigmoid(-x)),
            Activation::Softplus => sigmoid(x),
        }
    }

    /// v ⊙ f'(x)
    pub fn product(f: Activation, x: &[f64], v: &[f64]) -> Vec<f64> {
        x.iter().zip(v).map(|(&x, &v)| v * derivative(f, x)).collect()
    }

    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }
}
