//! The pipelines of a device, compiled in the background while the host goes on recording.

use super::lock::lock;
use super::pipeline::{Pipeline, Source};
use super::workers::{OpenTwin, Workers};
use crate::error::Result;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

/// (shader, its override constants by name): what a pipeline is cached by.
pub type PipelineKey = (&'static str, Vec<(&'static str, usize)>);

/// The pipelines of a device, each compiled once. Dropping it waits for the threads: a driver must not compile while
/// the program exits.
pub(crate) struct Pipelines<G> {
    device: wgpu::Device,
    known: Mutex<HashMap<PipelineKey, Arc<Pipeline<G>>>>,
    /// None where everyone compiles for himself.
    workers: Option<Workers<G>>,
}

impl<G: 'static> Pipelines<G> {
    /// None yet, and no threads.
    pub(crate) fn alone(device: wgpu::Device) -> Self {
        Self { device, known: Mutex::default(), workers: None }
    }

    /// None yet; threads compile them, and rehearse them on twins where there is a way to open one.
    pub(crate) fn with_workers(device: wgpu::Device, twin: Option<OpenTwin<G>>) -> Self {
        Self { workers: Some(Workers::new(twin)), ..Self::alone(device) }
    }

    /// Waits for all that were asked for, and for the threads, which drop what they did not rehearse yet.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) when the driver rejects one of them.
    pub(crate) fn wait(&self) -> Result<()> {
        let all: Vec<_> = lock(&self.known).values().cloned().collect();
        let rejected = all.iter().find_map(|pipeline| pipeline.compiled().as_ref().err());
        self.workers.iter().for_each(Workers::rest);
        rejected.map_or(Ok(()), |why| Err(why.clone().into()))
    }

    /// Waits until these are rehearsed, or does so, before their first use. Before each it asks whether to go on.
    ///
    /// # Errors
    /// Why not to go on.
    pub(crate) fn rehearse<'a>(
        &self,
        pipelines: impl IntoIterator<Item = &'a Arc<Pipeline<G>>>,
        goes_on: impl Fn() -> Result<()>,
    ) -> Result<()> {
        match &self.workers {
            Some(workers) => workers.rehearse(pipelines, goes_on),
            None => Ok(()),
        }
    }

    /// Rehearses everything asked for, as the threads do; says how many, none where they do not.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) when a twin does not take a kernel that the device takes.
    pub(crate) fn rehearse_all(&self) -> Result<usize> {
        let Some(twin) = self.workers.as_ref().and_then(Workers::open_twin) else { return Ok(0) };
        let (twin, all) = (twin?, lock(&self.known).values().cloned().collect::<Vec<_>>());
        all.iter().try_for_each(|pipeline| pipeline.run_on(&twin))?;
        Ok(all.len())
    }

    /// The pipeline of this key, which is made of a `source` unless it is known.
    pub(crate) fn of<S: Source<G> + 'static>(&self, key: PipelineKey, source: impl FnOnce() -> S) -> Arc<Pipeline<G>> {
        let mut known = lock(&self.known);
        let pipeline = known.entry(key).or_insert_with(|| {
            let pipeline = Arc::new(Pipeline::new(self.device.clone(), Box::new(source())));
            self.workers.iter().for_each(|workers| workers.take(&pipeline));
            pipeline
        });
        pipeline.clone()
    }

    /// The keys so far, sorted.
    pub(crate) fn keys(&self) -> Vec<PipelineKey> {
        let mut keys: Vec<_> = lock(&self.known).keys().cloned().collect();
        keys.sort();
        keys
    }
}

impl<G: 'static> fmt::Debug for Pipelines<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys()).finish()
    }
}
