//! Layers and graphs of them in f64, by the references of their kernels: what a device is compared with. Parameters are
//! compact here (PyTorch's order, no gaps), activations plain `[N][C][H][W]`.

use super::edges::{Edges, Value};
use crate::kernels::activation::{self, Activation};
use crate::kernels::batch_norm::{BatchNorm, reference as batch_norm};
use crate::kernels::group_norm::{GroupNorm, reference as group_norm};
use crate::kernels::pool::{self, Pool};
use crate::kernels::product::{self, Product};
use crate::kernels::sum::reference::sum;
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
    /// A normalisation over groups of so many examples.
    Norm(BatchNorm, usize),
    /// A normalisation of groups of channels of each example.
    GroupNorm(GroupNorm),
    /// The sum of x and another value, without this.
    Sum {
        /// Shape of x.
        input: Shape,
        /// Shape of the sum.
        output: Shape,
        /// Its channel at which the other value begins.
        first: usize,
    },
}

/// Maps in an order in which each comes after those that it reads.
#[derive(Clone, Debug)]
pub struct Maps {
    /// The maps.
    pub maps: Vec<Map>,
    /// What each reads.
    pub edges: Vec<Edges>,
    /// What each example counts where cotangents are averaged over examples, if not 1: of those that were kept of a
    /// mini-batch the inverse of the probability, of the others 0.
    pub shares: Option<Vec<f64>>,
}

impl Map {
    /// Shape of y.
    ///
    /// # Panics
    /// When a window does not fit.
    pub fn output(&self) -> Shape {
        match self {
            Self::Affine(product) => product.shapes()[1],
            Self::Elementwise(_, shape) | Self::Sum { output: shape, .. } => *shape,
            Self::Norm(norm, _) => norm.shape,
            Self::GroupNorm(norm) => norm.shape,
            Self::Max(window) | Self::Average(window) => window.output().expect("the window fits"),
        }
    }

    /// Length of θ.
    pub fn parameters(&self) -> usize {
        match self {
            Self::Affine(product) => product.weights().len(),
            Self::Norm(norm, _) => norm.weights().len(),
            Self::GroupNorm(norm) => norm.weights().len(),
            _ => 0,
        }
    }

    /// y = f(x; θ)
    pub fn forward(&self, x: &[f64], theta: &[f64]) -> Vec<f64> {
        match self {
            Self::Affine(product) => product::reference::forward(&**product, x, theta),
            Self::Elementwise(f, _) => x.iter().map(|&x| activation::reference::forward(*f, x)).collect(),
            Self::Max(window) => pool::reference::max_select(window, x, x),
            Self::Average(window) => pool::reference::avg_forward(window, x),
            Self::Norm(norm, group) => batch_norm::forward(&batch_norm::statistics(*norm, x, *group), x, None, theta),
            Self::GroupNorm(norm) => group_norm::forward(*norm, x, theta),
            Self::Sum { input, output, .. } => sum(output.len(), x.len() / input.len(), &[(x, 0)]),
        }
    }

    /// J_x tx + J_θ v
    pub fn jvp(&self, x: &[f64], theta: &[f64], tx: &[f64], v: &[f64]) -> Vec<f64> {
        match self {
            Self::Affine(product) => product::reference::jvp(&**product, [x, tx], [theta, v]),
            Self::Elementwise(f, _) => activation::reference::product(*f, x, tx),
            Self::Max(window) => pool::reference::max_select(window, x, tx),
            Self::Average(window) => pool::reference::avg_forward(window, tx),
            Self::Norm(norm, group) => {
                batch_norm::jvp(&batch_norm::statistics(*norm, x, *group), x, [theta, v], Some(tx))
            }
            Self::GroupNorm(norm) => group_norm::jvp(*norm, x, [theta, v], Some(tx)),
            Self::Sum { .. } => self.forward(tx, theta),
        }
    }

    /// J_xᵀ dy
    pub fn grad_input(&self, x: &[f64], theta: &[f64], dy: &[f64]) -> Vec<f64> {
        match self {
            Self::Affine(product) => product::reference::grad_input(&**product, dy, theta),
            Self::Elementwise(f, _) => activation::reference::product(*f, x, dy),
            Self::Max(window) => pool::reference::max_vjp(window, x, dy),
            Self::Average(window) => pool::reference::avg_vjp(window, dy),
            Self::Norm(norm, group) => {
                let w = vec![1.0; x.len() / norm.shape.len()];
                batch_norm::grad_input(&batch_norm::statistics(*norm, x, *group), [dy, x], theta, &w)
            }
            Self::GroupNorm(norm) => group_norm::grad_input(*norm, [dy, x], theta),
            Self::Sum { input, output, .. } => sum(input.len(), dy.len() / output.len(), &[(dy, 0)]),
        }
    }

    /// J_θᵀ dy, summed over the examples.
    pub fn grad_weight(&self, x: &[f64], dy: &[f64]) -> Vec<f64> {
        match self {
            Self::Affine(product) => product::reference::grad_weight(&**product, x, dy),
            Self::Norm(norm, group) => {
                let sums = batch_norm::products(&batch_norm::statistics(*norm, x, *group), [dy, x]);
                let channels = norm.shape.channels;
                let mut g = vec![0.0; norm.weights().len()];
                for (i, [scale, shift]) in sums.into_iter().enumerate() {
                    g[i % channels] += scale;
                    g[channels + i % channels] += shift;
                }
                g
            }
            Self::GroupNorm(norm) => group_norm::grad_weight(*norm, [dy, x]),
            _ => Vec::new(),
        }
    }

