//! A recorded list of steps, replayed in submissions of bounded length.

use super::dispatch::Dispatch;
use crate::device::{Buf, Demands, Gpu, SUBMISSION, lock};
use crate::error::Result;
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

/// Seconds that a step takes for all that is known at the run that is timed: two of them are a submission.
const UNMEASURED: f64 = SUBMISSION / 2.0;

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
#[derive(Default)]
pub struct Program {
    pub(super) steps: Vec<Step>,
    /// Seconds of a step, once they are known.
    seconds: Mutex<Option<f64>>,
    /// What the steps read and write.
    buffers: OnceLock<Arc<HashSet<wgpu::Buffer>>>,
}

/// A copy from one view to another of the same length.
pub type CopyPair<'a> = (&'a Buf, &'a Buf);

impl Program {
    /// Appends a dispatch.
    pub fn push(&mut self, dispatch: Dispatch) {
        self.extend([dispatch]);
    }

    /// Appends dispatches.
    pub fn extend(&mut self, dispatches: impl IntoIterator<Item = Dispatch>) {
        self.steps.extend(dispatches.into_iter().map(Step::Run));
        self.buffers.take();
    }

    /// Appends the zeroing of a view.
    pub fn clear(&mut self, buf: &Buf) {
        self.steps.push(Step::Clear(buf.clone()));
        self.buffers.take();
    }

    /// Appends the steps of another.
    pub fn append(&mut self, other: Self) {
        self.steps.extend(other.steps);
        self.buffers.take();
    }

    /// Submits the steps; the device runs them after everything submitted before.
    ///
    /// # Errors
    /// What the device reported so far ([`Gpu::check`]).
    pub fn run(&self, gpu: &Gpu) -> Result<()> {
        self.run_between(gpu, &[], &[])
    }

    /// Submits copies, the steps, and more copies, or leaves them to the next submission where they are short.
    ///
    /// # Errors
    /// What the device reported so far ([`Gpu::check`]).
    pub fn run_between(&self, gpu: &Gpu, before: &[CopyPair<'_>], after: &[CopyPair<'_>]) -> Result<()> {
        gpu.check()?;
        // used by this program before, or by others
        let is_compiled = self.dispatches().all(|dispatch| dispatch.pipeline().is_used());
        if !is_compiled {
            gpu.pipelines.rehearse(self.dispatches().map(Dispatch::pipeline), || gpu.check())?;
        }
        if gpu.times_dispatches() {
            return self.run_timed(gpu, before, after);
        }
        let known = *lock(&self.seconds);
        match known {
            _ if !is_compiled => {
                self.submit(gpu, 1, |part| part.iter().map(Step::first_seconds).sum(), [before, after])
            }
            None => {
                gpu.wait()?;
                let start = Instant::now();
                self.submit(gpu, 1, |_| UNMEASURED, [before, after])?;
                gpu.wait()?;
                self.took(start.elapsed().as_secs_f64());
                Ok(())
            }
            Some(seconds) => {
                let stride = (SUBMISSION / seconds.max(1e-9)).max(1.0) as usize;
                self.submit(gpu, stride, |part| seconds * part.len() as f64, [before, after])
            }
        }
    }

    /// Submits so many steps at a time, with the seconds that they take, between copies.
    fn submit(
        &self,
        gpu: &Gpu,
        stride: usize,
        seconds: impl Fn(&[Step]) -> f64,
        [before, after]: [&[CopyPair<'_>]; 2],
    ) -> Result<()> {
        let buffers = self.buffers.get_or_init(|| Arc::new(self.steps.iter().flat_map(Step::buffers).collect()));
        let none: &[Step] = &[]; // with copies all the same
        let parts = self.steps.chunks(stride).chain(self.steps.is_empty().then_some(none));
        let mut parts = parts.enumerate().peekable();
        let mut behind = VecDeque::new();
        while let Some((i, part)) = parts.next() {
            let copies = [if i == 0 { before } else { &[] }, if parts.peek().is_none() { after } else { &[] }];
            let kernels = &mut part.iter().map(Step::name);
            let demands = Demands { seconds: seconds(part), buffers, copies, kernels };
            behind.extend(gpu.enqueue(demands, |encoder| record(gpu, encoder, part))?);
            if behind.len() > AHEAD {
                gpu.wait_for(behind.pop_front())?;
            }
        }
        Ok(())
    }

    pub(super) fn dispatches(&self) -> impl Iterator<Item = &Dispatch> {
        self.steps.iter().filter_map(|step| match step {
            Step::Run(dispatch) => Some(dispatch),
            Step::Clear(_) => None,
        })
    }

    /// Tells how many seconds a run took, or will take at most, so that later ones submit as many steps at once as take
    /// a fortieth of a second.
    pub fn took(&self, seconds: f64) {
        *lock(&self.seconds) = Some(seconds / self.steps.len().max(1) as f64);
    }
}

impl Step {
    /// Seconds that it takes for all that is known at a program's first run: a kernel that none ran before may be
    /// compiled by a software driver, and is a submission of its own.
    fn first_seconds(&self) -> f64 {
        match self {
            Self::Run(dispatch) if !dispatch.pipeline().is_used() => SUBMISSION,
            _ => UNMEASURED,
        }
    }

    /// What it runs.
    fn name(&self) -> &'static str {
        match self {
            Self::Run(dispatch) => dispatch.shader(),
            Self::Clear(_) => "clear",
        }
    }

    /// The buffers that it reads or writes.
    fn buffers(&self) -> Vec<wgpu::Buffer> {
        match self {
            Self::Run(dispatch) => dispatch.buffers().cloned().collect(),
            Self::Clear(buf) => vec![buf.raw.clone()],
        }
    }
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
