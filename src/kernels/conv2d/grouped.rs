//! The weight gradient of a convolution in groups: of an output the products with the channels of its group alone, few
//! of them, so that there is no tile of outputs to share them.

use super::{Conv2d, GROUPED_GRAD_WEIGHT};
use crate::device::{Buf, Gpu, Quads, Variant};
use crate::error::Result;
use crate::kernels::grid::{check_turns, iterations, turns};
use crate::kernels::tile::{MOST_LINES, MOST_PIXELS, OuterTile};
use crate::program::Dispatch;

impl Conv2d {
    /// Lines of one output that share its gradients, and the pixels of a step.
    fn grouped_tile(&self, gpu: &Gpu) -> OuterTile {
        let pixels = match gpu.profile.variant {
            Variant::Software => MOST_PIXELS,
            Variant::Discrete | Variant::Portable => 1,
        };
        let lines = self.of_group().lines(gpu).0.min(MOST_LINES);
        OuterTile { lines, quads: 1, pixels: pixels.min(self.out().width) }
    }

    /// Workgroups that share a split: tiles of lines of every output.
    fn grouped_tiles(&self, gpu: &Gpu) -> [usize; 2] {
        [self.channels, self.of_group().lines(gpu).0.div_ceil(self.grouped_tile(gpu).lines)]
    }

    /// Parts into which the sum over so many batch blocks is split.
    pub(super) fn grouped_splits(&self, gpu: &Gpu, blocks: usize) -> usize {
        let units = self.units(gpu, blocks);
        let splits = self.weights().splits(gpu, self.grouped_tiles(gpu).iter().product(), units);
        let iterations = iterations(gpu, self.grouped_turns(gpu, 1)).max(1);
        splits.max(units.div_ceil(gpu.profile.rows * iterations))
    }

    /// Turns of the loops of an invocation that sums over so many units.
    pub(super) fn grouped_turns(&self, gpu: &Gpu, units: usize) -> usize {
        let (tile, columns) = (self.grouped_tile(gpu), self.of_group().lines(gpu).1.columns);
        let of_unit = turns(self.stripe(gpu), turns(self.out().width.div_ceil(tile.pixels), 0));
        turns(units, of_unit) + tile.end_turns(gpu, columns)
    }

    /// Σ of dy times the patches of x over splits of the batch, as [`Product::grad_weight`] has it.
    ///
    /// [`Product::grad_weight`]: crate::kernels::product::Product::grad_weight
    pub(super) fn grouped_products(&self, gpu: &Gpu, x: &Quads, dy: &Quads, partial: &Buf) -> Result<Dispatch> {
        let (group, out) = (self.of_group(), self.out());
        let (window, tile) = (group.lines(gpu).1, self.grouped_tile(gpu));
        let blocks = x.len() / (self.input.len() * gpu.profile.block);
        let splits = self.grouped_splits(gpu, blocks);
        assert_eq!(partial.len(), splits * self.weights().partial_len());
        let together = self.units(gpu, blocks).div_ceil(splits * gpu.profile.rows);
        check_turns(gpu, GROUPED_GRAD_WEIGHT.name, self.grouped_turns(gpu, together))?;
        let mut constants = vec![
            ("CI", self.input.channels),
            ("CO", self.channels),
            ("GROUP_CI", group.input.channels),
            ("GROUP_CO", group.channels),
            ("H", self.input.height),
            ("W", self.input.width),
            ("OH", out.height),
            ("OW", out.width),
            ("SIZE", self.size),
            ("STRIDE", self.stride),
            ("PADDING", self.padding),
            ("IS_PADDED", usize::from(self.is_padded(tile.pixels))),
            ("SEGMENTS", window.segments),
            ("STRIPE", self.stripe(gpu)),
        ];
        let of_tile = tile.constants(gpu, window.columns, self.stride.min(window.columns));
        constants.extend(of_tile.into_iter().filter(|(name, _)| *name != "QUADS"));
        let bindings = [x.into(), dy.into(), x.block_count(gpu, blocks)?.into(), partial.into()];
        let [outputs, lines] = self.grouped_tiles(gpu);
        Dispatch::new(gpu, &GROUPED_GRAD_WEIGHT, &constants, &bindings, [outputs, lines, splits])
    }
}
