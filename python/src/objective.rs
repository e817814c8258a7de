//! The loss of a network over examples, and its derivatives, at parameters that NumPy holds.

use crate::dataset::PyDataset;
use crate::device::Device;
use crate::errors::{OrException, exception};
use crate::network::PyModel;
use crate::request::arrays;
use gpu_subset::device::Gpu;
use gpu_subset::error::Result;
use gpu_subset::model::Model;
use gpu_subset::objective::{DEFAULT_MEMORY, Evaluation, Examples, Objective, Workspace};
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::{Arc, Mutex, PoisonError};

/// The loss, in device memory.
#[pyclass(frozen, name = "Objective", module = "gpu_subset._native")]
pub(crate) struct PyObjective {
    pub(crate) device: Arc<Device>,
    pub(crate) model: Arc<Model>,
    examples: usize,
    pub(crate) loss: Mutex<OnDevice>,
}

/// What it is made of.
pub(crate) struct OnDevice {
    objective: Objective,
    indices: Vec<u32>,
    weighting: Weighting,
}

/// What it takes besides cross entropy.
#[derive(Clone)]
struct Weighting {
    weight_decay: f64,
    label_smoothing: f64,
    /// Of each example of the part.
    weights: Option<Arc<[f64]>>,
}

impl Weighting {
    fn objective(
        &self,
        gpu: &Gpu,
        workspace: &Arc<Workspace>,
        examples: &Arc<Examples>,
        indices: &[u32],
    ) -> Result<Objective> {
        let objective = Objective::new(gpu, workspace, examples, indices, self.weight_decay)?;
        objective.smoothed(self.label_smoothing)?.weighted(self.weights.as_ref())
    }
}

