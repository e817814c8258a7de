//! The layers as they run: a product or a sum and the activation after it are one stage, whose values are stored once.

use crate::device::Quads;
use crate::kernels::activation::Activation;
use crate::kernels::epilogue::Mask;
use crate::model::{Model, Value};
use crate::shape::Shape;

/// A layer, and the activation it took over. Values are counted from the example, 0; stage i puts out value i + 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stage {
    /// Index of the layer.
    pub layer: usize,
    /// The activation of the layer after it.
    pub activation: Option<Activation>,
    /// The value that it reads, …
    pub x: usize,
    /// … and the one that it adds.
    pub plus: Option<usize>,
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
    let (layers, edges, dependent) = (model.layers(), model.edges(), model.dependent());
    let readers = |value: Value| edges.iter().flat_map(|edges| edges.values()).filter(|&read| read == value).count();
    let mut stages: Vec<Stage> = Vec::new();
    // of each layer's value the number among those of the stages
    let mut numbers: Vec<usize> = vec![0];
    for (i, (layer, edges)) in layers.iter().zip(edges).enumerate() {
        let before = numbers[edges.x.index()].checked_sub(1);
        let taking = before.filter(|&stage| {
            let is_free = stages[stage].activation.is_none() && Value::of_layer(stages[stage].layer) == edges.x;
            is_free && layers[stages[stage].layer].takes_activation() && readers(edges.x) == 1 && i + 1 < layers.len()
        });
        if let Some((function, stage)) = layer.activation().zip(taking) {
            stages[stage].activation = Some(function);
            numbers.push(stage + 1);
            continue;
        }
        stages.push(Stage {
            layer: i,
            activation: None,
            x: numbers[edges.x.index()],
            plus: edges.plus.map(|plus| numbers[plus.index()]),
            is_sum: layer.is_sum(),
            output: layer.output(),
            has_input_gradient: dependent[edges.x.index()],
            has_plus_gradient: edges.plus.is_some_and(|plus| dependent[plus.index()]),
            has_parameters: layer.weights().is_some(),
        });
        numbers.push(stages.len());
    }
    stages
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
