//! Element-wise activation layers.

use super::{Layer, Weights};
use crate::device::{Buf, Gpu};
use crate::error::Result;
use crate::kernel::Dispatch;
use crate::kernels::activation::{self, Activation};
use crate::shape::Shape;

/// y = f(x), element by element.
#[derive(Debug)]
pub struct Elementwise {
    /// `relu`, `tanh`, … with the number of the layer before.
    pub name: String,
    /// f
    pub function: Activation,
    /// Shape of x and y.
    pub shape: Shape,
}

impl Layer for Elementwise {
    fn name(&self) -> &str {
        &self.name
    }

    fn input(&self) -> Shape {
        self.shape
    }

    fn output(&self) -> Shape {
        self.shape
    }

    fn forward(&self, gpu: &Gpu, _: Option<&Weights>, x: &Buf, y: &Buf) -> Result<Vec<Dispatch>> {
        Ok(vec![activation::forward(gpu, self.function, x, y)?])
    }

    fn jvp(&self, gpu: &Gpu, _: Option<&Weights>, x: &Buf, tx: Option<&Buf>, ty: &Buf) -> Result<Vec<Dispatch>> {
        tx.map(|tx| activation::product(gpu, self.function, x, tx, ty)).into_iter().collect()
    }

    fn vjp(&self, gpu: &Gpu, _: Option<&Weights>, x: &Buf, dy: &Buf, dx: Option<&Buf>) -> Result<Vec<Dispatch>> {
        dx.map(|dx| activation::product(gpu, self.function, x, dy, dx)).into_iter().collect()
    }
}
