//! Pooling layers.

use super::{Layer, LayerWeights};
use crate::device::{Gpu, Quads};
use crate::error::Result;
use crate::kernels::epilogue::{Epilogue, Mask};
use crate::kernels::pool::{self, Pool};
use crate::program::Dispatch;
use crate::shape::Shape;

/// Max or average pooling; the global average is the window of the whole image.
#[derive(Debug)]
pub struct Pooling {
    name: String,
    window: Pool,
    output: Shape,
    is_max: bool,
}

impl Pooling {
    /// Nothing when the window does not fit.
    pub fn new(name: String, window: Pool, is_max: bool) -> Option<Self> {
        Some(Self { name, window, output: window.output()?, is_max })
    }
}

impl Layer for Pooling {
    fn name(&self) -> &str {
        &self.name
    }

    fn input(&self) -> Shape {
        self.window.input
    }

    fn output(&self) -> Shape {
        self.output
    }

    fn forward(&self, gpu: &Gpu, _: Option<&LayerWeights>, x: &Quads, y: &Quads, _: &Epilogue) -> Result<Dispatch> {
        if self.is_max {
            pool::max_select(gpu, &self.window, x, x, y)
        } else {
            pool::avg_forward(gpu, &self.window, x, y)
        }
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
        let step = |tx| match self.is_max {
            true => pool::max_select(gpu, &self.window, x, tx, ty),
            false => pool::avg_forward(gpu, &self.window, tx, ty),
        };
        tx.map(step).into_iter().collect()
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
        if self.is_max {
            pool::max_vjp(gpu, &self.window, x, dy, dx, mask)
        } else {
            pool::avg_vjp(gpu, &self.window, dy, dx, mask)
        }
    }
}
