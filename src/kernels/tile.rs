//! How much of a product one invocation owns: what is held in registers is loaded once.

use super::grid::turns;
use crate::device::{Gpu, Profile, Variant};

/// The most invocations of a workgroup of a product, as far as profiles go.
pub const MOST_INVOCATIONS: usize = 128;

/// The most outputs of a tile of a product.
pub const MOST_OUTPUTS: usize = 16;

/// The most pixels of a tile, of a product or of a weight gradient.
pub const MOST_PIXELS: usize = 4;

/// Taps of a filter row that are summed in one step; a wider row is taken one tap at a time.
pub const MOST_TAPS: usize = 7;

/// The most lines of a tile of a weight gradient.
pub const MOST_LINES: usize = 8;

/// The most outputs of a tile of a weight gradient, in fours.
pub const MOST_QUADS: usize = 4;

/// The most vec4 of a row of weights that all invocations of a workgroup read.
pub const MOST_ROW: usize = 32;

/// Invocations of a subgroup where weights are spread over its lanes.
pub const SUBGROUP: usize = 8;

const _: () = assert!(MOST_OUTPUTS * MOST_TAPS <= 4 * MOST_ROW);
const _: () = assert!(Profile::DISCRETE.rows * Profile::DISCRETE.block / 4 <= MOST_INVOCATIONS);

/// A tile of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProductTile {
    /// Output channels or units, a multiple of 4.
    pub outputs: usize,
    /// Neighbouring pixels, or batch blocks.
    pub pixels: usize,
}

/// A tile of a weight gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OuterTile {
    /// Lines of taps.
    pub lines: usize,
    /// Output channels or units, in fours.
    pub quads: usize,
    /// Pixels, or batch blocks, of a step.
    pub pixels: usize,
}

/// The size among `sizes` that covers `length` with the least work: padding computed, plus `overhead` loads a tile.
fn cover(length: usize, sizes: &[usize], overhead: usize) -> usize {
    let cost = |size: usize| length.div_ceil(size) * (size + overhead);
    sizes.iter().copied().min_by_key(|&size| (cost(size), usize::MAX - size)).expect("there are sizes to choose from")
}

impl ProductTile {
    /// The tile for so many `outputs` over rows of `width` pixels: what was found by timing under `key`, or else large
    /// on a CPU, whose loads cost most, and within a GPU's registers.
    pub fn choose(gpu: &Gpu, key: &str, outputs: usize, width: usize) -> Self {
        if let Some([outputs, pixels]) = gpu.tuned(key)
            && (1..=MOST_OUTPUTS / 4).contains(&(outputs / 4))
            && outputs.is_multiple_of(4)
            && (1..=MOST_PIXELS).contains(&pixels)
        {
            return Self { outputs, pixels };
        }
        let sizes: &[usize] = match gpu.profile.variant {
            Variant::Software => &[MOST_OUTPUTS, 12, 8, 4],
            Variant::Discrete | Variant::Portable => &[8, 4],
        };
        Self { outputs: cover(outputs, sizes, 3), pixels: cover(width, &[MOST_PIXELS, 3, 2, 1], 1) }
    }

    /// The same with fewer pixels where so many `groups` of it would leave a part of a GPU without work. Of the weights
    /// each invocation reads as many, so a CPU, which a few groups fill, keeps its pixels.
    pub(super) fn filling(self, gpu: &Gpu, groups: impl Fn(Self) -> usize) -> Self {
        let halves = std::iter::successors(Some(self), |tile| {
            (tile.pixels > 1).then_some(Self { pixels: tile.pixels / 2, ..*tile })
        });
        let is_enough =
            |tile: &Self| gpu.profile.variant == Variant::Software || groups(*tile) >= gpu.profile.enough_workgroups();
        let all: Vec<Self> = halves.collect();
        all.iter().copied().find(is_enough).unwrap_or(all[all.len() - 1])
    }

