//! The one error type of the library. Its kinds are what a caller reacts to. Each has its own exit code in the command
//! line (`cli`) and carries a typed cause, and the cause what it came from ([`std::error::Error::source`]).
//!
//! The text of an error is one line that says what is wrong and where. What its source says is not repeated in it.
//! What to do about it is for whoever asked: `cli` knows the options.

mod archive;
mod array;
mod data;
mod device;
mod images;
mod io;
mod kind;
mod memory;
mod model;
mod onnx;
mod rank;
mod run;
#[cfg(test)]
pub(crate) mod samples;
mod set;
mod table;
mod text;
mod usage;

pub use archive::{ArchiveError, Unpacked};
pub use array::ArrayError;
pub use data::DataError;
pub use device::{DeviceError, Lack, ShaderRejection};
pub use images::ImagesError;
pub use io::IoError;
pub use kind::{Error, Result};
pub use memory::MemoryError;
pub use model::ModelError;
pub use onnx::OnnxError;
pub use rank::{FailureKind, RankError};
pub use run::RunError;
pub use set::{Instead, Place, SetError};
pub use table::TableError;
#[cfg(feature = "cli")]
pub(crate) use text::printable;
pub use text::{BoxError, in_one_line};
pub(crate) use text::{one_line, shown};
pub use usage::UsageError;
