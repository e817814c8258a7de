//! Layers with inferred shapes, what each reads and how it starts, out of a description.

use super::activation::ActivationLayer;
use super::affine::Affine;
use super::batch_norm::NormLayer;
use super::description::{Description, Initialisation, LayerDescription, LayerKind, Sources};
use super::edges::{Edges, Value};
use super::group_norm::GroupNormLayer;
use super::layer::Layer;
use super::pool::Pooling;
use super::sum::SumLayer;
use crate::error::{ModelError, Result};
use crate::kernels::activation::Activation;
use crate::kernels::batch_norm::BatchNorm;
use crate::kernels::conv2d::Conv2d;
use crate::kernels::group_norm::GroupNorm;
use crate::kernels::matmul::Dense;
use crate::kernels::pool::Pool;
use crate::kernels::product::Product;
use crate::shape::Shape;

/// Numbers beyond these are slips of the pen, and their products would overflow.
const MOST_UNITS: usize = 1 << 16;
const LARGEST_WINDOW: usize = 1 << 10;

/// Words of an example, and weights of a layer: a device counts them in 32 bits, and sums of them stay far from 64.
const MOST_WORDS: usize = 1 << 36;

/// Layers of a model: blocks that repeat blocks come to many with few words.
const MOST_LAYERS: usize = 1 << 12;

/// What a layer reads under this name: what goes into its block, or into the model.
const INPUT: &str = "input";

/// A layer in its place.
#[derive(Debug)]
pub(super) struct Node {
    pub layer: Box<dyn Layer>,
    pub edges: Edges,
    pub start: Start,
}

/// What the weights of a layer start as; its biases start at zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Start {
    /// Normal, with this standard deviation.
    Normal(f64),
    /// All one.
    One,
}

/// The layers for examples of shape `input`, each after those that it reads.
///
/// # Errors
/// [`Error::Usage`](crate::error::Error::Usage) naming the layer that does not fit.
pub(super) fn nodes(description: &Description, input: Shape, classes: usize) -> Result<Vec<Node>> {
    let (name, init) = (&description.name, description.initialisation);
    if fits(input, 0, 0).is_none() {
        let (model, values) = (name.clone(), values(input));
        return Err(ModelError::TooLarge { model, layer: 0, values, weights: 0 }.into());
    }
    let scope = Scope { input: Value::EXAMPLE, names: Vec::new() };
    let last = Value::EXAMPLE;
    let mut graph =
        Graph { name, init, number: 0, visited: 0, input, last, plus: None, scopes: vec![scope], nodes: Vec::new() };
    for (index, layer) in description.layer.iter().enumerate() {
        let is_last = index + 1 == description.layer.len();
        graph.push(layer, is_last.then_some(classes))?;
    }
    graph.check_readers()?;
    let outputs = graph.shape();
    if description.layer.is_empty() || outputs != Shape::vector(classes) {
        return Err(ModelError::Outputs { model: name.clone(), outputs, classes }.into());
    }
    Ok(graph.nodes)
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

/// Layers so far, and what the next one meets.
struct Graph<'a> {
    name: &'a str,
    init: Initialisation,
    /// Layers of the description so far; activations are not counted.
    number: usize,
    /// The same with blocks, of which each repetition counts what is in it.
    visited: usize,
    /// Shape of the example.
    input: Shape,
    /// What the next layer reads.
    last: Value,
    /// And adds.
    plus: Option<Value>,
    /// The blocks that it is in, and the model around them.
    scopes: Vec<Scope<'a>>,
    nodes: Vec<Node>,
}

/// Names that layers of one block have for others.
struct Scope<'a> {
    input: Value,
    names: Vec<(&'a str, Value)>,
}

impl<'a> Graph<'a> {
    /// Appends a layer of the description; the last one knows the number of `classes`.
    fn push(&mut self, layer: &'a LayerDescription, classes: Option<usize>) -> Result<()> {
        let is_block = matches!(layer.kind, LayerKind::Block { .. });
        self.number += usize::from(!is_block);
        self.visited += 1;
        self.check("layers", self.visited, 0, MOST_LAYERS)?;
        self.read(layer)?;
        match &layer.kind {
            LayerKind::Block { repeat, layer: layers } => self.block(*repeat, layers)?,
            kind => self.layer(kind, classes)?,
        }
        if let Some(name) = &layer.name {
            let last = self.last;
            let names = &mut self.scopes.last_mut().expect("the model's is there").names;
            if name == INPUT || names.iter().any(|(other, _)| other == name) {
                let (model, name) = (self.name.to_owned(), name.clone());
                return Err(ModelError::SameName { model, layer: self.number, name }.into());
            }
            names.push((name, last));
        }
        Ok(())
    }

