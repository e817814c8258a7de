//! Pooling layers.

use super::layer::{At, Layer};
use super::reference::Map;
use crate::device::{Gpu, Quads};
use crate::error::Result;
use crate::kernels::epilogue::{Epilogue, Mask};
use crate::kernels::pool::{self, Pool};
use crate::program::Dispatch;
use crate::shape::Shape;

/// Max or average pooling; the global average is the window of the whole image.
#[derive(Debug)]
pub(super) struct Pooling {
    name: String,
    window: Pool,
    output: Shape,
    is_max: bool,
}

impl Pooling {
    /// Nothing when the window does not fit.
    pub(super) fn new(name: String, window: Pool, is_max: bool) -> Option<Self> {
        Some(Self { name, window, output: window.output()?, is_max })
    }

    /// J_x times a `tx`; x itself gives y, since pooling is linear where the largest of every window is known.
    fn linear(&self, at: &At<'_>, tx: &Quads, ty: &Quads) -> Result<Dispatch> {
        if self.is_max {
            pool::max_select(at.gpu, &self.window, at.x, tx, ty)
        } else {
            pool::avg_forward(at.gpu, &self.window, tx, ty)
        }
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

    fn reference(&self) -> Map {
        if self.is_max { Map::Max(self.window) } else { Map::Average(self.window) }
    }

    fn turns(&self, _: &Gpu) -> usize {
        self.window.turns(self.is_max)
    }

    fn forward(&self, at: &At<'_>, y: &Quads, _: &Epilogue) -> Result<Vec<Dispatch>> {
        Ok(vec![self.linear(at, at.x, y)?])
    }

    fn jvp(&self, at: &At<'_>, tx: Option<&Quads>, ty: &Quads, _: Option<&Mask>) -> Result<Vec<Dispatch>> {
        tx.map(|tx| self.linear(at, tx, ty)).into_iter().collect()
    }

    fn grad_input(&self, at: &At<'_>, dy: &Quads, dx: &Quads, mask: Option<&Mask>) -> Result<Vec<Dispatch>> {
        Ok(vec![if self.is_max {
            pool::max_vjp(at.gpu, &self.window, at.x, dy, dx, mask)?
        } else {
            pool::avg_vjp(at.gpu, &self.window, dy, dx, mask)?
        }])
    }
}
