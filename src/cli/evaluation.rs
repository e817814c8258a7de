//! Weights of a run, finished or not, on a data set: what `eval` and `report` share.

use super::config::Config;
use crate::checkpoint;
use crate::data::{Dataset, Split};
use crate::device::Gpu;
use crate::error::{Result, RunError};
use crate::export::{Signature, load_weights};
use crate::model::Model;
use crate::objective::{Examples, Objective, Workspace};
use crate::optimise::State;
use crate::report::RunFolder;
use std::sync::Arc;

/// Parameters, and what they were made for.
pub(super) struct Weights {
    pub model: Arc<Model>,
    pub theta: Vec<f32>,
    pub signature: Signature,
}

impl Weights {
    /// Those that a run ended with.
    pub fn of_run(folder: &RunFolder) -> Result<Self> {
        let (model, theta, signature) = load_weights(&folder.weights())?;
        Ok(Self { model: Arc::new(model), theta, signature })
    }

    /// The best so far of a run on `data` that is in the middle, or else the present ones; and which of these.
    pub fn of_checkpoint(folder: &RunFolder, config: &Config, data: &Dataset) -> Result<(Self, String)> {
        let model = Arc::new(Model::new(&config.model, data.shape, data.classes.len())?);
        let progress = checkpoint::load(&folder.checkpoint(), model.vector_len())?;
        let signature = Signature {
            model: config.model.clone(),
            input: data.shape,
            classes: data.classes.clone(),
            normalisation: data.channel_statistics(),
        };
        let State { parameters, iteration, .. } = progress.optimiser;
        let (theta, which) = match progress.best {
            Some(best) => (best.parameters, "lowest held-out loss so far".to_owned()),
            None => (parameters, format!("iteration {iteration} of the {}", progress.stage)),
        };
        Ok((Self { model, theta, signature }, which))
    }

    /// Whether they can be asked about these data.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) when images or classes are others.
    pub fn check(&self, data: &Dataset) -> Result<()> {
        let signature = &self.signature;
        if (data.shape, data.classes.len()) == (signature.input, signature.classes.len()) {
            return Ok(());
        }
        Err(RunError::OtherImages {
            data: data.name.clone(),
            images: data.shape,
            classes: data.classes.len(),
            trained_images: signature.input,
            trained_classes: signature.classes.len(),
        }
        .into())
    }

    /// The loss over a split, without weight decay.
    pub fn objective(&self, gpu: &Gpu, split: &Split, memory: u64) -> Result<Objective> {
        let workspace = Arc::new(Workspace::new(gpu, self.model.clone(), memory)?);
        let Signature { input, normalisation, .. } = &self.signature;
        let examples = Arc::new(Examples::upload(gpu, *input, &split.images, &split.labels, normalisation)?);
        let all: Vec<u32> = (0..examples.len() as u32).collect();
        Objective::new(gpu, &workspace, &examples, &all, 0.0)
    }
}
