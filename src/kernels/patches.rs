//! Patches of activations at a few places of each image, drawn at random: what a Kronecker factor is estimated from
//! where the patches at all places would cost too much.
//!
//! The places of an image are spread evenly from a random one on (systematic sampling), so each is as likely as
//! another: the mean over them is without bias that over all. They follow from the seed and the example's index alone
//! (Philox).

use super::conv2d::Conv2d;
use super::grid::{looping_grid, turns};
use crate::device::{Buf, Gpu, Quads};
use crate::error::Result;
use crate::program::{Dispatch, Shader, shader};
use crate::shape::Shape;
use std::ops::Range;

pub(super) const SAMPLE: Shader = shader!("patches_sample");

/// A few of the places of a filter on each image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatchSample {
    /// The filter and the images it reads.
    pub filter: Conv2d,
    /// S, places of an image: at most all, at least one.
    pub positions: usize,
    /// The first of the filter's channels among those of the images, and how many these have.
    pub among: [usize; 2],
}

impl PatchSample {
    /// At so many places, or at all where there are fewer.
    pub fn new(filter: Conv2d, positions: usize) -> Self {
        Self { filter, positions: positions.clamp(1, places(&filter)), among: [0, filter.input.channels] }
    }

    /// Every pixel of some channels of the input, as a patch of its own.
    pub fn of_pixels(input: Shape, channels: Range<usize>) -> Self {
        let of_channels = Shape { channels: channels.len(), ..input };
        let filter = Conv2d { input: of_channels, channels: 1, size: 1, stride: 1, padding: 0, groups: 1 };
        Self { filter, positions: input.pixels(), among: [channels.start, input.channels] }
    }

    /// T, the places of the filter on an image.
    pub fn places(&self) -> usize {
        places(&self.filter)
    }

    /// The patches as images, a channel for each tap and a pixel for each place: what a filter of one pixel reads.
    pub fn patches(&self) -> Conv2d {
        let input = Shape::new(self.filter.weights().patches(), 1, self.positions);
        Conv2d { input, channels: 1, size: 1, stride: 1, padding: 0, groups: 1 }
    }

    /// y\[n, r, s\] = patch r at place s of image n, zeros beyond the border and for padded examples; `index` u32
    /// `[N/B][B]`, [`PADDING`](super::gather::PADDING) where there is none. `x` is `[N/B][channels][H][W][B]`, C of
    /// which are the filter's, `y` `[N/B][C·K·K][S][B]`. With all places, they are in order.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub fn gather(&self, gpu: &Gpu, x: &Quads, [index, seed]: [&Buf; 2], y: &Quads) -> Result<Dispatch> {
        let Conv2d { input, size, stride, padding, .. } = self.filter;
        let out = self.filter.output().expect("checked when the layer was made: the filter fits");
        let [first, channels] = self.among;
        assert_eq!(x.len(), index.len() * channels * input.pixels());
        assert_eq!(y.len(), index.len() * self.patches().input.len());
        let constants = [
            ("CI", input.channels),
            ("CHANNELS", channels),
            ("H", input.height),
            ("W", input.width),
            ("OH", out.height),
            ("OW", out.width),
            ("SIZE", size),
            ("STRIDE", stride),
            ("PADDING", padding),
            ("POSITIONS", self.positions),
            ("LANES", gpu.profile.lanes()),
        ];
        let items = index.len() / 4 * input.channels * self.positions;
        let bindings = [x.into(), index.into(), seed.into(), gpu.uniform(first)?.into(), y.into()];
        // ten rounds of Philox for each of four images
        let grid = looping_grid(gpu, &SAMPLE, items, turns(size * size, 0) + 4 * turns(10, 0))?;
        Dispatch::new(gpu, &SAMPLE, &constants, &bindings, grid)
    }
}

fn places(filter: &Conv2d) -> usize {
    filter.output().expect("checked when the layer was made: the filter fits").pixels()
}

/// The same in f64, on plain `[N][C][H][W]`.
pub mod reference {
    use crate::kernels::gather::PADDING;
    use crate::kernels::kronecker::reference::patch;
    use crate::kernels::patches::PatchSample;
    use crate::kernels::selection::reference::philox;

    /// Places of an example, in the order in which they are taken.
    pub fn places(sample: &PatchSample, index: u32, seed: u32) -> Vec<usize> {
        let (all, some) = (sample.places(), sample.positions);
        let word = philox([index, 0, 0, 0], [seed, 0])[0];
        let first = if some < all { (u64::from(word) * all as u64) >> 32 } else { 0 } as usize;
        (0..some).map(|s| (first + s * all / some) % all).collect()
    }

    /// `[N][C·K·K][S]`
    pub fn gather(sample: &PatchSample, x: &[f64], index: &[u32], seed: u32) -> Vec<f64> {
        let rows = sample.filter.weights().patches();
        let mut y = Vec::new();
        for (image, &index) in x.chunks_exact(sample.filter.input.len()).zip(index) {
            let drawn = places(sample, index, seed);
            let patches: Vec<Vec<f64>> = drawn.iter().map(|&place| patch(&sample.filter, image, place)).collect();
            let is_present = if index == PADDING { 0.0 } else { 1.0 };
            y.extend((0..rows).flat_map(|r| patches.iter().map(move |patch| is_present * patch[r])));
        }
        y
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_as_likely_as_another_and_none_is_taken_twice() {
        let filter = Conv2d { input: Shape::new(2, 7, 6), channels: 3, size: 3, stride: 2, padding: 1, groups: 1 };
        let (all, draws) = (12, 6000);
        for positions in [1, 2, 5, 11, 12] {
            let sample = PatchSample::new(filter, positions);
            let mut taken = vec![0; all];
            for index in 0..draws {
                let mut places = reference::places(&sample, index, 25);
                places.iter().for_each(|&place| taken[place] += 1);
                places.sort_unstable();
                places.dedup();
                assert_eq!(places.len(), positions, "of example {index}");
            }
            let expected = f64::from(draws) * positions as f64 / all as f64;
            assert!(taken.iter().all(|&count| (f64::from(count) / expected - 1.0).abs() < 0.15), "{taken:?}");
        }
        assert_eq!(PatchSample::new(filter, 1000).positions, all);
        let first = PatchSample::new(filter, 1);
        let of_seed = |seed| (0..20).map(|index| reference::places(&first, index, seed)).collect::<Vec<_>>();
        assert_ne!(of_seed(25), of_seed(49), "each look takes others");
    }
}
