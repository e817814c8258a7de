//! A recorded list of steps, replayed in submissions of bounded length.

use super::dispatch::Dispatch;
use crate::device::{Buf, Gpu};
use crate::error::Result;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Seconds that a submission should take on the average. Windows takes a device away after two (TDR), and steps differ:
/// an eightieth leaves room for one that takes as long as eighty. Nine in ten of a hundred take less than twice that.
const SUBMISSION: f64 = 0.025;

/// Steps of a submission at the first run, at which a software driver may compile each; and at the next ones, until
/// somebody tells how long they take.
const FIRST: usize = 1;
const UNMEASURED: usize = 2;

/// Submissions of one run that the device may be behind: less than half a second, so that it comes to rest as soon when
/// it is told to stop.
const AHEAD: usize = 8;

#[derive(Clone)]
pub(super) enum Step {
    Run(Dispatch),
    Clear(Buf),
}

/// Steps, run in order. Recording creates everything but what a first run waits for, the pipelines; later ones create
/// nothing but command buffers.
pub struct Program {
    pub(super) steps: Vec<Step>,
    /// Steps of a submission.
    stride: AtomicUsize,
}

impl Default for Program {
    fn default() -> Self {
        Self { steps: Vec::new(), stride: AtomicUsize::new(FIRST) }
    }
}

/// A copy from one view to another of the same length.
pub type CopyPair<'a> = (&'a Buf, &'a Buf);

impl Program {
    /// Appends a dispatch.
    pub fn push(&mut self, dispatch: Dispatch) {
        self.steps.push(Step::Run(dispatch));
    }

    /// Appends dispatches.
    pub fn extend(&mut self, dispatches: impl IntoIterator<Item = Dispatch>) {
        self.steps.extend(dispatches.into_iter().map(Step::Run));
    }

    /// Appends the zeroing of a view.
    pub fn clear(&mut self, buf: &Buf) {
        self.steps.push(Step::Clear(buf.clone()));
    }

    /// Appends the steps of another.
    pub fn append(&mut self, other: Self) {
        self.steps.extend(other.steps);
    }

    /// Submits the steps; the device runs them after everything submitted before.
    ///
    /// # Errors
    /// What the device reported so far ([`Gpu::check`]).
    pub fn run(&self, gpu: &Gpu) -> Result<()> {
        self.run_between(gpu, &[], &[])
    }

    /// Submits copies, the steps, and more copies.
    ///
    /// # Errors
    /// What the device reported so far ([`Gpu::check`]).
    pub fn run_between(&self, gpu: &Gpu, before: &[CopyPair<'_>], after: &[CopyPair<'_>]) -> Result<()> {
        gpu.check()?;
        let stride = self.stride.load(Ordering::Relaxed);
        if stride == FIRST {
            gpu.pipelines.rehearse(self.dispatches().map(Dispatch::pipeline), || gpu.check())?;
            self.stride.store(UNMEASURED, Ordering::Relaxed);
        }
        if gpu.times_dispatches() {
            return self.run_timed(gpu, before, after);
        }
        let mut parts = self.steps.chunks(stride).peekable();
        let mut behind = VecDeque::new();
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        before.iter().for_each(|copy| copy.0.record_copy(copy.1, &mut encoder));
        while let Some(part) = parts.next() {
            record(gpu, &mut encoder, part)?;
            if parts.peek().is_some() {
                let next = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
                behind.push_back(gpu.submit(std::mem::replace(&mut encoder, next).finish(), kernels(part))?);
                if behind.len() > AHEAD {
                    gpu.wait_for(behind.pop_front())?;
                }
            }
        }
        after.iter().for_each(|copy| copy.0.record_copy(copy.1, &mut encoder));
        gpu.submit(encoder.finish(), kernels(self.steps.chunks(stride).last().unwrap_or_default()))?;
        Ok(())
    }

    pub(super) fn dispatches(&self) -> impl Iterator<Item = &Dispatch> {
        self.steps.iter().filter_map(|step| match step {
            Step::Run(dispatch) => Some(dispatch),
            Step::Clear(_) => None,
        })
    }

    /// Tells how many seconds a run took, so that later ones submit as many steps at once as take a fortieth of a
    /// second.
    pub fn took(&self, seconds: f64) {
        let steps = (self.steps.len() as f64 * SUBMISSION / seconds.max(1e-9)).max(1.0);
        self.stride.store(steps as usize, Ordering::Relaxed);
    }
}

/// What steps run, by name.
fn kernels(steps: &[Step]) -> impl Iterator<Item = &str> {
    steps.iter().map(|step| match step {
        Step::Run(dispatch) => dispatch.shader(),
        Step::Clear(_) => "clear",
    })
}

pub(super) fn record(gpu: &Gpu, encoder: &mut wgpu::CommandEncoder, steps: &[Step]) -> Result<()> {
    let mut steps = steps.iter().peekable();
    while let Some(step) = steps.next() {
        match step {
            Step::Clear(buf) => {
                let range = buf.bytes();
                encoder.clear_buffer(&buf.raw, range.start, Some(range.end - range.start));
            }
            Step::Run(first) => {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                first.record(gpu, &mut pass)?;
                while let Some(Step::Run(next)) = steps.next_if(|step| matches!(step, Step::Run(_))) {
                    next.record(gpu, &mut pass)?;
                }
            }
        }
    }
    Ok(())
}
