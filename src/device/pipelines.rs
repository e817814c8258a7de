//! Pipelines, compiled in the background while the host goes on recording.
//!
//! A software driver compiles a kernel in two halves: what wgpu asks for when the pipeline is made, and machine code when the queue
//! first meets it, one kernel after another on the queue's thread, for most of a cold start. Another device has a queue of its
//! own, and the driver keeps machine code on disk for all: so threads without other work *rehearse* kernels, that is run them over
//! nothing on a twin of the device, the newest first, while the queue works its way from the oldest.

use super::{Gpu, lock};
use crate::error::{Result, ShaderRejection};
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// (shader, its override constants by name): what a pipeline is cached by.
pub type PipelineKey = (&'static str, Vec<(&'static str, usize)>);

/// A pipeline, or why the driver rejects it.
pub type Compiled = std::result::Result<wgpu::ComputePipeline, ShaderRejection>;

/// Opens a twin.
pub type OpenTwin = Box<dyn Fn() -> Result<Gpu> + Send + Sync>;

/// Threads that compile, at most: one core is left to whoever records.
const MOST_THREADS: usize = 8;

/// Kernels that are not rehearsed, the last of them: the queue is at one.
const LEFT_TO_QUEUE: usize = 3;

/// Kernels in a row that the driver knew, after which it is taken to know the rest.
const ENOUGH_KNOWN: usize = 2;

/// What a pipeline is made of.
pub trait Source: Send + Sync {
    /// The pipeline on a device.
    fn compile(&self, device: &wgpu::Device) -> Compiled;

    /// Runs `pipeline` over nothing on the twin it was compiled for, and waits.
    ///
    /// # Errors
    /// What the twin reports.
    fn run_over_nothing(&self, twin: &Gpu, pipeline: &wgpu::ComputePipeline) -> Result<()>;
}

/// A pipeline that is compiled by a thread in the background, or by whoever needs it before that.
pub struct Pipeline {
    compiled: OnceLock<Compiled>,
    device: wgpu::Device,
    source: Box<dyn Source>,
    is_used: AtomicBool,
}

impl Pipeline {
    fn compiled(&self) -> &Compiled {
        self.compiled.get_or_init(|| self.source.compile(&self.device))
    }

    /// Waits for it, to use it.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) when the driver rejects the shader.
    pub fn get(&self) -> Result<&wgpu::ComputePipeline> {
        self.is_used.store(true, Ordering::Relaxed);
        self.compiled().as_ref().map_err(|why| why.clone().into())
    }

    fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }

    /// Has the driver do its second half, which takes it several times as long as the first unless it knows the kernel.
    fn rehearse(&self, twin: &Gpu) -> Rehearsal {
        let start = Instant::now();
        let Ok(pipeline) = self.source.compile(&twin.device) else { return Rehearsal::Failed };
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
enum Rehearsal {
    Done,
    /// An earlier program had the kernel.
    Known,
    /// The twin does not take it.
    Failed,
}

/// The pipelines of a device, each compiled once. Dropping it waits for the threads: a driver must not compile while the program exits.
pub struct Pipelines {
    device: wgpu::Device,
    known: Mutex<HashMap<PipelineKey, Arc<Pipeline>>>,
    /// None where everyone compiles for himself.
    workers: Option<Workers>,
}

impl Pipelines {
    /// None yet, and no threads.
    pub fn alone(device: wgpu::Device) -> Self {
        Self { device, known: Mutex::default(), workers: None }
    }

    /// None yet; threads compile them, and rehearse them on twins where there is a way to open one.
    pub fn with_workers(device: wgpu::Device, twin: Option<OpenTwin>) -> Self {
        Self { workers: Some(Workers::new(twin)), ..Self::alone(device) }
    }

    /// Waits for all that were asked for, and for the threads, which drop what they did not rehearse yet.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) when the driver rejects one of them.
    pub fn wait(&self) -> Result<()> {
        let all: Vec<_> = lock(&self.known).values().cloned().collect();
        let rejected = all.iter().find_map(|pipeline| pipeline.compiled().as_ref().err());
        self.workers.iter().for_each(Workers::rest);
        rejected.map_or(Ok(()), |why| Err(why.clone().into()))
    }

    /// Tells that the queue has run all that was submitted: what is in use needs no rehearsal any more.
    pub fn ran(&self) {
        if let Some(workers) = &self.workers {
            lock(&workers.desk.work).to_rehearse.retain(|pipeline| !pipeline.is_used());
        }
    }

    /// Rehearses everything asked for, as the threads do; says how many, none where they do not.
    ///
    /// # Errors
    /// [`Error::Device`](crate::error::Error::Device) when a twin does not take a kernel that the device takes.
    pub fn rehearse_all(&self) -> Result<usize> {
        let Some(twin) = self.workers.iter().find_map(|workers| workers.desk.open_twin.as_ref()) else { return Ok(0) };
        let (twin, all) = (twin()?, lock(&self.known).values().cloned().collect::<Vec<_>>());
        for Pipeline { source, .. } in all.iter().map(Arc::as_ref) {
            source.run_over_nothing(&twin, &source.compile(&twin.device)?)?;
        }
        Ok(all.len())
    }

    /// The pipeline of this key, which is made of a `source` unless it is known.
    pub fn of<S: Source + 'static>(&self, key: PipelineKey, source: impl FnOnce() -> S) -> Arc<Pipeline> {
        let mut known = lock(&self.known);
        let pipeline = known.entry(key).or_insert_with(|| {
            let pipeline = Arc::new(Pipeline {
                compiled: OnceLock::new(),
                device: self.device.clone(),
                source: Box::new(source()),
                is_used: AtomicBool::new(false),
            });
            self.workers.iter().for_each(|workers| workers.take(&pipeline));
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

/// What there is to do, the newest last. Whoever records needs the oldest first, and compiles it if it is not there, so threads take
/// the newest.
#[derive(Default)]
struct Work {
    to_compile: Vec<Arc<Pipeline>>,
    to_rehearse: Vec<Arc<Pipeline>>,
    busy: usize,
    known_in_a_row: usize,
    is_over: bool,
}

impl Work {
    /// The next pipeline to compile, or else to rehearse; and whether it is the latter.
    fn next(&mut self, rehearses: bool) -> Option<(Arc<Pipeline>, bool)> {
        if let Some(pipeline) = self.to_compile.pop() {
            return Some((pipeline, false));
        }
        if !rehearses {
            return None;
        }
        let used: Vec<_> = self.to_rehearse.iter().map(|pipeline| pipeline.is_used()).collect();
        next_rehearsal(&used).map(|next| (self.to_rehearse.remove(next), true))
    }
}

/// The newest pipeline that is not in use yet, or else the newest. `used` tells of each, the oldest first.
fn next_rehearsal(used: &[bool]) -> Option<usize> {
    (used.len() > LEFT_TO_QUEUE).then(|| used.iter().rposition(|used| !used).unwrap_or(used.len() - 1))
}

/// What the threads share.
struct Desk {
    work: Mutex<Work>,
    changed: Condvar,
    open_twin: Option<OpenTwin>,
}

impl Desk {
    fn change(&self, change: impl FnOnce(&mut Work)) {
        change(&mut lock(&self.work));
        self.changed.notify_all();
    }

    fn wait<'a>(&self, work: MutexGuard<'a, Work>) -> MutexGuard<'a, Work> {
        self.changed.wait(work).unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for work; nothing when it is over.
    fn next(&self, rehearses: bool) -> Option<(Arc<Pipeline>, bool)> {
        let mut work = lock(&self.work);
        while !work.is_over {
            let next = work.next(rehearses);
            if next.is_some() {
                work.busy += 1;
                return next;
            }
            work = self.wait(work);
        }
        None
    }

    /// Takes note of how a rehearsal ended; whether there are more.
    fn note(&self, outcome: &Rehearsal) -> bool {
        let mut work = lock(&self.work);
        work.known_in_a_row = if matches!(outcome, Rehearsal::Known) { work.known_in_a_row + 1 } else { 0 };
        if work.known_in_a_row >= ENOUGH_KNOWN {
            work.to_rehearse.clear();
        }
        work.to_rehearse.len() > LEFT_TO_QUEUE
    }

    /// Compiles, then rehearses until a twin fails, until it is over.
    fn serve(&self) {
        let (mut twin, mut rehearses) = (None, true);
        while let Some((pipeline, is_rehearsal)) = self.next(rehearses) {
            let _busy = Busy(self);
            if !is_rehearsal {
                pipeline.compiled(); // an error is for whoever needs it
                continue;
            }
            twin = twin.or_else(|| self.open_twin.as_ref().and_then(|open| open().ok()));
            let outcome = twin.as_ref().map_or(Rehearsal::Failed, |twin| pipeline.rehearse(twin));
            rehearses = !matches!(outcome, Rehearsal::Failed);
            if !self.note(&outcome) || !rehearses {
                twin = None; // it takes memory, and opens in no time
            }
        }
    }
}

/// A thread at work, until it is dropped, by a panic as well.
struct Busy<'a>(&'a Desk);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.change(|work| work.busy -= 1);
    }
}

struct Workers {
    desk: Arc<Desk>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    fn new(open_twin: Option<OpenTwin>) -> Self {
        let desk = Arc::new(Desk { work: Mutex::default(), changed: Condvar::new(), open_twin });
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let worker = |_| {
            let desk = desk.clone();
            thread::Builder::new().name("compiler".to_owned()).spawn(move || desk.serve()).ok()
        };
        let threads = (0..cores.saturating_sub(1).clamp(1, MOST_THREADS)).filter_map(worker).collect();
        Self { desk, threads }
    }

    /// Leaves a pipeline to the threads. Without any, whoever needs it compiles it.
    fn take(&self, pipeline: &Arc<Pipeline>) {
        self.desk.change(|work| {
            work.to_compile.push(pipeline.clone());
            work.to_rehearse.extend(self.desk.open_twin.is_some().then(|| pipeline.clone()));
        });
    }

    /// Waits until none is at work, and leaves them nothing to do.
    fn rest(&self) {
        let mut work = lock(&self.desk.work);
        loop {
            work.to_compile.clear();
            work.to_rehearse.clear();
            if work.busy == 0 {
                return;
            }
            work = self.desk.wait(work);
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.desk.change(|work| work.is_over = true);
        self.threads.drain(..).for_each(|thread| {
            thread.join().ok(); // what made it panic will show where the pipeline is needed
        });
    }
}

impl fmt::Debug for Pipelines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rehearsals_run_towards_the_queue() {
        let (submitted, waits) = (true, false);
        assert_eq!(next_rehearsal(&[submitted, submitted, waits, waits, submitted]), Some(3));
        assert_eq!(next_rehearsal(&[submitted, submitted, waits, submitted]), Some(2));
        assert_eq!(next_rehearsal(&[submitted; 5]), Some(4));
        assert_eq!(next_rehearsal(&[waits; LEFT_TO_QUEUE]), None);
        assert_eq!(next_rehearsal(&[]), None);
    }
}
