//! Convolution and dense layers: y = w x + b. Both are bilinear in (x, w), so jvp is two forward products.

use super::layer::{At, Layer, LayerWeights};
use super::reference::Map;
use crate::device::{Buf, Gpu, Quads};
use crate::error::Result;
use crate::kernels::conv2d::Conv2d;
use crate::kernels::epilogue::{Epilogue, Mask};
use crate::kernels::product::Product;
use crate::kernels::tune;
use crate::kernels::weights::{Direction, Packing, WeightShape};
use crate::program::Dispatch;
use crate::shape::Shape;
use std::sync::Arc;

/// A product with trained weights.
#[derive(Debug)]
pub(super) struct Affine<P> {
    /// `conv`, `dense`, … with its number.
    pub name: String,
    /// w x + b
    pub product: P,
}

fn required<'a>(at: &At<'a>) -> &'a LayerWeights {
    at.weights.expect("the model gives every layer with parameters its weights")
}

/// Weights that this layer reads.
fn packed(quads: &Option<Quads>) -> &Quads {
    quads.as_ref().expect("packed as the layer says, backward where its input's gradient is asked for")
}

impl<P: Product + Clone + 'static> Layer for Affine<P> {
    fn name(&self) -> &str {
        &self.name
    }

    fn input(&self) -> Shape {
        let [input, _] = self.product.shapes();
        input
    }

    fn output(&self) -> Shape {
        let [_, output] = self.product.shapes();
        output
    }

    fn weights(&self) -> Option<WeightShape> {
        Some(self.product.weights())
    }

    fn weight_dims(&self) -> Vec<usize> {
        self.product.weight_dims()
    }

    fn patches(&self) -> Option<Conv2d> {
        self.product.patches()
    }

    fn multiply_adds(&self) -> usize {
        self.product.multiply_adds()
    }

    fn reference(&self) -> Map {
        Map::Affine(Arc::new(self.product.clone()))
    }

    fn turns(&self, gpu: &Gpu) -> usize {
        self.product.turns(gpu)
    }

    fn packing(&self, gpu: &Gpu, direction: Direction) -> Option<Packing> {
        Some(self.product.packing(gpu, direction))
    }

    fn tune(&self, gpu: &Gpu, with_backward: bool, examples: usize) -> Result<()> {
        tune::choose_tile(gpu, &self.product, Direction::Forward, examples)?;
        if with_backward {
            tune::choose_tile(gpu, &self.product, Direction::Backward, examples)?;
        }
        Ok(())
    }

    fn splits(&self, gpu: &Gpu, blocks: usize) -> usize {
        self.product.splits(gpu, blocks)
    }

    fn forward(&self, at: &At<'_>, y: &Quads, epilogue: &Epilogue) -> Result<Vec<Dispatch>> {
        Ok(vec![self.product.forward(at.gpu, (at.x, packed(&required(at).forward)), y, epilogue)?])
    }

    fn jvp(&self, at: &At<'_>, tx: Option<&Quads>, ty: &Quads, mask: Option<&Mask>) -> Result<Vec<Dispatch>> {
        let weights = required(at);
        let (x, tx) = ((at.x, packed(&weights.forward_tangent)), tx.map(|tx| (tx, packed(&weights.forward))));
        Ok(vec![self.product.jvp(at.gpu, x, tx, ty, mask)?])
    }

    fn grad_input(&self, at: &At<'_>, dy: &Quads, dx: &Quads, mask: Option<&Mask>) -> Result<Vec<Dispatch>> {
        Ok(vec![self.product.grad_input(at.gpu, (dy, packed(&required(at).backward)), dx, mask)?])
    }

    fn grad_weight(&self, at: &At<'_>, dy: &Quads, partial: &Buf) -> Result<Vec<Dispatch>> {
        Ok(vec![self.product.grad_weight(at.gpu, at.x, dy, partial)?])
    }
}
