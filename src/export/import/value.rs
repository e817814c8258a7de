//! What a node reads and puts out: a constant, or a value of the network.

use super::constant::Constant;
use crate::shape::Shape;

/// What has a name in the graph.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Constant(Constant),
    Value(GraphValue),
}

/// A value of each example.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct GraphValue {
    /// What puts it out: 0 for the example, i + 1 for layer i.
    pub of: usize,
    /// C × H × W, also of what is flat.
    pub shape: Shape,
    /// Whether it is `[N][C·H·W]`, not `[N][C][H][W]`.
    pub is_flat: bool,
    pub form: Form,
    /// How many nodes read it, or another name of it, at most.
    pub readers: usize,
}

/// What has been done to a value that only a later node makes a layer of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Nothing.
    Plain,
    /// σ of it, half of a SiLU.
    Gate,
    /// So many channels of zeros come after its own.
    Padded(usize),
    /// It is `[N][G][…]`, for a normalisation of G groups; and that is done.
    Grouped(usize),
    GroupNormal(usize),
    /// The softmax of it, which nothing may read.
    Softmax,
}
