//! Runs.

use crate::dataset::PyDataset;
use crate::device::{Device, check_caller};
use crate::errors::{OrException, exception};
use crate::network::PyWeights;
use crate::request::{Request, asked};
use crate::watcher::{Watched, Watcher, watched};
use gpu_subset::data::Dataset;
use gpu_subset::device::{Gpu, Interrupt};
use gpu_subset::error::{Error, Result};
use gpu_subset::run::{Run, RunRecord, Weights};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pythonize::pythonize;

/// What a run came to.
struct Outcome {
    weights: Weights,
    /// None of a run that was stopped.
    record: Option<RunRecord>,
    notes: Vec<String>,
}

/// Trains as the options say, and returns a dict: `weights`, `record` (None where the run was stopped), `history`,
/// `notes`, `interrupted` (whether Ctrl-C stopped it). The callback is called with the record of each step, and stops
/// the run with a true value.
#[pyfunction]
#[pyo3(signature = (data, options, device=None, callback=None))]
pub(crate) fn train<'py>(
    py: Python<'py>,
    data: &PyDataset,
    options: &Bound<'py, PyDict>,
    device: Option<&str>,
    callback: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let request: Request = asked(options)?;
    check_caller().or_exception()?;
    let (device, data) = (Device::of(device), &*data.0);
    let Watched { ended, history, raised } = watched(py, callback, |watcher| run(&device, data, &request, watcher));
    let is_interrupted =
        raised.as_ref().is_some_and(|raised| raised.is_instance_of::<pyo3::exceptions::PyKeyboardInterrupt>(py));
    let outcome = match (ended, raised) {
        (Ok(outcome), None) => outcome,
        (Ok(outcome), Some(_)) if is_interrupted => outcome,
        (_, Some(raised)) => return Err(raised),
        (Err(error), None) => return Err(exception(&error)),
    };
    let found = PyDict::new(py);
    found.set_item("weights", PyWeights::of(outcome.weights))?;
    found.set_item("record", outcome.record.map(|record| pythonize(py, &record)).transpose()?)?;
    found.set_item("history", history)?;
    found.set_item("notes", outcome.notes)?;
    found.set_item("interrupted", is_interrupted)?;
    Ok(found)
}

/// A run in a turn on the device.
fn run(device: &Device, data: &Dataset, request: &Request, watcher: &mut Watcher) -> Result<Outcome> {
    // what is wrong with the request needs no device
    request.config(data).map(|_| ()).or_else(|error| request.raised(&error).map(|_| ()).ok_or(error))?;
    let mut turn = device.turn_or_stop(&watcher.interrupt)?;
    let (mut gpu, mut request) = (device.open(&mut turn)?, request.clone());
    gpu.heed(&watcher.interrupt);
    let ended = loop {
        match trained(&mut gpu, data, &request, watcher) {
            Err(error) => match request.raised(&error) {
                Some(raised) => request = raised,
                None => break Err(error),
            },
            ended => break ended,
        }
    };
    turn.keep(&gpu);
    ended
}

/// What a run comes to; the device is the one that it ended on.
fn trained(gpu: &mut Gpu, data: &Dataset, request: &Request, watcher: &mut Watcher) -> Result<Outcome> {
    let mut run = Run::new(gpu, &request.config(data)?, data)?;
    watcher.planned = run.trainer().planned().count();
    let ended = run.train(watcher).map(|trained| (trained.weights, Some(trained.record)));
    *gpu = run.gpu().clone();
    let (weights, record) = match ended {
        Err(Error::Interrupted { .. }) => (partial(&run, data, watcher)?, None),
        ended => ended?,
    };
    Ok(Outcome { weights, record, notes: std::mem::take(&mut watcher.notes) })
}

/// The weights of a run that was stopped: those of its last checkpoint.
fn partial(run: &Run<'_>, data: &Dataset, watcher: &mut Watcher) -> Result<Weights> {
    let Some(progress) = watcher.last.take() else { return Err(Error::Stopped) };
    let theta = progress.vectors.best.unwrap_or(progress.vectors.parameters);
    let (config, gpu) = (run.config(), run.gpu());
    let mut weights =
        Weights { model: run.model().clone(), theta, moments: Vec::new(), signature: config.signature(data) };
    gpu.heed(&Interrupt::default());
    weights.find_moments(gpu, &data.train, config.memory)?;
    Ok(weights)
}
