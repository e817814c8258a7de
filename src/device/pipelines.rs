//! Pipelines, compiled in the background while the host goes on recording.

use super::lock;
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};

/// (shader, its override constants by name): what a pipeline is cached by.
pub type PipelineKey = (&'static str, Vec<(&'static str, usize)>);

/// A pipeline, or why the driver rejects it.
type Compiled = std::result::Result<wgpu::ComputePipeline, String>;

/// Threads that compile, at most: one core is left to whoever records.
const MOST_THREADS: usize = 8;

/// A pipeline that is compiled by a thread in the background, or by whoever needs it before that.
pub struct Pipeline {
    compiled: OnceLock<Compiled>,
    compile: Box<dyn Fn() -> Compiled + Send + Sync>,
}

impl Pipeline {
    /// Waits for it.
    ///
    /// # Errors
    /// [`Error::Device`] when the driver rejects the shader.
    pub fn get(&self) -> Result<&wgpu::ComputePipeline> {
        self.compiled.get_or_init(|| (self.compile)()).as_ref().map_err(|why| Error::device(why.clone()))
    }
}

/// The pipelines of a device, each compiled once. Dropping it waits for the threads: a driver must not compile while the program exits.
pub struct Pipelines {
    known: Mutex<HashMap<PipelineKey, Arc<Pipeline>>>,
    /// None where the driver takes one thread at a time.
    workers: Option<Workers>,
}

impl Pipelines {
    /// None yet. GL's context is one thread's at a time, for as long as it compiles, and the others give up after a second or six.
    pub fn new(backend: wgpu::Backend) -> Self {
        let workers = (backend != wgpu::Backend::Gl).then(Workers::new);
        Self { known: Mutex::default(), workers }
    }

    /// Waits for all that were asked for.
    ///
    /// # Errors
    /// [`Error::Device`] when the driver rejects one of them.
    pub fn wait(&self) -> Result<()> {
        let all: Vec<_> = lock(&self.known).values().cloned().collect();
        all.iter().try_for_each(|pipeline| pipeline.get().map(|_| ()))
    }

    /// The pipeline of this key, which `compile` makes unless it is known.
    pub fn of(&self, key: PipelineKey, compile: impl Fn() -> Compiled + Send + Sync + 'static) -> Arc<Pipeline> {
        let mut known = lock(&self.known);
        let pipeline = known.entry(key).or_insert_with(|| {
            let pipeline = Arc::new(Pipeline { compiled: OnceLock::new(), compile: Box::new(compile) });
            self.workers.iter().for_each(|workers| workers.start(pipeline.clone()));
            pipeline
        });
        pipeline.clone()
    }

    /// The keys so far, sorted.
    pub fn keys(&self) -> Vec<PipelineKey> {
        let mut keys: Vec<_> = lock(&self.known).keys().cloned().collect();
        keys.sort();
        keys
    }
}

struct Workers {
    queue: Option<Sender<Arc<Pipeline>>>,
    threads: Vec<JoinHandle<()>>,
    is_over: Arc<AtomicBool>,
}

impl Workers {
    fn new() -> Self {
        let (queue, work) = channel();
        let (work, is_over) = (Arc::new(Mutex::new(work)), Arc::new(AtomicBool::new(false)));
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let worker = |_| {
            let (work, is_over) = (work.clone(), is_over.clone());
            thread::Builder::new().name("compiler".to_owned()).spawn(move || compile_all(&work, &is_over)).ok()
        };
        let threads = (0..cores.saturating_sub(1).clamp(1, MOST_THREADS)).filter_map(worker).collect();
        Self { queue: Some(queue), threads, is_over }
    }

    fn start(&self, pipeline: Arc<Pipeline>) {
        if let Some(queue) = &self.queue {
            queue.send(pipeline).ok(); // without a thread to take it, whoever needs it compiles it
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.queue = None;
        self.threads.drain(..).for_each(|thread| {
            thread.join().ok(); // what made it panic will show where the pipeline is needed
        });
    }
}

fn compile_all(work: &Mutex<Receiver<Arc<Pipeline>>>, is_over: &AtomicBool) {
    loop {
        let next = lock(work).recv();
        match next {
            Ok(pipeline) if !is_over.load(Ordering::Relaxed) => {
                pipeline.get().ok(); // an error is for whoever needs it
            }
            _ => return,
        }
    }
}

impl fmt::Debug for Pipelines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys()).finish()
    }
}
