//! Convolution and dense layers: y = w x + b. Both are bilinear in (x, w), so jvp is two forward products.

use super::{Layer, LayerWeights};
use crate::device::{Gpu, Quads};
use crate::error::Result;
use crate::kernels::conv2d::{self, Conv2d};
use crate::kernels::epilogue::{Epilogue, Mask};
use crate::kernels::matmul;
use crate::kernels::tune;
use crate::kernels::weights::{Direction, Packing, WeightShape, reduce_partials};
use crate::program::Dispatch;
use crate::shape::Shape;

/// A convolution, or a dense layer as a convolution of one pixel with matmul kernels.
#[derive(Debug)]
pub struct Affine {
    name: String,
    geometry: Conv2d,
    output: Shape,
    is_dense: bool,
}

impl Affine {
    /// A convolution; nothing when the filter does not fit into the padded image.
    pub fn conv(name: String, geometry: Conv2d) -> Option<Self> {
        Some(Self { name, geometry, output: geometry.output()?, is_dense: false })
    }

    /// A dense layer on the flattened input.
    pub fn dense(name: String, inputs: usize, units: usize) -> Self {
        Self { name, geometry: Conv2d::dense(inputs, units), output: Shape::vector(units), is_dense: true }
    }
}

fn required(weights: Option<&LayerWeights>) -> &LayerWeights {
    weights.expect("the model gives every layer with parameters its weights")
}

impl Layer for Affine {
    fn name(&self) -> &str {
        &self.name
    }

    fn input(&self) -> Shape {
        self.geometry.input
    }

    fn output(&self) -> Shape {
        self.output
    }

    fn weights(&self) -> Option<WeightShape> {
        Some(self.geometry.weights())
    }

    fn weight_dims(&self) -> Vec<usize> {
        let (outputs, inputs) = (self.geometry.channels, self.geometry.input.channels);
        if self.is_dense {
            vec![outputs, inputs]
        } else {
            vec![outputs, inputs, self.geometry.size, self.geometry.size]
        }
    }

    fn patches(&self) -> Option<Conv2d> {
        Some(self.geometry)
    }

    fn multiply_adds(&self) -> usize {
        self.output.len() * self.geometry.weights().patches()
    }

    fn packing(&self, gpu: &Gpu, direction: Direction) -> Option<Packing> {
        Some(if self.is_dense {
            matmul::packing(gpu, &self.geometry.weights(), direction)
        } else {
            self.geometry.packing(gpu, direction)
        })
    }

    fn tune(&self, gpu: &Gpu, with_backward: bool, examples: usize) -> Result<()> {
        let backward = with_backward.then_some(Direction::Backward);
        std::iter::once(Direction::Forward).chain(backward).try_for_each(|direction| {
            if self.is_dense {
                tune::matmul(gpu, &self.geometry.weights(), direction, examples)
            } else {
                tune::conv2d(gpu, &self.geometry, direction, examples)
            }
        })
    }

    fn splits(&self, gpu: &Gpu, blocks: usize) -> usize {
        if self.is_dense {
            matmul::splits(gpu, &self.geometry.weights(), blocks)
        } else {
            self.geometry.splits(gpu, blocks)
        }
    }

    fn forward(
        &self,
        gpu: &Gpu,
        weights: Option<&LayerWeights>,
        x: &Quads,
        y: &Quads,
        epilogue: &Epilogue,
    ) -> Result<Dispatch> {
        let packed = &required(weights).forward;
        if self.is_dense {
            matmul::forward(gpu, &self.geometry.weights(), x, packed, y, epilogue)
        } else {
            conv2d::forward(gpu, &self.geometry, x, packed, y, epilogue)
        }
    }

    fn jvp(
        &self,
        gpu: &Gpu,
        weights: Option<&LayerWeights>,
        x: &Quads,
        tx: Option<&Quads>,
        ty: &Quads,
        mask: Option<&Mask>,
    ) -> Result<Vec<Dispatch>> {
        let weights = required(weights);
        let (x, tx) = ((x, &weights.forward_tangent), tx.map(|tx| (tx, &weights.forward)));
        Ok(vec![if self.is_dense {
            matmul::jvp(gpu, &self.geometry.weights(), x, tx, ty, mask)?
        } else {
            conv2d::jvp(gpu, &self.geometry, x, tx, ty, mask)?
        }])
    }

    fn grad_input(
        &self,
        gpu: &Gpu,
        weights: Option<&LayerWeights>,
        _: &Quads,
        dy: &Quads,
        dx: &Quads,
        mask: Option<&Mask>,
    ) -> Result<Dispatch> {
        let packed = required(weights).backward.as_ref().expect("packed for every layer but the first");
        if self.is_dense {
            matmul::grad_input(gpu, &self.geometry.weights(), dy, packed, dx, mask)
        } else {
            conv2d::grad_input(gpu, &self.geometry, dy, packed, dx, mask)
        }
    }

    fn grad_weight(&self, gpu: &Gpu, weights: &LayerWeights, x: &Quads, dy: &Quads) -> Result<Vec<Dispatch>> {
        let shape = self.geometry.weights();
        let blocks = x.len() / (self.geometry.input.len() * gpu.profile.block);
        let partial = weights.partial.prefix(self.splits(gpu, blocks) * shape.partial_len());
        let product = if self.is_dense {
            matmul::grad_weight(gpu, &shape, x, dy, &partial)?
        } else {
            conv2d::grad_weight(gpu, &self.geometry, x, dy, &partial)?
        };
        Ok(vec![product, reduce_partials(gpu, &shape, &partial, &weights.gradient)?])
    }
}
