//! The layers as they run: a product or a sum and the activation after it are one stage, whose values are stored once.

use crate::device::Quads;
use crate::kernels::activation::Activation;
use crate::kernels::epilogue::Mask;
use crate::model::{Edges, Layer, Model, Value};
use crate::shape::Shape;

/// A layer, and the sum and the activation it took over. Values are counted from the example, 0; stage i puts out value
/// i + 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stage {
    /// Index of the layer, and of the last one that it took over.
    pub layer: usize,
    last: usize,
    /// The activation of the layer after it.
    pub activation: Option<Activation>,
    /// The value that it reads, …
    pub x: usize,
    /// … and the one that it adds, …
    pub plus: Option<usize>,
    /// … from this channel on.
    pub first: usize,
    /// Whether it is nothing but this sum.
    pub is_sum: bool,
    /// What it puts out of an example.
    pub output: Shape,
    /// Whether x depends on parameters, …
    pub has_input_gradient: bool,
    /// … and what is added.
    pub has_plus_gradient: bool,
    /// Whether the layer has parameters.
    pub has_parameters: bool,
}

/// The stages of a model. An activation at the very end stays a layer: the loss hands it the gradient unmasked.
pub(super) fn stages(model: &Model) -> Vec<Stage> {
    let mut staging = Staging { model, dependent: model.dependent(), stages: Vec::new(), numbers: vec![0] };
    (0..model.layers().len()).for_each(|layer| staging.push(layer));
    staging.stages
}

/// The stages so far.
struct Staging<'a> {
    model: &'a Model,
    /// Of each value of the model, whether it depends on parameters, …
    dependent: Vec<bool>,
    stages: Vec<Stage>,
    /// … and which it is of those of the stages.
    numbers: Vec<usize>,
}

impl Staging<'_> {
    fn push(&mut self, i: usize) {
        let (layer, edges) = (&self.model.layers()[i], self.model.edges()[i]);
        let is_last = i + 1 == self.model.layers().len();
        let (activated, summed) = (self.activated(edges).filter(|_| !is_last), self.summed(edges));
        let taken = if let Some((function, stage)) = layer.activation().zip(activated) {
            self.stages[stage].activation = Some(function);
            Some(stage)
        } else if let Some((stage, plus)) = summed.filter(|_| layer.is_sum() && layer.first_of_plus() == 0) {
            self.stages[stage].plus = Some(self.numbers[plus.index()]);
            self.stages[stage].has_plus_gradient = self.dependent[plus.index()];
            Some(stage)
        } else {
            None
        };
        if let Some(stage) = taken {
            self.stages[stage].last = i;
            self.numbers.push(stage + 1);
            return;
        }
        self.stages.push(Stage {
            layer: i,
            last: i,
            activation: None,
            x: self.numbers[edges.x.index()],
            plus: edges.plus.map(|plus| self.numbers[plus.index()]),
            first: layer.first_of_plus(),
            is_sum: layer.is_sum(),
            output: layer.output(),
            has_input_gradient: self.dependent[edges.x.index()],
            has_plus_gradient: edges.plus.is_some_and(|plus| self.dependent[plus.index()]),
            has_parameters: layer.weights().is_some(),
        });
        self.numbers.push(self.stages.len());
    }

    /// The stage that puts a value out, if nothing but one layer reads it.
    fn sole(&self, value: Value) -> Option<usize> {
        let stage = self.numbers[value.index()].checked_sub(1)?;
        let read = self.model.edges().iter().flat_map(|edges| edges.values()).filter(|&read| read == value);
        (read.count() == 1 && self.stages[stage].last == value.layer()?).then_some(stage)
    }

    fn layer(&self, stage: usize) -> &dyn Layer {
        &*self.model.layers()[self.stages[stage].layer]
    }

    /// The stage that can end in an activation of what these edges read.
    fn activated(&self, edges: Edges) -> Option<usize> {
        let is_free = |&stage: &usize| self.stages[stage].activation.is_none() && self.layer(stage).takes_activation();
        self.sole(edges.x).filter(is_free)
    }

    /// The stage that puts out one term of the sum that these edges read and can add the other, which comes before it.
    fn summed(&self, Edges { x, plus }: Edges) -> Option<(usize, Value)> {
        let plus = plus?;
        let takes = |(term, other): (Value, Value)| {
            let stage = self.sole(term)?;
            let is_free = self.stages[stage].plus.is_none() && self.stages[stage].activation.is_none();
            let is_known = self.numbers[other.index()] <= stage;
            let are_alike = self.model.shape_of(term) == self.model.shape_of(other);
            (is_free && is_known && are_alike && self.layer(stage).takes_sum()).then_some((stage, other))
        };
        [(x, plus), (plus, x)].into_iter().find_map(takes)
    }
}

impl Stage {
    /// Whether f' is stored: the ReLU's outputs tell it.
    pub(super) fn has_derivative(&self) -> bool {
        self.activation.is_some_and(|f| f != Activation::Relu)
    }

    /// f' of the activation taken over, by the stage's outputs `y` and stored derivative.
    pub(super) fn mask(&self, y: &Quads, derivative: Option<&Quads>) -> Option<Mask> {
        self.activation?;
        Some(match derivative {
            None => Mask { values: y.clone(), is_relu: true },
            Some(values) => Mask { values: values.clone(), is_relu: false },
        })
    }

    /// Whether a derivative along a direction of the parameters, or back to some, passes through it.
    pub(super) fn is_dependent(&self) -> bool {
        self.has_parameters || self.has_input_gradient || self.has_plus_gradient
    }
}
