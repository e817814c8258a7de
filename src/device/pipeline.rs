//! One pipeline in the making.

use crate::error::{Result, ShaderRejection};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A pipeline, or why the driver rejects it.
pub(crate) type Compiled = std::result::Result<wgpu::ComputePipeline, ShaderRejection>;

/// What a pipeline is made of. A twin of its device is a `G`.
pub(crate) trait Source<G>: Send + Sync {
    /// The pipeline on a device.
    fn compile(&self, device: &wgpu::Device) -> Compiled;

    /// The same on a twin.
    fn compile_on(&self, twin: &G) -> Compiled;

    /// Runs `pipeline` over nothing on the twin it was compiled for, and waits.
    ///
    /// # Errors
    /// What the twin reports.
    fn run_over_nothing(&self, twin: &G, pipeline: &wgpu::ComputePipeline) -> Result<()>;
}

/// A pipeline that is compiled by a thread in the background, or by whoever needs it before that.
pub(crate) struct Pipeline<G> {
    compiled: OnceLock<Compiled>,
    device: wgpu::Device,
    source: Box<dyn Source<G>>,
    rehearsal: OnceLock<Rehearsal>,
    is_used: AtomicBool,
}

impl<G> Pipeline<G> {
    /// One that nobody has compiled yet.
    pub(super) fn new(device: wgpu::Device, source: Box<dyn Source<G>>) -> Self {
        let (compiled, rehearsal) = (OnceLock::new(), OnceLock::new());
        Self { compiled, device, source, rehearsal, is_used: AtomicBool::new(false) }
    }

    /// Waits for it, or compiles it.
    pub(super) fn compiled(&self) -> &Compiled {
        self.compiled.get_or_init(|| self.source.compile(&self.device))
    }

    /// Waits for it, to use it.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) when the driver rejects the shader.
    pub(crate) fn get(&self) -> Result<&wgpu::ComputePipeline> {
        self.is_used.store(true, Ordering::Relaxed);
        self.compiled().as_ref().map_err(|why| why.clone().into())
    }

    /// Whether anyone got it to use it.
    pub(crate) fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }

    /// Compiles it for a twin and runs it there over nothing.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) when the twin does not take it.
    pub(super) fn run_on(&self, twin: &G) -> Result<()> {
        self.source.run_over_nothing(twin, &self.source.compile_on(twin)?)
    }

    /// Whether the driver did its second half.
    pub(super) fn is_rehearsed(&self) -> bool {
        self.rehearsal.get().is_some()
    }

    /// Waits for the driver's second half, or has the driver do it, on a twin. It takes several times as long as the
    /// first, unless the driver knows the kernel.
    pub(super) fn rehearse(&self, twin: &G) -> Rehearsal {
        *self.rehearsal.get_or_init(|| {
            let start = Instant::now();
            let Ok(pipeline) = self.source.compile_on(twin) else { return Rehearsal::Failed };
            let first_half = start.elapsed();
            match self.source.run_over_nothing(twin, &pipeline) {
                Err(_) => Rehearsal::Failed,
                Ok(()) => Rehearsal::of(first_half, start.elapsed()),
            }
        })
    }
}

/// A kernel that takes less says nothing about others: programs have it in common, and it costs little to go on.
const TELLING: Duration = Duration::from_millis(10);

/// How a rehearsal ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Rehearsal {
    /// The driver did its second half.
    Done,
    /// An earlier program had the kernel.
    Known,
    /// Too short to tell.
    Short,
    /// The twin does not take it.
    Failed,
}

impl Rehearsal {
    /// What the time of both halves tells, of which the first is never on the driver's disk.
    fn of(first_half: Duration, both: Duration) -> Self {
        match () {
            () if both < TELLING => Self::Short,
            () if both < first_half.mul_f64(1.5) => Self::Known,
            () => Self::Done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_half_in_no_time_was_known() {
        let of = |first_half, both| Rehearsal::of(Duration::from_millis(first_half), Duration::from_millis(both));
        assert_eq!(of(30, 40), Rehearsal::Known);
        assert_eq!(of(30, 50), Rehearsal::Done);
        assert_eq!(of(1, 20), Rehearsal::Done);
        assert_eq!(of(5, 6), Rehearsal::Short);
        assert_eq!(of(1, 9), Rehearsal::Short);
    }
}
