//! The weight gradient of a convolution in groups: of an output the products with the channels of its group alone, few
//! of them, so that there is no tile of outputs to share them.

use super::{Conv2d, GROUPED_GRAD_WEIGHT};
use crate::device::{Buf, Gpu, Quads, Variant};
use crate::error::Result;
use crate::kernels::grid::check_turns;
use crate::kernels::tile::{MOST_LINES, MOST_PIXELS, OuterTile};
use crate::program::Dispatch;

impl Conv2d {
    /// Lines of one output that share its gradients, and the pixels of a step.
    fn grouped_tile(&self, gpu: &Gpu) -> OuterTile {
        let pixels = match gpu.profile.variant {
            Variant::Software => MOST_PIXELS,
            Variant::Discrete | Variant::Portable => 1,
        };
        let lines = self.lines(gpu).0.min(MOST_LINES);
        OuterTile { lines, quads: 1, pixels: pixels.min(self.out().width) }
    }

    /// Workgroups that share a split: tiles of lines of every output.
    fn grouped_tiles(&self, gpu: &Gpu) -> [usize; 2] {
        [self.channels, self.lines(gpu).0.div_ceil(self.grouped_tile(gpu).lines)]
    }

    /// Parts into which the sum over so many batch blocks is split.
    pub(super) fn grouped_splits(&self, gpu: &Gpu, blocks: usize) -> usize {
        let tiles = (self.grouped_tile(gpu), self.grouped_tiles(gpu).iter().product());
        self.splits_of(gpu, self.weights(), tiles, blocks)
    }

    /// Turns of the loops of an invocation that sums over so many units.
    pub(super) fn grouped_turns(&self, gpu: &Gpu, units: usize) -> usize {
        self.turns_of(gpu, self.grouped_tile(gpu), units)
    }

    /// Σ of dy times the patches of x over splits of the batch, as [`Product::grad_weight`] has it.
    ///
    /// [`Product::grad_weight`]: crate::kernels::product::Product::grad_weight
    pub(super) fn grouped_products(&self, gpu: &Gpu, x: &Quads, dy: &Quads, partial: &Buf) -> Result<Dispatch> {
        let (group, tile) = (self.of_group(), self.grouped_tile(gpu));
        let columns = self.lines(gpu).1.columns;
        let blocks = x.len() / (self.input.len() * gpu.profile.block);
        let splits = self.grouped_splits(gpu, blocks);
        assert_eq!(partial.len(), splits * self.weights().partial_len());
        let together = self.units(gpu, blocks).div_ceil(splits * gpu.profile.rows);
        check_turns(gpu, GROUPED_GRAD_WEIGHT.name, self.grouped_turns(gpu, together))?;
        let mut constants =
            vec![("CO", self.channels), ("GROUP_CI", group.input.channels), ("GROUP_CO", group.channels)];
        constants.extend(self.patch_lines(gpu, tile));
        let of_tile = tile.constants(gpu, columns, self.stride.min(columns));
        constants.extend(of_tile.into_iter().filter(|(name, _)| *name != "QUADS"));
        let bindings = [x.into(), dy.into(), x.block_count(gpu, blocks)?.into(), partial.into()];
        let [outputs, lines] = self.grouped_tiles(gpu);
        Dispatch::new(gpu, &GROUPED_GRAD_WEIGHT, &constants, &bindings, [outputs, lines, splits])
    }
}