#[pymethods]
impl PyObjective {
    /// Over the examples `indices` of a part of the data, `train` or `test`, or all of it.
    #[new]
    #[pyo3(signature = (
        model, data, part="train", indices=None, weight_decay=0.0, label_smoothing=0.0, class_weights=None, device=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "one for each argument of Python's")]
    fn new(
        py: Python<'_>,
        model: &PyModel,
        data: &PyDataset,
        part: &str,
        indices: Option<Vec<u32>>,
        weight_decay: f64,
        label_smoothing: f64,
        class_weights: Option<Vec<f64>>,
        device: Option<&str>,
    ) -> PyResult<Self> {
        let (split, model) = (data.part(part)?, model.0.clone());
        let indices = indices.unwrap_or_else(|| (0..split.len() as u32).collect());
        let faults = [
            (model.input != data.0.shape, format!("examples of {}, a network for {}", data.0.shape, model.input)),
            (
                model.classes != data.0.classes.len(),
                format!("{} classes, a network for {}", data.0.classes.len(), model.classes),
            ),
            (indices.is_empty(), "no examples".to_owned()),
            (indices.iter().any(|&i| i as usize >= split.len()), format!("an index beyond {} examples", split.len())),
            (!(weight_decay >= 0.0 && weight_decay.is_finite()), "weight_decay is no number from 0 up".to_owned()),
            (!(0.0..1.0).contains(&label_smoothing), "label_smoothing is no number from 0 up and below 1".to_owned()),
            (
                class_weights.as_ref().is_some_and(|of| {
                    of.len() != model.classes || !of.iter().all(|&weight| weight.is_finite() && weight > 0.0)
                }),
                "class_weights are not a number above 0 for each class".to_owned(),
            ),
        ];
        if let Some((_, why)) = faults.into_iter().find(|(is_fault, _)| *is_fault) {
            return Err(exception(&arrays(why)));
        }
        let of_labels = |of: Vec<f64>| split.labels.iter().map(|&label| of[label as usize]).collect::<Arc<[f64]>>();
        let weighting = Weighting { weight_decay, label_smoothing, weights: class_weights.map(of_labels) };
        let (device, statistics) = (Device::of(device), data.0.channel_statistics());
        let examples = indices.len();
        let loss = device.work(py, |gpu| {
            let workspace = Arc::new(Workspace::new(gpu, model.clone(), DEFAULT_MEMORY)?);
            let examples = Examples::upload(gpu, data.0.shape, &split.images, &split.labels, &statistics)?;
            let objective = weighting.objective(gpu, &workspace, &Arc::new(examples), &indices)?;
            Ok(OnDevice { objective, indices, weighting })
        })?;
        Ok(Self { device, model, examples, loss: Mutex::new(loss) })
    }

    /// K, the number of examples.
    #[getter]
    fn examples(&self) -> usize {
        self.examples
    }

    /// P, the number of parameters.
    #[getter]
    fn parameters(&self) -> usize {
        self.model.parameters()
    }

    /// Loss, cross entropy and accuracy at the parameters `[P]`.
    fn evaluate<'py>(&self, py: Python<'py>, theta: PyReadonlyArray1<'_, f32>) -> PyResult<Bound<'py, PyDict>> {
        let theta = self.expanded(&theta)?;
        let found = self.on_device(py, |gpu, loss| loss.objective.loss(&gpu.upload("theta", &theta)?))?;
        evaluation(py, &found)
    }

    /// The same, and the gradient `[P]`.
    fn gradient<'py>(
        &self,
        py: Python<'py>,
        theta: PyReadonlyArray1<'_, f32>,
    ) -> PyResult<(Bound<'py, PyDict>, Bound<'py, PyArray1<f32>>)> {
        let theta = self.expanded(&theta)?;
        let (found, gradient) = self.on_device(py, |gpu, loss| {
            let (theta, gradient) = (gpu.upload("theta", &theta)?, gpu.alloc("gradient", theta.len())?);
            let found = loss.objective.loss_and_gradient(&theta, &gradient)?;
            Ok((found, gpu.read::<f32>(&gradient)?))
        })?;
        Ok((evaluation(py, &found)?, self.compact(py, &gradient)))
    }

    /// (G + λI) v `[P]`, G the Gauss-Newton matrix at the parameters.
    fn gauss_newton_product<'py>(
        &self,
        py: Python<'py>,
        theta: PyReadonlyArray1<'_, f32>,
        v: PyReadonlyArray1<'_, f32>,
    ) -> PyResult<Bound<'py, PyArray1<f32>>> {
        let (theta, v) = (self.expanded(&theta)?, self.expanded(&v)?);
        let product = self.on_device(py, |gpu, loss| {
            let product = gpu.alloc("product", theta.len())?;
            let (theta, v) = (gpu.upload("theta", &theta)?, gpu.upload("v", &v)?);
            loss.objective.gauss_newton_product(&theta, &v, &product)?;
            gpu.read::<f32>(&product)
        })?;
        Ok(self.compact(py, &product))
    }

    /// Logits of all examples, K rows of M one after another.
    fn logits<'py>(&self, py: Python<'py>, theta: PyReadonlyArray1<'_, f32>) -> PyResult<Bound<'py, PyArray1<f32>>> {
        let theta = self.expanded(&theta)?;
        let logits = self.on_device(py, |gpu, loss| loss.objective.logits(&gpu.upload("theta", &theta)?))?;
        Ok(PyArray1::from_vec(py, logits))
    }
}

impl PyObjective {
    pub(crate) fn locked(&self) -> std::sync::MutexGuard<'_, OnDevice> {
        self.loss.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Parameters, or a direction, as a flat vector of the model.
    pub(crate) fn expanded(&self, compact: &PyReadonlyArray1<'_, f32>) -> PyResult<Vec<f32>> {
        PyModel::expanded(&self.model, compact)
    }

    /// A flat vector of the model without its gaps.
    pub(crate) fn compact<'py>(&self, py: Python<'py>, vector: &[f32]) -> Bound<'py, PyArray1<f32>> {
        PyArray1::from_vec(py, self.model.compact(vector))
    }

    /// Does something with the loss in a turn on its own device, which another call may have opened again since.
    fn on_device<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&Gpu, &mut OnDevice) -> Result<T> + Send,
    ) -> PyResult<T> {
        py.detach(|| {
            let _turn = self.device.turn()?;
            let mut loss = self.locked();
            let gpu = loss.objective.gpu().clone();
            work(&gpu, &mut loss)
        })
        .or_exception()
    }
}

impl OnDevice {
    /// Another one like its own, for who takes it over.
    pub(crate) fn again(&self) -> Result<Objective> {
        let Self { objective, indices, weighting, .. } = self;
        weighting.objective(objective.gpu(), objective.workspace(), objective.examples(), indices)
    }
}

fn evaluation<'py>(py: Python<'py>, found: &Evaluation) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("loss", found.loss)?;
    dict.set_item("cross_entropy", found.cross_entropy)?;
    dict.set_item("accuracy", found.accuracy)?;
    Ok(dict)
}
