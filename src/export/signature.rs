//! What weights were made for.

use crate::data::Dataset;
use crate::model::Description;
use crate::shape::Shape;
use crate::values::ValueKind;
use serde::{Deserialize, Serialize};

/// Where it is in the metadata of a file.
pub(super) const KEY: &str = "gpu-subset";

/// What the weights were made for: shape of an example, names of the classes, and the normalisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signature {
    /// The model.
    pub model: Description,
    /// C × H × W of an example.
    pub input: Shape,
    /// Class names, in the order of the outputs.
    pub classes: Vec<String>,
    /// Mean and standard deviation of each channel, in units of the examples.
    pub normalisation: Vec<(f64, f64)>,
    /// What an example is made of.
    #[serde(default, skip_serializing_if = "ValueKind::is_bytes")]
    pub values: ValueKind,
}

impl Signature {
    /// For a model trained on a data set.
    pub fn new(model: &Description, data: &Dataset) -> Self {
        Self {
            model: model.clone(),
            input: data.shape,
            classes: data.classes.clone(),
            normalisation: data.channel_statistics(),
            values: data.value_kind(),
        }
    }
}
