//! What becomes of a run whose device is lost or has too little memory.

use crate::cost::Cost;
use crate::device::Gpu;
use crate::error::{Error, MemoryError, Result};
use crate::model::Model;
use crate::objective::Workspace;
use crate::subset::Incident;

/// A device that is lost more often in a row, while the run comes no further, is lost for good.
const LOSSES: usize = 3;

/// The device of a run and the size of its chunks, both of which may become others.
pub(super) struct Recovery {
    /// The device that is open.
    pub gpu: Gpu,
    /// Examples of a chunk, at most.
    pub most: usize,
    /// Bytes that activations may take.
    memory: u64,
    /// The fewest examples of a chunk.
    least: usize,
    /// Losses in a row, and what the run had cost at the last of them.
    losses: usize,
    at: Option<Cost>,
}

impl Recovery {
    /// Of a run whose chunks must hold `least` examples.
    pub(super) fn new(gpu: &Gpu, memory: u64, least: usize) -> Self {
        Self { gpu: gpu.clone(), most: usize::MAX, memory, least, losses: 0, at: None }
    }

    /// What to do about an error of a run that had cost so much, whose memory on the device was given back: go on with
    /// the device that is open afterwards, in chunks as large as this now says.
    ///
    /// # Errors
    /// The error itself, where nothing can be done about it; [`Error::Device`] when the device does not open again.
    pub(super) fn take(&mut self, error: Error, model: &Model, at: Option<Cost>) -> Result<Incident> {
        if !matches!(error, Error::Device(_) | Error::OutOfMemory(_)) {
            return Err(error);
        }
        if self.gpu.is_lost() {
            self.losses = if self.at == at { self.losses + 1 } else { 1 };
            self.at = at;
            if self.losses > LOSSES {
                return Err(error);
            }
            let why = self.gpu.check().err().unwrap_or(error).to_string();
            self.gpu = self.gpu.open_again()?;
            return Ok(Incident::Lost { why });
        }
        match &error {
            Error::OutOfMemory(MemoryError::Allocation { limit: None, .. } | MemoryError::Device { .. }) => {}
            _ => return Err(error),
        }
        let before = Workspace::chunk_of(&self.gpu, model, self.memory, self.most)?;
        let after = before / 2 / Workspace::unit(&self.gpu) * Workspace::unit(&self.gpu);
        if after == 0 || after < self.least {
            return Err(error);
        }
        if self.gpu.check().is_err() {
            self.gpu = self.gpu.open_again()?; // what was reported once stays
        }
        self.most = after;
        Ok(Incident::Memory { why: error.to_string(), chunk: [before, after] })
    }
}
