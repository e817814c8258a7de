//! What a run came to.

use super::record::RunRecord;
use super::weights::Weights;
use crate::data::Split;
use crate::device::Gpu;
use crate::error::Result;
use crate::objective::Evaluation;
use crate::subset::Progress;
use std::path::Path;

/// The weights that a run keeps, and its last record.
#[derive(Clone, Debug)]
pub struct Trained {
    /// Those of the lowest held-out loss, or else the last.
    pub weights: Weights,
    /// What `run.json` holds: accuracy, losses, cost, digests.
    pub record: RunRecord,
    /// Where a run over mini-batches ended: from there it goes on with a larger budget.
    pub state: Option<Progress<Vec<f32>>>,
    /// Bytes of device memory that activations may take.
    pub(super) memory: u64,
}

impl Trained {
    /// Loss and accuracy over a split of images like those of the training set.
    ///
    /// # Errors
    /// What the device reports.
    pub fn evaluate(&self, gpu: &Gpu, split: &Split) -> Result<Evaluation> {
        self.weights.evaluate(gpu, split, self.memory)
    }

    /// Writes the weights, safetensors in PyTorch's names, shapes and order.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) naming the file.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.weights.save(path.as_ref())
    }
}
