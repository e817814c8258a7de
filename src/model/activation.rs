//! Element-wise activation layers.

use super::layer::{At, Layer};
use super::reference::Map;
use crate::device::Quads;
use crate::error::Result;
use crate::kernels::activation::{self, Activation};
use crate::kernels::epilogue::{Epilogue, Mask};
use crate::program::Dispatch;
use crate::shape::Shape;

/// y = f(x), element by element.
#[derive(Debug)]
pub(super) struct ActivationLayer {
    /// `relu`, `tanh`, … with the number of the layer before.
    pub name: String,
    /// f
    pub function: Activation,
    /// Shape of x and y.
    pub shape: Shape,
}

impl Layer for ActivationLayer {
    fn name(&self) -> &str {
        &self.name
    }

    fn input(&self) -> Shape {
        self.shape
    }

    fn output(&self) -> Shape {
        self.shape
    }

    fn activation(&self) -> Option<Activation> {
        Some(self.function)
    }

    fn reference(&self) -> Map {
        Map::Elementwise(self.function, self.shape)
    }

    fn forward(&self, at: &At<'_>, y: &Quads, _: &Epilogue) -> Result<Vec<Dispatch>> {
        Ok(vec![activation::forward(at.gpu, self.function, at.x, y)?])
    }

    fn jvp(&self, at: &At<'_>, tx: Option<&Quads>, ty: &Quads, _: Option<&Mask>) -> Result<Vec<Dispatch>> {
        tx.map(|tx| activation::product(at.gpu, self.function, at.x, tx, ty)).into_iter().collect()
    }

    fn grad_input(&self, at: &At<'_>, dy: &Quads, dx: &Quads, mask: Option<&Mask>) -> Result<Vec<Dispatch>> {
        assert!(mask.is_none(), "an activation follows a product, which has none of its own");
        Ok(vec![activation::product(at.gpu, self.function, at.x, dy, dx)?])
    }
}
