//! A chain of layers over one flat parameter vector.

mod activation;
mod affine;
mod description;
mod pool;

pub use description::{Description, Initialisation};

use crate::device::{ALIGNMENT, Buf, Gpu, Quads};
use crate::error::{ModelError, Result};
use crate::kernels::activation::Activation;
use crate::kernels::conv2d::Conv2d;
use crate::kernels::epilogue::{Epilogue, Mask};
use crate::kernels::weights::{Direction, Packing, WeightShape};
use crate::program::Dispatch;
use crate::shape::Shape;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use std::ops::Range;

/// A layer's parameters on the device: views of the flat vectors, and the tiles that its products read.
#[derive(Clone, Debug)]
pub struct LayerWeights {
    /// θ: weights, then biases.
    pub theta: Buf,
    /// v: a direction in parameter space, laid out as θ.
    pub tangent: Buf,
    /// g: gradients are added here, laid out as θ.
    pub gradient: Buf,
    /// θ packed for y = w x + b, as [`Layer::packing`] says; so for the other two.
    pub forward: Quads,
    /// θ packed for dx = wᵀ dy, for all but the first layer: nothing asks for the gradient to its input.
    pub backward: Option<Quads>,
    /// v packed for ty = v x.
    pub forward_tangent: Quads,
    /// Room for the split sums of a weight gradient, shared by all layers.
    pub partial: Buf,
}

/// One differentiable map y = f(x; θ) of every example. `x` is `[N/B][input][B]`, `y` is `[N/B][output][B]`.
/// A layer without parameters is given no [`LayerWeights`].
pub trait Layer: std::fmt::Debug + Send + Sync {
    /// Name in messages and weight files, such as `conv1`.
    fn name(&self) -> &str;
    /// Shape of x.
    fn input(&self) -> Shape;
    /// Shape of y.
    fn output(&self) -> Shape;
    /// Shape of θ.
    fn weights(&self) -> Option<WeightShape> {
        None
    }
    /// Dimensions of the weight tensor as PyTorch has them.
    fn weight_dims(&self) -> Vec<usize> {
        Vec::new()
    }
    /// The patches of x that the weights meet.
    fn patches(&self) -> Option<Conv2d> {
        None
    }
    /// Multiply-adds of one example's forward product.
    fn multiply_adds(&self) -> usize {
        0
    }
    /// The function of a layer that is nothing but an element-wise activation; a product before it takes it over.
    fn activation(&self) -> Option<Activation> {
        None
    }
    /// How the products of a direction read their weights.
    fn packing(&self, _gpu: &Gpu, _direction: Direction) -> Option<Packing> {
        None
    }
    /// Times a few tiles of the layer's products, forward and perhaps backward, on so many examples, where the device allows it and
    /// they are not known.
    ///
    /// # Errors
    /// What the device reports.
    fn tune(&self, _gpu: &Gpu, _with_backward: bool, _examples: usize) -> Result<()> {
        Ok(())
    }
    /// Parts into which a weight gradient over so many batch blocks is split.
    fn splits(&self, _gpu: &Gpu, _blocks: usize) -> usize {
        1
    }
    /// y = f(x; θ), and the epilogue where there are parameters; layers without any are given none.
    ///
    /// # Errors
    /// As [`Dispatch::new`]; so for the other two.
    fn forward(
        &self,
        gpu: &Gpu,
        weights: Option<&LayerWeights>,
        x: &Quads,
        y: &Quads,
        epilogue: &Epilogue,
    ) -> Result<Dispatch>;
    /// ty = mask ⊙ (J_x tx + J_θ v), without the first term when the input is constant; the mask is that of an activation which
    /// the layer took over. `y` of forward is not needed.
    fn jvp(
        &self,
        gpu: &Gpu,
        weights: Option<&LayerWeights>,
        x: &Quads,
        tx: Option<&Quads>,
        ty: &Quads,
        mask: Option<&Mask>,
    ) -> Result<Vec<Dispatch>>;
    /// dx = mask ⊙ J_xᵀ dy, a half of the vjp; the mask is that of an activation which the layer *before* took over.
    ///
    /// # Errors
    /// As [`Dispatch::new`]; so for the other half.
    fn grad_input(
        &self,
        gpu: &Gpu,
        weights: Option<&LayerWeights>,
        x: &Quads,
        dy: &Quads,
        dx: &Quads,
        mask: Option<&Mask>,
    ) -> Result<Dispatch>;
    /// g += J_θᵀ dy, the other half.
    fn grad_weight(&self, _gpu: &Gpu, _weights: &LayerWeights, _x: &Quads, _dy: &Quads) -> Result<Vec<Dispatch>> {
        Ok(Vec::new())
    }
}

