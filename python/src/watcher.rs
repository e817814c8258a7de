//! Work on a thread of its own, while the caller's thread tells a callback of the steps and heeds Ctrl-C.

use crate::device::called_back;
use gpu_subset::device::Interrupt;
use gpu_subset::error::Result;
use gpu_subset::subset::{Incident, Observer, Progress, StepRecord};
use pyo3::prelude::*;
use pyo3::types::PyList;
use pythonize::pythonize;
use serde::Serialize;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// How often Python is asked whether a signal came.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A record as Python has it, once the caller's thread makes it one.
type Told = Box<dyn for<'py> FnOnce(Python<'py>) -> PyResult<Bound<'py, PyAny>> + Send>;

/// Who works tells it of each step.
pub(crate) struct Watcher {
    told: Sender<Told>,
    /// What the callback says to a step: whether to stop. None where nobody is called.
    answers: Option<Receiver<bool>>,
    /// Asked for at Ctrl-C.
    pub interrupt: Interrupt,
    /// Whether the callback said so.
    is_stopped: bool,
    /// What all steps may cost, in units; 0 where that is not known.
    pub planned: f64,
    /// The last checkpoint.
    pub last: Option<Progress<Vec<f32>>>,
    /// What happened to the device.
    pub notes: Vec<String>,
}

/// A step as Python is told of it.
#[derive(Serialize)]
struct Step<R> {
    #[serde(flatten)]
    record: R,
    /// Share of what all steps may cost, 0 to 1.
    progress: f64,
}

impl Watcher {
    /// Tells of a step that ends where so many units are spent; afterwards the watcher knows whether it was the last.
    pub(crate) fn tell(&mut self, record: impl Serialize + Send + 'static, units: f64) {
        let progress = if self.planned > 0.0 { (units / self.planned).min(1.0) } else { 0.0 };
        let step = Step { record, progress };
        let told: Told = Box::new(move |py| Ok(pythonize(py, &step)?));
        let is_heard = self.told.send(told).is_ok();
        if let Some(answers) = self.answers.as_ref().filter(|_| is_heard) {
            self.is_stopped |= answers.recv().unwrap_or(true);
        }
    }

    /// Whether the work is to end here.
    pub(crate) fn is_to_stop(&self) -> bool {
        self.is_stopped || self.interrupt.is_asked()
    }
}

impl Observer for Watcher {
    fn step(&mut self, record: &StepRecord) -> Result<()> {
        self.tell(record.clone(), record.units);
        Ok(())
    }

    fn incident(&mut self, incident: &Incident) -> Result<()> {
        self.notes.push(incident.to_string());
        Ok(())
    }

    fn checkpoint(&mut self, progress: &Progress<Vec<f32>>) -> Result<()> {
        self.last = Some(progress.clone());
        Ok(())
    }

    fn is_interrupted(&self) -> bool {
        self.is_to_stop()
    }
}

/// What work came to.
pub(crate) struct Watched<T> {
    /// Its result.
    pub ended: Result<T>,
    /// Its steps, a dict each.
    pub history: Py<PyList>,
    /// What Python raised meanwhile: KeyboardInterrupt, or the callback's.
    pub raised: Option<PyErr>,
}

/// The caller's side.
struct Caller {
    callback: Option<Py<PyAny>>,
    history: Py<PyList>,
    raised: Option<PyErr>,
}

impl Caller {
    /// A step: one more in the history, and the callback's answer.
    fn hear(&mut self, told: Told) -> bool {
        let heard = Python::attach(|py| {
            let step = told(py)?;
            self.history.bind(py).append(&step)?;
            match &self.callback {
                Some(callback) if self.raised.is_none() => {
                    called_back(|| callback.bind(py).call1((step,))?.is_truthy())
                }
                _ => Ok(false),
            }
        });
        heard.unwrap_or_else(|raised| {
            self.raised.get_or_insert(raised);
            true
        })
    }

    /// Whether a signal came for which Python raises something.
    fn is_signalled(&mut self) -> bool {
        match Python::attach(|py| py.check_signals()) {
            Ok(()) => false,
            Err(raised) => {
                self.raised.get_or_insert(raised);
                true
            }
        }
    }
}

/// Does some work, on a thread of its own, and calls Python from this one.
pub(crate) fn watched<T: Send>(
    py: Python<'_>,
    callback: Option<Py<PyAny>>,
    work: impl FnOnce(&mut Watcher) -> Result<T> + Send,
) -> Watched<T> {
    let mut caller = Caller { history: PyList::empty(py).unbind(), raised: None, callback };
    let ended = py.detach(|| {
        let (interrupt, (told, steps), (answer, answers)) = (Interrupt::default(), channel(), channel());
        let mut watcher = Watcher {
            told,
            answers: caller.callback.is_some().then_some(answers),
            interrupt: interrupt.clone(),
            is_stopped: false,
            planned: 0.0,
            last: None,
            notes: Vec::new(),
        };
        thread::scope(|scope| {
            let worker = scope.spawn(move || work(&mut watcher));
            loop {
                match steps.recv_timeout(LOOK_EVERY) {
                    Ok(told) => {
                        let is_last = caller.hear(told);
                        answer.send(is_last).ok(); // nobody waits where there is no callback
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                if caller.is_signalled() {
                    interrupt.ask();
                }
            }
            worker.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    });
    Watched { ended, history: caller.history, raised: caller.raised }
}
