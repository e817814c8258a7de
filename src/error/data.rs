//! Files that are not what they should be.

use super::run::RunError;
use super::set::SetError;
use super::text::shown;
use std::path::PathBuf;

/// Which file is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file or folder that the system does not let us read.
    #[error("{}: cannot be read", shown(path))]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A data set.
    #[error(transparent)]
    Set(#[from] SetError),
    /// A run folder, or a file of one.
    #[error(transparent)]
    Run(#[from] RunError),
}