    /// Tiles worth timing, this one first: fewer pixels or outputs where it has many, else more.
    pub(super) fn neighbours(self, gpu: &Gpu) -> Vec<Self> {
        let most = if gpu.profile.variant == Variant::Software { 64 } else { 32 };
        let other_pixels = if self.pixels > 2 { 2 } else { MOST_PIXELS };
        let other_outputs = if self.outputs > 8 { 8 } else { MOST_OUTPUTS };
        let others = [Self { pixels: other_pixels, ..self }, Self { outputs: other_outputs, ..self }];
        std::iter::once(self).chain(others.into_iter().filter(|tile| tile.outputs * tile.pixels <= most)).collect()
    }

    /// Turns of the loop that fetches a row of so many `taps` an output, and of those that end a tile.
    pub(super) fn turns(&self, gpu: &Gpu, taps: usize) -> [usize; 2] {
        let row = match gpu.profile.variant {
            Variant::Discrete => turns((self.outputs * taps).div_ceil(4 * gpu.profile.invocations()), 0),
            Variant::Software | Variant::Portable => 0, // unrolled
        };
        [row, row + turns(self.pixels, 0)]
    }

    /// What `product_tile.wgsl` and the workgroup are specialised to, where a step takes so many columns of each of
    /// `slices`, and a workgroup so many `shares` of a sum at once.
    pub(super) fn constants(
        &self,
        gpu: &Gpu,
        shares: usize,
        slices: usize,
        columns: usize,
        step: usize,
    ) -> [(&'static str, usize); 12] {
        let (taps, width) = (slices * columns, (self.pixels - 1) * step + columns);
        let row = (self.outputs * taps).div_ceil(4);
        [
            ("OUTPUTS", self.outputs),
            ("PIXELS", self.pixels),
            ("TAPS", taps),
            ("COLUMNS", columns),
            ("WIDTH", width),
            ("STEP", step),
            ("SPAN", slices * width),
            ("ROW", row),
            ("STAGED", shares * row),
            ("ROW_LOADS", row.div_ceil(SUBGROUP)),
            ("LANES", gpu.profile.lanes()),
            ("ROWS", gpu.profile.rows),
        ]
    }
}

impl OuterTile {
    /// The tile for `lines` of so many `taps` and `outputs`, over rows of `width` pixels.
    pub fn choose(gpu: &Gpu, lines: usize, taps: usize, outputs: usize, width: usize) -> Self {
        let (most_sums, pixels) = match gpu.profile.variant {
            Variant::Software => (64, 2),
            Variant::Discrete | Variant::Portable => (24, 1),
        };
        let quads = cover(outputs.div_ceil(4), &[MOST_QUADS, 3, 2, 1], 1).min(most_sums / taps);
        let most_lines = (most_sums / (taps * quads)).clamp(1, MOST_LINES);
        let sizes: Vec<usize> = (1..=most_lines).collect();
        Self { lines: cover(lines, &sizes, 2), quads, pixels: pixels.min(width) }
    }

    /// Turns of the loops that end a tile of so many taps.
    pub(super) fn end_turns(&self, gpu: &Gpu, taps: usize) -> usize {
        let total = match gpu.profile.variant {
            Variant::Software => 0, // without a loop
            Variant::Discrete | Variant::Portable => turns(gpu.profile.invocations().ilog2() as usize, 0),
        };
        turns(taps, self.lines * self.quads * total) + self.quads * total
    }

    /// What `outer_tile.wgsl` and the workgroup are specialised to.
    pub(super) fn constants(&self, gpu: &Gpu, taps: usize, step: usize) -> [(&'static str, usize); 8] {
        [
            ("LINES", self.lines),
            ("QUADS", self.quads),
            ("PIXELS", self.pixels),
            ("TAPS", taps),
            ("STEP", step),
            ("SPAN", (self.pixels - 1) * step + taps),
            ("LANES", gpu.profile.lanes()),
            ("ROWS", gpu.profile.rows),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_without_much_padding() {
        let outputs = |n| cover(n, &[16, 12, 8, 4], 3);
        assert_eq!([8, 12, 16, 24, 32, 64, 10, 3].map(outputs), [8, 12, 16, 12, 16, 16, 12, 4]);
        let pixels = |n| cover(n, &[4, 3, 2, 1], 1);
        assert_eq!([1, 2, 3, 4, 6, 12, 14].map(pixels), [1, 2, 3, 4, 3, 4, 4]);
    }
}
