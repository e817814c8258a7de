//! What a pass over the examples computes, on which chunk, and what its forward half leaves behind.

use crate::device::{Buf, Quads};
use crate::kernels::batch_norm::Statistics;
use crate::kernels::epilogue::Mask;
use crate::kernels::softmax_xent::Targets;
use crate::model::Normalised;
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
    /// Mean and variance of what is normalised.
    Statistics,
}

impl Pass {
    pub(super) fn has_backward(self) -> bool {
        matches!(self, Self::Gradient | Self::GaussNewton)
    }

    /// Whether derivatives follow the forward half.
    pub(super) fn has_derivatives(self) -> bool {
        !matches!(self, Self::Loss | Self::Logits | Self::Statistics)
    }

    /// Directions in parameter space.
    pub(super) fn tangents(self) -> usize {
        match self {
            Self::Loss | Self::Logits | Self::Gradient | Self::Statistics => 0,
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

/// What the forward pass of a chunk leaves behind: the values, the examples' first and the logits last, and each
/// stage's mask.
pub(super) struct Forward {
    pub x: Vec<Quads>,
    pub masks: Vec<Option<Mask>>,
    /// What the stages that normalise work with.
    pub normal: Vec<Option<Normal>>,
}

/// What a normalisation of a chunk works with.
#[derive(Clone)]
pub(super) struct Normal {
    /// Blocks of a group; none where mean and variance are known before.
    pub blocks: Option<usize>,
    /// Real examples.
    pub examples: usize,
    /// The groups' statistics, or the moments known before.
    pub statistics: Buf,
    pub products: Buf,
    pub share: Buf,
}

impl Normal {
    pub(super) fn of_layer(&self) -> Normalised<'_> {
        let statistics = match self.blocks {
            Some(blocks) => Statistics::Groups { sums: &self.statistics, blocks },
            None => Statistics::Running(&self.statistics),
        };
        Normalised { statistics, examples: self.examples, products: &self.products, share: &self.share }
    }
}
