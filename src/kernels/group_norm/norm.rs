//! What is normalised together, and room for what is found of it.

use crate::device::{Buf, Gpu, Quads};
use crate::kernels::batch_norm::BatchNorm;
use crate::kernels::grid::turns;
use crate::kernels::weights::WeightShape;
use crate::shape::Shape;

/// Words of an example's statistics of a group: a pivot, the mean about it, r.
const STATISTICS: usize = 3;

/// Words of an example's sums of a channel: Σ u x̂, Σ u.
const PRODUCTS: usize = 2;

/// The normalisation of groups of channels of C × H × W. Its parameters are γ `[C]`, then β `[C]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupNorm {
    /// C × H × W.
    pub shape: Shape,
    /// G, a divisor of C.
    pub groups: usize,
}

/// What is found of each example, where there are [`GroupNorm::room`] words: some is read while other is written.
#[derive(Clone, Copy, Debug)]
pub struct ExampleSums<'a> {
    /// `[N/B][G][3][B]`
    pub statistics: &'a Buf,
    /// `[N/B][C][2][B]`
    pub products: &'a Buf,
}

/// Steps of a sum that are added up by themselves.
const STRETCH: usize = 32;

/// Turns of the sums of an example's values, gone through as `norm` does.
pub(super) fn example_turns(gpu: &Gpu, norm: BatchNorm) -> usize {
    let without_stretches = norm.turns_of(gpu, norm.by_example(gpu));
    without_stretches.saturating_add(2 * without_stretches.div_ceil(STRETCH))
}

impl GroupNorm {
    /// Shape of the parameters: γ is the weights, one a channel, and β the biases.
    pub fn weights(&self) -> WeightShape {
        self.channels().weights()
    }

    /// Words that statistics and products of an example take.
    pub fn room(&self) -> [usize; 2] {
        [STATISTICS * self.groups, PRODUCTS * self.shape.channels]
    }

    /// Whether there is room for what is found of so many blocks.
    pub(super) fn check(&self, gpu: &Gpu, room: ExampleSums<'_>, blocks: usize) {
        let [statistics, products] = self.room().map(|words| words * blocks * gpu.profile.block);
        assert!(room.statistics.len() >= statistics && room.products.len() >= products, "{self:?}: too little room");
    }

    /// Words of the blocks of γ and β.
    pub fn fisher_len(&self) -> usize {
        self.channels().fisher_len()
    }

    /// How the pixels of a channel are gone through.
    pub(super) fn channels(&self) -> BatchNorm {
        BatchNorm { shape: self.shape }
    }

    /// How the values of a group are: its channels follow one another.
    pub(super) fn all_of_group(&self) -> BatchNorm {
        let Shape { channels, height, width } = self.shape;
        BatchNorm { shape: Shape::new(self.groups, channels / self.groups * height, width) }
    }

    /// Blocks that an array of activations has room for.
    pub(super) fn blocks(&self, gpu: &Gpu, x: &Quads) -> usize {
        self.channels().blocks(gpu, x)
    }

    /// What the prelude `group_normal` is specialised to.
    pub(super) fn group_constants(&self) -> [(&'static str, usize); 2] {
        [("GROUPS", self.groups), ("GROUP_CHANNELS", self.shape.channels / self.groups)]
    }

    /// Turns of the loop over the channels of a group, in each block of a map.
    pub(super) fn map_turns(&self, gpu: &Gpu) -> usize {
        let (_, slice) = self.channels().mapped(gpu);
        let of_group = turns(self.shape.channels / self.groups, 0);
        self.channels().map_turns(gpu).saturating_add(slice.saturating_mul(of_group))
    }

    /// Turns of all loops of an invocation, at most, on so many blocks.
    pub fn turns(&self, gpu: &Gpu, blocks: usize) -> usize {
        let [of_group, of_channel] = [self.all_of_group(), self.channels()].map(|norm| example_turns(gpu, norm));
        of_group.max(of_channel).max(self.map_turns(gpu)).max(self.sum_turns(gpu, blocks))
    }

    /// Turns of the sums over the examples of so many blocks.
    pub(super) fn sum_turns(&self, gpu: &Gpu, blocks: usize) -> usize {
        turns(blocks.div_ceil(gpu.profile.rows), 0) + turns(gpu.profile.invocations().ilog2() as usize, 0)
    }
}
