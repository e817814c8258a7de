//! What a pass over the examples computes, on which chunk, and what its forward half leaves behind.

use crate::device::{Buf, Quads};
use crate::kernels::epilogue::Mask;
use crate::kernels::softmax_xent::Targets;
use std::ops::Range;

/// What a pass over the examples computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pass {
    Loss,
    /// The loss, and every example's logits.
    Logits,
    Gradient,
    GaussNewton,
    Tangent,
    /// The curvature along two directions.
    Curvature,
}

impl Pass {
    pub(super) fn has_backward(self) -> bool {
        matches!(self, Self::Gradient | Self::GaussNewton)
    }

    /// Directions in parameter space.
    pub(super) fn tangents(self) -> usize {
        match self {
            Self::Loss | Self::Logits | Self::Gradient => 0,
            Self::GaussNewton | Self::Tangent => 1,
            Self::Curvature => 2,
        }
    }
}

/// A run of whole batch blocks that fits the workspace, as views of the objective's lists.
pub(super) struct Chunk {
    /// Padded examples.
    pub range: Range<usize>,
    pub index: Buf,
    pub targets: Targets,
    pub loss: Buf,
    pub correct: Buf,
    pub curvature: Option<[Buf; 3]>,
}

/// What the forward pass of a chunk leaves behind: the values, the examples' first and the logits last, and each stage's
/// mask.
pub(super) struct Forward {
    pub x: Vec<Quads>,
    pub masks: Vec<Option<Mask>>,
}
