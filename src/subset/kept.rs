//! The last state of a run on the host: what there is to go on from when the device is lost, or told to stop in the
//! middle of a step, which spoils what the method had there.

use super::progress::{Progress, ProgressVectors};
use super::running::Running;
use crate::error::Result;
use crate::training::GpuSpace;
use std::time::{Duration, Instant};

/// The share of a run's time that copies may take.
const SHARE: f64 = 0.02;

/// A copy on the host of where a run stood a short while ago.
pub(super) struct LastState {
    progress: Option<Progress<Vec<f32>>>,
    /// The stage that what its problem remembers is of, and how often that had been made anew.
    memory_of: Option<(usize, u64)>,
    start: Instant,
    /// What copies have taken.
    copying: Duration,
}

impl LastState {
    /// Of a run that goes on from a checkpoint, or starts.
    pub(super) fn of(progress: Option<Progress<Vec<f32>>>) -> Self {
        Self { progress, memory_of: None, start: Instant::now(), copying: Duration::ZERO }
    }

    /// The latest copy.
    pub(super) fn progress(&self) -> Option<&Progress<Vec<f32>>> {
        self.progress.as_ref()
    }

    /// Copies where a stage stands, unless copies have had their share of the time: of a run of short steps, some.
    ///
    /// # Errors
    /// What the device reports; the copy before is kept.
    pub(super) fn keep(&mut self, running: &Running, space: &GpuSpace) -> Result<()> {
        if self.copying.as_secs_f64() > SHARE * self.start.elapsed().as_secs_f64() {
            return Ok(());
        }
        self.copy(running, space).map(|_| ())
    }

    /// Copies where a stage stands. What the problem remembers is the largest part, and changes once in a while.
    ///
    /// # Errors
    /// As [`LastState::keep`].
    pub(super) fn copy(&mut self, running: &Running, space: &GpuSpace) -> Result<&Progress<Vec<f32>>> {
        let start = Instant::now();
        let Progress { scalars, vectors } = &running.progress;
        let memory_of = Some((scalars.stages.len(), running.problem.refreshes()));
        let is_known = self.memory_of == memory_of;
        let problem = if is_known { Vec::new() } else { vectors.problem.clone() };
        let vectors = ProgressVectors { problem, ..vectors.clone() };
        let anew = Progress { scalars: scalars.clone(), vectors }.convert(|vector| space.download(vector))?;
        let before = self.progress.replace(anew);
        self.memory_of = memory_of;
        self.copying += start.elapsed();
        let progress = self.progress.as_mut().expect("just put there");
        if let Some(before) = before.filter(|_| is_known) {
            progress.vectors.problem = before.vectors.problem;
        }
        Ok(progress)
    }
}
