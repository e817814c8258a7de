//! Adapters that are missing, lost, or do not do what they should.

use super::text::{BoxError, shown};
use std::fmt;

/// What an adapter lacks of what the kernels need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Storage buffers that a shader may bind.
    StorageBuffers {
        /// How many there are.
        offered: u32,
        /// How many are needed.
        needed: u32,
    },
    /// Subgroups of exactly so many invocations.
    Subgroups {
        /// How many.
        invocations: usize,
    },
    /// Invocations of a workgroup.
    Invocations {
        /// How many there may be.
        offered: u32,
        /// How many are needed.
        needed: usize,
    },
    /// Storage textures that a shader may bind.
    StorageTextures {
        /// How many there are.
        offered: u32,
        /// How many are needed.
        needed: u32,
    },
    /// Storage textures that a shader both reads and writes.
    ReadWriteTextures,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StorageBuffers { offered, needed } => {
                write!(f, "offers {offered} storage buffers a shader, {needed} are needed")
            }
            Self::Subgroups { invocations } => write!(f, "has no subgroups of exactly {invocations} invocations"),
            Self::Invocations { offered, needed } => {
                write!(f, "runs {offered} invocations a workgroup, {needed} are needed")
            }
            Self::StorageTextures { offered, needed } => {
                write!(f, "offers {offered} storage textures a shader, {needed} are needed")
            }
            Self::ReadWriteTextures => f.write_str("has no storage textures that a shader both reads and writes"),
        }
    }
}

/// A shader that the driver's compiler does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} rejects shader {shader}: {why}", shown(adapter))]
pub struct ShaderRejection {
    /// Name of the adapter.
    pub adapter: String,
    /// Name of the shader.
    pub shader: &'static str,
    /// What the compiler says, on one line.
    pub why: String,
}

/// Names in a row.
fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { shown(names.join("; ")) }
}

/// What is wrong with which device.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// No adapter at all.
    #[error("no GPU adapter was found")]
    NoAdapter,
    /// No adapter of that name or index.
    #[error("no adapter is called {wanted:?} (found: {})", listed(found))]
    NoSuchAdapter {
        /// What was asked for.
        wanted: String,
        /// Names of those that there are, in the order that an index refers to.
        found: Vec<String>,
    },
    /// An adapter that the kernels do not run on.
    #[error("adapter {} ({backend}) {lack}", shown(adapter))]
    Unfit {
        /// Name of the adapter.
        adapter: String,
        /// Its interface.
        backend: String,
        /// What it lacks.
        lack: Lack,
    },
    /// An adapter that does not open.
    #[error("adapter {} does not open", shown(adapter))]
    Unopened {
        /// Name of the adapter.
        adapter: String,
        /// What the driver says.
        source: BoxError,
    },
    /// A device that is gone.
    #[error("{} was lost ({why})", shown(adapter))]
    Lost {
        /// Name of the adapter.
        adapter: String,
        /// What the driver says, on one line.
        why: String,
    },
    /// A device that was lost and does not open again.
    #[error("{} was lost and does not open again, tried {tries} times", shown(adapter))]
    Gone {
        /// Name of the adapter.
        adapter: String,
        /// How often it was tried.
        tries: u32,
        /// What stopped the last try.
        source: BoxError,
    },
    /// A command that the driver does not take.
    #[error("{} rejected a command: {why}", shown(adapter))]
    Rejected {
        /// Name of the adapter.
        adapter: String,
        /// What the driver says, on one line.
        why: String,
    },
    /// A shader that the driver does not take.
    #[error(transparent)]
    Shader(#[from] ShaderRejection),
    /// A device that does not come to an end.
    #[error("waiting for {} failed", shown(adapter))]
    Unfinished {
        /// Name of the adapter.
        adapter: String,
        /// What the driver says.
        source: BoxError,
    },
    /// Memory that cannot be read back.
    #[error("reading back from {} failed", shown(adapter))]
    Unread {
        /// Name of the adapter.
        adapter: String,
        /// What the driver says.
        source: BoxError,
    },
    /// A result that is not finite where its reference is.
    #[error("{what} is not finite on {}", shown(adapter))]
    NotFinite {
        /// Name of the adapter.
        adapter: String,
        /// What was computed.
        what: String,
    },
    /// A result that is another one when it is computed again.
    #[error("{what}: computed twice, it has other bits on {}", shown(adapter))]
    Unsteady {
        /// Name of the adapter.
        adapter: String,
        /// What was computed.
        what: String,
    },
    /// A result that is not near its reference.
    #[error("{what}: wrong by {error:e} of the largest value on {}", shown(adapter))]
    Wrong {
        /// Name of the adapter.
        adapter: String,
        /// What was computed.
        what: String,
        /// Largest error, as a share of the largest value.
        error: f64,
    },
}
