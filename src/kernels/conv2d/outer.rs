//! Sums of outer products over the batch: the gradient to the weights, dy times patches, and Kronecker factors, patches
//! times patches.

use super::{Conv2d, GRAD_WEIGHT, Window};
use crate::device::{Buf, Gpu, Quads, Variant};
use crate::error::Result;
use crate::kernels::grid::{check_turns, iterations, turns};
use crate::kernels::tile::OuterTile;
use crate::kernels::weights::{Direction, WeightShape};
use crate::program::Dispatch;

impl Conv2d {
    /// Lines of a weight gradient's patch matrix, and the taps of each.
    pub(super) fn lines(&self, gpu: &Gpu) -> (usize, Window) {
        let window = self.window(gpu, Direction::Forward);
        (self.weights().inputs * self.size * window.segments, window)
    }

    /// The tile of products with so many outputs: channels, or patches.
    fn outer_tile(&self, gpu: &Gpu, outputs: usize) -> OuterTile {
        let (lines, window) = self.lines(gpu);
        OuterTile::choose(gpu, lines, window.columns, outputs, self.out().width)
    }

    /// Pixel rows of a unit of work. On GPUs it is one, so that a few images are enough for all of the device; on a CPU
    /// all of an image, since more sums of fewer pixels would cost more to add up.
    fn stripe(&self, gpu: &Gpu) -> usize {
        match gpu.profile.variant {
            Variant::Software => self.out().height,
            Variant::Discrete | Variant::Portable => 1,
        }
    }

    /// Units of work in so many batch blocks.
    pub(super) fn units(&self, gpu: &Gpu, blocks: usize) -> usize {
        blocks * self.out().height.div_ceil(self.stripe(gpu))
    }

    /// Parts into which a sum with so many outputs over so many batch blocks is split.
    pub(super) fn outer_splits(&self, gpu: &Gpu, outputs: usize, blocks: usize) -> usize {
        let tile = self.outer_tile(gpu, outputs);
        let tiles = self.lines(gpu).0.div_ceil(tile.lines) * outputs.div_ceil(4 * tile.quads);
        self.splits_of(gpu, WeightShape { outputs, ..self.weights() }, (tile, tiles), blocks)
    }

    /// The same of sums of this shape in so many tiles.
    pub(super) fn splits_of(
        &self,
        gpu: &Gpu,
        shape: WeightShape,
        (tile, tiles): (OuterTile, usize),
        blocks: usize,
    ) -> usize {
        let units = self.units(gpu, blocks);
        let splits = shape.splits(gpu, tiles, units);
        // the pixels of many large images are more turns than some drivers make
        let iterations = iterations(gpu, self.turns_of(gpu, tile, 1)).max(1);
        splits.max(units.div_ceil(gpu.profile.rows * iterations))
    }

    /// Turns of the loops of an invocation that sums over so many units.
    pub(super) fn outer_turns(&self, gpu: &Gpu, outputs: usize, units: usize) -> usize {
        self.turns_of(gpu, self.outer_tile(gpu, outputs), units)
    }

    /// The same of a tile.
    pub(super) fn turns_of(&self, gpu: &Gpu, tile: OuterTile, units: usize) -> usize {
        let of_unit = turns(self.stripe(gpu), turns(self.out().width.div_ceil(tile.pixels), 0));
        turns(units, of_unit) + tile.end_turns(gpu, self.lines(gpu).1.columns)
    }

    /// What `patch_lines.wgsl` is specialised to.
    pub(super) fn patch_lines(&self, gpu: &Gpu, tile: OuterTile) -> [(&'static str, usize); 11] {
        let out = self.out();
        [
            ("CI", self.input.channels),
            ("H", self.input.height),
            ("W", self.input.width),
            ("OH", out.height),
            ("OW", out.width),
            ("SIZE", self.size),
            ("STRIDE", self.stride),
            ("PADDING", self.padding),
            ("IS_PADDED", usize::from(self.is_padded(tile.pixels))),
            ("SEGMENTS", self.lines(gpu).1.segments),
            ("STRIPE", self.stripe(gpu)),
        ]
    }

    /// Σ patch patchᵀ as the weight gradient of a convolution whose cotangents are its patches.
    pub(in crate::kernels) fn gram_shape(&self) -> WeightShape {
        WeightShape { outputs: self.weights().patches(), ..self.weights() }
    }

    /// Parts into which a sum of patch patchᵀ over so many batch blocks is split.
    pub(in crate::kernels) fn gram_splits(&self, gpu: &Gpu, blocks: usize) -> usize {
        self.outer_splits(gpu, self.gram_shape().outputs, blocks)
    }

    /// Σ of dy times the patches of x over splits of the batch; without dy, of patches times patches. `shape` is that
    /// of the sum.
    pub(super) fn outer_products(
        &self,
        gpu: &Gpu,
        x: &Quads,
        dy: Option<&Quads>,
        shape: WeightShape,
        partial: &Buf,
    ) -> Result<Dispatch> {
        assert_eq!(self.groups, 1, "of a group by itself");
        let (outputs, (lines, window)) = (shape.outputs, self.lines(gpu));
        let blocks = x.len() / (self.input.len() * gpu.profile.block);
        let (tile, splits) = (self.outer_tile(gpu, outputs), self.outer_splits(gpu, outputs, blocks));
        assert_eq!(partial.len(), splits * shape.partial_len());
        let together = self.units(gpu, blocks).div_ceil(splits * gpu.profile.rows);
        check_turns(gpu, GRAD_WEIGHT.name, self.outer_turns(gpu, outputs, together))?;
        let mut constants = vec![("CO", outputs), ("GRAM", usize::from(dy.is_none()))];
        constants.extend(self.patch_lines(gpu, tile));
        constants.extend(tile.constants(gpu, window.columns, self.stride.min(window.columns)));
        let bindings = [x.into(), dy.unwrap_or(x).into(), x.block_count(gpu, blocks)?.into(), partial.into()];
        let grid = [outputs.div_ceil(4 * tile.quads), lines.div_ceil(tile.lines), splits];
        Dispatch::new(gpu, &GRAD_WEIGHT, &constants, &bindings, grid)
    }
    /// partial\[s\] = Σ patch patchᵀ over split s of the batch, entries (r, c) with r ≤ c, and a row of Σ patch.
    ///
    /// # Errors
    /// As [`Dispatch::new`].
    pub(in crate::kernels) fn gram(&self, gpu: &Gpu, x: &Quads, partial: &Buf) -> Result<Dispatch> {
        self.outer_products(gpu, x, None, self.gram_shape(), partial)
    }
}
