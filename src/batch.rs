//! What a mini-batch is, for those who choose its examples and for those who compute its gradient; and what of the
//! examples is looked at for the curvature.

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Which examples go into a gradient.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Their positions among all.
    pub positions: &'a [u32],
    /// What each counts, one on average, where not all count the same.
    pub weights: Option<&'a [f32]>,
    /// The epoch, from 0: where examples have copies, each epoch takes the next ones.
    pub epoch: u64,
    /// With it, only those examples go backward that the draw keeps.
    pub draw: Option<Draw>,
}

/// What a draw of examples follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draw {
    /// The seed of all draws.
    pub seed: u64,
    /// Which of them.
    pub step: u64,
}

/// Which examples of mini-batches go backward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// All.
    All,
    /// Those that a draw keeps, by a threshold that follows from their scores.
    Own,
    /// The same by a threshold that is given once their scores are known: they are a share of those chosen among.
    Common,
}

/// The part of a list that one of several takes: whole units of it, dealt out in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Whose it is, from 0.
    pub of: usize,
    /// How many there are.
    pub among: usize,
}

impl Share {
    /// All of it.
    pub const ALL: Self = Self { of: 0, among: 1 };

    /// What is taken of a list of units of this length, the last of which may be shorter.
    pub fn take<T: Copy>(self, all: &[T], unit: usize) -> Vec<T> {
        all.chunks(unit).skip(self.of).step_by(self.among).flatten().copied().collect()
    }

    /// A list of this length that has these where they were taken from, and zeros elsewhere.
    pub fn put(self, taken: &[f32], len: usize, unit: usize) -> Vec<f32> {
        let mut all = vec![0.0; len];
        let places = self.take(&(0..len).collect::<Vec<_>>(), unit);
        places.into_iter().zip(taken).for_each(|(place, &value)| all[place] = value);
        all
    }

    /// How much that is of a list of this length.
    pub fn count(self, len: usize, unit: usize) -> usize {
        let unit_at = |start: usize| unit.min(len - start);
        (self.of * unit..len).step_by(self.among * unit).map(unit_at).sum()
    }
}

/// What Kronecker factors are estimated from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Looks {
    /// Examples of a look at a sample of all, about: the first, and those where there is no mini-batch to look at.
    pub first: usize,
    /// Examples of a mini-batch that a look at it takes, rounded up to whole blocks, or all where it has fewer.
    pub examples: usize,
    /// S: the patches of a convolution at so many places of each image, drawn at random, stand for those at all; 0 is
    /// all.
    pub positions: usize,
    /// The factor A = E\[a aᵀ\] is taken as it is for layers that read at most so many values at a place, for all where
    /// nothing is said. For others, the mean of what they read and, about it, a multiple of the identity stand for it:
    /// the mean variance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_inputs: Option<usize>,
    /// The factor G = E\[g gᵀ\] of a layer with more outputs than so many is taken in blocks on its diagonal, as if
    /// the layer were several, side by side; whole for all where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_outputs: Option<usize>,
}

impl Looks {
    /// Of [`Looks::whole_inputs`] and [`Looks::whole_outputs`]: all, or as many as does not cost too much, as a network
    /// and a run suit; who makes a run's configuration decides.
    pub const AS_SUITS: Option<usize> = Some(usize::MAX);

    /// Those of a sweep over a network for which whole factors cost too much.
    pub const MOST_INPUTS: usize = 128;

    /// As many as help, at all places.
    pub const USUAL: Self = Self { first: 512, examples: 64, positions: 0, whole_inputs: None, whole_outputs: None };

    /// Whether A is taken as it is for a layer that reads so many values at a place.
    pub(crate) fn takes_whole(&self, values: usize) -> bool {
        self.whole_inputs.is_none_or(|most| values <= most)
    }

    /// The outputs of a layer with so many, by the blocks of G that they are in: as few as are small enough, and as
    /// equal as can be.
    pub(crate) fn output_blocks(&self, outputs: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let parts = outputs.div_ceil(self.whole_outputs.unwrap_or(outputs).max(1));
        (0..parts).map(move |i| i * outputs / parts..(i + 1) * outputs / parts)
    }

    /// The same from a sample of so many examples alone.
    #[must_use]
    pub const fn at(self, first: usize) -> Self {
        Self { first, ..self }
    }
}

impl Default for Looks {
    fn default() -> Self {
        Self::USUAL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_all_of_a_list_and_as_equal_as_units_allow() {
        for (len, unit, among) in [(1, 4, 3), (17, 4, 2), (255, 32, 3), (257, 32, 4), (64, 32, 8), (0, 4, 2), (9, 1, 1)]
        {
            let all: Vec<usize> = (0..len).collect();
            let shares: Vec<Vec<usize>> = (0..among).map(|of| Share { of, among }.take(&all, unit)).collect();
            for (of, share) in shares.iter().enumerate() {
                assert_eq!(share.len(), Share { of, among }.count(len, unit), "{of} of {among}: {len} in {unit}");
            }
            let values: Vec<f32> = all.iter().map(|&i| i as f32 + 1.0).collect();
            let put =
                (0..among).map(|of| Share { of, among }).map(|share| share.put(&share.take(&values, unit), len, unit));
            let sum = put.reduce(|left, right| left.iter().zip(right).map(|(left, right)| left + right).collect());
            assert_eq!(sum.unwrap(), values, "{len} in {unit}");
            let lens = shares.iter().map(Vec::len);
            assert!(lens.clone().max().unwrap() - lens.min().unwrap() <= unit);
            let mut together = shares.concat();
            together.sort_unstable();
            assert_eq!(together, all);
        }
        assert_eq!(Share::ALL.take(&[3, 1, 2], 2), [3, 1, 2]);
    }
}
