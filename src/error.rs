//! The one error type of the library. Each kind has its own exit code in the command line (`cli`).

use std::fmt::Display;
use std::path::Path;

/// What went wrong, said in one line: what, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request makes no sense: a bad option, a bad model description, shapes that do not fit.
    #[error("{0}")]
    Usage(String),
    /// A data set, weights file or run folder that cannot be read as what it claims to be.
    #[error("{0}")]
    Data(String),
    /// No adapter, a lost device, or a driver that rejects a command.
    #[error("{0}")]
    Device(String),
    /// The device, or the memory budget, cannot hold what was asked for.
    #[error("{0}")]
    OutOfMemory(String),
    /// A value that is not finite appeared and the method could not step around it.
    #[error("{0}")]
    Diverged(String),
    /// A file of ours that cannot be written.
    #[error("{0}")]
    Io(String),
    /// The user asked for a stop (Ctrl-C, SIGTERM); the last checkpoint is on disk.
    #[error("{0}")]
    Interrupted(String),
}

/// `Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A [`Error::Usage`] from anything printable.
    pub fn usage(message: impl Display) -> Self {
        Self::Usage(message.to_string())
    }

    /// A [`Error::Data`] from anything printable.
    pub fn data(message: impl Display) -> Self {
        Self::Data(message.to_string())
    }

    /// A [`Error::Io`]: what was being done to which file.
    pub fn io(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::Io(format!("{doing} {}: {error}", path.display()))
    }

    /// A [`Error::Device`] from anything printable.
    pub fn device(message: impl Display) -> Self {
        Self::Device(message.to_string())
    }
}
