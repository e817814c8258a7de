//! Records that nobody is told twice: a run whose device was lost does a few steps again.

use super::incident::Incident;
use super::observer::Observer;
use super::progress::Progress;
use super::record::{StageReport, StepRecord};
use super::screening::ScreeningReport;
use crate::error::Result;

/// An observer of a run that may go back a few steps: told of each record once.
pub(crate) struct Once<'a> {
    observer: &'a mut dyn Observer,
    has_screening: bool,
    /// The stage and iteration of the last step told, and how many stages have ended.
    told: (usize, u64),
    ended: usize,
    /// The stage that is on now.
    stage: usize,
}

impl<'a> Once<'a> {
    /// Of a run that starts.
    pub(crate) fn new(observer: &'a mut dyn Observer) -> Self {
        Self { observer, has_screening: false, told: (0, 0), ended: 0, stage: 0 }
    }

    /// The run starts, or goes on from here.
    pub(crate) fn goes_on_from(&mut self, progress: Option<&Progress<Vec<f32>>>) {
        self.stage = progress.map_or(0, |progress| progress.scalars.stages.len());
    }
}

impl Observer for Once<'_> {
    fn screening(&mut self, report: &ScreeningReport) -> Result<()> {
        if std::mem::replace(&mut self.has_screening, true) { Ok(()) } else { self.observer.screening(report) }
    }

    fn step(&mut self, record: &StepRecord) -> Result<()> {
        let at = (self.stage, record.iteration);
        if at > self.told {
            self.observer.step(record)?;
            self.told = at;
        }
        Ok(())
    }

    fn stage(&mut self, report: &StageReport) -> Result<()> {
        self.stage += 1;
        if self.stage > self.ended {
            self.observer.stage(report)?;
            self.ended = self.stage;
        }
        Ok(())
    }

    fn incident(&mut self, incident: &Incident) -> Result<()> {
        self.observer.incident(incident)
    }

    fn wants_checkpoint(&mut self) -> bool {
        self.observer.wants_checkpoint()
    }

    fn checkpoint(&mut self, progress: &Progress<Vec<f32>>) -> Result<()> {
        self.observer.checkpoint(progress)
    }

    fn is_interrupted(&self) -> bool {
        self.observer.is_interrupted()
    }
}
