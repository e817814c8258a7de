//! One pipeline in the making.

use crate::error::{Result, ShaderRejection};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

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
    is_used: AtomicBool,
}

impl<G> Pipeline<G> {
    /// One that nobody has compiled yet.
    pub(super) fn new(device: wgpu::Device, source: Box<dyn Source<G>>) -> Self {
        Self { compiled: OnceLock::new(), device, source, is_used: AtomicBool::new(false) }
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
    pub(super) fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }

    /// Compiles it for a twin and runs it there over nothing.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) when the twin does not take it.
    pub(super) fn run_on(&self, twin: &G) -> Result<()> {
        self.source.run_over_nothing(twin, &self.source.compile_on(twin)?)
    }

    /// Has the driver do its second half, which takes it several times as long as the first unless it knows the kernel.
    pub(super) fn rehearse(&self, twin: &G) -> Rehearsal {
        let start = Instant::now();
        let Ok(pipeline) = self.source.compile_on(twin) else { return Rehearsal::Failed };
        let first_half = start.elapsed().as_secs_f64();
        match self.source.run_over_nothing(twin, &pipeline) {
            Err(_) => Rehearsal::Failed,
            // What is submitted may be known from the queue itself, which says nothing about the rest.
            Ok(()) if start.elapsed().as_secs_f64() < 1.5 * first_half && !self.is_used() => Rehearsal::Known,
            Ok(()) => Rehearsal::Done,
        }
    }
}

/// How a rehearsal ended.
pub(super) enum Rehearsal {
    Done,
    /// An earlier program had the kernel.
    Known,
    /// The twin does not take it.
    Failed,
}
