//! Which values are normalised, and by what.

use crate::device::{Buf, Gpu, Quads};
use crate::kernels::weights::WeightShape;
use crate::shape::Shape;

/// What is added to a variance.
pub const EPSILON: f64 = 1e-5;

/// Words of the sums of one channel: Σ (x − p), Σ (x − p)², the pivot p, how many values.
const SUMS: usize = 4;

/// The normalisation of each channel of C × H × W. Its parameters are γ `[C]`, then β `[C]`: [`BatchNorm::weights`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchNorm {
    /// C × H × W.
    pub shape: Shape,
}

/// What values are normalised by.
#[derive(Clone, Copy, Debug)]
pub enum Statistics<'a> {
    /// The statistics of the group that they are in.
    Groups {
        /// What [`BatchNorm::statistics`] left.
        sums: &'a Buf,
        /// Blocks of a group; of the examples kept of a batch, those of the batch, which is one group.
        blocks: usize,
    },
    /// Means `[C]` and then variances `[C]`, the same for all: what [`BatchNorm::collect`] leaves.
    Running(&'a Buf),
}

impl<'a> Statistics<'a> {
    /// What is bound.
    pub(super) fn words(&self) -> &'a Buf {
        match self {
            Self::Groups { sums, .. } => sums,
            Self::Running(moments) => moments,
        }
    }

    /// Whether they are running ones.
    pub(super) fn are_fixed(&self) -> bool {
        matches!(self, Self::Running(_))
    }

    /// Blocks of a group, where there are so many in all.
    pub(super) fn group(&self, blocks: usize) -> usize {
        match self {
            Self::Groups { blocks, .. } => *blocks,
            Self::Running(_) => blocks,
        }
    }
}

impl BatchNorm {
    /// Shape of the parameters: γ is the weights, one a channel, and β the biases.
    pub fn weights(&self) -> WeightShape {
        WeightShape { outputs: self.shape.channels, inputs: 1, taps: 1 }
    }

    /// Parts of the pixels that are summed by themselves, 16 at most: enough to fill the device with one group.
    pub fn parts(&self, gpu: &Gpu) -> usize {
        self.summed(gpu).parts
    }

    /// Words that the statistics of so many groups take.
    pub fn statistics_len(&self, gpu: &Gpu, groups: usize) -> usize {
        groups * self.parts(gpu) * SUMS * self.shape.channels
    }

    /// Words that [`BatchNorm::products`] of so many groups take: the partial sums of a gradient in as many splits as
    /// there are groups and parts.
    pub fn partial_len(&self, gpu: &Gpu, groups: usize) -> usize {
        groups * self.parts(gpu) * self.weights().partial_len()
    }

    /// Blocks that an array of activations has room for.
    pub(in crate::kernels) fn blocks(&self, gpu: &Gpu, x: &Quads) -> usize {
        let block = self.shape.len() * gpu.profile.block;
        assert!(x.len().is_multiple_of(block), "{} words are no blocks of {}", x.len(), self.shape);
        x.len() / block
    }

    /// Whether the statistics are as long as so many blocks need.
    pub(super) fn check(&self, gpu: &Gpu, statistics: Statistics<'_>, blocks: usize) {
        let groups = blocks.div_ceil(statistics.group(blocks));
        match statistics {
            Statistics::Groups { sums, .. } => assert!(sums.len() >= self.statistics_len(gpu, groups)),
            Statistics::Running(moments) => assert_eq!(moments.len(), 2 * self.shape.channels),
        }
    }

    /// What the prelude `normal` is specialised to.
    pub(super) fn normal_constants(&self, gpu: &Gpu, statistics: Statistics<'_>) -> [(&'static str, usize); 2] {
        [("PARTS", self.parts(gpu)), ("FIXED", usize::from(statistics.are_fixed()))]
    }
}