    /// Looks up what a layer reads.
    fn read(&mut self, layer: &LayerDescription) -> Result<()> {
        let takes = if matches!(layer.kind, LayerKind::Add { .. } | LayerKind::Concat { .. }) { 2 } else { 1 };
        let names: &[String] = match &layer.from {
            None => &[],
            Some(Sources::One(name)) => std::slice::from_ref(name),
            Some(Sources::Many(names)) => names,
        };
        let mut reads: Vec<Value> = names.iter().map(|name| self.find(name)).collect::<Result<_>>()?;
        if reads.len() < takes {
            reads.insert(0, self.last);
        }
        let (model, number, count) = (self.name.to_owned(), self.number, reads.len());
        if count != takes {
            return Err(ModelError::Sources { model, layer: number, reads: count, takes }.into());
        }
        (self.last, self.plus) = (reads[0], reads.get(1).copied());
        Ok(())
    }

    /// What a name means here: in its block, or in one around it.
    fn find(&self, name: &str) -> Result<Value> {
        if name == INPUT {
            return Ok(self.scopes[self.scopes.len() - 1].input);
        }
        let mut names = self.scopes.iter().rev().flat_map(|scope| &scope.names);
        let found = names.find(|(other, _)| *other == name).map(|(_, value)| *value);
        let (model, layer, name) = (self.name.to_owned(), self.number, name.to_owned());
        found.ok_or_else(|| ModelError::Unnamed { model, layer, name }.into())
    }

    fn block(&mut self, repeat: usize, layers: &'a [LayerDescription]) -> Result<()> {
        self.check("repeat", repeat, 1, MOST_LAYERS)?;
        for _ in 0..repeat {
            self.scopes.push(Scope { input: self.last, names: Vec::new() });
            layers.iter().try_for_each(|layer| self.push(layer, None))?;
            self.scopes.pop();
        }
        Ok(())
    }

    fn layer(&mut self, layer: &LayerKind, classes: Option<usize>) -> Result<()> {
        let (input, is_last) = (self.shape(), classes.is_some());
        match *layer {
            LayerKind::Conv { channels, size, stride, padding, groups, activation } => {
                self.check("channels", channels, 1, MOST_UNITS)?;
                self.check("size", size, 1, LARGEST_WINDOW)?;
                self.check("stride", stride, 1, LARGEST_WINDOW)?;
                self.check("padding", padding, 0, LARGEST_WINDOW)?;
                self.check_groups(groups, input.channels)?;
                self.check_groups(groups, channels)?;
                let conv = Conv2d { input, channels, size, stride, padding, groups };
                let Some(_) = conv.output() else {
                    return Err(self.too_small(format!("a {size}×{size} filter with padding {padding}")).into());
                };
                self.affine("conv", conv, activation, is_last)?;
            }
            LayerKind::Dense { units, activation } => {
                let Some(outputs) = units.or(classes) else {
                    return Err(ModelError::Units { model: self.name.to_owned(), layer: self.number }.into());
                };
                self.check("units", outputs, 1, MOST_UNITS)?;
                self.affine("dense", Dense { inputs: input.len(), outputs }, activation, is_last)?;
            }
            LayerKind::MaxPool { size, stride, padding } => self.pool(true, size, stride, padding)?,
            LayerKind::AvgPool { size, stride, padding } => self.pool(false, size, stride, padding)?,
            LayerKind::GlobalAvgPool {} => {
                let window = Pool { input, height: input.height, width: input.width, stride: 1, padding: 0 };
                let pool = Pooling::new(self.named("global_avg_pool"), window, false);
                self.add(
                    pool.ok_or_else(|| self.too_small("a window of the whole image".to_owned()))?,
                    Start::Normal(0.0),
                );
            }
            LayerKind::BatchNorm { activation } => {
                let norm = BatchNorm { shape: input };
                self.add(NormLayer { name: self.named("batch_norm"), norm }, Start::One);
                self.activation(activation);
            }
            LayerKind::GroupNorm { groups, activation } => {
                self.check_groups(groups, input.channels)?;
                let norm = GroupNorm { shape: input, groups };
                self.add(GroupNormLayer { name: self.named("group_norm"), norm }, Start::One);
                self.activation(activation);
            }
            LayerKind::Add { pad, activation } => self.sum(pad, activation)?,
            LayerKind::Concat { activation } => self.concat(activation)?,
            LayerKind::Activation { function } => self.activation(Some(function)),
            LayerKind::Block { .. } => unreachable!("its layers come one by one"),
        }
        Ok(())
    }