    /// (J_xᵀ dy, J_θᵀ dy)
    pub fn vjp(&self, x: &[f64], theta: &[f64], dy: &[f64]) -> (Vec<f64>, Vec<f64>) {
        (self.grad_input(x, theta, dy), self.grad_weight(x, dy))
    }
}

impl Maps {
    /// The same, normalised over groups of so many examples.
    #[must_use]
    pub fn over(mut self, examples: usize) -> Self {
        for map in &mut self.maps {
            if let Map::Norm(_, group) = map {
                *group = examples;
            }
        }
        self
    }

    /// The parameters of each map.
    ///
    /// # Panics
    /// When they are not as many as the maps have.
    pub fn split<'a>(&self, mut theta: &'a [f64]) -> Vec<&'a [f64]> {
        let part = |map: &Map| theta.split_off(..map.parameters()).expect("a part for each map");
        let parts = self.maps.iter().map(part).collect();
        assert!(theta.is_empty(), "{} parameters too many", theta.len());
        parts
    }

    /// Each map with its number, its edges and its parameters.
    fn each<'a>(&'a self, theta: &'a [f64]) -> impl DoubleEndedIterator<Item = (usize, &'a Map, Edges, &'a [f64])> {
        let maps = self.maps.iter().zip(&self.edges).zip(self.split(theta));
        maps.enumerate().map(|(i, ((map, edges), theta))| (i, map, *edges, theta))
    }

    /// How many examples these logits are of.
    fn examples(&self, logits: &[f64]) -> usize {
        logits.len() / self.maps[self.maps.len() - 1].output().len()
    }

    /// Every value: the examples, and what each map puts out, last the logits.
    pub fn forward(&self, theta: &[f64], x: Vec<f64>) -> Vec<Vec<f64>> {
        let mut all = vec![x];
        for (_, map, edges, theta) in self.each(theta) {
            let y = map.forward(&all[edges.x.index()], theta);
            let examples = y.len() / map.output().len();
            all.push(match edges.plus {
                Some(plus) => sum(map.output().len(), examples, &[(&y, 0), (&all[plus.index()], -before(map))]),
                None => y,
            });
        }
        all
    }

    /// J v, the derivative of the logits along a direction of the parameters; `x` is that of [`Maps::forward`].
    pub fn jvp(&self, theta: &[f64], x: &[Vec<f64>], v: &[f64]) -> Vec<f64> {
        let mut along = vec![vec![0.0; x[0].len()]];
        for ((_, map, edges, theta), v) in self.each(theta).zip(self.split(v)) {
            let at = edges.x.index();
            let ty = map.jvp(&x[at], theta, &along[at], v);
            let examples = ty.len() / map.output().len();
            along.push(match edges.plus {
                Some(plus) => sum(map.output().len(), examples, &[(&ty, 0), (&along[plus.index()], -before(map))]),
                None => ty,
            });
        }
        along.swap_remove(self.maps.len())
    }

    /// Jᵀ dz, summed over the examples; `visit` is told of each map's number and of dy there, the last first.
    ///
    /// # Panics
    /// When nothing reads what a map puts out.
    pub fn vjp(&self, theta: &[f64], x: &[Vec<f64>], dz: Vec<f64>, mut visit: impl FnMut(usize, &[f64])) -> Vec<f64> {
        let examples = self.examples(&dz);
        let mut cotangents: Vec<Option<Vec<f64>>> = vec![None; x.len()];
        *cotangents.last_mut().expect("there are the examples") = Some(dz);
        let mut gradients = Vec::new();
        for (i, map, edges, theta) in self.each(theta).rev() {
            let dy = cotangents[Value::of_layer(i).index()].take().expect("every output is read");
            visit(i, &dy);
            let at = edges.x.index();
            gradients.push(map.grad_weight(&x[at], &dy));
            if edges.x != Value::EXAMPLE {
                let dx = match (map, &self.shares) {
                    (Map::Norm(norm, group), Some(shares)) => {
                        let groups = batch_norm::statistics(*norm, &x[at], *group);
                        batch_norm::grad_input(&groups, [&dy, &x[at]], theta, shares)
                    }
                    _ => map.grad_input(&x[at], theta, &dy),
                };
                add(&mut cotangents[at], dx);
            }
            if let Some(plus) = edges.plus {
                let features = x[plus.index()].len() / examples;
                add(&mut cotangents[plus.index()], sum(features, examples, &[(&dy, before(map))]));
            }
        }
        gradients.into_iter().rev().flatten().collect()
    }
}

/// Features of a sum before those of its second term.
fn before(map: &Map) -> isize {
    match map {
        Map::Sum { output, first, .. } => (first * output.pixels()) as isize,
        _ => 0,
    }
}

/// to + what was there.
fn add(to: &mut Option<Vec<f64>>, more: Vec<f64>) {
    match to {
        None => *to = Some(more),
        Some(to) => to.iter_mut().zip(more).for_each(|(to, more)| *to += more),
    }
}
