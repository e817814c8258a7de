//! The chain as it runs: a product and the activation after it are one stage, whose values are stored once.

use crate::device::Quads;
use crate::kernels::activation::Activation;
use crate::kernels::epilogue::Mask;
use crate::model::Model;

/// A layer, and the activation it took over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stage {
    /// Index of the layer.
    pub layer: usize,
    /// The activation of the layer after it.
    pub activation: Option<Activation>,
    /// Values of an example that the stage puts out.
    pub outputs: usize,
}

/// The stages of a model. An activation at the very end stays a layer: the loss hands it the gradient unmasked.
pub(super) fn stages(model: &Model) -> Vec<Stage> {
    let layers = model.layers();
    let mut stages = Vec::new();
    let mut i = 0;
    while i < layers.len() {
        let next = layers.get(i + 1).filter(|_| layers[i].weights().is_some() && i + 2 < layers.len());
        let activation = next.and_then(|next| next.activation());
        stages.push(Stage { layer: i, activation, outputs: layers[i].output().len() });
        i += 1 + usize::from(activation.is_some());
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
}
