//! Threads that compile pipelines in the background.
//!
//! A software driver compiles a kernel in two halves: what wgpu asks for when the pipeline is made, and machine code
//! when the queue first meets it, one kernel after another on the queue's thread, which no submission should wait for.
//! Another device has a queue of its own, and the driver keeps machine code on disk for all: so kernels are
//! *rehearsed*, that is run over nothing on a twin of the device. Whoever is to run a program does so first, from its
//! oldest kernel; threads without other work come towards him from the newest. The disk is written in the background:
//! a program's kernels are all rehearsed before the first is submitted, so that most are there when the queue looks.
//!
//! Nothing here knows what a twin is: it is of a type `G`, and a [`Source`](super::pipeline::Source) compiles for it.

use super::lock::lock;
use super::pipeline::{Pipeline, Rehearsal};
use crate::error::Result;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// Opens a twin.
pub(super) type OpenTwin<G> = Box<dyn Fn() -> Result<G> + Send + Sync>;

/// Threads that compile, at most: one core is left to whoever records.
const MOST_THREADS: usize = 8;

/// Rehearsals in a row that were in vain, since the driver knew the kernel, after which it is taken to know the rest.
const ENOUGH: usize = 2;

/// What there is to do, the newest last. Whoever records needs the oldest first, and compiles it if it is not there, so
/// threads take the newest.
struct Work<G> {
    to_compile: Vec<Arc<Pipeline<G>>>,
    to_rehearse: Vec<Arc<Pipeline<G>>>,
    busy: usize,
    /// Rehearsals in a row that were in vain; none are made of kernels about to be used while they are enough.
    in_vain: usize,
    is_over: bool,
}

impl<G> Default for Work<G> {
    fn default() -> Self {
        Self { to_compile: Vec::new(), to_rehearse: Vec::new(), busy: 0, in_vain: 0, is_over: false }
    }
}

impl<G> Work<G> {
    /// The next pipeline to compile, or else to rehearse; and whether it is the latter.
    fn next(&mut self, rehearses: bool) -> Option<(Arc<Pipeline<G>>, bool)> {
        if let Some(pipeline) = self.to_compile.pop() {
            return Some((pipeline, false));
        }
        if !rehearses {
            return None;
        }
        // What is in use is the queue's, which was told that there is no need to rehearse.
        self.to_rehearse.retain(|pipeline| !pipeline.is_used());
        self.to_rehearse.pop().map(|pipeline| (pipeline, true))
    }

    /// Takes note of how a rehearsal ended.
    fn note(&mut self, outcome: Rehearsal) {
        self.in_vain = match outcome {
            Rehearsal::Done => 0,
            Rehearsal::Short => self.in_vain,
            Rehearsal::Known => self.in_vain + 1,
            Rehearsal::Failed => ENOUGH,
        };
        if self.in_vain >= ENOUGH {
            self.to_rehearse.clear();
        }
    }
}

/// What the threads share.
struct Desk<G> {
    work: Mutex<Work<G>>,
    changed: Condvar,
    open_twin: Option<OpenTwin<G>>,
}

impl<G> Desk<G> {
    fn change(&self, change: impl FnOnce(&mut Work<G>)) {
        change(&mut lock(&self.work));
        self.changed.notify_all();
    }

    fn wait<'a>(&self, work: MutexGuard<'a, Work<G>>) -> MutexGuard<'a, Work<G>> {
        self.changed.wait(work).unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for work; nothing when it is over.
    fn next(&self, rehearses: bool) -> Option<(Arc<Pipeline<G>>, bool)> {
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
    fn note(&self, outcome: Rehearsal) -> bool {
        let mut work = lock(&self.work);
        work.note(outcome);
        !work.to_rehearse.is_empty()
    }

    /// Takes a pipeline from the threads that is about to be used; whether to rehearse it or wait until one has.
    fn claim(&self, pipeline: &Arc<Pipeline<G>>) -> bool {
        let mut work = lock(&self.work);
        work.to_rehearse.retain(|other| !Arc::ptr_eq(other, pipeline));
        work.in_vain < ENOUGH
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
            rehearses = outcome != Rehearsal::Failed;
            if !self.note(outcome) || !rehearses {
                twin = None; // it takes memory, and opens in no time
            }
        }
    }
}

/// A thread at work, until it is dropped, by a panic as well.
struct Busy<'a, G>(&'a Desk<G>);

impl<G> Drop for Busy<'_, G> {
    fn drop(&mut self) {
        self.0.change(|work| work.busy -= 1);
    }
}

/// The threads. Dropping them waits for what they are at.
pub(super) struct Workers<G> {
    desk: Arc<Desk<G>>,
    threads: Vec<JoinHandle<()>>,
}

impl<G: 'static> Workers<G> {
    /// Threads without work yet; they rehearse where there is a way to open a twin.
    pub(super) fn new(open_twin: Option<OpenTwin<G>>) -> Self {
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
    pub(super) fn take(&self, pipeline: &Arc<Pipeline<G>>) {
        self.desk.change(|work| {
            work.to_compile.push(pipeline.clone());
            work.to_rehearse.extend(self.desk.open_twin.is_some().then(|| pipeline.clone()));
        });
    }

    /// Opens a twin, where there is a way to.
    pub(super) fn open_twin(&self) -> Option<Result<G>> {
        self.desk.open_twin.as_ref().map(|open| open())
    }

    /// Waits until these are rehearsed, or does so, before their first use. Before each it asks whether to go on.
    ///
    /// # Errors
    /// Why not to go on.
    pub(super) fn rehearse<'a>(
        &self,
        pipelines: impl IntoIterator<Item = &'a Arc<Pipeline<G>>>,
        goes_on: impl Fn() -> Result<()>,
    ) -> Result<()> {
        let Some(open_twin) = &self.desk.open_twin else { return Ok(()) };
        let mut twin = None;
        for pipeline in pipelines.into_iter().filter(|pipeline| !pipeline.is_rehearsed()) {
            goes_on()?;
            if !self.desk.claim(pipeline) {
                break;
            }
            twin = twin.or_else(|| open_twin().ok());
            let outcome = twin.as_ref().map_or(Rehearsal::Failed, |twin| pipeline.rehearse(twin));
            self.desk.note(outcome);
            if outcome == Rehearsal::Failed {
                break;
            }
        }
        Ok(())
    }

    /// Waits until none is at work, and leaves them nothing to do.
    pub(super) fn rest(&self) {
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

impl<G> Drop for Workers<G> {
    fn drop(&mut self) {
        self.desk.change(|work| work.is_over = true);
        self.threads.drain(..).for_each(|thread| {
            thread.join().ok(); // what made it panic will show where the pipeline is needed
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_known_kernels_in_a_row_are_enough() {
        use Rehearsal::{Done, Failed, Known, Short};
        let in_vain = |outcomes: &[Rehearsal]| {
            let mut work = Work::<()>::default();
            outcomes.iter().for_each(|&outcome| work.note(outcome));
            work.in_vain
        };
        assert_eq!(in_vain(&[Known, Known]), ENOUGH);
        assert_eq!(in_vain(&[Known, Short, Short, Known]), ENOUGH, "short ones say nothing");
        assert_eq!(in_vain(&[Known, Done, Known]), 1);
        assert_eq!(in_vain(&[Known, Known, Done]), 0, "it is tried again with what is recorded later");
        assert_eq!(in_vain(&[Done, Failed]), ENOUGH);
    }
}
