//! The devices of the process: each is opened once, and calls of several threads take turns on it.

use crate::errors::OrException;
use gpu_subset::device::{AdapterChoice, Gpu, Interrupt};
use gpu_subset::error::{Error, Result};
use pyo3::prelude::*;
use pythonize::pythonize;
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::sleep;
use std::time::Duration;

/// How often whoever waits for a turn looks whether he is to stop.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The interfaces, which a choice may name in place of an adapter.
const BACKENDS: [&str; 4] = ["vulkan", "metal", "dx12", "gl"];

/// An adapter that several may use, one at a time.
pub(crate) struct Device {
    choice: AdapterChoice,
    /// The open device, once anyone asked for it; whoever holds the lock works on it.
    gpu: Mutex<Option<Gpu>>,
}

/// A turn on a device.
pub(crate) struct Turn<'a>(MutexGuard<'a, Option<Gpu>>);

/// Those that were asked for, by process (a forked child has none of its parent's) and choice.
type Known = HashMap<(u32, Option<String>), Arc<Device>>;

static DEVICES: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);

impl Device {
    /// The device of a choice: `vulkan`, part of an adapter's name, its index, `gl:llvmpipe`; by default the most
    /// capable one.
    pub(crate) fn of(choice: Option<&str>) -> Arc<Self> {
        let mut known = DEVICES.lock().unwrap_or_else(PoisonError::into_inner);
        let device = known.entry((std::process::id(), choice.map(str::to_owned)));
        device.or_insert_with(|| Arc::new(Self { choice: parse(choice), gpu: Mutex::default() })).clone()
    }

    /// Waits for a turn.
    pub(crate) fn turn(&self) -> Result<Turn<'_>> {
        check_caller()?;
        Ok(Turn(self.gpu.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// The same, unless an interrupt comes first.
    pub(crate) fn turn_or_stop(&self, interrupt: &Interrupt) -> Result<Turn<'_>> {
        loop {
            match self.gpu.try_lock() {
                Ok(gpu) => return Ok(Turn(gpu)),
                Err(TryLockError::Poisoned(gpu)) => return Ok(Turn(gpu.into_inner())),
                Err(TryLockError::WouldBlock) if interrupt.is_asked() => return Err(Error::Stopped),
                Err(TryLockError::WouldBlock) => sleep(LOOK_EVERY),
            }
        }
    }

    /// Does something on the device in a turn, while other threads of Python go on.
    pub(crate) fn work<T: Send>(&self, py: Python<'_>, work: impl FnOnce(&Gpu) -> Result<T> + Send) -> PyResult<T> {
        py.detach(|| {
            let mut turn = self.turn()?;
            work(&turn.gpu(&self.choice)?)
        })
        .or_exception()
    }

    /// The open device of a turn.
    pub(crate) fn open(&self, turn: &mut Turn<'_>) -> Result<Gpu> {
        turn.gpu(&self.choice)
    }
}

impl Turn<'_> {
    /// The open device: opened now, or again where something befell the one before.
    fn gpu(&mut self, choice: &AdapterChoice) -> Result<Gpu> {
        let gpu = match self.0.take() {
            Some(gpu) if gpu.check().is_ok() => gpu,
            Some(gpu) => gpu.open_again()?,
            None => {
                let gpu = Gpu::open(choice)?;
                gpu.enable_tuning(None);
                gpu
            }
        };
        *self.0 = Some(gpu.clone());
        Ok(gpu)
    }

    /// The device that is open from now on: a run may have opened it again.
    pub(crate) fn keep(&mut self, gpu: &Gpu) {
        gpu.heed(&Interrupt::default());
        *self.0 = Some(gpu.clone());
    }
}

thread_local! {
    /// Whether this thread is in a callback: the device is that of the run which waits for it.
    static IS_IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Calls back from a run that waits, with its turn, for what comes of it.
pub(crate) fn called_back<T>(call: impl FnOnce() -> T) -> T {
    IS_IN_CALLBACK.set(true);
    let answer = call();
    IS_IN_CALLBACK.set(false);
    answer
}

/// Whether a wait for a turn of this thread would end.
///
/// # Errors
/// [`Error::Usage`] in a callback.
pub(crate) fn check_caller() -> Result<()> {
    match IS_IN_CALLBACK.get() {
        true => Err(Error::usage("a callback cannot use a device: the run that calls it has not ended")),
        false => Ok(()),
    }
}

fn parse(choice: Option<&str>) -> AdapterChoice {
    let is_backend = |name: &str| BACKENDS.contains(&name.to_lowercase().as_str());
    let (backend, adapter) = match choice.map(|choice| (choice, choice.split_once(':'))) {
        None => (None, None),
        Some((_, Some((backend, adapter)))) if is_backend(backend) => (Some(backend), Some(adapter)),
        Some((backend, _)) if is_backend(backend) => (Some(backend), None),
        Some((adapter, _)) => (None, Some(adapter)),
    };
    let [backend, adapter] = [backend, adapter].map(|name| name.map(str::to_owned));
    AdapterChoice { backend, adapter, ..AdapterChoice::default() }
}

/// What matters about each adapter, a dict each, in the order of their indices.
#[pyfunction]
pub(crate) fn devices(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let adapters = py.detach(|| AdapterChoice::default().summaries()).or_exception()?;
    Ok(pythonize(py, &adapters)?)
}
