//! The one error type of the library. Its kinds are what a caller reacts to. Each has its own exit code in the command
//! line (`cli`) and carries a typed cause, and the cause what it came from ([`std::error::Error::source`]).
//!
//! The text of an error is one line that says what is wrong and where. What its source says is not repeated in it.
//! What to do about it is for whoever asked: `cli` knows the options.

mod data;
mod device;
mod images;
mod io;
mod memory;
mod model;
mod run;
#[cfg(test)]
pub(crate) mod samples;
mod set;
mod usage;

pub use data::DataError;
pub use device::{DeviceError, Lack, ShaderRejection};
pub use images::ImagesError;
pub use io::IoError;
pub use memory::MemoryError;
pub use model::ModelError;
pub use run::RunError;
pub use set::{Instead, Place, SetError};
pub use usage::UsageError;

use std::fmt::Display;
use std::path::Path;

/// Where an error came from, when its type belongs to a library that few callers know.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

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
    },
    /// A file of ours that cannot be written.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The user asked for a stop (Ctrl-C, SIGTERM); the last checkpoint is on disk.
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

/// A path, or a name that somebody else chose, as messages have it: on one line, whatever characters it holds.
pub(crate) fn shown(name: impl AsRef<Path>) -> String {
    name.as_ref().display().to_string().replace(char::is_control, "\u{fffd}")
}

/// Messages of drivers and parsers come in paragraphs; errors of ours are one line.
pub(crate) fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Bytes as people read them.
fn size(bytes: u64) -> String {
    let (unit, name) = if bytes < 1 << 20 { (1 << 10, "KiB") } else { (1 << 20, "MiB") };
    format!("{:.1} {name}", bytes as f64 / f64::from(unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    /// Names of the variants of a file's enums: lines that are indented once and begin with a capital.
    fn variants(source: &str) -> Vec<&str> {
        let enums = source.lines().filter_map(|line| line.strip_prefix("    "));
        let named = enums.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
        named.map(|line| &line[..line.find(|c: char| !c.is_alphanumeric()).unwrap_or(line.len())]).collect()
    }

    #[test]
    fn every_cause_is_one_line_that_says_something() {
        let samples = samples::all();
        for error in &samples {
            let text = error.to_string();
            assert!(!text.is_empty() && !text.contains(char::is_control), "{error:?}: {text}");
            let source = error.source().map(ToString::to_string);
            assert!(source.is_none_or(|source| !text.contains(&source)), "{text}: its source is said twice");
        }
        let all = format!("{samples:?}");
        for file in [
            include_str!("usage.rs"),
            include_str!("model.rs"),
            include_str!("data.rs"),
            include_str!("set.rs"),
            include_str!("images.rs"),
            include_str!("run.rs"),
            include_str!("device.rs"),
            include_str!("memory.rs"),
            include_str!("io.rs"),
        ] {
            let names = variants(file);
            assert!(!names.is_empty());
            for name in names {
                assert!(all.contains(name), "{name} is not among the samples");
            }
        }
    }

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

    #[test]
    fn names_stay_on_one_line() {
        assert_eq!(shown(Path::new("a\nb")), "a\u{fffd}b");
        assert_eq!(one_line("  two\n\tlines\u{7} "), "two lines");
    }
}
