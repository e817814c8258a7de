//! Errors as Python has them, with the library's text.

use gpu_subset::error::{DataError, Error, Instead, SetError, in_one_line};
use pyo3::PyErr;
use pyo3::exceptions::{PyMemoryError, PyOSError, PyRuntimeError, PyValueError};

/// An error of the library as an exception.
pub(crate) fn exception(error: &Error) -> PyErr {
    let text = in_one_line(error);
    match error {
        Error::Data(DataError::Set(SetError::Unrecognised { found: Instead::Nothing, .. }))
        | Error::Data(DataError::Unreadable { .. })
        | Error::Io(_) => PyOSError::new_err(text),
        Error::Usage(_) | Error::Data(_) => PyValueError::new_err(text),
        Error::OutOfMemory(_) => PyMemoryError::new_err(text),
        Error::Device(_) | Error::Diverged { .. } | Error::Stopped | Error::Interrupted { .. } | Error::Rank(_) => {
            PyRuntimeError::new_err(text)
        }
    }
}

/// A result of the library, its error as an exception.
pub(crate) trait OrException<T> {
    /// The same, its error as an exception.
    fn or_exception(self) -> Result<T, PyErr>;
}

impl<T> OrException<T> for gpu_subset::error::Result<T> {
    fn or_exception(self) -> Result<T, PyErr> {
        self.map_err(|error| exception(&error))
    }
}
