//! ONNX models as networks: those of this program to the bit, and those of others as far as layers can do what their
//! nodes do.

mod constant;
mod graph;
mod layers;
mod load;
mod node;
mod ops;
mod shapes;
#[cfg(test)]
mod tests;
mod value;
mod windows;

pub use load::{OnnxNetwork, Stated, load_onnx};