/// A named tensor inside the flat parameter vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// `conv1.weight`, `conv1.bias`, …
    pub name: String,
    /// Dimensions, PyTorch's order.
    pub dims: Vec<usize>,
    /// Words of the flat vector.
    pub range: Range<usize>,
}

/// A chain of layers from an example to its logits.
#[derive(Debug)]
pub struct Model {
    /// Name of the description, for people.
    pub name: String,
    /// What it was built from.
    pub description: Description,
    /// Shape of an example.
    pub input: Shape,
    /// M, the number of classes and of logits.
    pub classes: usize,
    layers: Vec<Box<dyn Layer>>,
    /// Standard deviation of each layer's initial weights.
    deviations: Vec<f64>,
    /// Each layer's words of the flat vector.
    ranges: Vec<Option<Range<usize>>>,
}

impl Model {
    /// Infers all shapes and lays the parameters out.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) naming the layer that does not fit.
    pub fn new(description: &Description, input: Shape, classes: usize) -> Result<Self> {
        let (layers, deviations) = description.layers(input, classes)?;
        let mut end = 0;
        let ranges: Vec<_> = layers
            .iter()
            .map(|layer| {
                let start = end;
                let len = layer.weights()?.len();
                end = (start + len).next_multiple_of(ALIGNMENT);
                Some(start..start + len)
            })
            .collect();
        if end == 0 {
            return Err(ModelError::NoParameters { model: description.name.clone() }.into());
        }
        let (name, description) = (description.name.clone(), description.clone());
        Ok(Self { name, description, input, classes, layers, deviations, ranges })
    }

    /// The layers, first to last.
    pub fn layers(&self) -> &[Box<dyn Layer>] {
        &self.layers
    }

    /// Each layer's words of the flat vector.
    pub fn ranges(&self) -> &[Option<Range<usize>>] {
        &self.ranges
    }

    /// P, the number of parameters.
    pub fn parameters(&self) -> usize {
        self.ranges.iter().flatten().map(Range::len).sum()
    }

    /// Words of the flat parameter vector: P and the zeros between layers that keep views aligned.
    pub fn vector_len(&self) -> usize {
        self.ranges.iter().flatten().map(|range| range.end).max().unwrap_or(0).next_multiple_of(ALIGNMENT)
    }

    /// Multiply-adds of one example's forward pass.
    pub fn multiply_adds(&self) -> usize {
        self.layers.iter().map(|layer| layer.multiply_adds()).sum()
    }

    /// The named tensors, in order.
    pub fn tensors(&self) -> Vec<Tensor> {
        let with_weights =
            self.layers.iter().zip(&self.ranges).filter_map(|(layer, range)| Some((layer, range.clone()?)));
        with_weights
            .flat_map(|(layer, range)| {
                let dims = layer.weight_dims();
                let split = range.start + dims.iter().product::<usize>();
                let bias =
                    Tensor { name: format!("{}.bias", layer.name()), dims: vec![dims[0]], range: split..range.end };
                let range = range.start..split;
                [Tensor { name: format!("{}.weight", layer.name()), dims, range }, bias]
            })
            .collect()
    }

    /// Initial parameters as a flat vector: normal weights of the description's deviation, zero biases.
    pub fn initialise(&self, seed: u64) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut theta = vec![0.0; self.vector_len()];
        for ((layer, range), deviation) in self.layers.iter().zip(&self.ranges).zip(&self.deviations) {
            if let Some(range) = range {
                let weights: usize = layer.weight_dims().iter().product();
                for value in &mut theta[range.start..range.start + weights] {
                    let normal: f64 = StandardNormal.sample(&mut rng);
                    *value = (deviation * normal) as f32;
                }
            }
        }
        theta
    }

    /// The P parameters without the alignment gaps, in PyTorch's order.
    pub fn compact<T: Copy>(&self, vector: &[T]) -> Vec<T> {
        self.ranges.iter().flatten().flat_map(|range| vector[range.clone()].iter().copied()).collect()
    }

    /// The flat vector of P compact parameters, zero in the gaps.
    pub fn expand<T: Copy + Default>(&self, compact: &[T]) -> Vec<T> {
        assert_eq!(compact.len(), self.parameters());
        let mut vector = vec![T::default(); self.vector_len()];
        let mut start = 0;
        for range in self.ranges.iter().flatten() {
            vector[range.clone()].copy_from_slice(&compact[start..start + range.len()]);
            start += range.len();
        }
        vector
    }
}
