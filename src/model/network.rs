//! A graph of layers over one flat parameter vector.

use super::description::Description;
use super::edges::{Edges, Value};
use super::graph::{self, Start};
use super::layer::Layer;
use super::reference::Maps;
use crate::device::ALIGNMENT;
use crate::error::{ModelError, Result};
use crate::kernels::batch_norm::BatchNorm;
use crate::shape::Shape;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use std::ops::Range;

/// Examples of a group unless a description says otherwise.
const GROUP: usize = 128;

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

/// Layers from an example to its logits.
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
    /// What each layer reads.
    edges: Vec<Edges>,
    /// How each layer's weights start.
    starts: Vec<Start>,
    /// Each layer's words of the flat vector.
    ranges: Vec<Option<Range<usize>>>,
    /// Words at the beginning of the flat vector that stay as they are.
    frozen: usize,
}

impl Model {
    /// Infers all shapes and lays the parameters out.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) naming the layer that does not fit.
    pub fn new(description: &Description, input: Shape, classes: usize) -> Result<Self> {
        let nodes = graph::nodes(description, input, classes)?;
        let (edges, starts) = nodes.iter().map(|node| (node.edges, node.start)).unzip();
        let layers: Vec<_> = nodes.into_iter().map(|node| node.layer).collect();
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
        Ok(Self { name, description, input, classes, layers, edges, starts, ranges, frozen: 0 })
    }

    /// The same model, whose layers up to this number (that of their names) keep their parameters; 0: none does.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) when no layer has any that would be kept, or none that would not.
    pub fn freezing(self, number: usize) -> Result<Self> {
        let number_of = |layer: &dyn Layer| {
            let digits = layer.name().trim_start_matches(|c: char| !c.is_ascii_digit());
            digits.parse().unwrap_or(0usize)
        };
        let numbers: Vec<(usize, usize)> = (self.layers.iter().zip(&self.ranges))
            .filter_map(|(layer, range)| Some((number_of(&**layer), range.as_ref()?.start)))
            .collect();
        let [first, last] = [numbers.first(), numbers.last()].map(|found| found.map_or(0, |(number, _)| *number));
        let frozen = numbers.iter().find(|(of, _)| *of > number).map(|(_, start)| *start);
        match frozen.filter(|&words| number == 0 || words > 0) {
            Some(frozen) => Ok(Self { frozen, ..self }),
            None => Err(ModelError::Frozen { model: self.name, number, first, last }.into()),
        }
    }

    /// Words at the beginning of the flat vector that stay as they are.
    pub fn frozen_words(&self) -> usize {
        self.frozen
    }

    /// The layers, each after those that it reads; the last puts out the logits.
    pub fn layers(&self) -> &[Box<dyn Layer>] {
        &self.layers
    }

    /// What each layer reads.
    pub fn edges(&self) -> &[Edges] {
        &self.edges
    }

    /// The same in f64, normalised over groups of so many examples.
    pub fn maps(&self, group: usize) -> Maps {
        let maps = self.layers.iter().map(|layer| layer.reference()).collect();
        Maps { maps, edges: self.edges.clone(), shares: None }.over(group)
    }

    /// Shape of a value.
    pub fn shape_of(&self, value: Value) -> Shape {
        value.layer().map_or(self.input, |i| self.layers[i].output())
    }

    /// Of each value, by its [index](Value::index), whether it depends on parameters.
    pub fn dependent(&self) -> Vec<bool> {
        let mut dependent = vec![false];
        for (layer, edges) in self.layers.iter().zip(&self.edges) {
            let reads = edges.values().any(|value| dependent[value.index()]);
            dependent.push(reads || layer.weights().is_some());
        }
        dependent
    }

    /// Of each layer, whether the gradient to its x is asked for: not where x depends on no parameters.
    pub fn is_input_gradient_needed(&self) -> Vec<bool> {
        let dependent = self.dependent();
        self.edges.iter().map(|edges| dependent[edges.x.index()]).collect()
    }

    /// Each layer's words of the flat vector.
    pub fn ranges(&self) -> &[Option<Range<usize>>] {
        &self.ranges
    }

    /// Each layer that normalises over examples.
    pub fn norms(&self) -> impl Iterator<Item = (usize, BatchNorm)> {
        self.layers.iter().enumerate().filter_map(|(i, layer)| Some((i, layer.norm()?)))
    }

    /// Whether a layer normalises over examples.
    pub fn normalises(&self) -> bool {
        self.norms().next().is_some()
    }

    /// Whether a layer normalises, over examples or the channels of each: what is normalised does not depend on the
    /// size of the weights before it.
    pub fn is_normalised(&self) -> bool {
        self.layers.iter().any(|layer| layer.scales().is_some())
    }

    /// Examples of a group that is normalised together, in a loss over many.
    pub fn group(&self) -> usize {
        self.description.group.unwrap_or(GROUP)
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
        self.layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.multiply_adds()))
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

    /// Mean and variance of each channel of each normalisation, in order: their names, and their places in a vector of
    /// all.
    pub fn moments(&self) -> Vec<Tensor> {
        let mut end = 0;
        let of_layer = |(layer, norm): (usize, BatchNorm)| {
            let (name, channels, start) = (self.layers[layer].name(), norm.shape.channels, end);
            end += 2 * channels;
            let tensor = |kind: &str, start: usize| Tensor {
                name: format!("{name}.running_{kind}"),
                dims: vec![channels],
                range: start..start + channels,
            };
            [tensor("mean", start), tensor("var", start + channels)]
        };
        self.norms().flat_map(of_layer).collect()
    }

    /// Initial parameters as a flat vector: normal weights of the description's deviation, scales of one, zero biases.
    pub fn initialise(&self, seed: u64) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let normal = |rng: &mut ChaCha8Rng| -> f64 { StandardNormal.sample(rng) };
        let mut theta = vec![0.0; self.vector_len()];
        for ((layer, range), start) in self.layers.iter().zip(&self.ranges).zip(&self.starts) {
            if let Some(range) = range {
                let weights: usize = layer.weight_dims().iter().product();
                for value in &mut theta[range.start..range.start + weights] {
                    *value = match start {
                        Start::One => 1.0,
                        Start::Normal(deviation) => (deviation * normal(&mut rng)) as f32,
                    };
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
