//! Element-wise activation layers.

use super::{Layer, LayerWeights};
use crate::device::{Gpu, Quads};
use crate::error::Result;
use crate::kernels::activation::{self, Activation};
use crate::kernels::epilogue::{Epilogue, Mask};
use crate::program::Dispatch;
use crate::shape::Shape;

/// y = f(x), element by element.
#[derive(Debug)]
pub struct ActivationLayer {
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

    fn forward(&self, gpu: &Gpu, _: Option<&LayerWeights>, x: &Quads, y: &Quads, _: &Epilogue) -> Result<Dispatch> {
        activation::forward(gpu, self.function, x, y)
    }

    fn jvp(
        &self,
        gpu: &Gpu,
        _: Option<&LayerWeights>,
        x: &Quads,
        tx: Option<&Quads>,
        ty: &Quads,
        _: Option<&Mask>,
    ) -> Result<Vec<Dispatch>> {
        tx.map(|tx| activation::product(gpu, self.function, x, tx, ty)).into_iter().collect()
    }

    fn grad_input(
        &self,
        gpu: &Gpu,
        _: Option<&LayerWeights>,
        x: &Quads,
        dy: &Quads,
        dx: &Quads,
        mask: Option<&Mask>,
    ) -> Result<Dispatch> {
        assert!(mask.is_none(), "an activation follows a product, which has none of its own");
        activation::product(gpu, self.function, x, dy, dx)
    }
}
