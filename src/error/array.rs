//! Arrays of NumPy that are no data set.

use super::text::shown;
use std::path::PathBuf;

/// Why arrays are not read.
#[derive(Debug, thiserror::Error)]
pub enum ArrayError {
    /// An array that a set needs.
    #[error("{}: missing; a set is {}", shown(path), shown(names.join(", ")))]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// All arrays that the set needs.
        names: Vec<String>,
    },
    /// Elements of a type that is not read.
    #[error("{}: {what} of dtype {}; only {wanted} is read", shown(path), shown(dtype))]
    Dtype {
        /// The array.
        path: PathBuf,
        /// Images or labels.
        what: &'static str,
        /// What NumPy calls it.
        dtype: String,
        /// What is read.
        wanted: &'static str,
    },
    /// An array of another shape than images, or labels, have.
    #[error("{}: {what} of shape {shape:?}; they are {wanted}", shown(path))]
    Shape {
        /// The array.
        path: PathBuf,
        /// Images or labels.
        what: &'static str,
        /// What it has.
        shape: Vec<u64>,
        /// What is read.
        wanted: &'static str,
    },
}
