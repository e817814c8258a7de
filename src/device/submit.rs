//! Submitting commands, timed where somebody asks.

use super::gpu::Gpu;
use super::submissions::SubmissionTimes;
use crate::error::Result;
use std::time::Instant;

impl Gpu {
    /// Times every submission of a program from now on, by itself: the host waits before and after. Results stay the
    /// same bits.
    pub fn time_submissions(&self) {
        self.submissions.ask();
    }

    /// What the submissions of programs took since [`Gpu::time_submissions`], if there was any.
    pub fn submission_times(&self) -> Option<SubmissionTimes> {
        self.submissions.summary()
    }

    /// Submits commands that run these kernels.
    ///
    /// # Errors
    /// What the device reports, where submissions are timed; others return at once.
    pub(crate) fn submit<'a>(
        &self,
        commands: wgpu::CommandBuffer,
        kernels: impl Iterator<Item = &'a str>,
    ) -> Result<wgpu::SubmissionIndex> {
        if !self.submissions.are_asked_for() {
            return Ok(self.queue.submit([commands]));
        }
        self.wait()?;
        let start = Instant::now();
        let index = self.queue.submit([commands]);
        self.wait()?;
        self.submissions.note(start.elapsed().as_secs_f64(), kernels.collect::<Vec<_>>().join(", "));
        Ok(index)
    }
}