    /// The sum of two values.
    fn sum(&mut self, pad: bool, activation: Option<Activation>) -> Result<()> {
        let plus = self.plus.expect("a sum reads two values");
        let terms = [self.last, plus].map(|value| self.shape_of(value));
        let [a, b] = terms;
        let [pixels, channels] = [(a.height, a.width) == (b.height, b.width), a.channels == b.channels];
        if !pixels || !(channels || pad) {
            return Err(ModelError::Terms { model: self.name.to_owned(), layer: self.number, terms }.into());
        }
        let output = if a.channels < b.channels { b } else { a };
        self.add(SumLayer { name: self.named("add"), input: a, output, first: 0 }, Start::Normal(0.0));
        self.activation(activation);
        Ok(())
    }

    /// Two values, one after the other.
    fn concat(&mut self, activation: Option<Activation>) -> Result<()> {
        let plus = self.plus.expect("two values are read");
        let terms = [self.last, plus].map(|value| self.shape_of(value));
        let [a, b] = terms;
        let output = Shape { channels: a.channels.saturating_add(b.channels), ..a };
        let (model, layer) = (self.name.to_owned(), self.number);
        if (a.height, a.width) != (b.height, b.width) {
            return Err(ModelError::Terms { model, layer, terms }.into());
        }
        if fits(output, 0, 0).is_none() || output.channels > MOST_WORDS {
            return Err(ModelError::TooLarge { model, layer, values: values(output), weights: 0 }.into());
        }
        let first = a.channels;
        self.add(SumLayer { name: self.named("concat"), input: a, output, first }, Start::Normal(0.0));
        self.activation(activation);
        Ok(())
    }

    fn activation(&mut self, activation: Option<Activation>) {
        if let Some(function) = activation {
            let name = self.named(function.name());
            self.add(ActivationLayer { name, function, shape: self.shape() }, Start::Normal(0.0));
        }
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
        // of an input, the outputs of its group
        let readers = weights.outputs / product.patches().map_or(1, |filter| filter.groups);
        let (fan_in, fan_out) = (weights.patches() as f64, (readers * weights.taps) as f64);
        let gain = match activation {
            Some(Activation::Relu | Activation::Silu) if !is_last => 2.0,
            _ => 1.0,
        };
        let variance = match self.init {
            Initialisation::He => gain / fan_in,
            Initialisation::Glorot => 2.0 / (fan_in + fan_out),
        };
        self.add(Affine { name: self.named(kind), product }, Start::Normal(variance.sqrt()));
        self.activation(activation);
        Ok(())
    }

    /// Square windows of `size`, which do not overlap unless `stride` says so.
    fn pool(&mut self, is_max: bool, size: usize, stride: Option<usize>, padding: usize) -> Result<()> {
        self.check("size", size, 1, LARGEST_WINDOW)?;
        self.check("padding", padding, 0, LARGEST_WINDOW)?;
        let stride = stride.unwrap_or(size);
        self.check("stride", stride, 1, LARGEST_WINDOW)?;
        let window = Pool { input: self.shape(), height: size, width: size, stride, padding };
        let name = self.named(if is_max { "max_pool" } else { "avg_pool" });
        let too_small =
            || self.too_small(format!("a {size}×{size} window with padding {padding} (at most half of it)"));
        self.add(Pooling::new(name, window, is_max).ok_or_else(too_small)?, Start::Normal(0.0));
        Ok(())
    }

    fn add(&mut self, layer: impl Layer + 'static, start: Start) {
        let edges = Edges { x: self.last, plus: self.plus.take() };
        self.last = Value::of_layer(self.nodes.len());
        self.nodes.push(Node { layer: Box::new(layer), edges, start });
    }

    /// Shape of what the next layer reads.
    fn shape(&self) -> Shape {
        self.shape_of(self.last)
    }

    fn shape_of(&self, value: Value) -> Shape {
        value.layer().map_or(self.input, |i| self.nodes[i].layer.output())
    }

    /// Whether each layer but the last has a reader.
    fn check_readers(&self) -> Result<()> {
        let is_read = |value: Value| self.nodes.iter().flat_map(|node| node.edges.values()).any(|read| read == value);
        let unread = (0..self.nodes.len().saturating_sub(1)).find(|&i| !is_read(Value::of_layer(i)));
        let Some(i) = unread else { return Ok(()) };
        Err(ModelError::Unread { model: self.name.to_owned(), layer: self.nodes[i].layer.name().to_owned() }.into())
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

    /// Whether so many groups divide the channels.
    fn check_groups(&self, groups: usize, channels: usize) -> Result<()> {
        self.check("groups", groups, 1, channels)?;
        if !channels.is_multiple_of(groups) {
            return Err(ModelError::Groups { model: self.name.to_owned(), layer: self.number, groups, channels }.into());
        }
        Ok(())
    }

    fn too_small(&self, window: String) -> ModelError {
        ModelError::Window { model: self.name.to_owned(), layer: self.number, window, input: self.shape() }
    }
}
