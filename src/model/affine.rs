//! Convolution and dense layers: y = w x + b. Both are bilinear in (x, w), so jvp is two forward products.

use super::{Layer, Weights};
use crate::device::{Buf, Gpu};
use crate::error::Result;
use crate::kernel::Dispatch;
use crate::kernels::conv2d::{self, Conv2d, Epilogue};
use crate::kernels::matmul;
use crate::kernels::weights::{WeightShape, reduce_partials};
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

    fn product(&self, gpu: &Gpu, epilogue: Epilogue, x: &Buf, packed: &Buf, y: &Buf) -> Result<Dispatch> {
        if self.is_dense {
            matmul::forward(gpu, &self.geometry.weights(), epilogue, x, packed, y)
        } else {
            conv2d::forward(gpu, &self.geometry, epilogue, x, packed, y)
        }
    }
}

fn required(weights: Option<&Weights>) -> &Weights {
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

    fn multiply_adds(&self) -> usize {
        self.output.len() * self.geometry.weights().patches()
    }

    fn needs_check(&self) -> bool {
        true // only products overflow; a ReLU or a maximum after them would hide a NaN
    }

    fn forward(&self, gpu: &Gpu, weights: Option<&Weights>, x: &Buf, y: &Buf) -> Result<Vec<Dispatch>> {
        Ok(vec![self.product(gpu, Epilogue::Bias, x, &required(weights).forward, y)?])
    }

    fn jvp(&self, gpu: &Gpu, weights: Option<&Weights>, x: &Buf, tx: Option<&Buf>, ty: &Buf) -> Result<Vec<Dispatch>> {
        let weights = required(weights);
        let mut steps = vec![self.product(gpu, Epilogue::Bias, x, &weights.forward_tangent, ty)?];
        if let Some(tx) = tx {
            steps.push(self.product(gpu, Epilogue::Accumulate, tx, &weights.forward, ty)?);
        }
        Ok(steps)
    }

    fn vjp(&self, gpu: &Gpu, weights: Option<&Weights>, x: &Buf, dy: &Buf, dx: Option<&Buf>) -> Result<Vec<Dispatch>> {
        let (weights, shape) = (required(weights), self.geometry.weights());
        let blocks = x.len() / (self.geometry.input.len() * gpu.profile.block);
        let partial = weights.partial.prefix(shape.splits(gpu, blocks) * shape.partial_len());
        let mut steps = vec![
            conv2d::grad_weight(gpu, &self.geometry, x, dy, &partial)?,
            reduce_partials(gpu, &shape, &partial, &weights.gradient)?,
        ];
        if let Some(dx) = dx {
            steps.push(if self.is_dense {
                matmul::grad_input(gpu, &shape, dy, &weights.backward, dx)?
            } else {
                conv2d::grad_input(gpu, &self.geometry, dy, &weights.backward, dx)?
            });
        }
        Ok(steps)
    }
}
