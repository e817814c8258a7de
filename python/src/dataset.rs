//! Data sets of NumPy arrays.

use crate::errors::{OrException, exception};
use gpu_subset::data::{Dataset, ReadOptions, Split};
use gpu_subset::error::UsageError;
use gpu_subset::shape::Shape;
use gpu_subset::values::{ValueKind, Values};
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;
use std::sync::Arc;

/// Numbers of examples, one after another.
#[derive(FromPyObject)]
pub(crate) enum Numbers<'py> {
    /// Bytes of pictures.
    Bytes(PyReadonlyArray1<'py, u8>),
    /// f32 of anything.
    Floats(PyReadonlyArray1<'py, f32>),
}

impl Numbers<'_> {
    /// A copy of them, which other threads of Python do not change.
    pub(crate) fn values(&self) -> PyResult<Values> {
        Ok(match self {
            Self::Bytes(numbers) => numbers.as_slice()?.to_vec().into(),
            Self::Floats(numbers) => numbers.as_slice()?.to_vec().into(),
        })
    }
}

/// Examples with labels, in memory.
#[pyclass(frozen, name = "Dataset", module = "gpu_subset._native")]
pub(crate) struct PyDataset(pub(crate) Arc<Dataset>);

#[pymethods]
impl PyDataset {
    /// Of arrays `[N][C][H][W]`, laid out flat, where weights are of training examples. Without a test part, the first
    /// example is one.
    #[new]
    #[pyo3(signature = (name, shape, classes, train, test=None, weights=None))]
    fn new(
        py: Python<'_>,
        name: &str,
        shape: [usize; 3],
        classes: Vec<String>,
        train: (Numbers<'_>, Vec<u32>),
        test: Option<(Numbers<'_>, Vec<u32>)>,
        weights: Option<Vec<f64>>,
    ) -> PyResult<Self> {
        let shape = Shape::new(shape[0], shape[1], shape[2]);
        let split =
            |(images, labels): (Numbers<'_>, Vec<u32>)| PyResult::Ok(Split { images: images.values()?, labels });
        let train = split(train)?;
        let test = match test {
            Some(test) => split(test)?,
            None => first(&train, shape.len()),
        };
        let data = py
            .detach(|| {
                let data = Dataset::of_arrays(name, shape, classes, [train, test])?;
                match weights {
                    Some(weights) => data.weighted(&weights),
                    None => Ok(data),
                }
            })
            .or_exception()?;
        Ok(Self(Arc::new(data)))
    }

    /// What the program's `--data` reads.
    #[staticmethod]
    #[pyo3(signature = (source, resize=None))]
    fn open(py: Python<'_>, source: &str, resize: Option<(u32, u32)>) -> PyResult<Self> {
        let options = ReadOptions { resize, ..ReadOptions::default() };
        let data = py.detach(|| Dataset::open(source, &options)).or_exception()?;
        Ok(Self(Arc::new(data)))
    }

    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    #[getter]
    fn shape(&self) -> (usize, usize, usize) {
        let Shape { channels, height, width } = self.0.shape;
        (channels, height, width)
    }

    #[getter]
    fn classes(&self) -> Vec<String> {
        self.0.classes.clone()
    }

    #[getter]
    fn sha256(&self) -> &str {
        &self.0.sha256
    }

    #[getter]
    fn is_bytes(&self) -> bool {
        self.0.value_kind() == ValueKind::Bytes
    }

    /// Numbers `[N·C·H·W]` and labels `[N]` of a part, `train` or `test`.
    fn arrays<'py>(&self, py: Python<'py>, part: &str) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyArray1<u32>>)> {
        let split = self.part(part)?;
        let numbers = match &split.images {
            Values::Bytes(numbers) => PyArray1::from_slice(py, numbers).into_any(),
            Values::Floats(numbers) => PyArray1::from_slice(py, numbers).into_any(),
        };
        Ok((numbers, PyArray1::from_slice(py, &split.labels)))
    }
}

impl PyDataset {
    /// `train` or `test`.
    pub(crate) fn part(&self, part: &str) -> PyResult<&Split> {
        match part {
            "train" => Ok(&self.0.train),
            "test" => Ok(&self.0.test),
            _ => Err(exception(&UsageError::Arrays { why: format!("{part} is no part, train or test") }.into())),
        }
    }
}

/// The first example of a part, for what asks for one: nothing is decided by it.
fn first(split: &Split, len: usize) -> Split {
    let images = match &split.images {
        Values::Bytes(numbers) => numbers.iter().take(len).copied().collect::<Vec<u8>>().into(),
        Values::Floats(numbers) => numbers.iter().take(len).copied().collect::<Vec<f32>>().into(),
    };
    Split { images, labels: split.labels.iter().take(1).copied().collect() }
}
