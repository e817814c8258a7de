//! Memory that does not suffice.

use super::text::{shown, size};
use std::collections::TryReserveError;

/// What does not fit where.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// A buffer or texture that the device does not give.
    #[error(
        "{what} needs {} of device memory, but {} {}", size(*bytes), shown(adapter),
        limit.map_or("has no room for it".to_owned(), |limit| format!("takes at most {} at once", size(limit)))
    )]
    Allocation {
        /// What it is for.
        what: String,
        /// Its size.
        bytes: u64,
        /// The largest that the adapter takes, where that is less.
        limit: Option<u64>,
        /// Name of the adapter.
        adapter: String,
    },
    /// A command for which the driver found no memory.
    #[error("{} is out of memory", shown(adapter))]
    Device {
        /// Name of the adapter.
        adapter: String,
    },
    /// Memory of the host.
    #[error("{what}: no memory for {bytes} bytes")]
    Host {
        /// What it is for.
        what: String,
        /// Its size.
        bytes: usize,
        /// What the allocator says.
        source: TryReserveError,
    },
    /// A model of which not even the smallest chunk of examples can be computed.
    #[error(
        "model {}: a chunk of {examples} examples takes {}, more than the {} that activations may take or a binding \
         of {} holds",
        shown(model), size(*bytes), size(*budget), shown(adapter)
    )]
    Chunk {
        /// Name of the model.
        model: String,
        /// Examples of the smallest chunk.
        examples: usize,
        /// What they take.
        bytes: u64,
        /// What the activations, weights and partial sums may take.
        budget: u64,
        /// Name of the adapter.
        adapter: String,
    },
    /// A model with more parameters than a kernel can bind.
    #[error(
        "model {}: {parameters} parameters are more than {} binds at once ({})",
        shown(model), shown(adapter), size(*limit)
    )]
    Parameters {
        /// Name of the model.
        model: String,
        /// P, the number of parameters.
        parameters: usize,
        /// Bytes of the largest binding.
        limit: u64,
        /// Name of the adapter.
        adapter: String,
    },
    /// More examples than a kernel can index.
    #[error("{examples} examples are more than a binding of {} indexes", shown(adapter))]
    Examples {
        /// N, the number of examples.
        examples: usize,
        /// Name of the adapter.
        adapter: String,
    },
    /// More copies of the examples than a kernel can list.
    #[error("{copies} copies come to {examples} examples, more than a binding of {} lists", shown(adapter))]
    Copies {
        /// Copies of each example.
        copies: usize,
        /// Examples and copies together.
        examples: usize,
        /// Name of the adapter.
        adapter: String,
    },
    /// A Kronecker factor that a kernel cannot bind.
    #[error(
        "layer {}: its Kronecker factor of {rows} rows takes an array of {}, more than {} binds at once ({})",
        shown(layer), size(*bytes), shown(adapter), size(*limit)
    )]
    Factor {
        /// Name of the layer.
        layer: String,
        /// Rows of the factor, and columns.
        rows: usize,
        /// Bytes of the array that is too large: of the factor, of its sums, or of what its inverse is made in.
        bytes: u64,
        /// Bytes of the largest binding.
        limit: u64,
        /// Name of the adapter.
        adapter: String,
    },
    /// An array that a kernel cannot bind.
    #[error("{kernel} needs {} at once, {} binds at most {}", size(*bytes), shown(adapter), size(*limit))]
    Binding {
        /// Name of the shader.
        kernel: &'static str,
        /// Bytes of the array.
        bytes: u64,
        /// Bytes of the largest binding.
        limit: u64,
        /// Name of the adapter.
        adapter: String,
    },
    /// A sum that is too long for the driver.
    #[error("{}: its loops take {turns} turns, {} ends them after {limit}", shown(what), shown(adapter))]
    Turns {
        /// The layer or the shader.
        what: String,
        /// Turns of all loops of an invocation.
        turns: usize,
        /// The most that the driver makes.
        limit: usize,
        /// Name of the adapter.
        adapter: String,
    },
    /// A layer that takes more workgroups than WebGPU runs.
    #[error(
        "a layer takes {} × {} × {} workgroups of {kernel}, {limit} a side are allowed", groups[0], groups[1], groups[2]
    )]
    Grid {
        /// Name of the shader.
        kernel: &'static str,
        /// Workgroups along each side.
        groups: [usize; 3],
        /// Most along a side.
        limit: usize,
    },
}
