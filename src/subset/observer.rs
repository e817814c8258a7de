//! Who is told how a run goes, and may stop it.

use super::incident::Incident;
use super::progress::Progress;
use super::record::{StageReport, StepRecord};
use super::screening::ScreeningReport;
use crate::error::Result;

/// Who is told how a run goes, and may stop it. Each function has a default that does nothing, and a closure that takes
/// a [`StepRecord`] is an observer of the steps.
pub trait Observer {
    /// Once the examples were screened.
    ///
    /// # Errors
    /// Ends the run.
    fn screening(&mut self, _report: &ScreeningReport) -> Result<()> {
        Ok(())
    }

    /// After every iteration.
    ///
    /// # Errors
    /// Ends the run, as when the disk is full.
    fn step(&mut self, _record: &StepRecord) -> Result<()> {
        Ok(())
    }

    /// After every stage.
    ///
    /// # Errors
    /// Ends the run.
    fn stage(&mut self, _report: &StageReport) -> Result<()> {
        Ok(())
    }

    /// When the device was lost or had too little memory, and the run goes on all the same.
    ///
    /// # Errors
    /// Ends the run.
    fn incident(&mut self, _incident: &Incident) -> Result<()> {
        Ok(())
    }

    /// Whether a checkpoint is due. Asked after every iteration, since making one reads the vectors back, and once a
    /// second in the middle of one over mini-batches.
    fn wants_checkpoint(&mut self) -> bool {
        false
    }

    /// A checkpoint that was asked for, or the last one of a run that is told to stop.
    ///
    /// # Errors
    /// Ends the run.
    fn checkpoint(&mut self, _progress: &Progress<Vec<f32>>) -> Result<()> {
        Ok(())
    }

    /// Whether the run is to stop here. Asked as often. A device that [heeds](crate::device::Gpu::heed) an interrupt
    /// stops sooner, and in the middle of other iterations as well.
    fn is_interrupted(&self) -> bool {
        false
    }
}

/// Nobody.
impl Observer for () {}

impl<F: FnMut(&StepRecord)> Observer for F {
    fn step(&mut self, record: &StepRecord) -> Result<()> {
        self(record);
        Ok(())
    }
}
