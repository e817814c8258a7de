//! Layers with inferred shapes and initial deviations, out of a description.

use super::activation::ActivationLayer;
use super::affine::Affine;
use super::description::{Description, Initialisation, LayerDescription};
use super::layer::Layer;
use super::pool::Pooling;
use crate::error::{ModelError, Result};
use crate::kernels::activation::Activation;
use crate::kernels::conv2d::Conv2d;
use crate::kernels::matmul::Dense;
use crate::kernels::pool::Pool;
use crate::kernels::product::Product;
use crate::shape::Shape;

/// Numbers beyond these are slips of the pen, and their products would overflow.
const MOST_UNITS: usize = 1 << 16;
const LARGEST_WINDOW: usize = 1 << 10;

/// Words of an example, and weights of a layer: a device counts them in 32 bits, and sums of them stay far from 64.
const MOST_WORDS: usize = 1 << 36;

type Layers = Vec<Box<dyn Layer>>;

/// The layers for examples of shape `input`, and the standard deviation of each one's initial weights.
///
/// # Errors
/// [`Error::Usage`](crate::error::Error::Usage) naming the layer that does not fit.
pub(super) fn layers(description: &Description, input: Shape, classes: usize) -> Result<(Layers, Vec<f64>)> {
    let (name, init) = (&description.name, description.initialisation);
    if fits(input, 0, 0).is_none() {
        let (model, values) = (name.clone(), values(input));
        return Err(ModelError::TooLarge { model, layer: 0, values, weights: 0 }.into());
    }
    let mut chain = Chain { name, init, number: 0, shape: input, layers: Vec::new(), deviations: Vec::new() };
    for (index, layer) in description.layer.iter().enumerate() {
        let is_last = index + 1 == description.layer.len();
        chain.push(layer, is_last.then_some(classes))?;
    }
    let outputs = chain.shape;
    if description.layer.is_empty() || outputs != Shape::vector(classes) {
        return Err(ModelError::Outputs { model: name.clone(), outputs, classes }.into());
    }
    Ok((chain.layers, chain.deviations))
}

/// C·H·W, however large.
fn values(shape: Shape) -> u128 {
    [shape.channels, shape.height, shape.width].iter().fold(1, |values: u128, &n| values.saturating_mul(n as u128))
}

/// Whether values of an example, weights and multiply-adds of so many outputs of so many inputs can be counted.
fn fits(output: Shape, outputs: usize, patches: usize) -> Option<()> {
    let count = |factors: &[usize]| factors.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
    let values = count(&[output.channels, output.height, output.width])?;
    let weights = count(&[outputs, patches])?;
    count(&[values, patches])?;
    ((1..=MOST_WORDS).contains(&values) && weights <= MOST_WORDS).then_some(())
}

/// Layers so far, and the shape that the next one meets.
struct Chain<'a> {
    name: &'a str,
    init: Initialisation,
    /// Layers of the description so far; activations are not counted.
    number: usize,
    shape: Shape,
    layers: Layers,
    deviations: Vec<f64>,
}

impl Chain<'_> {
    /// Appends a layer of the description; the last one knows the number of `classes`.
    fn push(&mut self, layer: &LayerDescription, classes: Option<usize>) -> Result<()> {
        self.number += 1;
        let (input, is_last) = (self.shape, classes.is_some());
        match *layer {
            LayerDescription::Conv { channels, size, stride, padding, activation } => {
                self.check("channels", channels, 1, MOST_UNITS)?;
                self.check("size", size, 1, LARGEST_WINDOW)?;
                self.check("stride", stride, 1, LARGEST_WINDOW)?;
                self.check("padding", padding, 0, LARGEST_WINDOW)?;
                let conv = Conv2d { input, channels, size, stride, padding };
                let Some(_) = conv.output() else {
                    return Err(self.too_small(format!("a {size}×{size} filter with padding {padding}")).into());
                };
                self.affine("conv", conv, activation, is_last)?;
            }
            LayerDescription::Dense { units, activation } => {
                let Some(outputs) = units.or(classes) else {
                    return Err(ModelError::Units { model: self.name.to_owned(), layer: self.number }.into());
                };
                self.check("units", outputs, 1, MOST_UNITS)?;
                self.affine("dense", Dense { inputs: input.len(), outputs }, activation, is_last)?;
            }
            LayerDescription::MaxPool { size, stride, padding } => self.pool(true, size, stride, padding)?,
            LayerDescription::AvgPool { size, stride, padding } => self.pool(false, size, stride, padding)?,
            LayerDescription::GlobalAvgPool {} => {
                let window = Pool { input, height: input.height, width: input.width, stride: 1, padding: 0 };
                let pool = Pooling::new(self.named("global_avg_pool"), window, false);
                self.add(pool.ok_or_else(|| self.too_small("a window of the whole image".to_owned()))?, 0.0);
            }
        }
        Ok(())
    }

    /// A product, and the activation after it.
    fn affine(
        &mut self,
        kind: &str,
        product: impl Product + Clone + 'static,
        activation: Option<Activation>,
        is_last: bool,
    ) -> Result<()> {
        let weights = product.weights();
        let [_, output] = product.shapes();
        if fits(output, weights.outputs, weights.patches()).is_none() {
            let (model, layer) = (self.name.to_owned(), self.number);
            let weights = weights.outputs as u128 * weights.patches() as u128;
            return Err(ModelError::TooLarge { model, layer, values: values(output), weights }.into());
        }
        let (fan_in, fan_out) = (weights.patches() as f64, (weights.outputs * weights.taps) as f64);
        let gain = match activation {
            Some(Activation::Relu | Activation::Silu) if !is_last => 2.0,
            _ => 1.0,
        };
        let variance = match self.init {
            Initialisation::He => gain / fan_in,
            Initialisation::Glorot => 2.0 / (fan_in + fan_out),
        };
        self.add(Affine { name: self.named(kind), product }, variance.sqrt());
        if let Some(function) = activation {
            let name = self.named(function.name());
            self.add(ActivationLayer { name, function, shape: self.shape }, 0.0);
        }
        Ok(())
    }

    /// Square windows of `size`, which do not overlap unless `stride` says so.
    fn pool(&mut self, is_max: bool, size: usize, stride: Option<usize>, padding: usize) -> Result<()> {
        self.check("size", size, 1, LARGEST_WINDOW)?;
        self.check("padding", padding, 0, LARGEST_WINDOW)?;
        let stride = stride.unwrap_or(size);
        self.check("stride", stride, 1, LARGEST_WINDOW)?;
        let window = Pool { input: self.shape, height: size, width: size, stride, padding };
        let name = self.named(if is_max { "max_pool" } else { "avg_pool" });
        let too_small =
            || self.too_small(format!("a {size}×{size} window with padding {padding} (at most half of it)"));
        self.add(Pooling::new(name, window, is_max).ok_or_else(too_small)?, 0.0);
        Ok(())
    }

    fn add(&mut self, layer: impl Layer + 'static, deviation: f64) {
        self.shape = layer.output();
        self.layers.push(Box::new(layer));
        self.deviations.push(deviation);
    }

    fn named(&self, kind: &str) -> String {
        format!("{kind}{}", self.number)
    }

    fn check(&self, what: &'static str, value: usize, least: usize, most: usize) -> Result<()> {
        if (least..=most).contains(&value) {
            return Ok(());
        }
        Err(ModelError::Size { model: self.name.to_owned(), layer: self.number, what, value, least, most }.into())
    }

    fn too_small(&self, window: String) -> ModelError {
        ModelError::Window { model: self.name.to_owned(), layer: self.number, window, input: self.shape }
    }
}
