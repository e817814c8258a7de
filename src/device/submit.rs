//! Submitting commands: together where they are short, timed where somebody asks.

use super::buf::Buf;
use super::dispatch_times::DispatchTime;
use super::gpu::Gpu;
use super::lock::lock;
use super::pending::Commands;
use super::submissions::SubmissionTimes;
use crate::error::Result;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

/// Seconds that a submission should take on the average. Windows takes a device away after two (TDR), and steps differ:
/// an eightieth leaves room for one that takes as long as eighty. Nine in ten of a hundred take less than twice that.
pub(crate) const SUBMISSION: f64 = 0.025;

/// The first submission after a wait is shorter, since the device has nothing to do; each may take twice as long as the
/// one before.
const SOON: f64 = 1e-3;

/// What commands come to.
pub(crate) struct Demands<'a> {
    /// Seconds that they take, about.
    pub seconds: f64,
    /// Buffers that they read or write, copies aside.
    pub buffers: &'a Arc<HashSet<wgpu::Buffer>>,
    /// From one view to another, before and after them.
    pub copies: [&'a [(&'a Buf, &'a Buf)]; 2],
    /// The kernels that they run.
    pub kernels: &'a mut dyn Iterator<Item = &'static str>,
}

impl Gpu {
    /// Adds commands to those that wait, and submits all where they take long enough together; returns the submission.
    ///
    /// # Errors
    /// What `record` reports, and as [`Gpu::flush`].
    pub(crate) fn enqueue(
        &self,
        demands: Demands<'_>,
        record: impl FnOnce(&mut wgpu::CommandEncoder) -> Result<()>,
    ) -> Result<Option<wgpu::SubmissionIndex>> {
        let is_too_long = lock(&self.pending).seconds + demands.seconds > SUBMISSION;
        let before_it = if is_too_long { self.flush()? } else { None };
        let mut guard = lock(&self.pending);
        let pending = &mut *guard;
        let [before, after] = demands.copies;
        pending.encoder.get_or_insert_with(|| self.device.create_command_encoder(&Default::default()));
        before.iter().for_each(|(from, to)| pending.copy(from, to));
        record(pending.encoder.as_mut().expect("just made"))?;
        after.iter().for_each(|(from, to)| pending.copy(from, to));
        pending.buffers.push(demands.buffers.clone());
        pending.seconds += demands.seconds;
        if self.submissions.are_asked_for() {
            pending.kernels.extend(demands.kernels);
        }
        let is_enough = pending.seconds >= pending.allowance.max(SOON);
        drop(guard);
        if is_enough { self.flush() } else { Ok(before_it) }
    }

    /// Submits what waits, if anything does.
    ///
    /// # Errors
    /// What the device reports, where submissions are timed; others return at once.
    pub(crate) fn flush(&self) -> Result<Option<wgpu::SubmissionIndex>> {
        let mut pending = lock(&self.pending);
        let allowance = (2.0 * pending.allowance.max(SOON)).min(SUBMISSION);
        let Commands { encoder, kernels, .. } =
            std::mem::replace(&mut *pending, Commands { allowance, ..Commands::default() });
        let Some(encoder) = encoder else { return Ok(None) };
        if !self.submissions.are_asked_for() {
            // still under the lock: who comes next is submitted next
            return Ok(Some(self.queue.submit([encoder.finish()])));
        }
        drop(pending);
        self.poll(None)?;
        let start = Instant::now();
        let index = self.queue.submit([encoder.finish()]);
        self.poll(None)?;
        self.submissions.note(start.elapsed().as_secs_f64(), kernels.join(", "));
        Ok(Some(index))
    }

    /// The same before a wait, after which the device has nothing to do.
    ///
    /// # Errors
    /// As [`Gpu::flush`].
    pub(super) fn flush_to_wait(&self) -> Result<()> {
        self.flush()?;
        lock(&self.pending).allowance = 0.0;
        Ok(())
    }

    /// Submits what waits if that uses a buffer which the host is about to overwrite.
    pub(super) fn flush_uses_of(&self, buf: &Buf) {
        if lock(&self.pending).uses(&buf.raw) {
            self.flush().ok(); // what is wrong with the device shows at the next run
        }
    }

    /// Copies device memory to device memory, in order.
    pub fn copy(&self, from: &Buf, to: &Buf) {
        let mut pending = lock(&self.pending);
        if pending.encoder.is_some() {
            return pending.copy(from, to);
        }
        let mut encoder = self.device.create_command_encoder(&Default::default());
        from.record_copy(to, &mut encoder);
        self.queue.submit([encoder.finish()]);
    }

    /// Times every submission of a program from now on, by itself: the host waits before and after. Results stay the
    /// same bits.
    pub fn time_submissions(&self) {
        self.submissions.ask();
    }

    /// What the submissions of programs took since [`Gpu::time_submissions`], if there was any.
    pub fn submission_times(&self) -> Option<SubmissionTimes> {
        self.submissions.summary()
    }

    /// Times every dispatch of a program from now on, by itself: the host waits before and after. Results stay the same
    /// bits.
    pub fn time_dispatches(&self) {
        lock(&self.dispatch_times.0).get_or_insert_default();
    }

    /// Whether dispatches are timed.
    pub(crate) fn times_dispatches(&self) -> bool {
        lock(&self.dispatch_times.0).is_some()
    }

    /// The dispatches that ran since they are timed, or since last asked, in order.
    pub fn take_dispatch_times(&self) -> Vec<DispatchTime> {
        lock(&self.dispatch_times.0).as_mut().map_or(Vec::new(), std::mem::take)
    }

    /// Takes a note of one.
    pub(crate) fn note_dispatch(&self, time: DispatchTime) {
        if let Some(times) = lock(&self.dispatch_times.0).as_mut() {
            times.push(time);
        }
    }
}
