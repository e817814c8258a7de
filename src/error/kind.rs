//! The error type itself, and how the causes become one.

use super::archive::ArchiveError;
use super::array::ArrayError;
use super::data::DataError;
use super::device::{DeviceError, ShaderRejection};
use super::images::ImagesError;
use super::io::IoError;
use super::memory::MemoryError;
use super::model::ModelError;
use super::rank::{FailureKind, RankError};
use super::run::RunError;
use super::set::SetError;
use super::table::TableError;
use super::usage::UsageError;
use std::fmt::Display;
use std::path::Path;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request makes no sense: a bad option, a bad model description, shapes that do not fit.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// A data set, weights file or run folder that cannot be read as what it claims to be.
    #[error(transparent)]
    Data(#[from] DataError),
    /// No adapter, a lost device, or a driver that rejects a command.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The device, or the memory budget, cannot hold what was asked for.
    #[error(transparent)]
    OutOfMemory(#[from] MemoryError),
    /// A value that is not finite appeared and the method could not step around it.
    #[error("{tensor} is not finite in iteration {iteration} of the {stage}")]
    Diverged {
        /// Where it was seen first: a layer's outputs, the gradient, the loss.
        tensor: String,
        /// Iteration of the stage; 0 before the first step.
        iteration: u64,
        /// What the run was working on.
        stage: String,
        /// The largest of a rule that has a choice of it.
        learning_rate: Option<f64>,
        /// λ
        weight_decay: f64,
    },
    /// A file of ours that cannot be written.
    #[error(transparent)]
    Io(#[from] IoError),
    /// Another rank of the run, or ranks that do not go together.
    #[error(transparent)]
    Rank(#[from] RankError),
    /// A device that was told to stop did so in the middle of its work, a result of which there is not.
    #[error("stopped in the middle of a step")]
    Stopped,
    /// An observer stopped the run (the program's at Ctrl-C and SIGTERM), after it was handed a last checkpoint.
    #[error("stopped in iteration {iteration} of the {stage}")]
    Interrupted {
        /// Iteration of the stage.
        iteration: u64,
        /// What the run was working on.
        stage: String,
    },
}

/// `Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A [`UsageError::Refused`]: what the command line says of its own options.
    pub fn usage(why: impl Display) -> Self {
        UsageError::Refused { why: why.to_string() }.into()
    }

    /// A [`DataError::Unreadable`].
    pub fn unreadable(path: &Path, source: std::io::Error) -> Self {
        DataError::Unreadable { path: path.to_owned(), source }.into()
    }

    /// Of what kind it is, for who has nothing but that.
    pub fn failure(&self) -> FailureKind {
        match self {
            Self::Usage(_) => FailureKind::Usage,
            Self::Data(_) => FailureKind::Data,
            Self::Device(_) => FailureKind::Device,
            Self::OutOfMemory(_) => FailureKind::OutOfMemory,
            Self::Diverged { .. } => FailureKind::Diverged,
            Self::Stopped | Self::Interrupted { .. } => FailureKind::Stopped,
            Self::Io(_) => FailureKind::System,
            Self::Rank(cause) => cause.failure(),
        }
    }

    /// An [`IoError::File`]: what was being done to which file.
    pub fn io(doing: &'static str, path: &Path, source: std::io::Error) -> Self {
        IoError::File { doing, path: path.to_owned(), source }.into()
    }
}

impl From<ModelError> for Error {
    fn from(cause: ModelError) -> Self {
        Self::Usage(cause.into())
    }
}

impl From<ImagesError> for Error {
    fn from(cause: ImagesError) -> Self {
        SetError::from(cause).into()
    }
}

impl From<ArrayError> for Error {
    fn from(cause: ArrayError) -> Self {
        SetError::from(cause).into()
    }
}

impl From<TableError> for Error {
    fn from(cause: TableError) -> Self {
        SetError::from(cause).into()
    }
}

impl From<ArchiveError> for Error {
    fn from(cause: ArchiveError) -> Self {
        SetError::from(cause).into()
    }
}

impl From<SetError> for Error {
    fn from(cause: SetError) -> Self {
        Self::Data(cause.into())
    }
}

impl From<RunError> for Error {
    fn from(cause: RunError) -> Self {
        Self::Data(cause.into())
    }
}

impl From<ShaderRejection> for Error {
    fn from(cause: ShaderRejection) -> Self {
        Self::Device(cause.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn what_a_file_system_says_is_the_source() {
        let path = Path::new("/nowhere/at all");
        let denied = std::fs::read(path).map_err(|e| Error::unreadable(path, e)).unwrap_err();
        let unwritten = std::fs::write(path, "").map_err(|e| Error::io("writing", path, e)).unwrap_err();
        for error in [denied, unwritten] {
            let source = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
            assert_eq!(source.map(std::io::Error::kind), Some(std::io::ErrorKind::NotFound), "{error:?}");
            assert!(error.to_string().contains("/nowhere/at all"), "{error}");
        }
    }
}
