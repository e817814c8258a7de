//! Layers, descriptions of graphs of them, and such a graph over one flat parameter vector.

mod activation;
mod affine;
mod batch_norm;
mod description;
mod edges;
mod graph;
mod group_norm;
mod layer;
mod network;
mod pictures;
mod pool;
pub mod reference;
mod sum;

pub use description::{Description, Initialisation};
pub(crate) use description::{LayerDescription, LayerKind, Sources};
pub use edges::{Edges, Value};
pub use layer::{At, Layer, LayerWeights, Normalised};
pub use network::{Model, Tensor};
