//! Weights that a run starts from, in place of random ones: how a configuration names them.

use crate::model::{Model, Tensor};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Weights that a run starts from, as its configuration names them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitialWeights {
    /// The file, or the folder of the run.
    pub path: String,
    /// The folder that a path which is not absolute started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_in: Option<PathBuf>,
    /// SHA-256 of the parameters, as `run.json` has it.
    pub weights_sha256: String,
    /// Layers that are drawn at random all the same: the head, for other classes.
    pub drawn: Vec<String>,
    /// Whether the weights do not say what their pixels are, so that these are taken to be from 0 to 1.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_assumed: bool,
    /// Mean and standard deviation of each channel, in units of a byte, that the layers were trained with: they stay.
    pub normalisation: Vec<(f64, f64)>,
}

impl InitialWeights {
    /// How many of the parameters are taken.
    pub fn count(&self, model: &Model) -> usize {
        self.kept(model).map(|tensor| tensor.range.len()).sum()
    }

    /// The tensors of a model that are taken.
    pub(super) fn kept(&self, model: &Model) -> impl Iterator<Item = Tensor> {
        let is_drawn = |tensor: &Tensor| {
            let layer = tensor.name.rsplit_once('.').map_or("", |(layer, _)| layer);
            self.drawn.iter().any(|drawn| drawn == layer)
        };
        model.tensors().into_iter().filter(move |tensor| !is_drawn(tensor))
    }
}
