//! Networks, and weights with what they were made for.

use crate::dataset::Numbers;
use crate::device::Device;
use crate::errors::{OrException, exception};
use crate::request::{Network, asked};
use gpu_subset::error::UsageError;
use gpu_subset::model::Model;
use gpu_subset::objective::DEFAULT_MEMORY;
use gpu_subset::run::{Predictor, Weights};
use gpu_subset::shape::Shape;
use gpu_subset::values::ValueKind;
use numpy::{PyArray1, PyArrayMethods, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use pythonize::pythonize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What errors call weights that are in memory.
const IN_MEMORY: &str = "weights";

/// A network for examples of a shape.
#[pyclass(frozen, name = "Model", module = "gpu_subset._native")]
pub(crate) struct PyModel(pub(crate) Arc<Model>);

#[pymethods]
impl PyModel {
    /// A built-in network, a TOML file or a description; by default what suits the shape.
    #[new]
    fn new(network: &Bound<'_, PyAny>, shape: [usize; 3], classes: usize) -> PyResult<Self> {
        let network: Option<Network> = asked(network)?;
        let shape = Shape::new(shape[0], shape[1], shape[2]);
        let description = Network::description(network.as_ref(), shape).or_exception()?;
        Ok(Self(Arc::new(Model::new(&description, shape, classes).or_exception()?)))
    }

    /// P
    #[getter]
    fn parameters(&self) -> usize {
        self.0.parameters()
    }

    #[getter]
    fn classes(&self) -> usize {
        self.0.classes
    }

    #[getter]
    fn shape(&self) -> (usize, usize, usize) {
        let Shape { channels, height, width } = self.0.input;
        (channels, height, width)
    }

    /// Names and shapes of the tensors that the parameters `[P]` are, one after another.
    #[getter]
    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        self.0.tensors().into_iter().map(|tensor| (tensor.name, tensor.dims)).collect()
    }

    /// Parameters `[P]` to start from.
    fn initial<'py>(&self, py: Python<'py>, seed: u64) -> Bound<'py, PyArray1<f32>> {
        PyArray1::from_vec(py, self.0.compact(&self.0.initialise(seed)))
    }
}

impl PyModel {
    /// Parameters `[P]` as a flat vector of the model.
    pub(crate) fn expanded(model: &Model, compact: &PyReadonlyArray1<'_, f32>) -> PyResult<Vec<f32>> {
        let (compact, needed) = (compact.as_slice()?, model.parameters());
        if compact.len() != needed {
            let why = format!("{} numbers are not the {needed} parameters of the network", compact.len());
            return Err(exception(&UsageError::Arrays { why }.into()));
        }
        Ok(model.expand(compact))
    }
}

/// Parameters of a network, and what they were made for.
#[pyclass(frozen, name = "Weights", module = "gpu_subset._native")]
pub(crate) struct PyWeights(pub(crate) Arc<Weights>);

#[pymethods]
impl PyWeights {
    /// The bytes of a file of weights, safetensors of the program.
    #[staticmethod]
    fn from_bytes(bytes: &[u8]) -> PyResult<Self> {
        Weights::from_bytes(bytes, Path::new(IN_MEMORY)).or_exception().map(Self::of)
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.0.to_bytes().or_exception()?))
    }

    /// Of a file, safetensors of the program or ONNX.
    #[staticmethod]
    fn load(path: PathBuf) -> PyResult<Self> {
        Weights::load(&path).or_exception().map(Self::of)
    }

    /// Writes a file: ONNX where its name ends so, else safetensors.
    fn save(&self, path: PathBuf) -> PyResult<()> {
        let is_onnx = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"));
        if is_onnx { self.0.save_onnx(&path) } else { self.0.save(&path) }.or_exception()
    }

    /// Pickled as these bytes.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        Ok((py.get_type::<Self>().getattr("from_bytes")?, (self.to_bytes(py)?,)))
    }

    /// As a run of the program has it.
    #[getter]
    fn sha256(&self) -> String {
        self.0.sha256()
    }

    #[getter]
    fn classes(&self) -> Vec<String> {
        self.0.signature.classes.clone()
    }

    #[getter]
    fn shape(&self) -> (usize, usize, usize) {
        let Shape { channels, height, width } = self.0.signature.input;
        (channels, height, width)
    }

    #[getter]
    fn is_bytes(&self) -> bool {
        self.0.signature.values == ValueKind::Bytes
    }

    #[getter]
    fn model(&self) -> PyModel {
        PyModel(self.0.model.clone())
    }

    /// The network, as a TOML file says it.
    #[getter]
    fn description<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(pythonize(py, &self.0.signature.model)?)
    }

    /// The parameters `[P]`.
    #[getter]
    fn theta<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        PyArray1::from_vec(py, self.0.model.compact(&self.0.theta))
    }

    /// The tensors by name, in PyTorch's shapes.
    fn tensors<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let found = PyDict::new(py);
        for tensor in self.0.model.tensors() {
            let values = PyArray1::from_slice(py, &self.0.theta[tensor.range.clone()]);
            found.set_item(tensor.name, values.reshape(tensor.dims)?)?;
        }
        Ok(found)
    }

    /// Logits, N rows of M one after another, of examples `[N][C][H][W]`.
    #[pyo3(signature = (examples, device=None))]
    fn logits<'py>(
        &self,
        py: Python<'py>,
        examples: Numbers<'_>,
        device: Option<&str>,
    ) -> PyResult<Bound<'py, PyArray1<f32>>> {
        let (values, signature) = (examples.values()?, &self.0.signature);
        let fault = match values.len() % signature.input.len() {
            _ if values.kind() != signature.values => {
                Some(format!("{}, where the network was trained on {}", values.kind(), signature.values))
            }
            0 => None,
            _ => Some(format!("{} values are no examples of {}", values.len(), signature.input)),
        };
        if let Some(why) = fault {
            return Err(exception(&UsageError::Arrays { why }.into()));
        }
        let device = Device::of(device);
        let weights = self.0.clone();
        let logits =
            device.work(py, move |gpu| Predictor::new(gpu, &weights, DEFAULT_MEMORY, false)?.logits(values.view()))?;
        Ok(PyArray1::from_vec(py, logits))
    }
}

impl PyWeights {
    pub(crate) fn of(weights: Weights) -> Self {
        Self(Arc::new(weights))
    }
}
