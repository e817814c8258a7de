//! `gpu_subset._native`: the library for Python. What users see is written in Python, in `gpu_subset/`; here are arrays
//! in and out, the device, and runs on threads of their own.

mod dataset;
mod device;
mod errors;
mod minimise;
mod network;
mod objective;
mod request;
mod training;
mod watcher;

use pyo3::prelude::*;

/// Native parts of `gpu_subset`.
#[pymodule]
mod _native {
    #[pymodule_export]
    use super::dataset::PyDataset;
    #[pymodule_export]
    use super::device::devices;
    #[pymodule_export]
    use super::minimise::minimise;
    #[pymodule_export]
    use super::network::{PyModel, PyWeights};
    #[pymodule_export]
    use super::objective::PyObjective;
    #[pymodule_export]
    use super::training::train;
}
