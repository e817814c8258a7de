//! Layers and chains of them in f64, by the references of their kernels: what a device is compared with. Parameters are
//! compact here (PyTorch's order, no gaps), activations plain `[N][C][H][W]`.

use crate::kernels::activation::{self, Activation};
use crate::kernels::pool::{self, Pool};
use crate::kernels::product::{self, Product};
use crate::shape::Shape;
use std::sync::Arc;

/// One differentiable map y = f(x; θ) of every example.
#[derive(Clone, Debug)]
pub enum Map {
    /// w x + b
    Affine(Arc<dyn Product>),
    /// An activation of values of this shape.
    Elementwise(Activation, Shape),
    /// The largest of every window.
    Max(Pool),
    /// The mean of every window.
    Average(Pool),
}

impl Map {
    /// Shape of y.
    ///
    /// # Panics
    /// When a window does not fit.
    pub fn output(&self) -> Shape {
        match self {
            Self::Affine(product) => product.shapes()[1],
            Self::Elementwise(_, shape) => *shape,
            Self::Max(window) | Self::Average(window) => window.output().expect("the window fits"),
        }
    }

    /// Length of θ.
    pub fn parameters(&self) -> usize {
        if let Self::Affine(product) = self { product.weights().len() } else { 0 }
    }

    /// y = f(x; θ)
    pub fn forward(&self, x: &[f64], theta: &[f64]) -> Vec<f64> {
        match self {
            Self::Affine(product) => product::reference::forward(&**product, x, theta),
            Self::Elementwise(f, _) => x.iter().map(|&x| activation::reference::forward(*f, x)).collect(),
            Self::Max(window) => pool::reference::max_select(window, x, x),
            Self::Average(window) => pool::reference::avg_forward(window, x),
        }
    }

    /// J_x tx + J_θ v
    pub fn jvp(&self, x: &[f64], theta: &[f64], tx: &[f64], v: &[f64]) -> Vec<f64> {
        match self {
            Self::Affine(product) => product::reference::jvp(&**product, [x, tx], [theta, v]),
            Self::Elementwise(f, _) => activation::reference::product(*f, x, tx),
            Self::Max(window) => pool::reference::max_select(window, x, tx),
            Self::Average(window) => pool::reference::avg_forward(window, tx),
        }
    }

    /// J_xᵀ dy
    pub fn grad_input(&self, x: &[f64], theta: &[f64], dy: &[f64]) -> Vec<f64> {
        match self {
            Self::Affine(product) => product::reference::grad_input(&**product, dy, theta),
            Self::Elementwise(f, _) => activation::reference::product(*f, x, dy),
            Self::Max(window) => pool::reference::max_vjp(window, x, dy),
            Self::Average(window) => pool::reference::avg_vjp(window, dy),
        }
    }

    /// J_θᵀ dy, summed over the examples.
    pub fn grad_weight(&self, x: &[f64], dy: &[f64]) -> Vec<f64> {
        if let Self::Affine(product) = self { product::reference::grad_weight(&**product, x, dy) } else { Vec::new() }
    }

    /// (J_xᵀ dy, J_θᵀ dy)
    pub fn vjp(&self, x: &[f64], theta: &[f64], dy: &[f64]) -> (Vec<f64>, Vec<f64>) {
        (self.grad_input(x, theta, dy), self.grad_weight(x, dy))
    }
}

/// The parameters of each map of a chain.
///
/// # Panics
/// When they are not as many as the maps have.
pub fn split<'a>(maps: &[Map], mut theta: &'a [f64]) -> Vec<&'a [f64]> {
    let parts = maps.iter().map(|map| theta.split_off(..map.parameters()).expect("a part for each map")).collect();
    assert!(theta.is_empty(), "{} parameters too many", theta.len());
    parts
}

/// x of each map, and last the logits.
pub fn forward(maps: &[Map], theta: &[f64], x: Vec<f64>) -> Vec<Vec<f64>> {
    let mut all = vec![x];
    for (map, theta) in maps.iter().zip(split(maps, theta)) {
        all.push(map.forward(&all[all.len() - 1], theta));
    }
    all
}

/// J v, the derivative of the logits along a direction of the parameters; `x` is that of [`forward`].
pub fn jvp(maps: &[Map], theta: &[f64], x: &[Vec<f64>], v: &[f64]) -> Vec<f64> {
    let mut tx = vec![0.0; x[0].len()];
    for (((map, theta), v), x) in maps.iter().zip(split(maps, theta)).zip(split(maps, v)).zip(x) {
        tx = map.jvp(x, theta, &tx, v);
    }
    tx
}

/// Jᵀ dz, summed over the examples; `visit` is told of each map's number and of dy there, the last first.
pub fn vjp(
    maps: &[Map],
    theta: &[f64],
    x: &[Vec<f64>],
    dz: Vec<f64>,
    mut visit: impl FnMut(usize, &[f64]),
) -> Vec<f64> {
    let mut dy = dz;
    let mut gradients = Vec::new();
    for (i, ((map, theta), x)) in maps.iter().zip(split(maps, theta)).zip(x).enumerate().rev() {
        visit(i, &dy);
        gradients.push(map.grad_weight(x, &dy));
        if i > 0 {
            dy = map.grad_input(x, theta, &dy);
        }
    }
    gradients.into_iter().rev().flatten().collect()
}
