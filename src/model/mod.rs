//! Layers, descriptions of chains of them, and such a chain over one flat parameter vector.

mod activation;
mod affine;
mod chain;
mod description;
mod layer;
mod network;
mod pool;
pub mod reference;

pub use description::{Description, Initialisation};
pub use layer::{At, Layer, LayerWeights};
pub use network::{Model, Tensor};
